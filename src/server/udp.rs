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
use super::hold::{ReplyTo, until};
use super::late::{Late, seen};
use super::queries::QueryCell;
use super::responder::{Reply, Responder, Transport};
use super::socket::{Batch, Calls};
use super::tap::Tap;
use super::upstream::Chase;
use super::{UpstreamSlot, WaitingRoom, cores};
use crate::zone::Reader;

/// How long a thread waits for a packet before it looks whether it shall stop.
pub(super) const WAIT: Duration = Duration::from_millis(200);

/// Replies that wait for a task to ask the upstream for them, which takes microseconds; what finds no room is answered
/// SERVFAIL.
const PARKED: usize = 4096;

/// The UDP side of the server, running.
pub struct UdpServer {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    parked: Option<tokio::task::JoinHandle<()>>,
    counters: UdpCounters,
}

/// A reply that waits for the upstream.
struct Parked {
    late: Late,
    chase: Chase,
}

impl UdpServer {
    /// Answers on bound sockets, a thread each. Aliases out of the zones go to `upstream` on the current
    /// runtime; without one they are the answer. Questions that may wait do so in `room`; without one none does.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        sockets: Vec<UdpSocket>,
        settings: &UdpSettings,
        reader: &Reader,
        upstream: Option<&UpstreamSlot>,
        room: Option<&WaitingRoom>,
        tap: &Tap,
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
                let (parked_tx, parked_rx) = mpsc::channel(PARKED);
                let finishing = finish_parked(parked_rx, upstream.clone());
                (parked_tx, tokio::spawn(finishing))
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
                elsewhere: Elsewhere { parked_tx: parked_tx.clone(), room: room.cloned() },
                tap: tap.clone(),
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

/// Who takes the questions that this thread does not wait for.
struct Elsewhere {
    parked_tx: Option<mpsc::Sender<Box<Parked>>>,
    room: Option<WaitingRoom>,
}

/// What became of a question.
enum Fate {
    /// The length of its reply; 0 is none.
    Answered(usize),
    Forwarded,
    Held,
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
    elsewhere: Elsewhere,
    tap: Tap,
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
        let bound = self.socket.local_addr().ok();
        loop {
            match batch.receive(&self.socket) {
                Ok(()) => {
                    failures = 0;
                    let (began, cell, moment) = (Instant::now(), &*self.cell, self.tap.asked());
                    let mut pinned = self.responder.pin();
                    let (socket, elsewhere, counters, tap) =
                        (&self.socket, &self.elsewhere, &self.counters, &self.tap);
                    let mut counts = UdpCounts::default();
                    let mut questions = pinned.look_up(batch.packets());
                    batch.respond(|index, packet, out, envelope| {
                        let Some(asked) = questions.asked(index) else { return 0 };
                        let client = envelope.client().map(|client| client.ip());
                        let reply = questions.respond_to(client, index, packet, Transport::Udp, out);
                        let late = || {
                            let (socket, envelope) = (Arc::clone(socket), *envelope);
                            let (counters, tap) = (counters.clone(), tap.clone());
                            Late { socket, envelope, asked, began, moment, counters, tap }
                        };
                        match elsewhere.finish(reply, packet, out, late) {
                            Fate::Answered(0) => 0,
                            Fate::Answered(length) => {
                                cell.count(asked, packet.len(), out, length);
                                length
                            }
                            Fate::Forwarded => {
                                counts.forwarded += 1;
                                0
                            }
                            Fate::Held => {
                                counts.held += 1;
                                0
                            }
                        }
                    });
                    let sent = batch.send(&self.socket);
                    if let Some(moment) = moment {
                        let seen = |(query, reply, envelope)| seen(query, reply, envelope, bound, moment);
                        self.tap.show(batch.exchanges().filter_map(seen));
                    }
                    counts.received = batch.received() as u64;
                    (counts.answered, counts.failed) = (sent.sent as u64, sent.failed as u64);
                    let elsewhere = counts.forwarded + counts.held;
                    counts.silent = counts.received - elsewhere - counts.answered - counts.failed;
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

impl Elsewhere {
    /// Finishes a reply, or hands its question over.
    fn finish(&self, reply: Reply, packet: &[u8], out: &mut [u8], late: impl FnOnce() -> Late) -> Fate {
        match reply {
            Reply::Send(length) => Fate::Answered(length),
            Reply::Silence => Fate::Answered(0),
            Reply::Chase { length, target, rtype, limit, answers } => {
                let Some(parked_tx) = &self.parked_tx else { return Fate::Answered(length) };
                let (packet, partial) = (packet.into(), out[..length].into());
                let chase = Chase { packet, partial, target, rtype, limit, answers };
                // Without room the client asks again; by then there may be some.
                match parked_tx.try_send(Box::new(Parked { late: late(), chase })) {
                    Ok(()) => Fate::Forwarded,
                    Err(
                        mpsc::error::TrySendError::Full(parked) | mpsc::error::TrySendError::Closed(parked),
                    ) => Fate::Answered(super::upstream::fail(&parked.chase, out)),
                }
            }
            Reply::Held { length, longest } => {
                let is_in = self.room.as_ref().is_some_and(|room| {
                    let late = late();
                    let Some(client) = late.envelope.client() else { return false };
                    let until = until(late.began, longest);
                    room.let_in(packet, Transport::Udp, client, until, || ReplyTo::Datagram(late))
                });
                if is_in { Fate::Held } else { Fate::Answered(length) }
            }
        }
    }
}

async fn finish_parked(mut parked_rx: mpsc::Receiver<Box<Parked>>, upstream: UpstreamSlot) {
    // Dropped with this task, and so ended with it.
    let mut waiting = JoinSet::new();
    while let Some(parked) = parked_rx.recv().await {
        while waiting.try_join_next().is_some() {}
        let upstream = upstream.get();
        waiting.spawn(async move {
            let mut reply = match upstream {
                Some(upstream) => upstream.complete(&parked.chase).await,
                // Taken away by a reload since: the aliases alone, as without one.
                None => parked.chase.partial.to_vec(),
            };
            parked.late.send(&parked.chase.packet, &mut reply);
        });
    }
}
