//! What the UDP threads count: each in cells of its own, summed when somebody asks.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::{add_alone, add_shared};
use super::queries::QueryCounters;
use super::socket::dropped;

/// UDP packets since the start, over all threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UdpCounts {
    /// Read from the sockets.
    pub received: u64,
    /// Replies that were sent.
    pub answered: u64,
    /// Packets that are answered by silence: answers themselves, or shorter than a header.
    pub silent: u64,
    /// Handed to the upstream; their replies count as answered once they are sent.
    pub forwarded: u64,
    /// Kept open, for a replica that is not ready yet; their replies count as answered once they are sent. One that is sent
    /// again meanwhile has no reply of its own.
    pub held: u64,
    /// Replies with TC.
    pub truncated: u64,
    /// Replies that could not be sent.
    pub failed: u64,
    /// Packets that found a socket's buffer full; they were never received.
    pub dropped: u64,
}

/// One thread's. Two cache lines: the processor fetches them in pairs, and no thread shall wait for another's.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counter {
    received: AtomicU64,
    answered: AtomicU64,
    silent: AtomicU64,
    forwarded: AtomicU64,
    held: AtomicU64,
    failed: AtomicU64,
}

impl Counter {
    /// Adds a batch, but for what [`QueryCounters`] count of it. There is one writer.
    pub(super) fn add(&self, more: &UdpCounts) {
        let add = |cell: &AtomicU64, more: u64| {
            if more > 0 {
                add_alone(cell, more);
            }
        };
        add(&self.received, more.received);
        add(&self.answered, more.answered);
        add(&self.silent, more.silent);
        add(&self.forwarded, more.forwarded);
        add(&self.held, more.held);
        add(&self.failed, more.failed);
    }

    /// Adds one late reply; any task may.
    pub(super) fn add_late(&self, sent: bool) {
        add_shared(if sent { &self.answered } else { &self.failed }, 1);
    }
}

#[derive(Debug)]
struct Cells {
    /// A thread and a socket each, and one cell more for the replies that waited.
    cells: Box<[Counter]>,
    sockets: Vec<Arc<UdpSocket>>,
    queries: QueryCounters,
}

/// Reads what the UDP threads count, at any time and from anywhere.
#[derive(Debug, Clone)]
pub struct UdpCounters(Arc<Cells>);

impl UdpCounters {
    pub(super) fn new(sockets: Vec<Arc<UdpSocket>>) -> Self {
        let cells = (0..=sockets.len()).map(|_| Counter::default()).collect();
        Self(Arc::new(Cells { cells, sockets, queries: QueryCounters::default() }))
    }

    /// Of a thread.
    pub(super) fn of(&self, thread: usize) -> &Counter {
        &self.0.cells[thread]
    }

    /// Of the replies that waited.
    pub(super) fn late(&self) -> &Counter {
        self.of(self.0.sockets.len())
    }

    /// What was asked and how it was answered.
    #[must_use]
    pub fn queries(&self) -> &QueryCounters {
        &self.0.queries
    }

    /// The sums just now; asks the kernel for its share.
    #[must_use]
    pub fn counts(&self) -> UdpCounts {
        let sum = |cell: fn(&Counter) -> &AtomicU64| {
            self.0.cells.iter().map(|counter| cell(counter).load(Ordering::Relaxed)).sum()
        };
        UdpCounts {
            received: sum(|counter| &counter.received),
            answered: sum(|counter| &counter.answered),
            silent: sum(|counter| &counter.silent),
            forwarded: sum(|counter| &counter.forwarded),
            held: sum(|counter| &counter.held),
            truncated: self.0.queries.truncated(),
            failed: sum(|counter| &counter.failed),
            dropped: self.0.sockets.iter().filter_map(|socket| dropped(socket)).map(u64::from).sum(),
        }
    }
}
