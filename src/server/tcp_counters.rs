//! What is counted of connections: any task adds, and none does so for each message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::queries::QueryCounters;

/// Connections since the start, and just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpCounts {
    /// Open now.
    pub open: u64,
    /// As many as may be open.
    pub limit: u64,
    /// Those that were let in.
    pub accepted: u64,
    /// Closed as they came, for there were as many as may be.
    pub refused_connections: u64,
    /// The same, of one client.
    pub refused_per_client: u64,
    /// Let in, and closed because their handshake failed or took too long.
    pub refused_handshake: u64,
    /// Ended because there was no room for what they wanted to hold; of HTTPS and QUIC, questions.
    pub refused_memory: u64,
    /// Ended because what they sent was no question, again and again.
    pub refused_garbage: u64,
    /// Closed because the client said nothing, or left a reply unread, for the idle time.
    pub idle_closed: u64,
}

#[derive(Debug, Default)]
struct Cells {
    limit: AtomicU64,
    accepted: AtomicU64,
    /// Those of them that are closed again.
    ended: AtomicU64,
    refused_connections: AtomicU64,
    refused_per_client: AtomicU64,
    refused_handshake: AtomicU64,
    refused_memory: AtomicU64,
    refused_garbage: AtomicU64,
    idle_closed: AtomicU64,
    queries: QueryCounters,
}

/// Reads what is counted of the connections of one transport, at any time and from anywhere; its clones are one.
#[derive(Debug, Clone)]
pub struct TcpCounters(Arc<Cells>);

impl TcpCounters {
    /// Of a server that takes so many connections at one time.
    pub(super) fn new(limit: usize) -> Self {
        let counters = Self(Arc::default());
        counters.set_limit(limit);
        counters
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit as u64, Ordering::Relaxed);
    }

    pub(super) fn accepted(&self) {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }

    pub(super) fn refused_connection(&self) {
        self.0.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused_client(&self) {
        self.0.refused_per_client.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "encrypted"), allow(dead_code))]
    pub(super) fn refused_handshake(&self) {
        self.0.refused_handshake.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused_memory(&self) {
        self.0.refused_memory.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused_garbage(&self) {
        self.0.refused_garbage.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn idle_closed(&self) {
        self.0.idle_closed.fetch_add(1, Ordering::Relaxed);
    }

    /// What was asked over them and how it was answered.
    #[must_use]
    pub fn queries(&self) -> &QueryCounters {
        &self.0.queries
    }

    /// The counts just now.
    #[must_use]
    pub fn counts(&self) -> TcpCounts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        // What has ended was accepted before: read in this order, it is never more.
        let ended = self.0.ended.load(Ordering::Acquire);
        let accepted = read(&self.0.accepted);
        TcpCounts {
            open: accepted.saturating_sub(ended),
            limit: read(&self.0.limit),
            accepted,
            refused_connections: read(&self.0.refused_connections),
            refused_per_client: read(&self.0.refused_per_client),
            refused_handshake: read(&self.0.refused_handshake),
            refused_memory: read(&self.0.refused_memory),
            refused_garbage: read(&self.0.refused_garbage),
            idle_closed: read(&self.0.idle_closed),
        }
    }
}
