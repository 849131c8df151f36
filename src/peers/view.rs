//! Records, as they were answered or pushed, and the members that they make: pure.
//!
//! A service's own name has SRV records, whose targets are the members' names, and A and AAAA records, every member's
//! address. Which address is whose is asked for by the member's name, once, and again when the service's addresses say
//! that it is no longer so. A service without ports has no SRV records: there the names are those that its addresses
//! point to (PTR).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::bounds::{self, Excess};
use super::list::{Peer, numbered, ordinal, sort};
use super::place::Place;
use crate::wire::dso::Change;
use crate::wire::record::{Data, Record, Reply};
use crate::wire::{Name, ParsedName, ReverseName, rcode, reverse_name, rtype};

/// A name and a type to ask for.
pub(super) type Question = (Name, u16);

/// What is known of a name that may be a member's.
#[derive(Debug, Default)]
struct Host {
    /// The service's SRV records that name it: port, then priority and weight. Two may differ in their weight alone, for a
    /// moment.
    services: BTreeSet<(u16, (u16, u16))>,
    /// The addresses of its name.
    addresses: BTreeSet<IpAddr>,
}

/// A StatefulSet as its TXT record tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    name: String,
    replicas: u64,
    start: u64,
}

/// What is known of a service's records.
#[derive(Debug)]
pub(super) struct View {
    place: Place,
    /// How many SRV records the service has: those of all hosts.
    services: usize,
    /// The service's A and AAAA records.
    addresses: BTreeSet<IpAddr>,
    /// Its sets' TXT records.
    texts: BTreeSet<Data>,
    /// Those that SRV records name. One that none names any more, and whose addresses are known, stays until it is looked
    /// what is wanted: its records may be told anew by then.
    hosts: BTreeMap<Name, Host>,
    /// Names of addresses, where there is no SRV record; None is an address that points nowhere below the service.
    names: BTreeMap<IpAddr, Option<Name>>,
    /// The addresses of members whose own names are followed, as they were pushed.
    followed: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// Those of whom something was pushed that is not taken over yet.
    touched: BTreeSet<Name>,
    /// Something was more than is taken, and left out.
    excess: Option<Excess>,
}

impl View {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            services: 0,
            addresses: BTreeSet::new(),
            texts: BTreeSet::new(),
            hosts: BTreeMap::new(),
            names: BTreeMap::new(),
            followed: BTreeMap::new(),
            touched: BTreeSet::new(),
            excess: None,
        }
    }

    /// Nobody is there.
    pub(super) fn is_empty(&self) -> bool {
        self.services == 0 && self.addresses.is_empty()
    }

    /// What there is more of than is taken, if so: then this is not all that there is.
    pub(super) fn excess(&self) -> Option<Excess> {
        self.excess
    }

    /// Takes a pushed message over; whether it may have changed the members or those that are expected. What a set's
    /// record tells besides (how many are ready, which changes with every member) has not.
    pub(super) fn hear(&mut self, changes: &[Change]) -> bool {
        let are_of_sets = changes.iter().all(|change| *owner(change) == self.place.sets);
        let before = are_of_sets.then(|| self.sets());
        changes.iter().for_each(|change| self.push(change));
        self.take_over();
        before.is_none_or(|before| before != self.sets())
    }

    /// Takes a pushed change over.
    pub(super) fn push(&mut self, change: &Change) {
        match change {
            Change::Add(record) => self.add(record),
            Change::Remove(record) => self.remove(record),
            Change::RemoveAll(owner, rtype) => self.clear(owner, *rtype),
        }
    }

    fn add(&mut self, record: &Record) {
        let Some(data) = &record.data else { return };
        let (is_there, excess) = match data {
            Data::Srv { target, port, order } if record.owner == self.place.service => {
                (self.add_service(target, (*port, *order)), "SRV records")
            }
            Data::Address(address) if record.owner == self.place.service => {
                (insert(&mut self.addresses, *address, bounds::RECORDS), "addresses")
            }
            Data::Text(strings) if record.owner == self.place.sets => {
                let octets: usize = strings.iter().map(|string| string.len()).sum();
                let is_small = strings.len() <= bounds::STRINGS && octets <= bounds::TEXT;
                (is_small && insert(&mut self.texts, data.clone(), bounds::SETS), "TXT records or strings")
            }
            Data::Address(address) => {
                let Some(addresses) = self.followed.get_mut(&record.owner) else { return };
                self.touched.insert(record.owner.clone());
                (insert(addresses, *address, bounds::OF_MEMBER), "addresses of one peer")
            }
            _ => return,
        };
        if !is_there {
            self.excess = Some(Excess(excess));
        }
    }

    /// Adds an SRV record where there is room; whether it is there.
    fn add_service(&mut self, target: &Name, service: (u16, (u16, u16))) -> bool {
        if self.hosts.get(target).is_some_and(|host| host.services.contains(&service)) {
            return true;
        }
        if self.services >= bounds::RECORDS {
            return false;
        }
        self.services += 1;
        self.hosts.entry(target.clone()).or_default().services.insert(service)
    }

    fn remove_service(&mut self, target: &Name, service: (u16, (u16, u16))) {
        let Some(host) = self.hosts.get_mut(target) else { return };
        self.services -= usize::from(host.services.remove(&service));
        if host.services.is_empty() && host.addresses.is_empty() {
            self.hosts.remove(target);
        }
    }

    fn remove(&mut self, record: &Record) {
        let Some(data) = &record.data else { return };
        if record.owner == self.place.service {
            match data {
                Data::Srv { target, port, order } => self.remove_service(target, (*port, *order)),
                Data::Address(address) => _ = self.addresses.remove(address),
                _ => {}
            }
        } else if record.owner == self.place.sets {
            self.texts.remove(data);
        } else if let (Some(addresses), Data::Address(address)) = (self.followed.get_mut(&record.owner), data)
        {
            addresses.remove(address);
            self.touched.insert(record.owner.clone());
        }
    }

    fn clear(&mut self, owner: &Name, kind: u16) {
        let is = |one: u16| kind == one || kind == rtype::ANY;
        if *owner == self.place.service {
            if is(rtype::SRV) {
                self.forget_services();
            }
            self.addresses.retain(|address| !is(if address.is_ipv4() { rtype::A } else { rtype::AAAA }));
        } else if *owner == self.place.sets && is(rtype::TXT) {
            self.texts.clear();
        } else if let Some(addresses) = self.followed.get_mut(owner) {
            addresses.retain(|address| !is(if address.is_ipv4() { rtype::A } else { rtype::AAAA }));
            self.touched.insert(owner.clone());
        }
    }

    /// The members whose own names are worth following, where there are no more than so many: two that exchange their
    /// addresses change nothing at the service's name.
    pub(super) fn to_follow(&self, most: usize) -> BTreeSet<Name> {
        let pointed = self.names.values().flatten().filter(|_| self.services == 0);
        let mut named = BTreeSet::new();
        for name in self.targets().map(|(name, _)| name).chain(pointed) {
            named.insert(name);
            if named.len() > most {
                return BTreeSet::new();
            }
        }
        let is_worth = |name: &&Name| self.is_member(name) && is_plain(name);
        named.into_iter().filter(is_worth).cloned().collect()
    }

    /// From now on all of a member's addresses are pushed, beginning with nothing.
    pub(super) fn follow(&mut self, member: &Name) {
        self.followed.insert(member.clone(), BTreeSet::new());
    }

    /// A member is not followed any longer.
    pub(super) fn unfollow(&mut self, member: &Name) {
        self.followed.remove(member);
        self.touched.remove(member);
    }

    /// Believes what was pushed of members, behind a whole message. None at all is not believed, as in answers.
    pub(super) fn take_over(&mut self) {
        for member in std::mem::take(&mut self.touched) {
            let Some(pushed) = self.followed.get(&member).filter(|pushed| !pushed.is_empty()) else {
                continue;
            };
            if self.services == 0 {
                // Here it is pointers that count: those that say something else are asked for again.
                self.names
                    .retain(|address, name| (name.as_ref() == Some(&member)) == pushed.contains(address));
            } else {
                self.hosts.entry(member).or_default().addresses.clone_from(pushed);
            }
        }
    }

    /// Before all is read anew by who is told of no changes: SRV records that no longer fit into a reply are gone then, and
    /// names are those of addresses.
    pub(super) fn forget_services(&mut self) {
        self.hosts.retain(|_, host| {
            host.services.clear();
            !host.addresses.is_empty()
        });
        self.services = 0;
    }

    /// Takes over what was answered to a question: all records of this name and type, where the reply holds all.
    pub(super) fn answer(&mut self, question: &Question, reply: &Reply) {
        let (owner, kind) = question;
        let records = || reply.answer.iter().filter(|record| record.owner == *owner && record.rtype == *kind);
        if *owner == self.place.service || *owner == self.place.sets {
            if !reply.truncated {
                self.clear(owner, *kind);
                records().for_each(|record| self.add(record));
            }
            if *kind == rtype::SRV {
                self.glue(reply);
            }
        } else if *kind == rtype::PTR {
            let below = |record: &Record| match &record.data {
                Some(Data::Name(name)) if self.is_member(name) && is_plain(name) => Some(name.clone()),
                _ => None,
            };
            let name = records().find_map(below);
            if let Some(address) = reversed(owner).filter(|address| self.addresses.contains(address)) {
                self.names.insert(address, name);
            }
        } else {
            self.host(owner, *kind, records());
        }
    }

    /// The addresses of one family that a member's name has. None at all is not believed while its SRV record stands:
    /// it is about to go, or to come.
    fn host<'r>(&mut self, owner: &Name, kind: u16, records: impl Iterator<Item = &'r Record>) {
        let mut found = BTreeSet::new();
        if !records.filter_map(address_of).all(|address| insert(&mut found, address, bounds::OF_MEMBER)) {
            self.excess = Some(Excess("addresses of one peer"));
        }
        let known = &mut self.hosts.entry(owner.clone()).or_default().addresses;
        if !found.is_empty() || known.iter().any(|address| address.is_ipv4() != (kind == rtype::A)) {
            known.retain(|address| address.is_ipv4() != (kind == rtype::A));
            known.extend(found);
        }
    }

    /// The members' addresses that came with their SRV records. They may not be all (RFC 2782): `wanted` tells.
    fn glue(&mut self, reply: &Reply) {
        let mut found: BTreeMap<&Name, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut excess = self.excess;
        let targets: BTreeSet<&Name> = self.targets().map(|(name, _)| name).collect();
        for record in reply.additional.iter().filter(|record| targets.contains(&record.owner)) {
            let Some(address) = address_of(record) else { continue };
            if !insert(found.entry(&record.owner).or_default(), address, bounds::OF_MEMBER) {
                excess = Some(Excess("addresses of one peer"));
            }
        }
        self.excess = excess;
        for (owner, addresses) in found.into_iter().filter(|(_, addresses)| !addresses.is_empty()) {
            self.hosts.entry(owner.clone()).or_default().addresses = addresses;
        }
    }

    /// Right below the service.
    fn is_member(&self, name: &Name) -> bool {
        name.as_wire().get(1 + name.first_label().len()..) == Some(self.place.service.as_wire())
    }

    /// The hosts that SRV records name, in order: members, or the service itself. A record may name any host there is, or
    /// none (RFC 2782).
    fn targets(&self) -> impl Iterator<Item = (&Name, &Host)> {
        let is_its = |name: &Name| self.is_member(name) || *name == self.place.service;
        self.hosts.iter().filter(move |(name, host)| !host.services.is_empty() && is_its(name))
    }

    /// What has to be asked before the records make members; nothing where all is known.
    pub(super) fn wanted(&mut self) -> Vec<Question> {
        if self.services == 0 {
            self.names.retain(|address, _| self.addresses.contains(address));
            let unknown = self.addresses.iter().filter(|address| !self.names.contains_key(address));
            return unknown.filter_map(|address| Some((reverse(*address)?, rtype::PTR))).collect();
        }
        self.names.clear();
        self.hosts.retain(|_, host| !host.services.is_empty());
        if let Some(own) = self.hosts.get_mut(&self.place.service) {
            // A Service with an address of its own: it is its own target.
            own.addresses.clone_from(&self.addresses);
        }
        let mut all: Vec<IpAddr> = self.targets().flat_map(|(_, host)| &host.addresses).copied().collect();
        all.sort_unstable();
        all.dedup();
        // As a rule they are the service's, and are not looked up one by one.
        let are_its = are_among(&all, &self.addresses);
        let is_known =
            |known: &BTreeSet<IpAddr>| !known.is_empty() && (are_its || known.is_subset(&self.addresses));
        let unknown = self.targets().filter(|(_, host)| !is_known(&host.addresses));
        let mut unknown: Vec<&Name> = unknown.map(|(name, _)| name).collect();
        if unknown.is_empty() {
            if are_among(&self.addresses, &all) {
                return Vec::new();
            }
            // Somebody has an address more, and nothing says who.
            unknown = self.targets().map(|(name, _)| name).collect();
        }
        unknown.into_iter().flat_map(|name| [(name.clone(), rtype::A), (name.clone(), rtype::AAAA)]).collect()
    }

    /// The members that the records make, in order. Who has no address yet is not among them.
    pub(super) fn members(&self) -> Vec<Peer> {
        let service = text(&self.place.service);
        let mut peers = Vec::with_capacity(self.hosts.len());
        for (name, host) in self.targets().filter(|(name, host)| !host.addresses.is_empty() && is_plain(name))
        {
            let mut ports: Vec<u16> = host.services.iter().map(|(port, _)| *port).collect();
            // Two may differ in their weight alone.
            ports.dedup();
            ports.retain(|port| *port != 0);
            peers.push(self.mk_peer(name, &service, host.addresses.iter().copied().collect(), ports));
        }
        if self.services == 0 {
            let mut by_name: BTreeMap<&Name, Vec<IpAddr>> = BTreeMap::new();
            for address in &self.addresses {
                match self.names.get(address).and_then(Option::as_ref) {
                    Some(name) => by_name.entry(name).or_default().push(*address),
                    None => peers.push(mk_nameless(*address)),
                }
            }
            let named = by_name.into_iter();
            peers.extend(named.map(|(name, addresses)| self.mk_peer(name, &service, addresses, Vec::new())));
        }
        sort(&mut peers);
        peers
    }

    /// A member, or the service itself, whose text is `service`.
    fn mk_peer(&self, name: &Name, service: &str, addresses: Vec<IpAddr>, ports: Vec<u16>) -> Peer {
        let host = String::from_utf8_lossy(name.first_label()).into_owned();
        let name =
            if *name == self.place.service { service.to_owned() } else { [&host, ".", service].concat() };
        Peer { name, ordinal: ordinal(&host), host, addresses, ports, ready: true }
    }

    fn sets(&self) -> Vec<Set> {
        self.texts.iter().filter_map(set).collect()
    }

    /// How many replicas there should be, and those of them that are not among `members`.
    pub(super) fn expected(&self, members: &[Peer]) -> (Option<u64>, Vec<Peer>) {
        let sets = self.sets();
        if sets.is_empty() {
            return (None, Vec::new());
        }
        let mut there: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (set, number) in members.iter().filter_map(|peer| numbered(&peer.host)) {
            there.entry(set).or_default().push(number);
        }
        there.values_mut().for_each(|numbers| numbers.sort_unstable());
        let (mut missing, mut left) = (Vec::new(), bounds::LOOKED_FOR);
        for set in &sets {
            let there = there.get(&*set.name);
            // Sets of more replicas than any cluster has pods are a slip of somebody's.
            for number in set.start..set.start.saturating_add(set.replicas.min(left)) {
                left -= 1;
                if missing.len() >= bounds::MISSING {
                    break;
                }
                if there.is_some_and(|there| there.binary_search(&number).is_ok()) {
                    continue;
                }
                let host = format!("{}-{number}", set.name);
                let Ok(name) = Name::under(&[host.as_bytes()], &self.place.service) else { break };
                let (name, addresses, ports) = (text(&name), Vec::new(), Vec::new());
                missing.push(Peer { name, host, addresses, ports, ready: false, ordinal: Some(number) });
            }
        }
        sort(&mut missing);
        (Some(sets.iter().map(|set| set.replicas).fold(0, u64::saturating_add)), missing)
    }
}

/// Inserts where there is room; whether it is there.
fn insert<T: Ord>(set: &mut BTreeSet<T>, value: T, most: usize) -> bool {
    if set.len() >= most {
        return set.contains(&value);
    }
    set.insert(value);
    true
}

/// Whether all of these are among those; both are sorted, and each stands there once.
fn are_among<'a>(
    these: impl IntoIterator<Item = &'a IpAddr>,
    those: impl IntoIterator<Item = &'a IpAddr>,
) -> bool {
    let mut those = those.into_iter();
    these.into_iter().all(|one| those.any(|other| other == one))
}

/// The name that an address is asked for by.
fn reverse(address: IpAddr) -> Option<Name> {
    Name::from_text(&reverse_name(address)).ok()
}

/// The address that is asked for by this name.
fn reversed(name: &Name) -> Option<IpAddr> {
    let mut parsed = ParsedName::default();
    parsed.parse(name.as_wire()).ok()?;
    ReverseName::read(&parsed)?.address()
}

/// An address that nothing names is its own name.
fn mk_nameless(address: IpAddr) -> Peer {
    let name = address.to_string();
    Peer { host: name.clone(), name, addresses: vec![address], ports: Vec::new(), ready: true, ordinal: None }
}

fn address_of(record: &Record) -> Option<IpAddr> {
    if let Some(Data::Address(address)) = &record.data { Some(*address) } else { None }
}

/// Letters, digits, hyphens and underscores: other octets stand in no host's name, and are not to reach files and shells.
/// The rest of a member's name is the service's, which has no others.
fn is_plain(member: &Name) -> bool {
    member.first_label().iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// A name without its final dot.
fn text(name: &Name) -> String {
    let mut text = name.to_string();
    text.pop();
    text
}

/// Reads `name=`, `replicas=` and `start=` (RFC 6763, section 6.3: the first of a key counts, unknown ones do not).
fn set(data: &Data) -> Option<Set> {
    let Data::Text(strings) = data else { return None };
    let value = |key: &str| {
        strings.iter().find_map(|string| {
            let (name, value) = std::str::from_utf8(string).ok()?.split_once('=')?;
            name.eq_ignore_ascii_case(key).then_some(value)
        })
    };
    let replicas = value("replicas")?.parse().ok()?;
    let start = value("start").map_or(Some(0), |start| start.parse().ok())?;
    Some(Set { name: value("name")?.to_owned(), replicas, start })
}

/// Whose record it is.
fn owner(change: &Change) -> &Name {
    match change {
        Change::Add(record) | Change::Remove(record) => &record.owner,
        Change::RemoveAll(owner, _) => owner,
    }
}

/// Whether a reply is an answer, be it that there is nothing.
pub(super) fn is_answer(reply: &Reply) -> bool {
    matches!(reply.rcode, rcode::NOERROR | rcode::NXDOMAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else who names others and others without end would fill it, within the bound of those at one time.
    #[test]
    fn hosts_that_nobody_asked_for_leave_nothing_behind() {
        let place = Place::new("nginx", "default", "cluster.local").unwrap();
        let service = place.service.clone();
        let mut view = View::new(place);
        for n in 0..100 {
            let target = Name::under(&[format!("web-{n}").as_bytes()], &service).unwrap();
            let data = Some(Data::Srv { target, port: 80, order: (0, 1) });
            let record = Record { owner: service.clone(), rtype: rtype::SRV, ttl: 5, data };
            view.push(&Change::Add(record.clone()));
            // There already, and gone already: neither is counted twice.
            view.push(&Change::Add(record.clone()));
            assert_eq!((view.services, view.hosts.len()), (1, 1));
            if n % 2 == 0 {
                view.push(&Change::Remove(record.clone()));
                view.push(&Change::Remove(record));
            } else {
                view.push(&Change::RemoveAll(service.clone(), rtype::SRV));
            }
            assert_eq!((view.services, view.hosts.len()), (0, 0));
        }
    }
}
