//! DNS over QUIC (RFC 9250) by quinn: a stream a question, behind our own bounds on what a client may hold.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, RecvStream, SendStream, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::address::{EncryptedLimits, StreamLimits, TlsVersion};
use super::certificates::Certificates;
use super::exchange::{Ends, Exchange};
use crate::server::admission::{Admission, Guard};
use crate::server::memory::{Octets, OutOfMemory, Share, StreamMemory};
use crate::server::responder::Transport;
use crate::server::tap::Tap;
use crate::server::tcp_counters::TcpCounters;
use crate::server::upstream::UpstreamSlot;
use crate::wire::has_option;
use crate::zone::Reader;

/// How long a stop waits for clients to take their replies.
const DRAIN: Duration = Duration::from_secs(1);
/// A length in front of each message (RFC 9250, section 4.2).
const PREFIX: usize = 2;
/// Replies of one connection that are made and not acknowledged: a client that does not read must not hold many. Its
/// other questions wait, each of at most [`EncryptedLimits::question`] octets.
const MOST_REPLIES: usize = 8;
/// Octets of one connection that are sent and not acknowledged, or received and not read.
const WINDOW: u32 = 64 << 10;
/// Octets of strangers that wait for their connection to be accepted, of one and of all.
const WAITING: [u64; 2] = [16 << 10, 4 << 20];
/// EDNS TCP keepalive (RFC 7828), which has no place here (RFC 9250, section 5.5.2).
const TCP_KEEPALIVE: u16 = 11;

/// What the end of a connection or a stream says (RFC 9250, section 4.3).
mod code {
    use quinn::VarInt;

    pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0);
    pub(super) const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
    pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
}

/// The QUIC side of the server, running.
pub struct QuicServer {
    endpoints: Vec<Endpoint>,
    stop_tx: watch::Sender<bool>,
    tasks: JoinSet<()>,
    counters: TcpCounters,
}

/// What connections share.
struct Shared {
    exchange: Exchange,
    admission: Arc<Admission>,
    limits: StreamLimits,
    handshake: Duration,
    question: usize,
    memory: StreamMemory,
}

impl QuicServer {
    /// Answers on bound sockets. Within a tokio runtime.
    ///
    /// # Errors
    /// When a socket cannot be given to the runtime, or TLS cannot be set up.
    pub fn start(
        sockets: Vec<UdpSocket>,
        certificates: &Arc<Certificates>,
        reader: &Reader,
        upstream: &UpstreamSlot,
        tap: &Tap,
        limits: EncryptedLimits,
        memory: &StreamMemory,
    ) -> io::Result<Self> {
        let tls = certificates.config(TlsVersion::Tls13, &[b"doq"]).map_err(io::Error::other)?;
        let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config
            .transport_config(Arc::new(transport(&limits.quic)?))
            .max_incoming(limits.quic.connections)
            .incoming_buffer_size(WAITING[0])
            .incoming_buffer_size_total(WAITING[1]);
        let counters = TcpCounters::new(limits.quic.connections);
        let shared = Arc::new(Shared {
            exchange: Exchange::new(reader, upstream, tap, Transport::Quic, counters.clone()),
            admission: Admission::new(limits.quic.connections, limits.quic.per_client),
            limits: limits.quic,
            handshake: limits.handshake,
            question: limits.question,
            memory: memory.clone(),
        });
        let stop_tx = watch::Sender::new(false);
        let (mut tasks, mut endpoints) = (JoinSet::new(), Vec::new());
        for socket in sockets {
            socket.set_nonblocking(true)?;
            let config = Some(config.clone());
            let endpoint = Endpoint::new(EndpointConfig::default(), config, socket, Arc::new(TokioRuntime))?;
            tasks.spawn(accept(endpoint.clone(), Arc::clone(&shared), stop_tx.subscribe()));
            endpoints.push(endpoint);
        }
        Ok(Self { endpoints, stop_tx, tasks, counters })
    }

    /// What is counted of its connections.
    #[must_use]
    pub fn counters(&self) -> TcpCounters {
        self.counters.clone()
    }

    /// Stops accepting, lets each connection write what it has, and ends.
    pub async fn stop(mut self) {
        let _ = self.stop_tx.send(true);
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            // The last packets, which say that it is the end.
            for endpoint in &self.endpoints {
                endpoint.wait_idle().await;
            }
        };
        let _ = timeout(2 * DRAIN, ended).await;
        self.tasks.shutdown().await;
    }
}

fn transport(limits: &StreamLimits) -> io::Result<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(limits.streams.into())
        // Questions come on streams that can be answered.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(u32::from(u16::MAX).into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        // Behind ours, which says that it is the end: this one is for clients that are gone.
        .max_idle_timeout(Some(IdleTimeout::try_from(limits.idle + 2 * DRAIN).map_err(io::Error::other)?));
    Ok(transport)
}

async fn accept(endpoint: Endpoint, shared: Arc<Shared>, mut stop_rx: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            _ = stop_rx.wait_for(|stop| *stop) => break,
            // Ended connections are let go of as others come.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        // Anyone can write anyone's address on a packet: where places are short, it must be shown to be the client's
        // before it takes one (RFC 9000, section 8.1.2).
        if shared.admission.is_crowded() && !incoming.remote_address_validated() && incoming.may_retry() {
            let _ = incoming.retry();
            continue;
        }
        match shared.admission.admit(incoming.remote_address().ip(), shared.exchange.counters()) {
            Some(guard) => {
                connections.spawn(connection(incoming, guard, Arc::clone(&shared), stop_rx.clone()));
            }
            None => incoming.refuse(),
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(
    incoming: Incoming,
    guard: Guard,
    shared: Arc<Shared>,
    mut stop_rx: watch::Receiver<bool>,
) {
    let greeted = async { incoming.accept()?.await };
    let connection = match timeout(shared.handshake, greeted).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            debug!(client = %guard.client, %error, "no handshake");
            guard.count_failed_handshake();
            return;
        }
        Err(_) => {
            debug!(client = %guard.client, "the handshake took too long");
            guard.count_failed_handshake();
            return;
        }
    };
    let mut streams = JoinSet::new();
    let end = serve(&connection, &guard, &shared, &mut streams, &mut stop_rx).await;
    if end == code::NO_ERROR {
        // What is due is still written; nothing can be behind the end of a connection.
        let _ = timeout(DRAIN, async { while streams.join_next().await.is_some() {} }).await;
    }
    connection.close(end, b"");
}

/// Answers a stream at a time and many beside each other; what the end is to say.
async fn serve(
    connection: &Connection,
    guard: &Guard,
    shared: &Arc<Shared>,
    streams: &mut JoinSet<Result<(), Fault>>,
    stop_rx: &mut watch::Receiver<bool>,
) -> VarInt {
    let replies = Arc::new(Semaphore::new(MOST_REPLIES));
    let memory = Share::new(&shared.memory);
    let idle = shared.limits.idle;
    let mut deadline = Instant::now() + idle;
    loop {
        tokio::select! {
            biased;
            _ = stop_rx.wait_for(|stop| *stop) => return code::NO_ERROR,
            Some(ended) = streams.join_next(), if !streams.is_empty() => match ended {
                Ok(Err(Fault::Protocol)) => {
                    debug!(client = %guard.client, "a fault of the protocol");
                    return code::PROTOCOL_ERROR;
                }
                Ok(Err(Fault::Memory(_))) => guard.count_out_of_memory(),
                Ok(Err(Fault::Gone)) => {}
                // Of one that panicked there is no reply.
                Ok(Ok(())) | Err(_) => deadline = Instant::now() + idle,
            },
            accepted = connection.accept_bi() => match accepted {
                Ok((send, receive)) => {
                    // A client may have moved since (RFC 9000, section 9).
                    let ends = Ends { client: connection.remote_address(), server: None };
                    let (replies, held) = (Arc::clone(&replies), memory.hold_nothing());
                    streams.spawn(stream(send, receive, ends, Arc::clone(shared), replies, held));
                }
                Err(error) => {
                    debug!(client = %guard.client, %error, "connection ended");
                    return code::NO_ERROR;
                }
            },
            // A client that keeps the connection alive without a question is silent all the same.
            () = sleep_until(deadline), if streams.is_empty() => {
                guard.count_idle();
                return code::NO_ERROR;
            }
        }
    }
}

/// How a stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    /// There is no room for its question or its reply: it may ask again.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The client does not speak DNS over QUIC: the connection ends (RFC 9250, section 4.3.3).
    #[error("a fault of the protocol")]
    Protocol,
    /// The client wants no reply any more, is too slow, or gone.
    #[error("the client is gone")]
    Gone,
}

/// One question and its reply.
async fn stream(
    mut send: SendStream,
    mut receive: RecvStream,
    ends: Ends,
    shared: Arc<Shared>,
    replies: Arc<Semaphore>,
    held: Octets,
) -> Result<(), Fault> {
    let answered = answer(&mut send, &mut receive, ends, &shared, replies, held).await;
    if let Err(fault) = answered {
        // quinn would end what is dropped as if it were whole.
        let _ = send.reset(match fault {
            Fault::Protocol => code::PROTOCOL_ERROR,
            Fault::Gone | Fault::Memory(_) => code::EXCESSIVE_LOAD,
        });
    }
    answered
}

async fn answer(
    send: &mut SendStream,
    receive: &mut RecvStream,
    ends: Ends,
    shared: &Shared,
    replies: Arc<Semaphore>,
    mut held: Octets,
) -> Result<(), Fault> {
    let idle = shared.limits.idle;
    let read = timeout(idle, read(receive, PREFIX + shared.question, &mut held)).await;
    let message = read.unwrap_or(Err(Fault::Gone)).inspect_err(|_| {
        // One that has ended, or is gone, says so: no matter.
        let _ = receive.stop(code::EXCESSIVE_LOAD);
    })?;
    let packet = question(&message).ok_or(Fault::Protocol)?;
    // Never closed: it is this connection's.
    let place = replies.acquire_owned().await.map_err(|_| Fault::Gone)?;
    let reply = shared.exchange.answer(packet, ends).await.ok_or(Fault::Protocol)?;
    drop(message);
    held.set(reply.len())?;
    let framed = framed(&reply).ok_or(Fault::Gone)?;
    drop(reply);
    let framed = Bytes::from_owner(Untaken { framed, _held: held, _place: place });
    let written = async {
        send.write_chunk(framed).await.map_err(|_| Fault::Gone)?;
        send.finish().map_err(|_| Fault::Gone)?;
        // Until it is there: the connection's end would throw away what is on its way.
        send.stopped().await.map_err(|_| Fault::Gone)
    };
    timeout(idle, written).await.map_err(|_| Fault::Gone)?.map(drop)
}

/// Reads to the end of the stream, of at most so many octets: a second message on it is a fault, which is seen before the
/// first is answered.
async fn read(receive: &mut RecvStream, most: usize, held: &mut Octets) -> Result<Vec<u8>, Fault> {
    let mut message = Vec::new();
    while let Some(chunk) = receive.read_chunk(most, true).await.map_err(|_| Fault::Gone)? {
        let length = message.len() + chunk.bytes.len();
        if length > most {
            return Err(Fault::Gone);
        }
        held.set(length)?;
        message.extend_from_slice(&chunk.bytes);
    }
    Ok(message)
}

/// A reply, with its octets and its place among the replies, until the client has acknowledged it, or is gone.
struct Untaken {
    framed: Vec<u8>,
    _held: Octets,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.framed
    }
}

/// The one message of a stream: whole, with an ID of 0, and without what belongs to TCP (RFC 9250, sections 4.2.1 and
/// 4.3.3).
fn question(message: &[u8]) -> Option<&[u8]> {
    let (length, packet) = message.split_first_chunk::<PREFIX>()?;
    let is_whole = usize::from(u16::from_be_bytes(*length)) == packet.len();
    (is_whole && packet.starts_with(&[0, 0]) && !has_option(packet, TCP_KEEPALIVE)).then_some(packet)
}

fn framed(reply: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(reply.len()).ok()?;
    Some([&length.to_be_bytes(), reply].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";

    #[test]
    fn one_whole_message_with_an_id_of_0() {
        let whole = framed(QUESTION).unwrap();
        assert_eq!(question(&whole), Some(QUESTION));
        for cut in 0..whole.len() {
            assert_eq!(question(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(question(&[whole.as_slice(), &[0]].concat()), None, "more behind it");
        assert_eq!(question(&whole.repeat(2)), None, "two messages");
        let mut with_id = whole;
        with_id[3] = 1;
        assert_eq!(question(&with_id), None);
        let mut keepalive = QUESTION.to_vec();
        keepalive[11] = 1;
        keepalive.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0b\0\0");
        assert_eq!(question(&framed(&keepalive).unwrap()), None);
        assert_eq!(framed(&[0; 65_536]), None);
    }
}
