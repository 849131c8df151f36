//! The one writer: takes records, encodes them, replaces what differs, then moves the serial.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use papaya::HashMap;

use super::encoded::{Encoded, EncodedService, Names, encode, pointers};
use super::entry::Entry;
use super::notices::{Dependence, Notices};
use super::parallel::in_order;
use super::ports::SharedPorts;
use super::reverse::{Pointer, Prefix};
use super::serial;
use super::settings::{Freshness, Prepared, Settings};
use super::store::{NamespaceState, PodKey, Reader, Shared, Size, Stored};
use crate::reasons::{Line, Notes, Reason};
use crate::records::{Label, ServiceKey, ServiceRecords, Shape};

/// Something to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A service's records, all of them; None when there are none any more. And why names of it are absent.
    Service(ServiceKey, Option<Box<ServiceRecords>>, Notes),
    /// Whether a Namespace object of this name is there.
    Namespace(Label, bool),
    /// Whether a pod of the namespace has the address.
    Pod(Label, IpAddr, bool),
}

/// Makes an empty zone that answers SERVFAIL until [`Publisher::synchronised`] is said.
#[must_use]
pub fn zone(settings: Settings) -> (Publisher, Reader) {
    let shared = Arc::new(Shared {
        services: papaya::HashSet::default(),
        blocks: HashMap::default(),
        prefixes: HashMap::default(),
        namespaces: HashMap::default(),
        pods: HashMap::default(),
        prepared: ArcSwap::from_pointee(Prepared::new(settings)),
        serial: AtomicU32::new(0),
        synchronised: AtomicBool::new(false),
        pods_known: AtomicBool::new(false),
        ttl_cap: AtomicU16::new(u16::MAX),
        stale: ArcSwapOption::empty(),
        expired: AtomicBool::new(false),
        size: Size::default(),
        notices: Notices::default(),
    });
    let ports = SharedPorts::default();
    let publisher = Publisher { shared: Arc::clone(&shared), ports, differing: BTreeMap::new(), held: 0 };
    (publisher, Reader::new(shared))
}

/// Pointers that are held back, to replace each block of addresses once, before all of them are published: what a load
/// of a whole cluster holds in memory.
const HELD: usize = 1 << 16;

/// Writes the zone. There is one, and it is not `Clone`: publishes have an order.
pub struct Publisher {
    pub(super) shared: Arc<Shared>,
    pub(super) ports: SharedPorts,
    /// By block: what is a name of an address of it now (true), or is one no longer; of one name the last word counts.
    differing: BTreeMap<Prefix, Words>,
    held: usize,
}

type Words = Vec<(Pointer, bool)>;

impl Publisher {
    /// Publishes; gives how many of the changes changed something. The serial moves, once, when any did, after
    /// all of them are visible.
    pub fn publish(&mut self, changes: impl IntoIterator<Item = Change>) -> usize {
        let changed = changes.into_iter().filter(|change| self.apply(change)).count();
        self.finish(changed)
    }

    /// The same, of a change for each item, no two of them for the same name: made and encoded by every core at once,
    /// published in the order of the items, with what `make` gives beside it told in that order too. For a load that
    /// nobody is answered from yet: else it would take the cores from those who answer.
    pub fn publish_all<T: Sync, B: Send>(
        &mut self,
        items: &[T],
        make: impl Fn(&T) -> (Change, B) + Sync,
        mut tell: impl FnMut(B),
    ) -> usize {
        let shared = Arc::clone(&self.shared);
        let prepared = shared.prepared.load_full();
        shared.services.pin().reserve(items.len());
        let make = |item: &T| {
            let (change, beside) = make(item);
            (encode(&shared, &prepared, &change), beside)
        };
        let mut changed = 0;
        in_order(items, make, |(encoded, beside)| {
            changed += usize::from(self.put(encoded));
            tell(beside);
        });
        self.finish(changed)
    }

    fn finish(&mut self, changed: usize) -> usize {
        self.replace_pointers();
        if changed > 0 {
            self.advance_serial();
            self.shared.notices.wake();
        }
        changed
    }

    /// Whether the zone is complete, and so answered from.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        self.shared.synchronised.load(Ordering::Acquire)
    }

    /// Says that the zone is complete: from now on what is not in it does not exist.
    pub fn synchronised(&mut self) {
        if self.serial() == 0 {
            self.advance_serial();
        }
        self.shared.synchronised.store(true, Ordering::Release);
        self.tell_everything();
    }

    /// Has everything looked at again by who follows changes.
    fn tell_everything(&self) {
        self.shared.notices.add_everything();
        self.shared.notices.wake();
    }

    /// Says that the zone is not complete any longer: every answer is SERVFAIL until it is again.
    ///
    /// Who follows changes is not told: nothing is to be concluded from it.
    pub fn withdraw(&mut self) {
        self.shared.synchronised.store(false, Ordering::Release);
    }

    /// Says whether every pod is known: while they are not, verified names of pods are SERVFAIL.
    pub fn set_pods_known(&mut self, known: bool) {
        self.shared.pods_known.store(known, Ordering::Release);
        self.shared.notices.add(|| Dependence::OTHER);
        self.shared.notices.wake();
    }

    /// Says how far what is published may be believed. No record is made again for it: each answer goes by it.
    pub fn set_freshness(&mut self, freshness: Freshness) {
        let (cap, expired) = match freshness {
            Freshness::Fresh => (u16::MAX, false),
            Freshness::Stale { ttl_cap } => (ttl_cap, false),
            Freshness::Expired => (u16::MAX, true),
        };
        self.shared.ttl_cap.store(cap, Ordering::Relaxed);
        if self.shared.expired.swap(expired, Ordering::Relaxed) != expired {
            self.tell_everything();
        }
    }

    /// Says since when what is published is stale, for whoever asks why, while [`Freshness::Stale`] is said.
    pub fn set_stale_reason(&mut self, reason: Reason<'_>) {
        let line = Arc::new(Line::of(reason));
        self.shared.stale.store(Some(line));
    }

    /// Replaces the settings. Times to live are encoded: the caller publishes every service again.
    pub fn set_settings(&mut self, settings: Settings) {
        let old = self.shared.prepared.load_full();
        let new = Arc::new(Prepared::new(settings));
        self.shared.prepared.store(Arc::clone(&new));
        if old.settings.ptr != new.settings.ptr {
            // Which names an address has is not encoded in what is compared: it is set right here.
            let shared = Arc::clone(&self.shared);
            for Stored(entry) in &shared.services.pin() {
                let (gone, more) = differing(pointers(entry, &old), pointers(entry, &new));
                self.hold(gone, false);
                self.hold(more, true);
                if self.held >= HELD {
                    self.replace_pointers();
                }
            }
            self.replace_pointers();
        }
        self.advance_serial();
        self.tell_everything();
    }

    /// Says what the serial was when this zone was served before, by another process: it goes on above it, whatever the
    /// clock says now. What is kept of a serial is some seconds old: those that may have been said since are left out.
    pub fn resume_serial(&mut self, last: u32) {
        if last > 0 {
            self.shared.serial.store(serial::behind_kept(last), Ordering::Release);
        }
    }

    /// One more of those who read.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// The zone's serial.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.shared.serial.load(Ordering::Acquire)
    }

    pub(super) fn advance_serial(&self) {
        self.shared.serial.store(serial::next(self.serial()), Ordering::Release);
    }

    fn apply(&mut self, change: &Change) -> bool {
        let encoded = encode(&self.shared, &self.shared.prepared.load(), change);
        self.put(encoded)
    }

    fn put(&mut self, encoded: Encoded) -> bool {
        match encoded {
            Encoded::Same => false,
            Encoded::Service(service) => {
                self.service(*service);
                true
            }
            Encoded::Namespace(label, present) => {
                self.namespace(&label, |state| NamespaceState { declared: present, ..state })
            }
            Encoded::Pod(namespace, address, present) => {
                let key = PodKey::new(namespace.as_str().as_bytes(), address);
                let pods = self.shared.pods.pin();
                let changed = if present {
                    pods.insert(key.as_ref().into(), ()).is_none()
                } else {
                    pods.remove(key.as_ref()).is_some()
                };
                if changed {
                    self.shared.notices.add(|| Dependence::OTHER);
                }
                changed
            }
        }
    }

    fn namespace(&self, label: &Label, change: impl FnOnce(NamespaceState) -> NamespaceState) -> bool {
        let namespaces = self.shared.namespaces.pin();
        let before = namespaces.get(label.as_str().as_bytes()).cloned().unwrap_or_default();
        let after = change(before.clone());
        let differs = after != before;
        let (was_known, is_known) = (before.is_known(), after.is_known());
        if after == NamespaceState::default() {
            namespaces.remove(label.as_str().as_bytes());
        } else if differs {
            namespaces.insert(label.as_str().as_bytes().into(), after);
        }
        if is_known != was_known {
            self.shared.notices.add(|| Dependence::OTHER);
        }
        differs
    }

    fn service(&mut self, encoded: EncodedService) {
        let EncodedService { namespace, name, key, entry, names: after } = encoded;
        let shared = Arc::clone(&self.shared);
        let prepared = shared.prepared.load();
        let services = shared.services.pin();
        let old = services.get(&*key).map(|stored| &stored.0);
        let before = old.map_or_else(Vec::new, |old| pointers(old, &prepared));
        let exists = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.shape != Shape::Absent);
        let (was, is) = (exists(old), exists(entry.as_ref()));
        let has_sets = |entry: Option<&Entry>| entry.is_some_and(Entry::has_sets);
        let (had_sets, has_sets) = (has_sets(old), has_sets(entry.as_ref()));
        // A namespace is known before its first service is found in it, and until after its last one is.
        if is && !was {
            self.namespace(&namespace, |s| NamespaceState {
                services: s.services + 1,
                names: s.names.with(name.as_str()),
                ..s
            });
        }
        if has_sets && !had_sets {
            self.namespace(&namespace, |s| NamespaceState { sets: s.sets + 1, ..s });
        }
        shared.size.count(old, entry.as_ref());
        // An address's names stand before the service says them and go after it has ceased to: an address that has a
        // name before and after a publish has one throughout. What nobody is answered yet is held back, for speed.
        let (gone, more) = differing(before, after);
        if self.is_synchronised() {
            self.add_pointers(more);
        } else {
            self.hold(more, true);
        }
        match entry {
            Some(mut entry) => {
                entry.share_ports(|ports| self.ports.share(ports));
                services.insert(Stored(entry));
            }
            None => {
                services.remove(&*key);
            }
        }
        // The names of an address are read from the service: they may have changed though no pointer did.
        shared.notices.add_all(|| {
            let entries = [old, services.get(&*key).map(|stored| &stored.0)];
            let addresses = entries.into_iter().flatten().flat_map(Entry::reverse);
            let blocks: BTreeSet<Prefix> =
                addresses.map(|(address, _)| Prefix::block_of(address).0).collect();
            blocks.into_iter().map(Dependence::block).chain([Dependence::service(&key)])
        });
        if was && !is {
            self.namespace(&namespace, |s| NamespaceState {
                services: s.services.saturating_sub(1),
                names: s.names.without(name.as_str()),
                ..s
            });
        }
        if had_sets && !has_sets {
            self.namespace(&namespace, |s| NamespaceState { sets: s.sets.saturating_sub(1), ..s });
        }
        self.hold(gone, false);
        if self.held >= HELD {
            self.replace_pointers();
        }
    }

    /// Holds pointers back until the blocks are replaced.
    fn hold(&mut self, pointers: Names, is: bool) {
        for (block, pointer) in pointers {
            self.held += 1;
            self.differing.entry(block).or_default().push((pointer, is));
        }
    }

    /// Adds pointers at once.
    fn add_pointers(&mut self, pointers: Names) {
        let mut differing: BTreeMap<Prefix, Words> = BTreeMap::new();
        for (block, pointer) in pointers {
            if let Some(held) = self.differing.get_mut(&block) {
                // It may have been to go, and comes back.
                held.push((pointer.clone(), true));
                self.held += 1;
            }
            differing.entry(block).or_default().push((pointer, true));
        }
        differing.into_iter().for_each(|(prefix, words)| self.replace_block(prefix, words));
    }

    /// Replaces each block of which something is held, in one insert.
    fn replace_pointers(&mut self) {
        for (prefix, words) in std::mem::take(&mut self.differing) {
            self.replace_block(prefix, words);
        }
        self.held = 0;
    }

    fn replace_block(&self, prefix: Prefix, mut words: Words) {
        // Those of one name stay in the order in which they were said.
        words.sort_by(|(one, _), (other, _)| one.cmp(other));
        words.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        let blocks = self.shared.blocks.pin();
        let old = blocks.get(&prefix);
        let is_said = |pointer: &Pointer| words.binary_search_by(|(said, _)| said.cmp(pointer)).is_ok();
        let kept = old.map_or(&[][..], |old| old).iter().filter(|pointer| !is_said(pointer));
        let mut block: Vec<Pointer> = kept.cloned().collect();
        block.extend(words.into_iter().filter(|(_, is)| *is).map(|(pointer, _)| pointer));
        // Two sorted runs.
        block.sort();
        match (old.is_some(), block.is_empty()) {
            (false, true) => {}
            (true, true) => {
                blocks.remove(&prefix);
                self.count(prefix, -1);
            }
            (was, false) => {
                if !was {
                    self.count(prefix, 1);
                }
                blocks.insert(prefix, block.into());
            }
        }
        self.shared.notices.add(|| Dependence::block(prefix));
    }

    /// Counts a child at each reverse name above, as far up as the name itself comes or goes.
    pub(super) fn count(&self, leaf: Prefix, by: i32) {
        let prefixes = self.shared.prefixes.pin();
        let mut here = leaf;
        while let Some(parent) = here.parent() {
            let before = prefixes.get(&parent).copied().unwrap_or(0);
            let after = before.saturating_add_signed(by);
            if after == 0 {
                prefixes.remove(&parent);
            } else {
                prefixes.insert(parent, after);
            }
            if before > 0 && after > 0 {
                break;
            }
            here = parent;
        }
    }
}

/// What is only before, and what is only after.
fn differing(before: Names, after: Names) -> (Names, Names) {
    if before.is_empty() {
        return (before, after);
    }
    let gone = before.iter().filter(|name| after.binary_search(name).is_err()).cloned().collect();
    let more = after.into_iter().filter(|name| before.binary_search(name).is_err()).collect();
    (gone, more)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::records::{Addresses, Host, TtlOverrides};
    use crate::wire::Name;
    use crate::zone::lookup::{self, with_pointers};
    use crate::zone::reverse::of_address;
    use crate::zone::serial::tests::is_greater;
    use crate::zone::{Explain, MasterFile, Order, Part, PodNames, PtrNames, Ttl};

    pub(in crate::zone) fn mk_zone() -> (Publisher, Reader) {
        zone(Settings {
            zone: Name::from_text("cluster.local").unwrap(),
            ttl: Ttl { positive: 5, negative: 5, expected: 0 },
            order: Order::Ordinal,
            pods: PodNames::Disabled,
            ptr: PtrNames::All,
            reverse: vec!["10.0.0.0/8".parse().unwrap()],
            nameservers: Vec::new(),
            identity: None,
            namespaces: None,
            upstream: false,
            explain: Explain::default(),
            discovery: None,
            holding: crate::zone::Holding::default(),
        })
    }

    pub(in crate::zone) fn mk_change(name: &str, hosts: &[(&str, &str)]) -> Change {
        let label = |text: &str| Label::new(text).unwrap();
        let key = ServiceKey { namespace: label("default"), name: label(name) };
        let mut all = Addresses::default();
        let hosts = hosts.iter().map(|(host, address)| {
            let mut addresses = Addresses::default();
            match address.parse().unwrap() {
                IpAddr::V4(v4) => (all.v4.push(v4), addresses.v4.push(v4)),
                IpAddr::V6(v6) => (all.v6.push(v6), addresses.v6.push(v6)),
            };
            Host { label: (*host).into(), addresses, ports: [].into(), governing: true }
        });
        let hosts = hosts.collect();
        let records = ServiceRecords {
            key: key.clone(),
            shape: Shape::Headless,
            ttl: TtlOverrides::default(),
            addresses: all,
            hosts,
            srv: Vec::new(),
            ports: Vec::new(),
            expected: Vec::new(),
        };
        Change::Service(key, Some(Box::new(records)), Notes::default())
    }

    fn mk_removal(name: &str) -> Change {
        let Change::Service(key, ..) = mk_change(name, &[]) else { unreachable!() };
        Change::Service(key, None, Notes::default())
    }

    fn names(publisher: &Publisher, address: &str) -> usize {
        let (block, last) = Prefix::block_of(address.parse().unwrap());
        publisher.shared.blocks.pin().get(&block).map_or(0, |block| of_address(block, last).len())
    }

    #[test]
    fn the_serial_moves_once_a_publish_that_changes_something() {
        let (mut publisher, reader) = mk_zone();
        assert_eq!(publisher.publish([mk_change("a", &[("a-0", "10.0.0.1")]), mk_change("b", &[])]), 2);
        let first = reader.serial();
        assert_eq!(publisher.publish([mk_change("a", &[("a-0", "10.0.0.1")])]), 0);
        assert_eq!(reader.serial(), first);
        publisher.publish([mk_change("a", &[("a-0", "10.0.0.2")])]);
        assert!(reader.serial() > first);
    }

    #[test]
    fn a_serial_that_was_kept_is_gone_on_from() {
        let (mut publisher, reader) = mk_zone();
        // A day ahead of the clock, which was set back since.
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let kept = u32::try_from(seconds + 86_400).unwrap();
        publisher.resume_serial(kept);
        publisher.publish([mk_change("a", &[])]);
        assert!(is_greater(reader.serial(), kept + 60_000), "{} behind {kept}", reader.serial());
        // Without one it is the time.
        let (mut publisher, reader) = mk_zone();
        publisher.resume_serial(0);
        publisher.publish([mk_change("a", &[])]);
        assert!(u64::from(reader.serial()).abs_diff(seconds) < 60);
    }

    #[test]
    fn services_and_names_are_counted_as_they_come_and_go() {
        let (mut publisher, reader) = mk_zone();
        let size = |services, names| crate::zone::ZoneSize { services, names };
        publisher.publish([mk_change("a", &[("a-0", "10.0.0.1"), ("a-1", "10.0.0.2")]), mk_change("b", &[])]);
        assert_eq!(reader.size(), size(2, 4));
        publisher.publish([mk_change("a", &[("a-0", "10.0.0.1")])]);
        assert_eq!(reader.size(), size(2, 3));
        // Expected, and not there: nobody finds it.
        let Change::Service(key, records, notes) = mk_change("a", &[]) else { unreachable!() };
        let absent = records.map(|records| Box::new(ServiceRecords { shape: Shape::Absent, ..*records }));
        publisher.publish([Change::Service(key, absent, notes)]);
        assert_eq!(reader.size(), size(1, 1));
        publisher.publish([mk_removal("a"), mk_removal("b"), mk_removal("never")]);
        assert_eq!(reader.size(), size(0, 0));
    }

    #[test]
    fn an_address_has_the_names_of_all_its_services() {
        let (mut publisher, _reader) = mk_zone();
        publisher.publish([mk_change("a", &[("x-0", "10.0.0.1")]), mk_change("b", &[("x-0", "10.0.0.1")])]);
        assert_eq!(names(&publisher, "10.0.0.1"), 2);
        publisher.publish([mk_removal("a")]);
        assert_eq!(names(&publisher, "10.0.0.1"), 1);
        publisher.publish([mk_change("b", &[("x-0", "10.0.0.2")])]);
        assert_eq!((names(&publisher, "10.0.0.1"), names(&publisher, "10.0.0.2")), (0, 1));
    }

    #[test]
    fn what_every_core_makes_at_once_is_what_one_makes() {
        let numbers: Vec<u32> = (0..600).collect();
        // Each address is of three services, each pair of addresses of a block of its own.
        let made = |number: &u32| {
            let address = |replica: u32| format!("10.0.{}.{}", number / 3, number % 3 + replica);
            let (first, second) = (address(0), address(1));
            mk_change(&format!("s-{number}"), &[("x-0", &first), ("x-1", &second)])
        };
        let written = |reader: &Reader| {
            let mut zone = Vec::new();
            for part in [Part::Cluster, Part::Reverse] {
                MasterFile::new(reader, part).write(&mut zone).unwrap();
            }
            let mut lines: Vec<String> = String::from_utf8(zone).unwrap().lines().map(Into::into).collect();
            lines.retain(|line| !line.contains("SOA"));
            lines.sort();
            lines
        };
        let (mut one, one_reader) = mk_zone();
        assert_eq!(one.publish(numbers.iter().map(made)), 600);
        let (mut all, all_reader) = mk_zone();
        let mut told = Vec::new();
        let tell = |number| told.push(number);
        assert_eq!(all.publish_all(&numbers, |number| (made(number), *number), tell), 600);
        assert_eq!(told, numbers);
        assert_eq!(all_reader.size(), one_reader.size());
        let lines = written(&all_reader);
        assert!(lines.len() > 3600, "{}", lines.len());
        assert_eq!(lines, written(&one_reader));
        // Again: there is nothing that differs.
        let serial = all.serial();
        assert_eq!(all.publish_all(&numbers, |number| (made(number), ()), |()| {}), 0);
        assert_eq!(all.serial(), serial);
    }

    #[test]
    fn an_insert_replaces_the_entry_and_not_only_its_place() {
        let (mut publisher, reader) = mk_zone();
        publisher.publish([mk_change("a", &[("x-0", "10.0.0.1")])]);
        publisher.publish([mk_change("a", &[("x-0", "10.0.0.2")])]);
        let view = reader.view();
        let entry = view.service(b"\x01a\x07default").unwrap();
        assert_eq!(entry.service_a(), [[10, 0, 0, 2]]);
        assert_eq!(view.services().count(), 1);
    }

    #[test]
    fn pointers_that_are_held_back_end_as_the_last_change_says() {
        let (mut publisher, _reader) = mk_zone();
        let host = [("x-0", "10.0.0.1")];
        publisher.publish([mk_change("a", &host), mk_removal("a"), mk_change("b", &host), mk_removal("b")]);
        assert_eq!(names(&publisher, "10.0.0.1"), 0);
        publisher.publish([mk_change("a", &host), mk_removal("a"), mk_change("a", &host)]);
        assert_eq!(names(&publisher, "10.0.0.1"), 1);
    }

    /// The names of an address as a question finds them.
    fn told(reader: &Reader, address: &str) -> Vec<String> {
        let (view, address) = (reader.view(), address.parse().unwrap());
        with_pointers(&view, address, |pointers| {
            let mut told = Vec::new();
            let each = |label: &[u8], _: &[u8]| {
                told.push(String::from_utf8_lossy(&label[1..]).into_owned());
                Ok::<(), ()>(())
            };
            lookup::names(&view, address, pointers, each).unwrap();
            told
        })
    }

    #[test]
    fn an_address_that_has_a_name_before_and_after_has_one_throughout() {
        let (mut publisher, reader) = mk_zone();
        publisher.synchronised();
        let hosts = [("x-0", "10.0.0.1"), ("x-1", "10.0.0.2")];
        publisher.publish([mk_change("b", &hosts)]);
        // It moves from one service to the other: between all the steps of one publish.
        publisher.apply(&mk_change("a", &[("y-0", "10.0.0.1")]));
        assert_eq!(told(&reader, "10.0.0.1"), ["y-0", "x-0"]);
        publisher.apply(&mk_change("b", &hosts[1..]));
        assert_eq!(told(&reader, "10.0.0.1"), ["y-0"]);
        publisher.replace_pointers();
        assert_eq!(told(&reader, "10.0.0.1"), ["y-0"]);
        // Its rank changes, and nothing else.
        let Change::Service(key, Some(mut records), notes) = mk_change("a", &[("y-0", "10.0.0.1")]) else {
            unreachable!()
        };
        records.hosts[0].governing = false;
        publisher.apply(&Change::Service(key, Some(records), notes));
        assert_eq!(told(&reader, "10.0.0.1"), ["y-0"]);
        publisher.replace_pointers();
        assert_eq!(told(&reader, "10.0.0.1"), ["y-0"]);
        assert_eq!((names(&publisher, "10.0.0.1"), told(&reader, "10.0.0.2")), (1, vec!["x-1".to_owned()]));
    }

    #[test]
    fn what_was_to_go_and_comes_back_stays() {
        let (mut publisher, reader) = mk_zone();
        publisher.synchronised();
        let host = [("x-0", "10.0.0.1")];
        publisher.publish([mk_change("a", &host), mk_removal("a"), mk_change("a", &host)]);
        assert_eq!(told(&reader, "10.0.0.1"), ["x-0"]);
    }

    #[test]
    fn several_hosts_of_an_address_are_all_told_wherever_they_stand() {
        let (mut publisher, reader) = mk_zone();
        publisher.synchronised();
        publisher.publish([mk_change("a", &[("x-1", "10.0.0.1"), ("x-2", "10.0.0.2")])]);
        assert_eq!(told(&reader, "10.0.0.2"), ["x-2"]);
        // All move by one: the pointers to the others are not written anew.
        publisher.publish([mk_change("a", &[("x-0", "10.0.0.9"), ("x-1", "10.0.0.1"), ("x-2", "10.0.0.2")])]);
        assert_eq!(
            (told(&reader, "10.0.0.1"), told(&reader, "10.0.0.2")),
            (vec!["x-1".into()], vec!["x-2".into()])
        );
        publisher.publish([mk_change("a", &[("x-1", "10.0.0.1"), ("x-2", "10.0.0.1")])]);
        assert_eq!(told(&reader, "10.0.0.1"), ["x-1", "x-2"]);
        publisher.publish([mk_change("a", &[("x-2", "10.0.0.1")])]);
        assert_eq!(told(&reader, "10.0.0.1"), ["x-2"]);
        assert_eq!(names(&publisher, "10.0.0.1"), 1);
    }

    #[test]
    fn nothing_stays_when_everything_goes() {
        let (mut publisher, _reader) = mk_zone();
        let hosts = [("x-0", "10.0.0.1"), ("x-1", "10.0.1.1"), ("x-2", "fd00::1"), ("x-3", "fd00::f1")];
        publisher.publish([mk_change("a", &hosts), mk_change("b", &hosts[..2])]);
        let counts =
            |p: &Publisher| (p.shared.blocks.len(), p.shared.prefixes.len(), p.shared.namespaces.len());
        // 10, 10.0 and the root of IPv4 above two blocks; 29 nibbles and the root of IPv6 above one.
        assert_eq!(counts(&publisher), (3, 3 + 30, 1));
        publisher.publish([mk_removal("a"), mk_removal("b")]);
        assert_eq!(counts(&publisher), (0, 0, 0));
        assert!(publisher.shared.services.is_empty());
    }
}
