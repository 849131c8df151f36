//! UDP: threads of their own, each with a socket of its own on the shared port.

use std::io;
use std::net::UdpSocket;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use super::counters::{UdpCounters, UdpCounts};
use super::datagram::UdpSettings;
use super::queries::{Asked, QueryCell};
use super::responder::{Reply, Responder, Transport};
use super::socket::{Batch, Calls, Envelope};
use super::upstream::Chase;
use super::{Upstream, cores};
use crate::zone::Reader;

/// How long a thread waits for a packet before it looks whether it shall stop.
pub(super) const WAIT: Duration = Duration::from_millis(200);

/// The UDP side of the server, running.
pub struct UdpServer {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    parked: Option<tokio::task::JoinHandle<()>>,
    counters: UdpCounters,
}

/// A reply that waits for the upstream.
pub(super) struct Parked {
    socket: Arc<UdpSocket>,
    envelope: Envelope,
    chase: Chase,
    asked: Asked,
    began: Instant,
}

impl UdpServer {
    /// Answers on bound sockets, a thread each. Aliases out of the zones go to `upstream` on the current
    /// runtime.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        sockets: Vec<UdpSocket>,
        settings: &UdpSettings,
        reader: &Reader,
        upstream: Option<Arc<Upstream>>,
    ) -> io::Result<Self> {
        let calls = sockets.first().map_or(Calls::ALL, Calls::probe);
        if calls != Calls::ALL {
            warn!("no recvmmsg or sendmmsg (an old kernel, or a filter of system calls): one packet a call");
        }
        let sockets: Vec<_> = sockets.into_iter().map(Arc::new).collect();
        let counters = UdpCounters::new(sockets.clone());
        let cores = if settings.pin { cores::allowed() } else { Vec::new() };
        let stop = Arc::new(AtomicBool::new(false));
        let (parked_tx, parked) = upstream
            .map(|upstream| {
                // As many as the upstream may have in flight: what finds no room is answered SERVFAIL.
                let (parked_tx, parked_rx) = mpsc::channel(upstream.limits().in_flight);
                (parked_tx, tokio::spawn(finish_parked(parked_rx, upstream, counters.clone())))
            })
            .unzip();
        let threads = sockets.into_iter().enumerate().map(|(index, socket)| {
            let worker = Worker {
                socket,
                batch: settings.batch,
                calls,
                // The threads of each address begin anew where there is one a core.
                core: (!cores.is_empty()).then(|| cores[index % cores.len()]),
                index,
                counters: counters.clone(),
                cell: counters.queries().cell(),
                responder: Responder::reserved(reader.clone(), settings.batch),
                reader: reader.clone(),
                parked_tx: parked_tx.clone(),
                stop: Arc::clone(&stop),
            };
            std::thread::Builder::new().name(format!("udp-{index}")).spawn(move || worker.run())
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { stop, threads, parked, counters })
    }

    /// What is counted, for as long as somebody wants to know.
    #[must_use]
    pub fn counters(&self) -> UdpCounters {
        self.counters.clone()
    }

    /// Answers what has arrived, and ends.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            if thread.join().is_err() {
                warn!("a UDP thread had panicked");
            }
        }
        // What waits for the upstream now is not waited for: its client asks another server.
        if let Some(parked) = self.parked {
            parked.abort();
        }
    }
}

struct Worker {
    socket: Arc<UdpSocket>,
    batch: usize,
    calls: Calls,
    core: Option<usize>,
    index: usize,
    counters: UdpCounters,
    cell: Arc<QueryCell>,
    responder: Responder,
    reader: Reader,
    parked_tx: Option<mpsc::Sender<Box<Parked>>>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    /// A thread that panicked begins anew without the packets of that moment: the others must not wait for a
    /// restart, and a server that is mute over UDP must not look well.
    fn run(mut self) {
        if let Some(core) = self.core
            && let Err(error) = cores::pin_to(core)
        {
            warn!(%error, core, "a UDP thread cannot be pinned");
        }
        while std::panic::catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            error!("a UDP thread panicked, which is a defect; it goes on with the next packets");
            self.responder = Responder::reserved(self.reader.clone(), self.batch);
        }
    }

    fn serve(&mut self) {
        let mut batch = Batch::new(self.batch, self.calls);
        let counter = self.counters.of(self.index);
        let mut failures = 0_u32;
        let mut last = None;
        loop {
            match batch.receive(&self.socket) {
                Ok(()) => {
                    failures = 0;
                    let (began, cell) = (Instant::now(), &*self.cell);
                    let mut pinned = self.responder.pin();
                    let (socket, parked_tx) = (&self.socket, self.parked_tx.as_ref());
                    let mut counts = UdpCounts::default();
                    let mut questions = pinned.look_up(batch.packets());
                    batch.respond(|index, packet, out, envelope| {
                        let Some(asked) = questions.asked(index) else { return 0 };
                        let reply = questions.respond(index, packet, Transport::Udp, out);
                        let park = |chase| {
                            let (socket, envelope) = (Arc::clone(socket), *envelope);
                            Box::new(Parked { socket, envelope, chase, asked, began })
                        };
                        let (length, forwarded) = finish(reply, packet, out, parked_tx, park);
                        counts.forwarded += u64::from(forwarded);
                        if length > 0 {
                            cell.count(asked, packet.len(), out, length);
                        }
                        length
                    });
                    let sent = batch.send(&self.socket);
                    counts.received = batch.received() as u64;
                    (counts.answered, counts.failed) = (sent.sent as u64, sent.failed as u64);
                    counts.silent = counts.received - counts.forwarded - counts.answered - counts.failed;
                    counter.add(&counts);
                    cell.took(began, counts.answered + counts.failed);
                    if sent.failed > 0 {
                        debug!(failed = sent.failed, "replies could not be sent");
                    }
                    // What arrived before the stop is answered; what goes on arriving is not waited for.
                    if self.stop.load(Ordering::Acquire)
                        && *last.get_or_insert_with(|| Instant::now() + WAIT) < Instant::now()
                    {
                        return;
                    }
                }
                Err(error) if is_wait(&error) => {
                    // Nothing is waiting.
                    if self.stop.load(Ordering::Acquire) {
                        return;
                    }
                }
                Err(error) => {
                    // An ICMP error of an earlier reply, or memory pressure: neither is the socket's end.
                    failures = failures.saturating_add(1);
                    if failures.is_power_of_two() {
                        warn!(%error, failures, "cannot receive");
                    }
                    if self.stop.load(Ordering::Acquire) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(u64::from(failures.min(100))));
                }
            }
        }
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// The length of the reply, and whether the upstream is asked for it.
fn finish(
    reply: Reply,
    packet: &[u8],
    out: &mut [u8],
    parked_tx: Option<&mpsc::Sender<Box<Parked>>>,
    park: impl FnOnce(Chase) -> Box<Parked>,
) -> (usize, bool) {
    match reply {
        Reply::Send(length) => (length, false),
        Reply::Silence => (0, false),
        Reply::Chase { length, target, rtype, limit } => {
            let chase = Chase { packet: packet.into(), partial: out[..length].into(), target, rtype, limit };
            // Without room the client asks again; by then there may be some.
            match parked_tx.map(|tx| tx.try_send(park(chase))) {
                Some(Ok(())) => (0, true),
                Some(Err(
                    mpsc::error::TrySendError::Full(parked) | mpsc::error::TrySendError::Closed(parked),
                )) => (super::upstream::fail(&parked.chase, out), false),
                None => (length, false),
            }
        }
    }
}

async fn finish_parked(
    mut parked_rx: mpsc::Receiver<Box<Parked>>,
    upstream: Arc<Upstream>,
    counters: UdpCounters,
) {
    // Dropped with this task, and so ended with it.
    let mut waiting = JoinSet::new();
    while let Some(parked) = parked_rx.recv().await {
        while waiting.try_join_next().is_some() {}
        let (upstream, counters) = (Arc::clone(&upstream), counters.clone());
        waiting.spawn(async move {
            let mut reply = upstream.complete(&parked.chase).await;
            let sent = parked.envelope.send(&parked.socket, &mut reply);
            counters.late().add_late(sent.is_ok());
            counters.queries().late().count_late(
                parked.asked,
                parked.chase.packet.len(),
                &reply,
                parked.began,
            );
            if let Err(error) = sent {
                debug!(%error, "a reply could not be sent");
            }
        });
    }
}
