//! Objects and lines as an API server writes them.

use serde_json::{Value, json};

/// Where the kinds are, in the whole cluster.
pub(super) const SERVICES: &str = "/api/v1/services";
pub(super) const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
pub(super) const SETS: &str = "/apis/apps/v1/statefulsets";
pub(super) const NAMESPACES: &str = "/api/v1/namespaces";
pub(super) const PODS: &str = "/api/v1/pods";

/// The path of a kind in one namespace.
pub(super) fn of(namespace: &str, path: &str) -> String {
    let (group, plural) = path.rsplit_once('/').unwrap();
    format!("{group}/namespaces/{namespace}/{plural}")
}

/// A headless Service with a port `web`.
pub(super) fn headless(namespace: &str, name: &str) -> Value {
    service(namespace, name, json!({"clusterIP": "None", "ports": [{"name": "web", "port": 80}]}))
}

/// A Service of this spec.
pub(super) fn service(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"kind": "Service", "metadata": {"name": name, "namespace": namespace, "uid": format!("s-{name}")},
        "spec": spec})
}

/// The slice `<service>-x`, an endpoint an address, with host names `web-0` and so on.
pub(super) fn slice(namespace: &str, service: &str, addresses: &[&str]) -> Value {
    let endpoint = |(number, address): (usize, &&str)| {
        let host = format!("web-{number}");
        json!({"addresses": [address], "conditions": {"ready": true}, "hostname": host})
    };
    json!({"kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-x"), "namespace": namespace, "uid": format!("e-{service}"),
            "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
        "endpoints": addresses.iter().enumerate().map(endpoint).collect::<Vec<_>>()})
}

/// An object at a version.
pub(super) fn at(version: &str, mut object: Value) -> Value {
    object["metadata"]["resourceVersion"] = version.into();
    object
}

/// A line of a watch.
pub(super) fn event(what: &str, object: &Value) -> String {
    json!({"type": what, "object": object}).to_string()
}

/// A bookmark; one that ends the initial events where `end` says so.
pub(super) fn bookmark(version: &str, end: bool) -> String {
    let annotations = if end { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    event("BOOKMARK", &json!({"metadata": {"resourceVersion": version, "annotations": annotations}}))
}

/// A page of a list; an empty `token` is none.
pub(super) fn page(version: &str, token: &str, items: &[Value]) -> String {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version, "continue": token},
        "items": items})
    .to_string()
}

/// A Status, as an answer's body or the object of an ERROR event.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": message})
}

/// The full name of a Service.
pub(super) fn name(namespace: &str, service: &str) -> String {
    format!("{service}.{namespace}.svc.cluster.local")
}
