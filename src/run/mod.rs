//! Binds, spawns and drains; drives dirty → records → publish. Like `cli` it may import every layer.
#![allow(clippy::print_stderr)] // the lines that scripts wait for: `listening …`, `ready`

mod driver;
mod hints;
mod loading;
mod logging;
pub mod offline;
mod serve;
mod settings;

pub use driver::Driver;
pub use logging::init as init_logging;
pub use serve::serve;
