//! The beginning of a connection over TLS: within its time, and with its place taken before.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::address::TlsVersion;
use super::certificates::Certificates;
use crate::server::admission::Guard;

/// Octets that a connection's TLS takes of replies which its client is not ready to take (rustls: 64 KiB).
const MOST_WRITTEN: usize = 16 << 10;

/// How connections of a transport over TLS begin.
#[derive(Clone)]
pub struct Handshake {
    acceptor: TlsAcceptor,
    patience: Duration,
}

impl Handshake {
    /// For DNS over TLS (RFC 7858), within this time.
    ///
    /// # Errors
    /// When the versions or the tickets are not to be had, which is a defect.
    #[cfg(feature = "tls")]
    pub fn of_tls(
        certificates: &Arc<Certificates>,
        least: TlsVersion,
        patience: Duration,
    ) -> Result<Self, rustls::Error> {
        Self::new(certificates, least, &[b"dot"], patience)
    }

    /// With these protocols.
    pub(super) fn new(
        certificates: &Arc<Certificates>,
        least: TlsVersion,
        protocols: &[&[u8]],
        patience: Duration,
    ) -> Result<Self, rustls::Error> {
        let config = certificates.config(least, protocols)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), patience })
    }

    /// Greets the client; None where that fails, or does not end in time or before the stop.
    pub(in crate::server) async fn perform(
        &self,
        stream: TcpStream,
        guard: &Guard,
        mut stop_rx: watch::Receiver<bool>,
    ) -> Option<TlsStream<TcpStream>> {
        let performed = tokio::select! {
            _ = stop_rx.wait_for(|stop| *stop) => return None,
            performed = timeout(self.patience, self.acceptor.accept(stream)) => performed,
        };
        match performed {
            Ok(Ok(mut stream)) => {
                stream.get_mut().1.set_buffer_limit(Some(MOST_WRITTEN));
                Some(stream)
            }
            Ok(Err(error)) => {
                debug!(client = %guard.client, %error, "no handshake");
                guard.count_failed_handshake();
                None
            }
            Err(_) => {
                debug!(client = %guard.client, "the handshake took too long");
                guard.count_failed_handshake();
                None
            }
        }
    }
}
