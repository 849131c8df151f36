//! Questions over UDP, one after the other, at a moderate rate: what asking costs beside pushing.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use rollcall::wire::{Name, rtype};
use rollcall_bench::percentile;

/// A question whose answer takes longer is lost.
const LOST: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Ask {
    /// Whom
    #[arg(long)]
    server: SocketAddr,
    /// For whose address
    #[arg(long)]
    name: String,
    /// Microseconds from one question to the next, unless an answer takes longer
    #[arg(long, default_value_t = 1000)]
    every: u64,
    /// For how long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Ask {
    /// Prints one line of `key=value`. A time counts from when the question was due, also where the one before it was late.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.server)?;
        socket.set_read_timeout(Some(LOST))?;
        let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(Name::from_text(&self.name)?.as_wire());
        packet.extend(rtype::A.to_be_bytes());
        packet.extend([0, 1]);
        let (every, end) =
            (Duration::from_micros(self.every), Instant::now() + Duration::from_secs(self.seconds));
        let (mut figures, mut lost, mut due, mut id) = (Vec::new(), 0_u64, Instant::now(), 0_u16);
        while due < end {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            id = id.wrapping_add(1);
            packet[..2].copy_from_slice(&id.to_be_bytes());
            if ask(&socket, &packet)? {
                figures.push(due.elapsed().as_secs_f64() * 1e6);
            } else {
                lost += 1;
            }
            due += every;
        }
        ensure!(!figures.is_empty(), "nothing was answered");
        let of = |percent| percentile(figures.iter().copied(), percent);
        println!(
            "answered={} lost={lost} p50_us={:.0} p99_us={:.0} most_us={:.0}",
            figures.len(),
            of(50),
            of(99),
            of(100)
        );
        Ok(())
    }
}

/// Whether it was answered in time.
fn ask(socket: &UdpSocket, packet: &[u8]) -> anyhow::Result<bool> {
    socket.send(packet)?;
    let mut reply = [0; 1232];
    loop {
        match socket.recv(&mut reply) {
            // An earlier one that came late is nobody's.
            Ok(length) if length < packet.len() || reply[..2] != packet[..2] => {}
            Ok(_) => {
                ensure!(reply[3] & 15 == 0 && reply[7] > 0, "it was answered with no address");
                return Ok(true);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(error) => return Err(error).context("the questions' socket"),
        }
    }
}
