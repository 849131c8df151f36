//! From a name to what stands there: the tables of names.md as one walk over the labels.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use super::entry::Entry;
use super::ports::SrvSet;
use super::reverse::{Pointer, Prefix, Rank, of_address};
use super::settings::{PodNames, PreparedServer};
use super::store::{PodKey, View};
use crate::reasons::Reason;
use crate::records::Shape;
use crate::wire::{Name, ParsedName, ReverseName};

/// What a name is.
pub(crate) enum Found<'v> {
    /// The name exists.
    Here(Node<'v>, Place),
    /// NXDOMAIN, with this time to live.
    Missing(Place, Absent<'v>),
    /// Not ours to say: REFUSED, for this reason.
    Outside(Reason<'static>),
    /// Ours to say, but not known yet: SERVFAIL, for this reason.
    Unknown(Reason<'static>),
}

/// What is missing; why is asked only where it is to be told (`why.rs`).
#[derive(Clone, Copy)]
pub(crate) enum Absent<'v> {
    /// The service is there, or one of its names should be: the labels in front of it.
    Within(&'v Entry, usize),
    Service,
    Namespace,
    /// No name of the zone's own.
    Own,
    PodNames,
    NotAnAddress,
    Pod,
    Address,
    /// No StatefulSet has the Service as its governing one.
    Set,
}

/// The label that names of what StatefulSets say stand below. With an underscore (RFC 8552): no namespace of records that
/// the specification may have one day is taken.
pub(super) const SETS: &[u8] = b"_statefulset";

/// Below `_tcp`: where DNS Push Notifications are to be had (RFC 8765, section 6.1).
const DISCOVERY: &[u8] = b"_dns-push-tls";

/// Which zone a question is about, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneKind {
    /// The cluster domain.
    Cluster,
    /// The names of addresses, whichever prefix they are of.
    Reverse,
    /// None that is served here.
    Outside,
}

/// Where the zone of a name begins, and for how long its absence, or that of a type, may be remembered.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The label of the question at which the zone's name starts.
    pub(crate) apex: usize,
    pub(crate) negative: u16,
    pub(crate) is_reverse: bool,
}

/// What exists at a name.
pub(crate) enum Node<'v> {
    /// A zone's own name.
    Apex,
    /// Nothing but names below it: an empty non-terminal (RFC 8020).
    Empty,
    /// `dns-version`.
    Version,
    Nameserver(usize),
    /// Where DNS Push Notifications are to be had.
    Discovery,
    Service(&'v Entry, Key),
    ServicePort(&'v Entry, Key, SrvSet<'v>),
    Host(&'v Entry, Key, usize),
    /// `_port._protocol.host`: the port is the question's first two labels.
    HostPort(&'v Entry, Key, usize),
    Alias(&'v Entry, &'v Name),
    /// What its StatefulSets say.
    Sets(&'v Entry),
    Pointer(IpAddr),
    Pod(IpAddr),
}

/// Which labels of the name are the service's key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// A lookup of which the part is done that waits for memory most: the service is found, and not looked into yet.
pub(crate) enum Begun<'v> {
    /// The entry, where there is one.
    Service(Option<&'v Entry>, Key, Place),
    /// All of it is done.
    Found(Found<'v>),
}

/// Finds a name.
pub(crate) fn find<'v>(view: &'v View<'_>, name: &ParsedName) -> Found<'v> {
    begin(view, name).complete(name)
}

/// Begins to find a name.
pub(crate) fn begin<'v>(view: &'v View<'_>, name: &ParsedName) -> Begun<'v> {
    let prepared = &view.prepared;
    if let Some(apex) = name.labels_before(&prepared.zone, prepared.zone_labels) {
        return in_cluster_zone(view, name, apex);
    }
    Begun::Found(match ReverseName::read(name) {
        Some(reverse) => in_reverse_tree(view, name, &reverse),
        None => Found::Outside(Reason::OutsideZones),
    })
}

impl<'v> Begun<'v> {
    /// Which zone it is about.
    pub(crate) fn zone(&self) -> ZoneKind {
        match self {
            Self::Found(Found::Here(_, place) | Found::Missing(place, _)) if place.is_reverse => {
                ZoneKind::Reverse
            }
            Self::Found(Found::Outside(_)) => ZoneKind::Outside,
            // Only names of pods are ever unknown.
            Self::Service(..) | Self::Found(_) => ZoneKind::Cluster,
        }
    }

    /// Finds the rest of the name.
    pub(crate) fn complete(self, name: &ParsedName) -> Found<'v> {
        match self {
            Self::Service(Some(entry), key, place) => in_service(entry, name, key, place),
            Self::Service(None, _, place) => Found::Missing(place, Absent::Service),
            Self::Found(found) => found,
        }
    }
}

fn in_cluster_zone<'v>(view: &'v View<'_>, name: &ParsedName, apex: usize) -> Begun<'v> {
    let place = Place { apex, negative: view.prepared.settings.ttl.negative, is_reverse: false };
    let Some(below) = apex.checked_sub(1) else {
        return Begun::Found(Found::Here(Node::Apex, place));
    };
    let pods = view.prepared.settings.pods;
    Begun::Found(match name.label(below) {
        b"svc" => return below_svc(view, name, below, place),
        b"_tcp" if view.prepared.discovery.is_some() => match below {
            0 => Found::Here(Node::Empty, place),
            1 if name.label(0) == DISCOVERY => Found::Here(Node::Discovery, place),
            _ => Found::Missing(place, Absent::Own),
        },
        SETS => below_sets(view, name, below, place),
        b"pod" if pods != PodNames::Disabled => below_pod(view, name, below, place),
        b"dns-version" if below == 0 => Found::Here(Node::Version, place),
        own => match own_name(&view.prepared.nameservers, name) {
            Some(node) => Found::Here(node, place),
            None if own == b"pod" => Found::Missing(place, Absent::PodNames),
            None => Found::Missing(place, Absent::Own),
        },
    })
}

/// A name server within the zone, or a name above one.
fn own_name<'v>(servers: &[PreparedServer], name: &ParsedName) -> Option<Node<'v>> {
    let asked = name.as_wire();
    let within = || servers.iter().enumerate().filter(|(_, server)| server.within);
    if let Some((index, _)) = within().find(|(_, server)| server.name.as_wire() == asked) {
        return Some(Node::Nameserver(index));
    }
    let above = |server: &PreparedServer| {
        let mut parsed = ParsedName::default();
        let parses = parsed.parse(server.name.as_wire()).is_ok();
        parses && parsed.labels_before(asked, name.label_count()).is_some()
    };
    within().any(|(_, server)| above(server)).then_some(Node::Empty)
}

/// `svc` is the name's label `svc`.
fn below_svc<'v>(view: &'v View<'_>, name: &ParsedName, svc: usize, place: Place) -> Begun<'v> {
    let Some(namespace) = svc.checked_sub(1) else {
        return Begun::Found(Found::Here(Node::Empty, place));
    };
    if view.leaves_out(name.label(namespace)) {
        return Begun::Found(Found::Outside(Reason::NamespaceLeftOut));
    }
    let Some(service) = namespace.checked_sub(1) else {
        return Begun::Found(namespace_itself(view, name.label(namespace), place));
    };
    Begun::Service(view.service(name.labels(service, svc)), Key { from: service, to: svc }, place)
}

/// `_statefulset` is the name's label `sets`. Beside the services' names and not below them: that of a service of which
/// no replica is ready does not exist.
fn below_sets<'v>(view: &'v View<'_>, name: &ParsedName, sets: usize, place: Place) -> Found<'v> {
    let Some(namespace) = sets.checked_sub(1) else { return Found::Here(Node::Empty, place) };
    if view.leaves_out(name.label(namespace)) {
        return Found::Outside(Reason::NamespaceLeftOut);
    }
    match namespace {
        0 if view.has_sets(name.label(0)) => Found::Here(Node::Empty, place),
        0 => namespace_itself(view, name.label(0), place),
        1 => match view.service(name.labels(0, sets)) {
            Some(entry) if entry.has_sets() => Found::Here(Node::Sets(entry), place),
            _ => Found::Missing(place, Absent::Set),
        },
        _ => Found::Missing(place, Absent::Own),
    }
}

fn namespace_itself<'v>(view: &View<'_>, label: &[u8], place: Place) -> Found<'v> {
    if view.knows_namespace(label) {
        Found::Here(Node::Empty, place)
    } else {
        Found::Missing(place, Absent::Namespace)
    }
}

fn in_service<'v>(entry: &'v Entry, name: &ParsedName, key: Key, place: Place) -> Found<'v> {
    let negative = Place { negative: entry.ttl.negative, ..place };
    let expected = Place { negative: entry.ttl.expected, ..place };
    let front = key.from;
    let absent = Absent::Within(entry, front);
    match &entry.shape {
        Shape::External(target) if front == 0 => return Found::Here(Node::Alias(entry, target), negative),
        Shape::External(_) => return Found::Missing(negative, absent),
        // None ready: the set that the service is for is starting, and so is every name below it.
        Shape::Headless if !entry.has_addresses() => return Found::Missing(expected, absent),
        Shape::Headless | Shape::ClusterIp | Shape::Absent => {}
    }
    let node = match front {
        0 if entry.shape == Shape::Absent => None,
        0 => Some(Node::Service(entry, key)),
        1 => host_or_protocol(entry, name.label(0), key),
        2 => port_or_host_protocol(entry, name, key),
        3 => host_port(entry, name, key),
        _ => None,
    };
    match node {
        Some(node) => Found::Here(node, negative),
        None => {
            // Below a replica that is there, absence is plain absence.
            let awaited = |label: &[u8]| entry.expects(label) && entry.host(label).is_none();
            let awaited = front > 0 && awaited(name.label(front - 1));
            Found::Missing(if awaited { expected } else { negative }, absent)
        }
    }
}

fn host_or_protocol<'v>(entry: &'v Entry, label: &[u8], key: Key) -> Option<Node<'v>> {
    if label.first() == Some(&b'_') {
        return entry.ports().names_protocol(label).then_some(Node::Empty);
    }
    entry.host(label).map(|host| Node::Host(entry, key, host))
}

fn port_or_host_protocol<'v>(entry: &'v Entry, name: &ParsedName, key: Key) -> Option<Node<'v>> {
    if let Some(port) = entry.port_srv(name.label(0), name.label(1)) {
        return Some(Node::ServicePort(entry, key, port));
    }
    let host = entry.host(name.label(1))?;
    entry.host_ports(host).names_protocol(name.label(0)).then_some(Node::Empty)
}

fn host_port<'v>(entry: &'v Entry, name: &ParsedName, key: Key) -> Option<Node<'v>> {
    let host = entry.host(name.label(2))?;
    entry.host_ports(host).numbers_of(name.label(0), name.label(1)).next()?;
    Some(Node::HostPort(entry, key, host))
}

/// `pod` is the name's label `pod`.
fn below_pod<'v>(view: &View<'_>, name: &ParsedName, pod: usize, place: Place) -> Found<'v> {
    let Some(namespace) = pod.checked_sub(1) else {
        return Found::Here(Node::Empty, place);
    };
    let label = name.label(namespace);
    if view.leaves_out(label) {
        return Found::Outside(Reason::NamespaceLeftOut);
    }
    if namespace == 0 {
        return namespace_itself(view, label, place);
    }
    let verified = view.prepared.settings.pods == PodNames::Verified;
    if verified && !view.shared.pods_known.load(Ordering::Acquire) {
        return Found::Unknown(Reason::PodsNotKnown);
    }
    // A pod makes no namespace known: its object or a Service does.
    let address = (namespace == 1 && view.knows_namespace(label)).then(|| undashed(name.label(0))).flatten();
    let absent = if address.is_some() { Absent::Pod } else { Absent::NotAnAddress };
    let exists = |address: IpAddr| match view.prepared.settings.pods {
        PodNames::Disabled => false,
        PodNames::Insecure => true,
        PodNames::Verified => {
            let key = PodKey::new(label, address);
            view.shared.pods.pin().contains_key(key.as_ref())
        }
    };
    match address.filter(|address| exists(*address)) {
        Some(address) => Found::Here(Node::Pod(address), place),
        None => Found::Missing(place, absent),
    }
}

/// `10-244-0-2` or `fd00-10-244--2` as an address, as CoreDNS reads it.
pub(crate) fn undashed(label: &[u8]) -> Option<IpAddr> {
    let mut text = [0; 63];
    let text = text.get_mut(..label.len())?;
    if !label.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-') {
        return None;
    }
    let hyphens = label.iter().filter(|byte| **byte == b'-').count();
    let v4 = hyphens == 3 && !label.windows(2).any(|pair| pair == b"--");
    for (to, from) in text.iter_mut().zip(label) {
        *to = if *from != b'-' {
            *from
        } else if v4 {
            b'.'
        } else {
            b':'
        };
    }
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    // An IPv4-mapped address is the IPv4 one (RFC 4291, section 2.5.5.2), as it is for CoreDNS.
    Some(address.to_canonical())
}

fn in_reverse_tree<'v>(view: &'v View<'_>, name: &ParsedName, reverse: &ReverseName) -> Found<'v> {
    let prepared = &view.prepared;
    let negative = prepared.settings.ttl.negative;
    let apex_labels = prepared.reverse.iter().filter_map(|prefix| prefix.apex(reverse)).min();
    let known = |address: &IpAddr| view.has_reverse(Prefix::of(*address));
    if let Some(address) = reverse.address().filter(known) {
        // An address outside the prefixes is a zone of its own.
        let apex = apex_labels.map_or(0, |depth| name.label_count() - 2 - depth);
        return Found::Here(Node::Pointer(address), Place { apex, negative, is_reverse: true });
    }
    let Some(depth) = apex_labels else { return Found::Outside(Reason::OutsideZones) };
    let apex = name.label_count() - 2 - depth;
    let place = Place { apex, negative, is_reverse: true };
    if apex == 0 {
        return Found::Here(Node::Apex, place);
    }
    let exists = reverse.extra == 0 && view.has_reverse(Prefix::asked(reverse));
    if exists { Found::Here(Node::Empty, place) } else { Found::Missing(place, Absent::Address) }
}

/// Who an address is, in the order of the answer.
pub(crate) fn with_pointers<R>(view: &View<'_>, address: IpAddr, then: impl FnOnce(&[Pointer]) -> R) -> R {
    let (block, last) = Prefix::block_of(address);
    let blocks = view.shared.blocks.pin();
    then(blocks.get(&block).map_or(&[], |block| of_address(block, last)))
}

/// Calls with the parts of each name of an address: a host's label or nothing, and the service's key. A pointer whose
/// service has changed since stands for none; of two that are there while it changes one counts.
pub(crate) fn names<E>(
    view: &View<'_>,
    address: IpAddr,
    pointers: &[Pointer],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    for (index, pointer) in pointers.iter().enumerate() {
        if pointers.get(index + 1).is_some_and(|next| next.is_the_same_name(pointer)) {
            continue;
        }
        let Some(entry) = view.service(&pointer.service) else { continue };
        let governing = pointer.rank == Rank::Governing;
        let of_rank = |host: usize| entry.is_governing(host) == governing;
        let mut name = |host: usize| each(entry.host_label(host), entry.key());
        if pointer.rank == Rank::ClusterIp {
            if entry.is_at(address) {
                each(&[], entry.key())?;
            }
        } else if pointer.is_of_several() {
            entry.hosts_at(address).filter(|host| of_rank(*host)).try_for_each(name)?;
        } else if let Some(host) = entry.host_near(pointer.hint(), address, of_rank) {
            name(host)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::undashed;

    #[test]
    fn pod_labels_as_coredns_reads_them() {
        for (label, address) in [
            ("10-244-0-2", Some("10.244.0.2")),
            ("fd00-10-244--2", Some("fd00:10:244::2")),
            ("--1", Some("::1")),
            ("1-2-3-4-5-6-7-8", Some("1:2:3:4:5:6:7:8")),
            ("--ffff-a00-1", Some("10.0.0.1")),
            ("10-244-0-256", None),
            ("10-244-0", None),
            ("10.244.0.2", None),
            ("web-0", None),
        ] {
            let address: Option<std::net::IpAddr> = address.map(|a| a.parse().unwrap());
            assert_eq!(undashed(label.as_bytes()), address, "{label}");
        }
    }
}
