//! A StatefulSet with its replicas, one by one: who is there, who is not, where.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Range;

use super::ServiceObjects;
use super::sheet::{ServiceChange, SetEntry, Sheet};
use crate::model::{self, Endpoint, ServiceKey, StatefulSet};

/// Replicas of one set whose turns are told one by one.
const MOST_TURNS: usize = 64;

/// Addresses of one turn: a change is remembered for as long as there are not many newer ones.
const MOST_ADDRESSES: usize = 8;

/// How a replica is, as the slices of the governing Service say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellState {
    /// It has an address and is ready.
    Ready,
    /// It has an address and is not ready.
    NotReady,
    /// It goes, and no other pod of its name has come yet.
    Terminating,
    /// No slice has it.
    Missing,
}

/// A replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// `web-0`.
    pub name: String,
    /// 0.
    pub ordinal: u64,
    /// How it is.
    pub state: CellState,
    /// The set wants it; one that it does not want goes.
    pub expected: bool,
    /// Of both families, each once, in order.
    pub addresses: Vec<IpAddr>,
    /// The slices that have it.
    pub slices: Vec<String>,
}

/// A set and its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Service that governs it; None where it names none: then nothing is known of its replicas.
    pub service: Option<String>,
    /// Of that Service: `headless`, `cluster-ip`, `external-name`; None where it is not there.
    pub shape: Option<&'static str>,
    /// `spec.ordinals.start`.
    pub start: u32,
    /// `spec.replicas`.
    pub replicas: Option<u32>,
    /// Of those that are wanted so many are ready, whether they are among `cells` or not.
    pub ready: usize,
    /// By ordinal.
    pub cells: Vec<Cell>,
    /// Replicas that are wanted, or there all the same, and not among `cells`.
    pub more: u64,
}

/// How many replicas are told one by one: `spec.replicas` may be any number of 31 bits, and sets may be many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Of a set, the first by ordinal.
    pub each: usize,
    /// Of a set beyond those, the first that are wanted and not ready: a cut row still tells what is amiss.
    pub absent: usize,
    /// Of all sets together, Service by Service; those of the last ones are left out.
    pub all: usize,
}

/// Calls the roll of each. A Service is unpacked once, however many sets name it.
#[must_use]
pub fn rosters(entries: &[SetEntry], mut most: Most) -> Vec<Roster> {
    let mut by_service: BTreeMap<&ServiceKey, (&Sheet, Vec<usize>)> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        if let Some(sheet) = entry.governing.as_deref() {
            by_service.entry(&sheet.key).or_insert((sheet, Vec::new())).1.push(place);
        }
    }
    let mut rosters: BTreeMap<usize, Roster> = BTreeMap::new();
    for (sheet, places) in by_service.into_values() {
        let objects = sheet.objects();
        let (found, sets) = (by_set(&objects), sets(&objects));
        for place in places {
            let set = entries.get(place).and_then(|entry| sets.get(&*entry.name));
            if let Some(set) = set {
                let found = found.get(&*set.name).unwrap_or(&NONE);
                rosters.insert(place, roster(&objects, set, found, sheet.name(), &mut most));
            }
        }
    }
    let of_none = |entry: &SetEntry| Roster {
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
        service: None,
        shape: None,
        start: 0,
        replicas: None,
        ready: 0,
        cells: Vec::new(),
        more: 0,
    };
    let places = entries.iter().enumerate();
    places.map(|(place, entry)| rosters.remove(&place).unwrap_or_else(|| of_none(entry))).collect()
}

/// The endpoints of a set's replicas by ordinal, each with its slice.
type Found<'o> = BTreeMap<u64, Vec<(&'o str, &'o Endpoint)>>;

/// Of a set that has none.
static NONE: Found<'static> = BTreeMap::new();

/// In one pass, for a Service may have many sets.
fn by_set(objects: &ServiceObjects) -> HashMap<&str, Found<'_>> {
    let mut by_set: HashMap<&str, Found<'_>> = HashMap::new();
    for slice in &objects.slices {
        for endpoint in &slice.endpoints {
            for (set, ordinal) in replicas(endpoint) {
                by_set.entry(set).or_default().entry(ordinal).or_default().push((&slice.name, endpoint));
            }
        }
    }
    by_set
}

fn sets(objects: &ServiceObjects) -> BTreeMap<&str, &StatefulSet> {
    objects.sets.iter().map(|set| (&*set.name, set)).collect()
}

fn wanted(set: &StatefulSet) -> Range<u64> {
    u64::from(set.start)..u64::from(set.start) + u64::from(set.replicas)
}

fn roster(
    objects: &ServiceObjects,
    set: &StatefulSet,
    found: &Found<'_>,
    service: &str,
    most: &mut Most,
) -> Roster {
    let wanted = wanted(set);
    let is_ready = |endpoints: &[(&str, &Endpoint)]| state(endpoints) == CellState::Ready;
    let ready = found.iter().filter(|(ordinal, endpoints)| wanted.contains(ordinal) && is_ready(endpoints));
    let ready = ready.count();
    let unwanted = found.keys().filter(|ordinal| !wanted.contains(ordinal)).count();
    let ordinals = ordinals(found, wanted.clone(), is_ready, most);
    most.all = most.all.saturating_sub(ordinals.len());
    let cell = |ordinal: &u64| {
        let endpoints = found.get(ordinal).map_or(&[][..], Vec::as_slice);
        cell(format!("{}-{ordinal}", set.name), *ordinal, wanted.contains(ordinal), endpoints)
    };
    Roster {
        namespace: set.namespace.as_str().to_owned(),
        name: set.name.to_string(),
        service: Some(service.to_owned()),
        shape: objects.service.as_ref().map(|service| service.shape.as_str()),
        start: set.start,
        replicas: Some(set.replicas),
        ready,
        more: u64::from(set.replicas) + unwanted as u64 - ordinals.len() as u64,
        cells: ordinals.iter().map(cell).collect(),
    }
}

/// Those of the replicas that are wanted or there which are told one by one, in order.
fn ordinals(
    found: &Found<'_>,
    wanted: Range<u64>,
    is_ready: impl Fn(&[(&str, &Endpoint)]) -> bool,
    most: &Most,
) -> Vec<u64> {
    let each = most.each.min(most.all);
    // None of the first is behind as many that are wanted.
    let first = wanted.clone().take(each).chain(found.keys().copied());
    let mut ordinals: Vec<u64> = first.collect();
    ordinals.sort_unstable();
    ordinals.dedup();
    ordinals.truncate(each);
    let next = ordinals.last().map_or(wanted.start, |last| wanted.start.max(last.saturating_add(1)));
    // As many steps as there are replicas, and a few.
    let is_absent = |ordinal: &u64| found.get(ordinal).is_none_or(|endpoints| !is_ready(endpoints));
    let absent = most.absent.min(most.all - each);
    ordinals.extend((next..wanted.end).filter(is_absent).take(absent));
    ordinals
}

/// The replica that an endpoint is, by its pod's name; and by its host name, where that is one of another set.
fn replicas(endpoint: &Endpoint) -> impl Iterator<Item = (&str, u64)> {
    let pod = endpoint.pod.as_ref().and_then(|pod| replica(&pod.name));
    let host = endpoint.hostname.as_ref().and_then(|host| replica(host.as_str()));
    let host = host.filter(|(set, _)| pod.is_none_or(|(of_pod, _)| of_pod != *set));
    pod.into_iter().chain(host)
}

/// A set and an ordinal.
fn replica(name: &str) -> Option<(&str, u64)> {
    let (set, digits) = name.rsplit_once('-')?;
    Some((set, model::ordinal(digits.as_bytes())?))
}

/// Of a pod that goes and one that came in its place the latter is told of, as in the records.
fn of_now<'o>(
    endpoints: &[(&'o str, &'o Endpoint)],
) -> impl Iterator<Item = (&'o str, &'o Endpoint)> + Clone {
    let has_live = endpoints.iter().any(|(_, endpoint)| !endpoint.terminating);
    endpoints.iter().copied().filter(move |(_, endpoint)| endpoint.terminating != has_live)
}

fn state(endpoints: &[(&str, &Endpoint)]) -> CellState {
    if endpoints.is_empty() {
        CellState::Missing
    } else if endpoints.iter().all(|(_, endpoint)| endpoint.terminating) {
        CellState::Terminating
    } else if of_now(endpoints).any(|(_, endpoint)| endpoint.ready) {
        CellState::Ready
    } else {
        CellState::NotReady
    }
}

fn addresses(endpoints: &[(&str, &Endpoint)]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        of_now(endpoints).flat_map(|(_, endpoint)| endpoint.addresses.iter().copied()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn cell(name: String, ordinal: u64, expected: bool, endpoints: &[(&str, &Endpoint)]) -> Cell {
    let mut slices: Vec<String> = of_now(endpoints).map(|(slice, _)| slice.to_owned()).collect();
    slices.sort_unstable();
    slices.dedup();
    Cell { name, ordinal, state: state(endpoints), expected, addresses: addresses(endpoints), slices }
}

/// A replica that is otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// `web-0`.
    pub name: String,
    /// None where there was none, and none was wanted.
    pub from: Option<CellState>,
    /// None where there is none any more, and none is wanted.
    pub to: Option<CellState>,
    /// Where it is now, the first few addresses.
    pub addresses: Vec<IpAddr>,
}

/// What differs between a service before a change and after it; of a set that names it, or of the service itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The Service is another: what it was and what it is, as [`Roster::shape`] has it; None is not there.
    Service(Option<&'static str>, Option<&'static str>),
    /// A set: its name, what `spec.replicas` was and is, replicas that turned, and how many more did.
    Set(String, [Option<u32>; 2], Vec<Turn>, usize),
    /// Endpoints that are no set's: how many were ready, and how many are; and whether it is others that are.
    Endpoints(usize, usize),
}

/// Finds what differs. What does not show in any name, as a port's name, is no difference.
#[must_use]
pub fn difference(change: &ServiceChange) -> Vec<Difference> {
    let (before, after) = (change.before.objects(), change.after.objects());
    let service = |objects: &ServiceObjects| objects.service.as_ref().map(|service| service.shape.as_str());
    let (was, is) = (service(&before), service(&after));
    let mut differences = Vec::new();
    if was != is {
        differences.push(Difference::Service(was, is));
    }
    let (found_before, found_after) = (by_set(&before), by_set(&after));
    let (sets_before, sets_after) = (sets(&before), sets(&after));
    let names: BTreeSet<&str> = sets_before.keys().chain(sets_after.keys()).copied().collect();
    for name in names {
        let old = Side::new(&sets_before, &found_before, name);
        let new = Side::new(&sets_after, &found_after, name);
        let replicas = [&old, &new].map(|side| side.as_ref().map(|side| side.set.replicas));
        let (turns, more) = turns(name, old.as_ref(), new.as_ref());
        if replicas[0] != replicas[1] || !turns.is_empty() {
            differences.push(Difference::Set(name.to_owned(), replicas, turns, more));
        }
    }
    let others = |objects: &ServiceObjects| -> Vec<IpAddr> {
        let endpoints = objects.slices.iter().flat_map(|slice| &slice.endpoints);
        let sets = sets(objects);
        let of_none = endpoints
            .filter(|endpoint| endpoint.ready && !replicas(endpoint).any(|(set, _)| sets.contains_key(set)));
        let mut addresses: Vec<IpAddr> = of_none.flat_map(|endpoint| endpoint.addresses.clone()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    };
    let (were, are) = (others(&before), others(&after));
    if were != are && before.sets == after.sets {
        differences.push(Difference::Endpoints(were.len(), are.len()));
    }
    differences
}

/// A set before a change, or after it.
struct Side<'o> {
    set: &'o StatefulSet,
    found: &'o Found<'o>,
}

impl<'o> Side<'o> {
    fn new(
        sets: &BTreeMap<&str, &'o StatefulSet>,
        found: &'o HashMap<&str, Found<'o>>,
        name: &str,
    ) -> Option<Self> {
        let set = sets.get(name)?;
        Some(Self { set, found: found.get(name).unwrap_or(&NONE) })
    }

    fn endpoints(&self, ordinal: u64) -> &[(&'o str, &'o Endpoint)] {
        self.found.get(&ordinal).map_or(&[], Vec::as_slice)
    }

    fn state(&self, ordinal: u64) -> Option<CellState> {
        let endpoints = self.endpoints(ordinal);
        (!endpoints.is_empty() || wanted(self.set).contains(&ordinal)).then(|| state(endpoints))
    }
}

/// The replicas that differ, and how many more do. That a set wants more or fewer says by itself which are missing or no
/// longer missed.
fn turns(set: &str, old: Option<&Side<'_>>, new: Option<&Side<'_>>) -> (Vec<Turn>, usize) {
    let keys = |side: Option<&Side<'_>>| side.map(|side| side.found.keys().copied().collect::<Vec<u64>>());
    let there: BTreeSet<u64> = [keys(old), keys(new)].into_iter().flatten().flatten().collect();
    let (mut turns, mut more) = (Vec::new(), 0);
    for ordinal in there {
        let was = old.map_or(&[][..], |side| side.endpoints(ordinal));
        let is = new.map_or(&[][..], |side| side.endpoints(ordinal));
        let mut to_addresses = addresses(is);
        if state(was) == state(is) && addresses(was) == to_addresses {
            continue;
        }
        if turns.len() == MOST_TURNS {
            more += 1;
            continue;
        }
        to_addresses.truncate(MOST_ADDRESSES);
        let state = |side: Option<&Side<'_>>| side.and_then(|side| side.state(ordinal));
        let (from, to) = (state(old), state(new));
        turns.push(Turn { name: format!("{set}-{ordinal}"), from, to, addresses: to_addresses });
    }
    (turns, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Index;
    use crate::model::{EndpointSlice, Label, Object, PodReference, Service, ServiceShape, TtlOverrides};

    const MOST_CELLS: usize = 4096;

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn key(name: &str) -> ServiceKey {
        ServiceKey { namespace: label("default"), name: label(name) }
    }

    fn mk_endpoint(pod: &str, address: &str, ready: bool, terminating: bool) -> Endpoint {
        Endpoint {
            addresses: vec![address.parse().unwrap()],
            hostname: Some(label(pod)),
            pod: Some(PodReference { name: pod.into(), uid: address.into() }),
            ready,
            terminating,
        }
    }

    fn mk_index(replicas: u32, endpoints: Vec<Endpoint>) -> Index {
        let mut index = Index::new();
        index.keep_changes(9);
        let (shape, ttl) = (ServiceShape::Headless, TtlOverrides::default());
        index.apply(Object::Service(Service { key: key("nginx"), shape, ports: Vec::new(), ttl }));
        index.apply(mk_set(replicas));
        index.apply(mk_slice("nginx-x7", endpoints));
        index
    }

    fn mk_set(replicas: u32) -> Object {
        let (namespace, service) = (label("default"), Some(label("nginx")));
        Object::StatefulSet(StatefulSet {
            namespace,
            name: "web".into(),
            service,
            start: 0,
            replicas,
            parallel: false,
            revision: None,
        })
    }

    fn mk_slice(name: &str, endpoints: Vec<Endpoint>) -> Object {
        let (service, ports) = (key("nginx"), Vec::new());
        Object::EndpointSlice(EndpointSlice { service, name: name.into(), ports, endpoints })
    }

    fn web(index: &Index) -> Roster {
        cut(index, Most { each: MOST_CELLS, absent: 0, all: MOST_CELLS })
    }

    fn cut(index: &Index, most: Most) -> Roster {
        rosters(&index.set_entries([("default", "web")]), most).remove(0)
    }

    fn states(index: &Index) -> Vec<(u64, CellState, bool)> {
        web(index).cells.iter().map(|cell| (cell.ordinal, cell.state, cell.expected)).collect()
    }

    #[test]
    fn each_replica_is_as_its_slices_say() {
        let mut index = mk_index(
            4,
            vec![
                mk_endpoint("web-0", "10.0.0.1", true, false),
                mk_endpoint("web-1", "10.0.0.2", false, false),
                mk_endpoint("web-2", "10.0.0.3", true, true),
                mk_endpoint("web-7", "10.0.0.9", false, true),
                mk_endpoint("web-01", "10.0.0.4", true, false),
                mk_endpoint("webs-1", "10.0.0.5", true, false),
            ],
        );
        use CellState::{Missing, NotReady, Ready, Terminating};
        let as_they_are = [
            (0, Ready, true),
            (1, NotReady, true),
            (2, Terminating, true),
            (3, Missing, true),
            (7, Terminating, false),
        ];
        assert_eq!(states(&index), as_they_are);
        // The one that comes in the place of the one that goes, and the other family in a slice of its own.
        let endpoints = vec![
            mk_endpoint("web-2", "10.0.0.8", false, false),
            mk_endpoint("web-0", "fd00::1", true, false),
        ];
        index.apply(mk_slice("nginx-y8", endpoints));
        assert_eq!(states(&index)[2], (2, NotReady, true));
        let roster = web(&index);
        assert_eq!(roster.cells[0].addresses, ["10.0.0.1", "fd00::1"].map(|a| a.parse::<IpAddr>().unwrap()));
        assert_eq!(roster.cells[0].slices, ["nginx-x7", "nginx-y8"]);
        assert_eq!(roster.cells[2].addresses, ["10.0.0.8".parse::<IpAddr>().unwrap()]);
        assert_eq!((roster.shape, roster.replicas, roster.more), (Some("headless"), Some(4), 0));
    }

    #[test]
    fn a_set_of_any_size_is_bounded() {
        let endpoints = vec![
            mk_endpoint("web-0", "10.0.0.2", true, false),
            mk_endpoint("web-9000", "10.0.0.3", true, false),
            mk_endpoint("web-4294967296", "10.0.0.1", false, true),
        ];
        let mut index = mk_index(u32::MAX, endpoints);
        let roster = web(&index);
        let all = u64::from(u32::MAX) + 1;
        assert_eq!((roster.cells.len(), roster.more), (MOST_CELLS, all - MOST_CELLS as u64));
        assert_eq!(roster.ready, 2, "one that is not shown is counted");
        let row = cut(&index, Most { each: 1, absent: 2, all: 9 });
        let ordinals: Vec<u64> = row.cells.iter().map(|cell| cell.ordinal).collect();
        assert_eq!((ordinals, row.more), (vec![0, 1, 2], all - 3));
        index.apply(mk_set(1));
        let of_one = web(&index);
        assert_eq!((of_one.ready, of_one.more), (1, 0), "one that is not wanted is not counted");
        index.apply(mk_set(0));
        assert_eq!(states(&index).last(), Some(&(4_294_967_296, CellState::Terminating, false)));
        let cut = cut(&index, Most { each: 2, absent: 3, all: 9 });
        assert_eq!((cut.cells.len(), cut.more), (2, 1));
    }

    #[test]
    fn many_large_sets_are_bounded_together() {
        let mut index = Index::new();
        for name in ["a", "b", "c"] {
            let (namespace, service) = (label("default"), Some(label(name)));
            let (name, replicas, start) = (name.into(), 5000, 0);
            let parallel = false;
            index.apply(Object::StatefulSet(StatefulSet {
                namespace,
                name,
                service,
                start,
                replicas,
                parallel,
                revision: None,
            }));
        }
        let sets = index.list_sets(&crate::cluster::Wanted { limit: 9, ..Default::default() }).items;
        let told = rosters(&sets, Most { each: 4000, absent: 0, all: 6000 });
        let told: Vec<(usize, u64)> = told.iter().map(|set| (set.cells.len(), set.more)).collect();
        assert_eq!(told, [(4000, 1000), (2000, 3000), (0, 5000)]);
    }

    #[test]
    fn what_differs_is_told_by_replica() {
        let mut index = mk_index(2, vec![mk_endpoint("web-0", "10.0.0.1", false, false)]);
        let _ = index.take_changes();
        let turn = |name: &str, from, to, addresses: &[&str]| Turn {
            name: name.into(),
            from,
            to,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let told = |index: &mut Index| index.take_changes().iter().flat_map(difference).collect::<Vec<_>>();
        let web = |replicas, turns| Difference::Set("web".into(), replicas, turns, 0);
        use CellState::{Missing, NotReady, Ready};
        index.apply(mk_slice("nginx-x7", vec![mk_endpoint("web-0", "10.0.0.1", true, false)]));
        let ready = turn("web-0", Some(NotReady), Some(Ready), &["10.0.0.1"]);
        assert_eq!(told(&mut index), [web([Some(2), Some(2)], vec![ready])]);
        index.apply(mk_set(3));
        assert_eq!(told(&mut index), [web([Some(2), Some(3)], vec![])]);
        index.apply(mk_slice("nginx-x7", vec![mk_endpoint("web-5", "10.0.0.2", true, false)]));
        let gone = turn("web-0", Some(Ready), Some(Missing), &[]);
        let came = turn("web-5", None, Some(Ready), &["10.0.0.2"]);
        assert_eq!(told(&mut index), [web([Some(3), Some(3)], vec![gone, came])]);
        index.apply(mk_slice("nginx-z", vec![mk_endpoint("other", "10.0.0.3", true, false)]));
        assert_eq!(told(&mut index), [Difference::Endpoints(0, 1)]);
        index.apply(mk_slice("nginx-y", vec![mk_endpoint("web-9000", "10.0.0.4", true, false)]));
        let came = turn("web-9000", None, Some(Ready), &["10.0.0.4"]);
        assert_eq!(told(&mut index), [web([Some(3), Some(3)], vec![came])]);
        let all_of_it = (0..200).map(|n| mk_endpoint("web-9", &format!("10.9.0.{n}"), true, false));
        index.apply(mk_slice("nginx-y", all_of_it.collect()));
        let [Difference::Set(_, _, turns, 0)] = &told(&mut index)[..] else { panic!("one set") };
        assert_eq!((turns[0].name.as_str(), turns[0].addresses.len()), ("web-9", MOST_ADDRESSES));
        index.apply(mk_slice("nginx-y", Vec::new()));
        let _ = index.take_changes();
        index.delete(&crate::cluster::ObjectName::of(&mk_set(3)));
        let left = turn("web-5", Some(Ready), None, &[]);
        assert_eq!(told(&mut index), [web([Some(3), None], vec![left])]);
    }
}
