//! The encrypted transports: bound with the others, started behind them, each with its line.

use std::net::{SocketAddr, TcpListener, UdpSocket};
#[cfg(feature = "encrypted")]
use std::sync::Arc;

#[cfg(feature = "encrypted")]
use anyhow::Context as _;

use crate::admin::Metrics;
use crate::config::Config;
use crate::server::{
    EncryptedAddress, EncryptedTransport, StreamMemory, Tap, TcpCounters, TcpServer, UpstreamSlot,
    bind_datagram, bind_stream,
};
use crate::zone::Reader;

/// Sockets of encrypted transports, with the addresses that port 0 became.
#[derive(Default)]
pub(super) struct EncryptedListeners {
    /// As they are printed, in the order of the configuration.
    addresses: Vec<(EncryptedTransport, SocketAddr)>,
    tls: Vec<TcpListener>,
    https: Vec<(TcpListener, Box<str>)>,
    quic: Vec<UdpSocket>,
}

impl EncryptedListeners {
    /// Binds all of them.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let mut listeners = Self::default();
        for listen in &config.encrypted.listen {
            listeners.add(listen).map_err(super::servers::cannot_start)?;
        }
        Ok(listeners)
    }

    fn add(&mut self, listen: &EncryptedAddress) -> Result<(), crate::server::BindError> {
        let EncryptedAddress { transport, address, path } = listen;
        let bound = match transport {
            EncryptedTransport::Tls => {
                let (bound, listener) = bind_stream(*address, transport.name())?;
                self.tls.push(listener);
                bound
            }
            EncryptedTransport::Https => {
                let (bound, listener) = bind_stream(*address, transport.name())?;
                self.https.push((listener, path.clone()));
                bound
            }
            EncryptedTransport::Quic => {
                let (bound, socket) = bind_datagram(*address, transport.name())?;
                self.quic.push(socket);
                bound
            }
        };
        self.addresses.push((*transport, bound));
        Ok(())
    }

    /// What is bound.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (EncryptedTransport, SocketAddr)> {
        self.addresses.iter().copied()
    }
}

/// The encrypted transports, running; TLS is the TCP server's.
pub(super) struct EncryptedServers {
    #[cfg(feature = "https")]
    https: Option<crate::server::HttpsServer>,
    #[cfg(feature = "quic")]
    quic: Option<crate::server::QuicServer>,
    /// What is counted of each, by its name.
    counters: Vec<(&'static str, TcpCounters)>,
    /// Where they are listened on, for who asks about their certificate.
    #[cfg(feature = "encrypted")]
    listeners: Vec<(EncryptedTransport, SocketAddr)>,
    /// The certificate that they share, and the task that follows it.
    #[cfg(feature = "encrypted")]
    following: Option<(Arc<crate::server::Certificates>, tokio::task::JoinHandle<()>)>,
}

#[cfg(not(feature = "encrypted"))]
impl EncryptedServers {
    pub(super) fn start(
        _: &Config,
        _: EncryptedListeners,
        _: &mut TcpServer,
        _: &Reader,
        _: &UpstreamSlot,
        _: &Tap,
        _: &StreamMemory,
    ) -> anyhow::Result<Self> {
        // The configuration has refused every address that would need one.
        Ok(Self { counters: Vec::new() })
    }

    pub(super) fn tell_certificate(&self, _: &Metrics) {}

    pub(super) async fn stop(self) {}
}

impl EncryptedServers {
    /// What is counted of each of them that is listened on, by its name.
    pub(super) fn counters(&self) -> &[(&'static str, TcpCounters)] {
        &self.counters
    }
}

#[cfg(feature = "encrypted")]
impl EncryptedServers {
    /// Starts those that are listened on.
    #[cfg_attr(
        not(all(feature = "tls", feature = "https", feature = "quic")),
        allow(unused_variables, reason = "each transport takes its own")
    )]
    pub(super) fn start(
        config: &Config,
        listeners: EncryptedListeners,
        tcp: &mut TcpServer,
        reader: &Reader,
        upstream: &UpstreamSlot,
        tap: &Tap,
        memory: &StreamMemory,
    ) -> anyhow::Result<Self> {
        use crate::server::{CertificateFiles, Certificates};

        let encrypted = &config.encrypted;
        let certificate = encrypted.certificate.as_ref().filter(|_| !listeners.addresses.is_empty());
        let Some((certificate, key)) = certificate else { return Ok(Self::none()) };
        let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
        let certificates = Certificates::load(files).context("cannot serve the certificate")?;
        let mut servers = Self::none();
        #[cfg(feature = "tls")]
        if !listeners.tls.is_empty() {
            let (least, patience) = (encrypted.min_version, encrypted.limits.handshake);
            let handshake = crate::server::Handshake::of_tls(&certificates, least, patience);
            let counters = tcp.accept_tls(listeners.tls, handshake.context("cannot set up TLS")?);
            servers.counters.push(("tls", counters.context("cannot serve TLS")?));
        }
        #[cfg(feature = "https")]
        if !listeners.https.is_empty() {
            let server = crate::server::HttpsServer::start(
                listeners.https,
                (&certificates, encrypted.min_version),
                reader,
                upstream,
                tap,
                encrypted.limits,
                memory,
            );
            let server = server.context("cannot serve HTTPS")?;
            servers.counters.push(("https", server.counters()));
            servers.https = Some(server);
        }
        #[cfg(feature = "quic")]
        if !listeners.quic.is_empty() {
            let server = crate::server::QuicServer::start(
                listeners.quic,
                &certificates,
                reader,
                upstream,
                tap,
                encrypted.limits,
                memory,
            );
            let server = server.context("cannot serve QUIC")?;
            servers.counters.push(("quic", server.counters()));
            servers.quic = Some(server);
        }
        servers.listeners = listeners.addresses;
        let task = tokio::spawn(Arc::clone(&certificates).follow(encrypted.reload));
        servers.following = Some((certificates, task));
        Ok(servers)
    }

    fn none() -> Self {
        Self {
            #[cfg(feature = "https")]
            https: None,
            #[cfg(feature = "quic")]
            quic: None,
            counters: Vec::new(),
            listeners: Vec::new(),
            following: None,
        }
    }

    /// Tells of the certificate from now on: of each listener, for alerts name where they look.
    pub(super) fn tell_certificate(&self, metrics: &Metrics) {
        let Some((certificates, _)) = &self.following else { return };
        let certificates = Arc::clone(certificates);
        let listeners: Vec<String> =
            self.listeners.iter().map(|(transport, address)| format!("{transport}://{address}")).collect();
        metrics.tell("certificate", move |page| {
            let counts = certificates.counts();
            page.gauge(
                "rollcall_certificate_expiry_timestamp_seconds",
                "When the certificate of an encrypted transport ends; 0 where it does not say.",
                listeners.iter().map(|listener| (vec![("listener", listener.as_str())], counts.expires)),
            );
            page.counter(
                "rollcall_certificate_reloads",
                "New certificates on disk that were taken, or refused while the one before went on.",
                [
                    (vec![("result", "success")], counts.reloads),
                    (vec![("result", "failure")], counts.refused),
                ],
            );
        });
    }

    /// Ends them, each as its clients can take it.
    pub(super) async fn stop(self) {
        #[cfg(feature = "https")]
        let https = async {
            if let Some(https) = self.https {
                https.stop().await;
            }
        };
        #[cfg(not(feature = "https"))]
        let https = async {};
        #[cfg(feature = "quic")]
        let quic = async {
            if let Some(quic) = self.quic {
                quic.stop().await;
            }
        };
        #[cfg(not(feature = "quic"))]
        let quic = async {};
        tokio::join!(https, quic);
        if let Some((_, task)) = self.following {
            task.abort();
        }
    }
}
