//! Every record of the whole cluster, in one flat list.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rollcall::model::{Object, Port, Service, ServiceShape};

use super::cluster::{Host, ready_hosts, services};
use super::{Name, OracleSettings, qtype};

/// One record; the owner and all names in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) owner: Name,
    pub(crate) ttl: u32,
    pub(crate) data: Rdata,
}

/// A record's data. An SOA without its serial, which only the publisher knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rdata {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Name),
    Ns(Name),
    Ptr(Name),
    /// Its strings.
    Txt(Vec<Vec<u8>>),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: Name,
    },
    Soa {
        mname: Name,
        rname: Name,
        times: [u32; 4],
    },
}

impl Rdata {
    pub(crate) fn rtype(&self) -> u16 {
        match self {
            Self::A(_) => qtype::A,
            Self::Aaaa(_) => qtype::AAAA,
            Self::Cname(_) => qtype::CNAME,
            Self::Ns(_) => qtype::NS,
            Self::Ptr(_) => qtype::PTR,
            Self::Txt(_) => qtype::TXT,
            Self::Srv { .. } => qtype::SRV,
            Self::Soa { .. } => qtype::SOA,
        }
    }

    pub(crate) fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::A(v4),
            IpAddr::V6(v6) => Self::Aaaa(v6),
        }
    }

    /// The name that the data points at.
    pub(crate) fn target(&self) -> Option<&Name> {
        match self {
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => Some(name),
            Self::Srv { target, .. } => Some(target),
            _ => None,
        }
    }

    /// Octets on the wire, uncompressed.
    pub(crate) fn wire_length(&self) -> usize {
        match self {
            Self::A(_) => 4,
            Self::Aaaa(_) => 16,
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => name.wire_length(),
            Self::Txt(strings) => strings.iter().map(|string| 1 + string.len()).sum(),
            Self::Srv { target, .. } => 6 + target.wire_length(),
            Self::Soa { mname, rname, .. } => mname.wire_length() + rname.wire_length() + 20,
        }
    }
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "A {address}"),
            Self::Aaaa(address) => write!(f, "AAAA {address}"),
            Self::Cname(name) => write!(f, "CNAME {name}"),
            Self::Ns(name) => write!(f, "NS {name}"),
            Self::Ptr(name) => write!(f, "PTR {name}"),
            Self::Txt(strings) => {
                write!(f, "TXT")?;
                strings.iter().try_for_each(|string| write!(f, " \"{}\"", string.escape_ascii()))
            }
            Self::Srv { priority, weight, port, target } => {
                write!(f, "SRV {priority} {weight} {port} {target}")
            }
            Self::Soa { mname, rname, times } => write!(f, "SOA {mname} {rname} {times:?}"),
        }
    }
}

/// The list, without duplicates, SRV weights counted.
pub(crate) fn everything(objects: &[&Object], settings: &OracleSettings) -> Vec<Record> {
    let mut list = of_the_zone(settings);
    for service in services(objects) {
        let hosts = ready_hosts(objects, service, settings);
        list.extend(of_a_service(service, &hosts, settings));
        list.extend(pointers(service, &hosts, settings));
    }
    list.extend(of_the_sets(objects, settings));
    // "A label over 63 octets or a name over 255 is never emitted."
    list.retain(|record| record.owner.is_legal() && record.data.target().is_none_or(Name::is_legal));
    // "Addresses are unique by owner and address, SRV records by port and target."
    let least =
        |owner: &Name| list.iter().filter(|r| is_pointer(r) && r.owner == *owner).map(|r| r.ttl).min();
    let least: Vec<Option<u32>> = list.iter().map(|record| least(&record.owner)).collect();
    for (record, least) in list.iter_mut().zip(least).filter(|(record, _)| is_pointer(record)) {
        // The names of several services are one RRset, and that has one TTL (RFC 2181, section 5.2).
        record.ttl = least.expect("the record's own, at most");
    }
    list.sort();
    list.dedup();
    weigh(&mut list);
    list.extend(discovery(settings));
    list
}

fn is_pointer(record: &Record) -> bool {
    record.data.rtype() == qtype::PTR
}

/// The apexes' own records, the name servers and the version.
fn of_the_zone(settings: &OracleSettings) -> Vec<Record> {
    let mut list = Vec::new();
    let mut add = |owner: &Name, data| {
        list.push(Record { owner: owner.clone(), ttl: settings.positive, data });
    };
    for apex in prefix_apexes(settings).iter().chain([&settings.zone]) {
        for (owner, data) in apex_records(apex, settings) {
            add(&owner, data);
        }
    }
    for server in settings.name_servers.iter().filter(|server| server.is_within(&settings.zone)) {
        for &address in &settings.name_server_addresses {
            add(server, Rdata::address(address));
        }
    }
    add(&settings.zone.below("dns-version"), Rdata::Txt(vec![b"1.1.0".to_vec()]));
    list
}

/// "Where DNS Push Notifications are to be had": one record, so there is nothing to weigh.
fn discovery(settings: &OracleSettings) -> Option<Record> {
    let (target, port) = settings.discovery.clone()?;
    Some(Record {
        owner: settings.zone.below("_dns-push-tls._tcp"),
        ttl: settings.positive,
        data: Rdata::Srv { priority: 0, weight: 0, port, target },
    })
}

/// SOA and NS of an apex.
fn apex_records(apex: &Name, settings: &OracleSettings) -> Vec<(Name, Rdata)> {
    let servers = settings.name_servers.iter().cloned().map(Rdata::Ns);
    std::iter::once(settings.soa_data()).chain(servers).map(|data| (apex.clone(), data)).collect()
}

fn of_a_service(service: &Service, hosts: &[Host<'_>], settings: &OracleSettings) -> Vec<Record> {
    let own_name = service_name(service, settings);
    let ttl = service.ttl.positive.map_or(settings.positive, u32::from);
    let mut list = Vec::new();
    let mut add = |owner: Name, data| list.push(Record { owner, ttl, data });

    match &service.shape {
        ServiceShape::External(target) => {
            add(own_name.clone(), Rdata::Cname(Name::from_text(target).lower()));
        }
        ServiceShape::ClusterIp(addresses) => {
            for &address in addresses {
                add(own_name.clone(), Rdata::address(address));
            }
            for port in &service.ports {
                add(own_name.clone(), srv(port, &own_name));
                if let Some(labels) = srv_labels(port) {
                    add(own_name.below(&labels), srv(port, &own_name));
                }
            }
        }
        ServiceShape::Headless => {
            for host in hosts {
                let target = own_name.below(&host.label);
                add(own_name.clone(), Rdata::address(host.address));
                for port in host.ports {
                    add(own_name.clone(), srv(port, &target));
                    if let Some(labels) = srv_labels(port) {
                        add(own_name.below(&labels), srv(port, &target));
                    }
                }
            }
        }
    }
    for host in hosts {
        let target = own_name.below(&host.label);
        add(target.clone(), Rdata::address(host.address));
        for port in host.ports {
            add(target.clone(), srv(port, &target));
            if let Some(labels) = srv_labels(port) {
                add(target.below(&labels), srv(port, &target));
            }
        }
    }
    list
}

/// "One record a set" at `<svc>.<ns>._statefulset.<zone>`.
fn of_the_sets(objects: &[&Object], settings: &OracleSettings) -> Vec<Record> {
    let mut list = Vec::new();
    for object in objects {
        let Object::StatefulSet(set) = object else { continue };
        let Some(governing) = &set.service else { continue };
        let all = services(objects);
        let is_governing = |s: &&&Service| s.key.name == *governing && s.key.namespace == set.namespace;
        let service = all.iter().find(is_governing);
        let hosts = service.map(|service| ready_hosts(objects, service, settings)).unwrap_or_default();
        let replicas = u64::from(set.start)..u64::from(set.start) + u64::from(set.replicas);
        let is_there =
            |ordinal: &u64| hosts.iter().any(|host| host.label == format!("{}-{ordinal}", set.name));
        let ready = replicas.filter(is_there).count();
        let mut strings = vec![
            format!("name={}", set.name),
            format!("replicas={}", set.replicas),
            format!("start={}", set.start),
            format!("ready={ready}"),
        ];
        strings.extend(set.revision.iter().map(|revision| format!("revision={revision}")));
        list.push(Record {
            owner: settings.zone.below(&format!("{governing}.{}._statefulset", set.namespace)),
            ttl: service.and_then(|service| service.ttl.positive).map_or(settings.positive, u32::from),
            data: Rdata::Txt(strings.into_iter().map(String::into_bytes).collect()),
        });
    }
    list
}

/// PTR records of the service's own addresses and of its hosts, with the service's TTL.
fn pointers(service: &Service, hosts: &[Host<'_>], settings: &OracleSettings) -> Vec<Record> {
    let own_name = service_name(service, settings);
    let pointer = |address, target| Record {
        owner: reverse_name(address),
        ttl: service.ttl.positive.map_or(settings.positive, u32::from),
        data: Rdata::Ptr(target),
    };
    let mut list = Vec::new();
    if let ServiceShape::ClusterIp(addresses) = &service.shape {
        list.extend(addresses.iter().map(|&address| pointer(address, own_name.clone())));
    }
    let pointed = hosts.iter().filter(|host| host.governed || !settings.governing_only);
    list.extend(pointed.map(|host| pointer(host.address, own_name.below(&host.label))));
    list
}

/// Where a PTR record stands in its answer: a service's own name, then what `hostname` makes, then the rest.
pub(super) fn pointer_rank(pointer: &Record, objects: &[&Object], settings: &OracleSettings) -> u8 {
    let points =
        |address, name: &Name| reverse_name(address) == pointer.owner && pointer.data.target() == Some(name);
    let rank = |service: &Service| {
        let own_name = service_name(service, settings);
        if let ServiceShape::ClusterIp(addresses) = &service.shape
            && addresses.iter().any(|&address| points(address, &own_name))
        {
            return 0;
        }
        let hosts = ready_hosts(objects, service, settings);
        let governs = |h: &Host<'_>| h.governed && points(h.address, &own_name.below(&h.label));
        if hosts.iter().any(governs) { 1 } else { 2 }
    };
    services(objects).into_iter().map(rank).min().unwrap_or(2)
}

/// An SRV record before its weight is known.
fn srv(port: &Port, target: &Name) -> Rdata {
    Rdata::Srv { priority: 0, weight: 0, port: port.number, target: target.clone() }
}

/// `_port._proto`, for a port that has a name.
fn srv_labels(port: &Port) -> Option<String> {
    port.name.as_ref().map(|name| format!("_{name}.{}", port.protocol.srv_label()))
}

/// "SRV weight: max(1, floor(100 / number of SRV records)), counted after that."
fn weigh(list: &mut [Record]) {
    let is_srv = |record: &&Record| matches!(record.data, Rdata::Srv { .. });
    let owners: Vec<Name> = list.iter().filter(is_srv).map(|record| record.owner.clone()).collect();
    for record in list {
        if let Rdata::Srv { weight, .. } = &mut record.data {
            let number = owners.iter().filter(|owner| **owner == record.owner).count();
            *weight = u16::try_from(100 / number).expect("at most 100").max(1);
        }
    }
}

pub(super) fn service_name(service: &Service, settings: &OracleSettings) -> Name {
    settings.zone.below(&format!("{}.{}.svc", service.key.name, service.key.namespace))
}

/// RFC 1035, section 3.5, and RFC 3596, section 2.5.
pub(crate) fn reverse_name(address: IpAddr) -> Name {
    let (labels, domain) = reverse_labels(address);
    let labels: Vec<String> = labels.into_iter().rev().collect();
    Name::from_text(&format!("{}.{domain}", labels.join(".")))
}

/// The reverse labels from the most significant on, and the domain above them.
fn reverse_labels(address: IpAddr) -> (Vec<String>, &'static str) {
    match address {
        IpAddr::V4(v4) => (v4.octets().iter().map(u8::to_string).collect(), "in-addr.arpa"),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            (nibbles.map(|nibble| format!("{nibble:x}")).collect(), "ip6.arpa")
        }
    }
}

/// The apexes of the reverse prefixes; a prefix that ends inside a label has one for each value it covers.
pub(super) fn prefix_apexes(settings: &OracleSettings) -> Vec<Name> {
    let mut apexes: Vec<Name> = Vec::new();
    for &(address, length) in &settings.reverse {
        let bits_a_label = if address.is_ipv4() { 8 } else { 4 };
        let labels_kept = usize::from(length).div_ceil(bits_a_label);
        let free = labels_kept * bits_a_label - usize::from(length);
        let (labels, domain) = reverse_labels(address);
        let radix = if address.is_ipv4() { 10 } else { 16 };
        for step in 0..1_u32 << free {
            let mut kept = labels[..labels_kept].to_vec();
            if let Some(last) = kept.last_mut() {
                let value = u32::from_str_radix(last, radix).expect("made from a number") + step;
                *last = if address.is_ipv4() { value.to_string() } else { format!("{value:x}") };
            }
            kept.reverse();
            apexes.push(Name::from_text(&format!("{}.{domain}", kept.join("."))));
        }
    }
    apexes
}

/// The apex that a known address outside every prefix is to itself, with its records.
pub(super) fn lone_apex(apex: &Name, settings: &OracleSettings) -> Vec<Record> {
    let record = |(owner, data)| Record { owner, ttl: settings.positive, data };
    apex_records(apex, settings).into_iter().map(record).collect()
}
