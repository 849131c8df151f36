//! Clusters to look at, for the tests of the lints.

use serde_json::{Value, json};

use super::{Cluster, Origin, run};

pub(super) fn mk_cluster(objects: &[Value]) -> Cluster {
    let mut cluster = Cluster::new("cluster.local", None);
    for object in objects {
        cluster.add(object, Origin::default()).unwrap();
    }
    cluster
}

/// The ids that are found, sorted.
pub(super) fn found(objects: &[Value]) -> Vec<&'static str> {
    let mut ids: Vec<&str> =
        run(&mk_cluster(objects), &[]).findings.iter().map(|finding| finding.lint.id).collect();
    ids.sort_unstable();
    ids
}

/// A headless Service that selects one label, with a port `web`; what is in `spec` comes over it.
pub(super) fn mk_service(name: &str, app: &str, spec: Value) -> Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": {"app": app}, "ports": [{"name": "web", "port": 80}]}});
    merge(&mut service["spec"], spec);
    service
}

/// A StatefulSet of 3 under a Service, with that label and a container of these fields.
pub(super) fn mk_set(name: &str, service: &str, app: &str, container: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {"serviceName": service, "replicas": 3, "template": {"metadata": {"labels": {"app": app}},
            "spec": {"containers": [container]}}}})
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(fields) = from else { return };
    for (name, value) in fields {
        into[name] = value;
    }
}
