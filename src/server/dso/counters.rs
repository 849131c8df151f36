//! What is counted of sessions and subscriptions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sessions and subscriptions since the start, and just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PushCounts {
    /// Open now.
    pub sessions: u64,
    /// Active now.
    pub subscriptions: u64,
    /// Names that somebody waits for.
    pub names: u64,
    /// Sessions that were opened.
    pub opened: u64,
    /// Operations that were answered with an error.
    pub refused: u64,
    /// Of these, for there were as many sessions as may be.
    pub refused_sessions: u64,
    /// As many subscriptions in all.
    pub refused_subscriptions: u64,
    /// As many of the session.
    pub refused_per_session: u64,
    /// As many of the client.
    pub refused_per_client: u64,
    /// Connections held nearly as many octets as they may.
    pub refused_memory: u64,
    /// Clients that were not listened to for a while, for they asked faster than they may.
    pub paced: u64,
    /// PUSH messages, as they were given to sessions.
    pub messages: u64,
    /// Of these, those that were written for the first time: the others are the same octets again.
    pub encoded: u64,
    /// Octets of all messages.
    pub octets: u64,
    /// Sessions that were ended because their client did not read.
    pub slow: u64,
    /// Sessions that were ended because a name is not served any longer, or no session on their transport.
    pub withdrawn: u64,
    /// Connections that were aborted for what the client said.
    pub aborted: u64,
    /// Sessions that were ended because their client said nothing for too long.
    pub expired: u64,
    /// Records that a client doubted.
    pub reconfirmed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) sessions: AtomicU64,
    pub(super) subscriptions: AtomicU64,
    pub(super) names: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) refused_sessions: AtomicU64,
    pub(super) refused_subscriptions: AtomicU64,
    pub(super) refused_per_session: AtomicU64,
    pub(super) refused_per_client: AtomicU64,
    pub(super) refused_memory: AtomicU64,
    pub(super) paced: AtomicU64,
    pub(super) messages: AtomicU64,
    pub(super) encoded: AtomicU64,
    pub(super) octets: AtomicU64,
    pub(super) slow: AtomicU64,
    pub(super) withdrawn: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) reconfirmed: AtomicU64,
}

/// Reads what is counted, at any time and from anywhere; its clones are one.
#[derive(Debug, Clone, Default)]
pub struct PushCounters(Arc<Cells>);

impl PushCounters {
    pub(super) fn add(&self, cell: impl FnOnce(&Cells) -> &AtomicU64, count: u64) {
        cell(&self.0).fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(&self, cell: impl FnOnce(&Cells) -> &AtomicU64, count: usize) {
        cell(&self.0).store(count as u64, Ordering::Relaxed);
    }

    /// The counts just now.
    #[must_use]
    pub fn counts(&self) -> PushCounts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let cells = &*self.0;
        PushCounts {
            sessions: read(&cells.sessions),
            subscriptions: read(&cells.subscriptions),
            names: read(&cells.names),
            opened: read(&cells.opened),
            refused: read(&cells.refused),
            refused_sessions: read(&cells.refused_sessions),
            refused_subscriptions: read(&cells.refused_subscriptions),
            refused_per_session: read(&cells.refused_per_session),
            refused_per_client: read(&cells.refused_per_client),
            refused_memory: read(&cells.refused_memory),
            paced: read(&cells.paced),
            messages: read(&cells.messages),
            encoded: read(&cells.encoded),
            octets: read(&cells.octets),
            slow: read(&cells.slow),
            withdrawn: read(&cells.withdrawn),
            aborted: read(&cells.aborted),
            expired: read(&cells.expired),
            reconfirmed: read(&cells.reconfirmed),
        }
    }
}
