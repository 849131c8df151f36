//! What is counted of snapshots.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What was counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotCounts {
    /// Snapshots that were written.
    pub successes: u64,
    /// Those that could not be.
    pub failures: u64,
    /// When the last one was written, in seconds since 1970; 0 is never.
    pub written: u64,
    /// Its octets.
    pub octets: u64,
    /// Whether this process began by serving one.
    pub loaded: bool,
    /// The longest that copying the cluster held up its publishing.
    pub longest_pause: Duration,
}

#[derive(Debug, Default)]
struct Cells {
    successes: AtomicU64,
    failures: AtomicU64,
    written: AtomicU64,
    octets: AtomicU64,
    loaded: AtomicBool,
    longest_pause: AtomicU64,
}

/// Counts, and reads what was counted; its clones are one.
#[derive(Debug, Clone, Default)]
pub struct SnapshotCounters(Arc<Cells>);

impl SnapshotCounters {
    /// One was written: when, and its octets.
    pub fn succeeds(&self, written: u64, octets: u64) {
        self.0.successes.fetch_add(1, Ordering::Relaxed);
        self.0.written.store(written, Ordering::Relaxed);
        self.0.octets.store(octets, Ordering::Relaxed);
    }

    /// One could not be written.
    pub fn fails(&self) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// One is served.
    pub fn loads(&self) {
        self.0.loaded.store(true, Ordering::Relaxed);
    }

    /// The cluster was copied, and nothing published in the meantime.
    pub fn pauses(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.0.longest_pause.fetch_max(pause, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> SnapshotCounts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        SnapshotCounts {
            successes: read(&self.0.successes),
            failures: read(&self.0.failures),
            written: read(&self.0.written),
            octets: read(&self.0.octets),
            loaded: self.0.loaded.load(Ordering::Relaxed),
            longest_pause: Duration::from_nanos(read(&self.0.longest_pause)),
        }
    }
}
