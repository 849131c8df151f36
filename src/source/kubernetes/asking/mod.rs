//! Asks for the pods of sets that are not whole, for their claims, and where those say nothing for an event: what stands
//! behind the sentence about a replica that has no name.
//!
//! ```text
//! wanted: sets with the names of their absent replicas ──▶ pace: which, when ──▶ look: lists ──▶ told: PodStates
//! ```
//!
//! No pod is watched. One request at a time over a client of its own, so that the watches never wait for it; an API
//! server that is busy or away is left alone for longer each time, and a set whose own list cannot be used by itself. An
//! account that may not list pods is told of once, and asked for again seldom: the permission may come. What nobody can
//! look at again is forgotten ([`failing`]).

mod counters;
mod failing;
mod look;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

pub use counters::{LookCounters, LookCounts};
pub use pace::Rate;

use super::Clients;
use super::failure::{Cause, Failure};
use crate::model::{Label, PodState};
use crate::source::chain;
use failing::{Failing, Forget};
use look::{Looker, Seen};
use pace::{Next, Pace};

/// Namespace and name of a StatefulSet.
pub type SetName = (Label, Box<str>);

/// What waits to be taken; the next set is asked about when there is room.
const QUEUE: usize = 16;
/// The first wait after an error that is the server's, and the longest, before jitter of as much again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the pods of a set say.
#[derive(Debug)]
pub struct Told {
    /// The set.
    pub set: SetName,
    /// Those of the pods that were asked for which are there and not ready.
    pub pods: Vec<PodState>,
}

/// Asks; dropped, it ends.
pub struct Asking {
    shared: Arc<Shared>,
    told_rx: mpsc::Receiver<Told>,
    tasks: JoinSet<()>,
}

/// What is wanted, by whoever publishes; read between two requests.
#[derive(Default)]
struct Shared {
    state: Mutex<Wanted>,
    changed: Notify,
}

#[derive(Default)]
struct Wanted {
    /// Ordinals of the replicas without a name.
    absent: BTreeMap<SetName, Vec<u64>>,
    /// Not taken up by the task yet.
    new: Vec<SetName>,
}

impl Shared {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        // Whoever panicked has left a map of names behind, whole or not.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking {
    /// Begins; there is nothing to ask for yet.
    #[must_use]
    pub fn start(clients: Clients, rate: Rate, counters: LookCounters) -> Self {
        let shared = Arc::<Shared>::default();
        let (told_tx, told_rx) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        let task = Task {
            clients,
            rate,
            counters,
            shared: Arc::clone(&shared),
            told_tx,
            looker: None,
            refused: BTreeSet::new(),
            failing: Failing::default(),
            waits: waits(),
        };
        tasks.spawn(task.run());
        Self { shared, told_rx, tasks }
    }

    /// Says whose absent replicas are wanted from now on; None is of a set that is whole.
    pub fn want(&self, changes: impl IntoIterator<Item = (SetName, Option<Vec<u64>>)>) {
        let mut wanted = self.shared.wanted();
        for (name, absent) in changes {
            match absent {
                Some(absent) => {
                    if wanted.absent.insert(name.clone(), absent).is_none() {
                        wanted.new.push(name);
                    }
                }
                None => {
                    wanted.absent.remove(&name);
                }
            }
        }
        self.shared.changed.notify_one();
    }

    /// Waits for what pods say; None when the task ended in a panic: it must be started anew. Nothing is lost when it is
    /// cancelled.
    pub async fn told(&mut self) -> Option<Told> {
        tokio::select! {
            biased;
            // It runs for ever; when it does not it has panicked.
            Some(_) = self.tasks.join_next() => None,
            told = self.told_rx.recv() => told,
        }
    }

    /// Takes what is there, without waiting.
    pub fn more(&mut self) -> Option<Told> {
        self.told_rx.try_recv().ok()
    }

    /// All that is wanted, for one that is started anew.
    #[must_use]
    pub fn all_wanted(&self) -> BTreeMap<SetName, Option<Vec<u64>>> {
        let absent = self.shared.wanted().absent.clone();
        absent.into_iter().map(|(name, absent)| (name, Some(absent))).collect()
    }
}

struct Task {
    clients: Clients,
    rate: Rate,
    counters: LookCounters,
    shared: Arc<Shared>,
    told_tx: mpsc::Sender<Told>,
    /// None before the first look, and where the credentials are not accepted.
    looker: Option<Looker>,
    /// Namespaces whose pods may not be listed: that is said of the first.
    refused: BTreeSet<Label>,
    failing: Failing,
    /// How long nothing is asked for at all, of a server that is busy or away.
    waits: ExponentialBackoff,
}

/// What pods say, and why nothing is to be asked for a while, where that was said beside them.
type Heard = (Vec<PodState>, Option<Failure>);

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

impl Task {
    /// Until nobody listens any more.
    async fn run(mut self) {
        let mut pace = Pace::default();
        loop {
            let name = self.next(&mut pace).await;
            let Some(heard) = self.look(&name).await else { continue };
            let (told, failure) = match heard {
                Ok((pods, failure)) => (vec![Told { set: name.clone(), pods }], failure),
                Err(failure) => (self.forget(&name), Some(failure)),
            };
            for told in told {
                if self.told_tx.send(told).await.is_err() {
                    return;
                }
            }
            if let Some(failure) = failure {
                self.wait(&name, &failure).await;
            }
        }
    }

    /// Leaves the server alone.
    async fn wait(&mut self, name: &SetName, failure: &Failure) {
        if failure.cause == Cause::Unauthorised {
            // The files may have others by now.
            self.looker = None;
        }
        let wait = self.waits.next().unwrap_or(LONGEST_WAIT);
        let wait = failure.retry_after.map_or(wait, |asked| asked + wait);
        debug!("the pods of StatefulSet {}/{}: {failure}; nothing is asked for {wait:?}", name.0, name.1);
        tokio::time::sleep(wait).await;
    }

    /// What is said no longer after a look at this set failed, for it was right too long ago.
    fn forget(&mut self, name: &SetName) -> Vec<Told> {
        let sets = match self.failing.fails(name, Instant::now()) {
            Forget::Nothing => Vec::new(),
            Forget::This => vec![name.clone()],
            Forget::All => {
                let minutes = failing::FORGET_AFTER.as_secs() / 60;
                info!("no pods could be listed for {minutes} minutes: reasons tell what slices say");
                self.shared.wanted().absent.keys().cloned().collect()
            }
        };
        sets.into_iter().map(|set| Told { set, pods: Vec::new() }).collect()
    }

    /// Waits for the next set.
    async fn next(&self, pace: &mut Pace) -> SetName {
        loop {
            let next = {
                let mut wanted = self.shared.wanted();
                let now = Instant::now();
                std::mem::take(&mut wanted.new).into_iter().for_each(|name| pace.add(name, now));
                self.counters.waiting(wanted.absent.len());
                pace.next(now, self.rate, |name| wanted.absent.contains_key(name))
            };
            let changed = self.shared.changed.notified();
            match next {
                Next::Ask(name) => return name,
                Next::Idle => changed.await,
                Next::At(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
            }
        }
    }

    /// Asks about a set. None where nobody wants it any more, or it is left alone.
    ///
    /// # Errors
    /// When the server is busy, away, or does not know us.
    async fn look(&mut self, name: &SetName) -> Option<Result<Heard, Failure>> {
        let absent = {
            let wanted = self.shared.wanted();
            self.failing.prune(wanted.absent.len(), |name| wanted.absent.contains_key(name));
            wanted.absent.get(name).cloned()?
        };
        if self.failing.rests(name, Instant::now()) {
            return None;
        }
        let seen = match self.looker().await {
            Ok(looker) => looker.look(name, &absent).await,
            Err(failure) => Err(failure),
        };
        let (pods, failure) = match seen {
            Ok(Seen::Pods(pods, failure)) => {
                if self.refused.remove(&name.0) {
                    info!(
                        "the pods of namespace {} may be listed now: reasons tell what they wait for",
                        name.0
                    );
                }
                self.failing.succeeds(name);
                (pods, failure)
            }
            Ok(Seen::Refused(failure)) => {
                let is_first = self.refused.is_empty();
                if self.refused.insert(name.0.clone()) && is_first {
                    warn!(
                        "{failure}; without it reasons tell what slices say, and not what a pod waits for (docs/reasons.md); asked for again each few minutes, and not said again"
                    );
                }
                self.failing.succeeds(name);
                // What was known while it was allowed is not told for ever.
                (Vec::new(), None)
            }
            // Of the server this says nothing.
            Ok(Seen::Nothing) => return Some(Ok((Vec::new(), None))),
            Err(failure) if failure.is_of_request => {
                debug!("the pods of StatefulSet {}/{}: {failure}", name.0, name.1);
                self.failing.cannot_use(name, Instant::now());
                (Vec::new(), None)
            }
            Err(failure) => return Some(Err(failure)),
        };
        if failure.is_none() {
            self.waits = waits();
        }
        Some(Ok((pods, failure)))
    }

    async fn looker(&mut self) -> Result<&mut Looker, Failure> {
        let looker = match self.looker.take() {
            Some(looker) => looker,
            None => {
                let client = self.clients.client().await.map_err(|error| {
                    self.counters.failed();
                    Failure::ended(chain(&error))
                })?;
                Looker::new(client, self.counters.clone())
            }
        };
        Ok(self.looker.insert(looker))
    }
}
