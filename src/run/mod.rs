//! Binds, spawns and drains; drives dirty → records → publish. Like `cli` it may import every layer.

mod driver;
mod feed;
mod following;
mod from_cluster;
mod from_manifests;
mod hints;
mod loading;
mod logging;
pub mod offline;
mod reload;
mod serve;
mod served;
mod servers;
mod settings;
mod tapping;

pub use driver::{Driver, Published};
pub use logging::{init as init_logging, say, say_error};
pub use serve::serve;
