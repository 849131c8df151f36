//! The packed objects of each service, and where the object of a name is.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use super::Kind;
use super::packed::Packed;
use crate::model::{Hold, Label, ServiceKey};

/// Services, EndpointSlices and StatefulSets by the service that they belong to.
#[derive(Default)]
pub(super) struct Services {
    hasher: RandomState,
    entries: HashTable<Entry>,
    /// Which service an EndpointSlice or a StatefulSet is of. Its name stands there, not here.
    homes: HashTable<Home>,
    /// Objects of each kind: asked for after every publish, which does not walk a hundred thousand of them for it.
    counts: HashMap<Kind, usize>,
    /// What services were before they changed, while somebody wants to know.
    before: Option<Before>,
}

/// The objects that services had, each as it was when it was first changed.
struct Before {
    /// A burst of more services than this is not told one by one, nor copied.
    most: usize,
    by_service: HashMap<Box<str>, Box<[Packed]>>,
}

impl Before {
    fn keep(&mut self, key: &str, objects: &[Packed]) {
        if self.by_service.len() < self.most && !self.by_service.contains_key(key) {
            self.by_service.insert(key.into(), objects.into());
        }
    }
}

struct Entry {
    /// `namespace/name`.
    key: Box<str>,
    /// Never empty; of each kind the one that changed last is the last.
    objects: Box<[Packed]>,
}

/// Hashes: of the kind, namespace and name of an object, and of its service's key.
struct Home {
    own: u64,
    service: u64,
}

impl Entry {
    fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    fn has(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.namespace() == namespace && self.objects.iter().any(|object| object.is(kind, name))
    }

    fn service_key(&self) -> Option<ServiceKey> {
        let (namespace, name) = self.key.split_once('/')?;
        Some(ServiceKey { namespace: Label::new(namespace).ok()?, name: Label::new(name).ok()? })
    }
}

fn text(key: &ServiceKey) -> String {
    [key.namespace.as_str(), key.name.as_str()].join("/")
}

impl Services {
    /// Whether there is nothing, nor any trace of what was.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.homes.is_empty()
    }

    /// From now on keeps what at most so many services were before they changed.
    pub(super) fn keep_before(&mut self, most: usize) {
        self.before.get_or_insert_with(|| Before { most, by_service: HashMap::new() }).most = most;
    }

    /// What was kept since the last call, by `namespace/name`.
    pub(super) fn take_before(&mut self) -> HashMap<Box<str>, Box<[Packed]>> {
        self.before.as_mut().map(|before| std::mem::take(&mut before.by_service)).unwrap_or_default()
    }

    /// `namespace/name` and objects of each service.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &[Packed])> {
        self.entries.iter().map(|entry| (&*entry.key, &*entry.objects))
    }

    /// Adds a service, `namespace/name`, with all its objects. False where it or one of them is there already, or it has
    /// none: what was added is of no use then.
    pub(super) fn insert(&mut self, key: &str, objects: Vec<Packed>) -> bool {
        let namespace = key.split_once('/').map_or("", |(namespace, _)| namespace);
        let service = self.hasher.hash_one(key);
        if objects.is_empty() || self.entries.find(service, |entry| *entry.key == *key).is_some() {
            return false;
        }
        for object in &objects {
            *self.counts.entry(object.kind()).or_default() += 1;
            if object.is_a(Kind::Service) {
                continue;
            }
            let own = self.hash_own(object.kind(), namespace, object.name());
            if self.home_of(own, object.kind(), namespace, object.name()).is_some() {
                return false;
            }
            self.homes.insert_unique(own, Home { own, service }, |home| home.own);
        }
        let entry = Entry { key: key.into(), objects: objects.into() };
        let hasher = &self.hasher;
        self.entries.insert_unique(service, entry, |entry| hasher.hash_one(&*entry.key));
        true
    }

    /// Says of a set that its replicas wait for nobody; false where there is none, or it was said already.
    pub(super) fn set_parallel(&mut self, namespace: &str, name: &str) -> bool {
        self.change_set(namespace, name, Packed::parallel)
    }

    /// Says what revision a StatefulSet is of; false where there is no such set, or one was said already.
    pub(super) fn set_revision(&mut self, namespace: &str, name: &str, revision: &str) -> bool {
        self.change_set(namespace, name, |set| set.with_revision(revision))
    }

    /// Says what a Service says of holding; false where there is no such Service, or it was said already.
    pub(super) fn set_hold(&mut self, namespace: &str, name: &str, hold: Hold) -> bool {
        let kind = Kind::Service;
        let service = self.hasher.hash_one([namespace, name].join("/").as_str());
        self.change(service, kind, namespace, name, |service| service.with_hold(hold))
    }

    fn change_set(
        &mut self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&Packed) -> Option<Packed>,
    ) -> bool {
        let kind = Kind::StatefulSet;
        let service = self.home(kind, namespace, name);
        service.is_some_and(|service| self.change(service, kind, namespace, name, change))
    }

    /// Changes an object of the service that has this hash.
    fn change(
        &mut self,
        service: u64,
        kind: Kind,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&Packed) -> Option<Packed>,
    ) -> bool {
        let entry = self.entries.find_mut(service, |entry: &Entry| entry.has(kind, namespace, name));
        let object = entry.and_then(|entry| entry.objects.iter_mut().find(|object| object.is(kind, name)));
        object.is_some_and(|object| change(object).map(|changed| *object = changed).is_some())
    }

    /// The objects of a service.
    pub(super) fn get(&self, key: &ServiceKey) -> &[Packed] {
        let text = text(key);
        let hash = self.hasher.hash_one(text.as_str());
        self.entries.find(hash, |entry| *entry.key == *text).map_or(&[], |entry| &entry.objects)
    }

    /// The service that an object is of.
    pub(super) fn service_of(&self, kind: Kind, namespace: &str, name: &str) -> Option<ServiceKey> {
        let home = self.home(kind, namespace, name)?;
        self.entries.find(home, |entry| entry.has(kind, namespace, name))?.service_key()
    }

    /// Adds an object to a service, or replaces the one of its name, wherever that is. Gives the services that changed.
    pub(super) fn put(&mut self, key: &ServiceKey, packed: Packed) -> Vec<ServiceKey> {
        let mut changed = Vec::new();
        let text = text(key);
        let hash = self.hasher.hash_one(text.as_str());
        if !packed.is_a(Kind::Service) {
            let (kind, namespace) = (packed.kind(), key.namespace.as_str());
            let home = self.home(kind, namespace, packed.name());
            if home.is_some_and(|home| home != hash) {
                // The label was edited: it is another service's now.
                changed.extend(self.remove(kind, namespace, packed.name()));
            }
            if home != Some(hash) {
                let own = self.hash_own(kind, namespace, packed.name());
                self.homes.insert_unique(own, Home { own, service: hash }, |home| home.own);
            }
        }
        let hasher = &self.hasher;
        let slot =
            self.entries.entry(hash, |entry| *entry.key == *text, |entry| hasher.hash_one(&*entry.key));
        match slot {
            Slot::Vacant(slot) => {
                *self.counts.entry(packed.kind()).or_default() += 1;
                if let Some(before) = &mut self.before {
                    before.keep(&text, &[]);
                }
                slot.insert(Entry { key: text.into(), objects: [packed].into() });
            }
            Slot::Occupied(mut slot) => {
                let objects = &mut slot.get_mut().objects;
                if objects.contains(&packed) {
                    return changed;
                }
                if let Some(before) = &mut self.before {
                    before.keep(&text, objects);
                }
                let before = objects.len();
                let others = std::mem::take(objects).into_iter();
                let others = others.filter(|other| !other.is(packed.kind(), packed.name()));
                let mut all: Vec<Packed> = others.collect();
                if all.len() == before {
                    *self.counts.entry(packed.kind()).or_default() += 1;
                }
                // The newest is the last: the records of a recreated pod go by it.
                all.push(packed);
                *objects = all.into();
            }
        }
        changed.push(key.clone());
        changed
    }

    /// Removes an object; gives the service that changed.
    pub(super) fn remove(&mut self, kind: Kind, namespace: &str, name: &str) -> Option<ServiceKey> {
        let service = match kind {
            Kind::Service => self.hasher.hash_one(format!("{namespace}/{name}").as_str()),
            _ => self.home(kind, namespace, name)?,
        };
        let own = self.hash_own(kind, namespace, name);
        let mut slot =
            self.entries.find_entry(service, |entry: &Entry| entry.has(kind, namespace, name)).ok()?;
        let entry = slot.get_mut();
        let key = entry.service_key();
        if let Some(before) = &mut self.before {
            before.keep(&entry.key, &entry.objects);
        }
        let before = entry.objects.len();
        let left = std::mem::take(&mut entry.objects).into_iter().filter(|object| !object.is(kind, name));
        entry.objects = left.collect();
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_sub(before - entry.objects.len());
        if entry.objects.is_empty() {
            slot.remove();
        }
        if let Ok(home) = self.homes.find_entry(own, |home| home.own == own && home.service == service) {
            home.remove();
        }
        key
    }

    /// Whether a service has just this object.
    pub(super) fn holds(&self, key: &ServiceKey, packed: &Packed) -> bool {
        self.get(key).contains(packed)
    }

    /// The services' keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        self.entries.iter().filter_map(Entry::service_key)
    }

    /// How many objects of a kind there are.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// Namespace and name of each object of a kind.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().flat_map(move |entry| {
            let of_kind = entry.objects.iter().filter(move |object| object.is_a(kind));
            of_kind.map(|object| (entry.namespace(), object.name()))
        })
    }

    fn hash_own(&self, kind: Kind, namespace: &str, name: &str) -> u64 {
        self.hasher.hash_one((kind, namespace, name))
    }

    /// The hash of the service's key that an object is of.
    fn home(&self, kind: Kind, namespace: &str, name: &str) -> Option<u64> {
        self.home_of(self.hash_own(kind, namespace, name), kind, namespace, name)
    }

    fn home_of(&self, own: u64, kind: Kind, namespace: &str, name: &str) -> Option<u64> {
        let is_there = |home: &Home| {
            let has = |entry: &Entry| entry.has(kind, namespace, name);
            home.own == own && self.entries.find(home.service, has).is_some()
        };
        self.homes.find(own, is_there).map(|home| home.service)
    }
}
