//! Where the cluster comes from: an API server, or manifests. The objects' border ([`raw`]) is the same for both.
//!
//! Imports `model` and `cluster` only.

pub mod kubernetes;
pub mod manifests;
mod problem;
pub mod raw;

pub use problem::{Problem, Severity, chain};
