//! Questions, and how they reach a server: over UDP as a stub resolver sends them, and over one TCP
//! connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::reply::Reply;

/// Longer than CoreDNS's `forward` may take over an upstream that is silent.
const REPLY: Duration = Duration::from_secs(8);
/// Datagrams may be lost, on loopback when a buffer is full.
const TRIES: usize = 3;

/// What is asked, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// In the spelling that is sent, without the final dot.
    pub(super) name: String,
    pub(super) rtype: Rtype,
    /// The UDP size announced by EDNS.
    pub(super) edns: Option<u16>,
    pub(super) recursion: bool,
    /// Over TCP too, cut short or not.
    pub(super) tcp: bool,
}

/// A type, by its name.
pub(super) type Rtype = &'static str;

const TYPES: [(Rtype, u16); 16] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("NAPTR", 35),
    ("DS", 43),
    ("DNSKEY", 48),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("ANY", 255),
    ("CAA", 257),
];

impl Question {
    /// As most resolvers ask.
    pub(super) fn plain(name: &str, rtype: Rtype) -> Self {
        Self { name: name.into(), rtype, edns: Some(1232), recursion: true, tcp: false }
    }

    /// The size that a UDP reply may have.
    pub(super) fn limit(&self) -> usize {
        self.edns.map_or(512, |size| usize::from(size.max(512)))
    }

    /// The labels in lower case, from the left.
    pub(super) fn labels(&self) -> Vec<String> {
        let labels = self.name.split('.').filter(|label| !label.is_empty());
        labels.map(str::to_ascii_lowercase).collect()
    }

    /// As dig is told it.
    pub(super) fn dig(&self) -> String {
        let edns = self.edns.map_or("+noedns".to_string(), |size| format!("+bufsize={size}"));
        let recursion = if self.recursion { "+rec" } else { "+norec" };
        format!(
            "dig {} {} {edns} {recursion}",
            if self.name.is_empty() { "." } else { &self.name },
            self.rtype
        )
    }

    fn message(&self, id: u16) -> Vec<u8> {
        let mut message = id.to_be_bytes().to_vec();
        message.extend([u8::from(self.recursion), 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.edns.is_some())]);
        for label in self.name.split('.').filter(|label| !label.is_empty()) {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.as_bytes());
        }
        let number = TYPES.iter().find(|(name, _)| *name == self.rtype).unwrap().1;
        message.push(0);
        message.extend(number.to_be_bytes());
        message.extend([0, 1]);
        if let Some(size) = self.edns {
            message.extend([0, 0, 41]);
            message.extend(size.to_be_bytes());
            message.extend([0; 6]);
        }
        message
    }
}

/// A client of one server.
pub(super) struct Client {
    server: SocketAddr,
    udp: UdpSocket,
    tcp: Option<TcpStream>,
    id: u16,
}

impl Client {
    pub(super) fn new(server: SocketAddr) -> Self {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        udp.connect(server).unwrap();
        udp.set_read_timeout(Some(REPLY)).unwrap();
        Self { server, udp, tcp: None, id: 0 }
    }

    pub(super) fn ask_udp(&mut self, question: &Question) -> Reply {
        for _ in 0..TRIES {
            self.id = self.id.wrapping_add(1);
            self.udp.send(&question.message(self.id)).unwrap();
            if let Some(bytes) = self.receive_udp() {
                return self.read(question, &bytes);
            }
        }
        panic!("{} @{}: no reply over UDP in {TRIES} tries", question.dig(), self.server);
    }

    /// The reply to the last question; None when none comes.
    fn receive_udp(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        loop {
            match self.udp.recv(&mut buffer) {
                // A late reply to an earlier try.
                Ok(size) if size < 12 || buffer[..2] != self.id.to_be_bytes() => {}
                Ok(size) => return Some(buffer[..size].to_vec()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(error) => panic!("@{}: {error}", self.server),
            }
        }
    }

    pub(super) fn ask_tcp(&mut self, question: &Question) -> Reply {
        self.id = self.id.wrapping_add(1);
        let message = question.message(self.id);
        // A connection that has been idle may be closed by the server at any time: once more over a new one.
        let kept = self.tcp.take().map(|stream| self.exchange_tcp(stream, &message));
        let bytes = match kept {
            Some(Ok(bytes)) => bytes,
            Some(Err(_)) | None => {
                let stream = TcpStream::connect_timeout(&self.server, REPLY).unwrap();
                stream.set_read_timeout(Some(REPLY)).unwrap();
                stream.set_nodelay(true).unwrap();
                let bytes = self.exchange_tcp(stream, &message);
                bytes.unwrap_or_else(|error| panic!("{} +tcp @{}: {error}", question.dig(), self.server))
            }
        };
        self.read(question, &bytes)
    }

    fn exchange_tcp(&mut self, mut stream: TcpStream, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(message);
        stream.write_all(&framed)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut bytes)?;
        self.tcp = Some(stream);
        Ok(bytes)
    }

    fn read(&self, question: &Question, bytes: &[u8]) -> Reply {
        let reply = Reply::read(bytes);
        reply.unwrap_or_else(|error| {
            panic!("{} @{}: a reply that cannot be read: {error}", question.dig(), self.server)
        })
    }
}
