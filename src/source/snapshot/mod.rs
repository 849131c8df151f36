//! The cluster as it was known last, on disk: served at a start at which the API server does not answer.
//!
//! ```text
//! image:  index ──▶ octets          a copy, made where the index is; quick, for what is packed stays packed
//! write:  octets ──▶ file           checksum, temporary file, fsync, rename, fsync: on a thread that may wait
//! open:   file ──▶ sections         checksum, and whose it is, before anything is made of it
//! index:  sections ──▶ a new index  all of it checked before it is given
//! ```
//!
//! What is refused is refused whole, with a reason that names the file; docs/outages.md has the format and its rules.

mod counters;
mod format;
mod read;
mod write;

use std::io;
use std::path::PathBuf;

pub use counters::{SnapshotCounters, SnapshotCounts};
pub use format::{Damage, Identity, Image, Kept, State};
pub use read::{Opened, open, read};
pub use write::write;

/// Why there is no snapshot, or none could be written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is there and cannot be read.
    #[error("cannot read the snapshot {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something has changed it, or it was never one.
    #[error("the snapshot {} is damaged", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        #[source]
        source: Damage,
    },
    /// Whole, and of a format that is not known.
    #[error(
        "the snapshot {} is of format {found}, and this rollcall reads format {}: it is left as it is until the next write",
        path.display(),
        format::VERSION
    )]
    Version {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u16,
    },
    /// Of another cluster, or of another part of it.
    #[error("the snapshot {} is another one's: its {what} is {theirs}, here it is {ours}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// As the file says it.
        theirs: String,
        /// As the configuration says it.
        ours: String,
    },
    /// It cannot be written; the one that was there stays.
    #[error("cannot write the snapshot {} ({doing})", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two of us have been given one file.
    #[error("another process is writing the snapshot {}: give each a file of its own", path.display())]
    Busy {
        /// Which.
        path: PathBuf,
    },
}
