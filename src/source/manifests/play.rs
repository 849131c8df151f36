//! What the controllers of a real cluster would add to manifests: clusterIPs, pods of StatefulSets, endpoints.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::Options;
use super::addresses::Pool;
use super::item::{Families, Item, Labels, PodItem, ServiceItem, SetItem, target_number};
use crate::model::{
    Endpoint, EndpointSlice, Label, Object, Pod, PodReference, Port, Service, ServiceKey, ServiceShape,
};
use crate::source::Problem;
use crate::source::raw::RawContainerPort;

/// Plays manifests, and remembers the addresses that it gave.
#[derive(Debug)]
pub(super) struct Player {
    pods: Vec<Pool<(Label, Box<str>)>>,
    services: Vec<Pool<ServiceKey>>,
}

/// A pod that exists, or one that is played.
struct Member<'i> {
    name: Box<str>,
    uid: Box<str>,
    namespace: &'i Label,
    labels: &'i Labels,
    addresses: Vec<IpAddr>,
    hostname: Option<Label>,
    subdomain: Option<&'i str>,
    ready: bool,
    terminating: bool,
    played: bool,
    container_ports: &'i [RawContainerPort],
}

impl Player {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            pods: options.pod_cidr.iter().map(|net| Pool::new(*net)).collect(),
            services: options.service_cidr.iter().map(|net| Pool::new(*net)).collect(),
        }
    }

    /// From manifests to the objects that a cluster would hold.
    pub(super) fn play(&mut self, items: &[&Item], options: &Options) -> (Vec<Object>, Vec<Problem>) {
        let (mut objects, mut problems) = (Vec::new(), Vec::new());
        let input = Input::sort(items, options);
        let reserved = input.addresses();
        let there: HashSet<&ServiceKey> = input.services.iter().map(|item| &item.service.key).collect();
        self.services.iter_mut().for_each(|pool| pool.keep(|key| there.contains(key), &reserved));

        let mut members: Vec<Member<'_>> =
            input.pods.iter().filter_map(|pod| member(pod, &mut problems)).collect();
        self.members(&input, &reserved, options, &mut members, &mut problems);
        let mut by_namespace: HashMap<&Label, Vec<&Member<'_>>> = HashMap::new();
        for member in &members {
            by_namespace.entry(member.namespace).or_default().push(member);
        }
        let primary_v6 = self.services.first().is_some_and(Pool::is_v6);
        for item in &input.services {
            let service = self.service(item, &reserved, primary_v6, &mut problems);
            let has_slices = input.sliced.contains(&service.key);
            let families = item.families.of(&service, primary_v6);
            let of_namespace = by_namespace.get(&service.key.namespace).map_or(&[][..], Vec::as_slice);
            objects.extend(slices(item, of_namespace, has_slices, families).map(Object::EndpointSlice));
            objects.push(Object::Service(service));
        }
        objects.extend(members.into_iter().filter(|member| !member.addresses.is_empty()).map(|member| {
            Object::Pod(Pod {
                namespace: member.namespace.clone(),
                name: member.name,
                addresses: member.addresses,
            })
        }));
        objects.extend(input.sets.iter().map(|item| Object::StatefulSet(item.set.clone())));
        objects.extend(input.rest);
        problems.extend(input.unplayed.iter().map(|(kind, namespace, name)| {
            let message =
                "is not played: its pods have no stable names; give pods or EndpointSlices with addresses";
            Problem::note(message).of(format!("{kind} {namespace}/{name}"))
        }));
        (objects, problems)
    }

    /// Makes the pods of the sets that have none.
    fn members<'i>(
        &mut self,
        input: &Input<'i>,
        reserved: &BTreeSet<IpAddr>,
        options: &Options,
        members: &mut Vec<Member<'i>>,
        problems: &mut Vec<Problem>,
    ) {
        let mut wanted: Vec<(&'i SetItem, Box<str>)> = Vec::new();
        for item in input.sets.iter().filter(|item| !item.from_server && !input.has_pods(item)) {
            let set = &item.set;
            let room = options.max_played.saturating_sub(wanted.len());
            let replicas = usize::try_from(set.replicas).unwrap_or(usize::MAX);
            if replicas > room {
                let message = format!(
                    "{replicas} replicas: only {room} are played, for the limit is {} pods in all",
                    options.max_played
                );
                problems.push(
                    Problem::error(message)
                        .of(format!("StatefulSet {}/{}", set.namespace, set.name))
                        .at("spec.replicas"),
                );
            }
            let first = u64::from(set.start);
            let names = (first..first + u64::from(set.replicas)).take(room);
            wanted.extend(names.map(|ordinal| (*item, format!("{}-{ordinal}", set.name).into())));
        }
        let there: HashSet<(&Label, &str)> =
            wanted.iter().map(|(item, name)| (&item.set.namespace, &**name)).collect();
        self.pods
            .iter_mut()
            .for_each(|pool| pool.keep(|(namespace, name)| there.contains(&(namespace, name)), reserved));
        let mut full = BTreeSet::new();
        for (item, name) in &wanted {
            let owner = (item.set.namespace.clone(), name.clone());
            let mut addresses = Vec::new();
            for v6 in [false, true] {
                let mut pools = self.pods.iter_mut().filter(|pool| pool.is_v6() == v6).peekable();
                let exists = pools.peek().is_some();
                let address = pools.find_map(|pool| pool.address(&owner, reserved));
                if exists && address.is_none() {
                    full.insert((v6, &item.set.namespace, &item.set.name));
                }
                addresses.extend(address);
            }
            members.push(Member {
                name: name.clone(),
                // No two pods of one name are ever played at once.
                uid: Box::default(),
                namespace: &item.set.namespace,
                labels: &item.labels,
                addresses,
                hostname: Label::new(name).ok(),
                subdomain: item.set.service.as_ref().map(Label::as_str),
                ready: true,
                terminating: false,
                played: true,
                container_ports: &item.container_ports,
            });
        }
        problems.extend(full.into_iter().map(|(v6, namespace, name)| {
            let family = if v6 { "IPv6" } else { "IPv4" };
            Problem::error(format!("--pod-cidr has no {family} address left for some of its pods"))
                .of(format!("StatefulSet {namespace}/{name}"))
        }));
    }

    /// The Service, with the clusterIPs that it was not given.
    fn service(
        &mut self,
        item: &ServiceItem,
        reserved: &BTreeSet<IpAddr>,
        primary_v6: bool,
        problems: &mut Vec<Problem>,
    ) -> Service {
        let mut service = item.service.clone();
        let missing = matches!(&service.shape, ServiceShape::ClusterIp(addresses) if addresses.is_empty());
        if !missing {
            return service;
        }
        let named = format!("Service {}", service.key);
        if item.from_server {
            problems.push(
                Problem::error("has none, though it comes from an API server").of(named).at("spec.clusterIP"),
            );
            return service;
        }
        let mut addresses = Vec::new();
        for v6 in item.families.of(&service, primary_v6) {
            let mut pools = self.services.iter_mut().filter(|pool| pool.is_v6() == v6);
            addresses.extend(pools.find_map(|pool| pool.address(&service.key, reserved)));
        }
        if addresses.is_empty() {
            problems.push(
                Problem::error("--service-cidr has no address left for it").of(named).at("spec.clusterIP"),
            );
        }
        service.shape = ServiceShape::ClusterIp(addresses);
        service
    }
}

fn member<'i>(pod: &&'i PodItem, problems: &mut Vec<Problem>) -> Option<Member<'i>> {
    if pod.addresses.is_empty() && !pod.finished && pod.uid.is_empty() {
        let message = "has no address (status.podIPs): it is in no answer; only StatefulSets are played";
        problems.push(Problem::note(message).of(format!("Pod {}/{}", pod.namespace, pod.name)));
    }
    (!pod.finished).then(|| Member {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        namespace: &pod.namespace,
        labels: &pod.labels,
        addresses: pod.addresses.clone(),
        hostname: pod.hostname.clone(),
        subdomain: Some(pod.subdomain.as_str()),
        ready: pod.ready,
        terminating: pod.terminating,
        played: false,
        container_ports: &pod.container_ports,
    })
}

impl Families {
    /// The families of a Service, as the API server would fill them in: IPv6 is true.
    fn of(&self, service: &Service, primary_v6: bool) -> Vec<bool> {
        let mut families = self.listed.clone();
        if families.is_empty() {
            match &service.shape {
                ServiceShape::ClusterIp(given) if !given.is_empty() => {
                    families.extend(given.iter().map(IpAddr::is_ipv6));
                }
                _ => families.push(primary_v6),
            }
        }
        families.dedup();
        if let (true, [only]) = (self.dual, families.as_slice()) {
            families.push(!only);
        }
        families
    }
}

/// The slices that the EndpointSlice controller would make of the pods of its namespace that a Service selects. Pods that are
/// in the input count only where it holds no slices: a controller was there already.
fn slices<'i>(
    item: &'i ServiceItem,
    members: &[&Member<'i>],
    has_slices: bool,
    families: Vec<bool>,
) -> impl Iterator<Item = EndpointSlice> {
    let key = &item.service.key;
    let external = matches!(item.service.shape, ServiceShape::External(_));
    let selected = |member: &&&Member<'_>| {
        !item.selector.is_empty()
            && !external
            && (member.played || !has_slices)
            && item.selector.iter().all(|(name, value)| member.labels.get(name) == Some(value))
    };
    // By family and by ports: a named target port may mean another number in another pod.
    let mut groups: BTreeMap<(bool, Vec<Port>), Vec<Endpoint>> = BTreeMap::new();
    for member in members.iter().filter(selected) {
        let ports = item.service.ports.iter().zip(&item.targets);
        let ports = ports.filter_map(|(port, target)| {
            let number = target_number(port, target, member.container_ports)?;
            Some(Port { number, ..port.clone() })
        });
        let ports: Vec<Port> = ports.collect();
        for v6 in &families {
            let Some(address) = member.addresses.iter().find(|address| address.is_ipv6() == *v6) else {
                continue;
            };
            groups.entry((*v6, ports.clone())).or_default().push(Endpoint {
                addresses: vec![*address],
                hostname: member.hostname.clone().filter(|_| member.subdomain == Some(key.name.as_str())),
                pod: Some(PodReference { name: member.name.clone(), uid: member.uid.clone() }),
                ready: item.publish_not_ready || (member.ready && !member.terminating),
                terminating: member.terminating,
            });
        }
    }
    let service = key.clone();
    groups.into_iter().enumerate().map(move |(index, ((v6, ports), endpoints))| {
        let family = if v6 { 6 } else { 4 };
        // No object of the API has a name with a `~`.
        let name = format!("{}~ipv{family}-{index}", service.name).into();
        EndpointSlice { service: service.clone(), name, ports, endpoints }
    })
}

/// The items by kind, without what the filters leave out.
struct Input<'i> {
    services: Vec<&'i ServiceItem>,
    sets: Vec<&'i SetItem>,
    pods: Vec<&'i PodItem>,
    /// Services that have slices in the input.
    sliced: HashSet<ServiceKey>,
    /// What stands before the ordinal in the names of pods that are there or that an endpoint points at.
    known_sets: HashSet<(&'i Label, &'i str)>,
    unplayed: Vec<(&'i str, &'i Label, &'i str)>,
    /// Objects that are as they are.
    rest: Vec<Object>,
}

impl<'i> Input<'i> {
    fn sort(items: &[&'i Item], options: &Options) -> Self {
        let mut input = Self {
            services: Vec::new(),
            sets: Vec::new(),
            pods: Vec::new(),
            sliced: HashSet::new(),
            known_sets: HashSet::new(),
            unplayed: Vec::new(),
            rest: Vec::new(),
        };
        let wanted = |namespace: &Label| {
            options
                .namespaces
                .as_ref()
                .is_none_or(|names| names.iter().any(|name| name == namespace.as_str()))
        };
        for item in items {
            match item {
                Item::Namespace(namespace) if wanted(&namespace.name) => {
                    input.rest.push(Object::Namespace(namespace.clone()));
                }
                Item::Service(item)
                    if wanted(&item.service.key.namespace) && options.selector.matches(&item.labels) =>
                {
                    input.services.push(item);
                }
                Item::Slice(slice) if wanted(&slice.service.namespace) => {
                    input.sliced.insert(slice.service.clone());
                    for endpoint in &slice.endpoints {
                        let pod = endpoint.pod.as_ref().map(|pod| &*pod.name);
                        let names = pod.into_iter().chain(endpoint.hostname.as_ref().map(Label::as_str));
                        let sets = names.filter_map(set_of).map(|set| (&slice.service.namespace, set));
                        input.known_sets.extend(sets);
                    }
                    input.rest.push(Object::EndpointSlice(slice.clone()));
                }
                Item::Set(item) if wanted(&item.set.namespace) => input.sets.push(item),
                Item::Pod(pod) if wanted(&pod.namespace) => {
                    input.known_sets.extend(set_of(&pod.name).map(|set| (&pod.namespace, set)));
                    input.pods.push(pod);
                }
                Item::Unplayed { kind, namespace, name } if wanted(namespace) => {
                    input.unplayed.push((kind, namespace, name));
                }
                _ => {}
            }
        }
        input
    }

    /// Whether the input holds a pod of the set, or an endpoint that points at one.
    fn has_pods(&self, item: &SetItem) -> bool {
        self.known_sets.contains(&(&item.set.namespace, &*item.set.name))
    }

    /// Every address that the input gives to something.
    fn addresses(&self) -> BTreeSet<IpAddr> {
        let of_services = self.services.iter().flat_map(|item| match &item.service.shape {
            ServiceShape::ClusterIp(addresses) => addresses.as_slice(),
            ServiceShape::Headless | ServiceShape::External(_) => &[],
        });
        let of_pods = self.pods.iter().flat_map(|pod| &pod.addresses);
        let of_slices = self.rest.iter().filter_map(|object| match object {
            Object::EndpointSlice(slice) => {
                Some(slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses))
            }
            _ => None,
        });
        of_services.chain(of_pods).chain(of_slices.flatten()).copied().collect()
    }
}

/// `web` of `web-0`.
fn set_of(pod: &str) -> Option<&str> {
    let (set, ordinal) = pod.rsplit_once('-')?;
    (!ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit())).then_some(set)
}
