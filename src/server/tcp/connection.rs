//! One connection, from its first octet to its last: reading, answering, writing, without a buffer while it is idle.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::stateful::Heard;
use super::{Desk, Shared};
use crate::server::admission::{Guard, LAST};
use crate::server::dso::Session;
use crate::server::hold::{ReplyTo, until};
use crate::server::memory::{OWN, Octets, OutOfMemory, Share};
use crate::server::queries::{Asked, QueryCell};
use crate::server::responder::{Reply, Responder, Transport};
use crate::server::tap::{Moment, Seen};
use crate::server::upstream::{Chase, Upstream};
use crate::wire::rcode;

/// Octets read at one time.
pub(super) const READ: usize = 16 << 10;
/// Answers that are written before more are made: small questions have large answers, and a client that does
/// not read must not hold many. One more may be added to it, of at most 64 KiB.
pub(super) const MOST_OUTPUT: usize = 16 << 10;
/// Messages that are answered before other connections have their turn, the most and the least: they are divided among
/// those whose turn was over and who wait for the next one. Who pipelines thousands keeps a new question waiting for as
/// long as 512 of them take, some 400 µs, up to eight such clients together; a client alone has its answers written in
/// large pieces all the same.
const TURN: [usize; 2] = [512, 64];
/// A stateful operation counts as so many messages: it takes a lock that all sessions share.
const OPERATION: usize = 16;
/// Octets that are read count as a message.
const WEIGHT: usize = 256;
/// Messages in a row that were no question (silence or FORMERR), behind which a connection is closed: its client does
/// not speak DNS, or has lost count of the octets.
const MOST_GARBAGE: usize = 4;
/// A length in front of each message (RFC 1035, section 4.2.2).
const PREFIX: usize = 2;
/// What a connection may hold unanswered: a message that is not whole yet, and what was read behind it.
const MOST_INPUT: usize = PREFIX + u16::MAX as usize + READ;

/// TCP, or what goes over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

#[cfg(feature = "tls")]
impl Stream for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Answers until the end; the stream, where it can still be written to.
pub(super) async fn serve<S: Stream>(
    stream: S,
    shared: &Arc<Shared>,
    guard: &Guard,
    mut stop_rx: watch::Receiver<bool>,
) -> Option<S> {
    let (input, output) = (Vec::new(), Vec::new());
    let client = stream.tcp().peer_addr().ok().map(|client| client.ip());
    let mut connection = Connection {
        stream,
        client,
        input,
        output,
        unflushed: false,
        waiting: None,
        session: None,
        rests: None,
        held: None,
        share: None,
        spent: 0,
        turn: TURN[0],
        garbage: 0,
        shared,
        guard,
    };
    match connection.serve(&mut stop_rx).await {
        Ok(()) => Some(connection.stream),
        Err(error) => {
            debug!(client = %guard.client, %error, "connection ended");
            None
        }
    }
}

/// Small while it is idle: no buffer has room then, and nothing is allocated beside it.
pub(super) struct Connection<'s, S> {
    pub(super) stream: S,
    /// Who may be told more or less than others.
    client: Option<IpAddr>,
    /// What was read and is not answered: less than one message, unless its turn is over.
    input: Vec<u8>,
    /// What the client was not ready to take.
    pub(super) output: Vec<u8>,
    /// TLS has taken octets that the client was not ready to take.
    unflushed: bool,
    /// Replies that wait for the upstream or a replica: they may be overtaken (RFC 7766, section 6.2.1.1).
    pub(super) waiting: Option<JoinSet<Completed>>,
    /// From its first stateful operation on.
    pub(super) session: Option<Box<Session>>,
    /// Its client asks for operations too fast, and is not listened to until then.
    pub(super) rests: Option<Instant>,
    /// Of the memory of all connections: what the two buffers have, once that is more than its own.
    held: Option<Octets>,
    /// There from the first octets that are held.
    share: Option<Arc<Share>>,
    /// Of its turn.
    spent: usize,
    /// See [`TURN`].
    turn: usize,
    /// Messages in a row that were no question.
    garbage: usize,
    pub(super) shared: &'s Arc<Shared>,
    pub(super) guard: &'s Guard,
}

/// A reply that has waited, with what it holds.
type Completed = Result<(Vec<u8>, Octets), OutOfMemory>;

/// What was done of what was read.
#[derive(Default)]
struct Answered {
    /// Octets.
    used: usize,
    messages: usize,
    replies: u64,
    /// There may be more, which has to wait.
    more: bool,
}

/// What happened to a connection.
#[derive(Default)]
pub(super) struct Turn {
    /// The client will say nothing more, or is not listened to any more.
    ended: bool,
    wrote: bool,
    /// There may be more to answer in what was read.
    more: bool,
}

impl Turn {
    const END: Self = Self { ended: true, wrote: false, more: false };

    /// Nothing was read.
    pub(super) fn wrote(wrote: bool) -> Self {
        Self { ended: false, wrote, more: false }
    }
}

impl<S: Stream> Connection<'_, S> {
    async fn serve(&mut self, stop_rx: &mut watch::Receiver<bool>) -> io::Result<()> {
        let mut idle = self.shared.limits().idle;
        let mut deadline = Instant::now() + idle;
        let (mut closed, mut more, mut stopping) = (false, false, false);
        loop {
            if self.spent >= self.turn {
                self.spent = 0;
                let _place = InTurn::among(&self.shared.in_turn);
                yield_now().await;
            }
            // What was read waits until there is room for what it asks for.
            // Read once: between two looks at the clock it would rest by the one and not by the other, and sleep.
            let rest = self.rest();
            let held_back = more && (rest.is_some() || self.is_crowded());
            let others = self.shared.in_turn.load(Ordering::Relaxed);
            self.turn = (TURN[0] / (1 + others)).max(TURN[1]);
            let turn = if !self.output.is_empty() || self.unflushed {
                // A client that does not read holds no more than one turn's answers.
                timeout(idle, self.write_out()).await.inspect_err(|_| self.guard.count_idle())??;
                // What had no room is answered before more is read.
                Turn { wrote: true, more: true, ended: false }
            } else if more && !held_back {
                let shared = self.shared;
                poll_fn(|cx| Poll::Ready(shared.at_desk(|desk| self.answer_read(cx, desk, 0)))).await?
            } else if closed && self.waiting.is_none() {
                return Ok(());
            } else if stopping && !closed && Instant::now() >= deadline {
                Turn::END
            } else {
                let reads = !closed
                    && !held_back
                    && rest.is_none()
                    && self.in_waiting() < self.shared.limits().pipelined;
                // A session has times of its own, and is cut when they are over (RFC 8490, section 6).
                let session = self.session.as_ref().filter(|_| !stopping).map(|session| session.deadline());
                if session.is_some_and(|deadline| Instant::now() >= deadline) {
                    if self.session.as_mut().is_some_and(|session| session.speak()) {
                        continue;
                    }
                    self.session.iter().for_each(|session| session.expire());
                    return Err(self.abort("the client of a session was silent for too long, or did not go"));
                }
                let until = session.unwrap_or(deadline);
                tokio::select! {
                    biased;
                    // A stop soon ends the reading; the replies that are due are still written.
                    _ = stop_rx.wait_for(|stop| *stop), if !closed && !stopping => {
                        stopping = true;
                        deadline = Instant::now() + 2 * LAST;
                        continue;
                    }
                    turn = poll_fn(|cx| self.poll_turn(cx, reads)) => turn?,
                    () = sleep_until(rest.unwrap_or(until)), if rest.is_some() => continue,
                    () = sleep_until(until), if session.is_some() => continue,
                    () = sleep_until(until), if reads && session.is_none() => {
                        self.guard.count_idle();
                        Turn::END
                    }
                }
            };
            closed |= turn.ended;
            more = turn.more || held_back;
            if turn.wrote && !stopping {
                idle = self.shared.limits().idle;
                deadline = Instant::now() + idle;
            }
        }
    }

    /// Writes what is left over.
    async fn write_out(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output).await?;
        self.output = Vec::new();
        self.account()?;
        self.stream.flush().await?;
        self.unflushed = false;
        Ok(())
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
                match reply {
                    Ok(Ok((reply, _held))) => push(&mut self.output, &reply),
                    Ok(Err(error)) => return Poll::Ready(Err(self.out_of_memory(error))),
                    // Of one that panicked there is none.
                    Err(_) => {}
                }
            }
            if waiting.is_empty() {
                self.waiting = None;
            }
            if more {
                self.account()?;
                return Poll::Ready(Ok(Turn { more, ..Turn::default() }));
            }
        }
        if let Poll::Ready(turn) = self.poll_pushes(cx) {
            return Poll::Ready(turn);
        }
        if !reads {
            return Poll::Pending;
        }
        let shared = self.shared;
        shared.at_desk(|desk| {
            // Where memory is short, no more than what a connection has for its own; one whose message needs more asks
            // for it below.
            let room = match (OWN / 2).checked_sub(self.input.len()) {
                Some(room @ 1..) if shared.memory.is_short() => room,
                _ => READ,
            };
            let mut input = ReadBuf::new(&mut desk.input[..room]);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut input)) {
                // The end of a client that does not say so (TLS without close_notify): messages have their own lengths.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                read => read?,
            }
            let fresh = input.filled().len();
            let turn = self.answer_read(cx, desk, fresh)?;
            Poll::Ready(Ok(Turn { ended: turn.ended || fresh == 0, ..turn }))
        })
    }

    /// Answers the whole messages of what is unanswered and of the octets that were read just now, and writes what the
    /// client takes at once: one write for all. What is left over stays with the connection.
    fn answer_read(&mut self, cx: &mut Context<'_>, desk: &mut Desk, fresh: usize) -> io::Result<Turn> {
        let began = std::time::Instant::now();
        let Desk { responder, input, reply, output, cell } = desk;
        let fresh = &input[..fresh];
        let answered = if self.input.is_empty() {
            let answered = self.answer(fresh, responder, reply, output, cell)?;
            keep(&mut self.input, &fresh[answered.used..]);
            answered
        } else {
            keep(&mut self.input, fresh);
            let mut input = std::mem::take(&mut self.input);
            let answered = self.answer(&input, responder, reply, output, cell)?;
            if answered.used < input.len() {
                input.drain(..answered.used);
                if input.capacity() > OWN.max(2 * input.len()) {
                    input.shrink_to_fit();
                }
                self.input = input;
            }
            answered
        };
        self.spent += answered.messages + fresh.len() / WEIGHT;
        let written = self.write(cx, output);
        cell.took(began, answered.replies);
        let written = written?;
        self.output.extend_from_slice(&output[written..]);
        let ended = self.garbage >= MOST_GARBAGE && answered.messages > 0;
        if ended {
            self.guard.count_garbage();
            self.input = Vec::new();
        }
        self.account()?;
        Ok(Turn { ended, wrote: written > 0, more: answered.more && !ended })
    }

    /// Holds as many octets as the buffers have room for, of the memory of all; where there are not, this is the end.
    pub(super) fn account(&mut self) -> io::Result<()> {
        let room = self.input.capacity() + self.output.capacity();
        if room <= OWN {
            self.held = None;
            if self.waiting.is_none() {
                self.share = None;
            }
            return Ok(());
        }
        let share = self.share.get_or_insert_with(|| Share::new(&self.shared.memory));
        let set = self.held.get_or_insert_with(|| share.hold_nothing()).set(room);
        set.map_err(|error| self.out_of_memory(error))
    }

    fn out_of_memory(&self, error: OutOfMemory) -> io::Error {
        self.guard.count_out_of_memory();
        io::Error::new(io::ErrorKind::OutOfMemory, error)
    }

    /// Writes as much as the client takes at once.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, output: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < output.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &output[written..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(octets) => written += octets,
                Poll::Pending => break,
            }
        }
        if written > 0 {
            self.unflushed = match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(flushed) => flushed.map(|()| false)?,
                Poll::Pending => true,
            };
        }
        Ok(written)
    }

    /// Answers whole messages, as long as replies may wait and this is the connection's turn.
    fn answer(
        &mut self,
        input: &[u8],
        responder: &mut Responder,
        reply: &mut [u8],
        output: &mut Vec<u8>,
        cell: &QueryCell,
    ) -> io::Result<Answered> {
        let (mut done, transport) = (Answered::default(), self.shared.transport);
        let (moment, pipelined) = (self.shared.tap.asked(), self.shared.limits().pipelined);
        // What is left over where memory is short shall have room in what is the connection's own.
        let most = if self.shared.memory.is_short() { OWN / 4 } else { MOST_OUTPUT };
        while self.in_waiting() < pipelined && self.garbage < MOST_GARBAGE {
            if output.len() >= most || done.messages >= self.turn || self.is_crowded() {
                done.more = true;
                break;
            }
            let Some(&[high, low]) = input[done.used..].first_chunk::<PREFIX>() else { break };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let begin = done.used + PREFIX;
            let Some(packet) = input.get(begin..begin + length) else { break };
            done.used = begin + length;
            done.messages += 1;
            match self.stateful(packet, output)? {
                Heard::Question => {}
                Heard::Operation => {
                    done.messages += OPERATION - 1;
                    self.garbage = 0;
                    continue;
                }
                Heard::Garbage => {
                    self.garbage += 1;
                    continue;
                }
            }
            let (answer, asked) = responder.pin().respond_and_tell(packet, transport, self.client, reply);
            let Some(asked) = asked else {
                self.garbage += 1;
                continue;
            };
            let upstream = match &answer {
                Reply::Chase { .. } => self.shared.upstream.get(),
                _ => None,
            };
            match (answer, upstream) {
                (Reply::Silence, _) => {}
                (Reply::Chase { length, target, rtype, limit, answers }, Some(upstream)) => {
                    self.garbage = 0;
                    let (packet, partial) = (packet.into(), reply[..length].into());
                    let chase = Chase { packet, partial, target, rtype, limit, answers };
                    self.wait_for(upstream, asked, moment, chase)?;
                }
                // The last place is for a question that is answered: what is held would stop the reading.
                (Reply::Held { longest, .. }, _)
                    if self.in_waiting() + 1 < pipelined && self.hold(packet, longest, asked, moment)? =>
                {
                    self.garbage = 0;
                }
                (Reply::Send(length) | Reply::Chase { length, .. } | Reply::Held { length, .. }, _) => {
                    let is_garbage = reply.get(3).is_some_and(|low| u16::from(low & 15) == rcode::FORMERR);
                    self.garbage = if is_garbage { self.garbage + 1 } else { 0 };
                    let length = transport.pad(reply, length);
                    push(output, &reply[..length]);
                    cell.count(asked, packet.len(), reply, length);
                    self.show(moment, packet, &reply[..length]);
                    done.replies += 1;
                }
            }
        }
        Ok(done)
    }

    /// Has a reply completed by the upstream, which others may overtake.
    fn wait_for(
        &mut self,
        upstream: Arc<Upstream>,
        asked: Asked,
        moment: Option<Moment>,
        chase: Chase,
    ) -> io::Result<()> {
        let share = self.share.get_or_insert_with(|| Share::new(&self.shared.memory));
        let held = share.hold(chase.packet.len() + chase.partial.len());
        let mut held = held.map_err(|error| self.out_of_memory(error))?;
        let (shared, began) = (Arc::clone(self.shared), std::time::Instant::now());
        let ends = moment.and_then(|moment| Some((moment, self.ends()?)));
        self.waiting.get_or_insert_with(JoinSet::new).spawn(async move {
            let reply = shared.transport.padded(upstream.complete(&chase).await);
            let late = shared.counters.queries().late();
            late.count_late(asked, chase.packet.len(), &reply, began);
            if let Some((moment, ends)) = ends {
                shared.tap.show([ends.seen(moment, &chase.packet, &reply)].into_iter());
            }
            held.set(reply.len()).map(|()| (reply, held))
        });
        Ok(())
    }

    /// Has a question wait for a replica, while others overtake it. False where it may not.
    fn hold(
        &mut self,
        packet: &[u8],
        longest: Duration,
        asked: Asked,
        moment: Option<Moment>,
    ) -> io::Result<bool> {
        let shared = self.shared;
        let (Some(room), Some(ends)) = (&shared.room, self.ends()) else { return Ok(false) };
        let (shared, began) = (Arc::clone(shared), std::time::Instant::now());
        let (reply_tx, reply_rx) = oneshot::channel();
        let to = || ReplyTo::Stream(reply_tx);
        if !room.let_in(packet, shared.transport, ends.client, until(began, longest), to) {
            return Ok(false);
        }
        let share = self.share.get_or_insert_with(|| Share::new(&self.shared.memory));
        let mut held = share.hold(packet.len()).map_err(|error| self.out_of_memory(error))?;
        let packet: Box<[u8]> = packet.into();
        self.waiting.get_or_insert_with(JoinSet::new).spawn(async move {
            // Nothing where the one who keeps it ended over it.
            let reply = shared.transport.padded(reply_rx.await.unwrap_or_default());
            if !reply.is_empty() {
                shared.counters.queries().late().count_held(asked, packet.len(), &reply);
                if let Some(moment) = moment {
                    shared.tap.show([ends.seen(moment, &packet, &reply)].into_iter());
                }
            }
            held.set(reply.len()).map(|()| (reply, held))
        });
        Ok(true)
    }

    /// Shows a reply to those who watch, if there are any.
    fn show(&self, asked: Option<Moment>, query: &[u8], reply: &[u8]) {
        if let Some((asked, ends)) = asked.and_then(|asked| Some((asked, self.ends()?))) {
            self.shared.tap.show([ends.seen(asked, query, reply)].into_iter());
        }
    }

    /// Asked of the kernel when somebody watches: most of the time an idle connection would hold them for nobody.
    fn ends(&self) -> Option<Ends> {
        let (stream, transport) = (self.stream.tcp(), self.shared.transport);
        Some(Ends { transport, client: stream.peer_addr().ok()?, server: stream.local_addr().ok() })
    }

    /// Questions that wait for the upstream or a replica.
    fn in_waiting(&self) -> usize {
        self.waiting.as_ref().map_or(0, JoinSet::len)
    }
}

/// Both ends of a connection.
struct Ends {
    transport: Transport,
    client: SocketAddr,
    server: Option<SocketAddr>,
}

impl Ends {
    fn seen<'a>(&self, asked: Moment, query: &'a [u8], reply: &'a [u8]) -> Seen<'a> {
        let Self { transport, client, server } = *self;
        Seen { transport, client, server, asked, query, reply }
    }
}

/// One of the connections that have had their turn and wait for the next one.
struct InTurn<'c>(&'c AtomicUsize);

impl<'c> InTurn<'c> {
    fn among(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InTurn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds octets to what is not answered yet, which grows by doubling, but never takes more room than it may have.
fn keep(input: &mut Vec<u8>, fresh: &[u8]) {
    let needed = input.len() + fresh.len();
    if needed > input.capacity() {
        // What can be its own stays so.
        let most = if needed <= OWN / 2 { OWN / 2 } else { MOST_INPUT };
        let room = needed.max((2 * input.capacity()).min(most));
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
