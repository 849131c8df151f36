//! A resolver for the server to ask, over UDP and TCP on one port of loopback: it knows what a test gives it, and
//! counts what it is asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What it says to a question.
pub(super) enum Says {
    /// These records (`owner ttl type data`) in the answer.
    Records(Vec<String>),
    /// Records, then that the last of their aliases leads to no such name; with the SOA of `example.org`.
    Nothing(ResponseCode, Vec<String>),
    /// A bare code.
    Code(ResponseCode),
    /// Nothing at all.
    Silence,
}

type Knows = dyn Fn(&str, RecordType) -> Says + Send + Sync;

/// Answers until the tests end; its threads have nothing to clean up.
pub(super) struct Resolver {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// As much as it sends over UDP; more is cut, with TC.
const UDP_LIMIT: usize = 1232;

impl Resolver {
    /// Starts one that says what `knows` says: the name without its final dot, in lower case.
    pub(super) fn start(knows: impl Fn(&str, RecordType) -> Says + Send + Sync + 'static) -> Self {
        let knows: Arc<Knows> = Arc::new(knows);
        let (udp, tcp) = bind();
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (knows_too, asked_too) = (Arc::clone(&knows), Arc::clone(&asked));
        thread::spawn(move || serve_udp(&udp, &*knows_too, &asked_too));
        let asked_too = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                let (knows, asked) = (Arc::clone(&knows), Arc::clone(&asked_too));
                thread::spawn(move || serve_tcp(stream, &*knows, &asked));
            }
        });
        Self { address, asked }
    }

    /// Every question so far: `udp www.example.org A`.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A port that is free for both.
fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..16 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("no port that is free for UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, knows: &Knows, asked: &Mutex<Vec<String>>) {
    let mut buffer = [0; 4096];
    while let Ok((size, client)) = socket.recv_from(&mut buffer) {
        let Some(mut reply) = answer("udp", &buffer[..size], knows, asked) else { continue };
        if reply.to_vec().unwrap().len() > UDP_LIMIT {
            reply.answers.clear();
            reply.metadata.truncation = true;
        }
        // A client that is gone by now does not mind.
        let _ = socket.send_to(&reply.to_vec().unwrap(), client);
    }
}

fn serve_tcp(mut stream: TcpStream, knows: &Knows, asked: &Mutex<Vec<String>>) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        let Some(reply) = answer("tcp", &query, knows, asked) else { continue };
        if stream.write_all(&super::tcp::framed(&reply.to_vec().unwrap())).is_err() {
            return;
        }
    }
}

fn answer(transport: &str, query: &[u8], knows: &Knows, asked: &Mutex<Vec<String>>) -> Option<Message> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let name = question.name().to_ascii().to_lowercase();
    let name = name.trim_end_matches('.');
    asked.lock().unwrap().push(format!("{transport} {name} {}", question.query_type()));
    let mut reply = query.into_response();
    reply.metadata.recursion_available = true;
    match knows(name, question.query_type()) {
        Says::Records(records) => reply.answers.extend(records.iter().map(|line| record(line))),
        Says::Nothing(code, records) => {
            reply.metadata.response_code = code;
            reply.answers.extend(records.iter().map(|line| record(line)));
            let name = |text: &str| Name::from_str(text).unwrap();
            let soa = SOA::new(name("ns.example.org."), name("root.example.org."), 1, 2, 3, 4, 60);
            reply.authorities.push(Record::from_rdata(name("example.org."), 60, RData::SOA(soa)));
        }
        Says::Code(code) => reply.metadata.response_code = code,
        Says::Silence => return None,
    }
    Some(reply)
}

/// `owner ttl type data`.
fn record(line: &str) -> Record {
    let fields: Vec<&str> = line.splitn(4, ' ').collect();
    let [owner, ttl, rtype, data] = fields[..] else { panic!("not a record: {line}") };
    let data = RData::try_from_str(RecordType::from_str(rtype).unwrap(), data).unwrap();
    Record::from_rdata(Name::from_str(owner).unwrap(), ttl.parse().unwrap(), data)
}
