//! Manifests: a file, a folder, or standard input, in YAML or JSON, written by hand or dumped by kubectl.
//!
//! ```text
//! read: text ──▶ documents ──▶ items        (each bad one a Problem, the good ones go on)
//! play: items ──▶ objects                   (what controllers would have added: endpoints, addresses)
//! files: which file holds which items, and what of it was last good
//! witness: who sees each object whole, before it is made slim     locate: the line of a field
//! listed: objects that were listed elsewhere, made slim in the same way
//! ```

mod addresses;
mod files;
mod follow;
mod item;
mod listed;
mod locate;
mod play;
mod read;
mod states;
mod witness;

pub use files::{Input, Loaded, Manifests, Options, SourceError};
pub use follow::{Follower, follow};
pub use listed::Listed;
pub use locate::{Field, lines_of};
pub use read::Progress;
pub use witness::{Place, Witness};
