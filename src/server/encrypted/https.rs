//! DNS over HTTPS (RFC 8484): HTTP/2 and HTTP/1.1 by hyper, behind our own bounds on what a client may hold.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::address::{EncryptedLimits, StreamLimits, TlsVersion};
use super::certificates::Certificates;
use super::exchange::{Ends, Exchange};
use super::handshake::Handshake;
use super::request::{NoQuestion, Question, head, question};
use crate::server::admission::{Admission, Guard, accept};
use crate::server::memory::{Octets, Share, StreamMemory};
use crate::server::responder::Transport;
use crate::server::tap::Tap;
use crate::server::tcp_counters::TcpCounters;
use crate::server::upstream::UpstreamSlot;
use crate::zone::Reader;

/// How long a stop waits for clients to take their replies.
const DRAIN: Duration = Duration::from_secs(1);
/// The most octets of a request's head: one of GET holds a question.
const MAX_HEAD: u32 = 16 << 10;
/// Replies of one connection that are made and not taken: a client that does not read must not hold many. Its other
/// questions wait, each of at most [`EncryptedLimits::question`] octets.
const MOST_REPLIES: usize = 8;
/// Octets of a reply that are handed to the connection at one time, for the same reason.
const PIECE: usize = 16 << 10;

/// The HTTPS side of the server, running.
pub struct HttpsServer {
    stop_tx: watch::Sender<bool>,
    tasks: JoinSet<()>,
    counters: TcpCounters,
}

/// What connections share.
struct Shared {
    exchange: Exchange,
    handshake: Handshake,
    limits: StreamLimits,
    question: usize,
    memory: StreamMemory,
}

impl HttpsServer {
    /// Answers on bound listeners, each at its path, with the certificate and the least version of TLS.
    ///
    /// # Errors
    /// When a listener cannot be given to the runtime, or TLS cannot be set up.
    pub fn start(
        listeners: Vec<(std::net::TcpListener, Box<str>)>,
        (certificates, least): (&Arc<Certificates>, TlsVersion),
        reader: &Reader,
        upstream: &UpstreamSlot,
        tap: &Tap,
        limits: EncryptedLimits,
        memory: &StreamMemory,
    ) -> io::Result<Self> {
        let handshake = Handshake::new(certificates, least, &[b"h2", b"http/1.1"], limits.handshake);
        let handshake = handshake.map_err(io::Error::other)?;
        let (question, limits) = (limits.question, limits.https);
        let counters = TcpCounters::new(limits.connections);
        let exchange = Exchange::new(reader, upstream, tap, Transport::Https, counters.clone());
        let shared = Arc::new(Shared { exchange, handshake, limits, question, memory: memory.clone() });
        let admission = Admission::new(limits.connections, limits.per_client);
        let stop_tx = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for (listener, path) in listeners {
            let listener = TcpListener::from_std(listener)?;
            let (shared, path) = (Arc::clone(&shared), Arc::<str>::from(path));
            let serve = move |stream, guard, stop_rx| {
                connection(stream, guard, stop_rx, Arc::clone(&shared), Arc::clone(&path))
            };
            tasks.spawn(accept(
                listener,
                Arc::clone(&admission),
                counters.clone(),
                stop_tx.subscribe(),
                serve,
            ));
        }
        Ok(Self { stop_tx, tasks, counters })
    }

    /// What is counted of its connections.
    #[must_use]
    pub fn counters(&self) -> TcpCounters {
        self.counters.clone()
    }

    /// Stops accepting, lets each connection end what it has begun, and ends.
    pub async fn stop(mut self) {
        let _ = self.stop_tx.send(true);
        let joined = async { while self.tasks.join_next().await.is_some() {} };
        // Each connection bounds its own end; this is the bound on all that could go wrong there.
        let _ = timeout(2 * DRAIN, joined).await;
        self.tasks.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    guard: Guard,
    stop_rx: watch::Receiver<bool>,
    shared: Arc<Shared>,
    path: Arc<str>,
) {
    let (client, server) = (stream.peer_addr(), stream.local_addr());
    let Ok(client) = client else { return };
    let ends = Ends { client, server: server.ok() };
    let Some(stream) = shared.handshake.perform(stream, &guard, stop_rx.clone()).await else { return };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (limits, memory) = (shared.limits, Share::new(&shared.memory));
    let guard = Arc::new(guard);
    let open = Arc::new(Open {
        shared,
        path,
        ends,
        replies: Arc::new(Semaphore::new(MOST_REPLIES)),
        guard: Arc::clone(&guard),
        memory,
        last: Arc::new(Mutex::new(Instant::now())),
    });
    let last = Arc::clone(&open.last);
    let service = service_fn(move |request| {
        let open = Arc::clone(&open);
        async move { Ok::<_, Infallible>(respond(request, &open).await) }
    });
    let stream = TokioIo::new(stream);
    if is_h2 {
        let tasks = Tasks::default();
        let mut http = http2::Builder::new(tasks.clone());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(MAX_HEAD)
            .max_send_buf_size(PIECE)
            .initial_stream_window_size(Some(u32::from(u16::MAX)))
            .initial_connection_window_size(Some(4 * u32::from(u16::MAX)));
        drive(http.serve_connection(stream, service), limits.idle, &last, stop_rx, &guard).await;
    } else {
        let mut http = http1::Builder::new();
        // A head that does not come is silence, which ends below as every other does.
        http.header_read_timeout(None).max_buf_size(MAX_HEAD as usize);
        drive(http.serve_connection(stream, service), limits.idle, &last, stop_rx, &guard).await;
    }
}

/// Lets a connection run to its end: its own, the stop's, or that of its silence.
async fn drive<C: GracefulConnection<Error = hyper::Error>>(
    connection: C,
    idle: Duration,
    last: &Mutex<Instant>,
    mut stop_rx: watch::Receiver<bool>,
    guard: &Guard,
) {
    let mut connection = pin!(connection);
    let mut end = None;
    loop {
        let deadline = end.unwrap_or_else(|| *lock(last) + idle);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(client = %guard.client, %error, "connection ended");
                }
                return;
            }
            _ = stop_rx.wait_for(|stop| *stop), if end.is_none() => {}
            () = sleep_until(deadline) => {
                if end.is_some() {
                    return;
                }
                if *lock(last) + idle > Instant::now() {
                    continue;
                }
                guard.count_idle();
            }
        }
        // What has begun may end; of HTTP/2 the client is told (GOAWAY).
        connection.as_mut().graceful_shutdown();
        end = Some(Instant::now() + DRAIN);
    }
}

fn lock(last: &Mutex<Instant>) -> std::sync::MutexGuard<'_, Instant> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection behind its handshake.
struct Open {
    shared: Arc<Shared>,
    path: Arc<str>,
    ends: Ends,
    replies: Arc<Semaphore>,
    guard: Arc<Guard>,
    /// What its questions and replies hold.
    memory: Arc<Share>,
    /// When it was last of use.
    last: Arc<Mutex<Instant>>,
}

async fn respond(request: Request<Incoming>, open: &Open) -> Response<Piecewise> {
    *lock(&open.last) = Instant::now();
    // A response to HEAD has no body, whatever it says (RFC 9110, section 9.3.2).
    let is_head = request.method() == Method::HEAD;
    match answer(request, open).await {
        Ok(response) => response,
        Err(why) => {
            if matches!(why, NoQuestion::Memory(_)) {
                open.guard.count_out_of_memory();
            }
            debug!(%why, "no question");
            let response = why.response();
            if is_head { response.map(|_: Piecewise| Vec::new().into()) } else { response }
        }
    }
}

async fn answer(request: Request<Incoming>, open: &Open) -> Result<Response<Piecewise>, NoQuestion> {
    let shared = &open.shared;
    let (parts, body) = request.into_parts();
    let asked = question(&parts.method, &parts.uri, &parts.headers, &open.path, shared.question);
    // A head is longer than its question, and many may wait below.
    drop(parts);
    let mut held = open.memory.hold_nothing();
    if let Ok(Question::Here(packet)) = &asked {
        held.set(packet.len())?;
    }
    let body = timeout(shared.limits.idle, read(body, shared.question, &mut held)).await;
    let packet = match asked? {
        Question::Here(packet) => packet,
        Question::Body => body.map_err(|_| NoQuestion::Slow)??,
    };
    // Never closed: it is this connection's.
    let place = Arc::clone(&open.replies).acquire_owned().await.map_err(|_| NoQuestion::Cut)?;
    let reply = shared.exchange.answer(&packet, open.ends).await.ok_or(NoQuestion::Packet)?;
    drop(packet);
    held.set(reply.len())?;
    let head = head(&reply);
    let left = Bytes::from_owner(Untaken { reply, _held: held, _place: place });
    let body = Piecewise { left, last: Some(Arc::clone(&open.last)) };
    head.body(body).map_err(|_| NoQuestion::Packet)
}

/// A reply, with its octets and its place among the replies, until the last of it is written.
struct Untaken {
    reply: Vec<u8>,
    _held: Octets,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.reply
    }
}

/// Reads a body of at most `most` octets. A longer one is read as well, and let go of, up to what a message can have at
/// all: some clients take a stream that ends before they have sent theirs for a broken one (curl 7.88 does).
async fn read(mut body: Incoming, most: usize, held: &mut Octets) -> Result<Vec<u8>, NoQuestion> {
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| NoQuestion::Cut)?.into_data() else { continue };
        length += piece.len();
        if length > usize::from(u16::MAX) {
            break;
        }
        if length <= most {
            held.set(length)?;
            kept.extend_from_slice(&piece);
        } else {
            kept = Vec::new();
        }
    }
    if length > most { Err(NoQuestion::Long) } else { Ok(kept) }
}

/// A body that is handed over in pieces; each shows that the connection is of use.
struct Piecewise {
    left: Bytes,
    last: Option<Arc<Mutex<Instant>>>,
}

impl From<Vec<u8>> for Piecewise {
    fn from(text: Vec<u8>) -> Self {
        Self { left: text.into(), last: None }
    }
}

impl Body for Piecewise {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.left.is_empty() {
            return Poll::Ready(None);
        }
        let piece = this.left.split_to(this.left.len().min(PIECE));
        if let Some(last) = &this.last {
            *lock(last) = Instant::now();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

/// The tasks of a connection's streams, which end with it: hyper would let go of them.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            task.await;
        });
    }
}
