//! Who may have a connection: so many in all, so many a client, counted from before the first octet.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::tcp_counters::TcpCounters;

/// Behind an error of accept (no descriptors left): the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The same trouble is not logged again for this long: strangers can make it, ten times a second.
const REPEAT: Duration = Duration::from_secs(60);

/// How long a stop goes on taking connections that the kernel has accepted already, and TCP as long again questions that
/// are on their way: what arrived before it is answered.
pub(super) const LAST: Duration = Duration::from_millis(50);

/// The places that there are.
pub(super) struct Admission {
    open: AtomicUsize,
    all: AtomicUsize,
    per_client: AtomicUsize,
    by_client: DashMap<IpAddr, usize>,
}

/// A connection's place; given back when it is dropped.
pub(super) struct Guard {
    admission: Arc<Admission>,
    counters: TcpCounters,
    pub(super) client: IpAddr,
}

impl Admission {
    pub(super) fn new(connections: usize, per_client: usize) -> Arc<Self> {
        let (open, all) = (AtomicUsize::new(0), AtomicUsize::new(connections));
        Arc::new(Self { open, all, per_client: AtomicUsize::new(per_client), by_client: DashMap::new() })
    }

    /// Changes how many there are. Who has a place keeps it, even where they are too many now.
    pub(super) fn set(&self, connections: usize, per_client: usize) {
        self.all.store(connections, Ordering::Relaxed);
        self.per_client.store(per_client, Ordering::Relaxed);
    }

    /// Gives a place to a connection of this address, if there is one.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, counters: &TcpCounters) -> Option<Guard> {
        let client = client_of(peer);
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.all.load(Ordering::Relaxed) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            debug!(%client, "closed: too many connections");
            counters.refused_connection();
            return None;
        }
        let mut held = self.by_client.entry(client).or_default();
        if *held >= self.per_client.load(Ordering::Relaxed) {
            drop(held);
            self.open.fetch_sub(1, Ordering::Relaxed);
            debug!(%client, "closed: too many connections of one client");
            counters.refused_client();
            return None;
        }
        *held += 1;
        drop(held);
        counters.accepted();
        let (admission, counters) = (Arc::clone(self), counters.clone());
        Some(Guard { admission, counters, client })
    }

    /// Whether more than half of the places are taken.
    #[cfg_attr(not(feature = "quic"), allow(dead_code))]
    pub(super) fn is_crowded(&self) -> bool {
        self.open.load(Ordering::Relaxed) * 2 > self.all.load(Ordering::Relaxed)
    }
}

impl Guard {
    /// The handshake failed, or took too long.
    #[cfg_attr(not(feature = "encrypted"), allow(dead_code))]
    pub(super) fn count_failed_handshake(&self) {
        self.counters.refused_handshake();
    }

    /// There is no room for what the connection wants to hold.
    pub(super) fn count_out_of_memory(&self) {
        debug!(client = %self.client, "cut off: connections hold as many octets as they may");
        self.counters.refused_memory();
    }

    /// What the client sends is no question, again and again.
    pub(super) fn count_garbage(&self) {
        debug!(client = %self.client, "closed: what it sends is no question");
        self.counters.refused_garbage();
    }

    /// The connection is closed for its silence.
    pub(super) fn count_idle(&self) {
        self.counters.idle_closed();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        self.admission.by_client.remove_if_mut(&self.client, |_, held| {
            *held = held.saturating_sub(1);
            *held == 0
        });
        self.counters.ended();
    }
}

/// Accepts connections and gives each that has a place to `serve`, until the stop and a little longer; then waits for them
/// to end.
pub(super) async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    admission: Arc<Admission>,
    counters: TcpCounters,
    mut stop_rx: watch::Receiver<bool>,
    mut serve: impl FnMut(TcpStream, Guard, watch::Receiver<bool>) -> F,
) {
    let mut connections = JoinSet::new();
    let (mut end, mut warned) = (None, None::<Instant>);
    while end.is_none_or(|end| Instant::now() < end) {
        let accepted = tokio::select! {
            biased;
            _ = stop_rx.wait_for(|stop| *stop), if end.is_none() => {
                end = Some(Instant::now() + LAST);
                continue;
            }
            // Ended connections are let go of as others come.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(guard) = admission.admit(peer.ip(), &counters) {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream, guard, stop_rx.clone()));
                }
            }
            Err(error) => {
                // Out of files or memory: the connections that are there go on, and one may end.
                if warned.is_none_or(|at| at.elapsed() >= REPEAT) {
                    warn!(%error, "cannot accept a connection");
                    warned = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Closed first: a client that comes now is refused, and asks another server at once.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Who holds a connection. On the Internet a machine has an IPv6 /64 to itself (RFC 6177), and each of its addresses for
/// the asking; within a cluster a /64 is a node's pods, or all there are, so that there each address counts (unique local
/// and link-local ones, RFC 4193 and 4291).
pub(super) fn client_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unique_local() && !v6.is_unicast_link_local() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::TcpCounts;

    #[test]
    fn a_client_is_an_address_or_a_global_64() {
        let of = |text: &str| client_of(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        // Pods of one node.
        assert_eq!(of("fd00:10:244::7"), "fd00:10:244::7");
        assert_eq!(of("fe80::7"), "fe80::7");
    }

    #[test]
    fn places_are_counted_given_and_taken_back() {
        let (admission, counters) = (Admission::new(3, 2), TcpCounters::new(3));
        let admit = |text: &str| admission.admit(text.parse().unwrap(), &counters);
        let first = admit("10.0.0.1").unwrap();
        let second = admit("10.0.0.1").unwrap();
        assert!(admission.is_crowded());
        assert!(admit("10.0.0.1").is_none(), "two a client");
        let other = admit("10.0.0.2").unwrap();
        assert!(admit("10.0.0.3").is_none(), "three in all");
        other.count_failed_handshake();
        other.count_out_of_memory();
        other.count_garbage();
        first.count_idle();
        let expected = TcpCounts {
            open: 3,
            limit: 3,
            accepted: 3,
            refused_connections: 1,
            refused_per_client: 1,
            refused_handshake: 1,
            refused_memory: 1,
            refused_garbage: 1,
            idle_closed: 1,
        };
        assert_eq!(counters.counts(), expected);
        drop((first, second, other));
        assert_eq!(counters.counts().open, 0);
        assert!(admission.by_client.is_empty(), "nothing is kept of clients that are gone");
        assert!(!admission.is_crowded() && admit("10.0.0.1").is_some());
    }
}
