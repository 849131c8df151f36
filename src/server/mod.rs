//! From packets to packets: UDP on threads of its own, TCP on tokio, one [`Responder`] behind both.
//!
//! Knows the zone and the wire, never the cluster. Imports `zone` and `wire`.

mod cores;
mod counters;
mod datagram;
mod listen;
mod responder;
mod socket;
#[cfg(test)]
mod socket_tests;
mod tap;
mod tcp;
mod udp;
mod upstream;

pub use counters::{UdpCounters, UdpCounts};
pub use datagram::UdpSettings;
pub use listen::{BindError, Listener, bind, reachable};
pub use responder::{Pinned, Reply, Responder, Transport};
pub use tap::{Dnstap, DnstapAddress, QueryLog, Queue, Tap, TapCounter};
pub use tcp::{TcpLimits, TcpServer};
pub use udp::UdpServer;
pub use upstream::{Upstream, UpstreamError, UpstreamLimits, UpstreamSlot};
