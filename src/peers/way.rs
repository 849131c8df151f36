//! The ways to learn of peers, and the servers to learn from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::place::DNS_PORT;

/// The port of DNS over TLS, and of DNS Push Notifications (RFC 7858, section 3.1; RFC 8765, section 6.1).
const TLS_PORT: u16 = 853;

/// How peers are learned, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// The server says each change as it comes (RFC 8765).
    Push,
    /// A connection that stays asks for the zone's serial, and for records when it has moved.
    Serial,
    /// The same by single questions over UDP.
    Poll,
}

impl Way {
    /// One word, as in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Serial => "serial",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Questions over TCP and UDP; push where the zone says that there is a server of it over TLS.
    Plain,
    /// Push over TCP: on loopback and within a pod's own network.
    PushTcp,
    /// Push over TLS.
    Tls,
}

/// A server to ask.
///
/// Reads as `ADDRESS`, `ADDRESS:PORT`, `push+tcp://ADDRESS[:PORT]` or `tls://ADDRESS[:PORT][#NAME]`, where NAME is what
/// the certificate is for; without it the certificate has to be for the address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it speaks.
    pub transport: Transport,
    /// Whom its certificate has to name.
    pub name: Option<String>,
}

/// What was given as a server is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no server: ADDRESS[:PORT], push+tcp://ADDRESS[:PORT] or tls://ADDRESS[:PORT][#NAME], with an IP address"
)]
pub struct ServerError(String);

impl From<SocketAddr> for Server {
    fn from(address: SocketAddr) -> Self {
        Self { address, transport: Transport::Plain, name: None }
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let wrong = || ServerError(text.to_owned());
        let (transport, rest, port) = if let Some(rest) = text.strip_prefix("tls://") {
            (Transport::Tls, rest, TLS_PORT)
        } else if let Some(rest) = text.strip_prefix("push+tcp://") {
            (Transport::PushTcp, rest, DNS_PORT)
        } else {
            (Transport::Plain, text, DNS_PORT)
        };
        let (rest, name) = match rest.split_once('#') {
            Some((rest, name)) if transport == Transport::Tls && !name.is_empty() => {
                (rest, Some(name.to_owned()))
            }
            Some(_) => return Err(wrong()),
            None => (rest, None),
        };
        let bare = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(rest);
        let address = match bare.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, port),
            Err(_) => rest.parse().map_err(|_| wrong())?,
        };
        Ok(Self { address, transport, name })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Plain => {}
            Transport::PushTcp => f.write_str("push+tcp://")?,
            Transport::Tls => f.write_str("tls://")?,
        }
        write!(f, "{}", self.address)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, "#{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_they_are_written() {
        for (text, written) in [
            ("10.96.0.10", "10.96.0.10:53"),
            ("10.96.0.10:5300", "10.96.0.10:5300"),
            ("fd00::a", "[fd00::a]:53"),
            ("[fd00::a]", "[fd00::a]:53"),
            ("[fd00::a]:5300", "[fd00::a]:5300"),
            ("tls://10.96.0.10", "tls://10.96.0.10:853"),
            ("tls://[fd00::a]:8853#ns.dns.cluster.local", "tls://[fd00::a]:8853#ns.dns.cluster.local"),
            ("push+tcp://127.0.0.1:5300", "push+tcp://127.0.0.1:5300"),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!(server.to_string(), written);
            assert_eq!(written.parse(), Ok(server));
        }
        for text in ["", "dns", "https://1.1.1.1", "10.0.0.1:x", "10.0.0.1#name", "tls://10.0.0.1#", "tls://"]
        {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }
}
