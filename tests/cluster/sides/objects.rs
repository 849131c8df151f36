//! The objects that are generated, and how they are written for the API server.
//!
//! Services have no selector and slices are not the controller's, so that no controller touches either: what
//! is asked about is exactly what was generated.

use std::net::IpAddr;

use serde_json::{Value, json};

/// Who the slices say they are managed by: not the controller that would collect them.
const MANAGER: &str = "side-by-side";

/// All that is applied, in order.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) namespaces: Vec<String>,
    pub(super) services: Vec<Service>,
    pub(super) slices: Vec<Slice>,
    pub(super) sets: Vec<StatefulSet>,
}

#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) ports: Vec<Port>,
    /// As the API server assigned them; empty before it did, and for services that have none.
    pub(super) cluster_ips: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Headless,
    /// The `type` (ClusterIP, NodePort, LoadBalancer) and the families of its addresses.
    Virtual(&'static str, &'static [&'static str]),
    External(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: Option<&'static str>,
    pub(super) protocol: &'static str,
    /// A slice's port may go without.
    pub(super) number: Option<u16>,
}

#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) namespace: String,
    pub(super) name: String,
    /// The service-name label; a slice may go without.
    pub(super) service: Option<String>,
    /// IPv4, IPv6 or FQDN.
    pub(super) family: &'static str,
    pub(super) ports: Vec<Port>,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Endpoint {
    pub(super) address: String,
    pub(super) hostname: Option<String>,
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
    /// Name and UID of the pod that it points to.
    pub(super) pod: Option<(String, String)>,
}

/// A set whose pods are never made: its replicas are expected and not there.
#[derive(Debug, Clone)]
pub(super) struct StatefulSet {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) replicas: usize,
}

impl World {
    /// The objects as JSON documents, each kind in order of generation, in lists of a size that one request
    /// can carry.
    pub(super) fn manifests(&self) -> Vec<String> {
        let services = self.services.iter().map(Service::manifest);
        let sets = self.sets.iter().map(StatefulSet::manifest);
        let slices = self.slices.iter().map(Slice::manifest);
        let all: Vec<Value> = services.chain(sets).chain(slices).collect();
        let list = |items: &[Value]| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        all.chunks(100).map(list).collect()
    }

    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.namespace == namespace && service.name == name)
    }

    /// The slices that name this service.
    pub(super) fn slices_of<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Slice> {
        self.slices.iter().filter(|slice| {
            slice.namespace == service.namespace && slice.service.as_ref() == Some(&service.name)
        })
    }

    /// Takes the addresses that the API server gave, from its list of Services.
    pub(super) fn learn_cluster_ips(&mut self, list: &Value) {
        for item in list["items"].as_array().into_iter().flatten() {
            let (namespace, name) = (&item["metadata"]["namespace"], &item["metadata"]["name"]);
            let known = self.services.iter_mut().find(|s| *namespace == *s.namespace && *name == *s.name);
            let Some(service) = known else { continue };
            let addresses = item["spec"]["clusterIPs"].as_array().into_iter().flatten();
            service.cluster_ips = addresses.filter_map(|ip| ip.as_str()?.parse().ok()).collect();
        }
    }
}

impl Service {
    fn manifest(&self) -> Value {
        let mut spec = match &self.shape {
            Shape::Headless => json!({"clusterIP": "None"}),
            Shape::Virtual(kind, families) => {
                let policy = if families.len() == 2 { "RequireDualStack" } else { "SingleStack" };
                json!({"type": kind, "ipFamilies": families, "ipFamilyPolicy": policy})
            }
            Shape::External(target) => json!({"type": "ExternalName", "externalName": target}),
        };
        let port = |port: &Port| json!({"name": port.name, "protocol": port.protocol, "port": port.number});
        if !self.ports.is_empty() {
            spec["ports"] = self.ports.iter().map(port).collect();
        }
        json!({
            "apiVersion": "v1", "kind": "Service", "spec": spec,
            "metadata": {"namespace": self.namespace, "name": self.name},
        })
    }
}

impl Slice {
    fn manifest(&self) -> Value {
        let mut labels = json!({"endpointslice.kubernetes.io/managed-by": MANAGER});
        if let Some(service) = &self.service {
            labels["kubernetes.io/service-name"] = json!(service);
        }
        let port = |port: &Port| json!({"name": port.name, "protocol": port.protocol, "port": port.number});
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"namespace": self.namespace, "name": self.name, "labels": labels},
            "addressType": self.family,
            "ports": self.ports.iter().map(port).collect::<Vec<_>>(),
            "endpoints": self.endpoints.iter().map(|e| e.manifest(&self.namespace)).collect::<Vec<_>>(),
        })
    }
}

impl Endpoint {
    fn manifest(&self, namespace: &str) -> Value {
        let conditions =
            [("ready", self.ready), ("serving", self.serving), ("terminating", self.terminating)];
        let set = conditions.iter().filter_map(|(name, value)| Some((name.to_string(), json!((*value)?))));
        let mut endpoint = json!({"addresses": [self.address], "conditions": set.collect::<Value>()});
        if let Some(hostname) = &self.hostname {
            endpoint["hostname"] = json!(hostname);
        }
        if let Some((name, uid)) = &self.pod {
            endpoint["targetRef"] = json!({"kind": "Pod", "namespace": namespace, "name": name, "uid": uid});
        }
        endpoint
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready != Some(false)
    }

    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    /// The label below the service, as names.md derives it.
    pub(super) fn label(&self) -> Option<String> {
        self.hostname.clone().or_else(|| self.ip().map(dashed))
    }
}

impl StatefulSet {
    /// Whether this is the name of one of its replicas below this service.
    pub(super) fn expects(&self, service: &Service, host: &str) -> bool {
        let governing = (&self.namespace, &self.service) == (&service.namespace, &service.name);
        governing && (0..self.replicas).any(|ordinal| host == format!("{}-{ordinal}", self.name))
    }

    fn manifest(&self) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"namespace": self.namespace, "name": self.name},
            "spec": {
                "serviceName": self.service,
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": self.name}},
                "template": {
                    "metadata": {"labels": {"app": self.name}},
                    "spec": {
                        // No node has this label: the pods stay Pending, and in no slice.
                        "nodeSelector": {"side-by-side/no-such": "node"},
                        "containers": [{"name": "main", "image": "none"}],
                    },
                },
            },
        })
    }
}

/// `10-244-0-2`, `fd00-10-244--2`: an address as a label.
pub(super) fn dashed(address: IpAddr) -> String {
    let label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') { label + "0" } else { label }
}

/// The name that an address's PTR records are at.
pub(super) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}
