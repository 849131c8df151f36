//! The zone as octets: a start that finds them serves before it has made a single record of its objects.
//!
//! They are what lies in memory, and so of use to a process that would lay it out alike: the same form, the same rules
//! of making records. To any other they are nothing, and it makes its records of the objects. Everything is checked
//! before anything is put in place, and so that no lookup can fail at it: who writes a checksum may write anything.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use super::encoded::pointers;
use super::entry::{Entry, Key};
use super::ports::Ports;
use super::publisher::Publisher;
use super::reverse::{Block, Pointer, Prefix, Rank};
use super::settings::{PodNames, Prepared};
use super::store::{NamespaceState, Reader, Stored};
use crate::records::{Label, ServiceKey, Shape};

/// Another number for each way of laying out what is here, and in the places that it is read from: [`Entry`],
/// [`super::ports`], [`super::reverse`], `reasons::Notes`. A test holds some octets to it.
const FORM: u16 = 4;

/// Why octets are no zone that may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// There are none.
    #[error("no zone was kept")]
    Nothing,
    /// Laid out otherwise, or made by other rules.
    #[error("the zone was kept by another release, or under other settings")]
    Others,
    /// They end within something, or go on behind it.
    #[error("it is cut off, or too long")]
    Cut,
    /// No ports that a service could have.
    #[error("its ports do not fit together")]
    Ports,
    /// No records of a service.
    #[error("the records of a service do not fit together")]
    Service,
    /// A namespace's name is none.
    #[error("the name of a namespace is none")]
    Namespace,
    /// No names of addresses.
    #[error("the names of addresses do not fit together")]
    Addresses,
    /// A service is there twice, or there was a zone already.
    #[error("a service is there twice")]
    Twice,
}

/// Octets that are read from the front.
pub(super) struct Octets<'o>(&'o [u8]);

impl<'o> Octets<'o> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'o [u8], KeptError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(KeptError::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeptError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(KeptError::Cut)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, KeptError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, KeptError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, KeptError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A length or a place.
    pub(super) fn length(&mut self) -> Result<usize, KeptError> {
        usize::try_from(self.u32()?).map_err(|_| KeptError::Cut)
    }

    /// As many as are said to be there: no count makes us reserve more than there are octets.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, KeptError>,
    ) -> Result<Vec<T>, KeptError> {
        let count = self.length()?;
        let mut list = Vec::with_capacity(count.min(self.0.len() / size_of::<T>().max(1)));
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }
}

/// Appends a count, a length or a place.
pub(super) fn push_count(out: &mut Vec<u8>, count: usize) {
    // Four billion of anything would not have been published.
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// What the octets of a zone depend on, beside its objects; `of` is what the records are made by.
fn rules(prepared: &Prepared, of: &str) -> String {
    let settings = &prepared.settings;
    let (zone, ttl, ptr, full) =
        (&settings.zone, settings.ttl, settings.ptr, settings.explain.is_full_for_somebody());
    format!("{FORM} {zone} {ttl:?} {ptr:?} {full} {of}")
}

impl Reader {
    /// Appends the zone as it is published meanwhile; nothing where every pod has a name. `of` says what its records were
    /// made by.
    pub fn keep(&self, of: &str, out: &mut Vec<u8>) {
        let prepared = self.shared.prepared.load();
        if prepared.settings.pods == PodNames::Verified {
            return;
        }
        let rules = rules(&prepared, of);
        push_count(out, rules.len());
        out.extend(rules.as_bytes());
        // Whoever publishes is not waited for, nor made to wait: each service is as it was at some moment of this. So what
        // reverse names say is made of those very moments, and not looked up where it may have changed since.
        let services = self.shared.services.pin();
        let (mut entries, mut known) = (Vec::new(), HashSet::with_capacity(services.len()));
        for Stored(entry) in &services {
            // Met twice where it was replaced meanwhile.
            if known.insert(entry.key()) {
                entries.push(entry);
            }
        }
        let mut ports: Vec<&Arc<Ports>> = Vec::new();
        let mut number_of: HashMap<*const Ports, u32> = HashMap::new();
        let mut numbers = Vec::with_capacity(entries.len());
        for entry in &entries {
            numbers.push(*number_of.entry(Arc::as_ptr(entry.ports())).or_insert_with(|| {
                ports.push(entry.ports());
                u32::try_from(ports.len() - 1).unwrap_or(u32::MAX)
            }));
        }
        push_count(out, ports.len());
        ports.iter().for_each(|ports| ports.keep(out));
        push_count(out, entries.len());
        entries.iter().zip(numbers).for_each(|(entry, number)| entry.keep(number, out));
        let namespaces = self.shared.namespaces.pin();
        let declared: Vec<&[u8]> =
            namespaces.iter().filter(|(_, state)| state.declared).map(|(label, _)| &**label).collect();
        push_count(out, declared.len());
        for label in declared {
            push_count(out, label.len());
            out.extend(label);
        }
        let addresses = Addressed::of_all(&entries, &prepared);
        let blocks: Vec<_> = addresses.chunk_by(|one, other| one.block() == other.block()).collect();
        push_count(out, blocks.len());
        for block in blocks {
            if let Some(first) = block.first() {
                first.block().keep(out);
            }
            push_count(out, block.len());
            block.iter().for_each(|one| one.keep(out));
        }
    }
}

/// An address that a service is named at, small: a cluster has hundreds of thousands at once while they are sorted.
struct Addressed {
    address: IpAddr,
    rank: Rank,
    /// Which of the services.
    service: u32,
    host: u32,
}

impl Addressed {
    /// Those of all services, in the order of the blocks and of what stands in them.
    fn of_all(entries: &[&Entry], prepared: &Prepared) -> Vec<Self> {
        let mut all = Vec::new();
        for (service, entry) in (0_u32..).zip(entries) {
            for (block, pointer) in pointers(entry, prepared) {
                let (address, host) = (block.address(pointer.last), pointer.kept_host());
                all.push(Self { address, rank: pointer.rank, service, host });
            }
        }
        let key = |one: &Self| entries.get(one.service as usize).map_or(&[][..], |entry| entry.key());
        all.sort_unstable_by(|one, other| {
            (one.address, one.rank).cmp(&(other.address, other.rank)).then_with(|| key(one).cmp(key(other)))
        });
        all
    }

    fn block(&self) -> Prefix {
        Prefix::block_of(self.address).0
    }

    fn keep(&self, out: &mut Vec<u8>) {
        let (_, last) = Prefix::block_of(self.address);
        out.extend(self.service.to_le_bytes());
        out.extend(self.host.to_le_bytes());
        out.extend([last, self.rank as u8]);
    }
}

impl Publisher {
    /// Puts a zone in place that was kept, where nothing is yet. It is not synchronised by that.
    ///
    /// # Errors
    /// When it is none, or not one that this process would make of the same objects. Nothing is in place then.
    pub fn take_up(&mut self, octets: &[u8], of: &str) -> Result<(), KeptError> {
        if octets.is_empty() {
            return Err(KeptError::Nothing);
        }
        let prepared = self.shared.prepared.load_full();
        let mut octets = Octets(octets);
        let length = octets.length()?;
        let is_ours = octets.take(length)? == rules(&prepared, of).as_bytes();
        if !is_ours || prepared.settings.pods == PodNames::Verified {
            return Err(KeptError::Others);
        }
        let ports = octets.list(|octets| Ports::kept(octets).map(Arc::new))?;
        let ports: Vec<Arc<Ports>> = ports.iter().map(|ports| self.ports.share(ports)).collect();
        let entries = octets.list(|octets| Entry::kept(octets, &ports))?;
        let mut keys = HashSet::with_capacity(entries.len());
        if !self.shared.services.is_empty() || !entries.iter().all(|entry| keys.insert(entry.key())) {
            return Err(KeptError::Twice);
        }
        let declared = octets.list(|octets| {
            let length = octets.length()?;
            let text = std::str::from_utf8(octets.take(length)?).map_err(|_| KeptError::Namespace)?;
            Label::check(text).map(|()| text).map_err(|_| KeptError::Namespace)
        })?;
        let blocks = octets.list(|octets| block(octets, &entries))?;
        if !octets.0.is_empty() {
            return Err(KeptError::Cut);
        }
        if !blocks.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Err(KeptError::Addresses);
        }
        self.put_all(entries, &declared, blocks);
        Ok(())
    }

    fn put_all(&mut self, entries: Vec<Entry>, declared: &[&str], blocks: Vec<(Prefix, Block)>) {
        let shared = Arc::clone(&self.shared);
        let mut namespaces: HashMap<Box<[u8]>, NamespaceState> = HashMap::new();
        for label in declared {
            namespaces.entry(label.as_bytes().into()).or_default().declared = true;
        }
        let services = shared.services.pin();
        services.reserve(entries.len());
        for entry in entries {
            shared.size.count(None, Some(&entry));
            if let Some(key) = service_key(&entry) {
                let state = namespaces.entry(key.namespace.as_str().as_bytes().into()).or_default();
                if entry.shape != Shape::Absent {
                    state.services += 1;
                    state.names = std::mem::take(&mut state.names).with(key.name.as_str());
                }
                state.sets += u32::from(entry.has_sets());
            }
            services.insert(Stored(entry));
        }
        let known = shared.namespaces.pin();
        for (label, state) in namespaces {
            known.insert(label, state);
        }
        let there = shared.blocks.pin();
        there.reserve(blocks.len());
        for (prefix, block) in blocks {
            there.insert(prefix, block);
            self.count(prefix, 1);
        }
        self.advance_serial();
    }

    /// Every service and every declared namespace that is in place.
    #[must_use]
    pub fn names(&self) -> (Vec<ServiceKey>, Vec<Label>) {
        let services = self.shared.services.pin();
        let namespaces = self.shared.namespaces.pin();
        let declared = namespaces.iter().filter(|(_, state)| state.declared);
        let label = |octets: &[u8]| std::str::from_utf8(octets).ok().and_then(|text| Label::new(text).ok());
        (
            services.iter().filter_map(|Stored(entry)| service_key(entry)).collect(),
            declared.filter_map(|(octets, _)| label(octets)).collect(),
        )
    }
}

fn service_key(entry: &Entry) -> Option<ServiceKey> {
    let (&length, rest) = entry.key().split_first()?;
    let (name, rest) = rest.split_at_checked(length.into())?;
    let label = |octets: &[u8]| Label::new(std::str::from_utf8(octets).ok()?).ok();
    Some(ServiceKey { name: label(name)?, namespace: label(rest.get(1..)?)? })
}

fn block(octets: &mut Octets<'_>, entries: &[Entry]) -> Result<(Prefix, Block), KeptError> {
    let prefix = Prefix::kept(octets)?;
    let pointer = |octets: &mut Octets<'_>| {
        let of = |place: usize| -> Option<(Key, u16)> {
            entries.get(place).map(|entry| (entry.shared_key().clone(), entry.ttl.positive))
        };
        Pointer::kept(octets, of)
    };
    let block: Block = octets.list(pointer)?.into();
    // They are searched.
    let is_one = !block.is_empty() && block.is_sorted_by(|one, other| one < other);
    is_one.then_some((prefix, block)).ok_or(KeptError::Addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::Notes;
    use crate::records::{
        Addresses, Expected, Hold, Host, Port, PortRecords, Protocol, ServiceRecords, Srv, TtlOverrides,
    };
    use crate::zone::publisher::tests::mk_zone;
    use crate::zone::{Change, MasterFile, Part};

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    /// A service with one of everything.
    fn mk_records() -> ServiceRecords {
        let port =
            |name: Option<&str>, number| Port { name: name.map(label), protocol: Protocol::Tcp, number };
        let host = |name: &str, addresses: Addresses, ports: &[Port]| Host {
            label: name.into(),
            addresses,
            ports: ports.into(),
            governing: name.starts_with("web"),
        };
        let v4 = |last| std::net::Ipv4Addr::new(10, 0, 0, last);
        let v6 = std::net::Ipv6Addr::LOCALHOST;
        let srv = |host, port| Srv { host: Some(host), port };
        ServiceRecords {
            key: ServiceKey { namespace: label("default"), name: label("nginx") },
            shape: Shape::Headless,
            ttl: TtlOverrides { hold: Some(Hold::For(300)), ..TtlOverrides::default() },
            addresses: Addresses { v4: vec![v4(1), v4(2)], v6: vec![v6] },
            hosts: vec![
                host("web-0", Addresses { v4: vec![v4(1)], v6: vec![v6] }, &[port(Some("web"), 80)]),
                host("10-0-0-2", Addresses { v4: vec![v4(2)], v6: Vec::new() }, &[port(None, 81)]),
            ],
            srv: vec![srv(0, 80), srv(1, 81)],
            ports: vec![PortRecords { name: label("web"), protocol: Protocol::Tcp, srv: vec![srv(0, 80)] }],
            expected: vec![Expected {
                set: "web".into(),
                first: 0,
                end: 3,
                ready: 1,
                revision: Some("web-6596ffb49b".into()),
            }],
        }
    }

    fn mk_kept() -> Vec<u8> {
        let (mut publisher, reader) = mk_zone();
        let records = mk_records();
        let change = Change::Service(records.key.clone(), Some(Box::new(records)), Notes::default());
        publisher.publish([change, Change::Namespace(label("empty"), true)]);
        let mut octets = Vec::new();
        reader.keep("rules", &mut octets);
        octets
    }

    /// Where this fails, another release would read what is written here as something else: [`FORM`] goes up by one.
    #[test]
    fn the_form_has_a_number() {
        let octets = mk_kept();
        assert_eq!((FORM, octets.len(), crc32fast::hash(&octets)), (4, 447, 2_897_337_490));
    }

    #[test]
    fn what_was_in_place_is_there() {
        let (mut publisher, reader) = mk_zone();
        publisher.take_up(&mk_kept(), "rules").unwrap();
        assert!(!reader.is_synchronised() && reader.serial() > 0);
        let (services, namespaces) = publisher.names();
        assert_eq!((services, namespaces), (vec![mk_records().key], vec![label("empty")]));
        assert_eq!(reader.size(), crate::zone::ZoneSize { services: 1, names: 3 });
        assert!(reader.view().has_sets(b"default") && !reader.view().has_sets(b"empty"));
        // The same again is no change, and the port sets are shared with what is published later.
        let mut records = mk_records();
        let change = |records: &ServiceRecords| {
            Change::Service(records.key.clone(), Some(Box::new(records.clone())), Notes::default())
        };
        assert_eq!(publisher.publish([change(&records)]), 0);
        records.key.name = label("other");
        assert_eq!(publisher.publish([change(&records)]), 1);
    }

    /// Every name that has an address, and every address that has a name.
    fn both_ways(reader: &Reader) -> (Vec<String>, Vec<String>) {
        let written = |part| {
            let mut text = Vec::new();
            MasterFile::new(reader, part).write(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let mut there = Vec::new();
        for line in written(Part::Cluster).lines() {
            if let [owner, _, _, "A", address] = line.split('\t').collect::<Vec<_>>()[..]
                && owner.starts_with("x-")
            {
                let mut octets: Vec<&str> = address.split('.').collect();
                octets.reverse();
                there.push(format!("{}.in-addr.arpa. {owner}", octets.join(".")));
            }
        }
        let mut back = Vec::new();
        for line in written(Part::Reverse).lines() {
            if let [owner, _, _, "PTR", name] = line.split('\t').collect::<Vec<_>>()[..] {
                back.push(format!("{owner} {name}"));
            }
        }
        there.sort();
        back.sort();
        (there, back)
    }

    #[test]
    fn what_is_kept_while_it_changes_fits_together() {
        let (mut publisher, reader) = mk_zone();
        let change = |service: u8, last: u8, ttl| {
            let address = std::net::Ipv4Addr::new(10, 0, service, last);
            let addresses = Addresses { v4: vec![address], v6: Vec::new() };
            let host =
                Host { label: "x-0".into(), addresses: addresses.clone(), ports: [].into(), governing: true };
            let key = ServiceKey { namespace: label("default"), name: label(&format!("s-{service}")) };
            let ttl = TtlOverrides { positive: ttl, ..TtlOverrides::default() };
            let records = ServiceRecords {
                key: key.clone(),
                ttl,
                addresses,
                hosts: vec![host],
                srv: Vec::new(),
                ports: Vec::new(),
                expected: Vec::new(),
                ..mk_records()
            };
            Change::Service(key, Some(Box::new(records)), Notes::default())
        };
        publisher.publish((0..100).map(|service| change(service, 0, None)));
        publisher.synchronised();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0_u16.. {
                    if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let [last, ttl] = [round % 200, round % 3];
                    let last = u8::try_from(last).unwrap();
                    publisher.publish((0..100).map(|service| change(service, last, Some(ttl))));
                }
            });
            for _ in 0..200 {
                let mut octets = Vec::new();
                reader.keep("rules", &mut octets);
                let (mut other, of_other) = mk_zone();
                other.take_up(&octets, "rules").unwrap();
                other.synchronised();
                let (there, back) = both_ways(&of_other);
                assert_eq!(there.len(), 100);
                assert_eq!(there, back);
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_zone_is_taken_up_once_whole_and_by_its_own_rules() {
        let octets = mk_kept();
        let taken = |octets: &[u8], of: &str| mk_zone().0.take_up(octets, of);
        assert_eq!(taken(&[], "rules"), Err(KeptError::Nothing));
        assert_eq!(taken(&octets, "other rules"), Err(KeptError::Others));
        assert_eq!(taken(&[&*octets, &[0]].concat(), "rules"), Err(KeptError::Cut));
        for end in 1..octets.len() {
            assert!(taken(&octets[..end], "rules").is_err(), "{end} octets");
        }
        let (mut publisher, _) = mk_zone();
        publisher.take_up(&octets, "rules").unwrap();
        assert_eq!(publisher.take_up(&octets, "rules"), Err(KeptError::Twice));
    }
}
