//! Binds, spawns and drains; drives dirty → records → publish. Like `cli` it may import every layer.

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
mod serve;
mod served;
mod servers;
mod settings;
mod staleness;

pub use driver::{Driver, Published};
pub use logging::{init as init_logging, say};
pub use serve::serve;
