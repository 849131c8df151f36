//! Datagrams of chance, and how many of them were answered.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rollcall_bench::Random;
use rollcall_bench::datagrams::{BATCH, Batch};

/// Different ones; they are sent in turn.
const DISTINCT: usize = 4096;
/// The longest; longer ones than a server's buffer among them.
const LONGEST: usize = 2048;
/// A whole question, which is cut and bent.
const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x05web-0\x03web\x07default\x03svc\x07cluster\
\x05local\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";

/// One of them: a third each of any octets, a header with any counts before any octets, and a bent question.
pub(crate) fn one(random: &mut Random) -> Vec<u8> {
    let any = |random: &mut Random, length: usize| -> Vec<u8> {
        (0..length).map(|_| random.number().to_le_bytes()[0]).collect()
    };
    match random.below(3) {
        0 => {
            let length = random.below(LONGEST);
            any(random, length)
        }
        1 => {
            let mut packet = QUESTION[..4].to_vec();
            let (counts, rest) = (any(random, 8), random.below(300));
            packet.extend(counts);
            packet.extend(any(random, rest));
            packet
        }
        _ => {
            let mut packet = QUESTION.to_vec();
            for _ in 0..=random.below(6) {
                let at = random.below(packet.len());
                packet[at] = random.number().to_le_bytes()[0];
            }
            if random.below(2) == 0 {
                packet.truncate(random.below(packet.len()));
            }
            packet
        }
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    sent: u64,
    replies: u64,
    seconds: f64,
}

impl fmt::Display for Done {
    #[allow(clippy::cast_precision_loss)] // counts of a flood
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.sent as f64 / self.seconds;
        write!(f, "sent={} replies={} seconds={:.1} rate={rate:.0}", self.sent, self.replies, self.seconds)
    }
}

/// Sends them for so long, at most so many a second.
pub(crate) fn datagrams(server: SocketAddr, rate: u32, seed: u64, time: Duration) -> anyhow::Result<Done> {
    let own: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(own).context("cannot bind")?;
    socket.connect(server).context("cannot connect")?;
    let mut random = Random::new(seed, 0);
    let packets: Vec<Vec<u8>> = (0..DISTINCT).map(|_| one(&mut random)).collect();
    let (mut batch, mut done) = (Batch::new(), Done::default());
    let (begin, mut next) = (Instant::now(), 0);
    println!("flooding kind=datagrams");
    loop {
        let elapsed = begin.elapsed();
        if elapsed >= time {
            done.seconds = elapsed.as_secs_f64();
            return Ok(done);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // packets of some minutes
        let due = (elapsed.as_secs_f64() * f64::from(rate)) as u64;
        // What was not sent in time is not made up for: a flood has no window.
        done.sent = done.sent.max(due.saturating_sub(u64::from(rate) / 10));
        while done.sent < due {
            let count = BATCH.min(usize::try_from(due - done.sent).unwrap_or(BATCH));
            for place in 0..count {
                let packet = &packets[next % DISTINCT];
                let id = packet.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
                // `put` writes an ID: what has no room for one is sent as two octets.
                if packet.len() >= 2 {
                    batch.put(place, id, packet);
                } else {
                    batch.put(place, 0, &[0, 0]);
                }
                next += 1;
            }
            match batch.send(&socket, count) {
                Ok(sent) => done.sent += sent as u64,
                Err(error) if is_passing(&error) => break,
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        loop {
            match batch.receive(&socket) {
                Ok(received) => done.replies += received as u64,
                Err(error) if is_passing(&error) => break,
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
        thread::sleep(Duration::from_micros(500));
    }
}

/// Nothing is there, no room is there, or nobody is there yet.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_the_same_again_and_of_every_kind() {
        let made = |seed| {
            let mut random = Random::new(seed, 0);
            (0..200).map(|_| one(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        let lengths: Vec<usize> = made(1).iter().map(Vec::len).collect();
        assert!(lengths.iter().any(|length| *length < 12) && lengths.iter().any(|length| *length > 1232));
        assert!(lengths.iter().all(|length| *length < LONGEST));
    }
}
