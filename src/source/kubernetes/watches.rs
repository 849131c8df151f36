//! What is known of each watch: when it last said something, how the ones before it ended, what failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::Scope;
use super::failure::Cause;

/// How a watch ended that was begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// By the server, in time: the usual end.
    Ended,
    /// Neither an event nor a bookmark, and not its end either.
    Silent,
    /// Its version is no longer kept: everything is listed.
    Gone,
    /// It disagreed with a list beside it on how far the cluster is: everything is listed.
    Behind,
    /// The connection broke, or the server said an error.
    Failed,
}

impl Restart {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ended, Self::Silent, Self::Gone, Self::Behind, Self::Failed];

    /// A word, as the metrics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Silent => "silent",
            Self::Gone => "gone",
            Self::Behind => "behind",
            Self::Failed => "failed",
        }
    }

    pub(super) fn of(cause: Cause) -> Self {
        match cause {
            Cause::Silent => Self::Silent,
            Cause::Gone => Self::Gone,
            Cause::Unauthorised | Cause::Forbidden | Cause::NotStreamed | Cause::Other => Self::Failed,
        }
    }
}

/// A watch, as its task writes it and anybody reads it.
#[derive(Debug)]
pub(super) struct Watch {
    scope: Scope,
    /// What the times below are counted from.
    began: Instant,
    /// The last event or bookmark, in milliseconds; 0 is none yet.
    said: AtomicU64,
    /// The same, or the head of an answer: the server was there.
    answered: AtomicU64,
    restarts: [AtomicU64; Restart::ALL.len()],
    failures: [AtomicU64; Cause::ALL.len()],
    lists: AtomicU64,
    relists: AtomicU64,
    differences: AtomicU64,
}

impl Watch {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            began: Instant::now(),
            said: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            restarts: Default::default(),
            failures: Default::default(),
            lists: AtomicU64::new(0),
            relists: AtomicU64::new(0),
            differences: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn since(&self, cell: &AtomicU64) -> Option<Duration> {
        let then = Some(cell.load(Ordering::Relaxed)).filter(|then| *then > 0)?;
        Some(Duration::from_millis(self.now().saturating_sub(then)))
    }

    /// The server answered.
    pub(super) fn answers(&self) {
        self.answered.store(self.now(), Ordering::Relaxed);
    }

    /// There was an event, or a bookmark.
    pub(super) fn says(&self) {
        let now = self.now();
        self.said.store(now, Ordering::Relaxed);
        self.answered.store(now, Ordering::Relaxed);
    }

    /// For how long nothing was heard of the server.
    pub(super) fn unheard(&self) -> Duration {
        self.since(&self.answered).unwrap_or_default()
    }

    pub(super) fn restarts(&self, how: Restart) {
        self.restarts[how as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fails(&self, cause: Cause) {
        self.failures[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A list is complete, from which a watch goes on.
    pub(super) fn lists(&self) {
        self.says();
        self.lists.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is known of a watch just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchCounts {
    /// Of what.
    pub scope: Scope,
    /// Since the last event or bookmark; None before the first one.
    pub age: Option<Duration>,
    /// How often it was begun anew, by how the one before ended.
    pub restarts: [(Restart, u64); Restart::ALL.len()],
    /// Requests and watches that failed, by a word for why.
    pub failures: [(&'static str, u64); Cause::ALL.len()],
    /// Lists that a watch went on from: the first, and those behind a version that was no longer kept.
    pub lists: u64,
    /// Lists beside the watch that were compared with what was known.
    pub relists: u64,
    /// Objects that differed in those. Each is a change that the watch did not tell.
    pub differences: u64,
}

/// Reads what is known of the watches, at any time and from anywhere. It outlives the source: one that begins anew goes
/// on counting.
#[derive(Debug, Clone, Default)]
pub struct Watches(Arc<ArcSwap<Vec<Arc<Watch>>>>);

impl Watches {
    /// The watches of these scopes from now on; those that were there go on counting.
    pub(super) fn of(&self, scopes: &[Scope]) -> Vec<Arc<Watch>> {
        let before = self.0.load();
        let of = |scope: &Scope| {
            let known = before.iter().find(|watch| watch.scope == *scope);
            known.map_or_else(|| Arc::new(Watch::new(scope.clone())), Arc::clone)
        };
        let watches: Vec<Arc<Watch>> = scopes.iter().map(of).collect();
        self.0.store(Arc::new(watches.clone()));
        watches
    }

    /// A list beside the watch of a scope was compared with what was known.
    pub fn compared(&self, scope: &Scope, differences: usize) {
        if let Some(watch) = self.0.load().iter().find(|watch| watch.scope == *scope) {
            watch.relists.fetch_add(1, Ordering::Relaxed);
            watch.differences.fetch_add(differences as u64, Ordering::Relaxed);
        }
    }

    /// What is known just now.
    #[must_use]
    pub fn counts(&self) -> Vec<WatchCounts> {
        let of = |watch: &Arc<Watch>| {
            let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
            WatchCounts {
                scope: watch.scope.clone(),
                age: watch.since(&watch.said),
                restarts: Restart::ALL.map(|how| (how, read(&watch.restarts[how as usize]))),
                failures: Cause::ALL.map(|cause| (cause.as_str(), read(&watch.failures[cause as usize]))),
                lists: read(&watch.lists),
                relists: read(&watch.relists),
                differences: read(&watch.differences),
            }
        };
        self.0.load().iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;

    fn mk_scope(kind: Kind) -> Scope {
        Scope { kind, namespace: None }
    }

    #[tokio::test(start_paused = true)]
    async fn ages_and_counts() {
        let watches = Watches::default();
        let [services, slices] = [Kind::Service, Kind::EndpointSlice].map(mk_scope);
        let running = watches.of(&[services.clone(), slices.clone()]);
        assert!(watches.counts().iter().all(|counts| counts.age.is_none()));
        running[1].says();
        tokio::time::advance(Duration::from_secs(3)).await;
        running[1].answers();
        tokio::time::advance(Duration::from_secs(2)).await;
        running[1].restarts(Restart::Silent);
        running[1].fails(Cause::Other);
        watches.compared(&slices, 2);
        // The source begins anew, with a kind more and a kind less.
        let running = watches.of(&[slices.clone(), mk_scope(Kind::Pod)]);
        assert_eq!(running[0].unheard(), Duration::from_secs(2));
        let counts = watches.counts();
        assert_eq!(counts.len(), 2);
        assert_eq!((&counts[0].scope, counts[0].age), (&slices, Some(Duration::from_secs(5))));
        assert_eq!((counts[0].relists, counts[0].differences), (1, 2));
        assert_eq!(counts[0].restarts[Restart::Silent as usize], (Restart::Silent, 1));
        assert!(counts[0].failures.contains(&("other", 1)), "{:?}", counts[0].failures);
    }

    #[test]
    fn each_has_a_place_of_its_own() {
        for (place, how) in Restart::ALL.into_iter().enumerate() {
            assert_eq!(how as usize, place, "{how:?}");
        }
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place, "{cause:?}");
        }
    }
}
