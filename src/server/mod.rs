//! From packets to packets: UDP on threads of its own, TCP on tokio, TLS over it, HTTPS and QUIC beside it, one
//! [`Responder`] behind all of them.
//!
//! Knows the zone and the wire, never the cluster. Imports `zone` and `wire`.

mod admission;
mod cores;
mod counters;
mod datagram;
mod dso;
mod encrypted;
mod histogram;
mod hold;
mod late;
mod listen;
mod memory;
mod queries;
mod responder;
mod socket;
#[cfg(test)]
mod socket_tests;
mod tap;
mod tcp;
mod tcp_counters;
mod udp;
mod upstream;
mod upstream_cache;

pub use cores::let_udp_go_first;
pub use counters::{UdpCounters, UdpCounts};
pub use datagram::UdpSettings;
pub use dso::{PushCounters, PushCounts, PushLimits};
#[cfg(any(feature = "tls", feature = "https"))]
pub use encrypted::Handshake;
#[cfg(feature = "https")]
pub use encrypted::HttpsServer;
#[cfg(feature = "quic")]
pub use encrypted::QuicServer;
#[cfg(feature = "encrypted")]
pub use encrypted::{CertificateCounts, CertificateError, CertificateFiles, Certificates};
pub use encrypted::{EncryptedAddress, EncryptedLimits, EncryptedTransport, StreamLimits, TlsVersion};
pub use histogram::{DURATIONS, Histogram, HistogramCounts};
pub use hold::{HoldCounts, HoldLimits, WaitingRoom};
pub use listen::{BindError, Listener, bind, bind_datagram, bind_stream, reachable};
pub use memory::{OWN, StreamMemory};
pub use queries::{Asked, QueryCell, QueryCounters, QueryCounts, Replies};
pub use responder::{Pinned, Questions, Reply, Responder, Transport};
pub use tap::{Dnstap, DnstapAddress, QueryLog, Queue, Tap, TapCounter};
pub use tcp::{TcpLimits, TcpServer};
pub use tcp_counters::{TcpCounters, TcpCounts};
pub use udp::UdpServer;
pub use upstream::{Upstream, UpstreamCounts, UpstreamError, UpstreamLimits, UpstreamSlot};
