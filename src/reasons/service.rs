//! From the objects of one service to the reasons of its absent names.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashSet};

use super::Reason;
use super::notes::{Notes, Range};
use super::pods::{is_past, of_pod};
use crate::model::{Endpoint, EndpointSlice, PodState, Service, ServiceKey, ServiceShape, StatefulSet};
use crate::records::{Host, ServiceRecords, Shape, endpoint_label, ordinal_of};

/// Everything that the reasons of one service are made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whose reasons.
    pub key: &'a ServiceKey,
    /// The Service, if there is one.
    pub service: Option<&'a Service>,
    /// Its slices, the one applied last at the end.
    pub slices: &'a [EndpointSlice],
    /// The StatefulSets whose `serviceName` it is.
    pub sets: &'a [StatefulSet],
    /// Sets of [`owners`], whose `serviceName` is another.
    pub owners: &'a [StatefulSet],
    /// Pods of its sets, as far as somebody asked for them: of those that have no name.
    pub pods: &'a [PodState],
    /// What is published of it.
    pub records: Option<&'a ServiceRecords>,
    /// Endpoints without `hostname` are called by their pods.
    pub pod_names: bool,
}

/// A set with fewer names than replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The set.
    pub set: Box<str>,
    /// Ordinals without a name, the smallest first; at most 32.
    pub absent: Vec<u64>,
}

/// Of more absent replicas of one set nobody asks why: what keeps the first keeps the others.
const MOST_ABSENT: usize = 32;

/// The sets of a Service some of whose replicas have no name. None without a Service: then that is the reason.
#[must_use]
pub fn incomplete(
    service: Option<&Service>,
    sets: &[StatefulSet],
    records: Option<&ServiceRecords>,
) -> Vec<Incomplete> {
    if service.is_none_or(|service| matches!(service.shape, ServiceShape::External(_))) {
        return Vec::new();
    }
    let hosts = records.map_or(&[][..], |records| &records.hosts);
    let by_set = by_set(sets, hosts.iter().map(|host| &*host.label));
    let incomplete = sets.iter().filter(|set| !is_complete(set, &by_set)).map(|set| {
        let there = by_set.get(&*set.name);
        let is_absent = |ordinal: &u64| there.is_none_or(|there| !there.contains(ordinal));
        Incomplete { set: set.name.clone(), absent: own(set).filter(is_absent).take(MOST_ABSENT).collect() }
    });
    incomplete.collect()
}

/// At most so many ready pods of a service that are not called by their names have a reason of their own.
const MOST_MISNAMED: usize = 8;

/// The names of the sets that may have made the pods which have no name of their own in these slices.
#[must_use]
pub fn owners(slices: &[EndpointSlice]) -> BTreeSet<&str> {
    misnamed(slices).map(|(_, set)| set).take(MOST_MISNAMED).collect()
}

/// Endpoints whose pod a set may have made, with that set's name, without a `hostname`.
fn misnamed(slices: &[EndpointSlice]) -> impl Iterator<Item = (&Endpoint, &str)> {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    endpoints.filter(|endpoint| endpoint.hostname.is_none()).filter_map(|endpoint| {
        let (set, ordinal) = endpoint.pod.as_ref()?.name.rsplit_once('-')?;
        ordinal.bytes().all(|byte| byte.is_ascii_digit()).then_some((endpoint, set))
    })
}

/// Finds why names of a service are absent.
#[must_use]
pub fn of_service(facts: &Facts<'_>) -> Notes {
    let Some(service) = facts.service else {
        let set = facts.sets.iter().filter(|set| set.replicas > 0).map(|set| &*set.name).min();
        let missing = set.map(|set| Reason::GoverningServiceMissing {
            service: facts.key.name.as_str(),
            namespace: facts.key.namespace.as_str(),
            set,
        });
        return Notes::pack(missing, &[], &[]);
    };
    if let ServiceShape::External(target) = &service.shape {
        let bad = Reason::BadExternalName { service: facts.key.name.as_str(), target };
        let is_published = facts.records.is_some_and(|records| records.shape != Shape::Absent);
        return Notes::pack(Some(bad).filter(|_| !is_published), &[], &[]);
    }
    let hosts = facts.records.map_or(&[][..], |records| &records.hosts);
    if is_whole(facts, hosts) {
        return Notes::default();
    }
    let published: HashSet<&str> = hosts.iter().map(|host| &*host.label).collect();
    let has_addresses =
        facts.records.is_some_and(|r| !r.addresses.v4.is_empty() || !r.addresses.v6.is_empty());
    let of_itself = (service.shape == ServiceShape::Headless && !has_addresses).then(|| itself(facts));
    let absent = absent_hosts(facts, &published);
    let ranges = ranges(facts, &published, &absent);
    let absent: Vec<_> = absent.iter().map(|(label, reason)| (&**label, *reason)).collect();
    Notes::pack(of_itself, &ranges, &absent)
}

/// Whether every name is there that somebody may look for, as nearly always: nothing more is looked at then.
fn is_whole(facts: &Facts<'_>, hosts: &[Host]) -> bool {
    let mut endpoints = facts.slices.iter().flat_map(|slice| &slice.endpoints);
    let is_complete = || {
        let by_set = by_set(facts.sets, hosts.iter().map(|host| &*host.label));
        facts.sets.iter().all(|set| is_complete(set, &by_set))
    };
    !hosts.is_empty()
        && facts.owners.is_empty()
        && endpoints.all(|endpoint| endpoint.ready && !endpoint.terminating)
        && is_complete()
}

/// Ordinals by the name of their set.
type BySet<'l> = HashMap<&'l str, BTreeSet<u64>>;

/// Whether each replica of a set is among these.
fn is_complete(set: &StatefulSet, by_set: &BySet<'_>) -> bool {
    let there = by_set.get(&*set.name).map_or(0, |ordinals| ordinals.range(own(set)).count());
    u32::try_from(there).is_ok_and(|there| there == set.replicas)
}

/// The ordinals that labels have in these sets, in one pass: a Service may have many of both.
fn by_set<'l>(sets: &[StatefulSet], labels: impl Iterator<Item = &'l str>) -> BySet<'l> {
    let names: HashSet<&str> = sets.iter().map(|set| &*set.name).collect();
    let mut by_set = BySet::default();
    for label in labels {
        let Some((set, _)) = label.rsplit_once('-').filter(|(set, _)| names.contains(set)) else { continue };
        if let Some(ordinal) = ordinal_of(label.as_bytes(), set.as_bytes()) {
            by_set.entry(set).or_default().insert(ordinal);
        }
    }
    by_set
}

/// The ordinals that a set wants.
fn own(set: &StatefulSet) -> std::ops::Range<u64> {
    u64::from(set.start)..u64::from(set.start) + u64::from(set.replicas)
}

/// Why a headless Service is not there.
fn itself<'a>(facts: &Facts<'a>) -> Reason<'a> {
    let service = facts.key.name.as_str();
    let mut endpoints = facts.slices.iter().flat_map(|slice| {
        slice.endpoints.iter().filter_map(|endpoint| Some((&*slice.name, endpoint.addresses.first()?)))
    });
    if let Some((slice, address)) = endpoints.next() {
        let endpoints = u32::try_from(endpoints.count() + 1).unwrap_or(u32::MAX);
        return Reason::NoneReady { service, endpoints, slice, address: *address };
    }
    // The first pod that none of the others is without, where it says what it waits for.
    let place = places(facts.sets);
    let mut pods: Vec<_> = facts.pods.iter().filter_map(|pod| Some((place(pod)?, pod))).collect();
    pods.sort_unstable_by_key(|(place, _)| *place);
    if let Some(why) = pods.first().and_then(|(_, pod)| Some(of_pod(pod)?.about(&pod.name))) {
        return why;
    }
    let smallest = facts.sets.iter().map(|set| &*set.name).min();
    match smallest.filter(|_| facts.sets.iter().all(|set| set.replicas == 0)) {
        Some(set) => Reason::ScaledToZero { service, set },
        None => Reason::NoEndpoints { service },
    }
}

/// Names that slices have, or their pods, and that are not published, each with why.
fn absent_hosts<'a>(facts: &Facts<'a>, published: &HashSet<&str>) -> BTreeMap<Cow<'a, str>, Reason<'a>> {
    let mut hosts = BTreeMap::new();
    let (own, name) = (facts.key.name.as_str(), "");
    for EndpointSlice { name: slice, endpoints, .. } in facts.slices {
        // A ready endpoint is published, or gave way to another of its name, which then is the one to tell of.
        let absent = endpoints.iter().filter(|endpoint| !endpoint.ready || endpoint.terminating);
        for (endpoint, address) in absent.flat_map(|e| e.addresses.iter().map(move |address| (e, *address))) {
            let label = endpoint_label(endpoint, address, facts.pod_names);
            if published.contains(&*label) {
                continue;
            }
            let reason = if endpoint.terminating {
                Reason::Terminating { name, slice, address }
            } else {
                Reason::NotReady { name, slice, address }
            };
            // Of a pod that goes and one that comes in its place the latter is awaited.
            let known = hosts.entry(label).or_insert(reason);
            if matches!(known, Reason::Terminating { .. }) {
                *known = reason;
            }
        }
    }
    ask_pods(facts, published, &mut hosts);
    let mut left = MOST_MISNAMED;
    for (endpoint, set) in misnamed(facts.slices).filter(|(endpoint, _)| endpoint.ready) {
        let Some(owner) = facts.owners.iter().find(|owner| *owner.name == *set) else { continue };
        let (Some(pod), Some(subdomain)) = (&endpoint.pod, &owner.service) else { continue };
        let Some(&address) = endpoint.addresses.first() else { continue };
        let is_called = published.contains(&*endpoint_label(endpoint, address, facts.pod_names));
        let is_replica = ordinal_of(pod.name.as_bytes(), set.as_bytes()).is_some();
        if left == 0
            || subdomain.as_str() == own
            || published.contains(&*pod.name)
            || !is_called
            || !is_replica
        {
            continue;
        }
        left -= 1;
        let subdomain = subdomain.as_str();
        let reason = Reason::CalledByAddress { name, service: own, subdomain, address };
        hosts.entry(Cow::Borrowed(&*pod.name)).or_insert(reason);
    }
    hosts
}

/// Lets the pods themselves say why their names are absent: they know more than a slice, but were asked for a while ago.
fn ask_pods<'a>(
    facts: &Facts<'a>,
    published: &HashSet<&str>,
    hosts: &mut BTreeMap<Cow<'a, str>, Reason<'a>>,
) {
    if facts.pods.is_empty() {
        return;
    }
    let place = places(facts.sets);
    let mut of_pods: HashMap<&str, Vec<&Endpoint>> =
        facts.pods.iter().map(|pod| (&*pod.name, Vec::new())).collect();
    for endpoint in facts.slices.iter().flat_map(|slice| &slice.endpoints) {
        if let Some(of_pod) = endpoint.pod.as_ref().and_then(|pod| of_pods.get_mut(&*pod.name)) {
            of_pod.push(endpoint);
        }
    }
    for pod in facts.pods {
        if published.contains(&*pod.name) || place(pod).is_none() {
            continue;
        }
        let endpoints = of_pods.get(&*pod.name).into_iter().flatten();
        if endpoints.into_iter().any(|endpoint| is_past(pod, endpoint)) {
            continue;
        }
        if let Some(reason) = of_pod(pod) {
            hosts.insert(Cow::Borrowed(&*pod.name), reason);
        }
    }
}

/// Which set makes a pod, and its ordinal, where it is one of these.
fn places<'s>(sets: &'s [StatefulSet]) -> impl Fn(&PodState) -> Option<(&'s str, u64)> {
    let by_name: HashMap<&str, &StatefulSet> = sets.iter().map(|set| (&*set.name, set)).collect();
    move |pod| {
        let (name, _) = pod.name.rsplit_once('-')?;
        let set = by_name.get(name)?;
        let ordinal = ordinal_of(pod.name.as_bytes(), set.name.as_bytes())?;
        own(set).contains(&ordinal).then_some((&*set.name, ordinal))
    }
}

/// Replicas that no slice has.
fn ranges<'a>(
    facts: &Facts<'a>,
    published: &HashSet<&str>,
    absent: &BTreeMap<Cow<'a, str>, Reason<'a>>,
) -> Vec<Range<'a>> {
    let mut sets: Vec<&StatefulSet> = facts.sets.iter().filter(|set| set.replicas > 0).collect();
    sets.sort_by(|one, other| one.name.cmp(&other.name));
    let ready = by_set(facts.sets, published.iter().copied());
    let known = by_set(facts.sets, absent.keys().map(|label| &**label));
    let mut ranges = Vec::new();
    for set in sets {
        let std::ops::Range { start: from, end: to } = own(set);
        let has = |labels: &BySet<'_>, ordinal| {
            labels.get(&*set.name).is_some_and(|ordinals| ordinals.contains(&ordinal))
        };
        let Some(first) = (from..to).find(|n| !has(&ready, *n)) else { continue };
        let is_known = has(&known, first);
        let (service, replicas) = (facts.key.name.as_str(), set.replicas);
        let no_address = Reason::NoAddress { name: "", service, set: &set.name, replicas };
        if set.parallel {
            ranges.push(Range { set: &set.name, from, to, reason: no_address });
            continue;
        }
        if !is_known {
            ranges.push(Range { set: &set.name, from: first, to: first + 1, reason: no_address });
        }
        if first + 1 < to {
            let reason = Reason::Awaited { name: "", set: &set.name, replicas, waits_for: first };
            ranges.push(Range { set: &set.name, from: first + 1, to, reason });
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::{Label, TtlOverrides};

    #[test]
    fn many_sets_and_many_hosts_are_gone_through_once() {
        let label = |text: &str| Label::new(text).unwrap();
        let key = ServiceKey { namespace: label("default"), name: label("nginx") };
        let (shape, ports, ttl) = (ServiceShape::Headless, Vec::new(), TtlOverrides::default());
        let service = Service { key: key.clone(), shape, ports, ttl };
        let set = |n: u32| StatefulSet {
            namespace: label("default"),
            name: format!("web{n}").into(),
            service: Some(label("nginx")),
            start: 0,
            replicas: 1,
            parallel: false,
            revision: None,
        };
        let sets: Vec<StatefulSet> = (0..10_000).map(set).collect();
        let endpoint = |n: u32| Endpoint {
            addresses: vec![std::net::Ipv4Addr::from(0x0a00_0000 + n).into()],
            hostname: Some(label(&format!("web{n}-0"))),
            pod: None,
            ready: false,
            terminating: false,
        };
        let endpoints = (0..10_000).map(endpoint).collect();
        let slices =
            [EndpointSlice { service: key.clone(), name: "nginx-x".into(), ports: Vec::new(), endpoints }];
        let pod = |n: u32| PodState { name: format!("web{n}-0").into(), ..PodState::default() };
        let pods: Vec<PodState> = (0..10_000).map(pod).collect();
        let facts = Facts {
            key: &key,
            service: Some(&service),
            slices: &slices,
            sets: &sets,
            owners: &[],
            pods: &pods,
            records: None,
            pod_names: false,
        };
        let start = Instant::now();
        let absent = absent_hosts(&facts, &HashSet::default());
        assert_eq!(absent.len(), 10_000);
        // Each is known by its slice: no set has a replica that none has.
        assert!(ranges(&facts, &HashSet::default(), &absent).is_empty());
        // Half a second even of a build that is not optimised; a hundred million comparisons are many.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
