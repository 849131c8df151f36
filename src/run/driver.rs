//! From dirty to published: the one place where the cluster meets the zone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use foldhash::HashSet;

use crate::cluster::{Dirty, Index, Kind, ObjectName, ServiceObjects};
use crate::model::{Label, Object, PodState, ServiceKey, ServiceShape, StatefulSet};
use crate::reasons::{Facts, Incomplete, Notes, Reason, incomplete, of_service, owners};
use crate::records::{Input, Problem, ServiceRecords, Settings, service_records};
use crate::source::kubernetes::SetName;
use crate::zone::{Change, Freshness, KeptError, Publisher};

/// Owns the index and the publisher; what changes in one is published by the other.
pub struct Driver {
    index: Index,
    publisher: Publisher,
    settings: Settings,
    /// Where this process is reached.
    own: Vec<IpAddr>,
    /// The clusterIPs of the Services that select this pod.
    in_front: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// The sets of Services some of whose replicas have no name, while somebody is told why.
    incomplete: BTreeMap<ServiceKey, Vec<Incomplete>>,
    wanted: BTreeMap<SetName, Option<Vec<u64>>>,
    revision: u64,
    pods_known: bool,
    /// Somebody is told why names are absent: it is kept beside the records.
    explains: bool,
}

/// What a publish did.
#[derive(Debug, Default)]
pub struct Published {
    /// How many values of the zone differ.
    pub changed: usize,
    /// How many services, namespaces and pods were looked at for it.
    pub dirty: usize,
    /// What could not be published.
    pub problems: Vec<Problem>,
    /// Other addresses are in front of this process than before.
    pub moved: bool,
}

impl Driver {
    /// Drives an empty cluster.
    #[must_use]
    pub fn new(publisher: Publisher, settings: Settings) -> Self {
        let in_front = BTreeMap::new();
        Self {
            index: Index::new(),
            publisher,
            settings,
            own: Vec::new(),
            in_front,
            incomplete: BTreeMap::new(),
            wanted: BTreeMap::new(),
            revision: 0,
            pods_known: false,
            explains: false,
        }
    }

    /// Keeps why names are absent, or does not; see [`Driver::publish`]. What was published is not made again.
    pub fn set_explains(&mut self, explains: bool) {
        self.explains = explains;
    }

    /// Tells where this process is reached, so that Services in front of it are found.
    #[must_use]
    pub fn at(mut self, own: &[IpAddr]) -> Self {
        self.own = own.to_vec();
        self
    }

    /// Adds or replaces an object; see [`Driver::publish`].
    pub fn apply(&mut self, object: Object) {
        self.index.apply(object);
    }

    /// Removes an object; see [`Driver::publish`].
    pub fn delete(&mut self, object: &ObjectName) {
        self.index.delete(object);
    }

    /// Replaces the whole cluster; see [`Driver::publish`].
    pub fn reset(&mut self, objects: Vec<Object>) {
        let mut by_kind: Vec<(Kind, Vec<Object>)> = Kind::ALL.map(|kind| (kind, Vec::new())).into();
        for object in objects {
            let kind = ObjectName::of(&object).kind;
            if let Some((_, of_kind)) = by_kind.iter_mut().find(|(k, _)| *k == kind) {
                of_kind.push(object);
            }
        }
        by_kind.into_iter().for_each(|(kind, objects)| self.index.reset(kind, objects));
    }

    /// Puts another cluster in the place of the one that is known; see [`Driver::publish`]. All of it is to be dirty.
    pub fn load(&mut self, index: Index) {
        self.index = index;
        // What is published and not in it goes.
        let (services, namespaces) = self.publisher.names();
        let services = services.into_iter().map(Dirty::Service);
        self.index.touch(services.chain(namespaces.into_iter().map(Dirty::Namespace)));
    }

    /// Serves a zone that was kept before the cluster that it was made of is known; [`Driver::load`] is to follow.
    ///
    /// # Errors
    /// When it is none that would be made of that cluster; see [`Publisher::take_up`].
    pub fn take_up(&mut self, zone: &[u8]) -> Result<(), KeptError> {
        self.publisher.take_up(zone, &self.rules())
    }

    /// Appends the zone, for [`Driver::take_up`]; by any thread, while this one goes on publishing.
    pub fn keep(&self) -> impl FnOnce(&mut Vec<u8>) + Send + 'static {
        let (reader, rules) = (self.publisher.reader(), self.rules());
        move |out| reader.keep(&rules, out)
    }

    /// What records are made by, and what is kept beside them, beside the objects.
    fn rules(&self) -> String {
        let Settings { zone, endpoint_pod_names } = &self.settings;
        format!("{} {zone} {endpoint_pod_names} {}", env!("CARGO_PKG_VERSION"), self.explains)
    }

    /// Says what the serial was before this process; see [`Publisher::resume_serial`].
    pub fn resume_serial(&mut self, last: u32) {
        self.publisher.resume_serial(last);
    }

    /// The zone's serial.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.publisher.serial()
    }

    /// Another number for each state of the cluster that was published.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Says how far what is published may be believed; see [`Publisher::set_freshness`].
    pub fn set_freshness(&mut self, freshness: Freshness) {
        self.publisher.set_freshness(freshness);
    }

    /// Says since when what is published is stale; see [`Publisher::set_stale_reason`].
    pub fn set_stale_reason(&mut self, reason: Reason<'_>) {
        self.publisher.set_stale_reason(reason);
    }

    /// Publishes what changed since the last time. Before the first answers every core makes records: a start waits for
    /// them, and nobody else does.
    pub fn publish(&mut self) -> Published {
        let dirty: Vec<Dirty> = self.index.take_dirty().into_iter().collect();
        self.revision += u64::from(!dirty.is_empty());
        let mut published = Published { dirty: dirty.len(), ..Published::default() };
        let (index, settings, own, explains) = (&self.index, &self.settings, &*self.own, self.explains);
        let make = |dirty: &Dirty| change(index, settings, own, explains, dirty);
        let (in_front, known) = (&mut self.in_front, &mut self.incomplete);
        let mut differ = Vec::new();
        let mut tell = |beside: Option<Beside>| {
            let Some(Beside { key, addresses, problems, incomplete }) = beside else { return };
            let before = if incomplete.is_empty() {
                known.remove(&key)
            } else {
                known.insert(key.clone(), incomplete.clone())
            };
            if before.as_ref().unwrap_or(&Vec::new()) != &incomplete {
                differ.push((key.namespace.clone(), before.unwrap_or_default(), incomplete));
            }
            published.moved |= match addresses {
                Some(addresses) => in_front.insert(key, addresses.clone()) != Some(addresses),
                None => in_front.remove(&key).is_some(),
            };
            published.problems.extend(problems);
        };
        published.changed = if self.publisher.is_synchronised() {
            self.publisher.publish(dirty.iter().map(|dirty| {
                let (change, beside) = make(dirty);
                tell(beside);
                change
            }))
        } else {
            self.publisher.publish_all(&dirty, make, tell)
        };
        self.want(differ);
        published
    }

    /// Remembers whose pods are wanted, and forgets those of sets that are whole. What is over comes first: a set may
    /// have left one Service for another.
    fn want(&mut self, differ: Vec<(Label, Vec<Incomplete>, Vec<Incomplete>)>) {
        for (namespace, before, now) in &differ {
            let now: HashSet<&str> = now.iter().map(|set| &*set.set).collect();
            for over in before.iter().filter(|over| !now.contains(&*over.set)) {
                self.index.forget_pods(namespace, &over.set);
                self.wanted.insert((namespace.clone(), over.set.clone()), None);
            }
        }
        for (namespace, _, now) in differ {
            let now = now.into_iter().map(|set| ((namespace.clone(), set.set), Some(set.absent)));
            self.wanted.extend(now);
        }
    }

    /// The sets whose absent replicas are others than at the last call, with their ordinals; None is a set that is
    /// whole, or gone.
    pub fn take_wanted(&mut self) -> BTreeMap<SetName, Option<Vec<u64>>> {
        std::mem::take(&mut self.wanted)
    }

    /// Takes what the pods of a set say; see [`Index::put_pods`] and [`Driver::publish`].
    pub fn put_pods(&mut self, (namespace, set): &SetName, pods: Vec<PodState>, most: usize) -> bool {
        let service = self.index.set(namespace, set).and_then(|set| set.service);
        let key = service.map(|name| ServiceKey { namespace: namespace.clone(), name });
        let known = key.and_then(|key| self.incomplete.get(&key));
        // It may have become whole while it was asked about.
        let is_wanted = known.is_some_and(|sets| sets.iter().any(|other| other.set == *set));
        !is_wanted || self.index.put_pods(namespace, set, pods, most)
    }

    /// Whether replicas are absent whose pods may be asked why.
    #[must_use]
    pub fn has_incomplete(&self) -> bool {
        !self.incomplete.is_empty()
    }

    /// Says that the cluster is complete; see [`Publisher::synchronised`].
    pub fn synchronised(&mut self) {
        self.publisher.synchronised();
    }

    /// Forgets the cluster; see [`Publisher::withdraw`] and [`Driver::publish`].
    pub fn withdraw(&mut self) {
        self.publisher.withdraw();
        self.load(Index::new());
    }

    /// Says whether every pod is known; see [`Publisher::set_pods_known`].
    pub fn set_pods_known(&mut self, known: bool) {
        self.pods_known = known;
        self.publisher.set_pods_known(known);
    }

    /// What was said last.
    #[must_use]
    pub fn pods_known(&self) -> bool {
        self.pods_known
    }

    /// Where clients reach this process: the clusterIPs in front of it, else its own addresses.
    #[must_use]
    pub fn reached_at(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = self.in_front.values().flatten().copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() { self.own.clone() } else { addresses }
    }

    /// Changes the rules; the next publish makes every record again.
    pub fn set_settings(&mut self, settings: Settings, zone: crate::zone::Settings) {
        self.settings = settings;
        self.publisher.set_settings(zone);
        self.index.touch_all();
    }

    /// Changes the rules of answering alone: no record depends on what differs.
    pub fn set_zone_settings(&mut self, zone: crate::zone::Settings) {
        self.publisher.set_settings(zone);
    }

    /// The cluster as it is known.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The same, to change; see [`Driver::publish`].
    pub fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }
}

/// Why names of a service are absent.
fn notes(
    index: &Index,
    key: &ServiceKey,
    objects: &ServiceObjects,
    records: Option<&ServiceRecords>,
    settings: &Settings,
) -> Notes {
    let ServiceObjects { service, slices, sets } = objects;
    let owners: Vec<StatefulSet> =
        owners(slices).into_iter().filter_map(|name| index.set(&key.namespace, name)).collect();
    let pod_names = settings.endpoint_pod_names;
    let service = service.as_ref();
    let pods: Vec<PodState> =
        sets.iter().flat_map(|set| index.pods_of(&set.namespace, &set.name)).cloned().collect();
    of_service(&Facts { key, service, slices, sets, owners: &owners, pods: &pods, records, pod_names })
}

/// What is found of a service beside its records.
struct Beside {
    key: ServiceKey,
    /// Those in front of this process; see [`addresses_in_front`].
    addresses: Option<Vec<IpAddr>>,
    problems: Vec<Problem>,
    incomplete: Vec<Incomplete>,
}

/// What became of something dirty.
fn change(
    index: &Index,
    settings: &Settings,
    own: &[IpAddr],
    explains: bool,
    dirty: &Dirty,
) -> (Change, Option<Beside>) {
    match dirty {
        Dirty::Service(key) => {
            let objects = index.service(key);
            let addresses = addresses_in_front(&objects, own);
            let ServiceObjects { service, slices, sets } = &objects;
            let (slices, sets): (Vec<_>, Vec<_>) = (slices.iter().collect(), sets.iter().collect());
            let input = Input { key, service: service.as_ref(), slices: &slices, sets: &sets };
            let (mut records, problems) = service_records(input, settings);
            let notes = if explains {
                notes(index, key, &objects, records.as_ref(), settings)
            } else {
                Notes::default()
            };
            let incomplete = if explains {
                incomplete(service.as_ref(), &objects.sets, records.as_ref())
            } else {
                Vec::new()
            };
            if !notes.is_empty() && records.is_none() {
                records = Some(ServiceRecords::none(key.clone()));
            }
            let beside = Beside { key: key.clone(), addresses, problems, incomplete };
            (Change::Service(key.clone(), records.map(Box::new), notes), Some(beside))
        }
        Dirty::Namespace(name) => (Change::Namespace(name.clone(), index.has_namespace(name)), None),
        Dirty::Pod(namespace, address) => {
            let present = index.has_pod(namespace, *address);
            (Change::Pod(namespace.clone(), *address, present), None)
        }
    }
}

/// The clusterIPs of a Service one of whose endpoints, ready or not, is this process.
fn addresses_in_front(objects: &ServiceObjects, own: &[IpAddr]) -> Option<Vec<IpAddr>> {
    let ServiceShape::ClusterIp(addresses) = &objects.service.as_ref()?.shape else { return None };
    let mut endpoints = objects.slices.iter().flat_map(|slice| &slice.endpoints);
    let selects = endpoints.any(|endpoint| endpoint.addresses.iter().any(|address| own.contains(address)));
    (selects && !addresses.is_empty()).then(|| addresses.clone())
}
