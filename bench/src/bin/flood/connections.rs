//! TCP connections, each with a task of its own, that are opened anew whenever they end.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rollcall::wire::{Name, rtype};
use rollcall_bench::Random;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Arguments, Kind, garbage};

/// A connection that was closed at once, or could not be had, is tried again this much later.
const PAUSE: Duration = Duration::from_millis(50);
/// Between the first connections.
const BETWEEN: Duration = Duration::from_micros(200);
/// How often a held connection asks again: less than the server's idle time.
const AGAIN: Duration = Duration::from_secs(10);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Octets of questions that a slow reader writes at one time.
const MANY: usize = 16 << 10;
/// The head of a TLS record that holds a handshake of 512 octets, and the first of these.
const HANDSHAKE: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

/// What happened to all of them.
#[derive(Debug, Default)]
struct Counts {
    open: Cell<u64>,
    opened: Cell<u64>,
    /// The connection was refused, or closed before it could be used.
    failed: Cell<u64>,
    /// The server closed it.
    closed: Cell<u64>,
    answered: Cell<u64>,
    written: Cell<u64>,
    most: Cell<u64>,
}

fn add(cell: &Cell<u64>, number: u64) {
    cell.set(cell.get() + number);
}

/// What was done.
pub(crate) struct Done {
    counts: Rc<Counts>,
    seconds: f64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { open, opened, failed, closed, answered, written, most } = &*self.counts;
        write!(
            f,
            "open={} most={} opened={} failed={} closed={} answered={} written={} seconds={:.1}",
            open.get(),
            most.get(),
            opened.get(),
            failed.get(),
            closed.get(),
            answered.get(),
            written.get(),
            self.seconds,
        )
    }
}

/// What all connections share.
struct Flood {
    server: SocketAddr,
    kind: Kind,
    question: Vec<u8>,
    counts: Rc<Counts>,
}

/// Floods for so long.
pub(crate) async fn flood(arguments: &Arguments, time: Duration) -> anyhow::Result<Done> {
    ensure!(arguments.server.is_ipv4(), "connections come from addresses of 127.0.0.0/8");
    let large = arguments.kind == Kind::Slow;
    let name = Name::from_text(&arguments.large).context("not a name")?;
    let flood = Rc::new(Flood {
        server: arguments.server,
        kind: arguments.kind,
        question: question(&name, if large { rtype::SRV } else { rtype::A }),
        counts: Rc::default(),
    });
    let begin = Instant::now();
    let tasks = LocalSet::new();
    for index in 0..arguments.connections {
        let flood = Rc::clone(&flood);
        let source = Ipv4Addr::new(127, 0, 9, 1 + (index % u16::from(arguments.sources)).to_le_bytes()[0]);
        let random = Random::new(arguments.seed, u64::from(index));
        tasks.spawn_local(async move {
            // All at once would overflow the backlog of any server.
            sleep(BETWEEN * u32::from(index)).await;
            flood.keep(source, random).await;
        });
    }
    let flooding = async {
        let tried = || flood.counts.opened.get() + flood.counts.failed.get();
        while tried() < u64::from(arguments.connections) {
            sleep(Duration::from_millis(10)).await;
        }
        println!("flooding kind={:?} open={}", flood.kind, flood.counts.open.get());
        sleep(time.saturating_sub(begin.elapsed())).await;
    };
    let _ = tasks.run_until(timeout(time, flooding)).await;
    Ok(Done { counts: Rc::clone(&flood.counts), seconds: begin.elapsed().as_secs_f64() })
}

/// With its length in front.
fn question(name: &Name, rtype: u16) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(name.as_wire());
    message.extend(rtype.to_be_bytes());
    message.extend([0, 1]);
    framed(&message)
}

/// Garbage: mostly a message as long as it says, else any length.
fn message(random: &mut Random) -> Vec<u8> {
    let packet = garbage::one(random);
    if random.below(4) > 0 { framed(&packet) } else { packet }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), message].concat()
}

impl Flood {
    /// Opens the connection anew whenever it ends.
    async fn keep(&self, source: Ipv4Addr, mut random: Random) {
        loop {
            let opened = self.open(source).await;
            let rests = opened.is_err() || self.kind != Kind::Passing;
            match opened {
                Ok(stream) => {
                    add(&self.counts.opened, 1);
                    add(&self.counts.open, 1);
                    self.counts.most.set(self.counts.most.get().max(self.counts.open.get()));
                    if self.play(&stream, &mut random).await.is_err() {
                        add(&self.counts.closed, 1);
                    }
                    self.counts.open.set(self.counts.open.get() - 1);
                }
                Err(_) => add(&self.counts.failed, 1),
            }
            if rests {
                sleep(PAUSE).await;
            }
        }
    }

    async fn open(&self, source: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        if self.kind == Kind::Slow {
            // What it takes in without reading, and has not sent yet, is not the server's: as little as there may be.
            socket.set_recv_buffer_size(4096)?;
            socket.set_send_buffer_size(16 << 10)?;
        }
        socket.connect(self.server).await
    }

    /// Until the connection ends: by an error, where it is the server who ends it.
    async fn play(&self, stream: &TcpStream, random: &mut Random) -> io::Result<()> {
        match self.kind {
            Kind::Silent | Kind::Datagrams => self.hear(stream).await,
            Kind::Handshakes => {
                self.write(stream, HANDSHAKE).await?;
                self.hear(stream).await
            }
            Kind::Held => loop {
                self.write(stream, &self.question).await?;
                timeout(ANSWER, self.answer(stream)).await.map_err(io::Error::other)??;
                add(&self.counts.answered, 1);
                match timeout(AGAIN, self.hear(stream)).await {
                    Ok(ended) => return ended,
                    Err(_) => continue,
                }
            },
            Kind::Slow => {
                let many = self.question.repeat(MANY / self.question.len());
                loop {
                    self.write(stream, &many).await?;
                }
            }
            Kind::Passing => {
                // Without a last word: the kernel keeps nothing of it, and its port can be had again.
                socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                self.write(stream, &message(random)).await
            }
            Kind::Garbage => loop {
                self.write(stream, &message(random)).await?;
                self.read_what_is_there(stream)?;
                sleep(Duration::from_millis(1)).await;
            },
        }
    }

    async fn write(&self, stream: &TcpStream, mut octets: &[u8]) -> io::Result<()> {
        while !octets.is_empty() {
            stream.writable().await?;
            match stream.try_write(octets) {
                Ok(written) => {
                    add(&self.counts.written, written as u64);
                    octets = &octets[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until the server closes.
    async fn hear(&self, stream: &TcpStream) -> io::Result<()> {
        loop {
            stream.readable().await?;
            self.read_what_is_there(stream)?;
        }
    }

    fn read_what_is_there(&self, stream: &TcpStream) -> io::Result<()> {
        let mut octets = [0; 4096];
        loop {
            match stream.try_read(&mut octets) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// One whole answer. It is not kept: ten thousand tasks wait here.
    async fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let (mut front, mut had) = ([0; 2], 0);
        loop {
            stream.readable().await?;
            let mut octets = [0; 4096];
            match stream.try_read(&mut octets) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    let missing = front.len().saturating_sub(had).min(read);
                    front[had.min(2)..][..missing].copy_from_slice(&octets[..missing]);
                    had += read;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if had >= 2 && had >= 2 + usize::from(u16::from_be_bytes(front)) {
                return Ok(());
            }
        }
    }
}
