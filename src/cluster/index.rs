//! The index.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use crate::model::{EndpointSlice, Label, Namespace, Object, Pod, Service, ServiceKey, StatefulSet};

/// The kinds of object that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Namespace,
    Service,
    EndpointSlice,
    StatefulSet,
    Pod,
}

impl Kind {
    /// All kinds, in an order in which a consistent cluster can be applied.
    pub const ALL: [Self; 5] =
        [Self::Namespace, Self::Service, Self::StatefulSet, Self::EndpointSlice, Self::Pod];
}

/// What an object is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; for a Namespace, itself.
    pub namespace: Label,
    /// Its name.
    pub name: Box<str>,
}

impl ObjectName {
    /// The name of an object.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        let (kind, namespace, name): (_, &Label, &str) = match object {
            Object::Namespace(o) => (Kind::Namespace, &o.name, o.name.as_str()),
            Object::Service(o) => (Kind::Service, &o.key.namespace, o.key.name.as_str()),
            Object::EndpointSlice(o) => (Kind::EndpointSlice, &o.service.namespace, &o.name),
            Object::StatefulSet(o) => (Kind::StatefulSet, &o.namespace, &o.name),
            Object::Pod(o) => (Kind::Pod, &o.namespace, &o.name),
        };
        Self { kind, namespace: namespace.clone(), name: name.into() }
    }
}

/// What has to be published again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dirty {
    /// Everything of a service.
    Service(ServiceKey),
    /// Whether a namespace is there.
    Namespace(Label),
    /// Whether a pod of a namespace has an address.
    Pod(Label, IpAddr),
}

/// Everything that the records of one service are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceObjects<'i> {
    /// The Service, if there is one.
    pub service: Option<&'i Service>,
    /// Its slices; the one that changed last is the last.
    pub slices: Vec<&'i EndpointSlice>,
    /// The StatefulSets that name it as their `serviceName`.
    pub sets: Vec<&'i StatefulSet>,
}

/// Objects by service, and what changed since it was last asked.
#[derive(Default)]
pub struct Index {
    by_service: HashMap<ServiceKey, Entry>,
    service_by_slice: HashMap<(Label, Box<str>), ServiceKey>,
    /// Sets without a `serviceName` have no names to expect, but they are there.
    service_by_set: HashMap<(Label, Box<str>), Option<ServiceKey>>,
    namespaces: HashSet<Label>,
    pods: HashMap<(Label, Box<str>), Vec<IpAddr>>,
    pods_by_address: HashMap<(Label, IpAddr), usize>,
    dirty: BTreeSet<Dirty>,
}

#[derive(Default)]
struct Entry {
    service: Option<Service>,
    slices: Vec<EndpointSlice>,
    sets: Vec<StatefulSet>,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.service.is_none() && self.slices.is_empty() && self.sets.is_empty()
    }
}

impl Index {
    /// An empty cluster.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces an object. One that is the same as before changes nothing.
    pub fn apply(&mut self, object: Object) {
        match object {
            Object::Namespace(Namespace { name }) => {
                if self.namespaces.insert(name.clone()) {
                    self.dirty.insert(Dirty::Namespace(name));
                }
            }
            Object::Service(service) => self.apply_service(service),
            Object::EndpointSlice(slice) => self.apply_slice(slice),
            Object::StatefulSet(set) => self.apply_set(set),
            Object::Pod(pod) => self.apply_pod(pod),
        }
    }

    /// Removes an object; one that is not there is no error.
    pub fn delete(&mut self, object: &ObjectName) {
        let name = || (object.namespace.clone(), object.name.clone());
        match object.kind {
            Kind::Namespace => {
                if self.namespaces.remove(&object.namespace) {
                    self.dirty.insert(Dirty::Namespace(object.namespace.clone()));
                }
            }
            Kind::Service => {
                let Ok(label) = Label::new(&object.name) else { return };
                let key = ServiceKey { namespace: object.namespace.clone(), name: label };
                self.change(key, |entry| entry.service.take().is_some());
            }
            Kind::EndpointSlice => {
                if let Some(key) = self.service_by_slice.remove(&name()) {
                    self.remove_slice(key, &object.name);
                }
            }
            Kind::StatefulSet => {
                if let Some(Some(key)) = self.service_by_set.remove(&name()) {
                    self.remove_set(key, &object.name);
                }
            }
            Kind::Pod => {
                if let Some(addresses) = self.pods.remove(&name()) {
                    self.count_pod(&object.namespace, &addresses, false);
                }
            }
        }
    }

    /// Replaces all objects of a kind by those of reloaded manifests, where of two of one name the last one counts;
    /// an API server's list is a [`Relist`](super::Relist). Only what differs becomes dirty.
    pub fn reset(&mut self, kind: Kind, objects: Vec<Object>) {
        let objects: Vec<(ObjectName, Object)> = objects
            .into_iter()
            .map(|object| (ObjectName::of(&object), object))
            .filter(|(name, _)| name.kind == kind)
            .collect();
        let listed: HashSet<&ObjectName> = objects.iter().map(|(name, _)| name).collect();
        let gone: Vec<ObjectName> =
            self.names(kind).into_iter().filter(|name| !listed.contains(name)).collect();
        gone.iter().for_each(|name| self.delete(name));
        objects.into_iter().for_each(|(_, object)| self.apply(object));
    }

    /// Deletes every object that `admits` says no to.
    pub fn retain(&mut self, admits: impl Fn(&ObjectName) -> bool) {
        for kind in Kind::ALL {
            let names = self.names(kind).into_iter();
            names.filter(|name| !admits(name)).for_each(|name| self.delete(&name));
        }
    }

    /// What became dirty since the last call, each once, in order.
    pub fn take_dirty(&mut self) -> BTreeSet<Dirty> {
        std::mem::take(&mut self.dirty)
    }

    /// Makes everything dirty: the rules of making records changed.
    pub fn touch_all(&mut self) {
        self.dirty.extend(self.by_service.keys().cloned().map(Dirty::Service));
        self.dirty.extend(self.namespaces.iter().cloned().map(Dirty::Namespace));
        self.dirty.extend(self.pods_by_address.keys().cloned().map(|(n, a)| Dirty::Pod(n, a)));
    }

    /// Everything of a service; empty when nothing is known.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> ServiceObjects<'_> {
        let entry = self.by_service.get(key);
        ServiceObjects {
            service: entry.and_then(|entry| entry.service.as_ref()),
            slices: entry.map(|entry| entry.slices.iter().collect()).unwrap_or_default(),
            sets: entry.map(|entry| entry.sets.iter().collect()).unwrap_or_default(),
        }
    }

    /// Whether there is a Namespace object.
    #[must_use]
    pub fn has_namespace(&self, name: &Label) -> bool {
        self.namespaces.contains(name)
    }

    /// Whether a pod of the namespace has the address.
    #[must_use]
    pub fn has_pod(&self, namespace: &Label, address: IpAddr) -> bool {
        self.pods_by_address.contains_key(&(namespace.clone(), address))
    }

    /// Whether an object is known just as it is.
    #[must_use]
    pub fn holds(&self, object: &Object) -> bool {
        let entry = |key: &ServiceKey| self.by_service.get(key);
        match object {
            Object::Namespace(namespace) => self.namespaces.contains(&namespace.name),
            Object::Service(service) => {
                entry(&service.key).is_some_and(|entry| entry.service.as_ref() == Some(service))
            }
            Object::EndpointSlice(slice) => {
                entry(&slice.service).is_some_and(|entry| entry.slices.contains(slice))
            }
            Object::StatefulSet(set) => {
                let name = (set.namespace.clone(), set.name.clone());
                match &set.service {
                    None => self.service_by_set.get(&name) == Some(&None),
                    Some(service) => {
                        let key = ServiceKey { namespace: name.0, name: service.clone() };
                        entry(&key).is_some_and(|entry| entry.sets.contains(set))
                    }
                }
            }
            Object::Pod(pod) => {
                self.pods.get(&(pod.namespace.clone(), pod.name.clone())) == Some(&pod.addresses)
            }
        }
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Namespace => self.namespaces.len(),
            Kind::Service => self.by_service.values().filter(|entry| entry.service.is_some()).count(),
            Kind::EndpointSlice => self.service_by_slice.len(),
            Kind::StatefulSet => self.service_by_set.len(),
            Kind::Pod => self.pods.len(),
        }
    }

    pub(super) fn names(&self, kind: Kind) -> Vec<ObjectName> {
        let named = |(namespace, name): &(Label, Box<str>)| ObjectName {
            kind,
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let label = |label: &Label| (label.clone(), label.as_str().into());
        match kind {
            Kind::Namespace => self.namespaces.iter().map(|n| named(&label(n))).collect(),
            Kind::Service => {
                let services = self.by_service.values().filter_map(|entry| entry.service.as_ref());
                services.map(|s| named(&(s.key.namespace.clone(), s.key.name.as_str().into()))).collect()
            }
            Kind::EndpointSlice => self.service_by_slice.keys().map(named).collect(),
            Kind::StatefulSet => self.service_by_set.keys().map(named).collect(),
            Kind::Pod => self.pods.keys().map(named).collect(),
        }
    }

    /// Changes a service's entry; `change` tells whether it did.
    fn change(&mut self, key: ServiceKey, change: impl FnOnce(&mut Entry) -> bool) {
        let entry = self.by_service.entry(key.clone()).or_default();
        let changed = change(entry);
        if entry.is_empty() {
            self.by_service.remove(&key);
        }
        if changed {
            self.dirty.insert(Dirty::Service(key));
        }
    }

    fn apply_service(&mut self, service: Service) {
        self.change(service.key.clone(), |entry| {
            let differs = entry.service.as_ref() != Some(&service);
            entry.service = Some(service);
            differs
        });
    }

    fn apply_slice(&mut self, slice: EndpointSlice) {
        let name = (slice.service.namespace.clone(), slice.name.clone());
        let before = self.service_by_slice.insert(name, slice.service.clone());
        if let Some(before) = before.filter(|before| *before != slice.service) {
            // The label was edited: the slice is another service's now.
            self.remove_slice(before, &slice.name);
        }
        self.change(slice.service.clone(), |entry| {
            if entry.slices.contains(&slice) {
                return false;
            }
            // The newest is the last: the records of a recreated pod go by it.
            entry.slices.retain(|other| other.name != slice.name);
            entry.slices.push(slice);
            true
        });
    }

    fn remove_slice(&mut self, key: ServiceKey, name: &str) {
        self.change(key, |entry| {
            let before = entry.slices.len();
            entry.slices.retain(|slice| &*slice.name != name);
            entry.slices.len() != before
        });
    }

    fn apply_set(&mut self, set: StatefulSet) {
        let key = set.service.clone().map(|name| ServiceKey { namespace: set.namespace.clone(), name });
        let before = self.service_by_set.insert((set.namespace.clone(), set.name.clone()), key.clone());
        if let Some(before) = before.flatten().filter(|before| Some(before) != key.as_ref()) {
            self.remove_set(before, &set.name);
        }
        let Some(key) = key else { return };
        self.change(key, |entry| {
            if entry.sets.contains(&set) {
                return false;
            }
            entry.sets.retain(|other| other.name != set.name);
            entry.sets.push(set);
            true
        });
    }

    fn remove_set(&mut self, key: ServiceKey, name: &str) {
        self.change(key, |entry| {
            let before = entry.sets.len();
            entry.sets.retain(|set| &*set.name != name);
            entry.sets.len() != before
        });
    }

    fn apply_pod(&mut self, pod: Pod) {
        let name = (pod.namespace.clone(), pod.name);
        if self.pods.get(&name) == Some(&pod.addresses) {
            return;
        }
        // The new ones are counted first: an address that stays is never seen to leave.
        self.count_pod(&pod.namespace, &pod.addresses, true);
        if let Some(before) = self.pods.insert(name, pod.addresses) {
            self.count_pod(&pod.namespace, &before, false);
        }
    }

    fn count_pod(&mut self, namespace: &Label, addresses: &[IpAddr], more: bool) {
        for &address in addresses {
            let key = (namespace.clone(), address);
            let count = self.pods_by_address.entry(key.clone()).or_default();
            let before = *count;
            *count = if more { before + 1 } else { before.saturating_sub(1) };
            let after = *count;
            if after == 0 {
                self.pods_by_address.remove(&key);
            }
            if (before == 0) != (after == 0) {
                self.dirty.insert(Dirty::Pod(namespace.clone(), address));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ServiceShape, TtlOverrides};

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn key(name: &str) -> ServiceKey {
        ServiceKey { namespace: label("default"), name: label(name) }
    }

    fn mk_service(name: &str) -> Object {
        let (shape, ttl) = (ServiceShape::Headless, TtlOverrides::default());
        Object::Service(Service { key: key(name), shape, ports: Vec::new(), ttl })
    }

    fn mk_slice(service: &str, name: &str) -> Object {
        let (ports, endpoints) = (Vec::new(), Vec::new());
        Object::EndpointSlice(EndpointSlice { service: key(service), name: name.into(), ports, endpoints })
    }

    fn mk_set(name: &str, service: Option<&str>, replicas: u32) -> Object {
        let (namespace, service) = (label("default"), service.map(label));
        Object::StatefulSet(StatefulSet { namespace, name: name.into(), service, start: 0, replicas })
    }

    fn mk_pod(name: &str, addresses: &[&str]) -> Object {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Object::Pod(Pod { namespace: label("default"), name: name.into(), addresses })
    }

    fn dirty(index: &mut Index) -> Vec<Dirty> {
        index.take_dirty().into_iter().collect()
    }

    #[test]
    fn what_is_the_same_is_not_dirty() {
        let mut index = Index::new();
        let objects =
            [mk_service("a"), mk_slice("a", "a-1"), mk_set("s", Some("a"), 3), mk_pod("p", &["10.0.0.1"])];
        objects.iter().for_each(|object| index.apply(object.clone()));
        assert_eq!(dirty(&mut index).len(), 2);
        objects.iter().for_each(|object| index.apply(object.clone()));
        assert_eq!(dirty(&mut index), []);
    }

    #[test]
    fn a_slice_that_changes_its_service_leaves_the_old_one() {
        let mut index = Index::new();
        index.apply(mk_slice("a", "x"));
        index.take_dirty();
        index.apply(mk_slice("b", "x"));
        assert_eq!(dirty(&mut index), [Dirty::Service(key("a")), Dirty::Service(key("b"))]);
        assert_eq!((index.service(&key("a")).slices.len(), index.service(&key("b")).slices.len()), (0, 1));
    }

    #[test]
    fn a_set_that_changes_its_service_leaves_the_old_one() {
        let mut index = Index::new();
        index.apply(mk_set("s", Some("a"), 1));
        index.apply(mk_set("s", None, 1));
        assert_eq!((index.service(&key("a")).sets.len(), index.count(Kind::StatefulSet)), (0, 1));
        index.apply(mk_set("s", Some("b"), 2));
        assert_eq!(index.service(&key("b")).sets[0].replicas, 2);
    }

    #[test]
    fn the_slice_that_changed_last_is_last() {
        let mut index = Index::new();
        index.apply(mk_slice("a", "x"));
        index.apply(mk_slice("a", "y"));
        let Object::EndpointSlice(mut x) = mk_slice("a", "x") else { unreachable!() };
        x.ports.push(crate::model::Port { name: None, protocol: crate::model::Protocol::Tcp, number: 1 });
        index.apply(Object::EndpointSlice(x));
        let names: Vec<_> = index.service(&key("a")).slices.iter().map(|s| s.name.to_string()).collect();
        assert_eq!(names, ["y", "x"]);
    }

    #[test]
    fn a_reset_says_only_what_differs() {
        let mut index = Index::new();
        index.reset(Kind::Service, vec![mk_service("a"), mk_service("b")]);
        index.take_dirty();
        index.reset(Kind::Service, vec![mk_service("b"), mk_service("c")]);
        assert_eq!(dirty(&mut index), [Dirty::Service(key("a")), Dirty::Service(key("c"))]);
        assert_eq!(index.count(Kind::Service), 2);
    }

    #[test]
    fn pods_that_share_an_address_hold_it_together() {
        let mut index = Index::new();
        let address = "10.0.0.1".parse().unwrap();
        index.apply(mk_pod("p", &["10.0.0.1"]));
        index.apply(mk_pod("q", &["10.0.0.1"]));
        index.take_dirty();
        index.delete(&ObjectName::of(&mk_pod("p", &[])));
        assert_eq!(dirty(&mut index), []);
        assert!(index.has_pod(&label("default"), address));
        index.apply(mk_pod("q", &["10.0.0.2"]));
        assert!(!index.has_pod(&label("default"), address));
        assert_eq!(dirty(&mut index).len(), 2);
    }

    #[test]
    fn nothing_stays_behind() {
        let mut index = Index::new();
        let objects = [
            mk_service("a"),
            mk_slice("a", "a-1"),
            mk_set("s", Some("a"), 3),
            mk_pod("p", &["10.0.0.1"]),
            Object::Namespace(Namespace { name: label("n") }),
        ];
        objects.iter().for_each(|object| index.apply(object.clone()));
        objects.iter().for_each(|object| index.delete(&ObjectName::of(object)));
        assert!(index.by_service.is_empty() && index.pods.is_empty() && index.pods_by_address.is_empty());
        assert!(Kind::ALL.iter().all(|kind| index.count(*kind) == 0));
    }
}
