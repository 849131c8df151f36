//! Binds, spawns and drains; drives dirty → records → publish. Like `cli` it may import every layer.

mod driver;
mod encrypted;
mod feed;
mod from_cluster;
mod from_manifests;
mod hints;
mod loading;
mod logging;
pub mod offline;
mod serve;
mod served;
mod servers;
mod settings;

pub use driver::{Driver, Published};
pub use logging::{init as init_logging, say};
pub use serve::serve;
