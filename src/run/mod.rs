//! Binds, spawns and drains; drives dirty → records → publish. Like `cli` it may import every layer.

mod board;
mod config_follower;
mod driver;
mod encrypted;
pub mod explaining;
mod feed;
mod following;
mod from_cluster;
mod from_manifests;
mod hints;
mod keeper;
pub mod linting;
mod loading;
mod logging;
mod looking;
mod metrics;
pub mod offline;
mod reload;
pub mod remote;
mod serve;
mod served;
mod servers;
mod settings;
mod signals;
mod staleness;
mod tapping;
pub mod watching;

pub use driver::{Driver, Published};
pub use logging::{init as init_logging, say, say_error};
pub use serve::serve;
pub use signals::{Signals, signalled};
