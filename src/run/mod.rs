//! Binds, spawns and drains; drives dirty → records → publish. Like `cli` it may import every layer.

mod driver;
mod hints;
mod loading;
mod logging;
pub mod offline;
mod serve;
mod settings;

pub use driver::Driver;
pub use logging::{init as init_logging, say};
pub use serve::serve;
