//! Where the cluster comes from. Today: manifests; the objects' border ([`raw`]) is shared with what comes next.
//!
//! Imports `model` and `cluster` only.

pub mod manifests;
mod problem;
pub mod raw;

pub use problem::{Problem, Severity};
