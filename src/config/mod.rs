//! Configuration: as typed in a file, the environment and flags, then resolved, every number within its bounds.
//!
//! Flags win over the environment, the environment over the file. What is wrong is said all at once, each with
//! its key. Imports nothing of the house but the types that it resolves to.

mod encrypted;
mod error;
mod numbers;
mod resolve;
mod typed;

pub use encrypted::Encrypted;
pub use error::{ConfigError, Problem};
pub use numbers::{NUMBERS, Number};
pub use resolve::{Admin, Cluster, Config, Snapshot, Stale};
pub use typed::{
    Typed, TypedLimits, TypedSnapshot, TypedSource, TypedStale, TypedTls, TypedTtl, TypedUpstream,
};
