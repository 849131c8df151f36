//! Where an encrypted transport is listened on, and what its clients may hold. Known without any of the features, so
//! that a configuration that names a transport which is not built in is told so.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The path of DNS over HTTPS where none is named: that of the examples of RFC 8484, which clients ask by default.
const PATH: &str = "/dns-query";

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptedTransport {
    /// RFC 7858.
    Tls,
    /// RFC 8484.
    Https,
    /// RFC 9250.
    Quic,
}

impl EncryptedTransport {
    const ALL: [Self; 3] = [Self::Tls, Self::Https, Self::Quic];

    /// Its scheme in a listen address, and its cargo feature.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }

    /// The port where none is named.
    fn port(self) -> u16 {
        match self {
            Self::Tls | Self::Quic => 853,
            Self::Https => 443,
        }
    }

    /// Whether this program was built with it.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Tls => cfg!(feature = "tls"),
            Self::Https => cfg!(feature = "https"),
            Self::Quic => cfg!(feature = "quic"),
        }
    }
}

impl fmt::Display for EncryptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `tls://127.0.0.1:853`, `https://[::1]/dns-query`, `quic://0.0.0.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedAddress {
    /// Which transport.
    pub transport: EncryptedTransport,
    /// Where.
    pub address: SocketAddr,
    /// The path of HTTPS, empty for the others.
    pub path: Box<str>,
}

impl EncryptedAddress {
    /// Whether a listen address is for one of these transports: it has a scheme.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains("://")
    }
}

impl FromStr for EncryptedAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let known = EncryptedTransport::ALL.into_iter().find(|transport| transport.name() == scheme);
        let Some(transport) = known else {
            return Err(format!(
                "`{text}`: listen addresses begin with tls://, https:// or quic://, or with the address itself (UDP and TCP)"
            ));
        };
        if !transport.is_built_in() {
            return Err(format!(
                "`{text}`: this rollcall was built without {transport} (cargo feature `{transport}`)"
            ));
        }
        let (address, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let path = match (transport, path) {
            (EncryptedTransport::Https, "" | "/") => PATH,
            (EncryptedTransport::Https, path) if path.bytes().all(is_of_path) => path,
            (EncryptedTransport::Tls | EncryptedTransport::Quic, "") => "",
            _ => return Err(format!("`{text}`: `{path}` cannot be the path of {transport}")),
        };
        let bare = address.trim_matches(['[', ']']).parse::<IpAddr>();
        let address = address.parse().or(bare.map(|ip| SocketAddr::new(ip, transport.port()))).map_err(|_| {
            format!("`{text}`: `{address}` is not an address and port ({transport}://127.0.0.1:{}, {transport}://[::1])", transport.port())
        })?;
        Ok(Self { transport, address, path: path.into() })
    }
}

/// What needs no percent-encoding in a path (RFC 3986, section 3.3).
fn is_of_path(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&octet)
}

/// The least version of TLS that clients may speak. QUIC is TLS 1.3 (RFC 9001, section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What clients of the encrypted transports may hold; those of TLS have the limits of TCP besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedLimits {
    /// How long a handshake may take.
    pub handshake: Duration,
    /// Octets of a question over HTTPS or QUIC.
    pub question: usize,
    /// Of HTTPS.
    pub https: StreamLimits,
    /// Of QUIC.
    pub quic: StreamLimits,
}

/// What clients of HTTPS or QUIC may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections at one time.
    pub connections: usize,
    /// The same for one client.
    pub per_client: usize,
    /// Questions at one time on a connection.
    pub streams: u32,
    /// How long a connection may be silent, or leave a reply unread, and a question be unfinished.
    pub idle: Duration,
}

#[cfg(test)]
#[cfg(all(feature = "tls", feature = "https", feature = "quic"))]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let EncryptedAddress { transport, address, path } = text.parse()?;
        Ok(format!("{transport} {address} {path}"))
    }

    #[test]
    fn addresses_have_their_ports_and_paths() {
        for (text, expected) in [
            ("tls://127.0.0.1", "tls 127.0.0.1:853 "),
            ("tls://127.0.0.1:0", "tls 127.0.0.1:0 "),
            ("tls://[::1]:8853", "tls [::1]:8853 "),
            ("tls://[::]", "tls [::]:853 "),
            ("tls://::1", "tls [::1]:853 "),
            ("https://10.0.0.1", "https 10.0.0.1:443 /dns-query"),
            ("https://10.0.0.1/", "https 10.0.0.1:443 /dns-query"),
            ("https://10.0.0.1:8443/a/b", "https 10.0.0.1:8443 /a/b"),
            ("quic://[fd00::1]", "quic [fd00::1]:853 "),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("udp://127.0.0.1", "begin with tls://"),
            ("tls://localhost:853", "`localhost:853` is not an address"),
            ("tls://127.0.0.1/path", "cannot be the path of tls"),
            ("https://127.0.0.1/a?b", "cannot be the path"),
            ("https://127.0.0.1/a b", "cannot be the path"),
            ("quic://127.0.0.1:70000", "not an address and port"),
            ("quic://", "not an address and port"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(word) && error.contains(text), "{text}: {error}");
        }
    }
}
