//! Manifests: a file, a folder, or standard input, in YAML or JSON, written by hand or dumped by kubectl.
//!
//! ```text
//! read: text ──▶ documents ──▶ items        (each bad one a Problem, the good ones go on)
//! play: items ──▶ objects                   (what controllers would have added: endpoints, addresses)
//! files: which file holds which items, and what of it was last good
//! ```

mod addresses;
mod files;
mod follow;
mod item;
mod play;
mod read;

pub use files::{Input, Loaded, Manifests, Options, SourceError};
pub use follow::{Follower, follow};
pub use read::Progress;
