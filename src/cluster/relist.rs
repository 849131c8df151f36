//! A list of everything of a kind, taken up while the cluster as it was known goes on being served.
//!
//! Only what differs is kept until the list is complete, so a relist of a hundred thousand objects that are
//! known already costs their names, not a second copy of them; and a list that breaks off changes nothing.

use std::collections::{HashMap, HashSet};

use super::index::Held;
use super::{Index, Kind, ObjectName};
use crate::model::{Label, Object};

/// A list of one kind, of the whole cluster or of one namespace, that is not complete yet.
#[derive(Debug)]
pub struct Relist {
    kind: Kind,
    namespace: Option<Label>,
    /// By `namespace/name`.
    seen: HashMap<Box<str>, Listed>,
    /// Something listed has no name that could be read: nothing can be said to be gone.
    incomplete: bool,
    /// Of a list beside a watch: what the watch told meanwhile, by the same names.
    watched: Option<HashSet<Box<str>>>,
}

/// An object of the list: with its age where it differs from what is known.
type Listed = Option<Box<(u64, Held)>>;

fn key(name: &ObjectName) -> Box<str> {
    text(name.namespace.as_str(), &name.name)
}

fn text(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
}

impl Relist {
    /// Begins a list.
    #[must_use]
    pub fn new(kind: Kind, namespace: Option<Label>) -> Self {
        Self { kind, namespace, seen: HashMap::new(), incomplete: false, watched: None }
    }

    /// Begins a list beside a watch that goes on, to compare what is known with it. Of what the watch tells while it
    /// is made ([`Relist::watched`]) the list says nothing: whichever of them is the older one, the watch is right in
    /// the end. The rest has not changed since before the list: where it differs once the watch has come as far as the
    /// list, something was lost.
    #[must_use]
    pub fn beside(kind: Kind, namespace: Option<Label>) -> Self {
        Self { watched: Some(HashSet::new()), ..Self::new(kind, namespace) }
    }

    /// The watch told something of an object, and it was applied.
    pub fn watched(&mut self, name: &ObjectName) {
        if let Some(watched) = &mut self.watched {
            watched.insert(key(name));
            self.seen.insert(key(name), None);
        }
    }

    fn is_watched(&self, name: &str) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.contains(name))
    }

    /// Takes up an object of the list; a second one of the same name takes the place of the first. Objects are
    /// applied by `age`, the least first: of two slices that name the same ordinal the newer one counts.
    pub fn offer(&mut self, index: &Index, object: Object, age: u64) {
        let name = ObjectName::of(&object);
        if name.kind == self.kind && !self.is_watched(&key(&name)) {
            let held = Held::from(object);
            let differs = !index.holds(&held);
            self.seen.insert(key(&name), differs.then(|| Box::new((age, held))));
        }
    }

    /// Takes up an object that is listed but cannot be used: what was known of it stays.
    pub fn keep(&mut self, name: &ObjectName) {
        self.seen.insert(key(name), None);
    }

    /// Something is listed whose name cannot be read: what this list does not name stays.
    pub fn keep_all(&mut self) {
        self.incomplete = true;
    }

    /// Takes an object out of the list again: it went while the list was made.
    pub fn remove(&mut self, name: &ObjectName) {
        if !self.is_watched(&key(name)) {
            self.seen.remove(&key(name));
        }
    }

    /// The list is complete: what differs is applied, what it does not name is gone. Gives how many of both.
    pub fn finish(self, index: &mut Index) -> usize {
        self.finish_telling(index, |_| {})
    }

    /// The same, and tells `namespace/name` of each.
    pub fn finish_telling(self, index: &mut Index, mut tell: impl FnMut(&str)) -> usize {
        let in_list = |namespace: &str| self.namespace.as_ref().is_none_or(|own| own.as_str() == namespace);
        let listed = |namespace: &str, name: &str| self.seen.contains_key(&text(namespace, name));
        let is_gone = |namespace: &str, name: &str| in_list(namespace) && !listed(namespace, name);
        let gone = if self.incomplete { Vec::new() } else { index.names(self.kind, is_gone) };
        gone.iter().for_each(|name| tell(&key(name)));
        let differing = self.seen.into_iter().filter_map(|(name, listed)| listed.inspect(|_| tell(&name)));
        let mut differing: Vec<Box<(u64, Held)>> = differing.collect();
        differing.sort_by_key(|listed| listed.0);
        let count = gone.len() + differing.len();
        gone.iter().for_each(|name| index.delete(name));
        differing.into_iter().for_each(|listed| index.apply_held(listed.1));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Dirty;
    use crate::model::{EndpointSlice, ServiceKey};

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn mk_slice(namespace: &str, service: &str, name: &str) -> Object {
        let service = ServiceKey { namespace: label(namespace), name: label(service) };
        Object::EndpointSlice(EndpointSlice {
            service,
            name: name.into(),
            ports: Vec::new(),
            endpoints: Vec::new(),
        })
    }

    fn mk_index(objects: &[Object]) -> Index {
        let mut index = Index::new();
        objects.iter().for_each(|object| index.apply(object.clone()));
        index.take_dirty();
        index
    }

    #[test]
    fn only_what_differs_is_kept_and_becomes_dirty() {
        let mut index =
            mk_index(&[mk_slice("a", "s", "s-1"), mk_slice("a", "t", "t-1"), mk_slice("a", "u", "u-1")]);
        let mut relist = Relist::new(Kind::EndpointSlice, None);
        relist.offer(&index, mk_slice("a", "s", "s-1"), 1);
        relist.offer(&index, mk_slice("a", "v", "t-1"), 2);
        assert_eq!(relist.seen.values().flatten().count(), 1);
        assert!(index.take_dirty().is_empty(), "nothing changes before the list is complete");
        assert_eq!(relist.finish(&mut index), 2);
        let dirty: Vec<String> = index
            .take_dirty()
            .into_iter()
            .map(|dirty| match dirty {
                Dirty::Service(key) => key.name.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(dirty, ["t", "u", "v"]);
        assert_eq!(index.count(Kind::EndpointSlice), 2);
    }

    #[test]
    fn where_a_name_is_missing_nothing_is_gone() {
        let mut index = mk_index(&[mk_slice("a", "s", "s-1")]);
        let mut relist = Relist::new(Kind::EndpointSlice, None);
        relist.keep_all();
        assert_eq!(relist.finish(&mut index), 0);
    }

    #[test]
    fn what_changes_or_goes_during_the_list() {
        let mut index = mk_index(&[mk_slice("a", "s", "s-1"), mk_slice("a", "t", "t-1")]);
        let mut relist = Relist::new(Kind::EndpointSlice, None);
        relist.offer(&index, mk_slice("a", "other", "s-1"), 1);
        relist.offer(&index, mk_slice("a", "t", "t-1"), 1);
        // Back to what is known, and gone.
        relist.offer(&index, mk_slice("a", "s", "s-1"), 2);
        relist.remove(&ObjectName::of(&mk_slice("a", "t", "t-1")));
        assert_eq!(relist.finish(&mut index), 1);
        assert_eq!(index.count(Kind::EndpointSlice), 1);
        assert!(index.holds(&mk_slice("a", "s", "s-1").into()));
    }

    fn name(object: &Object) -> ObjectName {
        ObjectName::of(object)
    }

    #[test]
    fn beside_a_watch_what_the_watch_told_is_no_difference() {
        let slices = ["s-1", "t-1", "u-1", "v-1"].map(|name| mk_slice("a", "s", name));
        let mut index = mk_index(&slices);
        let mut relist = Relist::beside(Kind::EndpointSlice, None);
        // Before the list says anything of it, and after.
        index.apply(mk_slice("a", "new", "s-1"));
        relist.watched(&name(&slices[0]));
        relist.offer(&index, slices[0].clone(), 1);
        relist.offer(&index, mk_slice("a", "newer", "t-1"), 9);
        index.apply(mk_slice("a", "newer", "t-1"));
        relist.watched(&name(&slices[1]));
        // Gone by the watch, while the list has it; come by the watch, while the list has it not.
        relist.offer(&index, slices[2].clone(), 1);
        index.delete(&name(&slices[2]));
        relist.watched(&name(&slices[2]));
        relist.remove(&name(&slices[2]));
        index.apply(mk_slice("a", "s", "w-1"));
        relist.watched(&name(&mk_slice("a", "s", "w-1")));
        relist.offer(&index, slices[3].clone(), 1);
        index.take_dirty();
        assert_eq!(relist.finish_telling(&mut index, |name| panic!("{name} differs")), 0);
        assert!(index.take_dirty().is_empty());
        assert_eq!(index.count(Kind::EndpointSlice), 4);
    }

    #[test]
    fn beside_a_watch_an_older_end_of_what_the_watch_made_anew_is_not_its_end() {
        let slice = mk_slice("a", "s", "s-1");
        let mut index = mk_index(&[]);
        let mut relist = Relist::beside(Kind::EndpointSlice, None);
        index.apply(slice.clone());
        relist.watched(&name(&slice));
        // The list is behind the watch: it tells the deletion before.
        relist.remove(&name(&slice));
        assert_eq!(relist.finish(&mut index), 0);
        assert_eq!(index.count(Kind::EndpointSlice), 1);
    }

    #[test]
    fn beside_a_watch_what_it_lost_is_found() {
        let mut index = mk_index(&[mk_slice("a", "s", "s-1"), mk_slice("a", "t", "t-1")]);
        let mut relist = Relist::beside(Kind::EndpointSlice, None);
        relist.offer(&index, mk_slice("a", "other", "s-1"), 1);
        relist.offer(&index, mk_slice("a", "u", "u-1"), 2);
        let mut told = Vec::new();
        assert_eq!(relist.finish_telling(&mut index, |name| told.push(name.to_owned())), 3);
        told.sort();
        assert_eq!(told, ["a/s-1", "a/t-1", "a/u-1"]);
        assert!(index.holds(&mk_slice("a", "other", "s-1").into()));
    }

    #[test]
    fn the_newest_is_applied_last() {
        let mut index = Index::new();
        let mut relist = Relist::new(Kind::EndpointSlice, None);
        for (name, age) in [("s-1", 9), ("s-2", 3), ("s-3", 7)] {
            relist.offer(&index, mk_slice("a", "s", name), age);
        }
        relist.finish(&mut index);
        let key = ServiceKey { namespace: label("a"), name: label("s") };
        let slices = index.service(&key).slices;
        let names: Vec<&str> = slices.iter().map(|slice| &*slice.name).collect();
        assert_eq!(names, ["s-2", "s-3", "s-1"]);
    }

    #[test]
    fn a_list_of_one_namespace_says_nothing_of_others() {
        let mut index = mk_index(&[mk_slice("a", "s", "s-1"), mk_slice("b", "s", "s-1")]);
        assert_eq!(Relist::new(Kind::EndpointSlice, Some(label("a"))).finish(&mut index), 1);
        assert_eq!(index.names(Kind::EndpointSlice, |_, _| true)[0].namespace, label("b"));
    }

    #[test]
    fn what_cannot_be_used_stays_as_it_was() {
        let mut index = mk_index(&[mk_slice("a", "s", "s-1")]);
        let mut relist = Relist::new(Kind::EndpointSlice, None);
        relist.keep(&ObjectName::of(&mk_slice("a", "s", "s-1")));
        assert_eq!(relist.finish(&mut index), 0);
        assert_eq!(index.count(Kind::EndpointSlice), 1);
    }
}
