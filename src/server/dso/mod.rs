//! DNS Stateful Operations (RFC 8490) on a connection of TCP or TLS, and what they are for here: DNS Push Notifications
//! (RFC 8765).
//!
//! A connection has a [`Session`] from its first operation that succeeds. The [`Hub`] knows who waits for which name; it
//! is told by the zone what changed, looks again, and gives each subscriber the same octets. It is nowhere near the
//! threads of UDP.

mod counters;
mod hub;
mod outbox;
mod pace;
mod session;
mod topic;

pub use counters::{PushCounters, PushCounts};
pub(super) use hub::Hub;
pub(super) use session::{Said, Session, hear};

use super::responder::Transport;

/// Where sessions may be had, and what they may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushLimits {
    /// On TLS, as RFC 8765 wants it.
    pub tls: bool,
    /// On plain TCP as well: for loopback, where there is nobody to hide from.
    pub tcp: bool,
    /// At one time.
    pub sessions: usize,
    /// Of all sessions.
    pub subscriptions: usize,
    /// Of one session.
    pub per_session: usize,
    /// Of one client, over all of its sessions: an address, or the /64 of a global IPv6 one.
    pub per_client: usize,
    /// Octets that wait for one client, from the second message on.
    pub queue: usize,
    /// Milliseconds without a word from either side after which a client has to say one.
    pub keepalive: u32,
    /// Milliseconds without an operation or a subscription after which a client has to go.
    pub inactivity: u32,
    /// Milliseconds after which a client that was sent away may come back; each is told up to twice as much.
    pub retry: u32,
}

impl PushLimits {
    /// Whether there may be sessions on a transport: on those of the others they are not defined (RFC 8490, section 4.2).
    pub(super) fn allows(&self, transport: Transport) -> bool {
        match transport {
            Transport::Tls => self.tls,
            Transport::Tcp => self.tcp,
            Transport::Udp | Transport::Https | Transport::Quic => false,
        }
    }

    /// When to come back, different for each: ten thousand clients that lost a server do not all return at once.
    fn retry_for_one(&self) -> u32 {
        self.retry.saturating_add(fastrand::u32(0..=self.retry))
    }
}
