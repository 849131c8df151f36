//! What the index does not keep, for no record is made of it: read from the objects themselves, where somebody may.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::PodState;

/// Of manifests everything that is there; of an API server what was asked for; of a running server nothing.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    services: BTreeMap<Named, ServiceMore>,
    slices: BTreeMap<Named, SliceMore>,
    sets: BTreeMap<Named, SetMore>,
    pods: BTreeMap<Named, PodState>,
    absent_pods: BTreeSet<Named>,
    /// What was asked for and could not be read.
    pub unread: Vec<Unread>,
}

/// Namespace and name.
type Named = (String, String);

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// `pods in default`.
    pub what: String,
    /// Who asked may not, in the API server's words; or what else came of it.
    pub why: String,
    /// It was forbidden.
    pub forbidden: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceMore {
    pub(super) selector: BTreeMap<String, String>,
    pub(super) publish_not_ready: bool,
    pub(super) families: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SliceMore {
    /// When what it tells of happened last, where its controller says so.
    pub(super) changed: Option<SystemTime>,
    pub(super) endpoints: BTreeMap<IpAddr, EndpointMore>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndpointMore {
    pub(super) node: Option<String>,
    pub(super) serving: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetMore {
    /// Of the pods that it makes.
    pub(super) labels: BTreeMap<String, String>,
    /// `status.readyReplicas`; None where the set has no status.
    pub(super) ready: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    metadata: RawMetadata,
    spec: Option<RawSpec>,
    status: Option<RawStatus>,
    endpoints: Option<Vec<RawEndpoint>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawMetadata {
    name: String,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawSpec {
    /// A Service's; a StatefulSet's is something else, and is not asked for.
    selector: Option<Value>,
    publish_not_ready_addresses: Option<bool>,
    ip_families: Option<Vec<String>>,
    template: Option<Box<Raw>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawStatus {
    replicas: Option<u32>,
    ready_replicas: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawEndpoint {
    addresses: Vec<String>,
    node_name: Option<String>,
    conditions: Option<RawConditions>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawConditions {
    serving: Option<bool>,
}

/// The annotation of the endpoints' controllers.
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

impl Beside {
    /// Takes what it needs of an object as the API writes it. One that cannot be read is passed over: what is served says
    /// what is wrong with it.
    pub fn add(&mut self, object: &Value) {
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
        if !matches!(kind, "Service" | "EndpointSlice" | "StatefulSet") {
            return;
        }
        let Ok(raw) = Raw::deserialize(object) else { return };
        let namespace = raw.metadata.namespace.filter(|namespace| !namespace.is_empty());
        let named = (namespace.unwrap_or_else(|| "default".to_owned()), raw.metadata.name);
        match kind {
            "Service" => {
                let spec = raw.spec.unwrap_or_default();
                let selector = spec.selector.and_then(|labels| serde_json::from_value(labels).ok());
                let more = ServiceMore {
                    selector: selector.unwrap_or_default(),
                    publish_not_ready: spec.publish_not_ready_addresses.unwrap_or_default(),
                    families: spec.ip_families.unwrap_or_default(),
                };
                self.services.insert(named, more);
            }
            "EndpointSlice" => {
                let changed = raw.metadata.annotations.and_then(|mut all| all.remove(TRIGGER_TIME));
                let changed = changed.and_then(|text| text.parse::<jiff::Timestamp>().ok());
                let endpoints = raw.endpoints.unwrap_or_default().into_iter().flat_map(|endpoint| {
                    let more = EndpointMore {
                        node: endpoint.node_name,
                        serving: endpoint.conditions.and_then(|conditions| conditions.serving),
                    };
                    let addresses = endpoint.addresses.into_iter().filter_map(|text| text.parse().ok());
                    addresses.map(move |address| (address, more.clone())).collect::<Vec<_>>()
                });
                let more =
                    SliceMore { changed: changed.map(SystemTime::from), endpoints: endpoints.collect() };
                self.slices.insert(named, more);
            }
            _ => {
                let template = raw.spec.and_then(|spec| spec.template).unwrap_or_default();
                let more = SetMore {
                    labels: template.metadata.labels.unwrap_or_default(),
                    // An API server leaves out a number that is 0.
                    ready: raw.status.and_then(|status| status.ready_replicas.or(status.replicas.map(|_| 0))),
                };
                self.sets.insert(named, more);
            }
        }
    }

    /// Takes a pod, with what is known of its claims.
    pub fn add_pod(&mut self, namespace: &str, pod: PodState) {
        self.pods.insert((namespace.to_owned(), pod.name.to_string()), pod);
    }

    /// A pod that was looked for, and is not there.
    pub fn add_absent_pod(&mut self, namespace: &str, name: &str) {
        self.absent_pods.insert((namespace.to_owned(), name.to_owned()));
    }

    pub(super) fn has_no_pod(&self, namespace: &str, name: &str) -> bool {
        self.absent_pods.contains(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<&PodState> {
        self.pods.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<&ServiceMore> {
        self.services.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn slice(&self, namespace: &str, name: &str) -> Option<&SliceMore> {
        self.slices.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn set(&self, namespace: &str, name: &str) -> Option<&SetMore> {
        self.sets.get(&(namespace.to_owned(), name.to_owned()))
    }
}

/// `app=nginx,tier=web`, as `kubectl -l` takes it.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_object_says_is_taken_and_what_it_does_not_say_is_not_made_up() {
        let mut beside = Beside::default();
        beside.add(&json!({"kind": "Service", "metadata": {"name": "nginx", "namespace": "shop"},
            "spec": {"selector": {"b": "2", "a": "1"}, "publishNotReadyAddresses": true, "ipFamilies": ["IPv4"]}}));
        beside
            .add(&json!({"kind": "Service", "metadata": {"name": "bare", "namespace": null}, "spec": null}));
        beside.add(&json!({"kind": "EndpointSlice",
            "metadata": {"name": "x", "annotations": {TRIGGER_TIME: "2026-01-02T03:04:05Z"}},
            "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n", "conditions": {"serving": true}}, {"addresses": ["fd00::1"]}]}));
        beside.add(
            &json!({"kind": "EndpointSlice", "metadata": {"name": "y", "annotations": {TRIGGER_TIME: "noon"}},
            "endpoints": null}),
        );
        beside.add(&json!({"kind": "StatefulSet", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}}},
            "status": {"replicas": 3}}));
        beside.add(&json!({"kind": "StatefulSet", "metadata": {"name": "bare"}}));
        beside.add(&json!({"kind": "StatefulSet", "metadata": {"name": 3}}));
        beside.add(&json!([]));
        let service = beside.service("shop", "nginx").unwrap();
        assert_eq!((labels(&service.selector).as_str(), service.publish_not_ready), ("a=1,b=2", true));
        assert_eq!(beside.service("default", "bare").map(|service| service.families.len()), Some(0));
        let slice = beside.slice("default", "x").unwrap();
        assert_eq!(slice.endpoints.len(), 2);
        let first = &slice.endpoints[&"10.0.0.1".parse::<IpAddr>().unwrap()];
        assert_eq!((first.node.as_deref(), first.serving), (Some("n"), Some(true)));
        assert!(slice.changed.is_some() && beside.slice("default", "y").unwrap().changed.is_none());
        assert_eq!(beside.set("default", "web").and_then(|set| set.ready), Some(0));
        assert_eq!(beside.set("default", "bare").and_then(|set| set.ready), None);
        assert_eq!((beside.services.len(), beside.sets.len()), (2, 2));
    }
}
