//! What publishes changed, for the one who tells others of it.
//!
//! Nobody is told of records here: what changed is said by what names depend on, and whoever wants to know looks again.
//! So what was changed twice is looked at once, and a burst costs no memory beyond its bound.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::lookup::SETS;
use super::reverse::Prefix;
use super::store::{Reader, Shared, View};
use crate::wire::{ParsedName, ReverseName};

/// More changes than this at one time are "everything": to look at every name that somebody waits for is then no more
/// work than to find them.
const MOST: usize = 1 << 14;

/// What the records of a name depend on, of all that changes with the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dependence(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// A service, by its labels.
    Service(Box<[u8]>),
    /// The addresses of a block.
    Block(Prefix),
    /// Namespaces, pods, the configuration: what changes seldom, or is asked for seldom.
    Other,
}

impl Dependence {
    /// What the records of a name depend on.
    #[must_use]
    pub fn of(view: &View<'_>, name: &ParsedName) -> Self {
        let prepared = &view.prepared;
        let Some(apex) = name.labels_before(&prepared.zone, prepared.zone_labels) else {
            let address = ReverseName::read(name).and_then(|reverse| reverse.address());
            return Self(address.map_or(Kind::Other, |address| Kind::Block(Prefix::block_of(address).0)));
        };
        Self(match apex.checked_sub(1).map(|branch| (branch, name.label(branch))) {
            Some((branch @ 2.., b"svc" | SETS)) => Kind::Service(name.labels(branch - 2, branch).into()),
            _ => Kind::Other,
        })
    }

    pub(super) fn service(key: &[u8]) -> Self {
        Self(Kind::Service(key.into()))
    }

    pub(super) fn block(block: Prefix) -> Self {
        Self(Kind::Block(block))
    }

    pub(super) const OTHER: Self = Self(Kind::Other);
}

/// What changed since it was taken last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These, and nothing else.
    These(HashSet<Dependence>),
    /// Anything may have.
    Everything,
}

impl Changed {
    fn nothing() -> Self {
        Self::These(HashSet::new())
    }

    fn add(&mut self, dependence: Dependence) {
        if let Self::These(these) = self {
            these.insert(dependence);
            if these.len() > MOST {
                *self = Self::Everything;
            }
        }
    }
}

/// Where the publisher leaves word: a seat for each of those who want to know.
#[derive(Default)]
pub(crate) struct Notices {
    seats: [Seat; 2],
}

/// Who sits where.
const PUSH: usize = 0;
const HELD: usize = 1;

struct Seat {
    /// Somebody waits for changes. The one thing that a publish looks at without anybody who does, behind a fence.
    watched: AtomicBool,
    changed: Mutex<Changed>,
    wake: Notify,
}

impl Default for Seat {
    fn default() -> Self {
        Self { watched: AtomicBool::new(false), changed: Mutex::new(Changed::nothing()), wake: Notify::new() }
    }
}

impl Notices {
    /// Leaves word of a change that readers see already. Nobody is woken yet: a publish may change more.
    pub(super) fn add(&self, dependence: impl FnOnce() -> Dependence) {
        self.add_all(|| [dependence()]);
    }

    /// The same of several.
    pub(super) fn add_all<D: IntoIterator<Item = Dependence>>(&self, dependences: impl FnOnce() -> D) {
        let mut wanted = self.watched().filter(|seat| *seat.lock() != Changed::Everything).peekable();
        if wanted.peek().is_none() {
            return;
        }
        let dependences: Vec<Dependence> = dependences().into_iter().collect();
        for seat in wanted {
            let mut changed = seat.lock();
            dependences.iter().for_each(|dependence| changed.add(dependence.clone()));
        }
    }

    /// Anything may have changed: the settings, or whether there is an answer at all.
    pub(super) fn add_everything(&self) {
        self.watched().for_each(|seat| *seat.lock() = Changed::Everything);
    }

    /// Wakes who waits, at the end of a publish.
    pub(super) fn wake(&self) {
        self.seats.iter().filter(|seat| seat.is_watched()).for_each(|seat| seat.wake.notify_one());
    }

    /// Either the publisher sees that somebody watches, or who began to watch sees what it changed: each of them writes,
    /// and then reads what the other writes, with a fence between.
    fn watched(&self) -> impl Iterator<Item = &Seat> {
        fence(Ordering::SeqCst);
        self.seats.iter().filter(|seat| seat.is_watched())
    }
}

impl Seat {
    fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is told of changes. There is one of each: what it takes nobody else is told of.
pub struct Follower {
    shared: Arc<Shared>,
    seat: usize,
}

impl Reader {
    /// Follows changes from when [`Follower::watch`] is said, for those who are subscribed to names.
    #[must_use]
    pub fn follow(&self) -> Follower {
        Follower { shared: self.shared(), seat: PUSH }
    }

    /// The same for those whose questions are held.
    #[must_use]
    pub fn follow_for_held(&self) -> Follower {
        Follower { shared: self.shared(), seat: HELD }
    }
}

impl Follower {
    /// Says whether changes are wanted. What a view that is taken behind this shows is old only if a change is noticed
    /// later.
    pub fn watch(&self, wanted: bool) {
        self.seat().watched.store(wanted, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Waits for changes and takes them. May be cancelled.
    pub async fn changed(&self) -> Changed {
        loop {
            let taken = self.take();
            if taken != Changed::nothing() {
                return taken;
            }
            self.seat().wake.notified().await;
        }
    }

    /// What changed so far.
    #[must_use]
    pub fn take(&self) -> Changed {
        std::mem::replace(&mut self.seat().lock(), Changed::nothing())
    }

    fn seat(&self) -> &Seat {
        &self.shared.notices.seats[self.seat]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::Notes;
    use crate::records::{Label, ServiceKey};
    use crate::wire::Name;
    use crate::zone::{
        Change, Explain, Freshness, Holding, Order, PodNames, PtrNames, Publisher, Settings, Ttl, zone,
    };

    fn mk_zone() -> (Publisher, Reader) {
        zone(Settings {
            zone: Name::from_text("cluster.local").unwrap(),
            ttl: Ttl { positive: 5, negative: 5, expected: 0 },
            order: Order::Ordinal,
            pods: PodNames::Insecure,
            ptr: PtrNames::All,
            reverse: Vec::new(),
            nameservers: Vec::new(),
            identity: None,
            namespaces: None,
            upstream: false,
            explain: Explain::default(),
            discovery: None,
            holding: Holding::default(),
        })
    }

    fn namespace(name: &str, is: bool) -> Change {
        Change::Namespace(Label::new(name).unwrap(), is)
    }

    #[test]
    fn what_names_depend_on() {
        let (_publisher, reader) = mk_zone();
        let view = reader.view();
        let of = |name: &str| {
            let mut parsed = ParsedName::default();
            parsed.parse(Name::from_text(name).unwrap().as_wire()).unwrap();
            Dependence::of(&view, &parsed)
        };
        let service = Dependence::service(b"\x03web\x01a");
        for name in ["web.a.svc", "WEB-0.web.a.svc", "_http._tcp.web-0.Web.a.svc", "web.a._statefulset"] {
            assert_eq!(of(&format!("{name}.cluster.local")), service, "{name}");
        }
        for name in ["a.svc", "svc", "10-0-0-1.a.pod", "ns.dns", "dns-version"] {
            assert_eq!(of(&format!("{name}.cluster.local")), Dependence::OTHER, "{name}");
        }
        assert_eq!(of("1.2.3.10.in-addr.arpa"), of("9.2.3.10.in-addr.arpa"));
        assert_ne!(of("1.2.3.10.in-addr.arpa"), of("1.3.3.10.in-addr.arpa"));
        assert_eq!(of("3.10.in-addr.arpa"), Dependence::OTHER);
    }

    #[test]
    fn nobody_is_told_of_what_nobody_watches_and_each_change_is_told_once() {
        let (mut publisher, reader) = mk_zone();
        let follower = reader.follow();
        publisher.publish([namespace("a", true)]);
        publisher.synchronised();
        assert_eq!(follower.take(), Changed::nothing());
        follower.watch(true);
        publisher.publish([namespace("a", true)]);
        assert_eq!(follower.take(), Changed::nothing(), "it is there already");
        let key = ServiceKey { namespace: Label::new("a").unwrap(), name: Label::new("web").unwrap() };
        publisher.publish([
            namespace("b", true),
            namespace("c", true),
            Change::Service(key, None, Notes::default()),
        ]);
        assert_eq!(follower.take(), Changed::These([Dependence::OTHER].into()));
        assert_eq!(follower.take(), Changed::nothing());
        publisher.set_freshness(Freshness::Stale { ttl_cap: 1 });
        assert_eq!(follower.take(), Changed::nothing(), "what is told has the records' own times");
        publisher.set_freshness(Freshness::Expired);
        assert_eq!(follower.take(), Changed::Everything);
        follower.watch(false);
        publisher.set_freshness(Freshness::Fresh);
        assert_eq!(follower.take(), Changed::nothing());
    }

    #[test]
    fn each_seat_is_told_what_its_own_wants() {
        let (mut publisher, reader) = mk_zone();
        let (push, held) = (reader.follow(), reader.follow_for_held());
        held.watch(true);
        publisher.publish([namespace("a", true)]);
        assert_eq!(push.take(), Changed::nothing());
        push.watch(true);
        publisher.publish([namespace("b", true)]);
        let other = || Changed::These([Dependence::OTHER].into());
        assert_eq!((push.take(), held.take()), (other(), other()));
        held.watch(false);
        publisher.synchronised();
        assert_eq!((push.take(), held.take()), (Changed::Everything, Changed::nothing()));
    }

    #[test]
    fn too_many_changes_are_everything() {
        let mut changed = Changed::nothing();
        for n in 0..=MOST {
            changed.add(Dependence::service(&n.to_le_bytes()));
        }
        assert_eq!(changed, Changed::Everything);
        changed.add(Dependence::OTHER);
        assert_eq!(changed, Changed::Everything);
    }
}
