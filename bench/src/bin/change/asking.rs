//! A thread that asks one server until it gives the right answer.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rollcall::wire::{Name, rtype};
use rollcall_bench::replay::PROBE_NAME;

/// From one question to the next, unless its answer takes longer: how exact the figures are. Without a pause
/// two threads that ask would take what the servers need.
const EVERY: Duration = Duration::from_micros(100);
/// A question whose answer takes longer is asked again.
const LOST: Duration = Duration::from_millis(500);

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// The address that is right until then; none before the service is known.
    pub(super) previous: Option<Ipv4Addr>,
    pub(super) wanted: Ipv4Addr,
    /// When it is given up.
    pub(super) latest: Instant,
}

/// When the answer with the wanted address was received.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
}

/// Does one job after the other.
pub(super) fn serve(
    name: &str,
    server: SocketAddr,
    job_rx: &Receiver<Job>,
    seen_tx: &Sender<anyhow::Result<Seen>>,
) {
    let mut asker = Asker::new(server);
    for job in job_rx {
        let seen = match &mut asker {
            Ok(asker) => asker.wait(job).with_context(|| name.to_owned()),
            Err(error) => Err(anyhow::anyhow!("{name}: {error}")),
        };
        if seen_tx.send(seen).is_err() {
            return;
        }
    }
}

struct Asker {
    socket: UdpSocket,
    packet: Vec<u8>,
    id: u16,
}

impl Asker {
    fn new(server: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(LOST))?;
        let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(Name::from_text(PROBE_NAME)?.as_wire());
        packet.extend(rtype::A.to_be_bytes());
        packet.extend([0, 1]);
        Ok(Self { socket, packet, id: 0 })
    }

    fn wait(&mut self, job: Job) -> anyhow::Result<Seen> {
        while Instant::now() < job.latest {
            let asked = Instant::now();
            let answer = self.ask();
            let at = Instant::now();
            match (answer, job.previous) {
                (Ok(Answer::Address(address)), _) if address == job.wanted => return Ok(Seen { at }),
                (Ok(Answer::Address(address)), Some(previous)) if address == previous => {}
                // Until the service is known there is no wrong answer.
                (Ok(_), None) => {}
                (Ok(answer), Some(previous)) => {
                    bail!("neither {previous} nor {} was answered but {answer}", job.wanted);
                }
                (Err(error), _) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                (Err(error), None) if error.kind() == ErrorKind::ConnectionRefused => {}
                (Err(error), _) => return Err(error.into()),
            }
            thread::sleep(EVERY.saturating_sub(asked.elapsed()));
        }
        bail!("{} was not answered in time", job.wanted)
    }

    fn ask(&mut self) -> io::Result<Answer> {
        self.id = self.id.wrapping_add(1);
        self.packet[..2].copy_from_slice(&self.id.to_be_bytes());
        self.socket.send(&self.packet)?;
        let mut reply = [0; 512];
        loop {
            let length = self.socket.recv(&mut reply)?;
            let reply = &reply[..length];
            if reply.starts_with(&self.packet[..2]) && length > self.packet.len() {
                return Ok(Answer::read(reply));
            }
        }
    }
}

/// What a reply says.
enum Answer {
    Address(Ipv4Addr),
    /// Another response code, or another number of records, in words.
    Else(String),
}

impl Answer {
    /// Neither server puts anything behind the one record of a question without EDNS.
    fn read(reply: &[u8]) -> Self {
        let (rcode, records) = (reply[3] & 15, reply[7]);
        match reply.last_chunk::<4>() {
            Some(octets) if rcode == 0 && records == 1 => Self::Address(Ipv4Addr::from(*octets)),
            _ => Self::Else(format!("response code {rcode}, {records} records")),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Else(what) => f.write_str(what),
        }
    }
}
