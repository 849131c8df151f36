//! From dirty to published: the one place where the cluster meets the zone.

use crate::cluster::{Dirty, Index, Kind, ObjectName};
use crate::model::Object;
use crate::records::{Input, Problem, Settings, service_records};
use crate::zone::{Change, Publisher};

/// Owns the index and the publisher; what changes in one is published by the other.
pub struct Driver {
    index: Index,
    publisher: Publisher,
    settings: Settings,
}

impl Driver {
    /// Drives an empty cluster.
    #[must_use]
    pub fn new(publisher: Publisher, settings: Settings) -> Self {
        Self { index: Index::new(), publisher, settings }
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

    /// Publishes what changed since the last time; gives how many values of the zone differ, and what could
    /// not be published.
    pub fn publish(&mut self) -> (usize, Vec<Problem>) {
        let mut problems = Vec::new();
        let (index, settings) = (&mut self.index, &self.settings);
        let dirty = index.take_dirty();
        let index = &*index;
        let changes = dirty.into_iter().map(|dirty| match dirty {
            Dirty::Service(key) => {
                let objects = index.service(&key);
                let input = Input {
                    key: &key,
                    service: objects.service,
                    slices: &objects.slices,
                    sets: &objects.sets,
                };
                let (records, of_service) = service_records(input, settings);
                problems.extend(of_service);
                Change::Service(key, records.map(Box::new))
            }
            Dirty::Namespace(name) => {
                let present = index.has_namespace(&name);
                Change::Namespace(name, present)
            }
            Dirty::Pod(namespace, address) => {
                let present = index.has_pod(&namespace, address);
                Change::Pod(namespace, address, present)
            }
        });
        let changed = self.publisher.publish(changes);
        (changed, problems)
    }

    /// Says that the cluster is complete; see [`Publisher::synchronised`].
    pub fn synchronised(&mut self) {
        self.publisher.synchronised();
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
}
