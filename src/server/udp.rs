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

use super::Upstream;
use super::responder::{Reply, Responder, Transport};
use super::socket::{BATCH, Batch, Envelope};
use super::upstream::Chase;
use crate::zone::Reader;

/// How long a thread waits for a packet before it looks whether it shall stop.
pub(super) const WAIT: Duration = Duration::from_millis(200);

/// The UDP side of the server, running.
pub struct UdpServer {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    parked: Option<tokio::task::JoinHandle<()>>,
}

/// A reply that waits for the upstream.
pub(super) struct Parked {
    socket: Arc<UdpSocket>,
    envelope: Envelope,
    chase: Chase,
}

impl UdpServer {
    /// Answers on bound sockets, a thread each. Aliases out of the zones go to `upstream` on the current
    /// runtime.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        sockets: Vec<UdpSocket>,
        reader: &Reader,
        upstream: Option<Arc<Upstream>>,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (parked_tx, parked) = upstream
            .map(|upstream| {
                // As many as the upstream may have in flight: what finds no room is answered SERVFAIL.
                let (parked_tx, parked_rx) = mpsc::channel(upstream.limits().in_flight);
                (parked_tx, tokio::spawn(finish_parked(parked_rx, upstream)))
            })
            .unzip();
        let threads = sockets.into_iter().enumerate().map(|(index, socket)| {
            let worker = Worker {
                socket: Arc::new(socket),
                responder: Responder::reserved(reader.clone(), BATCH),
                reader: reader.clone(),
                parked_tx: parked_tx.clone(),
                stop: Arc::clone(&stop),
            };
            std::thread::Builder::new().name(format!("udp-{index}")).spawn(move || worker.run())
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { stop, threads, parked })
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
    responder: Responder,
    reader: Reader,
    parked_tx: Option<mpsc::Sender<Box<Parked>>>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    /// A thread that panicked begins anew without the packets of that moment: the others must not wait for a
    /// restart, and a server that is mute over UDP must not look well.
    fn run(mut self) {
        while std::panic::catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            error!("a UDP thread panicked, which is a defect; it goes on with the next packets");
            self.responder = Responder::reserved(self.reader.clone(), BATCH);
        }
    }

    fn serve(&mut self) {
        let mut batch = Batch::new();
        let mut failures = 0_u32;
        let mut last = None;
        loop {
            match batch.receive(&self.socket) {
                Ok(()) => {
                    failures = 0;
                    let mut pinned = self.responder.pin();
                    let (socket, parked_tx) = (&self.socket, self.parked_tx.as_ref());
                    let mut questions = pinned.look_up(batch.packets());
                    batch.respond(|index, packet, out, envelope| {
                        let reply = questions.respond(index, packet, Transport::Udp, out);
                        finish(reply, packet, out, envelope, socket, parked_tx)
                    });
                    let failed = batch.send(&self.socket);
                    if failed > 0 {
                        debug!(failed, "replies could not be sent");
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

fn finish(
    reply: Reply,
    packet: &[u8],
    out: &mut [u8],
    envelope: &Envelope,
    socket: &Arc<UdpSocket>,
    parked_tx: Option<&mpsc::Sender<Box<Parked>>>,
) -> usize {
    match reply {
        Reply::Send(length) => length,
        Reply::Silence => 0,
        Reply::Chase { length, target, rtype, limit } => {
            let chase = Chase { packet: packet.into(), partial: out[..length].into(), target, rtype, limit };
            let parked = Box::new(Parked { socket: Arc::clone(socket), envelope: *envelope, chase });
            // Without room the client asks again; by then there may be some.
            match parked_tx.map(|tx| tx.try_send(parked)) {
                Some(Ok(())) => 0,
                Some(Err(
                    mpsc::error::TrySendError::Full(parked) | mpsc::error::TrySendError::Closed(parked),
                )) => super::upstream::fail(&parked.chase, out),
                None => length,
            }
        }
    }
}

async fn finish_parked(mut parked_rx: mpsc::Receiver<Box<Parked>>, upstream: Arc<Upstream>) {
    // Dropped with this task, and so ended with it.
    let mut waiting = JoinSet::new();
    while let Some(parked) = parked_rx.recv().await {
        while waiting.try_join_next().is_some() {}
        let upstream = Arc::clone(&upstream);
        waiting.spawn(async move {
            let mut reply = upstream.complete(&parked.chase).await;
            if let Err(error) = parked.envelope.send(&parked.socket, &mut reply) {
                debug!(%error, "a reply could not be sent");
            }
        });
    }
}
