//! From dirty to published: the one place where the cluster meets the zone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::cluster::{Dirty, Index, Kind, ObjectName, ServiceObjects};
use crate::model::{Object, ServiceKey, ServiceShape};
use crate::records::{Input, Problem, Settings, service_records};
use crate::zone::{Change, Freshness, Publisher};

/// Owns the index and the publisher; what changes in one is published by the other.
pub struct Driver {
    index: Index,
    publisher: Publisher,
    settings: Settings,
    /// Where this process is reached.
    own: Vec<IpAddr>,
    /// The clusterIPs of the Services that select this pod.
    in_front: BTreeMap<ServiceKey, Vec<IpAddr>>,
    revision: u64,
    pods_known: bool,
}

/// What a publish did.
#[derive(Debug, Default)]
pub struct Published {
    /// How many values of the zone differ.
    pub changed: usize,
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
            revision: 0,
            pods_known: false,
        }
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

    /// Puts another cluster in the place of the one that is known; see [`Driver::publish`]. All of it is to be dirty, and
    /// nothing was published yet.
    pub fn load(&mut self, index: Index) {
        self.index = index;
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

    /// Publishes what changed since the last time. Before the first answers every core makes records: a start waits for
    /// them, and nobody else does.
    pub fn publish(&mut self) -> Published {
        let dirty: Vec<Dirty> = self.index.take_dirty().into_iter().collect();
        self.revision += u64::from(!dirty.is_empty());
        let mut published = Published::default();
        let (index, settings, own) = (&self.index, &self.settings, &*self.own);
        let make = |dirty: &Dirty| change(index, settings, own, dirty);
        let in_front = &mut self.in_front;
        let mut tell = |beside: Option<Beside>| {
            let Some(Beside { key, addresses, problems }) = beside else { return };
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
        published
    }

    /// Says that the cluster is complete; see [`Publisher::synchronised`].
    pub fn synchronised(&mut self) {
        self.publisher.synchronised();
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

/// What is found of a service beside its records.
struct Beside {
    key: ServiceKey,
    /// Those in front of this process; see [`addresses_in_front`].
    addresses: Option<Vec<IpAddr>>,
    problems: Vec<Problem>,
}

/// What became of something dirty.
fn change(index: &Index, settings: &Settings, own: &[IpAddr], dirty: &Dirty) -> (Change, Option<Beside>) {
    match dirty {
        Dirty::Service(key) => {
            let objects = index.service(key);
            let addresses = addresses_in_front(&objects, own);
            let ServiceObjects { service, slices, sets } = &objects;
            let (slices, sets): (Vec<_>, Vec<_>) = (slices.iter().collect(), sets.iter().collect());
            let input = Input { key, service: service.as_ref(), slices: &slices, sets: &sets };
            let (records, problems) = service_records(input, settings);
            let beside = Beside { key: key.clone(), addresses, problems };
            (Change::Service(key.clone(), records.map(Box::new)), Some(beside))
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
