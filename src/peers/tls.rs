//! TLS to a server whose certificate is checked (RFC 8765, section 5; RFC 8310, the strict profile).

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::trouble::Trouble;

/// Whom a system trusts (Debian, Fedora, Alpine), and whom a pod does: the cluster's own authority.
const FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
];

/// How a handshake is made.
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the authorities of a file, in PEM; without one those of the system and of the pod's account.
    pub(super) fn new(authorities: Option<&Path>) -> Result<Self, Trouble> {
        let files: Vec<PathBuf> = match (authorities, std::env::var_os("SSL_CERT_FILE")) {
            (Some(file), _) => vec![file.to_owned()],
            (None, Some(file)) => vec![file.into()],
            (None, None) => FILES.iter().map(PathBuf::from).filter(|path| path.exists()).collect(),
        };
        let mut roots = RootCertStore::empty();
        for file in &files {
            let wrong = |error| Trouble::Tls(format!("{}: {error}", file.display()));
            let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect)
                .map_err(|error: rustls::pki_types::pem::Error| wrong(error.to_string()))?;
            let (good, _) = roots.add_parsable_certificates(certificates);
            if good == 0 && authorities.is_some() {
                return Err(wrong("holds no certificate".to_owned()));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // RFC 8310, section 7.2, and what RFC 8765, section 6.1, leaves as it is.
        config.alpn_protocols = vec![b"dot".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        address: IpAddr,
        name: Option<&str>,
        server: &str,
    ) -> Result<TlsStream<TcpStream>, Trouble> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned())
                .map_err(|_| Trouble::Tls(format!("{name} is no name that a certificate could have")))?,
            None => ServerName::from(address),
        };
        let trouble = |error| Trouble::Io { server: server.to_owned(), error };
        self.0.connect(name, stream).await.map_err(trouble)
    }
}
