//! `serve --kubeconfig` before an API server that is scripted, hostile, or odd.
//!
//! The real one is asked in `tests/cluster`; here are the answers that it gives seldom or never: lists that
//! break off, versions that expire, watches that go silent, objects that are none. `fake` is a server of
//! threads; what takes time is waited for until it is there, or too late.

mod commands;
mod credentials;
mod denied;
mod drain;
mod expired;
mod explain;
mod fake;
mod filter;
mod http;
mod lists;
mod metrics;
mod objects;
mod odd;
mod page;
mod pods;
mod pressure;
mod program;
mod protobuf;
mod silence;
mod snapshot;
mod watches;
