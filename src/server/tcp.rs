//! TCP (RFC 7766): several questions a connection, answered as they come; what a client may hold is bounded.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::UpstreamSlot;
use super::queries::QueryCell;
use super::responder::{Reply, Responder, Transport};
use super::tap::{Moment, Seen, Tap};
use super::tcp_counters::TcpCounters;
use super::upstream::Chase;
use crate::zone::Reader;

/// What clients may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at one time; more are closed as they come.
    pub connections: usize,
    /// The same for one address, or the /64 of a global IPv6 one.
    pub per_client: usize,
    /// How long a connection may be silent, or leave a reply unread.
    pub idle: Duration,
    /// Questions of one connection that wait for the upstream.
    pub pipelined: usize,
}

/// How long a stop waits for clients to take their replies.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a stop goes on taking connections that the kernel has accepted already, and as long again questions that are
/// on their way: what arrived before it is answered.
const LAST: Duration = Duration::from_millis(50);
/// Octets read at one time.
const READ: usize = 16 << 10;
/// Answers that are written before more are made: small questions have large answers, and a client that does
/// not read must not hold many. One more may be added to it, of at most 64 KiB.
const MOST_OUTPUT: usize = 16 << 10;
/// A length in front of each message (RFC 1035, section 4.2.2).
const PREFIX: usize = 2;
/// What a connection may hold unanswered: a message that is not whole yet, and what was read behind it.
const MOST_INPUT: usize = PREFIX + u16::MAX as usize + READ;

/// The TCP side of the server, running.
pub struct TcpServer {
    shared: Arc<Shared>,
    stop_tx: watch::Sender<bool>,
    tasks: JoinSet<()>,
    counters: TcpCounters,
}

struct Shared {
    reader: Reader,
    upstream: UpstreamSlot,
    /// A reload replaces them.
    limits: ArcSwap<TcpLimits>,
    tap: Tap,
    counters: TcpCounters,
    /// Connections that are open.
    open: AtomicUsize,
    by_client: DashMap<IpAddr, usize>,
    /// As many as were in use at one time, which is one a worker of the runtime.
    desks: Mutex<Vec<Desk>>,
}

/// All that it takes to answer what was read from a connection. They are the server's and not the connection's: an idle
/// one holds no buffer, and there are ten thousand of those.
struct Desk {
    responder: Box<Responder>,
    input: Box<[u8]>,
    reply: Box<[u8]>,
    output: Vec<u8>,
    /// Its own: who is at the desk is the one writer.
    cell: Arc<QueryCell>,
}

impl Shared {
    fn limits(&self) -> TcpLimits {
        **self.limits.load()
    }

    /// Works at a desk, without waiting for anything. One that panics there leaves none behind.
    fn at_desk<T>(&self, work: impl FnOnce(&mut Desk) -> T) -> T {
        let desks = || self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let free = desks().pop();
        let mut desk = free.unwrap_or_else(|| Desk {
            responder: Box::new(Responder::new(self.reader.clone())),
            input: vec![0; READ].into(),
            reply: vec![0; usize::from(u16::MAX)].into(),
            output: Vec::new(),
            cell: self.counters.queries().cell(),
        });
        let done = work(&mut desk);
        desk.output.clear();
        desks().push(desk);
        done
    }
}

impl TcpServer {
    /// Answers on bound listeners.
    ///
    /// # Errors
    /// When a listener cannot be given to the runtime.
    pub fn start(
        listeners: Vec<std::net::TcpListener>,
        reader: &Reader,
        upstream: &UpstreamSlot,
        limits: TcpLimits,
        tap: &Tap,
    ) -> io::Result<Self> {
        let (stop_tx, stop_rx) = watch::channel(false);
        let counters = TcpCounters::new(limits.connections);
        let shared = Arc::new(Shared {
            reader: reader.clone(),
            upstream: upstream.clone(),
            limits: ArcSwap::from_pointee(limits),
            tap: tap.clone(),
            counters: counters.clone(),
            open: AtomicUsize::new(0),
            by_client: DashMap::new(),
            desks: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            tasks.spawn(accept(listener, Arc::clone(&shared), stop_rx.clone()));
        }
        Ok(Self { shared, stop_tx, tasks, counters })
    }

    /// What is counted, for as long as somebody wants to know.
    #[must_use]
    pub fn counters(&self) -> TcpCounters {
        self.counters.clone()
    }

    /// Replaces the limits. Connections that are open stay, even where they are too many now; they go by the new limits
    /// from their next reply on.
    pub fn set_limits(&self, limits: TcpLimits) {
        self.shared.limits.store(Arc::new(limits));
        self.counters.set_limit(limits.connections);
    }

    /// Answers what arrived, stops accepting, lets each connection write what it has, and ends.
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
    let mut end = None;
    while end.is_none_or(|end| Instant::now() < end) {
        let accepted = tokio::select! {
            biased;
            _ = stop_rx.wait_for(|stop| *stop), if end.is_none() => {
                end = Some(Instant::now() + LAST);
                continue;
            }
            // Ended connections are let go of as others come.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let client = client_of(peer.ip());
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
    // Closed first: a client that comes now is refused, and asks another server at once.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Who holds a connection. On the Internet a machine has an IPv6 /64 to itself (RFC 6177), and each of its addresses for
/// the asking; within a cluster a /64 is a node's pods, or all there are, so that there each address counts (unique local
/// and link-local ones, RFC 4193 and 4291).
fn client_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unique_local() && !v6.is_unicast_link_local() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

/// A connection's share of the limits; given back when it is dropped.
struct Guard {
    shared: Arc<Shared>,
    client: IpAddr,
}

fn admit(shared: &Arc<Shared>, client: IpAddr) -> Option<Guard> {
    let limits = shared.limits();
    if shared.open.fetch_add(1, Ordering::Relaxed) >= limits.connections {
        shared.open.fetch_sub(1, Ordering::Relaxed);
        debug!(%client, "closed: too many connections");
        shared.counters.refused_connection();
        return None;
    }
    let mut held = shared.by_client.entry(client).or_default();
    if *held >= limits.per_client {
        drop(held);
        shared.open.fetch_sub(1, Ordering::Relaxed);
        debug!(%client, "closed: too many connections of one client");
        shared.counters.refused_client();
        return None;
    }
    *held += 1;
    drop(held);
    shared.counters.accepted();
    Some(Guard { shared: Arc::clone(shared), client })
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.shared.by_client.remove_if_mut(&self.client, |_, held| {
            *held = held.saturating_sub(1);
            *held == 0
        });
        self.shared.counters.ended();
    }
}

async fn connection(stream: TcpStream, guard: Guard, mut stop_rx: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let mut connection =
        Connection { stream, input: Vec::new(), output: Vec::new(), waiting: None, shared: &guard.shared };
    if let Err(error) = connection.serve(&mut stop_rx).await {
        debug!(client = %guard.client, %error, "connection ended");
    }
}

/// Small while it is idle: no buffer has room then, and nothing is allocated beside it.
struct Connection<'s> {
    stream: TcpStream,
    /// What was read and is not answered: less than one message between reads.
    input: Vec<u8>,
    /// What the client was not ready to take.
    output: Vec<u8>,
    /// Replies that wait for the upstream: they may be overtaken (RFC 7766, section 6.2.1.1).
    waiting: Option<JoinSet<Vec<u8>>>,
    shared: &'s Arc<Shared>,
}

/// What happened to a connection.
#[derive(Default)]
struct Turn {
    /// The client will say nothing more, or is not listened to any more.
    ended: bool,
    wrote: bool,
    /// There may be more to answer in what was read.
    more: bool,
}

impl Turn {
    const END: Self = Self { ended: true, wrote: false, more: false };
}

impl Connection<'_> {
    async fn serve(&mut self, stop_rx: &mut watch::Receiver<bool>) -> io::Result<()> {
        let mut idle = self.shared.limits().idle;
        let mut deadline = Instant::now() + idle;
        let (mut closed, mut more, mut stopping) = (false, false, false);
        loop {
            let turn = if !self.output.is_empty() {
                // A client that does not read holds no more than one turn's answers.
                let written = timeout(idle, self.stream.write_all(&self.output)).await;
                written.inspect_err(|_| self.shared.counters.idle_closed())??;
                self.output = Vec::new();
                // What had no room is answered before more is read.
                Turn { wrote: true, more: true, ended: false }
            } else if more {
                // One client's thousand questions are not all answered before another's first.
                tokio::task::consume_budget().await;
                self.shared.at_desk(|desk| self.answer_read(desk, 0))?
            } else if closed && self.waiting.is_none() {
                return Ok(());
            } else if stopping && !closed && Instant::now() >= deadline {
                Turn::END
            } else {
                let reads = !closed && self.in_waiting() < self.shared.limits().pipelined;
                tokio::select! {
                    biased;
                    // A stop soon ends the reading; the replies that are due are still written.
                    _ = stop_rx.wait_for(|stop| *stop), if !closed && !stopping => {
                        stopping = true;
                        deadline = Instant::now() + 2 * LAST;
                        continue;
                    }
                    turn = poll_fn(|cx| self.poll_turn(cx, reads)) => turn?,
                    () = sleep_until(deadline), if reads => {
                        self.shared.counters.idle_closed();
                        Turn::END
                    }
                }
            };
            closed |= turn.ended;
            more = turn.more;
            if turn.wrote && !stopping {
                idle = self.shared.limits().idle;
                deadline = Instant::now() + idle;
            }
        }
    }

    /// Takes the replies that waited and are there, or reads and answers. The buffer to read into is taken when there
    /// is something to read, and given back: a future that waits for octets would hold it for as long.
    fn poll_turn(&mut self, cx: &mut Context<'_>, reads: bool) -> Poll<io::Result<Turn>> {
        if let Some(waiting) = &mut self.waiting {
            let mut more = false;
            while self.output.len() < MOST_OUTPUT
                && let Poll::Ready(Some(reply)) = waiting.poll_join_next(cx)
            {
                more = true;
                // Of one that panicked there is none.
                push(&mut self.output, &reply.unwrap_or_default());
            }
            if waiting.is_empty() {
                self.waiting = None;
            }
            if more {
                return Poll::Ready(Ok(Turn { more, ..Turn::default() }));
            }
        }
        if !reads {
            return Poll::Pending;
        }
        let shared = self.shared;
        shared.at_desk(|desk| {
            let mut input = ReadBuf::new(&mut desk.input);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut input))?;
            let fresh = input.filled().len();
            let turn = self.answer_read(desk, fresh)?;
            Poll::Ready(Ok(Turn { ended: fresh == 0, ..turn }))
        })
    }

    /// Answers the whole messages of what is unanswered and of the octets that were read just now, and writes what the
    /// client takes at once: one write for all. What is left over stays with the connection.
    fn answer_read(&mut self, desk: &mut Desk, fresh: usize) -> io::Result<Turn> {
        let began = std::time::Instant::now();
        let Desk { responder, input, reply, output, cell } = desk;
        let fresh = &input[..fresh];
        let (used, replies);
        if self.input.is_empty() {
            (used, replies) = self.answer(fresh, responder, reply, output, cell);
            keep(&mut self.input, &fresh[used..]);
        } else {
            keep(&mut self.input, fresh);
            let mut input = std::mem::take(&mut self.input);
            (used, replies) = self.answer(&input, responder, reply, output, cell);
            if used < input.len() {
                input.drain(..used);
                self.input = input;
            }
        }
        let mut written = 0;
        while written < output.len() {
            match self.stream.try_write(&output[written..]) {
                Ok(octets) => written += octets,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    cell.took(began, replies);
                    return Err(error);
                }
            }
        }
        cell.took(began, replies);
        self.output.extend_from_slice(&output[written..]);
        Ok(Turn { ended: false, wrote: written > 0, more: output.len() >= MOST_OUTPUT })
    }

    /// Answers whole messages, as long as replies may wait; gives how many octets they were, and how many replies are
    /// made.
    fn answer(
        &mut self,
        input: &[u8],
        responder: &mut Responder,
        reply: &mut [u8],
        output: &mut Vec<u8>,
        cell: &QueryCell,
    ) -> (usize, u64) {
        let (mut at, mut replies) = (0, 0);
        let (moment, pipelined) = (self.shared.tap.asked(), self.shared.limits().pipelined);
        while self.in_waiting() < pipelined && output.len() < MOST_OUTPUT {
            let Some(&[high, low]) = input[at..].first_chunk::<PREFIX>() else { break };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some(packet) = input.get(at + PREFIX..at + PREFIX + length) else { break };
            at += PREFIX + length;
            let (answer, asked) = responder.pin().respond_and_tell(packet, Transport::Tcp, reply);
            let Some(asked) = asked else { continue };
            match answer {
                Reply::Send(length) => {
                    push(output, &reply[..length]);
                    cell.count(asked, packet.len(), reply, length);
                    self.show(moment, packet, &reply[..length]);
                    replies += 1;
                }
                Reply::Silence => {}
                Reply::Chase { length, target, rtype, limit } => {
                    let Some(upstream) = self.shared.upstream.get() else {
                        push(output, &reply[..length]);
                        cell.count(asked, packet.len(), reply, length);
                        self.show(moment, packet, &reply[..length]);
                        replies += 1;
                        continue;
                    };
                    let (packet, partial) = (packet.into(), reply[..length].into());
                    let chase = Chase { packet, partial, target, rtype, limit };
                    let (shared, began) = (Arc::clone(self.shared), std::time::Instant::now());
                    let ends = moment.and_then(|moment| Some((moment, self.ends()?)));
                    let waiting = self.waiting.get_or_insert_with(JoinSet::new);
                    waiting.spawn(async move {
                        let reply = upstream.complete(&chase).await;
                        let late = shared.counters.queries().late();
                        late.count_late(asked, chase.packet.len(), &reply, began);
                        if let Some((moment, ends)) = ends {
                            shared.tap.show([ends.seen(moment, &chase.packet, &reply)].into_iter());
                        }
                        reply
                    });
                }
            }
        }
        (at, replies)
    }

    /// Shows a reply to those who watch, if there are any.
    fn show(&self, asked: Option<Moment>, query: &[u8], reply: &[u8]) {
        if let Some((asked, ends)) = asked.and_then(|asked| Some((asked, self.ends()?))) {
            self.shared.tap.show([ends.seen(asked, query, reply)].into_iter());
        }
    }

    /// Asked of the kernel when somebody watches: most of the time an idle connection would hold them for nobody.
    fn ends(&self) -> Option<Ends> {
        Some(Ends { client: self.stream.peer_addr().ok()?, server: self.stream.local_addr().ok() })
    }

    /// Questions that wait for the upstream.
    fn in_waiting(&self) -> usize {
        self.waiting.as_ref().map_or(0, JoinSet::len)
    }
}

/// Both ends of a connection.
struct Ends {
    client: SocketAddr,
    server: Option<SocketAddr>,
}

impl Ends {
    fn seen<'a>(&self, asked: Moment, query: &'a [u8], reply: &'a [u8]) -> Seen<'a> {
        Seen { transport: Transport::Tcp, client: self.client, server: self.server, asked, query, reply }
    }
}

/// Adds octets to what is not answered yet, which grows by doubling, but never takes more room than it may have.
fn keep(input: &mut Vec<u8>, fresh: &[u8]) {
    let needed = input.len() + fresh.len();
    if needed > input.capacity() {
        let room = needed.max((2 * input.capacity()).min(MOST_INPUT));
        input.reserve_exact(room - input.len());
    }
    input.extend_from_slice(fresh);
}

fn push(output: &mut Vec<u8>, reply: &[u8]) {
    if let Some(length) = u16::try_from(reply.len()).ok().filter(|length| *length > 0) {
        output.extend(length.to_be_bytes());
        output.extend_from_slice(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_global_64() {
        let of = |text: &str| client_of(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        // Pods of one node.
        assert_eq!(of("fd00:10:244::7"), "fd00:10:244::7");
        assert_eq!(of("fe80::7"), "fe80::7");
    }

    #[test]
    fn what_is_not_answered_has_room_for_a_message_and_a_read_and_no_more() {
        let mut input = Vec::new();
        while input.len() + READ <= MOST_INPUT {
            keep(&mut input, &[0; READ]);
            assert!(input.capacity() <= MOST_INPUT, "{}", input.capacity());
        }
        assert!(input.len() + READ > usize::from(u16::MAX));
        let mut small = Vec::new();
        keep(&mut small, &[0; 20]);
        assert_eq!(small.capacity(), 20);
    }
}
