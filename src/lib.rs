//! `rollcall`: an authoritative DNS server for Kubernetes headless services and StatefulSets.
//!
//! The map of the house, in the direction of the data:
//!
//! ```text
//! source ──change──▶ cluster ──model objects──▶ records ──answers──▶ zone ──publish──▶ server ──bytes──▶ client
//! ```
//!
//! `server` and `cluster` never import each other: they meet at `zone`. A test holds the imports to this.

pub mod admin;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod explain;
pub mod lints;
pub mod model;
pub mod peers;
pub mod reasons;
pub mod records;
pub mod run;
pub mod server;
pub mod source;
pub mod watch;
pub mod wire;
pub mod zone;
