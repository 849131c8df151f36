//! The admin address: what an operator's probes ask over HTTP. Imports `zone` (and `cluster`) only.
//!
//! `/livez`: the process runs and answers HTTP. `/readyz`: it answers DNS from a complete cluster and is not being
//! stopped. An API server that is away does not change either: it takes nothing out of service that still
//! answers (coredns/coredns#3590); it is told in the body of `/readyz`. `/metrics`: what everybody counts, read when it
//! is asked for.

mod exposition;
mod health;
mod listener;
mod metrics;

pub use health::Health;
pub use listener::{AdminError, AdminServer, Pages};
pub use metrics::{Labels, Metrics, Page};
