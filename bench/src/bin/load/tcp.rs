//! Questions over TCP, pipelined on a few connections.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::counts::{Counts, Measured, Meter};
use crate::pace::Bound;
use crate::questions::Questions;
use crate::window::{PATIENCE, Window};

/// How long to wait for a reply before looking at the clock, in milliseconds.
const WAIT: u16 = 20;
/// Room for what is read: more than the longest reply.
const ROOM: usize = 1 << 17;
/// A server that closes connections without a reply so often is not measured.
const CLOSED_MOST: u64 = 1000;

struct Connection {
    stream: TcpStream,
    window: Window,
    /// What is to be written, from `written` on.
    out: Vec<u8>,
    written: usize,
    /// What was read: the first `had` octets of this are not a whole reply yet.
    room: Box<[u8]>,
    had: usize,
}

pub(crate) struct Load<'q> {
    server: SocketAddr,
    questions: &'q Questions,
    next: usize,
    connections: Vec<Connection>,
    counts: Counts,
}

impl<'q> Load<'q> {
    pub(crate) fn new(
        server: SocketAddr,
        questions: &'q Questions,
        sockets: u16,
        window: u16,
    ) -> anyhow::Result<Self> {
        let connections = (0..sockets).map(|index| {
            let room = window / sockets + u16::from(index < window % sockets);
            Ok(Connection {
                stream: connect(server)?,
                window: Window::new(room),
                out: Vec::new(),
                written: 0,
                room: vec![0; ROOM].into_boxed_slice(),
                had: 0,
            })
        });
        let connections = connections.collect::<anyhow::Result<_>>()?;
        Ok(Self { server, questions, next: 0, connections, counts: Counts::default() })
    }

    /// Asks up to the bound; the windows stay full from one call to the next.
    pub(crate) fn run(&mut self, bound: Bound, servers: &[u32]) -> anyhow::Result<Measured> {
        self.counts = Counts::default();
        let meter = Meter::start(servers)?;
        let mut looked = meter.started();
        loop {
            let mut received = 0;
            for index in 0..self.connections.len() {
                received += self.turn(index)?;
            }
            if received == 0 {
                self.wait()?;
            }
            let now = Instant::now();
            if now - looked > PATIENCE / 10 {
                looked = now;
                self.counts.lost +=
                    self.connections.iter_mut().map(|c| c.window.give_up(now, PATIENCE)).sum::<u64>();
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

    /// Asks and reads on one connection; opens it anew where the server closed it.
    fn turn(&mut self, index: usize) -> anyhow::Result<usize> {
        let connection = &mut self.connections[index];
        connection.fill(self.questions, &mut self.next);
        let done = connection.write().and_then(|()| connection.read(self.questions, &mut self.counts));
        match done {
            Ok(received) => Ok(received),
            Err(error) if is_end(&error) => {
                self.counts.closed += 1;
                ensure!(self.counts.closed < CLOSED_MOST, "the server closes every connection");
                self.counts.lost += connection.window.give_up(Instant::now(), Duration::ZERO);
                connection.stream = connect(self.server)?;
                (connection.written, connection.had) = (0, 0);
                connection.out.clear();
                Ok(0)
            }
            Err(error) => Err(error).context("a connection"),
        }
    }

    fn wait(&self) -> anyhow::Result<()> {
        let of = |connection: &Connection| {
            let waits = if connection.out.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            PollFlags::POLLIN | waits
        };
        let fds = self.connections.iter().map(|c| PollFd::new(c.stream.as_fd(), of(c)));
        match poll(&mut fds.collect::<Vec<_>>(), PollTimeout::from(WAIT)) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait"),
        }
    }
}

impl Connection {
    /// Puts questions behind what is to be written until the window is full.
    fn fill(&mut self, questions: &Questions, next: &mut usize) {
        let now = Instant::now();
        while let Some(id) = self.window.ask(*next, now) {
            let (packet, _) = questions.packet(*next);
            // At most 12 + 259 + 23 octets.
            let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
            self.out.extend(length.to_be_bytes());
            self.out.extend(id.to_be_bytes());
            self.out.extend(&packet[2..]);
            *next = (*next + 1) % questions.count();
        }
    }

    /// Writes as much as the connection takes.
    fn write(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if is_wait(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Takes the replies that are there; gives how many.
    fn read(&mut self, questions: &Questions, counts: &mut Counts) -> io::Result<usize> {
        match self.stream.read(&mut self.room[self.had..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.had += count,
            Err(error) if is_wait(&error) => return Ok(0),
            Err(error) => return Err(error),
        }
        let (now, mut received, mut rest) = (Instant::now(), 0, &self.room[..self.had]);
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some((reply, behind)) = behind.split_at_checked(length) else { break };
            self.window.take(reply, questions, now, counts);
            received += 1;
            rest = behind;
        }
        let rest = self.had - rest.len()..self.had;
        self.had = rest.len();
        self.room.copy_within(rest, 0);
        Ok(received)
    }
}

fn connect(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(server).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Whether the server closed the connection.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof, WriteZero};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe | WriteZero)
}
