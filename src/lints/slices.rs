//! EndpointSlices that somebody writes by hand, and host names in any.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Findings;
use super::input::Cluster;
use super::objects::Slice;
use super::{Lint, lint};

pub(super) const PORT_NAME: Lint = lint!(
    "slice-port-name-differs",
    Warning,
    "an EndpointSlice written by hand has no port of a name that its Service has",
    &[],
    port_name
);
pub(super) const DUPLICATE: Lint = lint!(
    "slice-hostname-duplicate",
    Warning,
    "two endpoints of an EndpointSlice have one host name",
    &[],
    duplicate
);

fn port_name(cluster: &Cluster, found: &mut Findings<'_>) {
    // Slices of one Service may have different ports: only all of them together lack one.
    let mut by_service: BTreeMap<(&str, &str), Vec<&Slice>> = BTreeMap::new();
    for slice in &cluster.slices {
        by_service.entry((slice.meta.namespace(), &slice.service)).or_default().push(slice);
    }
    for ((namespace, name), slices) in by_service {
        let Some(service) = cluster.service(namespace, name) else { continue };
        let has: BTreeSet<&str> =
            slices.iter().flat_map(|slice| slice.port_names.iter().map(String::as_str)).collect();
        // With a selector the controller writes slices of its own, and what is written by hand is beside them.
        let Some(slice) = slices.iter().find(|slice| slice.by_hand && service.selector.is_empty()) else {
            continue;
        };
        let lacking = service.ports.iter().find(|port| !has.contains(port.name.as_str()));
        let Some(port) = lacking.filter(|_| !has.is_empty()) else { continue };
        let has: Vec<String> = has.into_iter().map(|name| format!("{name:?}")).collect();
        let message = format!(
            "Service {name} has the port {:?}, and its slices have {}: SRV goes by the slices",
            port.name,
            has.join(", ")
        );
        found.push(&slice.meta, "ports", message, format!("ports:\n- name: {:?}\n  port: …", port.name));
    }
}

fn duplicate(cluster: &Cluster, found: &mut Findings<'_>) {
    for slice in &cluster.slices {
        // What gives the pods that name is spoken of itself: hostname-shared, hostname-clash.
        let makers = || {
            let service = cluster.service(slice.meta.namespace(), &slice.service);
            service.into_iter().flat_map(|service| cluster.selected_by(service))
        };
        let is_made = |host: &&String| makers().any(|maker| !maker.is_set() && maker.pods.hostname == **host);
        for host in slice.duplicates.iter().filter(|host| !is_made(host)) {
            let message = format!(
                "{host}.{} is the name of more than one endpoint: it answers with the addresses of all of them",
                slice.service
            );
            found.push(&slice.meta, "endpoints", message, "a hostname of its own for each endpoint");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::lints::support::{found, mk_service};

    #[test]
    fn names_that_a_template_gives_are_its_own_fault() {
        let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"},
            "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "db"}},
                "spec": {"hostname": "one", "subdomain": "db"}}}});
        let endpoint =
            |pod: &str| json!({"addresses": ["192.0.2.1"], "hostname": "one", "targetRef": {"name": pod}});
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
            "ports": [{"name": "web", "port": 80}], "endpoints": [endpoint("db-x"), endpoint("db-y")]});
        let service = mk_service("db", "db", json!({}));
        assert_eq!(found(&[service.clone(), deployment.clone(), slice.clone()]), ["hostname-shared"]);
        deployment["spec"]["template"]["spec"]["hostname"] = json!("other");
        let ids = found(&[service.clone(), deployment, slice.clone()]);
        assert_eq!(ids, ["hostname-shared", "slice-hostname-duplicate"]);
        assert!(found(&[service, slice]).contains(&"slice-hostname-duplicate"));
    }
}
