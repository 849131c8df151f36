//! The one writer: takes records, encodes them, replaces what differs, then moves the serial.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use foldhash::HashSet;
use papaya::HashMap;

use super::entry::{Entry, Key};
use super::ports::Ports;
use super::reverse::{Pointer, Prefix, Rank};
use super::settings::{Freshness, Prepared, Settings};
use super::store::{NamespaceState, PodKey, Reader, Shared, Size, Stored};
use crate::records::{Label, ServiceKey, ServiceRecords, Shape};

/// Something to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A service's records, all of them; None when there are none any more.
    Service(ServiceKey, Option<Box<ServiceRecords>>),
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
        expired: AtomicBool::new(false),
        size: Size::default(),
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
    shared: Arc<Shared>,
    ports: SharedPorts,
    /// By block: what is a name of an address of it now (true), or is one no longer.
    differing: Differing,
    held: usize,
}

type Differing = BTreeMap<Prefix, BTreeMap<Pointer, bool>>;

impl Publisher {
    /// Publishes; gives how many of the changes changed something. The serial moves, once, when any did, after
    /// all of them are visible.
    pub fn publish(&mut self, changes: impl IntoIterator<Item = Change>) -> usize {
        let changed = changes.into_iter().filter(|change| self.apply(change)).count();
        self.replace_pointers();
        if changed > 0 {
            self.advance_serial();
        }
        changed
    }

    /// Says that the zone is complete: from now on what is not in it does not exist.
    pub fn synchronised(&mut self) {
        if self.shared.serial.load(Ordering::Acquire) == 0 {
            self.advance_serial();
        }
        self.shared.synchronised.store(true, Ordering::Release);
    }

    /// Says whether every pod is known: while they are not, verified names of pods are SERVFAIL.
    pub fn set_pods_known(&mut self, known: bool) {
        self.shared.pods_known.store(known, Ordering::Release);
    }

    /// Says how far what is published may be believed. No record is made again for it: each answer goes by it.
    pub fn set_freshness(&mut self, freshness: Freshness) {
        let (cap, expired) = match freshness {
            Freshness::Fresh => (u16::MAX, false),
            Freshness::Stale { ttl_cap } => (ttl_cap, false),
            Freshness::Expired => (u16::MAX, true),
        };
        self.shared.ttl_cap.store(cap, Ordering::Relaxed);
        self.shared.expired.store(expired, Ordering::Relaxed);
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
    }

    fn advance_serial(&self) {
        let next = self.shared.serial.load(Ordering::Acquire).wrapping_add(1);
        // A clock before 1970 counts as 1970.
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        #[allow(clippy::cast_possible_truncation)] // serials wrap (RFC 1982)
        self.shared.serial.store(next.max(seconds as u32), Ordering::Release);
    }

    fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Service(key, records) => self.service(key, records.as_deref()),
            Change::Namespace(label, present) => {
                self.namespace(label, |state| NamespaceState { declared: *present, ..state })
            }
            Change::Pod(namespace, address, present) => {
                let key = PodKey::new(namespace.as_str().as_bytes(), *address);
                let pods = self.shared.pods.pin();
                if *present {
                    pods.insert(key.as_ref().into(), ()).is_none()
                } else {
                    pods.remove(key.as_ref()).is_some()
                }
            }
        }
    }

    fn namespace(&self, label: &Label, change: impl FnOnce(NamespaceState) -> NamespaceState) -> bool {
        let namespaces = self.shared.namespaces.pin();
        let before = namespaces.get(label.as_str().as_bytes()).copied().unwrap_or_default();
        let after = change(before);
        if after == NamespaceState::default() {
            namespaces.remove(label.as_str().as_bytes());
        } else if after != before {
            namespaces.insert(label.as_str().as_bytes().into(), after);
        }
        after != before
    }

    fn service(&mut self, key: &ServiceKey, records: Option<&ServiceRecords>) -> bool {
        let shared = Arc::clone(&self.shared);
        let prepared = shared.prepared.load();
        let wire_key = wire_key(key);
        let services = shared.services.pin();
        let old = services.get(&*wire_key).map(|stored| &stored.0);
        let entry = records.map(|records| {
            let key = old.map_or_else(|| Key::new(&wire_key), |old| old.shared_key().clone());
            Entry::new(key, records, prepared.settings.ttl, |ports| self.ports.share(ports))
        });
        if old == entry.as_ref() {
            return false;
        }
        let names = |entry: Option<&Entry>| entry.map_or_else(Vec::new, |entry| pointers(entry, &prepared));
        let (before, after) = (names(old), names(entry.as_ref()));
        let exists = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.shape != Shape::Absent);
        let (was, is) = (exists(old), exists(entry.as_ref()));
        // A namespace is known before its first service is found in it, and until after its last one is.
        if is && !was {
            self.namespace(&key.namespace, |s| NamespaceState { services: s.services + 1, ..s });
        }
        shared.size.count(old, entry.as_ref());
        // An address's names stand before the service says them and go after it has ceased to: an address that has a
        // name before and after a publish has one throughout. What nobody is answered yet is held back, for speed.
        let (gone, more) = differing(before, after);
        if shared.synchronised.load(Ordering::Acquire) {
            self.add_pointers(more);
        } else {
            self.hold(more, true);
        }
        match entry {
            Some(entry) => {
                services.insert(Stored(entry));
            }
            None => {
                services.remove(&*wire_key);
            }
        }
        if was && !is {
            self.namespace(&key.namespace, |s| NamespaceState {
                services: s.services.saturating_sub(1),
                ..s
            });
        }
        self.hold(gone, false);
        if self.held >= HELD {
            self.replace_pointers();
        }
        true
    }

    /// Holds pointers back until the blocks are replaced.
    fn hold(&mut self, pointers: Names, is: bool) {
        for (block, pointer) in pointers {
            self.held += 1;
            self.differing.entry(block).or_default().insert(pointer, is);
        }
    }

    /// Adds pointers at once.
    fn add_pointers(&mut self, pointers: Names) {
        let mut differing: Differing = BTreeMap::new();
        for (block, pointer) in pointers {
            if let Some(held) = self.differing.get_mut(&block) {
                // It was to go, and comes back.
                held.remove(&pointer);
            }
            differing.entry(block).or_default().insert(pointer, true);
        }
        differing.into_iter().for_each(|(prefix, pointers)| self.replace_block(prefix, &pointers));
    }

    /// Replaces each block of which something is held, in one insert.
    fn replace_pointers(&mut self) {
        for (prefix, differing) in std::mem::take(&mut self.differing) {
            self.replace_block(prefix, &differing);
        }
        self.held = 0;
    }

    fn replace_block(&self, prefix: Prefix, differing: &BTreeMap<Pointer, bool>) {
        let blocks = self.shared.blocks.pin();
        let old = blocks.get(&prefix);
        let kept = old.map_or(&[][..], |old| old).iter().filter(|pointer| !differing.contains_key(pointer));
        let mut block: Vec<Pointer> = kept.cloned().collect();
        block.extend(differing.iter().filter(|(_, is)| **is).map(|(pointer, _)| pointer.clone()));
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
    }

    /// Counts a child at each reverse name above, as far up as the name itself comes or goes.
    fn count(&self, leaf: Prefix, by: i32) {
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

fn wire_key(key: &ServiceKey) -> Vec<u8> {
    let mut wire = Vec::with_capacity(key.name.as_str().len() + key.namespace.as_str().len() + 2);
    for label in [key.name.as_str(), key.namespace.as_str()] {
        #[allow(clippy::cast_possible_truncation)] // a label, at most 63
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire
}

/// A service's share of the names of addresses, by block, sorted; each once.
type Names = Vec<(Prefix, Pointer)>;

/// What is only before, and what is only after.
fn differing(before: Names, after: Names) -> (Names, Names) {
    let gone = before.iter().filter(|name| after.binary_search(name).is_err()).cloned().collect();
    let more = after.into_iter().filter(|name| before.binary_search(name).is_err()).collect();
    (gone, more)
}

/// What the reverse names of a service's addresses say.
fn pointers(entry: &Entry, prepared: &Prepared) -> Names {
    let governing_only = prepared.settings.ptr == super::PtrNames::Governing;
    let rank = |host: Option<usize>| match host {
        None => Rank::ClusterIp,
        Some(host) if entry.is_governing(host) => Rank::Governing,
        Some(_) => Rank::Other,
    };
    let all = entry.reverse().into_iter().map(|(address, host)| (address, host, rank(host)));
    let wanted = all.filter(|(_, _, rank)| !governing_only || *rank != Rank::Other);
    let mut names: Names = wanted
        .map(|(address, host, rank)| {
            let (block, last) = Prefix::block_of(address);
            let service = entry.shared_key().clone();
            (block, Pointer::new(last, rank, service, entry.ttl.positive, host))
        })
        .collect();
    names.sort();
    names.dedup_by(|(block, pointer), (other, first)| block == other && first.absorb(pointer));
    names
}

/// Ports that several services have; most of a cluster's services share a few.
#[derive(Default)]
struct SharedPorts {
    known: HashSet<Arc<Ports>>,
    /// How many there may be before those that nobody has any longer are let go of.
    sweep: usize,
}

impl SharedPorts {
    fn share(&mut self, ports: Ports) -> Arc<Ports> {
        if let Some(known) = self.known.get(&ports) {
            return Arc::clone(known);
        }
        let ports = Arc::new(ports);
        if !ports.is_listed() {
            if self.known.len() >= self.sweep {
                self.known.retain(|known| Arc::strong_count(known) > 1);
                self.sweep = (self.known.len() * 2).max(64);
            }
            self.known.insert(Arc::clone(&ports));
        }
        ports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Addresses, Host, TtlOverrides};
    use crate::wire::Name;
    use crate::zone::lookup::{self, with_pointers};
    use crate::zone::reverse::of_address;
    use crate::zone::{Order, PodNames, PtrNames, Ttl};

    fn mk_zone() -> (Publisher, Reader) {
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
        })
    }

    fn mk_change(name: &str, hosts: &[(&str, &str)]) -> Change {
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
        Change::Service(key, Some(Box::new(records)))
    }

    fn mk_removal(name: &str) -> Change {
        let Change::Service(key, _) = mk_change(name, &[]) else { unreachable!() };
        Change::Service(key, None)
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
    fn services_and_names_are_counted_as_they_come_and_go() {
        let (mut publisher, reader) = mk_zone();
        let size = |services, names| crate::zone::ZoneSize { services, names };
        publisher.publish([mk_change("a", &[("a-0", "10.0.0.1"), ("a-1", "10.0.0.2")]), mk_change("b", &[])]);
        assert_eq!(reader.size(), size(2, 4));
        publisher.publish([mk_change("a", &[("a-0", "10.0.0.1")])]);
        assert_eq!(reader.size(), size(2, 3));
        // Expected, and not there: nobody finds it.
        let Change::Service(key, records) = mk_change("a", &[]) else { unreachable!() };
        let absent = records.map(|records| Box::new(ServiceRecords { shape: Shape::Absent, ..*records }));
        publisher.publish([Change::Service(key, absent)]);
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
        let Change::Service(key, Some(mut records)) = mk_change("a", &[("y-0", "10.0.0.1")]) else {
            unreachable!()
        };
        records.hosts[0].governing = false;
        publisher.apply(&Change::Service(key, Some(records)));
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
    fn ports_that_nobody_has_are_let_go_of() {
        let mut shared = SharedPorts::default();
        let kept = shared.share(Ports::default());
        assert!(Arc::ptr_eq(&kept, &shared.share(Ports::default())));
        shared.sweep = 0;
        drop(kept);
        let of_hosts = mk_change("a", &[("x-0", "10.0.0.1")]);
        let Change::Service(_, Some(records)) = of_hosts else { unreachable!() };
        let _other = shared.share(Ports::new(&records).0);
        assert_eq!(shared.known.len(), 1);
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
