//! What of all that is read is told: pure but for the box that the newest list is put into, and a line of log.
//!
//! The one rule: that nobody is there is told only where whom the zone is of says so, of data that are not stale, and says
//! it twice. Whatever else happens, the last list stays and is marked.
//!
//! What answers questions may be a cache, which sets AA on what it remembers (CoreDNS does) and remembers a "no" of some
//! moment ago. Where the last list came of another server, or in another way, that "no" has to outlast it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

use super::list::List;
use super::reading::Reading;
use super::trouble::Trouble;
use super::way::Way;

/// The newest list, once there is one.
pub(super) type Newest = watch::Receiver<Option<Arc<List>>>;

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what followers see now.
    Told,
    /// It says that nobody is there: to be read again before that is told.
    Confirm,
}

/// Why nothing is known just now, where that is so.
pub(super) type Troubled = watch::Receiver<Option<Arc<Trouble>>>;

/// For so long nobody is there as another server has it, or as questions have it and not pushes: longer than the 5 s for
/// which CoreDNS remembers a "no" where nothing is configured.
const OUTLASTED: Duration = Duration::from_secs(6);

/// Who has said that nobody is there, and since when.
struct Doubt {
    since: Instant,
    way: Way,
    server: String,
}

/// Keeps the newest list, and whoever follows it awake.
pub(super) struct Tracker {
    newest: watch::Sender<Option<Arc<List>>>,
    trouble: watch::Sender<Option<Arc<Trouble>>>,
    /// The last reading was empty.
    doubt: Option<Doubt>,
}

impl Tracker {
    pub(super) fn new() -> (Self, Newest) {
        let (newest, newest_rx) = watch::channel(None);
        (Self { newest, trouble: watch::channel(None).0, doubt: None }, newest_rx)
    }

    /// Takes a reading over.
    pub(super) fn take(&mut self, reading: Reading, way: Way, server: &str) -> Result<Verdict, Trouble> {
        let stale = reading.stale.map(|why| Trouble::Stale { server: server.to_owned(), why });
        if reading.members.is_empty() {
            if !reading.authoritative || stale.is_some() {
                return Err(Trouble::Hearsay { server: server.to_owned(), stale: stale.is_some() });
            }
            let is_news = self.newest.borrow().as_ref().is_none_or(|list| !list.peers.is_empty());
            if is_news && !self.is_beyond_doubt(way, server) {
                return Ok(Verdict::Confirm);
            }
        }
        self.doubt = None;
        let is_new = |list: &Arc<List>| list.way != way || list.server != server || list.stale.is_some();
        if stale.is_none() && self.newest.borrow().as_ref().is_none_or(is_new) {
            info!(%way, server, "the peers are followed");
        }
        self.tell(List {
            peers: reading.members,
            missing: reading.missing,
            expected: reading.expected,
            stale: stale.map(Arc::new),
            way,
            server: server.to_owned(),
        });
        Ok(Verdict::Told)
    }

    /// That nobody is there is said again; where the last peers came of another server or in another way than push, for
    /// longer than a cache remembers it.
    fn is_beyond_doubt(&mut self, way: Way, server: &str) -> bool {
        let Some(doubt) = self.doubt.as_ref().filter(|doubt| doubt.way == way && doubt.server == server)
        else {
            self.doubt = Some(Doubt { since: Instant::now(), way, server: server.to_owned() });
            return false;
        };
        let is_its = |list: &Arc<List>| list.way == way && list.server == server;
        way == Way::Push
            || self.newest.borrow().as_ref().is_none_or(is_its)
            || doubt.since.elapsed() > OUTLASTED
    }

    /// Why nothing is known, of which there is no list before the first.
    pub(super) fn troubled(&self) -> Troubled {
        self.trouble.subscribe()
    }

    /// Nothing is known just now. Nobody is told anything before something was known.
    pub(super) fn lost(&mut self, trouble: impl Into<Arc<Trouble>>) {
        let trouble = trouble.into();
        self.trouble.send_replace(Some(Arc::clone(&trouble)));
        // That it was said once counts no longer: it was said before the trouble.
        self.doubt = None;
        let last = self.newest.borrow().clone();
        if let Some(last) = last.filter(|last| last.stale.is_none()) {
            self.tell(List { stale: Some(trouble), ..(*last).clone() });
        }
    }

    fn tell(&self, list: List) {
        if list.stale.is_none() {
            self.trouble.send_replace(None);
        }
        self.newest.send_if_modified(|newest| {
            let differs = newest.as_deref() != Some(&list);
            if differs {
                *newest = Some(Arc::new(list));
            }
            differs
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::list::tests::mk_peer;

    fn reading(hosts: &[&str]) -> Reading {
        let members = hosts.iter().map(|host| mk_peer(host, [10, 0, 0, 1])).collect();
        Reading {
            members,
            missing: Vec::new(),
            expected: None,
            authoritative: true,
            stale: None,
            settled: true,
        }
    }

    fn trouble() -> Trouble {
        Trouble::NoPush("is away")
    }

    struct Followed {
        tracker: Tracker,
        newest_rx: Newest,
    }

    impl Followed {
        fn new() -> Self {
            let (tracker, newest_rx) = Tracker::new();
            Self { tracker, newest_rx }
        }

        fn take(&mut self, reading: Reading) -> Result<Verdict, Trouble> {
            self.tracker.take(reading, Way::Serial, "server")
        }

        /// The hosts that were told, where something new was.
        fn told(&mut self) -> Option<(Vec<String>, bool)> {
            let list =
                self.newest_rx.has_changed().unwrap().then(|| self.newest_rx.borrow_and_update().clone());
            list.flatten()
                .map(|list| (list.peers.iter().map(|peer| peer.host.clone()).collect(), list.stale.is_some()))
        }
    }

    fn hosts(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|host| (*host).to_owned()).collect()
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut followed = Followed::new();
        assert_eq!(followed.take(reading(&["web-0"])), Ok(Verdict::Told));
        assert_eq!(followed.told(), Some((hosts(&["web-0"]), false)));
        assert_eq!(followed.take(reading(&["web-0"])), Ok(Verdict::Told));
        assert_eq!(followed.told(), None);
    }

    #[test]
    fn that_nobody_is_there_is_told_when_it_was_said_twice() {
        let mut followed = Followed::new();
        assert_eq!(followed.take(reading(&[])), Ok(Verdict::Confirm));
        assert_eq!(followed.told(), None);
        assert_eq!(followed.take(reading(&[])), Ok(Verdict::Told));
        assert_eq!(followed.told(), Some((hosts(&[]), false)));
        assert_eq!(followed.take(reading(&[])), Ok(Verdict::Told), "it is known already");
        assert_eq!(followed.take(reading(&["web-0"])), Ok(Verdict::Told));
        // Not twice in a row, and not on both sides of an outage.
        assert_eq!(followed.take(reading(&[])), Ok(Verdict::Confirm));
        assert_eq!(followed.take(reading(&["web-0"])), Ok(Verdict::Told));
        assert_eq!(followed.take(reading(&[])), Ok(Verdict::Confirm));
        followed.tracker.lost(trouble());
        assert_eq!(followed.take(reading(&[])), Ok(Verdict::Confirm));
        assert_eq!(followed.told(), Some((hosts(&["web-0"]), true)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_cache_may_remember_empties_no_list_of_another_server_or_way() {
        for (way, server, is_slow) in [
            (Way::Serial, "server", false),
            (Way::Push, "other", false),
            (Way::Serial, "cache", true),
            (Way::Poll, "server", true),
        ] {
            let mut followed = Followed::new();
            followed.take(reading(&["web-0"])).unwrap();
            followed.told();
            let empty = |followed: &mut Followed| followed.tracker.take(reading(&[]), way, server);
            let begun = Instant::now();
            assert_eq!(empty(&mut followed), Ok(Verdict::Confirm), "{way} {server}");
            while empty(&mut followed) == Ok(Verdict::Confirm) {
                assert_eq!(followed.told(), None);
                tokio::time::advance(Duration::from_millis(300)).await;
                assert!(begun.elapsed() < 2 * OUTLASTED, "it is believed at last");
            }
            assert_eq!(followed.told(), Some((hosts(&[]), false)));
            assert_eq!(begun.elapsed() > OUTLASTED, is_slow, "{way} {server}");
        }
        // What another one said before counts for nobody else.
        let mut followed = Followed::new();
        followed.take(reading(&["web-0"])).unwrap();
        for server in ["cache", "other"] {
            assert_eq!(followed.tracker.take(reading(&[]), Way::Poll, server), Ok(Verdict::Confirm));
            tokio::time::advance(2 * OUTLASTED).await;
        }
        assert_eq!(followed.tracker.take(reading(&[]), Way::Poll, "other"), Ok(Verdict::Told));
    }

    #[test]
    fn hearsay_empties_no_list() {
        let mut followed = Followed::new();
        followed.take(reading(&["web-0"])).unwrap();
        followed.told();
        for (authoritative, stale) in
            [(false, None), (true, Some(None)), (true, Some(Some("old".to_owned())))]
        {
            let is_stale = stale.is_some();
            for _ in 0..3 {
                let empty = Reading { authoritative, stale: stale.clone(), ..reading(&[]) };
                let hearsay = Trouble::Hearsay { server: "server".to_owned(), stale: is_stale };
                assert_eq!(followed.take(empty), Err(hearsay));
            }
        }
        assert_eq!(followed.told(), None);
    }

    #[test]
    fn an_outage_marks_the_last_list_once_and_says_nothing_before_the_first() {
        let mut followed = Followed::new();
        let troubled_rx = followed.tracker.troubled();
        let why = || troubled_rx.borrow().as_ref().map(ToString::to_string);
        followed.tracker.lost(trouble());
        assert_eq!((followed.told(), why().as_deref()), (None, Some("is away")));
        followed.take(reading(&["web-0", "web-1"])).unwrap();
        assert_eq!(why(), None);
        followed.told();
        followed.tracker.lost(trouble());
        assert_eq!(followed.told(), Some((hosts(&["web-0", "web-1"]), true)));
        followed.tracker.lost(Trouble::NoPush("is away still"));
        assert_eq!(followed.told(), None);
        followed.take(reading(&["web-0", "web-1"])).unwrap();
        assert_eq!(followed.told(), Some((hosts(&["web-0", "web-1"]), false)));
    }

    #[test]
    fn stale_answers_that_hold_peers_are_told_and_marked() {
        let mut followed = Followed::new();
        let stale = Reading { stale: Some(None), ..reading(&["web-0"]) };
        assert_eq!(followed.take(stale), Ok(Verdict::Told));
        assert_eq!(followed.told(), Some((hosts(&["web-0"]), true)));
    }
}
