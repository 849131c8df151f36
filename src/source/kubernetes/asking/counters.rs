//! What is counted of the requests for pods.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts, to be read from anywhere.
#[derive(Debug, Clone, Default)]
pub struct LookCounters(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    answered: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    left_out: AtomicU64,
    waiting: AtomicU64,
}

/// [`LookCounters`] at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookCounts {
    /// Lists of pods, claims or events that were answered.
    pub answered: u64,
    /// Those that the account may not make.
    pub refused: u64,
    /// Those that failed otherwise.
    pub failed: u64,
    /// Times that there was no room for what the pods of a set say.
    pub left_out: u64,
    /// Sets that are not whole.
    pub waiting: u64,
}

impl LookCounters {
    pub(super) fn answered(&self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// There was no room for what the pods of a set say.
    pub fn left_out(&self) {
        self.0.left_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waiting(&self, sets: usize) {
        self.0.waiting.store(sets as u64, Ordering::Relaxed);
    }

    /// The counts just now.
    #[must_use]
    pub fn counts(&self) -> LookCounts {
        let of = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        LookCounts {
            answered: of(&self.0.answered),
            refused: of(&self.0.refused),
            failed: of(&self.0.failed),
            left_out: of(&self.0.left_out),
            waiting: of(&self.0.waiting),
        }
    }
}
