//! Selectors that select nothing.

use std::collections::BTreeSet;

use super::finding::Findings;
use super::governing::{differing, is_near, patch};
use super::input::{Cluster, Kind};
use super::objects::{Service, Workload};
use super::{Lint, lint};

pub(super) const NOTHING: Lint = lint!(
    "headless-selects-nothing",
    Warning,
    "a headless Service selects no pod and no template of pods",
    &Kind::PODS,
    nothing
);

fn nothing(cluster: &Cluster, found: &mut Findings<'_>) {
    // Whom a Service has endpoints of, it selects, whether the input has the pods or not.
    let sliced: BTreeSet<(&str, &str)> = cluster
        .slices
        .iter()
        .filter(|slice| slice.has_endpoints)
        .map(|slice| (slice.meta.namespace(), slice.service.as_str()))
        .collect();
    for service in cluster.services.iter().filter(|service| service.is_headless()) {
        let namespace = service.meta.namespace();
        let governs = cluster.workloads_of(namespace).any(|set| set.is_governed_by(service));
        let of_pods = cluster.pod_labels.get(namespace);
        let selects_pods = of_pods.is_some_and(|all| all.iter().any(|labels| service.selects(labels)));
        let selects = selects_pods || cluster.selected_by(service).next().is_some();
        if service.selector.is_empty()
            || governs
            || selects
            || sliced.contains(&(namespace, service.meta.name()))
        {
            continue;
        }
        // Without one that it was meant for the pods may well be somebody else's, who makes them later.
        let Some(meant) = cluster.workloads_of(namespace).find(|workload| is_meant(service, workload)) else {
            continue;
        };
        let message = format!(
            "no pod of namespace {namespace} has all the labels that it selects; the pods of {} lack {}",
            meant.meta.object,
            differing(&service.selector, &meant.pods.labels)
        );
        found.push(
            &service.meta,
            "spec.selector",
            message,
            patch(service, &service.selector, &meant.pods.labels),
        );
    }
}

/// Whether the selector misses these pods by an oversight: a value that stands under another key, one with a slip of the
/// hand, or a key that they lack where the names tell that they belong together. Another value altogether is another
/// workload's, and so is a further key: pods of one release share most of their labels.
fn is_meant(service: &Service, workload: &Workload) -> bool {
    let labels = &workload.pods.labels;
    let (of_service, of_workload) = (service.meta.name(), workload.meta.name());
    let is_related = of_service.starts_with(of_workload) || of_workload.starts_with(of_service);
    let is_elsewhere = |value: &String| labels.values().any(|other| other == value && value.len() > 1);
    let mut unmet = service.selector.iter().filter(|(key, value)| labels.get(*key) != Some(value));
    unmet.all(|(key, value)| {
        is_elsewhere(value) || labels.get(key).map_or(is_related, |other| is_near(other, value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::lints::support::{found, mk_service, mk_set};

    fn deployment(labels: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"template": {"metadata": {"labels": labels}}}})
    }

    fn with(selector: Value, labels: Value) -> bool {
        let service = mk_service("peers", "", json!({"selector": selector}));
        !found(&[service, deployment(labels)]).is_empty()
    }

    #[test]
    fn an_oversight_is_told_from_another_workload() {
        for (selector, labels) in [
            (json!({"name": "web"}), json!({"app": "web"})),
            (json!({"app": "web", "tier": "front"}), json!({"app": "web", "tier": "fornt"})),
        ] {
            assert!(with(selector.clone(), labels.clone()), "{selector} {labels}");
        }
        for (selector, labels) in [
            (json!({"app": "web"}), json!({"app": "web", "x": "y"})),
            (json!({"app": "router"}), json!({"app": "web"})),
            (json!({"release": "r", "alertmanager": "main"}), json!({"release": "r", "app": "web"})),
            (json!({"instance": "prod", "name": "router"}), json!({"instance": "prod", "name": "web"})),
            (json!({"component": "kube-scheduler"}), json!({"app": "web"})),
            (json!({}), json!({"app": "web"})),
        ] {
            assert!(!with(selector.clone(), labels.clone()), "{selector} {labels}");
        }
        // The same key is an oversight where the Service is called as the workload is.
        let service = mk_service("web-peers", "", json!({"selector": {"app": "web", "tier": "a"}}));
        assert_eq!(found(&[service, deployment(json!({"app": "web"}))]), ["headless-selects-nothing"]);
    }

    #[test]
    fn who_has_endpoints_selects_somebody() {
        let service = mk_service("web", "web", json!({"selector": {"name": "web"}}));
        let other = deployment(json!({"app": "web"}));
        assert_eq!(found(&[service.clone(), other.clone()]), ["headless-selects-nothing"]);
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["10.0.0.1"]}]});
        assert_eq!(found(&[service.clone(), other.clone(), slice]), [""; 0]);
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"name": "web"},
            "ownerReferences": [{"controller": true}]}});
        assert_eq!(found(&[service.clone(), other, pod]), [""; 0]);
        // One that governs a set is the set's matter.
        let set = mk_set("a", "web", "web", json!({}));
        assert_eq!(found(&[service, set]), ["governing-service-selects-others"]);
    }
}
