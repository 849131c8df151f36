//! From packets to packets: UDP on threads of its own, TCP on tokio, TLS over it, HTTPS and QUIC beside it, one
//! [`Responder`] behind all of them.
//!
//! Knows the zone and the wire, never the cluster. Imports `zone` and `wire`.

mod admission;
mod cores;
mod counters;
mod datagram;
mod encrypted;
mod listen;
mod responder;
mod socket;
#[cfg(test)]
mod socket_tests;
mod tcp;
mod udp;
mod upstream;

pub use admission::{ConnectionCounters, ConnectionCounts};
pub use counters::{UdpCounters, UdpCounts};
pub use datagram::UdpSettings;
#[cfg(any(feature = "https", feature = "quic"))]
pub use encrypted::Exchange;
#[cfg(any(feature = "tls", feature = "https"))]
pub use encrypted::Handshake;
#[cfg(feature = "https")]
pub use encrypted::HttpsServer;
#[cfg(feature = "quic")]
pub use encrypted::QuicServer;
#[cfg(feature = "encrypted")]
pub use encrypted::{CertificateCounts, CertificateError, CertificateFiles, Certificates};
pub use encrypted::{EncryptedAddress, EncryptedLimits, EncryptedTransport, StreamLimits, TlsVersion};
pub use listen::{BindError, Listener, bind, bind_datagram, bind_stream, reachable};
pub use responder::{Pinned, Reply, Responder, Transport};
pub use tcp::{TcpLimits, TcpServer};
pub use udp::UdpServer;
pub use upstream::{Upstream, UpstreamError, UpstreamLimits};
