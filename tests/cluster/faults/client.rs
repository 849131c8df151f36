//! One client: a UDP socket and a TCP connection, each question sent when the last one is answered.
//!
//! Not the asking of `support`: that one falls back to TCP, as a resolver does, and has a socket for each
//! question. Here nothing is hidden: a lost packet or a truncated answer is what the server said.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// How long an answer may take on a busy machine.
const REPLY: Duration = Duration::from_secs(3);
/// Between two looks whether one is still to be waited for.
const LOOK: Duration = Duration::from_millis(50);

/// An answer as a set: what two answers must have in common to be the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Said {
    /// NXDOMAIN.
    Absent,
    /// NOERROR: the records of the answer, and those in Additional, as sorted lines without TTLs.
    Records(Vec<String>),
    /// What is never right: another response code, a truncated message, silence.
    Other(String),
}

impl Said {
    /// The A records of one name.
    pub(super) fn addresses(addresses: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self::records(addresses.into_iter().map(|address| format!("A {address}")))
    }

    /// Any lines.
    pub(super) fn records(lines: impl IntoIterator<Item = String>) -> Self {
        let mut lines: Vec<String> = lines.into_iter().collect();
        lines.sort_unstable();
        Self::Records(lines)
    }

    /// What this answer has more and less than another.
    pub(super) fn difference(&self, other: &Self) -> String {
        let (Self::Records(ours), Self::Records(theirs)) = (self, other) else {
            return format!("{self} instead of {other}");
        };
        let without = |lines: &[String], others: &[String]| {
            let lines: Vec<_> = lines.iter().filter(|line| !others.contains(line)).cloned().collect();
            if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
        };
        format!("more: {}; less: {}", without(ours, theirs), without(theirs, ours))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("NXDOMAIN"),
            Self::Records(lines) if lines.is_empty() => f.write_str("no data"),
            Self::Records(lines) => f.write_str(&lines.join(", ")),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// A question, encoded once; its ID is written in when it is sent.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// `name TYPE`, for what is printed.
    pub(super) text: String,
    packet: Vec<u8>,
}

impl Question {
    /// With EDNS and room for 1232 octets.
    pub(super) fn new(name: &str, rtype: RecordType) -> Self {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        message.set_edns(edns);
        Self { text: format!("{name} {rtype}"), packet: message.to_vec().unwrap() }
    }

    /// The A records of a name.
    pub(super) fn a(name: &str) -> Self {
        Self::new(name, RecordType::A)
    }
}

/// The sockets of one client.
#[derive(Debug)]
pub(super) struct Client {
    server: SocketAddr,
    udp: UdpSocket,
    tcp: Option<TcpStream>,
    id: u16,
    buffer: Vec<u8>,
    /// The server is not there: nothing is waited for.
    is_down: Arc<AtomicBool>,
}

impl Client {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self::impatient(server, Arc::default())
    }

    /// Gives a question up at once while somebody says that the server is not there: one that was in the socket
    /// of a process that was killed is never answered.
    pub(super) fn impatient(server: SocketAddr, is_down: Arc<AtomicBool>) -> Self {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        udp.connect(server).unwrap();
        udp.set_read_timeout(Some(LOOK)).unwrap();
        Self { server, udp, tcp: None, id: 0, buffer: vec![0; 65_535], is_down }
    }

    /// Asks over UDP.
    pub(super) fn ask(&mut self, question: &Question) -> Said {
        match self.exchange_udp(question) {
            Ok(reply) => said(&reply),
            Err(error) => Said::Other(format!("no answer: {error}")),
        }
    }

    /// Asks over the one TCP connection. One that was used before may have been closed since, by the end of its
    /// server or for its silence: as any client does, it is opened anew and asked once more.
    pub(super) fn ask_tcp(&mut self, question: &Question) -> Said {
        let is_used = self.tcp.is_some();
        let answer = match self.exchange_tcp(question) {
            Err(error) if is_used && !is_timeout(&error) => {
                self.tcp = None;
                self.exchange_tcp(question)
            }
            answer => answer,
        };
        match answer {
            Ok(reply) => said(&reply),
            Err(error) => {
                self.tcp = None;
                Said::Other(format!("no answer over TCP: {error}"))
            }
        }
    }

    fn packet(&mut self, question: &Question) -> Vec<u8> {
        self.id = self.id.wrapping_add(1);
        let mut packet = question.packet.clone();
        packet[..2].copy_from_slice(&self.id.to_be_bytes());
        packet
    }

    fn exchange_udp(&mut self, question: &Question) -> io::Result<Message> {
        let packet = self.packet(question);
        self.udp.send(&packet)?;
        let sent = Instant::now();
        loop {
            let length = match self.udp.recv(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if is_timeout(&error) && sent.elapsed() < REPLY => {
                    // A question that was sent while it came back has its answer on the way.
                    if self.is_down.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            let reply = &self.buffer[..length];
            // A late reply to a question that was given up is not the one waited for.
            if reply.starts_with(&packet[..2]) {
                return Message::from_vec(reply).map_err(io::Error::other);
            }
        }
    }

    fn exchange_tcp(&mut self, question: &Question) -> io::Result<Message> {
        let packet = self.packet(question);
        let stream = match &mut self.tcp {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&self.server, REPLY)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(REPLY))?;
                none.insert(stream)
            }
        };
        let mut framed = u16::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(packet);
        stream.write_all(&framed)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let reply = &mut self.buffer[..u16::from_be_bytes(length).into()];
        stream.read_exact(reply)?;
        Message::from_vec(reply).map_err(io::Error::other)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// The answer of a whole reply.
fn said(reply: &Message) -> Said {
    if reply.metadata.truncation {
        return Said::Other("a truncated answer".to_owned());
    }
    match reply.metadata.response_code {
        ResponseCode::NXDomain => Said::Absent,
        ResponseCode::NoError => {
            let answers = reply.answers.iter().map(answer_line);
            Said::records(answers.chain(reply.additionals.iter().map(additional_line)))
        }
        code => Said::Other(format!("{code:?}")),
    }
}

fn answer_line(record: &Record) -> String {
    match &record.data {
        RData::A(address) => format!("A {address}"),
        RData::AAAA(address) => format!("AAAA {address}"),
        RData::SRV(srv) => {
            format!("SRV {} {} {} {}", srv.priority, srv.weight, srv.port, srv.target)
        }
        other => format!("{} {other}", record.record_type()),
    }
}

fn additional_line(record: &Record) -> String {
    format!("with {} {}", record.name, answer_line(record))
}
