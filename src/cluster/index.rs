//! The index.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::packed::Packed;
use super::pods::SetPods;
use super::services::Services;
use crate::model::{
    EndpointSlice, Label, Namespace, Object, Pod, Service, ServiceKey, ServiceShape, StatefulSet,
};

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
pub struct ServiceObjects {
    /// The Service, if there is one.
    pub service: Option<Service>,
    /// Its slices; the one that changed last is the last.
    pub slices: Vec<EndpointSlice>,
    /// The StatefulSets that name it as their `serviceName`.
    pub sets: Vec<StatefulSet>,
}

impl ServiceObjects {
    pub(super) fn of(key: &ServiceKey, objects: &[Packed]) -> Self {
        Self {
            service: objects.iter().find_map(|object| object.service(key)),
            slices: objects.iter().filter_map(|object| object.slice(key)).collect(),
            sets: objects.iter().filter_map(|object| object.set(key)).collect(),
        }
    }
}

/// Objects by service, and what changed since it was last asked.
#[derive(Default)]
pub struct Index {
    pub(super) services: Services,
    /// Sets without a `serviceName` have no names to expect, but they are there.
    pub(super) sets_of_none: HashSet<(Label, Box<str>)>,
    pub(super) namespaces: HashSet<Label>,
    pub(super) pods: HashMap<(Label, Box<str>), Box<[IpAddr]>>,
    pods_by_address: HashMap<(Label, IpAddr), u32>,
    pub(super) set_pods: SetPods,
    dirty: BTreeSet<Dirty>,
}

/// An object as the index takes it: packed, but for those whose names are all there is to them.
#[derive(Debug)]
pub(super) enum Held {
    Packed(ServiceKey, Packed),
    Whole(Object),
}

impl From<Object> for Held {
    fn from(object: Object) -> Self {
        match object {
            Object::Service(service) => {
                let packed = Packed::of_service(&service);
                Self::Packed(service.key, packed)
            }
            Object::EndpointSlice(slice) => {
                let packed = Packed::of_slice(&slice);
                Self::Packed(slice.service, packed)
            }
            Object::StatefulSet(set) => match &set.service {
                Some(service) => {
                    let key = ServiceKey { namespace: set.namespace.clone(), name: service.clone() };
                    Self::Packed(key, Packed::of_set(&set))
                }
                None => Self::Whole(Object::StatefulSet(set)),
            },
            Object::Namespace(_) | Object::Pod(_) => Self::Whole(object),
        }
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
        self.apply_held(object.into());
    }

    pub(super) fn apply_held(&mut self, held: Held) {
        match held {
            Held::Packed(key, packed) => {
                if packed.is_a(Kind::StatefulSet) {
                    self.sets_of_none.remove(&(key.namespace.clone(), packed.name().into()));
                }
                let changed = self.services.put(&key, packed);
                self.dirty.extend(changed.into_iter().map(Dirty::Service));
            }
            Held::Whole(Object::Namespace(Namespace { name })) => {
                if self.namespaces.insert(name.clone()) {
                    self.dirty.insert(Dirty::Namespace(name));
                }
            }
            Held::Whole(Object::Pod(pod)) => self.apply_pod(pod),
            Held::Whole(Object::StatefulSet(set)) => {
                let changed = self.services.remove(Kind::StatefulSet, set.namespace.as_str(), &set.name);
                self.dirty.extend(changed.map(Dirty::Service));
                self.sets_of_none.insert((set.namespace, set.name));
            }
            // They are packed.
            Held::Whole(Object::Service(_) | Object::EndpointSlice(_)) => {}
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
            Kind::Service | Kind::EndpointSlice | Kind::StatefulSet => {
                let changed = self.services.remove(object.kind, object.namespace.as_str(), &object.name);
                self.dirty.extend(changed.map(Dirty::Service));
                if object.kind == Kind::StatefulSet {
                    self.sets_of_none.remove(&name());
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
        let listed: HashSet<(&str, &str)> =
            objects.iter().map(|(name, _)| (name.namespace.as_str(), &*name.name)).collect();
        let gone = self.names(kind, |namespace, name| !listed.contains(&(namespace, name)));
        gone.iter().for_each(|name| self.delete(name));
        objects.into_iter().for_each(|(_, object)| self.apply(object));
    }

    /// Deletes every object that `admits` says no to.
    pub fn retain(&mut self, admits: impl Fn(&ObjectName) -> bool) {
        for kind in Kind::ALL {
            let names = self.names(kind, |_, _| true).into_iter();
            names.filter(|name| !admits(name)).for_each(|name| self.delete(&name));
        }
    }

    /// What became dirty since the last call, each once, in order.
    pub fn take_dirty(&mut self) -> BTreeSet<Dirty> {
        std::mem::take(&mut self.dirty)
    }

    /// Makes everything dirty: the rules of making records changed.
    pub fn touch_all(&mut self) {
        let services = self.services.keys().map(Dirty::Service);
        let namespaces = self.namespaces.iter().cloned().map(Dirty::Namespace);
        let pods = self.pods_by_address.keys().cloned().map(|(n, a)| Dirty::Pod(n, a));
        // Sorted once, which a set that grows by one after the other is not.
        let mut all: BTreeSet<Dirty> = services.chain(namespaces).chain(pods).collect();
        self.dirty.append(&mut all);
    }

    /// Makes something dirty that may be published and is not known here.
    pub fn touch(&mut self, dirty: impl IntoIterator<Item = Dirty>) {
        self.dirty.append(&mut dirty.into_iter().collect());
    }

    /// Everything of a service; empty when nothing is known.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> ServiceObjects {
        ServiceObjects::of(key, self.services.get(key))
    }

    /// A StatefulSet by its name, if it names a Service.
    #[must_use]
    pub fn set(&self, namespace: &Label, name: &str) -> Option<StatefulSet> {
        let key = self.services.service_of(Kind::StatefulSet, namespace.as_str(), name)?;
        let set = self.services.get(&key).iter().find(|object| object.is(Kind::StatefulSet, name))?;
        set.set(&key)
    }

    /// The keys of everything that is a service's, in no order.
    pub fn services(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        self.services.keys()
    }

    /// The namespaces that have a Service of this name, sorted.
    #[must_use]
    pub fn namespaces_of(&self, name: &str) -> Vec<String> {
        let all = self.services.names(Kind::Service).filter(|(_, other)| *other == name);
        let mut namespaces: Vec<String> = all.map(|(namespace, _)| namespace.to_owned()).collect();
        namespaces.sort_unstable();
        namespaces
    }

    /// Whether there is a headless Service of this key.
    #[must_use]
    pub fn is_headless(&self, key: &ServiceKey) -> bool {
        let service = self.services.get(key).iter().find_map(|object| object.service(key));
        service.is_some_and(|service| service.shape == ServiceShape::Headless)
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
    pub(super) fn holds(&self, held: &Held) -> bool {
        match held {
            Held::Packed(key, packed) => self.services.holds(key, packed),
            Held::Whole(Object::Namespace(namespace)) => self.namespaces.contains(&namespace.name),
            Held::Whole(Object::StatefulSet(set)) => {
                self.sets_of_none.contains(&(set.namespace.clone(), set.name.clone()))
            }
            Held::Whole(Object::Pod(pod)) => {
                let known = self.pods.get(&(pod.namespace.clone(), pod.name.clone()));
                known.is_some_and(|addresses| **addresses == *pod.addresses)
            }
            Held::Whole(Object::Service(_) | Object::EndpointSlice(_)) => false,
        }
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Namespace => self.namespaces.len(),
            Kind::Service | Kind::EndpointSlice => self.services.count(kind),
            Kind::StatefulSet => self.services.count(kind) + self.sets_of_none.len(),
            Kind::Pod => self.pods.len(),
        }
    }

    /// The names of a kind's objects that `wanted` says yes to, by namespace and name.
    pub(super) fn names(&self, kind: Kind, wanted: impl Fn(&str, &str) -> bool) -> Vec<ObjectName> {
        let named = |namespace: &str, name: &str| {
            let namespace = Label::new(namespace).ok()?;
            Some(ObjectName { kind, namespace, name: name.into() })
        };
        let pair = |(namespace, name): &'_ (Label, Box<str>)| wanted(namespace.as_str(), name);
        let in_services = self.services.names(kind).filter(|(namespace, name)| wanted(namespace, name));
        let mut names: Vec<ObjectName> = in_services.filter_map(|(ns, name)| named(ns, name)).collect();
        let others: Vec<&(Label, Box<str>)> = match kind {
            Kind::Namespace => {
                let wanted = self.namespaces.iter().filter(|name| wanted(name.as_str(), name.as_str()));
                names.extend(wanted.filter_map(|name| named(name.as_str(), name.as_str())));
                Vec::new()
            }
            Kind::Service | Kind::EndpointSlice => Vec::new(),
            Kind::StatefulSet => self.sets_of_none.iter().filter(|name| pair(name)).collect(),
            Kind::Pod => self.pods.keys().filter(|name| pair(name)).collect(),
        };
        names.extend(others.into_iter().filter_map(|(namespace, name)| named(namespace.as_str(), name)));
        names
    }

    fn apply_pod(&mut self, pod: Pod) {
        let name = (pod.namespace.clone(), pod.name);
        if self.pods.get(&name).is_some_and(|addresses| **addresses == *pod.addresses) {
            return;
        }
        // The new ones are counted first: an address that stays is never seen to leave.
        self.count_pod(&pod.namespace, &pod.addresses, true);
        if let Some(before) = self.pods.insert(name, pod.addresses.into()) {
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
        crate::cluster::sheet::tests::mk_set("default", name, service, replicas)
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
    fn what_is_counted_is_what_is_there() {
        let mut index = Index::new();
        let assert_counts = |index: &Index, wanted: [usize; 3]| {
            let kinds = [Kind::Service, Kind::EndpointSlice, Kind::StatefulSet];
            assert_eq!(kinds.map(|kind| index.count(kind)), wanted);
            assert_eq!(kinds.map(|kind| index.names(kind, |_, _| true).len()), wanted);
        };
        for object in [mk_service("a"), mk_slice("a", "x"), mk_slice("a", "y"), mk_set("s", Some("a"), 1)] {
            index.apply(object);
        }
        assert_counts(&index, [1, 2, 1]);
        // Replaced, as it was, moved to another service, moved to none.
        index.apply(mk_set("s", Some("a"), 2));
        index.apply(mk_slice("a", "x"));
        index.apply(mk_slice("b", "y"));
        assert_counts(&index, [1, 2, 1]);
        index.apply(mk_set("s", None, 2));
        assert_counts(&index, [1, 2, 1]);
        for object in [mk_slice("a", "y"), mk_slice("a", "gone"), mk_service("a"), mk_service("a")] {
            index.delete(&ObjectName::of(&object));
        }
        assert_counts(&index, [0, 1, 1]);
    }

    #[test]
    fn headless_is_what_its_service_says() {
        let mut index = Index::new();
        index.apply(mk_slice("a", "x"));
        assert!(!index.is_headless(&key("a")), "no Service yet");
        index.apply(mk_service("a"));
        assert!(index.is_headless(&key("a")));
        let Object::Service(mut service) = mk_service("a") else { unreachable!() };
        service.shape = ServiceShape::ClusterIp(Vec::new());
        index.apply(Object::Service(service));
        assert!(!index.is_headless(&key("a")));
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
        assert!(index.services.is_empty() && index.pods.is_empty() && index.pods_by_address.is_empty());
        assert!(Kind::ALL.iter().all(|kind| index.count(*kind) == 0));
    }
}
