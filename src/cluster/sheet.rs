//! What the index holds of one service, copied out in a moment and read at leisure.
//!
//! The index belongs to the one task that publishes. Who wants to look at the cluster takes the packed octets from it,
//! some 35 an endpoint, and unpacks them elsewhere: a page of a thousand sets costs that task a copy of a few megabytes.

use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::packed::Packed;
use super::{Index, Kind, ServiceObjects};
use crate::model::{Label, ServiceKey};

/// The objects of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    pub(super) key: ServiceKey,
    objects: Vec<Packed>,
}

impl Sheet {
    /// The service's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.key.namespace.as_str()
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.name.as_str()
    }

    /// All of it, unpacked.
    #[must_use]
    pub fn objects(&self) -> ServiceObjects {
        ServiceObjects::of(&self.key, &self.objects)
    }
}

/// A service that changed: what it was, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceChange {
    /// Before the first of the changes.
    pub before: Sheet,
    /// After the last one.
    pub after: Sheet,
}

/// A part of a list that is sorted by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Of this namespace alone.
    pub namespace: Option<String>,
    /// Behind this namespace and name.
    pub after: Option<(String, String)>,
    /// At most so many.
    pub limit: usize,
}

/// The part that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// In order.
    pub items: Vec<T>,
    /// How many there are in all, of the namespace where one was named.
    pub total: usize,
    /// There are more behind the last one.
    pub is_cut: bool,
}

/// A StatefulSet, with what the index holds of the Service that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEntry {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// None where it names none.
    pub governing: Option<Arc<Sheet>>,
}

/// The sheets of one list: sets that name one Service share one.
type Shared = BTreeMap<ServiceKey, Arc<Sheet>>;

impl Index {
    /// What is known of a service; nothing where nothing is.
    #[must_use]
    pub fn sheet(&self, namespace: &str, name: &str) -> Option<Sheet> {
        let key = ServiceKey { namespace: Label::new(namespace).ok()?, name: Label::new(name).ok()? };
        let objects = self.services.get(&key).to_vec();
        (!objects.is_empty()).then_some(Sheet { key, objects })
    }

    /// Those of the named StatefulSets that are there.
    #[must_use]
    pub fn set_entries<'n>(&self, names: impl IntoIterator<Item = (&'n str, &'n str)>) -> Vec<SetEntry> {
        let mut sheets = Shared::new();
        let entries = names.into_iter().map(|(namespace, name)| self.set_entry(&mut sheets, namespace, name));
        entries.flatten().collect()
    }

    fn set_entry(&self, sheets: &mut Shared, namespace: &str, name: &str) -> Option<SetEntry> {
        let entry = |governing| SetEntry { namespace: namespace.into(), name: name.into(), governing };
        if let Some(key) = self.services.service_of(Kind::StatefulSet, namespace, name) {
            let copy = |key: &ServiceKey| {
                let objects = self.services.get(key).to_vec();
                Arc::new(Sheet { key: key.clone(), objects })
            };
            let sheet = sheets.entry(key).or_insert_with_key(copy);
            return Some(entry(Some(Arc::clone(sheet))));
        }
        let label = Label::new(namespace).ok()?;
        self.sets_of_none.contains(&(label, name.into())).then(|| entry(None))
    }

    /// StatefulSets.
    #[must_use]
    pub fn list_sets(&self, wanted: &Wanted) -> Listed<SetEntry> {
        let of_none = self.sets_of_none.iter().map(|(namespace, name)| (namespace.as_str(), &**name));
        let names = pick(self.services.names(Kind::StatefulSet).chain(of_none), wanted);
        let mut sheets = Shared::new();
        names.map(|(namespace, name)| self.set_entry(&mut sheets, namespace, name))
    }

    /// Services.
    #[must_use]
    pub fn list_services(&self, wanted: &Wanted) -> Listed<Sheet> {
        let names = pick(self.services.names(Kind::Service), wanted);
        names.map(|(namespace, name)| self.sheet(namespace, name))
    }

    /// From now on keeps what at most so many services were before they changed, for [`Index::take_changes`]. A service
    /// costs a copy of its packed objects when it changes first, and nothing in between.
    pub fn keep_changes(&mut self, most: usize) {
        self.services.keep_before(most);
    }

    /// The services that changed since the last call, of those that were kept, in order.
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<ServiceChange> {
        let before = self.services.take_before();
        let mut changes: Vec<ServiceChange> = before
            .into_iter()
            .filter_map(|(key, objects)| {
                let (namespace, name) = key.split_once('/')?;
                let key = ServiceKey { namespace: Label::new(namespace).ok()?, name: Label::new(name).ok()? };
                let after = Sheet { objects: self.services.get(&key).to_vec(), key: key.clone() };
                let before = Sheet { key, objects: objects.into() };
                (before != after).then_some(ServiceChange { before, after })
            })
            .collect();
        changes.sort_by(|one, other| one.after.key.cmp(&other.after.key));
        changes
    }
}

impl<T> Listed<T> {
    fn map<U>(self, read: impl FnMut(T) -> Option<U>) -> Listed<U> {
        let Self { items, total, is_cut } = self;
        Listed { items: items.into_iter().filter_map(read).collect(), total, is_cut }
    }
}

/// The first names behind the one that is named, without sorting all of them.
fn pick<'n>(names: impl Iterator<Item = (&'n str, &'n str)>, wanted: &Wanted) -> Listed<(&'n str, &'n str)> {
    let after = wanted.after.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    let mut first = BinaryHeap::new();
    let (mut total, mut is_cut) = (0, false);
    for name in names.filter(|(namespace, _)| wanted.namespace.as_ref().is_none_or(|own| own == namespace)) {
        total += 1;
        if after.is_some_and(|after| name <= after) {
            continue;
        }
        if first.len() < wanted.limit {
            first.push(name);
            continue;
        }
        is_cut = true;
        if let Some(mut last) = first.peek_mut()
            && name < *last
        {
            *last = name;
        }
    }
    Listed { items: first.into_sorted_vec(), total, is_cut }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cluster::{ObjectName, difference};
    use crate::model::{Object, Service, ServiceShape, StatefulSet, TtlOverrides};

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn mk_service(name: &str) -> Object {
        let key = ServiceKey { namespace: label("default"), name: label(name) };
        let (shape, ttl) = (ServiceShape::Headless, TtlOverrides::default());
        Object::Service(Service { key, shape, ports: Vec::new(), ttl })
    }

    pub(in crate::cluster) fn mk_set(
        namespace: &str,
        name: &str,
        service: Option<&str>,
        replicas: u32,
    ) -> Object {
        let (namespace, service) = (label(namespace), service.map(label));
        Object::StatefulSet(StatefulSet {
            namespace,
            name: name.into(),
            service,
            start: 0,
            replicas,
            parallel: false,
            revision: None,
        })
    }

    fn names(listed: &Listed<SetEntry>) -> Vec<String> {
        listed.items.iter().map(|set| format!("{}/{}", set.namespace, set.name)).collect()
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let mut index = Index::new();
        for name in ["d", "a", "c", "b"] {
            index.apply(mk_set("default", name, Some("nginx"), 1));
        }
        index.apply(mk_set("other", "a", None, 1));
        index.apply(mk_service("nginx"));
        let mut wanted = Wanted { limit: 2, ..Wanted::default() };
        let mut seen = Vec::new();
        loop {
            let page = index.list_sets(&wanted);
            assert_eq!(page.total, 5);
            seen.extend(names(&page));
            if !page.is_cut {
                break;
            }
            let last = page.items.last().unwrap();
            wanted.after = Some((last.namespace.clone(), last.name.clone()));
        }
        assert_eq!(seen, ["default/a", "default/b", "default/c", "default/d", "other/a"]);
        let of_other =
            index.list_sets(&Wanted { namespace: Some("other".into()), limit: 9, ..Wanted::default() });
        assert_eq!((names(&of_other), of_other.total, of_other.is_cut), (vec!["other/a".into()], 1, false));
        assert_eq!(of_other.items[0].governing, None);
        assert_eq!(index.list_services(&Wanted { limit: 9, ..Wanted::default() }).items.len(), 1);
        let of_default = index.list_sets(&Wanted { limit: 4, ..Wanted::default() }).items;
        let first = of_default[0].governing.as_ref().unwrap();
        let is_shared =
            |set: &SetEntry| set.governing.as_ref().is_some_and(|sheet| Arc::ptr_eq(sheet, first));
        assert!(of_default.iter().all(is_shared), "a Service is copied once, however many sets name it");
        assert!(
            index.set_entries([("default", "nginx")]).is_empty() && index.sheet("no such", "nginx").is_none()
        );
    }

    #[test]
    fn a_change_has_what_was_before_the_first_and_after_the_last() {
        let mut index = Index::new();
        index.apply(mk_set("default", "web", Some("nginx"), 1));
        assert_eq!(index.take_changes(), [], "nobody wants to know");
        index.keep_changes(2);
        index.apply(mk_set("default", "web", Some("nginx"), 2));
        index.apply(mk_set("default", "web", Some("nginx"), 3));
        index.apply(mk_service("nginx"));
        let changes = index.take_changes();
        assert_eq!(changes.len(), 1);
        let replicas =
            |sheet: &Sheet| sheet.objects().sets.iter().map(|set| set.replicas).collect::<Vec<_>>();
        assert_eq!((replicas(&changes[0].before), replicas(&changes[0].after)), (vec![1], vec![3]));
        assert!(
            changes[0].before.objects().service.is_none() && changes[0].after.objects().service.is_some()
        );
        assert_eq!(index.take_changes(), []);
        // Back to what it was: nothing differs. More services than are kept: the first of them.
        index.apply(mk_set("default", "web", Some("nginx"), 4));
        index.apply(mk_set("default", "web", Some("nginx"), 3));
        for name in ["a", "b"] {
            index.apply(mk_service(name));
        }
        index.delete(&ObjectName::of(&mk_service("a")));
        assert!(index.take_changes().iter().all(|change| difference(change).is_empty()));
        index.delete(&ObjectName::of(&mk_service("nginx")));
        assert!(index.take_changes()[0].after.objects().service.is_none());
    }
}
