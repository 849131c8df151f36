//! Now and then everything is listed anew beside the watch, and compared with what is known.
//!
//! A watch that loses an event without a word leaves a record stale for as long as its object does not change again
//! (coredns/coredns#3587). So each scope lists anew in a task of its own while its watch goes on:
//!
//! ```text
//! Relisting ── items ── complete at version V ── the watch has told V, or later ── Relisted: compared, counted
//! ```
//!
//! Before the watch has come as far as the list, what differs may only be under way. It is not compared then, but when
//! an event or a bookmark of V or later was read: every change up to V was told by then, and what was told since the
//! list began is left out ([`crate::cluster::Relist::beside`]). A healthy watch under any churn counts none.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::info;

use super::Scope;
use super::decode::Version;
use super::failure::Failure;

/// For a watch to come as far as a list that is complete. Bookmarks come about once a minute.
const LAG: Duration = Duration::from_secs(90);
/// Behind one that failed, at the most.
const RETRY: Duration = Duration::from_secs(60);

/// The lists beside one watch.
pub(super) struct Relisting {
    every: Option<Duration>,
    due: Option<Instant>,
    /// At most one.
    task: JoinSet<Result<Version, Failure>>,
    /// The list is complete: its version, and since when it is.
    listed: Option<(Version, Instant)>,
}

/// What has become of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is none, or it goes on.
    Nothing,
    /// It is complete, and the watch has come as far.
    Comparable,
    /// It failed; or the watch has not come as far in time (true), and is not to be trusted.
    Void(bool),
}

impl Relisting {
    pub(super) fn new(every: Option<Duration>) -> Self {
        let mut relisting = Self { every, due: None, task: JoinSet::new(), listed: None };
        relisting.schedule(every);
        relisting
    }

    /// A quarter of jitter to either side: replicas, and the kinds of one, do not list in the same second.
    fn schedule(&mut self, wait: Option<Duration>) {
        self.due = wait.map(|wait| Instant::now() + wait.mul_f32(0.75 + fastrand::f32() / 2.0));
    }

    /// Everything was listed just now.
    pub(super) fn put_off(&mut self) {
        self.schedule(self.every);
    }

    /// Whether it is time to begin one.
    pub(super) fn is_due(&self) -> bool {
        self.task.is_empty() && self.listed.is_none() && self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Begins one: it sends its items by itself and gives the version that it is of.
    pub(super) fn begin(&mut self, list: impl Future<Output = Result<Version, Failure>> + Send + 'static) {
        self.due = None;
        self.task.spawn(list);
    }

    /// What has become of it, now that the watch has come as far as `version`.
    pub(super) fn stage(&mut self, version: &str, scope: &Scope) -> Stage {
        match self.task.try_join_next() {
            None => {}
            Some(Ok(Ok(version))) => self.listed = Some((version, Instant::now())),
            Some(Ok(Err(failure))) => return self.fails(&failure.to_string(), scope),
            Some(Err(panic)) => return self.fails(&panic.to_string(), scope),
        }
        match &self.listed {
            Some((listed, _)) if is_at(version, listed) => {
                self.listed = None;
                self.put_off();
                Stage::Comparable
            }
            Some((_, since)) if since.elapsed() >= LAG => {
                self.listed = None;
                self.put_off();
                Stage::Void(true)
            }
            _ => Stage::Nothing,
        }
    }

    fn fails(&mut self, why: &str, scope: &Scope) -> Stage {
        info!("{scope}: the list to compare with failed, and is tried again: {why}");
        self.schedule(self.every.map(|every| every.min(RETRY)));
        Stage::Void(false)
    }

    /// Ends one that goes on; gives whether there was any. Behind this nothing of it is sent any more.
    pub(super) async fn abandon(&mut self) -> bool {
        let was = !self.task.is_empty() || self.listed.is_some();
        self.task.shutdown().await;
        self.listed = None;
        self.put_off();
        was
    }
}

/// Whether a version is another, or later. Those of one cluster compare as numbers (KEP-5504).
fn is_at(version: &str, other: &str) -> bool {
    let number = |text: &str| text.parse::<u128>().ok();
    version == other || number(version).zip(number(other)).is_some_and(|(version, other)| version >= other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;

    const SCOPE: Scope = Scope { kind: Kind::Service, namespace: None };
    const EVERY: Duration = Duration::from_secs(600);

    async fn begun(list: Result<Version, Failure>) -> Relisting {
        let mut relisting = Relisting::new(Some(EVERY));
        assert!(!relisting.is_due());
        tokio::time::advance(EVERY.mul_f32(1.25)).await;
        assert!(relisting.is_due());
        relisting.begin(async { list });
        assert!(!relisting.is_due());
        // The task runs.
        tokio::task::yield_now().await;
        relisting
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_compared_when_the_watch_has_come_as_far() {
        let mut relisting = begun(Ok("100".into())).await;
        for version in ["", "99", "9"] {
            assert_eq!(relisting.stage(version, &SCOPE), Stage::Nothing, "{version}");
        }
        assert_eq!(relisting.stage("101", &SCOPE), Stage::Comparable);
        assert_eq!(relisting.stage("101", &SCOPE), Stage::Nothing);
        assert!(!relisting.is_due());
        tokio::time::advance(EVERY.mul_f32(1.25)).await;
        assert!(relisting.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_does_not_come_as_far_is_given_up() {
        let mut relisting = begun(Ok("100".into())).await;
        assert_eq!(relisting.stage("99", &SCOPE), Stage::Nothing);
        tokio::time::advance(LAG).await;
        assert_eq!(relisting.stage("99", &SCOPE), Stage::Void(true));
        assert_eq!(relisting.stage("100", &SCOPE), Stage::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_is_tried_again_soon() {
        let mut relisting = begun(Err(Failure::ended("scripted"))).await;
        assert_eq!(relisting.stage("100", &SCOPE), Stage::Void(false));
        tokio::time::advance(RETRY.mul_f32(1.25)).await;
        assert!(relisting.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn abandoned_it_is_over() {
        let mut relisting = begun(Ok("100".into())).await;
        assert!(relisting.abandon().await);
        assert_eq!(relisting.stage("100", &SCOPE), Stage::Nothing);
        assert!(!relisting.abandon().await);
        assert!(!Relisting::new(None).is_due());
        // As well where it was complete and the watch had not come as far.
        let mut relisting = begun(Ok("100".into())).await;
        assert_eq!(relisting.stage("99", &SCOPE), Stage::Nothing);
        assert!(relisting.abandon().await);
        assert_eq!(relisting.stage("100", &SCOPE), Stage::Nothing);
        tokio::time::advance(EVERY.mul_f32(1.25)).await;
        assert!(relisting.is_due(), "it is begun anew in time");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_listed_just_now_is_not_listed_again_soon() {
        let mut relisting = Relisting::new(Some(EVERY));
        tokio::time::advance(EVERY.mul_f32(0.7)).await;
        relisting.put_off();
        tokio::time::advance(EVERY.mul_f32(0.7)).await;
        assert!(!relisting.is_due());
    }

    #[test]
    fn versions_are_numbers_or_the_same() {
        assert!(is_at("100", "99") && is_at("100", "100") && is_at("x", "x"));
        assert!(!is_at("9", "10") && !is_at("", "1") && !is_at("y", "x"));
    }
}
