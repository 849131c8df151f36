//! Configuration: as typed in a file, the environment and flags, then resolved, every number within its bounds.
//!
//! Flags win over the environment, the environment over the file. What is wrong is said all at once, each with
//! its key. Imports nothing of the house but the types that it resolves to.

mod changes;
mod encrypted;
mod error;
mod explain;
mod hold;
mod log;
mod numbers;
mod page;
mod push;
mod resolve;
mod typed;

pub use changes::{AT_NEXT_START, Change, changes};
pub use encrypted::Encrypted;
pub use error::{ConfigError, Problem};
pub use log::{Log, LogFormat};
pub use numbers::{NUMBERS, Number};
pub use page::Page;
pub use resolve::{Admin, Cluster, Config, Looks, Snapshot, Stale};
pub use typed::{
    Typed, TypedDnstap, TypedExplain, TypedHold, TypedLimits, TypedLog, TypedPage, TypedPush, TypedReload,
    TypedSnapshot, TypedSource, TypedStale, TypedTls, TypedTtl, TypedUpstream,
};
