//! The records of one service.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

// Seeded, for names come from whoever may create objects; a third of the time of std's.
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use super::host::{Origin, label, order_key};
use super::{Addresses, Expected, Host, PortRecords, Problem, ServiceRecords, Settings, Shape, Srv};
use crate::model::{
    Endpoint, EndpointSlice, Label, Port, Protocol, Service, ServiceKey, ServiceShape, StatefulSet,
};
use crate::wire::Name;

/// Everything that one service's records are made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Whose records.
    pub key: &'a ServiceKey,
    /// The Service, if there is one.
    pub service: Option<&'a Service>,
    /// Its slices, the one applied last at the end.
    pub slices: &'a [&'a EndpointSlice],
    /// The StatefulSets whose `serviceName` it is.
    pub sets: &'a [&'a StatefulSet],
}

/// Makes the records; None when there is nothing to publish.
#[must_use]
pub fn service_records(input: Input<'_>, settings: &Settings) -> (Option<ServiceRecords>, Vec<Problem>) {
    let key = input.key;
    let labels = [key.name.as_str().as_bytes(), key.namespace.as_str().as_bytes(), b"svc"];
    let Ok(owner) = Name::under(&labels, &settings.zone) else {
        return (None, vec![Problem::ServiceNameTooLong(key.clone())]);
    };
    let mut records = ServiceRecords {
        ttl: input.service.map(|service| service.ttl).unwrap_or_default(),
        expected: expected(input.sets),
        ..ServiceRecords::none(key.clone())
    };
    let mut problems = Vec::new();
    match input.service.map(|service| (service, &service.shape)) {
        None => {}
        Some((_, ServiceShape::External(target))) => match Name::from_text(target) {
            Ok(target) => records.shape = Shape::External(Box::new(target)),
            Err(error) => problems.push(Problem::External(key.clone(), error)),
        },
        Some((service, ServiceShape::ClusterIp(addresses))) => {
            records.shape = Shape::ClusterIp;
            let mut endpoints = Endpoints::new(owner, settings);
            endpoints.add_all(input.slices);
            endpoints.finish(&mut records, &mut problems);
            // The service's own name stands for its virtual addresses, not for the endpoints.
            records.addresses = Addresses::default();
            addresses.iter().for_each(|address| records.addresses.push(*address));
            (records.srv, records.ports) = srv(service.ports.iter().map(|port| (None, port)), 1);
        }
        Some((_, ServiceShape::Headless)) => {
            records.shape = Shape::Headless;
            let mut endpoints = Endpoints::new(owner, settings);
            endpoints.add_all(input.slices);
            endpoints.finish(&mut records, &mut problems);
        }
    }
    count_ready(&mut records);
    let nothing = records.shape == Shape::Absent && records.expected.is_empty();
    ((!nothing).then_some(records), problems)
}

fn expected(sets: &[&StatefulSet]) -> Vec<Expected> {
    let mut expected: Vec<Expected> = sets
        .iter()
        .map(|set| Expected {
            set: set.name.clone(),
            first: set.start,
            end: u64::from(set.start) + u64::from(set.replicas),
            ready: 0,
            revision: set.revision.clone(),
        })
        .collect();
    expected.sort();
    expected
}

/// Counts the replicas that have a name: what a client finds, which may be fewer than the controller's `readyReplicas`
/// and is never about another moment than the records.
fn count_ready(records: &mut ServiceRecords) {
    for expected in &mut records.expected {
        let range = u64::from(expected.first)..expected.end;
        let ordinal = |host: &Host| {
            let ordinal = host.label.strip_prefix(&*expected.set)?.strip_prefix('-')?;
            // `web-01` is no replica.
            let number: u64 = ordinal.parse().ok()?;
            (number.to_string() == ordinal).then_some(number)
        };
        let ready =
            records.hosts.iter().filter_map(ordinal).filter(|ordinal| range.contains(ordinal)).count();
        expected.ready = u32::try_from(ready).unwrap_or(u32::MAX);
    }
}

impl Addresses {
    /// Appends; whether the address is new is the caller's to know.
    pub(crate) fn push(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.v4.push(v4),
            IpAddr::V6(v6) => self.v6.push(v6),
        }
    }
}

/// One address of one endpoint, with its name.
struct Place<'a> {
    label: Cow<'a, str>,
    origin: Origin,
    address: IpAddr,
    endpoint: &'a Endpoint,
    /// The slice's, sorted, each once: its endpoints share them.
    ports: Arc<[Port]>,
}

/// Collects the endpoints of a service.
struct Endpoints<'a> {
    owner: Name,
    settings: &'a Settings,
    places: Vec<Place<'a>>,
}

impl<'a> Endpoints<'a> {
    fn new(owner: Name, settings: &'a Settings) -> Self {
        Self { owner, settings, places: Vec::new() }
    }

    fn add_all(&mut self, slices: &[&'a EndpointSlice]) {
        for slice in slices {
            let slice: &'a EndpointSlice = slice;
            let ports: Arc<[Port]> = sorted(slice.ports.clone()).into();
            for endpoint in &slice.endpoints {
                for &address in &endpoint.addresses {
                    let (label, origin) = label(endpoint, address, self.settings.endpoint_pod_names);
                    let ports = Arc::clone(&ports);
                    self.places.push(Place { label, origin, address, endpoint, ports });
                }
            }
        }
    }

    /// Leaves one pod to each name where a pod was recreated: the old one's endpoint may linger in a slice
    /// that the controller has not rewritten yet, and one ordinal is never two pods.
    ///
    /// Before readiness is looked at: a new pod that is not ready yet has taken the name all the same.
    fn drop_predecessors(&mut self) {
        #[derive(Default)]
        struct Pods<'k> {
            any: Option<&'k str>,
            several: bool,
            /// Of those that do not terminate, the one applied last.
            newest: Option<&'k str>,
        }
        fn key<'k>(place: &'k Place<'_>) -> Option<((&'k str, bool, &'k str), &'k str)> {
            let pod = place.endpoint.pod.as_ref()?;
            Some(((&*place.label, place.address.is_ipv6(), &*pod.name), &*pod.uid))
        }
        let mut by_name: HashMap<_, Pods<'_>> = HashMap::with_capacity(self.places.len());
        let mut is_any_several = false;
        for place in &self.places {
            let Some((key, uid)) = key(place) else { continue };
            let pods = by_name.entry(key).or_default();
            pods.several |= pods.any.is_some_and(|other| other != uid);
            is_any_several |= pods.several;
            pods.any = Some(uid);
            if !place.endpoint.terminating {
                pods.newest = Some(uid);
            }
        }
        if !is_any_several {
            return;
        }
        let keep = |place: &Place<'_>| {
            let Some((key, uid)) = key(place) else { return true };
            let pods = by_name.get(&key).filter(|pods| pods.several);
            pods.is_none_or(|pods| !place.endpoint.terminating && pods.newest == Some(uid))
        };
        let keep: Vec<bool> = self.places.iter().map(keep).collect();
        let mut keep = keep.into_iter();
        self.places.retain(|_| keep.next().unwrap_or(true));
    }

    fn finish(mut self, records: &mut ServiceRecords, problems: &mut Vec<Problem>) {
        self.drop_predecessors();
        self.places.retain(|place| place.endpoint.ready);
        // The order of the names, not of arrival: the same cluster gives the same bytes.
        fn key<'p>(place: &'p Place<'_>) -> super::host::OrderKey<'p> {
            order_key(&place.label, place.origin, place.address)
        }
        let mut in_order: Vec<_> = self.places.iter().map(|place| (key(place), place)).collect();
        in_order.sort_by(|(one, _), (other, _)| one.cmp(other));

        let mut at_service = HashSet::with_capacity(self.places.len());
        let mut host_of: HashMap<&str, Option<usize>> = HashMap::with_capacity(self.places.len());
        let mut at_host = HashSet::with_capacity(self.places.len());
        for (_, place) in in_order {
            if at_service.insert(place.address) {
                records.addresses.push(place.address);
            }
            let hosts = &mut records.hosts;
            let index = *host_of.entry(&place.label).or_insert_with(|| {
                if 1 + place.label.len() + self.owner.as_wire().len() > 255 {
                    problems.push(Problem::HostNameTooLong(records.key.clone(), (*place.label).into()));
                    return None;
                }
                hosts.push(Host {
                    label: (*place.label).into(),
                    addresses: Addresses::default(),
                    ports: Arc::clone(&place.ports),
                    governing: false,
                });
                Some(hosts.len() - 1)
            });
            let Some(index) = index else { continue };
            let host = &mut hosts[index];
            host.governing |= place.endpoint.hostname.is_some();
            if at_host.insert((index, place.address)) {
                host.addresses.push(place.address);
            }
            let has = |port: &Port| host.ports.binary_search(port).is_ok();
            if !Arc::ptr_eq(&host.ports, &place.ports) && !place.ports.iter().all(has) {
                host.ports = sorted([&*host.ports, &*place.ports].concat()).into();
            }
        }
        let hosts = records.hosts.iter().enumerate();
        let ports = hosts.flat_map(|(index, host)| host.ports.iter().map(move |port| (Some(index), port)));
        (records.srv, records.ports) = srv(ports, records.hosts.len());
    }
}

fn sorted(mut ports: Vec<Port>) -> Vec<Port> {
    ports.sort();
    ports.dedup();
    ports
}

/// The SRV records at the service's name and at each `_port._protocol`, unique by port and target. The ports
/// are sorted by name: the same cluster gives the same bytes whatever came first. `hosts` is how many there are, about.
fn srv<'p>(
    ports: impl Iterator<Item = (Option<usize>, &'p Port)>,
    hosts: usize,
) -> (Vec<Srv>, Vec<PortRecords>) {
    let with_room = || (Vec::with_capacity(hosts), HashSet::with_capacity(hosts));
    let (mut all, mut seen) = with_room();
    let mut named: BTreeMap<_, (Vec<Srv>, HashSet<Srv>)> = BTreeMap::new();
    for (host, port) in ports {
        let srv = Srv { host, port: port.number };
        if seen.insert(srv) {
            all.push(srv);
        }
        let Some(name) = &port.name else { continue };
        let (records, seen) = named.entry((name, port.protocol)).or_insert_with(with_room);
        if seen.insert(srv) {
            records.push(srv);
        }
    }
    let named = named.into_iter().map(|((name, protocol), (srv, _)): ((&Label, Protocol), _)| PortRecords {
        name: name.clone(),
        protocol,
        srv,
    });
    (all, named.collect())
}
