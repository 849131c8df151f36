//! An authority of the test's own, and what it issues.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The name in the certificates.
pub(in crate::behaviour) const NAME: &str = "dns.example";

pub(in crate::behaviour) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key.
pub(in crate::behaviour) struct Issued {
    pub(in crate::behaviour) certificate: String,
    pub(in crate::behaviour) key: String,
    pub(in crate::behaviour) der: Vec<u8>,
}

impl Authority {
    pub(in crate::behaviour) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let signed = params.self_signed(&key).unwrap();
        let (root, pem) = (signed.der().clone(), signed.pem());
        Self { issuer: Issuer::new(params, key), root, pem }
    }

    /// Its own certificate, for files of authorities.
    pub(in crate::behaviour) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate with a serial number of its own, for the year 2070.
    pub(in crate::behaviour) fn issue(&self, serial: u64) -> Issued {
        self.issue_until(serial, 2070)
    }

    pub(in crate::behaviour) fn issue_until(&self, serial: u64, year: i32) -> Issued {
        self.issue_whole(&[NAME], serial, year)
    }

    /// A certificate for these names.
    pub(in crate::behaviour) fn issue_for(&self, names: &[&str]) -> Issued {
        self.issue_whole(names, 1, 2070)
    }

    fn issue_whole(&self, names: &[&str], serial: u64, year: i32) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.serial_number = Some(serial.into());
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }

    /// What a client that trusts it begins with.
    pub(in crate::behaviour) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        roots
    }

    /// How a client that trusts it greets, with these protocols.
    pub(in crate::behaviour) fn client(&self, protocols: &[&[u8]]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }
}

impl Issued {
    /// Puts the pair where the server looks for it.
    pub(in crate::behaviour) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("tls.crt"), &self.certificate).unwrap();
        std::fs::write(folder.join("tls.key"), &self.key).unwrap();
    }
}
