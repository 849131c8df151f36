//! TCP (RFC 7766): several questions a connection, answered as they come; what a client may hold is bounded.

mod connection;
mod stateful;

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
#[cfg(feature = "tls")]
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use self::connection::{READ, serve};
use super::admission::{Admission, Guard, accept};
use super::dso::{Hub, PushCounters, PushLimits};
use super::memory::StreamMemory;
use super::queries::QueryCell;
use super::responder::{Responder, Transport};
use super::tap::Tap;
use super::tcp_counters::TcpCounters;
use super::{UpstreamSlot, WaitingRoom};
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
    /// Stateful operations.
    pub push: PushLimits,
}

/// How long a stop waits for clients to take their replies.
const DRAIN: Duration = Duration::from_secs(1);

/// The TCP side of the server, running.
pub struct TcpServer {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    admission: Arc<Admission>,
    /// Of each transport.
    counters: Vec<TcpCounters>,
    stop_tx: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Tells subscribers of changes.
    hub_task: Option<tokio::task::JoinHandle<()>>,
}

/// What the connections of one transport share.
struct Shared {
    reader: Reader,
    upstream: UpstreamSlot,
    /// None: no question is held.
    room: Option<WaitingRoom>,
    /// A reload replaces them, for every transport.
    limits: Arc<ArcSwap<TcpLimits>>,
    tap: Tap,
    memory: StreamMemory,
    transport: Transport,
    hub: Arc<Hub>,
    counters: TcpCounters,
    /// Connections that wait for their next turn.
    in_turn: AtomicUsize,
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
    #[allow(clippy::too_many_arguments)] // each once
    fn new(
        reader: Reader,
        upstream: UpstreamSlot,
        room: Option<WaitingRoom>,
        limits: Arc<ArcSwap<TcpLimits>>,
        tap: Tap,
        memory: StreamMemory,
        transport: Transport,
        hub: Arc<Hub>,
    ) -> Arc<Self> {
        let counters = TcpCounters::new(limits.load().connections);
        Arc::new(Self {
            reader,
            upstream,
            room,
            limits,
            tap,
            memory,
            transport,
            hub,
            counters,
            in_turn: AtomicUsize::new(0),
            desks: Mutex::default(),
        })
    }

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
    /// Answers on bound listeners. Questions that may wait do so in `room`; without one none does.
    ///
    /// # Errors
    /// When a listener cannot be given to the runtime.
    pub fn start(
        listeners: Vec<std::net::TcpListener>,
        reader: &Reader,
        upstream: &UpstreamSlot,
        room: Option<&WaitingRoom>,
        limits: TcpLimits,
        tap: &Tap,
        memory: &StreamMemory,
    ) -> io::Result<Self> {
        let swapped = Arc::new(ArcSwap::from_pointee(limits));
        let hub = Hub::new(reader.clone(), Arc::clone(&swapped), memory.clone());
        let mut server = Self {
            shared: Shared::new(
                reader.clone(),
                upstream.clone(),
                room.cloned(),
                swapped,
                tap.clone(),
                memory.clone(),
                Transport::Tcp,
                Arc::clone(&hub),
            ),
            hub,
            admission: Admission::new(limits.connections, limits.per_client),
            counters: Vec::new(),
            stop_tx: watch::Sender::new(false),
            tasks: JoinSet::new(),
            hub_task: None,
        };
        let shared = Arc::clone(&server.shared);
        server.accept(listeners, &Beginning::Plain, &shared)?;
        server.hub_task = Some(tokio::spawn(Arc::clone(&server.hub).run()));
        Ok(server)
    }

    /// Answers over TLS too, under the same limits: one client's connections are counted together. What is counted of
    /// those over TLS is given back.
    ///
    /// # Errors
    /// When a listener cannot be given to the runtime.
    #[cfg(feature = "tls")]
    pub fn accept_tls(
        &mut self,
        listeners: Vec<std::net::TcpListener>,
        handshake: super::encrypted::Handshake,
    ) -> io::Result<TcpCounters> {
        let Shared { reader, upstream, room, limits, tap, memory, hub, .. } = &*self.shared;
        let (limits, tap, memory, hub) = (Arc::clone(limits), tap.clone(), memory.clone(), Arc::clone(hub));
        let (reader, upstream, room) = (reader.clone(), upstream.clone(), room.clone());
        let shared = Shared::new(reader, upstream, room, limits, tap, memory, Transport::Tls, hub);
        self.accept(listeners, &Beginning::Handshake(handshake), &shared)?;
        Ok(shared.counters.clone())
    }

    fn accept(
        &mut self,
        listeners: Vec<std::net::TcpListener>,
        beginning: &Beginning,
        shared: &Arc<Shared>,
    ) -> io::Result<()> {
        self.counters.push(shared.counters.clone());
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            let (beginning, shared) = (beginning.clone(), Arc::clone(shared));
            let (admission, counters) = (Arc::clone(&self.admission), shared.counters.clone());
            let serve = move |stream, guard, stop_rx| {
                connection(stream, beginning.clone(), Arc::clone(&shared), guard, stop_rx)
            };
            self.tasks.spawn(accept(listener, admission, counters, self.stop_tx.subscribe(), serve));
        }
        Ok(())
    }

    /// What is counted of plain connections, for as long as somebody wants to know.
    #[must_use]
    pub fn counters(&self) -> TcpCounters {
        self.shared.counters.clone()
    }

    /// What is counted of stateful operations.
    #[must_use]
    pub fn push_counters(&self) -> PushCounters {
        self.hub.counters()
    }

    /// Replaces the limits. Connections that are open stay, even where they are too many now; they go by the new limits
    /// from their next reply on.
    pub fn set_limits(&self, limits: TcpLimits) {
        self.shared.limits.store(Arc::new(limits));
        self.hub.limits_changed();
        self.admission.set(limits.connections, limits.per_client);
        self.counters.iter().for_each(|counters| counters.set_limit(limits.connections));
    }

    /// Answers what arrived, stops accepting, lets each connection write what it has, and ends.
    pub async fn stop(mut self) {
        self.hub.stop();
        let _ = self.stop_tx.send(true);
        let joined = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(DRAIN, joined).await.is_err() {
            debug!("connections that do not read their replies are cut");
        }
        self.tasks.shutdown().await;
        if let Some(task) = self.hub_task {
            task.abort();
        }
    }
}

/// What a connection begins with.
#[derive(Clone)]
enum Beginning {
    Plain,
    #[cfg(feature = "tls")]
    Handshake(super::encrypted::Handshake),
}

async fn connection(
    stream: TcpStream,
    beginning: Beginning,
    shared: Arc<Shared>,
    guard: Guard,
    stop_rx: watch::Receiver<bool>,
) {
    match beginning {
        Beginning::Plain => {
            let _ = serve(stream, &shared, &guard, stop_rx).await;
        }
        // A piece of memory of its own: plain connections, of which there may be ten thousand, stay as small as they are.
        #[cfg(feature = "tls")]
        Beginning::Handshake(handshake) => {
            Box::pin(over_tls(stream, handshake, shared, guard, stop_rx)).await;
        }
    }
}

/// DNS over TLS (RFC 7858): the same behind a handshake, and with an end that is said.
#[cfg(feature = "tls")]
async fn over_tls(
    stream: TcpStream,
    handshake: super::encrypted::Handshake,
    shared: Arc<Shared>,
    guard: Guard,
    stop_rx: watch::Receiver<bool>,
) {
    let Some(stream) = handshake.perform(stream, &guard, stop_rx.clone()).await else { return };
    if let Some(mut stream) = serve(stream, &shared, &guard, stop_rx).await {
        // close_notify (RFC 8446, section 6.1). A client that does not take it is not waited for long.
        let _ = timeout(DRAIN, stream.shutdown()).await;
    }
}
