//! What `/metrics` tells, read from those who count: a file a subject. docs/metrics.md lists every family, and a test
//! holds the two together.

mod cluster;
mod hold;
mod operations;
mod outages;
mod pods;
mod process;
mod push;
mod queries;

pub(super) use cluster::{Observed, Waiting, tell_cluster};
pub(super) use hold::tell_hold;
pub(super) use operations::tell_operations;
pub(super) use outages::tell_outages;
pub(super) use pods::tell_pods;
pub(super) use process::tell_process;
pub(super) use push::tell_push;
pub(super) use queries::{Transports, tell_transports};
