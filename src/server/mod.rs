//! From packets to packets: UDP on threads of its own, TCP on tokio, one [`Responder`] behind both.
//!
//! Knows the zone and the wire, never the cluster. Imports `zone` and `wire`.

mod listen;
mod responder;
mod socket;
mod tcp;
mod udp;
mod upstream;

pub use listen::{BindError, Listener, bind, reachable};
pub use responder::{Pinned, Reply, Responder, Transport};
pub use tcp::{TcpLimits, TcpServer};
pub use udp::UdpServer;
pub use upstream::{Upstream, UpstreamError, UpstreamLimits};
