//! Records, as they were answered or pushed, and the members that they make: pure.
//!
//! A service's own name has SRV records, whose targets are the members' names, and A and AAAA records, every member's
//! address. Which address is whose is asked for by the member's name, once, and again when the service's addresses say
//! that it is no longer so. A service without ports has no SRV records: there the names are those that its addresses
//! point to (PTR).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::bounds::{self, Excess};
use super::list::{Peer, ordinal, sort};
use super::place::Place;
use crate::wire::dso::Change;
use crate::wire::record::{Data, Record, Reply};
use crate::wire::{Name, rcode, reverse_name, rtype};

/// A name and a type to ask for.
pub(super) type Question = (Name, u16);

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
    /// The service's SRV records, as they stand there: two may differ in their weight alone, for a moment.
    services: BTreeSet<Data>,
    /// The service's A and AAAA records.
    addresses: BTreeSet<IpAddr>,
    /// Its sets' TXT records.
    texts: BTreeSet<Data>,
    /// Addresses of the members' names.
    hosts: BTreeMap<Name, BTreeSet<IpAddr>>,
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
            services: BTreeSet::new(),
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
        self.services.is_empty() && self.addresses.is_empty()
    }

    /// What there is more of than is taken, if so: then this is not all that there is.
    pub(super) fn excess(&self) -> Option<Excess> {
        self.excess
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
            Data::Srv { .. } if record.owner == self.place.service => {
                (insert(&mut self.services, data.clone(), bounds::RECORDS), "SRV records")
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

    fn remove(&mut self, record: &Record) {
        let Some(data) = &record.data else { return };
        if record.owner == self.place.service {
            self.services.remove(data);
            if let Data::Address(address) = data {
                self.addresses.remove(address);
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
                self.services.clear();
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
        let named: BTreeSet<&Name> =
            if self.services.is_empty() { self.names.values().flatten().collect() } else { self.targets() };
        let is_worth = |name: &&Name| self.is_member(name) && is_plain(name);
        if named.len() > most {
            BTreeSet::new()
        } else {
            named.into_iter().filter(is_worth).cloned().collect()
        }
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
            if self.services.is_empty() {
                // Here it is pointers that count: those that say something else are asked for again.
                self.names
                    .retain(|address, name| (name.as_ref() == Some(&member)) == pushed.contains(address));
            } else {
                self.hosts.insert(member, pushed.clone());
            }
        }
    }

    /// Before all is read anew by who is told of no changes: SRV records that no longer fit into a reply are gone then, and
    /// names are those of addresses.
    pub(super) fn forget_services(&mut self) {
        self.services.clear();
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
            let is_its = |address: &&IpAddr| reverse(**address).as_ref() == Some(owner);
            let address = self.addresses.iter().find(is_its).copied();
            if let Some(address) = address {
                self.names.insert(address, records().find_map(below));
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
        let known = self.hosts.entry(owner.clone()).or_default();
        if !found.is_empty() || known.iter().any(|address| address.is_ipv4() != (kind == rtype::A)) {
            known.retain(|address| address.is_ipv4() != (kind == rtype::A));
            known.extend(found);
        }
    }

    /// The members' addresses that came with their SRV records. They may not be all (RFC 2782): `wanted` tells.
    fn glue(&mut self, reply: &Reply) {
        let mut found: BTreeMap<&Name, BTreeSet<IpAddr>> = BTreeMap::new();
        let (targets, mut excess) = (self.targets(), self.excess);
        for record in reply.additional.iter().filter(|record| targets.contains(&record.owner)) {
            let Some(address) = address_of(record) else { continue };
            if !insert(found.entry(&record.owner).or_default(), address, bounds::OF_MEMBER) {
                excess = Some(Excess("addresses of one peer"));
            }
        }
        self.excess = excess;
        for (owner, addresses) in found.into_iter().filter(|(_, addresses)| !addresses.is_empty()) {
            self.hosts.insert(owner.clone(), addresses);
        }
    }

    fn is_member(&self, name: &Name) -> bool {
        name.is_within(&self.place.service) && name.label_count() == self.place.service.label_count() + 1
    }

    /// A member, or the service itself: an SRV record may name any host there is, or none (RFC 2782).
    fn is_of_service(&self, name: &Name) -> bool {
        self.is_member(name) || *name == self.place.service
    }

    fn targets(&self) -> BTreeSet<&Name> {
        let mut targets = BTreeSet::new();
        for service in &self.services {
            if let Data::Srv { target, .. } = service
                && self.is_of_service(target)
            {
                targets.insert(target);
            }
        }
        targets
    }

    /// What has to be asked before the records make members; nothing where all is known.
    pub(super) fn wanted(&mut self) -> Vec<Question> {
        if self.services.is_empty() {
            self.names.retain(|address, _| self.addresses.contains(address));
            let unknown = self.addresses.iter().filter(|address| !self.names.contains_key(address));
            return unknown.filter_map(|address| Some((reverse(*address)?, rtype::PTR))).collect();
        }
        self.names.clear();
        let targets: BTreeSet<Name> = self.targets().into_iter().cloned().collect();
        self.hosts.retain(|name, _| targets.contains(name));
        if targets.contains(&self.place.service) {
            // A Service with an address of its own: it is its own target.
            self.hosts.insert(self.place.service.clone(), self.addresses.clone());
        }
        let is_known = |name: &&Name| {
            let known = self.hosts.get(*name);
            known.is_some_and(|known| !known.is_empty() && known.is_subset(&self.addresses))
        };
        let mut unknown: Vec<&Name> = targets.iter().filter(|name| !is_known(name)).collect();
        if unknown.is_empty() {
            let known: BTreeSet<IpAddr> = self.hosts.values().flatten().copied().collect();
            if self.addresses.is_subset(&known) {
                return Vec::new();
            }
            // Somebody has an address more, and nothing says who.
            unknown = targets.iter().collect();
        }
        unknown.into_iter().flat_map(|name| [(name.clone(), rtype::A), (name.clone(), rtype::AAAA)]).collect()
    }

    /// The members that the records make, in order. Who has no address yet is not among them.
    pub(super) fn members(&self) -> Vec<Peer> {
        let mut members: BTreeMap<Name, (BTreeSet<IpAddr>, BTreeSet<u16>)> = BTreeMap::new();
        for service in &self.services {
            let Data::Srv { target, port, .. } = service else { continue };
            let Some(addresses) = self.hosts.get(target).filter(|known| !known.is_empty()) else { continue };
            if !is_plain(target) || !self.is_of_service(target) {
                continue;
            }
            // Once for each: a thousand ports of one name have the same addresses.
            let fresh = || (addresses.clone(), BTreeSet::new());
            let member = members.entry(target.clone()).or_insert_with(fresh);
            member.1.extend((*port != 0).then_some(*port));
        }
        let mut nameless = Vec::new();
        if self.services.is_empty() {
            for address in &self.addresses {
                match self.names.get(address).and_then(Option::as_ref) {
                    Some(name) => _ = members.entry(name.clone()).or_default().0.insert(*address),
                    None => nameless.push(mk_nameless(*address)),
                }
            }
        }
        let member = |(name, (addresses, ports)): (Name, (BTreeSet<IpAddr>, BTreeSet<u16>))| {
            let host = String::from_utf8_lossy(name.first_label()).into_owned();
            let (addresses, ports) = (addresses.into_iter().collect(), ports.into_iter().collect());
            Peer { name: text(&name), ordinal: ordinal(&host), host, addresses, ports, ready: true }
        };
        let mut peers: Vec<Peer> = members.into_iter().map(member).chain(nameless).collect();
        sort(&mut peers);
        peers
    }

    /// How many replicas there should be, and those of them that are not among `members`.
    pub(super) fn expected(&self, members: &[Peer]) -> (Option<u64>, Vec<Peer>) {
        let sets: Vec<Set> = self.texts.iter().filter_map(set).collect();
        if sets.is_empty() {
            return (None, Vec::new());
        }
        let there: BTreeSet<&str> = members.iter().map(|peer| peer.host.as_str()).collect();
        let (mut missing, mut left) = (Vec::new(), bounds::LOOKED_FOR);
        for set in &sets {
            // Sets of more replicas than any cluster has pods are a slip of somebody's.
            for number in set.start..set.start.saturating_add(set.replicas.min(left)) {
                left -= 1;
                if missing.len() >= bounds::MISSING {
                    break;
                }
                let host = format!("{}-{number}", set.name);
                let Ok(name) = Name::under(&[host.as_bytes()], &self.place.service) else { break };
                if !there.contains(host.as_str()) {
                    let name = text(&name);
                    let (addresses, ports) = (Vec::new(), Vec::new());
                    missing.push(Peer { name, host, addresses, ports, ready: false, ordinal: Some(number) });
                }
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

/// The name that an address is asked for by.
fn reverse(address: IpAddr) -> Option<Name> {
    Name::from_text(&reverse_name(address)).ok()
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
fn is_plain(name: &Name) -> bool {
    Name::from_text(&name.to_string()).is_ok_and(|plain| plain == *name)
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

/// Whether a reply is an answer, be it that there is nothing.
pub(super) fn is_answer(reply: &Reply) -> bool {
    matches!(reply.rcode, rcode::NOERROR | rcode::NXDOMAIN)
}
