//! TCP (RFC 7766): several questions a connection, answered as they come; what a client may hold is bounded.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use super::Upstream;
use super::responder::{Reply, Responder, Transport};
use super::upstream::Chase;
use crate::zone::Reader;

/// What clients may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at one time; more are closed as they come.
    pub connections: usize,
    /// The same for one address.
    pub per_client: usize,
    /// How long a connection may be silent, or leave a reply unread.
    pub idle: Duration,
    /// Questions of one connection that wait for the upstream.
    pub pipelined: usize,
}

/// How long a stop waits for clients to take their replies.
const DRAIN: Duration = Duration::from_secs(1);
/// Octets read at one time.
const READ: usize = 4096;
/// Answers that are written before more are made: small questions have large answers, and a client that does
/// not read must not hold many. One more may be added to it, of at most 64 KiB.
const MOST_OUTPUT: usize = 16 << 10;
/// A length in front of each message (RFC 1035, section 4.2.2).
const PREFIX: usize = 2;

/// The TCP side of the server, running.
pub struct TcpServer {
    stop_tx: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

struct Shared {
    reader: Reader,
    upstream: Option<Arc<Upstream>>,
    limits: TcpLimits,
    connections: Arc<Semaphore>,
    by_client: DashMap<IpAddr, usize>,
}

impl TcpServer {
    /// Answers on bound listeners.
    ///
    /// # Errors
    /// When a listener cannot be given to the runtime.
    pub fn start(
        listeners: Vec<std::net::TcpListener>,
        reader: &Reader,
        upstream: Option<Arc<Upstream>>,
        limits: TcpLimits,
    ) -> io::Result<Self> {
        let (stop_tx, stop_rx) = watch::channel(false);
        let shared = Arc::new(Shared {
            reader: reader.clone(),
            upstream,
            limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            by_client: DashMap::new(),
        });
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            tasks.spawn(accept(listener, Arc::clone(&shared), stop_rx.clone()));
        }
        Ok(Self { stop_tx, tasks })
    }

    /// Stops accepting, lets each connection write what it has, and ends.
    pub async fn stop(mut self) {
        let _ = self.stop_tx.send(true);
        let joined = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(DRAIN, joined).await.is_err() {
            debug!("connections that do not read their replies are cut");
        }
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop_rx: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop_rx.wait_for(|stop| *stop) => break,
            // Ended connections are let go of as others come.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let client = peer.ip().to_canonical();
                if let Some(guard) = admit(&shared, client) {
                    connections.spawn(connection(stream, guard, stop_rx.clone()));
                }
            }
            Err(error) => {
                // Out of files or memory: the connections that are there go on, and one may end.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// A connection's share of the limits; given back when it is dropped.
struct Guard {
    shared: Arc<Shared>,
    client: IpAddr,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

fn admit(shared: &Arc<Shared>, client: IpAddr) -> Option<Guard> {
    let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
        debug!(%client, "closed: too many connections");
        return None;
    };
    let mut held = shared.by_client.entry(client).or_default();
    if *held >= shared.limits.per_client {
        debug!(%client, "closed: too many connections of one client");
        return None;
    }
    *held += 1;
    drop(held);
    Some(Guard { shared: Arc::clone(shared), client, _permit: permit })
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.by_client.remove_if_mut(&self.client, |_, held| {
            *held = held.saturating_sub(1);
            *held == 0
        });
    }
}

async fn connection(stream: TcpStream, guard: Guard, mut stop_rx: watch::Receiver<bool>) {
    let shared = Arc::clone(&guard.shared);
    let _ = stream.set_nodelay(true);
    let mut connection = Connection {
        stream,
        responder: Responder::new(shared.reader.clone()),
        input: Vec::new(),
        output: Vec::new(),
        waiting: JoinSet::new(),
        shared: &shared,
    };
    if let Err(error) = connection.serve(&mut stop_rx).await {
        debug!(client = %guard.client, %error, "connection ended");
    }
}

struct Connection<'s> {
    stream: TcpStream,
    responder: Responder,
    /// What was read and is not answered: less than one message between reads.
    input: Vec<u8>,
    output: Vec<u8>,
    /// Replies that wait for the upstream: they may be overtaken (RFC 7766, section 6.2.1.1).
    waiting: JoinSet<Vec<u8>>,
    shared: &'s Shared,
}

impl Connection<'_> {
    async fn serve(&mut self, stop_rx: &mut watch::Receiver<bool>) -> io::Result<()> {
        let idle = self.shared.limits.idle;
        let mut deadline = Instant::now() + idle;
        let mut closed = false;
        loop {
            if !self.output.is_empty() {
                // A client that does not read holds no more than one read's answers.
                timeout(idle, self.stream.write_all(&self.output)).await??;
                self.output.clear();
                // An idle connection holds no answer's room.
                self.output.shrink_to(READ);
                deadline = Instant::now() + idle;
                // What had no room is answered before more is read.
                self.answer_input();
                if !self.output.is_empty() {
                    continue;
                }
            }
            if closed && self.waiting.is_empty() {
                return Ok(());
            }
            let room = self.waiting.len() < self.shared.limits.pipelined;
            let start = self.input.len();
            self.input.shrink_to(start + READ);
            self.input.resize(start + READ, 0);
            let read = tokio::select! {
                // A stop ends the reading; the replies that are due are still written.
                _ = stop_rx.wait_for(|stop| *stop), if !closed => Ok(0),
                Some(reply) = self.waiting.join_next(), if !self.waiting.is_empty() => {
                    self.input.truncate(start);
                    if let Ok(reply) = reply {
                        push(&mut self.output, &reply);
                    }
                    self.answer_input();
                    continue;
                }
                read = timeout_at(deadline, self.stream.read(&mut self.input[start..])), if room && !closed => {
                    read.unwrap_or(Ok(0))
                }
            };
            let read = read.inspect_err(|_| self.input.truncate(start))?;
            self.input.truncate(start + read);
            if read == 0 {
                closed = true;
                continue;
            }
            self.answer_input();
        }
    }

    /// Answers the whole messages of the input, as long as replies may wait.
    fn answer_input(&mut self) {
        REPLY.with_borrow_mut(|reply| {
            let mut at = 0;
            while self.waiting.len() < self.shared.limits.pipelined && self.output.len() < MOST_OUTPUT {
                let Some(&[high, low]) = self.input[at..].first_chunk::<PREFIX>() else { break };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(packet) = self.input.get(at + PREFIX..at + PREFIX + length) else { break };
                at += PREFIX + length;
                match self.responder.respond(packet, Transport::Tcp, reply) {
                    Reply::Send(length) => push(&mut self.output, &reply[..length]),
                    Reply::Silence => {}
                    Reply::Chase { length, target, rtype, limit } => {
                        let Some(upstream) = &self.shared.upstream else {
                            push(&mut self.output, &reply[..length]);
                            continue;
                        };
                        let chase = Chase {
                            packet: packet.into(),
                            partial: reply[..length].into(),
                            target,
                            rtype,
                            limit,
                        };
                        let upstream = Arc::clone(upstream);
                        self.waiting.spawn(async move { upstream.complete(&chase).await });
                    }
                }
            }
            self.input.drain(..at);
        });
    }
}

thread_local! {
    /// Room for the largest reply: a thread's, for a connection's would be 64 KiB that mostly lie idle.
    static REPLY: RefCell<Vec<u8>> = RefCell::new(vec![0; usize::from(u16::MAX)]);
}

fn push(output: &mut Vec<u8>, reply: &[u8]) {
    if let Ok(length) = u16::try_from(reply.len()) {
        output.extend(length.to_be_bytes());
        output.extend_from_slice(reply);
    }
}
