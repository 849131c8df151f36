//! What the pods of manifests say about their not being ready.

use std::collections::HashMap;

use super::Options;
use super::item::Item;
use crate::model::{Label, PodState};
use crate::source::pods::tell_event;

/// What pods say, with what claims and events of the same input say of them.
pub(super) fn states(items: &[&Item], options: &Options) -> Vec<(Label, PodState)> {
    let mut claims = HashMap::new();
    let mut events: HashMap<&Label, Vec<_>> = HashMap::new();
    for item in items {
        match item {
            Item::Claim(namespace, claim) => {
                claims.insert((namespace, &*claim.name), claim);
            }
            Item::Event(namespace, _, event) => events.entry(namespace).or_default().push(&**event),
            _ => {}
        }
    }
    let is_wanted = |namespace: &Label| {
        options.namespaces.as_ref().is_none_or(|names| names.iter().any(|name| name == namespace.as_str()))
    };
    let pods = items.iter().filter_map(|item| match item {
        Item::Pod(pod) if is_wanted(&pod.namespace) => Some((&pod.namespace, pod.state.as_deref()?)),
        _ => None,
    });
    let told = pods.map(|(namespace, pod)| {
        let mut pod = pod.clone();
        let own = pod.claims.iter().filter_map(|claim| claims.get(&(namespace, &*claim.name)));
        pod.claims = own.map(|claim| (*claim).clone()).collect();
        tell_event(&mut pod, events.get(namespace).into_iter().flatten().copied());
        (namespace.clone(), pod)
    });
    told.collect()
}
