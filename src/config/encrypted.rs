//! The encrypted transports: their listen addresses, `[tls]` and their limits.

use std::path::PathBuf;
use std::time::Duration;

use super::resolve::Resolver;
use super::typed::{TypedLimits, TypedTls};
use crate::server::{EncryptedAddress, EncryptedLimits, EncryptedTransport, StreamLimits, TlsVersion};

/// What is to be known of the encrypted transports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// Where each is listened on; none by default.
    pub listen: Vec<EncryptedAddress>,
    /// The certificate and its key; both are there where something is listened on.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The least version of TLS.
    pub min_version: TlsVersion,
    /// How often the certificate is looked at for a change.
    pub reload: Duration,
    /// What clients may hold.
    pub limits: EncryptedLimits,
}

impl Encrypted {
    /// Whether TLS is listened on.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.listen.iter().any(|listen| listen.transport == EncryptedTransport::Tls)
    }
}

impl Resolver {
    pub(super) fn encrypted(&mut self, listen: &[String], tls: &TypedTls, limits: &TypedLimits) -> Encrypted {
        let certificate = match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) if listen.is_empty() => None,
            (certificate, _) => {
                let (key, other) = if certificate.is_none() {
                    ("tls.certificate", "the file with the certificate")
                } else {
                    ("tls.key", "the file with the key")
                };
                self.say(key, format!("is not given: TLS, HTTPS and QUIC need {other} (PEM)"));
                None
            }
        };
        let seconds = |number| Duration::from_secs(number);
        Encrypted {
            listen: self.all("listen", listen, str::parse),
            certificate,
            min_version: self.choice(
                "tls.min_version",
                tls.min_version.clone(),
                &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)],
            ),
            reload: seconds(self.number("tls.reload", tls.reload)),
            limits: EncryptedLimits {
                handshake: seconds(self.number("limits.tls_handshake", limits.tls_handshake)),
                question: self.number("limits.encrypted_question", limits.encrypted_question),
                https: StreamLimits {
                    connections: self.number("limits.https_connections", limits.https_connections),
                    per_client: self
                        .number("limits.https_connections_per_client", limits.https_connections_per_client),
                    streams: self.number("limits.https_streams", limits.https_streams),
                    idle: seconds(self.number("limits.https_idle", limits.https_idle)),
                },
                quic: StreamLimits {
                    connections: self.number("limits.quic_connections", limits.quic_connections),
                    per_client: self
                        .number("limits.quic_connections_per_client", limits.quic_connections_per_client),
                    streams: self.number("limits.quic_streams", limits.quic_streams),
                    idle: seconds(self.number("limits.quic_idle", limits.quic_idle)),
                },
            },
        }
    }
}

#[cfg(test)]
#[cfg(all(feature = "tls", feature = "https", feature = "quic"))]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigError};

    fn resolve(text: &str) -> Result<Config, ConfigError> {
        Config::resolve(toml::from_str(text).unwrap())
    }

    #[test]
    fn plain_and_encrypted_addresses_stand_in_one_list() {
        let text = "listen = ['127.0.0.1', 'tls://127.0.0.1', 'https://[::1]/q', 'quic://127.0.0.1:0']\n\
                    [tls]\ncertificate = 'c'\nkey = 'k'\nmin_version = '1.3'\n[limits]\nquic_idle = 7\n";
        let config = resolve(text).unwrap();
        assert_eq!(config.listen.len(), 1);
        let encrypted = config.encrypted;
        let listen: Vec<String> =
            encrypted.listen.iter().map(|a| format!("{} {}{}", a.transport, a.address, a.path)).collect();
        assert_eq!(listen, ["tls 127.0.0.1:853", "https [::1]:443/q", "quic 127.0.0.1:0"]);
        assert_eq!(encrypted.certificate, Some(("c".into(), "k".into())));
        assert_eq!(encrypted.min_version, TlsVersion::Tls13);
        assert_eq!(encrypted.limits.quic.idle, Duration::from_secs(7));
        // Encrypted ones alone will do.
        let alone = resolve("listen = ['tls://127.0.0.1']\n[tls]\ncertificate = 'c'\nkey = 'k'\n").unwrap();
        assert_eq!((alone.listen.len(), alone.encrypted.listen.len()), (0, 1));
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_by_key() {
        let keys = |text: &str| -> Vec<String> {
            let ConfigError::Invalid(problems) = resolve(text).unwrap_err() else { panic!("another error") };
            problems.into_iter().map(|problem| problem.key).collect()
        };
        assert_eq!(keys("listen = ['tls://127.0.0.1']"), ["tls.certificate"]);
        assert_eq!(keys("[tls]\ncertificate = 'c'"), ["tls.key"]);
        assert_eq!(keys("[tls]\nkey = 'c'"), ["tls.certificate"]);
        assert_eq!(keys("[tls]\nmin_version = '1.1'"), ["tls.min_version"]);
        assert_eq!(
            keys("listen = ['dot://127.0.0.1', 'quic://x']\n[tls]\ncertificate = 'c'\nkey = 'k'"),
            ["listen", "listen"]
        );
    }
}
