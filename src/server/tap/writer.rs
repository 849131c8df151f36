//! Carries what the queue keeps to a reader of dnstap: connects, writes, and where that breaks connects again.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::Queue;
use super::dnstap::Sender;
use super::frames::{self, StreamError};

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(20);
/// How long a reader may take to connect, to greet, and to take what is written.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end may take.
const LAST: Duration = Duration::from_secs(1);
/// Between two tries, doubling from the first to the last.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];
/// Octets that are written together, and one exchange more.
const TOGETHER: usize = 64 << 10;

/// Where a reader listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnstapAddress {
    /// A socket in the file system.
    Socket(PathBuf),
    /// TCP.
    Tcp(SocketAddr),
}

impl fmt::Display for DnstapAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl DnstapAddress {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        })
    }
}

/// A writer, running. Dropped it goes on; stopped it writes what waits.
pub struct Dnstap {
    stop_tx: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Dnstap {
    /// Writes what the queue keeps, as `identity` where it has one. Within a tokio runtime.
    #[must_use]
    pub fn start(address: DnstapAddress, identity: Option<Box<str>>, queue: Queue) -> Self {
        let (stop_tx, stop_rx) = watch::channel(false);
        let writer =
            Writer { address, sender: Sender { identity }, queue, stop_rx, data: Vec::new(), held: 0 };
        Self { stop_tx, task: tokio::spawn(writer.run()) }
    }

    /// Writes what waits, takes leave of the reader, and ends, within a second.
    pub async fn stop(self) {
        let _ = self.stop_tx.send(true);
        let abort = self.task.abort_handle();
        if timeout(LAST, self.task).await.is_err() {
            debug!("the reader of dnstap takes no leave");
            abort.abort();
        }
    }
}

struct Writer {
    address: DnstapAddress,
    sender: Sender,
    queue: Queue,
    stop_rx: watch::Receiver<bool>,
    /// Frames that are not written yet.
    data: Vec<u8>,
    /// How many exchanges they are.
    held: u64,
}

impl Writer {
    async fn run(mut self) {
        let mut stop_rx = self.stop_rx.clone();
        let [mut wait, longest] = WAITS;
        let mut failures = 0_u32;
        loop {
            let error = match self.connect().await {
                Ok(mut stream) => {
                    info!(reader = %self.address, "dnstap: connected");
                    (wait, failures) = (WAITS[0], 0);
                    match self.write(&mut stream).await {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            // What was on its way may have arrived or not; written again it might be there twice.
            self.queue.counter().drop_more(std::mem::take(&mut self.held));
            self.data.clear();
            failures = failures.saturating_add(1);
            if failures.is_power_of_two() {
                let dropped = self.queue.counter().dropped();
                let error = Whole(&error);
                warn!(reader = %self.address, %error, failures, dropped, "dnstap: no reader; trying on");
            }
            tokio::select! {
                _ = stop_rx.wait_for(|stop| *stop) => return,
                () = sleep(wait.mul_f64(1.0 + 0.5 * fastrand::f64())) => {}
            }
            wait = (wait * 2).min(longest);
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, StreamError> {
        within(async {
            let mut stream = self.address.connect().await.map_err(StreamError::Connect)?;
            frames::open(&mut stream).await?;
            Ok(stream)
        })
        .await
    }

    /// Writes until it is stopped.
    async fn write(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), StreamError> {
        loop {
            // Looked at first: what was kept before the stop is written.
            let last = *self.stop_rx.borrow();
            loop {
                while self.data.len() < TOGETHER
                    && let Some(exchange) = self.queue.take()
                {
                    self.sender.frames(&exchange, &mut self.data);
                    self.held += 1;
                }
                if self.data.is_empty() {
                    break;
                }
                let data = &self.data;
                within(async { Ok(stream.write_all(data).await?) }).await?;
                self.held = 0;
                self.data.clear();
            }
            if last {
                return within(frames::close(stream)).await;
            }
            tokio::select! {
                _ = self.stop_rx.wait_for(|stop| *stop) => {}
                () = sleep(LOOK) => {}
            }
        }
    }
}

async fn within<T>(doing: impl Future<Output = Result<T, StreamError>>) -> Result<T, StreamError> {
    timeout(PATIENCE, doing).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// An error with its cause.
struct Whole<'e>(&'e StreamError);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            StreamError::Connect(cause) | StreamError::Io(cause) => write!(f, "{}: {cause}", self.0),
            other => write!(f, "{other}"),
        }
    }
}
