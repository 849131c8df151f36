//! Writes the answer to a question: what stands at the name, in the order and within the size asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::entry::Entry;
use super::lookup::{Absent, Begun, Found, Key, Node, Place, ZoneKind, begin, find, names, with_pointers};
use super::order::{NO_HOST, Sequence, SetScratch};
use super::ports::SrvSet;
use super::reverse::ttl;
use super::settings::{Prepared, PreparedServer};
use super::store::View;
use super::why::{why_empty, why_missing, why_surprising};
use crate::reasons::Reason;
use crate::wire::{Full, Name, ParsedName, Query, RecordSet, Response, SrvTarget, class, rcode, rtype};

/// Where the question's name stands in a reply.
const QUESTION: usize = 12;
/// The specification's, as a TXT record's data.
pub(super) const VERSION: &[u8] = b"\x051.1.0";
/// An alias of an alias … : more links than this are not followed (names.md).
const MAX_LINKS: usize = 8;

/// How the writing of an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The answer is written: its code, and why it is empty or surprising, if it is.
    Done(u16, Option<Reason<'a>>),
    /// The same with NXDOMAIN: of a replica's name that is not there yet, and may be within so many milliseconds. Who can
    /// wait asks again when the zone has changed, or gives this answer then.
    Awaited(u16, Option<Reason<'a>>),
    /// An alias points out of the zones and the client wants it followed: the caller asks the upstream for
    /// this name and adds what it says. The aliases are written.
    Chase(Name),
}

/// What a thread that answers keeps between questions, so that none of them allocates.
#[derive(Default)]
pub struct Scratch {
    target: ParsedName,
    sets: SetScratch,
}

impl Scratch {
    /// Takes the room that the largest answer needs: from now on no question allocates. Without it the room
    /// grows with the answers, which is what ten thousand idle connections want.
    #[must_use]
    pub fn reserved() -> Self {
        let mut scratch = Self::default();
        scratch.sets.reserve();
        scratch
    }
}

/// What is found at a question's name. [`look_up`] begins it; taking each step for all questions of a batch before the
/// next one lets the memory that one question waits for arrive while the others are looked up.
pub struct Lookup<'v>(Begun<'v>);

/// Finds the service of a question's name.
#[must_use]
pub fn look_up<'v>(view: &'v View<'_>, query: &Query) -> Lookup<'v> {
    Lookup(begin(view, &query.name))
}

impl Lookup<'_> {
    /// Finds what the name is below its service.
    #[must_use]
    pub fn complete(self, query: &Query) -> Self {
        Self(Begun::Found(self.0.complete(&query.name)))
    }

    /// Which zone the question is about, once it is completed.
    #[must_use]
    pub fn zone(&self) -> ZoneKind {
        self.0.zone()
    }
}

/// Answers a query of opcode QUERY and one question, from what was found for it in the same view.
pub fn answer<'a>(
    view: &'a View<'_>,
    query: &'a Query,
    Lookup(begun): Lookup<'a>,
    response: &mut Response<'_>,
    scratch: &'a mut Scratch,
) -> Outcome<'a> {
    let refused = |why| Outcome::Done(rcode::REFUSED, Some(why));
    let failed = |why| Outcome::Done(rcode::SERVFAIL, Some(why));
    match query.class {
        class::IN => {}
        class::CH => {
            return identity(view, query, response).unwrap_or(refused(Reason::OtherClass));
        }
        _ => return refused(Reason::OtherClass),
    }
    if matches!(query.rtype, rtype::AXFR | rtype::IXFR) {
        return refused(Reason::TransferRefused);
    }
    let found = begun.complete(&query.name);
    if let Found::Outside(why) = found {
        return refused(why);
    }
    if let Some(why) = view.silent() {
        return failed(why);
    }
    if let Found::Unknown(why) = found {
        return failed(why);
    }
    response.authoritative();
    let Scratch { target, sets } = scratch;
    let mut writer = Writer { view, response, sets, owner: QUESTION };
    let (end, link) = writer.chain(found, query, target);
    let name = if link == 0 { &query.name } else { &*target };
    match end {
        End::Missing(absent) => {
            let why = why_missing(&absent, name);
            // At the end of an alias others may be waited for than who is asked for.
            match absent.awaited(view, query).filter(|_| link == 0) {
                None => Outcome::Done(rcode::NXDOMAIN, why),
                Some(milliseconds) => Outcome::Awaited(milliseconds, why),
            }
        }
        End::Empty(node) => Outcome::Done(rcode::NOERROR, Some(why_empty(&node, query.rtype))),
        End::Found(node) => Outcome::Done(rcode::NOERROR, why_surprising(&node, query.rtype)),
        End::Cut(why) => Outcome::Done(rcode::NOERROR, why),
        End::Chase(name) => Outcome::Chase(name),
    }
}

impl Absent<'_> {
    /// For how many milliseconds a question waits for a replica; the question's own name is what is missing. While the
    /// zone is stale nobody hears of a replica that becomes ready.
    fn awaited(&self, view: &View<'_>, query: &Query) -> Option<u16> {
        let Self::Within(entry, 1) = self else { return None };
        let wants_address = matches!(query.rtype, rtype::A | rtype::AAAA);
        let milliseconds = entry.holds(query.name.label(0), view.prepared.settings.holding)?;
        (wants_address && view.stale().is_none()).then_some(milliseconds)
    }
}

/// What stands at the end of a chain of aliases, which nearly always is none.
enum End<'v> {
    Missing(Absent<'v>),
    /// There is nothing of the type.
    Empty(Node<'v>),
    Found(Node<'v>),
    /// The aliases end before they lead to a name.
    Cut(Option<Reason<'v>>),
    Chase(Name),
}

/// `id.server`, `hostname.bind`, `version.server`, `version.bind` in class CH (RFC 4892), where the operator
/// chose a text for them.
fn identity(view: &View<'_>, query: &Query, response: &mut Response<'_>) -> Option<Outcome<'static>> {
    const NAMES: [&[u8]; 4] = [
        b"\x02id\x06server\x00",
        b"\x08hostname\x04bind\x00",
        b"\x07version\x06server\x00",
        b"\x07version\x04bind\x00",
    ];
    let identity = view.prepared.settings.identity.as_ref()?;
    let known = NAMES.contains(&query.name.as_wire());
    if !known || !matches!(query.rtype, rtype::TXT | rtype::ANY) {
        return None;
    }
    let text = identity.as_bytes().get(..255).unwrap_or(identity.as_bytes());
    // One character-string: its length, and itself (RFC 1035, section 3.3).
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let [high, low] = (u16::from(length) + 1).to_be_bytes();
    let head = [0, 16, 0, 3, 0, 0, 0, 0, high, low, length];
    let mut record = [0; 11 + 255];
    for (to, from) in record.iter_mut().zip(head.iter().chain(text)) {
        *to = *from;
    }
    let written = response.encoded_answer(QUESTION, &record[..head.len() + text.len()]);
    if written.is_err() {
        response.truncated();
    }
    Some(Outcome::Done(rcode::NOERROR, None))
}

struct Writer<'w, 'r, 'b, 'z> {
    view: &'w View<'z>,
    response: &'r mut Response<'b>,
    sets: &'r mut SetScratch,
    /// Where the name that records are written for stands in the reply.
    owner: usize,
}

/// Whether something was written; false is NODATA.
type Written = Result<bool, Full>;

impl<'w> Writer<'w, '_, '_, '_> {
    /// Follows aliases within the zones; the code is that of the last name (RFC 6604, section 3). Gives the end, and how
    /// many aliases lead to it.
    fn chain(&mut self, first: Found<'w>, query: &Query, target: &mut ParsedName) -> (End<'w>, usize) {
        let zone = &self.view.prepared.settings.zone;
        let mut found = first;
        let mut visited: [Option<*const Entry>; MAX_LINKS] = [None; MAX_LINKS];
        let mut link = 0;
        let end = loop {
            let name = if link == 0 { &query.name } else { &*target };
            let (node, place) = match found {
                Found::Here(node, place) => (node, place),
                Found::Missing(place, absent) => {
                    self.soa(name, place);
                    break End::Missing(absent);
                }
                // Within the zones, but in a namespace that a filter leaves out: no upstream knows better.
                Found::Outside(_) => break End::Cut(Some(Reason::AliasLeftOut)),
                Found::Unknown(_) => break End::Cut(None),
            };
            let Node::Alias(entry, alias) = node else {
                break match self.node(&node, name, place, query.rtype) {
                    Ok(true) => End::Found(node),
                    Ok(false) => {
                        self.soa(name, place);
                        End::Empty(node)
                    }
                    Err(Full) => {
                        self.response.truncated();
                        End::Found(node)
                    }
                };
            };
            let identity = Some(std::ptr::from_ref(entry));
            if link == MAX_LINKS || visited.contains(&identity) {
                break End::Cut(Some(Reason::AliasCut));
            }
            visited[link] = identity;
            let ttl = u32::from(self.ttl(entry.ttl.positive));
            match self.response.answer(self.owner, rtype::CNAME, ttl, &[alias.as_wire()]) {
                Ok(data) => self.owner = data,
                Err(Full) => {
                    self.response.truncated();
                    break End::Cut(None);
                }
            }
            let whole = matches!(query.rtype, rtype::CNAME | rtype::ANY);
            if whole || target.parse(alias.as_wire()).is_err() {
                break End::Cut(None);
            }
            found = find(self.view, target);
            link += 1;
            if matches!(found, Found::Outside(_)) && !alias.is_within(zone) {
                let is_followed = self.view.prepared.settings.upstream;
                break match query.recursion_desired() {
                    true if is_followed => End::Chase(alias.clone()),
                    true => End::Cut(Some(Reason::AliasNotFollowed)),
                    false => End::Cut(None),
                };
            }
        };
        (end, link)
    }

    /// A time to live as it is said just now.
    fn ttl(&self, seconds: u16) -> u16 {
        seconds.min(self.view.ttl_cap)
    }

    /// Writes what a name has of a type.
    fn node(&mut self, node: &Node<'w>, name: &ParsedName, place: Place, qtype: u16) -> Written {
        let service = |owner: usize, entry: &'w Entry, key: &Key| Service {
            entry,
            name: name.labels(key.from, key.to),
            place: owner + name.start(key.from),
        };
        let owner = self.owner;
        match node {
            Node::Apex => self.apex(qtype),
            Node::Empty | Node::Alias(..) => Ok(false),
            Node::Version => self.version(qtype),
            Node::Discovery if wants(qtype, rtype::SRV) => self.discovery(),
            Node::Sets(entry) if wants(qtype, rtype::TXT) => self.sets_of(entry),
            Node::Nameserver(index) => self.nameserver(*index, qtype),
            Node::Service(entry, key) => {
                let service = service(owner, entry, key);
                let written = self.addresses(entry, entry.service_a(), entry.service_aaaa(), qtype)?;
                if written || !wants(qtype, rtype::SRV) {
                    return Ok(written);
                }
                self.srv_set(service, entry.service_srv())
            }
            Node::ServicePort(entry, key, srv) if wants(qtype, rtype::SRV) => {
                let service = service(owner, entry, key);
                self.srv_set(service, *srv)
            }
            Node::Host(entry, key, host) => {
                let service = service(owner, entry, key);
                let written = self.addresses(entry, entry.host_a(*host), entry.host_aaaa(*host), qtype)?;
                if written || !wants(qtype, rtype::SRV) {
                    return Ok(written);
                }
                self.srv_of_host(service, *host, entry.host_ports(*host).numbers.iter().copied())
            }
            Node::HostPort(entry, key, host) if wants(qtype, rtype::SRV) => {
                let service = service(owner, entry, key);
                let numbers = entry.host_ports(*host).numbers_of(name.label(0), name.label(1));
                self.srv_of_host(service, *host, numbers)
            }
            Node::Pointer(address) if wants(qtype, rtype::PTR) => self.pointer(*address),
            // An address may be a zone of its own.
            Node::Pointer(_) if place.apex == 0 => self.apex(qtype),
            Node::Pod(address) => self.address(*address, qtype),
            Node::ServicePort(..) | Node::HostPort(..) | Node::Pointer(_) => Ok(false),
            Node::Sets(_) | Node::Discovery => Ok(false),
        }
    }

    fn addresses(&mut self, entry: &Entry, a: &[[u8; 4]], aaaa: &[[u8; 16]], qtype: u16) -> Written {
        if wants(qtype, rtype::A) && !a.is_empty() {
            return self.set(entry, rtype::A, a);
        }
        if wants(qtype, rtype::AAAA) && !aaaa.is_empty() {
            return self.set(entry, rtype::AAAA, aaaa);
        }
        Ok(false)
    }

    fn set<const N: usize>(&mut self, entry: &Entry, rtype: u16, records: &[[u8; N]]) -> Written {
        let set = RecordSet::new((&[], self.owner), rtype, self.ttl(entry.ttl.positive));
        match self.sequence(entry, rtype, records.len()) {
            Sequence::From(start) => {
                let (last, first) = records.split_at_checked(start).unwrap_or((records, &[]));
                self.response.answers_of(&set, first)?;
                self.response.answers_of(&set, last)?;
            }
            shuffled @ Sequence::Shuffled => {
                for turn in 0..records.len() {
                    let index = self.sets.index(shuffled, turn, records.len());
                    self.response.answers_of(&set, &[records[index]])?;
                }
            }
        }
        Ok(true)
    }

    fn sequence(&mut self, entry: &Entry, rtype: u16, count: usize) -> Sequence {
        let place = std::ptr::from_ref(entry).addr() >> 5;
        self.sets.sequence(self.view.prepared.settings.order, place ^ usize::from(rtype), count)
    }

    fn srv_set(&mut self, service: Service<'_>, srv: SrvSet<'_>) -> Written {
        let count = srv.len();
        if count == 0 {
            return Ok(false);
        }
        let ttl = u32::from(self.ttl(service.entry.ttl.positive));
        let weight = weight(count);
        let sequence = self.sequence(service.entry, rtype::SRV, count);
        self.sets.targets.clear();
        for turn in 0..count {
            let record = srv.get(self.sets.index(sequence, turn, count));
            let target = service.target(record.host(), &self.view.prepared);
            let place = self.response.srv(self.owner, ttl, weight, record.port, &target)?;
            self.sets.remember(record.host(), place);
        }
        self.glue(service);
        Ok(true)
    }

    fn srv_of_host(
        &mut self,
        service: Service<'_>,
        host: usize,
        numbers: impl Iterator<Item = u16> + Clone,
    ) -> Written {
        let ttl = u32::from(self.ttl(service.entry.ttl.positive));
        let weight = weight(numbers.clone().count());
        let target = service.target(Some(host), &self.view.prepared);
        self.sets.targets.clear();
        for port in numbers {
            let place = self.response.srv(self.owner, ttl, weight, port, &target)?;
            self.sets.remember(Some(host), place);
        }
        self.glue(service);
        Ok(!self.sets.targets.is_empty())
    }

    /// Adds the targets' addresses, whole sets only; what does not fit is left out without TC, for the client
    /// can ask for it.
    fn glue(&mut self, service: Service<'_>) {
        self.sets.targets.sort_unstable();
        self.sets.targets.dedup_by_key(|(host, _)| *host);
        for &(host, place) in &self.sets.targets {
            let entry = service.entry;
            let (label, a, aaaa) = match host {
                NO_HOST => (&[][..], entry.service_a(), entry.service_aaaa()),
                host => {
                    let host = host as usize;
                    (entry.host_label(host), entry.host_a(host), entry.host_aaaa(host))
                }
            };
            let place = place as usize;
            // A target too far back to be pointed to: its label, and the service's name in the question.
            let owner = if Response::can_point_to(place) { (&[][..], place) } else { (label, service.place) };
            let ttl = entry.ttl.positive.min(self.view.ttl_cap);
            let (a_set, aaaa_set) =
                (RecordSet::new(owner, rtype::A, ttl), RecordSet::new(owner, rtype::AAAA, ttl));
            let written = self.response.glue_of(&a_set, a);
            if written.and_then(|()| self.response.glue_of(&aaaa_set, aaaa)).is_err() {
                return;
            }
        }
    }

    fn pointer(&mut self, address: IpAddr) -> Written {
        let (response, owner, view) = (&mut *self.response, self.owner, self.view);
        with_pointers(view, address, |pointers| {
            let (ttl, before) = (u32::from(ttl(pointers).min(view.ttl_cap)), response.answers());
            names(view, address, pointers, |label, key| {
                let name = [label, key, &*view.prepared.svc_zone];
                response.answer(owner, rtype::PTR, ttl, &name).map(drop)
            })?;
            // None: gone since it was found. The type is not there, which was true a moment later.
            Ok(response.answers() > before)
        })
    }

    fn address(&mut self, address: IpAddr, qtype: u16) -> Written {
        let ttl = self.ttl(self.view.prepared.settings.ttl.positive);
        match address {
            IpAddr::V4(v4) => self.configured(&[v4], &[], ttl, qtype),
            IpAddr::V6(v6) => self.configured(&[], &[v6], ttl, qtype),
        }
    }

    /// Addresses in the order given.
    fn configured(&mut self, v4: &[Ipv4Addr], v6: &[Ipv6Addr], ttl: u16, qtype: u16) -> Written {
        let owner = (&[][..], self.owner);
        if wants(qtype, rtype::A) && !v4.is_empty() {
            let set = RecordSet::new(owner, rtype::A, ttl);
            v4.iter().try_for_each(|v4| self.response.answers_of(&set, &[v4.octets()]))?;
            return Ok(true);
        }
        if wants(qtype, rtype::AAAA) && !v6.is_empty() {
            let set = RecordSet::new(owner, rtype::AAAA, ttl);
            v6.iter().try_for_each(|v6| self.response.answers_of(&set, &[v6.octets()]))?;
            return Ok(true);
        }
        Ok(false)
    }

    fn version(&mut self, qtype: u16) -> Written {
        if !wants(qtype, rtype::TXT) {
            return Ok(false);
        }
        let ttl = u32::from(self.ttl(self.view.prepared.settings.ttl.positive));
        self.response.answer(self.owner, rtype::TXT, ttl, &[VERSION]).map(|_| true)
    }

    /// A record a StatefulSet.
    fn sets_of(&mut self, entry: &Entry) -> Written {
        let ttl = u32::from(self.ttl(entry.ttl.positive));
        for data in entry.sets() {
            self.response.answer(self.owner, rtype::TXT, ttl, &[data])?;
        }
        Ok(true)
    }

    /// The SRV record, with the target's addresses where it is a name server of ours.
    fn discovery(&mut self) -> Written {
        let prepared = &self.view.prepared;
        let Some(data) = &prepared.discovery else { return Ok(false) };
        let ttl = self.ttl(prepared.settings.ttl.positive);
        let target = self.response.answer(self.owner, rtype::SRV, u32::from(ttl), &[data])? + 6;
        let is_target =
            |server: &&PreparedServer| server.within && data.get(6..) == Some(server.name.as_wire());
        if let Some(server) = prepared.nameservers.iter().find(is_target) {
            let [a, aaaa] = [rtype::A, rtype::AAAA].map(|rtype| RecordSet::new((&[], target), rtype, ttl));
            let response = &mut *self.response;
            let v4 = server.v4.iter().try_for_each(|v4| response.glue_of(&a, &[v4.octets()]));
            let v6 = server.v6.iter().try_for_each(|v6| response.glue_of(&aaaa, &[v6.octets()]));
            // Glue that does not fit is left out.
            let (Ok(()) | Err(Full), Ok(()) | Err(Full)) = (v4, v6);
        }
        Ok(true)
    }

    fn nameserver(&mut self, index: usize, qtype: u16) -> Written {
        let server = &self.view.prepared.nameservers[index];
        self.configured(&server.v4, &server.v6, self.ttl(self.view.prepared.settings.ttl.positive), qtype)
    }

    fn apex(&mut self, qtype: u16) -> Written {
        let prepared = &self.view.prepared;
        let ttl = self.ttl(prepared.settings.ttl.positive);
        match qtype {
            rtype::SOA | rtype::ANY => {
                let serial = self.view.serial.to_be_bytes();
                let data: [&[u8]; 3] = [&prepared.soa_names, &serial, &prepared.soa_times];
                self.response.answer(self.owner, rtype::SOA, u32::from(ttl), &data).map(|_| true)
            }
            rtype::NS => {
                // A handful, from the configuration: the places need no scratch beyond the targets'.
                self.sets.targets.clear();
                for (index, server) in prepared.nameservers.iter().enumerate() {
                    let data: [&[u8]; 1] = [server.name.as_wire()];
                    let place = self.response.answer(self.owner, rtype::NS, u32::from(ttl), &data)?;
                    self.sets.remember(Some(index), place);
                }
                let glue = self.sets.targets.iter().try_for_each(|&(index, place)| {
                    let (server, place) = (&prepared.nameservers[index as usize], place as usize);
                    let (v4, v6) =
                        if server.within { (&*server.v4, &*server.v6) } else { Default::default() };
                    let [a, aaaa] =
                        [rtype::A, rtype::AAAA].map(|rtype| RecordSet::new((&[], place), rtype, ttl));
                    v4.iter().try_for_each(|v4| self.response.glue_of(&a, &[v4.octets()]))?;
                    v6.iter().try_for_each(|v6| self.response.glue_of(&aaaa, &[v6.octets()]))
                });
                // Glue that does not fit is left out.
                let (Ok(()) | Err(Full)) = glue;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The SOA record of a negative answer; its TTL is how long the answer may be remembered (RFC 2308,
    /// section 5).
    fn soa(&mut self, name: &ParsedName, place: Place) {
        let prepared = &self.view.prepared;
        let serial = self.view.serial.to_be_bytes();
        let data: [&[u8]; 3] = [&prepared.soa_names, &serial, &prepared.soa_times];
        let apex = self.owner + name.start(place.apex);
        if self.response.authority(apex, rtype::SOA, u32::from(self.ttl(place.negative)), &data).is_err() {
            self.response.truncated();
        }
    }
}

/// Whether a question for `qtype` is answered by records of `rtype`. ANY is answered by the first set there is
/// (RFC 8482, section 4.1).
fn wants(qtype: u16, rtype: u16) -> bool {
    qtype == rtype || qtype == rtype::ANY
}

/// names.md: the share of each record, in hundredths, never 0 (RFC 2782: 0 is "hardly ever").
pub(super) fn weight(records: usize) -> u16 {
    u16::try_from(100 / records.max(1)).unwrap_or(1).max(1)
}

/// A service as an SRV target: its labels in the question, its hosts in the entry.
#[derive(Clone, Copy)]
struct Service<'a> {
    entry: &'a Entry,
    name: &'a [u8],
    /// Where its name stands in the reply.
    place: usize,
}

impl<'a> Service<'a> {
    fn target(&self, host: Option<usize>, prepared: &'a Prepared) -> SrvTarget<'a> {
        let label = host.map_or(&[][..], |host| self.entry.host_label(host));
        SrvTarget([label, self.name, &prepared.svc_zone])
    }
}
