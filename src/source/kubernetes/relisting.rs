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
//!
//! A list that is older than where the watch was before it was asked for says that the cluster's versions went back: an
//! etcd was restored. The API server takes a watch from a version that is yet to come for a good one and says nothing
//! below it, so that such a watch is deaf. It is given up, and everything is listed to be followed anew.
//!
//! Nothing for long from watches that end in time is no proof that nothing changed: it calls for a list at once.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Scope;
use super::decode::Version;
use super::failure::Failure;

/// For a watch to come as far as a list that is complete. Bookmarks come about once a minute.
const LAG: Duration = Duration::from_secs(90);
/// From one list that silence called for to the next.
const SPACING: Duration = LAG;
/// Behind one that failed, at the most.
const RETRY: Duration = Duration::from_secs(60);

/// The lists beside one watch.
pub(super) struct Relisting {
    every: Option<Duration>,
    due: Option<Instant>,
    /// At most one.
    task: JoinSet<Result<Version, Failure>>,
    /// Where the watch was before that was asked for.
    asked_at: Version,
    /// The list is complete: its version, and since when it is.
    listed: Option<(Version, Instant)>,
    /// The last word of the watch.
    heard: Instant,
    /// The last list that silence called for, and the least time from it to the next.
    hastened: Option<Instant>,
    spacing: Duration,
}

/// What has become of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is none, or it goes on.
    Nothing,
    /// It is complete, and the watch has come as far.
    Comparable,
    /// It failed; or the watch has not come as far in time, or was farther before (true), and is not to be trusted.
    Void(bool),
}

impl Relisting {
    pub(super) fn new(every: Option<Duration>) -> Self {
        let mut relisting = Self {
            every,
            due: None,
            task: JoinSet::new(),
            asked_at: Version::default(),
            listed: None,
            heard: Instant::now(),
            hastened: None,
            spacing: SPACING,
        };
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

    /// The watch said something.
    pub(super) fn hears(&mut self) {
        self.heard = Instant::now();
    }

    /// A list is due now where the watch has said nothing for so long. One after the other, not all the time; and less
    /// often where the watch does not come as far as they do, for some servers have nothing to say of what never changes.
    pub(super) fn hasten(&mut self, silence: Duration) {
        let is_spaced = self.hastened.is_none_or(|last| last.elapsed() >= self.spacing);
        if self.due.is_some() && is_spaced && self.heard.elapsed() >= silence {
            (self.due, self.hastened) = (Some(Instant::now()), Some(Instant::now()));
        }
    }

    /// Whether it is time to begin one.
    pub(super) fn is_due(&self) -> bool {
        self.task.is_empty() && self.listed.is_none() && self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Begins one, beside a watch that has come as far as `version`: it sends its items by itself and gives the version
    /// that it is of.
    pub(super) fn begin(
        &mut self,
        version: &str,
        list: impl Future<Output = Result<Version, Failure>> + Send + 'static,
    ) {
        self.due = None;
        self.asked_at = version.into();
        self.task.spawn(list);
    }

    /// What has become of it, now that the watch has come as far as `version`.
    pub(super) fn stage(&mut self, version: &str, scope: &Scope) -> Stage {
        match self.task.try_join_next() {
            None => {}
            Some(Ok(Ok(listed))) if is_before(&listed, &self.asked_at) => {
                let asked_at = &self.asked_at;
                warn!(
                    "{scope}: a list is of version {listed}, the watch was at {asked_at} before it: the cluster's versions went back, as those of a restored etcd do"
                );
                self.put_off();
                return Stage::Void(true);
            }
            Some(Ok(Ok(listed))) => self.listed = Some((listed, Instant::now())),
            Some(Ok(Err(failure))) => return self.fails(&failure.to_string(), scope),
            Some(Err(panic)) => return self.fails(&panic.to_string(), scope),
        }
        match &self.listed {
            Some((listed, _)) if is_at(version, listed) => {
                self.listed = None;
                self.spacing = SPACING;
                self.put_off();
                Stage::Comparable
            }
            Some((_, since)) if since.elapsed() >= LAG => {
                info!("{scope}: the watch is far behind a list beside it");
                self.listed = None;
                self.spacing = self.every.map_or(SPACING, |every| (self.spacing * 2).min(every).max(SPACING));
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

/// Whether a version is another, or later.
fn is_at(version: &str, other: &str) -> bool {
    version == other || numbers(version, other).is_some_and(|(version, other)| version >= other)
}

/// Whether a version is earlier than another.
fn is_before(version: &str, other: &str) -> bool {
    numbers(version, other).is_some_and(|(version, other)| version < other)
}

/// Versions of one cluster compare as numbers (KEP-5504).
fn numbers(version: &str, other: &str) -> Option<(u128, u128)> {
    version.parse().ok().zip(other.parse().ok())
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
        relisting.begin("98", async { list });
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
    async fn a_list_that_is_older_than_the_watch_was_before_it_is_not_compared() {
        for (listed, expected) in [("97", Stage::Void(true)), ("98", Stage::Comparable)] {
            let mut relisting = begun(Ok(listed.into())).await;
            assert_eq!(relisting.stage("98", &SCOPE), expected, "{listed}");
            assert_eq!(relisting.stage("98", &SCOPE), Stage::Nothing);
            assert!(!relisting.is_due());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_calls_for_a_list() {
        let silence = Duration::from_secs(20);
        let mut relisting = Relisting::new(Some(EVERY));
        relisting.hasten(silence);
        assert!(!relisting.is_due());
        tokio::time::advance(silence / 2).await;
        relisting.hears();
        tokio::time::advance(silence / 2).await;
        relisting.hasten(silence);
        assert!(!relisting.is_due(), "something was said meanwhile");
        tokio::time::advance(silence / 2).await;
        relisting.hasten(silence);
        assert!(relisting.is_due());
        relisting.begin("98", async { Ok("100".into()) });
        relisting.hasten(silence);
        assert!(!relisting.is_due(), "one at a time");
        tokio::task::yield_now().await;
        assert_eq!(relisting.stage("98", &SCOPE), Stage::Nothing);
        // Behind: the next one waits for twice as long.
        tokio::time::advance(LAG).await;
        assert_eq!(relisting.stage("98", &SCOPE), Stage::Void(true));
        relisting.hasten(silence);
        assert!(!relisting.is_due());
        tokio::time::advance(SPACING).await;
        relisting.hasten(silence);
        assert!(relisting.is_due());
        let mut never = Relisting::new(None);
        tokio::time::advance(silence).await;
        never.hasten(silence);
        assert!(!never.is_due());
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
        assert!(
            is_before("9", "10") && !is_before("10", "10") && !is_before("", "1") && !is_before("x", "y")
        );
    }
}
