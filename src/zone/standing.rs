//! All records that stand at a name, for who keeps a copy of them: no order, no glue, no size to fit in.
//!
//! Beside [`super::answer`], which writes replies of 64 KiB at most, in turns, and of ANY one set (RFC 8482). The two are
//! held against each other by the tests.

use super::answer::weight;
use super::entry::Entry;
use super::lookup::{Found, Key, Node, find, names, with_pointers};
use super::ports::SrvSet;
use super::reverse::ttl;
use super::store::View;
use crate::reasons::Reason;
use crate::wire::{ParsedName, ReverseName, rtype};

/// A record, without its owner, of class IN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StandingRecord {
    /// Its type.
    pub rtype: u16,
    /// Its data, names uncompressed.
    pub data: Box<[u8]>,
    /// Seconds; as the record has it, whether it is stale just now or not.
    pub ttl: u16,
}

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// These; none where there is no such name, or no such type. Sorted, each once.
    Records(Vec<StandingRecord>),
    /// The name is not ours, for this reason.
    Outside(Reason<'static>),
    /// It is not known just now, for this reason: nobody is to conclude anything.
    Unknown(Reason<'static>),
}

/// The records of a type that stand at a name; ANY is all types. An alias is a CNAME record and nothing else: it is not
/// followed. SOA is left out: its serial says that something changed, somewhere.
#[must_use]
pub fn standing(view: &View<'_>, name: &ParsedName, qtype: u16) -> Standing {
    let found = find(view, name);
    if let Some(refusal) = refusal_of(view, &found) {
        return refusal;
    }
    match found {
        Found::Missing(..) | Found::Unknown(_) | Found::Outside(_) => Standing::Records(Vec::new()),
        Found::Here(node, _) => {
            let mut collector = Collector { view, name, qtype, records: Vec::new() };
            collector.node(&node);
            let mut records = collector.records;
            records.sort_unstable();
            records.dedup();
            Standing::Records(records)
        }
    }
}

/// The same of a name that was ours once. An address outside the reverse prefixes is a zone of its own for as long as it
/// is somebody's; when it is nobody's any longer its pointer is gone, and who waits for it is told so and of the next.
#[must_use]
pub fn standing_of_known(view: &View<'_>, name: &ParsedName, qtype: u16) -> Standing {
    let standing = standing(view, name, qtype);
    let is_address = || ReverseName::read(name).is_some_and(|reverse| reverse.address().is_some());
    if !matches!(standing, Standing::Outside(_)) || !is_address() {
        return standing;
    }
    view.silent().map_or(Standing::Records(Vec::new()), Standing::Unknown)
}

/// Why there is nothing to be said of a name, if so; never [`Standing::Records`].
#[must_use]
pub fn refusal(view: &View<'_>, name: &ParsedName) -> Option<Standing> {
    refusal_of(view, &find(view, name))
}

fn refusal_of(view: &View<'_>, found: &Found<'_>) -> Option<Standing> {
    match (found, view.silent()) {
        (Found::Outside(why), _) => Some(Standing::Outside(*why)),
        (_, Some(why)) => Some(Standing::Unknown(why)),
        (Found::Unknown(why), None) => Some(Standing::Unknown(*why)),
        (Found::Here(..) | Found::Missing(..), None) => None,
    }
}

struct Collector<'c, 'z> {
    view: &'c View<'z>,
    name: &'c ParsedName,
    qtype: u16,
    records: Vec<StandingRecord>,
}

impl Collector<'_, '_> {
    fn push(&mut self, rtype: u16, ttl: u16, data: &[&[u8]]) {
        if self.wants(rtype) {
            self.records.push(StandingRecord { rtype, data: data.concat().into(), ttl });
        }
    }

    fn wants(&self, rtype: u16) -> bool {
        self.qtype == rtype || self.qtype == rtype::ANY
    }

    fn node(&mut self, node: &Node<'_>) {
        let prepared = &self.view.prepared;
        let own = prepared.settings.ttl.positive;
        match node {
            Node::Empty => {}
            Node::Apex => {
                for server in &prepared.nameservers {
                    self.push(rtype::NS, own, &[server.name.as_wire()]);
                }
            }
            Node::Version => self.push(rtype::TXT, own, &[super::answer::VERSION]),
            Node::Sets(entry) => {
                entry.sets().for_each(|set| self.push(rtype::TXT, entry.ttl.positive, &[set]));
            }
            Node::Nameserver(index) => {
                let server = &prepared.nameservers[*index];
                server.v4.iter().for_each(|v4| self.push(rtype::A, own, &[&v4.octets()]));
                server.v6.iter().for_each(|v6| self.push(rtype::AAAA, own, &[&v6.octets()]));
            }
            Node::Discovery => {
                if let Some(data) = &prepared.discovery {
                    self.push(rtype::SRV, own, &[data]);
                }
            }
            Node::Service(entry, key) => {
                self.addresses(entry, entry.service_a(), entry.service_aaaa());
                self.srv_set(entry, *key, entry.service_srv());
            }
            Node::ServicePort(entry, key, srv) => self.srv_set(entry, *key, *srv),
            Node::Host(entry, key, host) => {
                self.addresses(entry, entry.host_a(*host), entry.host_aaaa(*host));
                self.srv_of_host(entry, *key, *host, &entry.host_ports(*host).numbers);
            }
            Node::HostPort(entry, key, host) => {
                let ports = entry.host_ports(*host);
                let numbers: Vec<u16> = ports.numbers_of(self.name.label(0), self.name.label(1)).collect();
                self.srv_of_host(entry, *key, *host, &numbers);
            }
            Node::Alias(entry, target) => self.push(rtype::CNAME, entry.ttl.positive, &[target.as_wire()]),
            Node::Pointer(address) => {
                let (view, address) = (self.view, *address);
                with_pointers(view, address, |pointers| {
                    let ttl = ttl(pointers);
                    let Ok(()) = names(view, address, pointers, |label, key| {
                        self.push(rtype::PTR, ttl, &[label, key, &prepared.svc_zone]);
                        Ok::<(), std::convert::Infallible>(())
                    });
                });
            }
            Node::Pod(std::net::IpAddr::V4(v4)) => self.push(rtype::A, own, &[&v4.octets()]),
            Node::Pod(std::net::IpAddr::V6(v6)) => self.push(rtype::AAAA, own, &[&v6.octets()]),
        }
    }

    fn addresses(&mut self, entry: &Entry, a: &[[u8; 4]], aaaa: &[[u8; 16]]) {
        a.iter().for_each(|a| self.push(rtype::A, entry.ttl.positive, &[a]));
        aaaa.iter().for_each(|aaaa| self.push(rtype::AAAA, entry.ttl.positive, &[aaaa]));
    }

    fn srv_set(&mut self, entry: &Entry, key: Key, srv: SrvSet<'_>) {
        if self.wants(rtype::SRV) {
            let weight = weight(srv.len());
            srv.iter().for_each(|record| self.srv(entry, key, weight, record.port, record.host()));
        }
    }

    fn srv_of_host(&mut self, entry: &Entry, key: Key, host: usize, numbers: &[u16]) {
        let weight = weight(numbers.len());
        numbers.iter().for_each(|port| self.srv(entry, key, weight, *port, Some(host)));
    }

    fn srv(&mut self, entry: &Entry, key: Key, weight: u16, port: u16, host: Option<usize>) {
        let (view, name) = (self.view, self.name);
        let label = host.map_or(&[][..], |host| entry.host_label(host));
        let service = name.labels(key.from, key.to);
        let data: [&[u8]; 6] =
            [&[0, 0], &weight.to_be_bytes(), &port.to_be_bytes(), label, service, &view.prepared.svc_zone];
        self.push(rtype::SRV, entry.ttl.positive, &data);
    }
}
