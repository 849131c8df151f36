//! The window: which questions are under way on which socket, and what became of them.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{UsageWho, getrusage};
use rollcall_bench::processor_seconds;

use crate::histogram::Histogram;
use crate::questions::Questions;
use crate::socket::{BATCH, Batch};

/// A question without a reply for so long is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait for a reply before looking at the clock.
const WAIT: u16 = 20;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    Time(Duration),
    Count(u64),
}

/// A place in a socket's window. Its ID is `generation * window + place`: a reply that comes after its question
/// was given up has the ID of none.
#[derive(Clone, Copy)]
struct Slot {
    id: u16,
    question: u32,
    sent: Option<Instant>,
}

struct Channel {
    socket: UdpSocket,
    slots: Vec<Slot>,
    free: Vec<u16>,
}

pub(crate) struct Load<'q> {
    questions: &'q Questions,
    next: usize,
    channels: Vec<Channel>,
    batch: Batch,
    latency: Histogram,
    counts: Counts,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    replies: u64,
    lost: u64,
    /// No reply to any question under way, or one with another question in it.
    wrong: u64,
    noerror: u64,
    nxdomain: u64,
    other: u64,
    truncated: u64,
    answers: u64,
    octets: u64,
    seconds: f64,
    p50: u64,
    p99: u64,
    /// Of the generator's own core.
    busy: f64,
    /// Processor seconds of the server.
    server: Option<f64>,
}

impl<'q> Load<'q> {
    pub(crate) fn new(
        server: SocketAddr,
        questions: &'q Questions,
        sockets: usize,
        window: usize,
    ) -> anyhow::Result<Self> {
        let own: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let channels = (0..sockets).map(|index| {
            let socket = UdpSocket::bind(own).context("cannot bind")?;
            socket.connect(server).context("cannot connect")?;
            let room = window / sockets + usize::from(index < window % sockets);
            let ids = 0..u16::try_from(room).context("the window is too large")?;
            let slots = ids.clone().map(|id| Slot { id, question: 0, sent: None }).collect();
            Ok(Channel { socket, slots, free: ids.rev().collect() })
        });
        Ok(Self {
            questions,
            next: 0,
            channels: channels.collect::<anyhow::Result<_>>()?,
            batch: Batch::new(),
            latency: Histogram::new(),
            counts: Counts::default(),
        })
    }

    /// Asks up to the bound; the window stays full from one call to the next.
    pub(crate) fn run(&mut self, bound: Bound, server: Option<u32>) -> anyhow::Result<Counts> {
        self.counts = Counts::default();
        self.latency.clear();
        let used = |pid: Option<u32>| pid.map(processor_seconds).transpose().context("no such server");
        let (server_before, own_before) = (used(server)?, own_seconds()?);
        let start = Instant::now();
        let mut looked = start;
        loop {
            let mut received = 0;
            for channel in 0..self.channels.len() {
                self.fill(channel).context("cannot send")?;
                received += self.drain(channel).context("cannot receive")?;
            }
            if received == 0 {
                self.wait()?;
            }
            let now = Instant::now();
            if now - looked > PATIENCE / 10 {
                looked = now;
                self.give_up(now);
            }
            let done = match bound {
                Bound::Time(time) => now - start >= time,
                Bound::Count(count) => self.counts.replies + self.counts.lost >= count,
            };
            if done {
                break;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let mut counts = self.counts.clone();
        counts.seconds = seconds;
        counts.busy = (own_seconds()? - own_before) / seconds;
        counts.server = used(server)?.zip(server_before).map(|(after, before)| after - before);
        counts.p50 = self.latency.quantile(0.5);
        counts.p99 = self.latency.quantile(0.99);
        Ok(counts)
    }

    /// Asks until the socket's window is full.
    fn fill(&mut self, channel: usize) -> io::Result<()> {
        let Channel { socket, slots, free } = &mut self.channels[channel];
        while !free.is_empty() {
            let count = free.len().min(BATCH);
            let now = Instant::now();
            let places = &free[free.len() - count..];
            for (at, place) in places.iter().enumerate() {
                let slot = &mut slots[usize::from(*place)];
                let (packet, _) = self.questions.packet(self.next);
                self.batch.put(at, slot.id, packet);
                #[allow(clippy::cast_possible_truncation)] // questions fit 4 GiB
                let question = self.next as u32;
                (slot.question, slot.sent) = (question, Some(now));
                self.next = (self.next + 1) % self.questions.count();
            }
            let sent = match self.batch.send(socket, count) {
                Ok(sent) => sent,
                // An ICMP error of an earlier packet: nobody listens, or not yet.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => 0,
                Err(error) => return Err(error),
            };
            // What did not go out counts as asked and will be lost: it never happens on loopback.
            let _ = sent;
            free.truncate(free.len() - count);
        }
        Ok(())
    }

    /// Takes the replies that are there.
    fn drain(&mut self, channel: usize) -> io::Result<usize> {
        let mut received = 0;
        let window = self.channels[channel].slots.len();
        loop {
            let count = match self.batch.receive(&self.channels[channel].socket) {
                Ok(count) => count,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
                    return Ok(received);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(received),
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            for place in 0..count {
                self.take(channel, place, now);
            }
            received += count;
            // Sends before it receives on: a server that waits is not measured.
            if count < BATCH || received >= window {
                return Ok(received);
            }
        }
    }

    fn take(&mut self, channel: usize, place: usize, now: Instant) {
        let counts = &mut self.counts;
        let reply = self.batch.packet(place);
        let Channel { slots, free, .. } = &mut self.channels[channel];
        let window = slots.len();
        let Some(header) = reply.first_chunk::<12>() else {
            counts.wrong += 1;
            return;
        };
        let id = u16::from_be_bytes([header[0], header[1]]);
        let at = usize::from(id) % window;
        let slot = &mut slots[at];
        let Some(sent) = slot.sent.filter(|_| slot.id == id) else {
            counts.wrong += 1;
            return;
        };
        release(slot, at, window, free);
        let (packet, end) = self.questions.packet(slot.question as usize);
        if header[2] & 0x80 == 0 || reply.get(12..end) != Some(&packet[12..end]) {
            counts.wrong += 1;
            return;
        }
        counts.replies += 1;
        match header[3] & 15 {
            0 => counts.noerror += 1,
            3 => counts.nxdomain += 1,
            _ => counts.other += 1,
        }
        counts.truncated += u64::from(header[2] >> 1 & 1);
        counts.answers += u64::from(u16::from_be_bytes([header[6], header[7]]));
        counts.octets += reply.len() as u64;
        let nanoseconds = u64::try_from((now - sent).as_nanos()).unwrap_or(u64::MAX);
        self.latency.add(nanoseconds, 1);
    }

    fn give_up(&mut self, now: Instant) {
        for Channel { slots, free, .. } in &mut self.channels {
            let window = slots.len();
            for (at, slot) in slots.iter_mut().enumerate() {
                if slot.sent.is_some_and(|sent| now - sent > PATIENCE) {
                    self.counts.lost += 1;
                    release(slot, at, window, free);
                }
            }
        }
    }

    fn wait(&self) -> anyhow::Result<()> {
        let sockets = self.channels.iter().map(|channel| channel.socket.as_fd());
        let mut fds: Vec<PollFd<'_>> = sockets.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::from(WAIT)) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait"),
        }
    }
}

/// Makes room for the next question, which gets another ID.
fn release(slot: &mut Slot, at: usize, window: usize, free: &mut Vec<u16>) {
    #[allow(clippy::cast_possible_truncation)] // the window fits 16 bits
    let (at, window) = (at as u16, window as u16);
    slot.sent = None;
    // Past the end IDs start again at the place itself, so that `id % window` stays the place.
    slot.id = slot.id.checked_add(window).unwrap_or(at);
    free.push(at);
}

fn own_seconds() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("no usage")?;
    let seconds = [usage.user_time(), usage.system_time()].map(|time| {
        #[allow(clippy::cast_precision_loss)] // seconds of a benchmark
        let seconds = time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds
    });
    Ok(seconds.iter().sum())
}

/// One line of `key=value`, for scripts.
impl fmt::Display for Counts {
    #[allow(clippy::cast_precision_loss)] // counts of a benchmark
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: u64| count as f64 / self.replies.max(1) as f64;
        write!(
            f,
            "replies={} seconds={:.3} qps={:.0} lost={} wrong={} p50_us={:.1} p99_us={:.1} busy_percent={:.0}",
            self.replies,
            self.seconds,
            self.replies as f64 / self.seconds,
            self.lost,
            self.wrong,
            self.p50 as f64 / 1e3,
            self.p99 as f64 / 1e3,
            self.busy * 100.0,
        )?;
        if let Some(server) = self.server {
            write!(f, " server_us={:.2}", server * 1e6 / self.replies.max(1) as f64)?;
        }
        write!(
            f,
            " noerror={:.4} nxdomain={:.4} other={:.4} truncated={:.4} answers={:.3} octets={:.1}",
            of(self.noerror),
            of(self.nxdomain),
            of(self.other),
            of(self.truncated),
            of(self.answers),
            of(self.octets),
        )
    }
}
