//! What the page and the API are made of: questions to the one task that has the index, the last changes, and what others
//! tell when they are asked.
//!
//! Nothing here waits in the way of a publish: the publishing task answers questions between two publishes, each with a
//! copy of packed octets, or with the way to one name, and tells what it published through a channel that it never waits for.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::Health;
use super::ring::{Batch, Ring};
use super::status::Status;
use crate::cluster::Index;
use crate::explain::{self, Explanation, QuestionError};
use crate::zone::Reader;

/// Questions that wait for the publishing task.
const QUESTIONS: usize = 32;
/// Publishes that wait to be taken down, each with what its services were and are; of more it is told that they were.
const BATCHES: usize = 4;
/// Answers that are made at one time: what each is made of is in memory, up to some ten megabytes.
const TURNS: usize = 2;
/// For the publishing task, which may be at a publish of a whole cluster.
const PATIENCE: Duration = Duration::from_secs(4);

/// Something that is to be read from the index.
pub type Question = Box<dyn FnOnce(&Index) + Send>;

/// What the publishing task keeps of a board.
#[derive(Debug)]
pub struct BoardEnd {
    questions: mpsc::Receiver<Question>,
    batches: mpsc::Sender<Batch>,
    /// Services of batches that found no room.
    lost: usize,
    shared: Arc<Shared>,
}

/// Where the page and the API look; its clones are one.
#[derive(Clone)]
pub struct Board {
    pub(super) health: Health,
    pub(super) reader: Reader,
    pub(super) tellers: Tellers,
    questions: mpsc::Sender<Question>,
    turns: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// See [`Tellers::explain`].
type Explain = dyn Fn(&Index, &explain::Question) -> Result<Explanation, QuestionError> + Send + Sync;
/// See [`Tellers::why`].
type Why = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Who tells what is not in the index.
#[derive(Clone)]
pub struct Tellers {
    /// Of watches, snapshots and objects.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// How a question is answered just now, and why; asked between two publishes.
    pub explain: Arc<Explain>,
    /// Why a name, as it is, has no address; None where it has one.
    pub why: Arc<Why>,
}

impl fmt::Debug for Tellers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tellers")
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("ring", self.ring()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    ring: Ring,
    /// Another one for each state of the cluster that was published.
    revision: AtomicU64,
    ended: watch::Sender<bool>,
}

/// The publishing task did not get round to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// Makes a board that remembers so many changes, and its other end. Within a tokio runtime.
#[must_use]
pub fn board(changes: usize, reader: &Reader, health: &Health, tellers: Tellers) -> (Board, BoardEnd) {
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let (batches, mut published) = mpsc::channel::<Batch>(BATCHES);
    let shared = Arc::new(Shared {
        ring: Ring::new(changes),
        revision: AtomicU64::new(0),
        ended: watch::Sender::new(false),
    });
    let board = Board {
        health: health.clone(),
        reader: reader.clone(),
        tellers,
        questions,
        turns: Arc::new(Semaphore::new(TURNS)),
        shared: Arc::clone(&shared),
    };
    let taking = Arc::clone(&shared);
    // It ends with the other end. On a thread of its own: a large service takes longer than a probe should wait.
    tokio::spawn(async move {
        while let Some(batch) = published.recv().await {
            let taking = Arc::clone(&taking);
            // A panic was told by then, and does not keep the next one back.
            let _ = tokio::task::spawn_blocking(move || taking.ring.take_down(&batch)).await;
        }
    });
    (board, BoardEnd { questions: asked, batches, lost: 0, shared })
}

impl BoardEnd {
    /// Waits for a question. May be cancelled.
    pub async fn asked(&mut self) -> Question {
        match self.questions.recv().await {
            Some(question) => question,
            // Nobody can ask any more.
            None => std::future::pending().await,
        }
    }

    /// A question that waits.
    pub fn waiting(&mut self) -> Option<Question> {
        self.questions.try_recv().ok()
    }

    /// Tells what was published, and the number of the state that it made.
    pub fn published(&mut self, revision: u64, mut batch: Batch) {
        self.shared.revision.store(revision, Ordering::Release);
        if batch.changes.is_empty() && batch.more == 0 && self.lost == 0 {
            return;
        }
        let services = batch.changes.len() + batch.more;
        batch.more += self.lost;
        self.lost = match self.batches.try_send(batch) {
            Ok(()) => 0,
            Err(_) => self.lost + services,
        };
    }

    /// Ends the event streams: the process is being stopped.
    pub fn end(&self) {
        self.shared.ended.send_replace(true);
    }
}

impl Board {
    /// Reads something from the index, between two publishes.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Index) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (tell, told) = oneshot::channel();
        let question: Question = Box::new(move |index| {
            // Who asked may have gone: it is not answered then.
            if tell.is_closed() {
                return;
            }
            // A panic ends this question, and not the task that publishes; it was told by then.
            if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| read(index))) {
                let _ = tell.send(answer);
            }
        });
        let asked = async {
            self.questions.send(question).await.map_err(|_| Busy)?;
            told.await.map_err(|_| Busy)
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Busy))
    }

    /// A turn at making an answer, before the cluster is asked for what it is made of: so many at one time.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Busy> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| Busy)?.map_err(|_| Busy)
    }

    /// Has a question explained, between two publishes.
    pub(super) async fn explain(
        &self,
        question: explain::Question,
    ) -> Result<Result<Explanation, QuestionError>, Busy> {
        let _turn = self.turn().await?;
        let explain = Arc::clone(&self.tellers.explain);
        self.ask(move |index| explain(index, &question)).await
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.shared.ring
    }

    /// Tells states of this process's cluster apart, and processes.
    pub(super) fn tag(&self) -> String {
        let revision = self.shared.revision.load(Ordering::Acquire);
        format!("\"{}-{revision}-{}\"", self.ring().process(), self.ring().newest_number())
    }

    /// Becomes true when streams are to end.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.shared.ended.subscribe()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::health::tests::mk_zone;
    use crate::admin::status::{Objects, Snapshot};

    pub(in crate::admin) fn mk_board() -> (Board, BoardEnd) {
        let (_, reader) = mk_zone();
        let status = || Status {
            source: "manifests",
            objects: Objects { namespaces: 0, services: 0, endpoint_slices: 0, stateful_sets: 0, pods: 0 },
            watches: Vec::new(),
            snapshot: Snapshot { loaded: false, written_at: None, writes: 0, failures: 0, octets: 0 },
        };
        let tellers = Tellers {
            status: Arc::new(status),
            explain: Arc::new(|_, _| Err(QuestionError::BadType("no name".to_owned()))),
            why: Arc::new(|_| None),
        };
        let health = Health::new(reader.clone());
        board(9, &reader, &health, tellers)
    }

    pub(in crate::admin) fn mk_batch() -> Batch {
        let published = std::time::SystemTime::UNIX_EPOCH;
        Batch { changes: Vec::new(), more: 1, arrived: None, published, serial: 7 }
    }

    #[tokio::test]
    async fn few_publishes_wait_and_the_others_are_counted() {
        let (board, mut end) = mk_board();
        (0..10).for_each(|revision| end.published(revision, mk_batch()));
        let mut newest = board.ring().newest();
        newest.wait_for(|newest| *newest == BATCHES as u64).await.unwrap();
        end.published(10, mk_batch());
        newest.wait_for(|newest| *newest > BATCHES as u64).await.unwrap();
        let text = board.ring().last(1)[0].text.clone();
        assert_eq!(text, "7 more services changed at the same time");
    }

    #[tokio::test]
    async fn taking_down_holds_no_worker() {
        let (board, mut end) = mk_board();
        let (held, is_held) = std::sync::mpsc::channel();
        let holding = board.clone();
        let holder = std::thread::spawn(move || {
            holding.ring().hold(|| {
                held.send(()).unwrap();
                std::thread::sleep(Duration::from_secs(1));
            });
        });
        is_held.recv().unwrap();
        let start = std::time::Instant::now();
        end.published(1, mk_batch());
        // The runtime has this one thread.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
        board.ring().newest().wait_for(|newest| *newest == 1).await.unwrap();
        holder.join().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_waits_for_is_not_answered_and_a_panic_ends_no_other() {
        let (board, mut end) = mk_board();
        let index = Index::new();
        let answered = Arc::new(AtomicU64::new(0));
        let of_late = Arc::clone(&answered);
        let late = board.ask(move |_| of_late.fetch_add(1, Ordering::Relaxed));
        assert!(late.await.is_err(), "nobody takes it");
        end.waiting().unwrap()(&index);
        assert_eq!(answered.load(Ordering::Relaxed), 0);
        let asking = board.clone();
        let bad = tokio::spawn(async move { asking.ask::<()>(|_| panic!("of one question")).await });
        end.asked().await(&index);
        assert_eq!(bad.await.unwrap(), Err(Busy));
        let good = tokio::spawn(async move { board.ask(|_| 7).await });
        end.asked().await(&index);
        assert_eq!(good.await.unwrap(), Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_made_a_few_at_a_time() {
        let (board, _end) = mk_board();
        let (first, second) = (board.turn().await.unwrap(), board.turn().await.unwrap());
        assert_eq!(board.turn().await.unwrap_err(), Busy);
        drop(first);
        assert!(board.turn().await.is_ok());
        drop(second);
    }
}
