//! Questions that are kept open: for a replica that should be there and is not ready yet, until it is, or for as long as
//! its client can wait.
//!
//! Who answers hands them in and goes on. One task keeps them in memory, is told by the zone what changed, looks the name
//! up again and sends what the answer is then; the same code as ever writes it. Questions of any other kind never come by
//! here.

mod table;
mod task;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::task::Task;
use super::late::Late;
use super::responder::Transport;
use crate::zone::Reader;

/// Octets of a question that may wait. A name has at most 255, and an OPT record with a cookie some 40; what is longer is
/// padded, and not worth its memory.
const MOST_OCTETS: usize = 512;

/// What strangers may have wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLimits {
    /// Questions at one time; 0 is none.
    pub questions: usize,
    /// Of one client: an address, or the /64 of a global IPv6 one.
    pub per_client: usize,
}

/// Questions that waited since the start, and those that do now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HoldCounts {
    /// That wait now.
    pub waiting: u64,
    /// As many may.
    pub limit: u64,
    /// That were let wait.
    pub held: u64,
    /// Answered because the name came to be.
    pub ready: u64,
    /// Answered because the time was over.
    pub bound: u64,
    /// Answered because the name is not one to wait for any more: the set is smaller, the annotation or the zone another.
    pub changed: u64,
    /// Answered because the server stops.
    pub stopped: u64,
    /// Sent again while they waited: they have no second place.
    pub repeated: u64,
    /// Answered at once, for as many as may were waiting.
    pub full: u64,
    /// Answered at once, for as many as may of their client were waiting.
    pub full_of_client: u64,
    /// Answered at once, for they were longer than what waits.
    pub too_long: u64,
}

#[derive(Default)]
struct Cells {
    held: AtomicU64,
    ready: AtomicU64,
    bound: AtomicU64,
    changed: AtomicU64,
    stopped: AtomicU64,
    repeated: AtomicU64,
    full: AtomicU64,
    full_of_client: AtomicU64,
    too_long: AtomicU64,
}

/// Where questions wait; its clones are one.
#[derive(Clone)]
pub struct WaitingRoom(Arc<Door>);

struct Door {
    /// Bounded by the places.
    question_tx: mpsc::UnboundedSender<Box<Question>>,
    taken: AtomicUsize,
    questions: AtomicUsize,
    per_client: AtomicUsize,
    /// Nobody is let in any more.
    is_closed: AtomicBool,
    stage_tx: watch::Sender<Stage>,
    task: Mutex<Option<JoinHandle<()>>>,
    cells: Cells,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// All are answered, and those that come yet at once.
    Closed,
    /// Nobody is left who could bring any.
    Ended,
}

/// A place that is taken; given back when it is dropped.
struct Place(Arc<Door>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A question that waits.
struct Question {
    packet: Box<[u8]>,
    transport: Transport,
    from: SocketAddr,
    until: Instant,
    to: ReplyTo,
    _place: Place,
}

/// Where its reply goes.
pub(super) enum ReplyTo {
    Datagram(Late),
    /// To its connection, which finishes it.
    Stream(oneshot::Sender<Vec<u8>>),
}

impl WaitingRoom {
    /// Opens it, on the current runtime.
    #[must_use]
    pub fn open(reader: &Reader, limits: HoldLimits) -> Self {
        let (question_tx, question_rx) = mpsc::unbounded_channel();
        let (stage_tx, stage_rx) = watch::channel(Stage::Open);
        let door = Arc::new(Door {
            question_tx,
            taken: AtomicUsize::new(0),
            questions: AtomicUsize::new(limits.questions),
            per_client: AtomicUsize::new(limits.per_client),
            is_closed: AtomicBool::new(false),
            stage_tx,
            task: Mutex::default(),
            cells: Cells::default(),
        });
        let task = Task::new(Arc::clone(&door), reader.clone(), question_rx, stage_rx);
        *door.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::spawn(task.run()));
        Self(door)
    }

    /// Lets a question wait until then; false where there is no room: its answer is that of now. Waits for nothing.
    pub(super) fn let_in(
        &self,
        packet: &[u8],
        transport: Transport,
        from: SocketAddr,
        until: Instant,
        to: impl FnOnce() -> ReplyTo,
    ) -> bool {
        let door = &self.0;
        if door.is_closed.load(Ordering::Acquire) {
            return false;
        }
        if packet.len() > MOST_OCTETS {
            door.count(&door.cells.too_long);
            return false;
        }
        if door.taken.fetch_add(1, Ordering::Relaxed) >= door.questions.load(Ordering::Relaxed) {
            door.taken.fetch_sub(1, Ordering::Relaxed);
            door.count(&door.cells.full);
            return false;
        }
        let place = Place(Arc::clone(door));
        let question = Question { packet: packet.into(), transport, from, until, to: to(), _place: place };
        door.question_tx.send(Box::new(question)).is_ok()
    }

    /// Goes by other limits. Who waits stays.
    pub fn set_limits(&self, limits: HoldLimits) {
        self.0.questions.store(limits.questions, Ordering::Relaxed);
        self.0.per_client.store(limits.per_client, Ordering::Relaxed);
    }

    /// Has all that wait answered, and lets nobody in any more: the server is about to stop.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.stage_tx.send_if_modified(|stage| {
            let is_open = *stage == Stage::Open;
            *stage = if is_open { Stage::Closed } else { *stage };
            is_open
        });
    }

    /// The same, and waits until it is done: once nobody is left who hands in questions.
    pub async fn end(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.stage_tx.send_replace(Stage::Ended);
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // One that panicked has answered nobody: their clients ask again.
            let _ = task.await;
        }
    }

    /// The counts just now.
    #[must_use]
    pub fn counts(&self) -> HoldCounts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let cells = &self.0.cells;
        HoldCounts {
            waiting: self.0.taken.load(Ordering::Relaxed) as u64,
            limit: self.0.questions.load(Ordering::Relaxed) as u64,
            held: read(&cells.held),
            ready: read(&cells.ready),
            bound: read(&cells.bound),
            changed: read(&cells.changed),
            stopped: read(&cells.stopped),
            repeated: read(&cells.repeated),
            full: read(&cells.full),
            full_of_client: read(&cells.full_of_client),
            too_long: read(&cells.too_long),
        }
    }
}

impl Door {
    fn count(&self, cell: &AtomicU64) {
        cell.fetch_add(1, Ordering::Relaxed);
    }
}

/// Until when a question that came then may wait.
pub(super) fn until(began: Instant, longest: Duration) -> Instant {
    began.checked_add(longest).unwrap_or(began)
}
