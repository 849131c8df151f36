//! Where readers find what the publisher puts: papaya maps, read under an epoch guard without a lock.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use foldhash::fast::RandomState;
use papaya::{HashMap, HashSet, HashSetRef, LocalGuard};

use super::entry::Entry;
use super::notices::Notices;
use super::reverse::{Block, Prefix, any_below};
use super::settings::{Answers, Prepared, Settings};
use super::similar::Names;
use crate::reasons::{Line, Reason};
use crate::records::Shape;
use crate::wire::Name;

/// An entry as the map holds it: found by the key that it begins with, for a key beside it would be one more place to
/// look at. An insert replaces the whole of an entry with the same key.
pub(crate) struct Stored(pub(crate) Entry);

impl Borrow<[u8]> for Stored {
    fn borrow(&self) -> &[u8] {
        self.0.key()
    }
}

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for Stored {}

/// A namespace is known by its object or by any Service in it; for names of StatefulSets by those as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NamespaceState {
    pub(crate) declared: bool,
    pub(crate) services: u32,
    /// Governing services, there or not.
    pub(crate) sets: u32,
    /// Some of the services, to look for what may have been meant.
    pub(crate) names: Names,
}

impl NamespaceState {
    pub(crate) fn is_known(&self) -> bool {
        self.declared || self.services > 0
    }
}

/// Namespace and address of a pod, as octets: a question's key is made without an allocation.
pub(crate) struct PodKey {
    octets: [u8; 80],
    length: usize,
}

impl PodKey {
    pub(crate) fn new(namespace: &[u8], address: IpAddr) -> Self {
        let (v4, v6);
        let address: &[u8] = match address {
            IpAddr::V4(a) => {
                v4 = a.octets();
                &v4
            }
            IpAddr::V6(a) => {
                v6 = a.octets();
                &v6
            }
        };
        let mut octets = [0; 80];
        // The address's length first: no IPv4 address and namespace reads as an IPv6 one.
        let family = [if address.len() == 4 { 4 } else { 6 }];
        let length = 1 + address.len() + namespace.len();
        for (to, from) in octets.iter_mut().zip(family.iter().chain(address).chain(namespace)) {
            *to = *from;
        }
        Self { octets, length: length.min(80) }
    }
}

impl AsRef<[u8]> for PodKey {
    fn as_ref(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

pub(crate) struct Shared {
    pub(crate) services: HashSet<Stored, RandomState>,
    /// Never an empty one.
    pub(crate) blocks: HashMap<Prefix, Block, RandomState>,
    /// How many labels stand below a reverse name above the blocks; what is counted exists (RFC 8020).
    pub(crate) prefixes: HashMap<Prefix, u32, RandomState>,
    pub(crate) namespaces: HashMap<Box<[u8]>, NamespaceState, RandomState>,
    pub(crate) pods: HashMap<Box<[u8]>, (), RandomState>,
    pub(crate) prepared: ArcSwap<Prepared>,
    pub(crate) serial: AtomicU32,
    pub(crate) synchronised: AtomicBool,
    /// Whether every pod was published once.
    pub(crate) pods_known: AtomicBool,
    /// The longest time to live that is said just now; [`u16::MAX`] is as long as the records have.
    pub(crate) ttl_cap: AtomicU16,
    /// Since when it is stale, as a sentence; of use while there is a cap.
    pub(crate) stale: ArcSwapOption<Line>,
    /// What is published is too old to be said.
    pub(crate) expired: AtomicBool,
    pub(crate) size: Size,
    pub(crate) notices: Notices,
}

/// How much is served; the publisher alone writes.
#[derive(Default)]
pub(crate) struct Size {
    services: AtomicUsize,
    names: AtomicUsize,
}

impl Size {
    /// Counts an entry in the place of another.
    pub(crate) fn count(&self, old: Option<&Entry>, new: Option<&Entry>) {
        let named =
            |entry: Option<&Entry>| entry.filter(|entry| entry.shape != Shape::Absent).map(Entry::host_count);
        if let Some(hosts) = named(new) {
            self.services.fetch_add(1, Ordering::Relaxed);
            self.names.fetch_add(1 + hosts, Ordering::Relaxed);
        }
        if let Some(hosts) = named(old) {
            self.services.fetch_sub(1, Ordering::Relaxed);
            self.names.fetch_sub(1 + hosts, Ordering::Relaxed);
        }
    }
}

/// How much a zone holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZoneSize {
    /// Services that have a name.
    pub services: usize,
    /// Their names and those of their endpoints, without ports and addresses.
    pub names: usize,
}

/// Reads the zone; as many as there are threads that answer.
#[derive(Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Pins the zone for a question or a batch of them: what a view finds lives as long as the view.
    ///
    /// A view that is kept keeps replaced records in memory: take a new one for each batch.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        // Before the maps: what a view denies was not there when its serial was the newest.
        let (synchronised, serial) = (self.is_synchronised(), self.serial());
        let ttl_cap = self.shared.ttl_cap.load(Ordering::Relaxed);
        View {
            synchronised,
            expired: self.is_expired(),
            ttl_cap,
            // Fresh, as nearly always: nothing is looked for.
            stale: (ttl_cap < u16::MAX).then(|| self.shared.stale.load()),
            serial,
            services: self.shared.services.pin(),
            prepared: self.shared.prepared.load(),
            shared: &self.shared,
        }
    }

    /// The zone's serial (RFC 1035, section 3.3.13).
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.shared.serial.load(Ordering::Acquire)
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The configured name of the zone just now.
    #[must_use]
    pub fn zone(&self) -> Name {
        self.shared.prepared.load().settings.zone.clone()
    }

    /// How much there is just now.
    #[must_use]
    pub fn size(&self) -> ZoneSize {
        let Size { services, names } = &self.shared.size;
        ZoneSize { services: services.load(Ordering::Relaxed), names: names.load(Ordering::Relaxed) }
    }

    /// Whether a complete cluster was published once.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        self.shared.synchronised.load(Ordering::Acquire)
    }

    /// Whether what was published is too old to be said; see [`super::Freshness::Expired`].
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.shared.expired.load(Ordering::Relaxed)
    }
}

/// The zone, pinned.
pub struct View<'z> {
    pub(crate) synchronised: bool,
    pub(crate) expired: bool,
    pub(crate) ttl_cap: u16,
    stale: Option<arc_swap::Guard<Option<Arc<Line>>>>,
    pub(crate) serial: u32,
    services: HashSetRef<'z, Stored, RandomState, LocalGuard<'z>>,
    pub(crate) prepared: arc_swap::Guard<Arc<Prepared>>,
    pub(crate) shared: &'z Shared,
}

impl View<'_> {
    /// A service's records, by its labels as they stand in a question.
    pub(crate) fn service(&self, key: &[u8]) -> Option<&Entry> {
        self.services.get(key).map(|stored| &stored.0)
    }

    /// Why nothing may be said of any name just now, if so.
    pub(crate) fn silent(&self) -> Option<Reason<'static>> {
        if !self.synchronised {
            return Some(Reason::NotSynchronised);
        }
        self.expired.then_some(Reason::TooOld)
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &Entry> {
        self.services.iter().map(|stored| &stored.0)
    }

    /// Whether a reverse name is there, or anything below it.
    pub(crate) fn has_reverse(&self, prefix: Prefix) -> bool {
        match prefix.within_block() {
            Some((block, last)) => {
                self.shared.blocks.pin().get(&block).is_some_and(|block| any_below(block, last))
            }
            None => self.shared.prefixes.pin().contains_key(&prefix),
        }
    }
    pub(crate) fn knows_namespace(&self, label: &[u8]) -> bool {
        let named_by_filter = self.prepared.namespaces.as_ref().is_some_and(|names| names.contains(label));
        named_by_filter || self.shared.namespaces.pin().get(label).is_some_and(NamespaceState::is_known)
    }

    /// Whether there is a StatefulSet in it that has a governing service.
    pub(crate) fn has_sets(&self, namespace: &[u8]) -> bool {
        self.shared.namespaces.pin().get(namespace).is_some_and(|state| state.sets > 0)
    }

    /// Since when what is said is stale, as a sentence; None while it is fresh.
    #[must_use]
    pub fn stale(&self) -> Option<&str> {
        self.stale.as_ref().map(|line| line.as_ref().map_or("", |line| line.as_str()))
    }

    /// The zone's serial.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// What the whole zone depends on.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.prepared.settings
    }

    /// How much a client is told of reasons.
    #[must_use]
    pub fn answers_for(&self, client: Option<IpAddr>) -> Answers {
        self.prepared.settings.explain.answers_for(client)
    }

    /// Whether a filter leaves a namespace out.
    pub(crate) fn leaves_out(&self, namespace: &[u8]) -> bool {
        self.prepared.namespaces.as_ref().is_some_and(|names| !names.contains(namespace))
    }
}
