//! Who watches the questions: the query log and dnstap, as the configuration says; a reload exchanges what differs.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info};

use crate::config::Config;
use crate::server::{Dnstap, DnstapAddress, QueryLog, Queue, Tap, TapCounter};

/// How long the end waits for standard error to take the last lines of the query log.
const LAST: Duration = Duration::from_secs(1);

/// The watchers, running.
pub(super) struct Tapping {
    tap: Tap,
    counters: TapCounters,
    query_log: Option<Watcher<(u64, usize), QueryLog>>,
    dnstap: Option<Watcher<Reader, Dnstap>>,
}

/// Where to, as whom, and how many wait.
type Reader = (DnstapAddress, Option<Box<str>>, usize);

/// What each was shown; they count on over reloads.
#[derive(Clone, Default)]
pub(super) struct TapCounters {
    pub(super) query_log: Arc<TapCounter>,
    pub(super) dnstap: Arc<TapCounter>,
}

struct Watcher<S, W> {
    settings: S,
    queue: Queue,
    writer: W,
}

impl Tapping {
    /// Nobody watches yet.
    pub(super) fn new() -> Self {
        Self { tap: Tap::default(), counters: TapCounters::default(), query_log: None, dnstap: None }
    }

    /// What the servers show their answers to.
    pub(super) fn tap(&self) -> &Tap {
        &self.tap
    }

    /// What is counted.
    pub(super) fn counters(&self) -> &TapCounters {
        &self.counters
    }

    /// Takes over what the configuration says. One that stays as it is keeps its queue and its connection.
    pub(super) fn apply(&mut self, config: &Config) {
        let size = config.tap_queue;
        let wanted = (config.log.queries > 0).then_some((config.log.queries, size));
        let old_log = exchange(&mut self.query_log, wanted, |&(every, size)| {
            let queue = Queue::new(every, size, Arc::clone(&self.counters.query_log));
            // Without a thread there are no lines; everything else goes on.
            let started = QueryLog::start(queue.clone()).inspect_err(|error| error!(%error, "no query log"));
            Some((queue, started.ok()?))
        });
        let wanted = config.dnstap.clone().map(|address| (address, identity(config), size));
        let old_dnstap = exchange(&mut self.dnstap, wanted, |(address, identity, size)| {
            let queue = Queue::new(1, *size, Arc::clone(&self.counters.dnstap));
            Some((queue.clone(), Dnstap::start(address.clone(), identity.clone(), queue)))
        });
        let queues = [
            self.query_log.as_ref().map(|watcher| watcher.queue.clone()),
            self.dnstap.as_ref().map(|watcher| watcher.queue.clone()),
        ];
        self.tap.set(queues.into_iter().flatten().collect());
        // Behind the exchange, for they write what they were shown until then.
        drop(old_log.map(QueryLog::stop));
        if let Some(old) = old_dnstap {
            tokio::spawn(old.stop());
        }
    }

    /// Writes what waits, within a second or so.
    pub(super) async fn stop(self) {
        let TapCounters { query_log, dnstap } = self.counters().clone();
        self.tap.set(Vec::new());
        let Self { dnstap: to_socket, query_log: to_log, .. } = self;
        let to_socket = async {
            if let Some(watcher) = to_socket {
                watcher.writer.stop().await;
            }
        };
        let to_log = async {
            if let Some(watcher) = to_log {
                let ended = tokio::task::spawn_blocking(|| watcher.writer.stop().join().is_ok());
                let _ = tokio::time::timeout(LAST, ended).await;
            }
        };
        // Beside each other: both have a bound, and one behind the other it would be twice as long.
        tokio::join!(to_socket, to_log);
        for (what, counter) in [("query log", query_log), ("dnstap", dnstap)] {
            let (taken, dropped) = (counter.taken(), counter.dropped());
            if taken + dropped > 0 {
                info!(taken, dropped, "{what}: questions");
            }
        }
    }
}

/// Starts another watcher where the settings differ, and gives the one before back.
fn exchange<S: PartialEq, W>(
    place: &mut Option<Watcher<S, W>>,
    wanted: Option<S>,
    start: impl FnOnce(&S) -> Option<(Queue, W)>,
) -> Option<W> {
    if place.as_ref().map(|watcher| &watcher.settings) == wanted.as_ref() {
        return None;
    }
    let new = wanted.and_then(|settings| {
        let (queue, writer) = start(&settings)?;
        Some(Watcher { settings, queue, writer })
    });
    std::mem::replace(place, new).map(|watcher| watcher.writer)
}

/// The name that dnstap has for this server: the one that `id.server` has, else the machine's, which is the pod's.
fn identity(config: &Config) -> Option<Box<str>> {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = config.identity.clone().or_else(|| host().map(|name| name.trim().into()));
    name.filter(|name| !name.is_empty())
}
