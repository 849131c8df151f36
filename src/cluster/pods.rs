//! What is known of the pods of sets that are not whole: beside the index proper, for nobody watches them.

use std::collections::HashMap;

use super::index::{Dirty, Index, Kind};
use crate::model::{Label, PodState};

/// Pods by their set, within a bound.
#[derive(Default)]
pub(super) struct SetPods {
    by_set: HashMap<(Label, Box<str>), Box<[PodState]>>,
    pods: usize,
    octets: usize,
}

/// How much is known, and what had no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PodCounts {
    /// Pods.
    pub pods: usize,
    /// Octets of memory that they take.
    pub octets: usize,
}

fn size(pods: &[PodState]) -> usize {
    pods.iter().map(PodState::size).sum()
}

impl SetPods {
    fn put(&mut self, name: (Label, Box<str>), pods: Box<[PodState]>) {
        self.remove(&name);
        if !pods.is_empty() {
            self.pods += pods.len();
            self.octets += size(&pods);
            self.by_set.insert(name, pods);
        }
    }

    fn remove(&mut self, name: &(Label, Box<str>)) {
        if let Some(known) = self.by_set.remove(name) {
            self.pods = self.pods.saturating_sub(known.len());
            self.octets = self.octets.saturating_sub(size(&known));
        }
    }
}

impl Index {
    /// Takes what the pods of a set say, in the place of what they said before. The set's Service becomes dirty where
    /// that is something else. False where `most` octets for all sets together have no room for it: the set is as one
    /// nobody asked about then.
    pub fn put_pods(&mut self, namespace: &Label, set: &str, mut pods: Vec<PodState>, most: usize) -> bool {
        let Some(service) = self.services.service_of(Kind::StatefulSet, namespace.as_str(), set) else {
            self.forget_pods(namespace, set);
            return true;
        };
        let known = self.pods_of(namespace, set);
        if *known == *pods {
            return true;
        }
        let fits = self.set_pods.octets.saturating_sub(size(known)) + size(&pods) <= most;
        if !fits {
            if known.is_empty() {
                return false;
            }
            pods.clear();
        }
        self.set_pods.put((namespace.clone(), set.into()), pods.into());
        self.touch([Dirty::Service(service)]);
        fits
    }

    /// Forgets what the pods of a set say, which is whole, or gone: no name of it is absent any more.
    pub fn forget_pods(&mut self, namespace: &Label, set: &str) {
        self.set_pods.remove(&(namespace.clone(), set.into()));
    }

    /// What the pods of a set say; nothing where nobody asked.
    #[must_use]
    pub fn pods_of(&self, namespace: &Label, set: &str) -> &[PodState] {
        self.set_pods.by_set.get(&(namespace.clone(), set.into())).map_or(&[], |pods| pods)
    }

    /// How much is known of the pods of sets.
    #[must_use]
    pub fn pod_counts(&self) -> PodCounts {
        PodCounts { pods: self.set_pods.pods, octets: self.set_pods.octets }
    }

    /// Takes what the pods of all sets say, of manifests.
    pub fn reset_pods(&mut self, pods: Vec<(Label, PodState)>, most: usize) {
        let mut by_set: HashMap<(Label, Box<str>), Vec<PodState>> = HashMap::new();
        for (namespace, pod) in pods {
            if let Some((set, _)) = pod.name.rsplit_once('-') {
                by_set.entry((namespace, set.into())).or_default().push(pod);
            }
        }
        let known: Vec<_> = self.set_pods.by_set.keys().cloned().collect();
        for name in known.into_iter().filter(|name| !by_set.contains_key(name)) {
            self.put_pods(&name.0, &name.1, Vec::new(), most);
        }
        for ((namespace, set), pods) in by_set {
            self.put_pods(&namespace, &set, pods, most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Object, ServiceKey, StatefulSet};

    const ROOM: usize = 1 << 20;

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn mk_set(index: &mut Index, name: &str) {
        index.apply(Object::StatefulSet(StatefulSet {
            namespace: label("default"),
            name: name.into(),
            service: Some(label("nginx")),
            start: 0,
            replicas: 3,
            parallel: false,
            revision: None,
        }));
        index.take_dirty();
    }

    fn mk_pod(name: &str, message: &str) -> PodState {
        PodState { name: name.into(), pending: message.into(), ..PodState::default() }
    }

    fn dirty(index: &mut Index) -> Vec<Dirty> {
        index.take_dirty().into_iter().collect()
    }

    fn nginx() -> Dirty {
        Dirty::Service(ServiceKey { namespace: label("default"), name: label("nginx") })
    }

    #[test]
    fn only_what_pods_say_otherwise_makes_their_service_dirty() {
        let mut index = Index::new();
        mk_set(&mut index, "web");
        let namespace = label("default");
        assert!(index.put_pods(&namespace, "web", vec![mk_pod("web-1", "no node")], ROOM));
        assert_eq!(dirty(&mut index), [nginx()]);
        assert!(index.put_pods(&namespace, "web", vec![mk_pod("web-1", "no node")], ROOM));
        assert_eq!(dirty(&mut index), []);
        assert!(index.put_pods(&namespace, "web", Vec::new(), ROOM));
        assert_eq!((dirty(&mut index), index.pod_counts()), (vec![nginx()], PodCounts::default()));
    }

    #[test]
    fn there_is_a_bound_and_nothing_is_left_of_what_had_no_room() {
        let mut index = Index::new();
        let namespace = label("default");
        for set in ["a", "b"] {
            mk_set(&mut index, set);
        }
        let pods = vec![mk_pod("a-0", "no node")];
        let most = size(&pods);
        assert!(index.put_pods(&namespace, "a", pods, most));
        assert!(!index.put_pods(&namespace, "b", vec![mk_pod("b-0", "no node")], most));
        assert_eq!(index.pod_counts(), PodCounts { pods: 1, octets: most });
        index.take_dirty();
        // More than there is room for: less is said, and nothing that is not so any more.
        assert!(!index.put_pods(&namespace, "a", vec![mk_pod("a-0", "no node, and more")], most));
        assert!(index.pods_of(&namespace, "a").is_empty());
        assert_eq!(dirty(&mut index), [nginx()]);
        assert!(index.put_pods(&namespace, "b", vec![mk_pod("b-0", "no node")], most));
        index.forget_pods(&namespace, "b");
        assert_eq!(index.pod_counts(), PodCounts::default());
    }

    #[test]
    fn pods_of_manifests_are_their_sets() {
        let mut index = Index::new();
        for set in ["web", "web-a"] {
            mk_set(&mut index, set);
        }
        let namespace = label("default");
        let pods =
            ["web-1", "web-a-0", "other-0", "alone"].map(|name| (namespace.clone(), mk_pod(name, "x")));
        index.reset_pods(pods.into(), ROOM);
        let names = |index: &Index, set: &str| -> Vec<String> {
            index.pods_of(&label("default"), set).iter().map(|pod| pod.name.to_string()).collect()
        };
        assert_eq!(
            (names(&index, "web"), names(&index, "web-a")),
            (vec!["web-1".into()], vec!["web-a-0".into()])
        );
        assert_eq!(index.pod_counts().pods, 2);
        index.reset_pods(Vec::new(), ROOM);
        assert_eq!(index.pod_counts(), PodCounts::default());
    }
}
