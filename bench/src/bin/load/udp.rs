//! Questions over UDP, from connected sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Instant;

use anyhow::Context as _;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rollcall_bench::datagrams::{BATCH, Batch};

use crate::counts::{Counts, Measured, Meter};
use crate::pace::{Bound, Pace};
use crate::questions::Questions;
use crate::window::{PATIENCE, Window};

/// How long to wait for a reply before looking at the clock, in milliseconds.
const WAIT: u16 = 20;

struct Channel {
    socket: UdpSocket,
    window: Window,
}

pub(crate) struct Load<'q> {
    questions: &'q Questions,
    next: usize,
    channels: Vec<Channel>,
    batch: Batch,
    counts: Counts,
}

impl<'q> Load<'q> {
    pub(crate) fn new(
        server: SocketAddr,
        questions: &'q Questions,
        sockets: u16,
        window: u16,
    ) -> anyhow::Result<Self> {
        let own: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let channels = (0..sockets).map(|index| {
            let socket = UdpSocket::bind(own).context("cannot bind")?;
            socket.connect(server).context("cannot connect")?;
            let room = window / sockets + u16::from(index < window % sockets);
            Ok(Channel { socket, window: Window::new(room) })
        });
        let channels = channels.collect::<anyhow::Result<_>>()?;
        Ok(Self { questions, next: 0, channels, batch: Batch::new(), counts: Counts::default() })
    }

    /// Asks up to the bound; the window stays full from one call to the next, or less full at a rate.
    pub(crate) fn run(
        &mut self,
        bound: Bound,
        rate: Option<f64>,
        servers: &[u32],
    ) -> anyhow::Result<Measured> {
        self.counts = Counts::default();
        let meter = Meter::start(servers)?;
        let mut pace = Pace::new(rate);
        let mut looked = meter.started();
        loop {
            let mut received = 0;
            for channel in 0..self.channels.len() {
                self.fill(channel, &mut pace).context("cannot send")?;
                received += self.drain(channel).context("cannot receive")?;
            }
            if received == 0 && !pace.is_paced() {
                self.wait()?;
            }
            let now = Instant::now();
            if now - looked > PATIENCE / 10 {
                looked = now;
                let lost = self.channels.iter_mut().map(|channel| channel.window.give_up(now, PATIENCE));
                self.counts.lost += lost.sum::<u64>();
            }
            let done = match bound {
                Bound::Time(time) => now - meter.started() >= time,
                Bound::Count(count) => self.counts.replies + self.counts.lost >= count,
            };
            if done {
                return meter.stop(std::mem::take(&mut self.counts));
            }
        }
    }

    /// Asks until the socket's window is full, or nothing more is due.
    fn fill(&mut self, channel: usize, pace: &mut Pace) -> io::Result<()> {
        let Channel { socket, window } = &mut self.channels[channel];
        loop {
            let now = Instant::now();
            let count = pace.due(now, window.free().min(BATCH));
            if count == 0 {
                return Ok(());
            }
            for at in 0..count {
                let Some(id) = window.ask(self.next, pace.next(now)) else { break };
                let (packet, _) = self.questions.packet(self.next);
                self.batch.put(at, id, packet);
                self.next = (self.next + 1) % self.questions.count();
            }
            match self.batch.send(socket, count) {
                // What did not go out counts as asked and will be lost: it never happens on loopback.
                Ok(_) => {}
                // An ICMP error of an earlier packet: nobody listens, or not yet.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the replies that are there.
    fn drain(&mut self, channel: usize) -> io::Result<usize> {
        let Channel { socket, window } = &mut self.channels[channel];
        let mut received = 0;
        loop {
            let count = match self.batch.receive(socket) {
                Ok(count) => count,
                Err(error) if is_nothing(&error) => return Ok(received),
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            for place in 0..count {
                window.take(self.batch.packet(place), self.questions, now, &mut self.counts);
            }
            received += count;
            // Sends before it receives on: a server that waits is not measured.
            if count < BATCH || received >= window.size() {
                return Ok(received);
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

/// Nothing is there, or an ICMP error of an earlier packet.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionRefused)
}
