//! The encrypted transports: DNS over TLS (RFC 7858), HTTPS (RFC 8484) and QUIC (RFC 9250), each a cargo feature, behind
//! certificates that are followed on disk.
//!
//! TLS is the TCP loop of this layer behind a [`Handshake`]; HTTPS is hyper's, QUIC is quinn's, over an [`Exchange`] of
//! octets for octets. hickory-server carries the two as well, and was rejected: see docs/encrypted.md.

mod address;
#[cfg(feature = "encrypted")]
mod certificates;
#[cfg(any(feature = "https", feature = "quic"))]
mod exchange;
#[cfg(any(feature = "tls", feature = "https"))]
mod handshake;
#[cfg(feature = "https")]
mod https;
#[cfg(feature = "quic")]
mod quic;
#[cfg(feature = "https")]
mod request;
#[cfg(feature = "encrypted")]
mod validity;

pub use address::{EncryptedAddress, EncryptedLimits, EncryptedTransport, StreamLimits, TlsVersion};
#[cfg(feature = "encrypted")]
pub use certificates::{CertificateCounts, CertificateError, CertificateFiles, Certificates};
#[cfg(any(feature = "tls", feature = "https"))]
pub use handshake::Handshake;
#[cfg(feature = "https")]
pub use https::HttpsServer;
#[cfg(feature = "quic")]
pub use quic::QuicServer;
