//! Clients that ask without a pause, each question once: an answer that does not come is lost, and said.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::asking::query;
use super::tcp::framed;
use crate::support::reply::Reply;

/// After this an answer is lost; no server here takes a hundredth of it, but a busy machine may stand still.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

/// Where to ask next.
pub(super) type Target = Arc<dyn Fn() -> SocketAddr + Send + Sync>;
/// What is wrong with a reply.
pub(super) type Judge = fn(&Reply) -> Result<(), String>;

/// What became of the questions.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) udp: u64,
    pub(super) tcp: u64,
    /// Lost and wrong ones.
    pub(super) faults: Vec<String>,
}

impl Tally {
    fn add(mut self, other: Self) -> Self {
        self.udp += other.udp;
        self.tcp += other.tcp;
        self.faults.extend(other.faults);
        self
    }
}

/// The clients, asking.
pub(super) struct Steady {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Tally>>,
}

impl Steady {
    /// Asks the lines in turn, over UDP, over connections of as many questions, and over one connection that lasts where
    /// `lasting`.
    pub(super) fn start(target: &Target, lines: &[&str], judge: Judge, lasting: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let packets: Vec<Vec<u8>> = lines.iter().map(|line| query(line).bytes).collect();
        let mut kinds = vec![None, None, Some(1), Some(20)];
        kinds.extend(lasting.then_some(Some(u64::MAX)));
        let threads = kinds.into_iter().map(|a_connection| {
            let (stop, target, packets) = (Arc::clone(&stop), Arc::clone(target), packets.clone());
            thread::spawn(move || {
                let mut carrier: Box<dyn Carrier> = match a_connection {
                    None => Box::new(Udp::default()),
                    Some(most) => Box::new(Tcp { most, open: None }),
                };
                let (mut asked, mut faults) = (0_u64, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let mut packet = packets[usize::try_from(asked).unwrap() % packets.len()].clone();
                    let id = u16::try_from(asked & 0xffff).unwrap();
                    packet[..2].copy_from_slice(&id.to_be_bytes());
                    let server = target();
                    let judged = carrier
                        .ask(server, &packet)
                        .map_err(|error| format!("lost: {error}"))
                        .and_then(|octets| Reply::read(&octets).map_err(|error| format!("{error:#}")))
                        .and_then(|reply| {
                            if reply.id == id { judge(&reply) } else { Err("another's reply".to_owned()) }
                        });
                    asked += 1;
                    faults.extend(judged.err().map(|fault| format!("question {asked} to {server}: {fault}")));
                    thread::sleep(PAUSE);
                }
                let (udp, tcp) = if a_connection.is_none() { (asked, 0) } else { (0, asked) };
                Tally { udp, tcp, faults }
            })
        });
        let threads = threads.collect();
        Self { stop, threads }
    }

    /// Ends the asking.
    pub(super) fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).fold(Tally::default(), Tally::add)
    }
}

trait Carrier {
    fn ask(&mut self, server: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>>;
}

/// A socket for each server.
#[derive(Default)]
struct Udp(HashMap<SocketAddr, UdpSocket>);

impl Carrier for Udp {
    fn ask(&mut self, server: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
        let socket = self.0.entry(server).or_insert_with(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(server).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        });
        socket.send(packet)?;
        let mut reply = vec![0; 4096];
        loop {
            let length = socket.recv(&mut reply)?;
            // One that came too late was counted as lost; it is not the answer to this question.
            if reply[..2] == packet[..2] {
                reply.truncate(length);
                return Ok(reply);
            }
        }
    }
}

/// A connection of so many questions, then another one.
struct Tcp {
    most: u64,
    open: Option<(TcpStream, u64)>,
}

impl Carrier for Tcp {
    fn ask(&mut self, server: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
        let (mut stream, asked) = match self.open.take() {
            Some(open) => open,
            None => {
                let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                (stream, 0)
            }
        };
        stream.write_all(&framed(packet))?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut reply = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut reply)?;
        if asked + 1 < self.most {
            self.open = Some((stream, asked + 1));
        }
        Ok(reply)
    }
}
