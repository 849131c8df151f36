//! The live view in a terminal: from the API's answers to a screen. It imports no other layer; what asks the server and
//! hears of changes is `run::watching`.
//!
//! [`State`] is what is known and chosen, [`Screen`] draws it into cells, [`plain`] writes it as text. These know no
//! terminal; [`terminal`] does, and little else.

mod answers;
mod keys;
#[cfg(test)]
mod mk;
mod plain;
mod screen;
#[cfg(test)]
mod screen_tests;
mod sse;
mod state;
pub mod terminal;
mod words;

pub use answers::{Cell, Change, Changes, Health, News, Set, Sets, Watch, Zone};
pub use keys::{Choice, Key};
pub use plain::{is_complete, write};
pub use screen::Screen;
pub use sse::{Event, Events, TooLong};
pub use state::{Link, MOST_CHANGES, State};
pub use words::{SERVER, plain};
