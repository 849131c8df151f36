//! Where the cluster comes from: an API server, manifests, or what was kept of the API server's in a snapshot. The
//! objects' border ([`raw`]) is the same for the first two.
//!
//! Imports `model` and `cluster` only.

mod few;
pub mod kubernetes;
pub mod manifests;
pub mod pods;
mod problem;
pub mod raw;
pub mod snapshot;

pub use problem::{Problem, Severity, chain};
