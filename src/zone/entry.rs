//! One service, encoded: what a reader finds by one lookup and writes answers from.
//!
//! Addresses are kept as they go to the wire behind the owner name (type, class, TTL, length, data); a name
//! below the service is a range of them. SRV records are pairs of host and port, for their targets, which may
//! not be compressed, are the host's label in front of the service's own name.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

use super::settings::Ttl;
use crate::records::{Expected, ServiceRecords, Shape, Srv};
use crate::wire::{class, rtype};

pub(crate) const A_ENCODED: usize = 14;
pub(crate) const AAAA_ENCODED: usize = 26;

/// Seeded at start: labels come from whoever may create objects.
static HASHER: LazyLock<foldhash::fast::RandomState> = LazyLock::new(Default::default);

/// All records of one service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) shape: Shape,
    pub(crate) ttl: Ttl,
    /// The service's own addresses first, then those of hosts that no range of them covers.
    a: Box<[[u8; A_ENCODED]]>,
    aaaa: Box<[[u8; AAAA_ENCODED]]>,
    service_a: u32,
    service_aaaa: u32,
    hosts: Box<[Host]>,
    /// The hosts' labels, each behind its length octet.
    labels: Box<[u8]>,
    /// Open addressing over the labels' hashes; `u32::MAX` is empty. Half full at most.
    table: Box<[u32]>,
    port_sets: Box<[PortSet]>,
    srv: Box<[SrvEntry]>,
    service_srv: u32,
    ports: Box<[NamedPort]>,
    expected: Box<[Expected]>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host {
    label: u32,
    a: Span,
    aaaa: Span,
    ports: u32,
    governing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    start: u32,
    count: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.count as usize
    }
}

/// One SRV record at the service's name or at a named port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SrvEntry {
    /// `u32::MAX` is the service itself.
    host: u32,
    pub(crate) port: u16,
}

impl SrvEntry {
    pub(crate) fn host(self) -> Option<usize> {
        (self.host != u32::MAX).then_some(self.host as usize)
    }
}

/// `_name._protocol` below the service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPort {
    /// `_name`, without a length octet.
    pub(crate) name: Box<[u8]>,
    /// `_tcp` and the like.
    pub(crate) protocol: &'static [u8],
    srv: Span,
}

/// The ports of one endpoint; most hosts of a service share one.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct PortSet {
    /// Each number once.
    pub(crate) numbers: Box<[u16]>,
    pub(crate) named: Box<[PortName]>,
}

/// `_name`, `_protocol`, number.
pub(crate) type PortName = (Box<[u8]>, &'static [u8], u16);

#[allow(clippy::cast_possible_truncation)] // a service of 2^32 records would not fit in memory
fn small(index: usize) -> u32 {
    index as u32
}

impl Entry {
    /// Encodes a service's records.
    pub(crate) fn new(records: &ServiceRecords, defaults: Ttl) -> Self {
        let ttl = Ttl {
            positive: records.ttl.positive.unwrap_or(defaults.positive),
            negative: records.ttl.negative.unwrap_or(defaults.negative),
            expected: records.ttl.expected.unwrap_or(defaults.expected),
        };
        let mut a: Vec<_> = records.addresses.v4.iter().map(|v4| encode_a(*v4, ttl.positive)).collect();
        let mut aaaa: Vec<_> = records.addresses.v6.iter().map(|v6| encode_aaaa(*v6, ttl.positive)).collect();
        let (service_a, service_aaaa) = (small(a.len()), small(aaaa.len()));
        let mut port_sets: Vec<PortSet> = Vec::new();
        let mut known_sets: HashMap<&[crate::records::Port], u32> = HashMap::new();
        let mut labels = Vec::new();
        let mut hosts = Vec::with_capacity(records.hosts.len());
        // Hosts stand in the order of the service's own addresses: the next range is nearly always the one
        // behind the last.
        let (mut next_a, mut next_aaaa) = (0, 0);
        for host in &records.hosts {
            let wanted: Vec<_> = host.addresses.v4.iter().map(|v4| encode_a(*v4, ttl.positive)).collect();
            let wanted6: Vec<_> = host.addresses.v6.iter().map(|v6| encode_aaaa(*v6, ttl.positive)).collect();
            let ports = *known_sets.entry(&host.ports).or_insert_with(|| {
                port_sets.push(PortSet::new(&host.ports));
                small(port_sets.len() - 1)
            });
            hosts.push(Host {
                label: small(labels.len()),
                a: span(&mut a, &mut next_a, &wanted),
                aaaa: span(&mut aaaa, &mut next_aaaa, &wanted6),
                ports,
                governing: host.governing,
            });
            #[allow(clippy::cast_possible_truncation)] // a label, at most 63
            labels.push(host.label.len() as u8);
            labels.extend_from_slice(host.label.as_bytes());
        }
        let mut srv: Vec<SrvEntry> = records.srv.iter().map(SrvEntry::from).collect();
        let service_srv = small(srv.len());
        let ports = records.ports.iter().map(|port| {
            let own: Vec<SrvEntry> = port.srv.iter().map(SrvEntry::from).collect();
            // The only port of a service has the service's own SRV records.
            let span = if own.as_slice() == srv.get(..service_srv as usize).unwrap_or_default() {
                Span { start: 0, count: service_srv }
            } else {
                srv.extend_from_slice(&own);
                Span { start: small(srv.len() - own.len()), count: small(own.len()) }
            };
            NamedPort {
                name: underscored(port.name.as_str()),
                protocol: port.protocol.srv_label().as_bytes(),
                srv: span,
            }
        });
        let ports = ports.collect();
        let mut entry = Self {
            shape: records.shape.clone(),
            ttl,
            a: a.into(),
            aaaa: aaaa.into(),
            service_a,
            service_aaaa,
            hosts: hosts.into(),
            labels: labels.into(),
            table: Box::default(),
            port_sets: port_sets.into(),
            srv: srv.into(),
            service_srv,
            ports,
            expected: records.expected.as_slice().into(),
        };
        entry.table = entry.index();
        entry
    }

    fn index(&self) -> Box<[u32]> {
        if self.hosts.is_empty() {
            return Box::default();
        }
        let mut table = vec![u32::MAX; (self.hosts.len() * 2).next_power_of_two()];
        let mask = table.len() - 1;
        for (index, host) in self.hosts.iter().enumerate() {
            let mut slot = hash(self.label(host)) & mask;
            while table[slot] != u32::MAX {
                slot = (slot + 1) & mask;
            }
            table[slot] = small(index);
        }
        table.into()
    }

    /// A host by its label, lower case.
    pub(crate) fn host(&self, label: &[u8]) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let mut slot = hash(label) & mask;
        loop {
            let index = self.table[slot];
            if index == u32::MAX {
                return None;
            }
            let index = index as usize;
            if self.label(&self.hosts[index]) == label {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn label(&self, host: &Host) -> &[u8] {
        self.label_with_length(host).split_first().map_or(&[], |(_, label)| label)
    }

    fn label_with_length(&self, host: &Host) -> &[u8] {
        let start = host.label as usize;
        &self.labels[start..=start + usize::from(self.labels[start])]
    }

    /// A host's label behind its length octet: the front of an SRV target.
    pub(crate) fn host_label(&self, host: usize) -> &[u8] {
        self.label_with_length(&self.hosts[host])
    }

    pub(crate) fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// A headless service without a ready endpoint does not exist (specification, section 2.4.1).
    pub(crate) fn has_addresses(&self) -> bool {
        self.service_a + self.service_aaaa > 0
    }

    pub(crate) fn service_a(&self) -> &[[u8; A_ENCODED]] {
        &self.a[..self.service_a as usize]
    }

    pub(crate) fn service_aaaa(&self) -> &[[u8; AAAA_ENCODED]] {
        &self.aaaa[..self.service_aaaa as usize]
    }

    pub(crate) fn host_a(&self, host: usize) -> &[[u8; A_ENCODED]] {
        &self.a[self.hosts[host].a.range()]
    }

    pub(crate) fn host_aaaa(&self, host: usize) -> &[[u8; AAAA_ENCODED]] {
        &self.aaaa[self.hosts[host].aaaa.range()]
    }

    pub(crate) fn host_ports(&self, host: usize) -> &PortSet {
        &self.port_sets[self.hosts[host].ports as usize]
    }

    pub(crate) fn is_governing(&self, host: usize) -> bool {
        self.hosts[host].governing
    }

    pub(crate) fn service_srv(&self) -> &[SrvEntry] {
        &self.srv[..self.service_srv as usize]
    }

    pub(crate) fn ports(&self) -> &[NamedPort] {
        &self.ports
    }

    pub(crate) fn port(&self, name: &[u8], protocol: &[u8]) -> Option<&NamedPort> {
        let of_name = by_name(&self.ports, name, |port| &port.name);
        of_name.iter().find(|port| port.protocol == protocol)
    }

    pub(crate) fn port_srv(&self, port: &NamedPort) -> &[SrvEntry] {
        &self.srv[port.srv.range()]
    }

    /// Whether a StatefulSet says that this name should be there.
    pub(crate) fn expects(&self, label: &[u8]) -> bool {
        self.expected.iter().any(|expected| {
            let ordinal =
                label.strip_prefix(expected.set.as_bytes()).and_then(|rest| rest.strip_prefix(b"-"));
            ordinal.and_then(decimal).is_some_and(|n| (u64::from(expected.first)..expected.end).contains(&n))
        })
    }

    /// The addresses of the service's own name, and those of its hosts with the host's index.
    pub(crate) fn reverse(&self) -> Vec<(IpAddr, Option<usize>)> {
        let mut reverse = Vec::new();
        if self.shape == Shape::ClusterIp {
            reverse.extend(self.service_a().iter().map(|a| (decode_a(a).into(), None)));
            reverse.extend(self.service_aaaa().iter().map(|aaaa| (decode_aaaa(aaaa).into(), None)));
        }
        for host in 0..self.hosts.len() {
            reverse.extend(self.host_a(host).iter().map(|a| (decode_a(a).into(), Some(host))));
            reverse.extend(self.host_aaaa(host).iter().map(|aaaa| (decode_aaaa(aaaa).into(), Some(host))));
        }
        reverse
    }
}

/// The items of a name, among items that are sorted by it: a service may have thousands of ports.
fn by_name<'s, T>(sorted: &'s [T], name: &[u8], key: impl Fn(&T) -> &[u8]) -> &'s [T] {
    let start = sorted.partition_point(|item| key(item) < name);
    let count = sorted[start..].partition_point(|item| key(item) == name);
    &sorted[start..start + count]
}

fn hash(label: &[u8]) -> usize {
    #[allow(clippy::cast_possible_truncation)] // a hash: any of its bits will do
    let hash = HASHER.hash_one(label) as usize;
    hash
}

/// A canonical decimal number: `01` is no ordinal.
fn decimal(digits: &[u8]) -> Option<u64> {
    let canonical = digits == b"0" || digits.first().is_some_and(|first| *first != b'0');
    let text =
        std::str::from_utf8(digits).ok().filter(|_| canonical && digits.iter().all(u8::is_ascii_digit))?;
    text.parse().ok()
}

/// Where `wanted` stands in `all`, behind the last range found; appended when it does not.
fn span<T: Copy + PartialEq>(all: &mut Vec<T>, next: &mut usize, wanted: &[T]) -> Span {
    let end = *next + wanted.len();
    if all.get(*next..end) == Some(wanted) {
        let span = Span { start: small(*next), count: small(wanted.len()) };
        *next = end;
        return span;
    }
    all.extend_from_slice(wanted);
    Span { start: small(all.len() - wanted.len()), count: small(wanted.len()) }
}

fn underscored(name: &str) -> Box<[u8]> {
    [b"_", name.as_bytes()].concat().into()
}

impl From<&Srv> for SrvEntry {
    fn from(srv: &Srv) -> Self {
        Self { host: srv.host.map_or(u32::MAX, small), port: srv.port }
    }
}

impl PortSet {
    fn new(ports: &[crate::records::Port]) -> Self {
        let mut numbers: Vec<u16> = Vec::with_capacity(ports.len());
        for port in ports {
            if !numbers.contains(&port.number) {
                numbers.push(port.number);
            }
        }
        let named = ports.iter().filter_map(|port| {
            let name = port.name.as_ref()?;
            Some((underscored(name.as_str()), port.protocol.srv_label().as_bytes(), port.number))
        });
        Self { numbers: numbers.into(), named: named.collect() }
    }

    /// The numbers of a named port.
    pub(crate) fn numbers_of<'s>(
        &'s self,
        name: &'s [u8],
        protocol: &'s [u8],
    ) -> impl Iterator<Item = u16> + Clone + 's {
        let of_name = by_name(&self.named, name, |(name, _, _)| name);
        of_name.iter().filter(move |(_, p, _)| *p == protocol).map(|(_, _, number)| *number)
    }

    pub(crate) fn names_protocol(&self, protocol: &[u8]) -> bool {
        self.named.iter().any(|(_, p, _)| *p == protocol)
    }
}

/// Type, class, TTL, length, data.
pub(crate) fn encode_a(address: Ipv4Addr, ttl: u16) -> [u8; A_ENCODED] {
    let mut encoded = [0; A_ENCODED];
    head(&mut encoded, rtype::A, ttl, 4);
    encoded[10..].copy_from_slice(&address.octets());
    encoded
}

pub(crate) fn encode_aaaa(address: Ipv6Addr, ttl: u16) -> [u8; AAAA_ENCODED] {
    let mut encoded = [0; AAAA_ENCODED];
    head(&mut encoded, rtype::AAAA, ttl, 16);
    encoded[10..].copy_from_slice(&address.octets());
    encoded
}

fn head(encoded: &mut [u8], rtype: u16, ttl: u16, length: u8) {
    encoded[..2].copy_from_slice(&rtype.to_be_bytes());
    encoded[2..4].copy_from_slice(&class::IN.to_be_bytes());
    encoded[6..8].copy_from_slice(&ttl.to_be_bytes());
    encoded[9] = length;
}

pub(crate) fn decode_a(encoded: &[u8; A_ENCODED]) -> Ipv4Addr {
    let [.., a, b, c, d] = *encoded;
    Ipv4Addr::new(a, b, c, d)
}

pub(crate) fn decode_aaaa(encoded: &[u8; AAAA_ENCODED]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&encoded[10..]);
    octets.into()
}
