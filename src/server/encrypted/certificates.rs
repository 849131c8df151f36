//! The certificate of the encrypted transports, followed on disk and replaced for new connections while old ones go on.
//!
//! The files are read and compared, not watched: a Secret's volume swaps a symbolic link two folders up, others write
//! into the file, and reading two small files costs nothing.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tracing::{error, info, warn};

use super::address::TlsVersion;
use super::validity::not_after;

/// Where the certificate is, in PEM (RFC 7468).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The server's certificate, then those that signed it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should, in PEM.
    #[error("{} holds no {wanted} in PEM", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// A certificate, or a private key.
        wanted: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The key is not the certificate's, or one of them is none that we know.
    #[error("{} and {} are no certificate and its key", certificate.display(), key.display())]
    Pair {
        /// The one.
        certificate: PathBuf,
        /// The other.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A new certificate that is past its end replaces nothing.
    #[error("{} has expired {} s ago", path.display(), ago.as_secs())]
    Expired {
        /// Which.
        path: PathBuf,
        /// For how long.
        ago: Duration,
    },
}

/// What happened to the certificate since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateCounts {
    /// When the one that is served ends, in seconds since 1970; 0 where it does not say.
    pub expires: u64,
    /// New ones taken.
    pub reloads: u64,
    /// New ones that could not be served, the one before going on.
    pub refused: u64,
}

/// The certificate that is served just now.
pub struct Certificates {
    served: ArcSwap<CertifiedKey>,
    provider: Arc<CryptoProvider>,
    files: CertificateFiles,
    /// What of the files was read at the start.
    seen: u64,
    expires: AtomicU64,
    reloads: AtomicU64,
    refused: AtomicU64,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    /// The same for every name that a client asks for: names within clusters are many, and clients of DNS often know an
    /// address alone.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served.load_full())
    }
}

/// The two files, as they were read.
struct Read {
    certificate: io::Result<Vec<u8>>,
    key: io::Result<Vec<u8>>,
}

impl Read {
    fn of(files: &CertificateFiles) -> Self {
        Self { certificate: std::fs::read(&files.certificate), key: std::fs::read(&files.key) }
    }

    /// Tells readings apart, without a second copy of the key in memory.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in [&self.certificate, &self.key] {
            match file {
                Ok(octets) => octets.hash(&mut hasher),
                Err(error) => error.kind().hash(&mut hasher),
            }
        }
        hasher.finish()
    }

    fn pair(
        self,
        files: &CertificateFiles,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, CertificateError> {
        let unread = |path: &Path| {
            let path = path.to_owned();
            move |source| CertificateError::Read { path, source }
        };
        let no_pem = |path: &Path, wanted| {
            let path = path.to_owned();
            move |source| CertificateError::Pem { path, wanted, source }
        };
        let chain = self.certificate.map_err(unread(&files.certificate))?;
        let key = self.key.map_err(unread(&files.key))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let chain =
            chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let chain = chain.map_err(no_pem(&files.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(no_pem(&files.key, "private key"))?;
        // Compares the two: a key that is another certificate's is found here, not by the clients.
        CertifiedKey::from_der(chain, key, provider).map_err(|source| CertificateError::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        })
    }
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// When they hold no certificate and its key. One that has expired is served all the same, with a warning: clients
    /// that do not look are answered, and there is no better one.
    pub fn load(files: CertificateFiles) -> Result<Arc<Self>, CertificateError> {
        let provider = Arc::new(ring::default_provider());
        let read = Read::of(&files);
        let seen = read.fingerprint();
        let pair = read.pair(&files, &provider)?;
        let expires = expiry(&pair);
        if let Some(ago) = since(expires, now()) {
            warn!("the certificate {} has expired {} s ago", files.certificate.display(), ago.as_secs());
        }
        Ok(Arc::new(Self {
            served: ArcSwap::from_pointee(pair),
            provider,
            files,
            seen,
            expires: AtomicU64::new(expires),
            reloads: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> CertificateCounts {
        CertificateCounts {
            expires: self.expires.load(Ordering::Relaxed),
            reloads: self.reloads.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Looks at the files again and again, for ever.
    pub async fn follow(self: Arc<Self>, every: Duration) {
        let mut follower = Follower { served: self.seen, ..Follower::default() };
        loop {
            tokio::time::sleep(every).await;
            let certificates = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                follower.look(&certificates, now());
                follower
            });
            match looked.await {
                Ok(back) => follower = back,
                // A defect of ours that costs the following, never the serving.
                Err(panicked) => {
                    error!(%panicked, "the certificate is not followed any longer: a restart follows it again");
                    return;
                }
            }
        }
    }

    /// How a transport greets: with this certificate, these versions and these protocols (RFC 7301).
    ///
    /// # Errors
    /// When the versions or the tickets are not to be had, which is a defect.
    pub(super) fn config(
        self: &Arc<Self>,
        least: TlsVersion,
        protocols: &[&[u8]],
    ) -> Result<ServerConfig, rustls::Error> {
        let versions: &[&SupportedProtocolVersion] = match least {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // A client that comes back is known by its ticket: no signature, and no memory of ours. Early data stays off
        // (its bound is 0): it can be played again (RFC 8446, appendix E.5; RFC 9250, section 4.5).
        config.ticketer = ring::Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }
}

/// What was seen of the files, by fingerprint.
#[derive(Default)]
struct Follower {
    /// As they are served.
    served: u64,
    /// Could not be served when it was seen first: it may be half of a change.
    doubted: Option<u64>,
    /// Was refused, which is said once.
    refused: Option<u64>,
    /// It was refused by the clock, which may be set right.
    is_expired: bool,
}

impl Follower {
    fn look(&mut self, certificates: &Certificates, now: u64) {
        let read = Read::of(&certificates.files);
        let seen = read.fingerprint();
        if seen == self.served || (self.refused == Some(seen) && !self.is_expired) {
            self.doubted = None;
            return;
        }
        let pair = read.pair(&certificates.files, &certificates.provider);
        let pair = pair.and_then(|pair| match since(expiry(&pair), now) {
            Some(ago) => Err(CertificateError::Expired { path: certificates.files.certificate.clone(), ago }),
            None => Ok(pair),
        });
        match pair {
            Ok(pair) => {
                let expires = expiry(&pair);
                certificates.served.store(Arc::new(pair));
                certificates.expires.store(expires, Ordering::Relaxed);
                certificates.reloads.fetch_add(1, Ordering::Relaxed);
                *self = Self { served: seen, ..Self::default() };
                let days = expires.saturating_sub(now) / (24 * 60 * 60);
                info!(days, "a new certificate is served to new connections; it ends in so many days");
            }
            Err(_) if self.refused == Some(seen) => {}
            // The files are two: between their changes they do not fit together.
            Err(_) if self.doubted != Some(seen) => self.doubted = Some(seen),
            Err(error) => {
                (self.doubted, self.refused) = (None, Some(seen));
                self.is_expired = matches!(error, CertificateError::Expired { .. });
                certificates.refused.fetch_add(1, Ordering::Relaxed);
                let error: &dyn std::error::Error = &error;
                warn!(error, "the new certificate is not served, the one before stays");
            }
        }
    }
}

/// When the server's own certificate ends; 0 where it does not say.
fn expiry(pair: &CertifiedKey) -> u64 {
    pair.cert.first().and_then(|certificate| not_after(certificate)).unwrap_or(0)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// For how long it has been over.
fn since(expires: u64, now: u64) -> Option<Duration> {
    (expires > 0).then(|| now.checked_sub(expires)).flatten().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Made {
        certificate: String,
        key: String,
    }

    fn mk_pair(end: i32) -> Made {
        let mut params = rcgen::CertificateParams::new(vec!["dns.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(end, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        Made { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    fn mk_files(folder: &Path) -> CertificateFiles {
        CertificateFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
    }

    fn write(files: &CertificateFiles, certificate: &str, key: &str) {
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
    }

    #[test]
    fn a_new_pair_is_taken_and_a_bad_one_is_refused_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        let (old, new, expired) = (mk_pair(2070), mk_pair(2080), mk_pair(2010));
        write(&files, &old.certificate, &old.key);
        let certificates = Certificates::load(files.clone()).unwrap();
        let served = || certificates.served.load().cert[0].clone();
        let first = served();
        let mut follower = Follower { served: certificates.seen, ..Follower::default() };
        let mut look = |times: usize| {
            (0..times).for_each(|_| follower.look(&certificates, now()));
            let counts = certificates.counts();
            (counts.reloads, counts.refused)
        };
        assert_eq!(look(3), (0, 0), "nothing changed");
        assert_eq!(certificates.counts().expires, 3_155_760_000);
        // Half of a change, then the whole of it.
        write(&files, &new.certificate, &old.key);
        assert_eq!((look(1), served()), ((0, 0), first.clone()));
        write(&files, &new.certificate, &new.key);
        assert_eq!(look(1), (1, 0));
        let second = served();
        assert_ne!(first, second);
        assert_eq!(certificates.counts().expires, 3_471_292_800);
        // Pairs that stay bad.
        for (number, (certificate, key)) in [
            (&old.certificate, &new.key),
            (&new.certificate, &old.key),
            (&new.key, &new.key),
            (&new.certificate, &new.certificate),
            (&String::new(), &String::new()),
            (&expired.certificate, &expired.key),
        ]
        .into_iter()
        .enumerate()
        {
            write(&files, certificate, key);
            assert_eq!(look(5), (1, 1 + number as u64), "{certificate}{key}");
            assert_eq!(served(), second);
        }
        std::fs::remove_file(&files.key).unwrap();
        assert_eq!(look(5), (1, 7));
        // What was there before is no news; what was refused may be mended.
        write(&files, &new.certificate, &new.key);
        assert_eq!(look(2), (1, 7));
        write(&files, &old.certificate, &old.key);
        assert_eq!((look(1), served()), ((2, 7), first));
    }

    #[test]
    fn one_that_was_refused_by_a_wrong_clock_is_served_once_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        let (old, new) = (mk_pair(2070), mk_pair(2080));
        write(&files, &old.certificate, &old.key);
        let certificates = Certificates::load(files.clone()).unwrap();
        let mut follower = Follower { served: certificates.seen, ..Follower::default() };
        write(&files, &new.certificate, &new.key);
        let wrong = certificates.counts().expires * 2;
        (0..5).for_each(|_| follower.look(&certificates, wrong));
        assert_eq!((certificates.counts().reloads, certificates.counts().refused), (0, 1), "said once");
        follower.look(&certificates, now());
        assert_eq!((certificates.counts().reloads, certificates.counts().refused), (1, 1));
        assert_eq!(certificates.counts().expires, 3_471_292_800);
    }

    #[test]
    fn the_errors_name_the_file_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        let (one, other) = (mk_pair(2070), mk_pair(2070));
        let expect = |words: &str| {
            let error = Certificates::load(files.clone()).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let said = format!("{error}: {source}").to_lowercase();
            assert!(said.contains(words), "{said}");
        };
        expect("cannot read");
        write(&files, &one.certificate, &other.key);
        expect("tls.key are no certificate and its key: keys may not be consistent");
        write(&files, "", &one.key);
        expect("tls.crt holds no certificate in pem");
        write(&files, &one.certificate, &one.certificate);
        expect("tls.key holds no private key in pem");
        let expired = mk_pair(2010);
        write(&files, &expired.certificate, &expired.key);
        assert_eq!(
            Certificates::load(files.clone()).unwrap().counts().expires,
            1_262_304_000,
            "served with a warning"
        );
    }

    #[test]
    fn what_every_transport_promises() {
        let folder = tempfile::tempdir().unwrap();
        let files = mk_files(folder.path());
        let made = mk_pair(2070);
        write(&files, &made.certificate, &made.key);
        let certificates = Certificates::load(files).unwrap();
        let config = certificates.config(TlsVersion::Tls13, &[b"doq"]).unwrap();
        assert_eq!(config.max_early_data_size, 0, "no early data");
        assert!(config.ticketer.enabled());
        assert_eq!(config.alpn_protocols, [b"doq".to_vec()]);
    }
}
