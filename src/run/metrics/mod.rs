//! What `/metrics` tells, read from those who count: a file a subject. docs/metrics.md lists every family, and a test
//! holds the two together.

mod cluster;
mod outages;
mod process;
mod queries;

pub(super) use cluster::{Observed, Waiting, tell_cluster};
pub(super) use outages::tell_outages;
pub(super) use process::tell_process;
pub(super) use queries::{Transports, tell_transports};
