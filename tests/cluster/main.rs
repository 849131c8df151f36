//! Everything on a real Kubernetes control plane and the real CoreDNS: `tests/cluster/run.sh` builds and starts them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failing test is a panic, and its helpers count as tests"
)]

mod corefiles;
mod deploy;
mod faults;
mod forwarding;
mod lints;
mod measured;
mod page;
mod reasons;
mod scenarios;
mod sides;
mod software;
mod support;
