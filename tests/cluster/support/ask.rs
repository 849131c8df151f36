//! A question over UDP, again over TCP where the answer is cut short, and what was answered.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// How long a reply may take; CoreDNS gives its upstream 2 s and asks again.
const PATIENCE: Duration = Duration::from_secs(6);
/// What the questions announce, as dig does.
const UDP_PAYLOAD: u16 = 1232;
/// Extended DNS Error (RFC 8914).
const EDE: EdnsCode = EdnsCode::Unknown(15);

/// What a server answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The response code, with the bits that EDNS adds.
    pub(crate) rcode: ResponseCode,
    /// AA.
    pub(crate) authoritative: bool,
    /// The sections, in the order of the message; Additional without the OPT record.
    pub(crate) answers: Vec<Record>,
    /// Of a negative answer, the SOA.
    pub(crate) authorities: Vec<Record>,
    /// Glue.
    pub(crate) additionals: Vec<Record>,
    /// Extended DNS Errors: code and text.
    pub(crate) edes: Vec<(u16, String)>,
}

impl Answer {
    /// The addresses in the answer section.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
    }

    /// The addresses in the additional section, by owner.
    pub(crate) fn glue(&self) -> BTreeSet<(String, IpAddr)> {
        let records = self.additionals.iter();
        records.filter_map(|record| Some((record.name.to_string(), record.data.ip_addr()?))).collect()
    }

    /// The SRV records of the answer section: target and port.
    pub(crate) fn services(&self) -> BTreeSet<(String, u16)> {
        let services = self.answers.iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some((srv.target.to_string(), srv.port)),
            _ => None,
        });
        services.collect()
    }

    /// The names of the PTR records of the answer section.
    pub(crate) fn pointers(&self) -> BTreeSet<String> {
        let pointers = self.answers.iter().filter_map(|record| match &record.data {
            RData::PTR(name) => Some(name.0.to_string()),
            _ => None,
        });
        pointers.collect()
    }

    /// How long a "no" may be remembered: the TTL of its SOA record (RFC 2308, section 5); None without one.
    pub(crate) fn negative_ttl(&self) -> Option<u32> {
        let soa = self.authorities.iter().find(|record| record.record_type() == RecordType::SOA);
        soa.map(|record| record.ttl)
    }
}

/// Asks over UDP, and over TCP when TC is set.
///
/// # Panics
/// When no reply comes.
pub(crate) fn ask(server: SocketAddr, name: &str, record_type: RecordType) -> Answer {
    try_ask(server, name, record_type).unwrap_or_else(|e| panic!("{server} {name} {record_type}: {e}"))
}

/// Asks over TCP.
///
/// # Panics
/// When no reply comes.
pub(crate) fn ask_tcp(server: SocketAddr, name: &str, record_type: RecordType) -> Answer {
    let message = exchange_tcp(server, &question(name, record_type), PATIENCE);
    answer(message.unwrap_or_else(|e| panic!("{server} {name} {record_type} over TCP: {e}")))
}

/// Asks over UDP, and over TCP when TC is set.
///
/// # Errors
/// When no reply comes, or none that can be read.
pub(crate) fn try_ask(server: SocketAddr, name: &str, record_type: RecordType) -> io::Result<Answer> {
    try_ask_within(server, name, record_type, PATIENCE)
}

/// The same with a patience of the caller's.
pub(crate) fn try_ask_within(
    server: SocketAddr,
    name: &str,
    record_type: RecordType,
    patience: Duration,
) -> io::Result<Answer> {
    let question = question(name, record_type);
    let mut message = exchange_udp(server, &question, patience)?;
    if message.metadata.truncation {
        message = exchange_tcp(server, &question, patience)?;
    }
    Ok(answer(message))
}

/// The reverse name of an address, with its final dot.
pub(crate) fn reverse_name(address: IpAddr) -> String {
    Name::from(address).to_string()
}

/// A question as dig would put it: RD set, EDNS with 1232 octets.
fn question(name: &str, record_type: RecordType) -> Message {
    static IDS: AtomicU16 = AtomicU16::new(1);
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_str(name).unwrap(), record_type));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    message
}

/// One question over UDP, sent once: on loopback a lost packet is a fault.
///
/// # Errors
/// When no reply comes, or none that can be read.
fn exchange_udp(server: SocketAddr, question: &Message, patience: Duration) -> io::Result<Message> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Connected, it hears of a closed port and of nobody else's packets.
    socket.connect(server)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(&question.to_vec().map_err(io::Error::other)?)?;
    let mut buffer = vec![0; 65_535];
    let size = socket.recv(&mut buffer)?;
    read(&buffer[..size], question)
}

/// One question over a TCP connection of its own.
///
/// # Errors
/// When no reply comes, or none that can be read.
fn exchange_tcp(server: SocketAddr, question: &Message, patience: Duration) -> io::Result<Message> {
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let bytes = question.to_vec().map_err(io::Error::other)?;
    let mut framed = u16::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
    framed.extend(bytes);
    stream.write_all(&framed)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply)?;
    read(&reply, question)
}

fn read(bytes: &[u8], question: &Message) -> io::Result<Message> {
    let message = Message::from_vec(bytes).map_err(io::Error::other)?;
    if message.metadata.id != question.metadata.id {
        return Err(io::Error::other("a reply to another question"));
    }
    Ok(message)
}

fn answer(message: Message) -> Answer {
    let options = message.edns.as_ref().map(|edns| edns.options().as_ref()).unwrap_or_default();
    let edes = options.iter().filter_map(|(code, option)| match option {
        EdnsOption::Unknown(_, data) if *code == EDE => {
            let (code, text) = data.split_at_checked(2)?;
            let text = String::from_utf8_lossy(text).into_owned();
            Some((u16::from_be_bytes([code[0], code[1]]), text))
        }
        _ => None,
    });
    Answer {
        rcode: message.metadata.response_code,
        authoritative: message.metadata.authoritative,
        edes: edes.collect(),
        answers: message.answers,
        authorities: message.authorities,
        additionals: message.additionals,
    }
}

#[test]
fn reverse_names_are_absolute() {
    assert_eq!(reverse_name(IpAddr::from([10, 244, 0, 7])), "7.0.244.10.in-addr.arpa.");
}
