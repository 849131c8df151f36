//! Binds, spawns and drains; drives dirty → records → publish. Like `cli` it may import every layer.

mod config_follower;
mod driver;
mod encrypted;
mod feed;
mod following;
mod from_cluster;
mod from_manifests;
mod hints;
mod keeper;
mod loading;
mod logging;
mod metrics;
pub mod offline;
mod reload;
mod serve;
mod served;
mod servers;
mod settings;
mod staleness;
mod tapping;

pub use driver::{Driver, Published};
pub use logging::{init as init_logging, say, say_error};
pub use serve::serve;
