//! The admin address: what an operator's probes ask over HTTP, the page and the API. Imports `zone`, `cluster` and `explain` only.
//!
//! `/livez`: the process runs and answers HTTP. `/readyz`: it answers DNS from a complete cluster and is not being
//! stopped. An API server that is away does not change either: it takes nothing out of service that still
//! answers (coredns/coredns#3590); it is told in the body of `/readyz`. `/metrics`: what everybody counts, read when it
//! is asked for. These three are for everybody; the page at `/` and the API at `/api/v1/` show the cluster, read-only, to
//! whom [`Access`] lets.

mod access;
mod api;
mod board;
mod events;
mod exposition;
mod health;
mod html;
mod listener;
mod look;
mod metrics;
mod page;
mod patience;
mod query;
mod ring;
mod status;
mod words;

pub use access::Access;
pub(crate) use access::Guard;
pub use board::{Board, BoardEnd, Question, Tellers, board};
pub use health::Health;
pub use listener::{AdminError, AdminServer, Pages};
pub use metrics::{Labels, Metrics, Page};
pub(crate) use patience::Patience;
pub use ring::{Batch, PublishedChange};
pub use status::{Objects, Snapshot, Status, Watch};
