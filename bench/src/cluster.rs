//! A made-up cluster: its objects, one after the other; none of them is kept. The same arguments make the same objects
//! everywhere, and a larger cluster begins with the objects of a smaller one of as many endpoints a service.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::Random;

/// Endpoints of a slice, as the EndpointSlice controller has it by default (`--max-endpoints-per-slice`).
const PER_SLICE: usize = 100;
const SERVICES_A_NAMESPACE: usize = 20;
/// One endpoint in so many is not ready.
const NOT_READY: usize = 200;
const NODES: usize = 500;

const STATEFUL: [(&str, &str, u16); 5] = [
    ("cassandra", "cql", 9042),
    ("kafka", "broker", 9092),
    ("redis", "redis", 6379),
    ("etcd", "client", 2379),
    ("postgres", "postgres", 5432),
];
const STATELESS: [&str; 5] = ["api", "web", "cart", "search", "checkout"];

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub struct Cluster {
    /// In all.
    pub endpoints: usize,
    /// Of each service, more than 0; the last one has what is left.
    pub per_service: usize,
    /// The same seed makes the same cluster.
    pub seed: u64,
    /// What its services are.
    pub shape: Shape,
}

/// What the services are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// Half of them headless, each governing a StatefulSet; the others have a cluster IP
    Mixed,
    /// All of them headless, each governing a StatefulSet: an endpoint is a name
    Headless,
}

/// The kinds of objects, in the order that kubectl is asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // they are Kubernetes' own names
pub enum Kind {
    Namespace,
    Service,
    EndpointSlice,
    StatefulSet,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Namespace, Self::Service, Self::EndpointSlice, Self::StatefulSet];
}

struct Service {
    index: usize,
    namespace: String,
    name: String,
    headless: bool,
    port_name: &'static str,
    port: u16,
    uid: String,
    /// The first of its endpoints, counted over all services.
    first: usize,
    count: usize,
}

struct Pod {
    name: String,
    uid: String,
    address: Ipv4Addr,
    node: usize,
    ready: bool,
}

impl Cluster {
    /// Namespaces, Services, EndpointSlices, StatefulSets.
    pub fn objects(&self) -> impl Iterator<Item = Value> + '_ {
        Kind::ALL.into_iter().flat_map(|kind| self.objects_of(kind, 0))
    }

    /// The objects of a kind that a cluster of `from` endpoints, and otherwise like this one, does not have yet. `from`
    /// is a multiple of the endpoints a service.
    #[must_use]
    pub fn objects_of(&self, kind: Kind, from: usize) -> Box<dyn Iterator<Item = Value> + '_> {
        let first = from / self.per_service;
        let services = (first..self.services()).map(|index| self.service_at(index));
        match kind {
            Kind::Namespace => {
                let namespaces =
                    first.div_ceil(SERVICES_A_NAMESPACE)..self.services().div_ceil(SERVICES_A_NAMESPACE);
                Box::new(namespaces.map(|index| self.namespace(index)))
            }
            Kind::Service => Box::new(services.map(|service| self.service(&service))),
            Kind::EndpointSlice => Box::new(services.flat_map(|service| {
                let slices = 0..service.count.div_ceil(PER_SLICE);
                slices.map(|slice| self.slice(&service, slice)).collect::<Vec<_>>()
            })),
            Kind::StatefulSet => {
                let governing = services.filter(|service| service.headless);
                Box::new(governing.map(|service| self.stateful_set(&service)))
            }
        }
    }

    /// How many services there are.
    #[must_use]
    pub fn services(&self) -> usize {
        self.endpoints.div_ceil(self.per_service)
    }

    /// A name that the cluster makes, and what must be answered: the last ready pod of a StatefulSet.
    #[must_use]
    pub fn question(&self) -> Option<(String, Ipv4Addr)> {
        let services = (0..self.services()).rev().map(|index| self.service_at(index));
        services
            .filter(|service| service.headless)
            .find_map(|service| (0..service.count).rev().find_map(|ordinal| self.named(&service, ordinal)))
    }

    /// So many names of ready pods of StatefulSets, by chance among all. Less where there are none.
    pub fn names(&self, count: usize) -> impl Iterator<Item = String> + '_ {
        let mut random = Random::new(self.seed, u64::MAX);
        let tries = if self.endpoints == 0 { 0 } else { 100 * count };
        let names = (0..tries).filter_map(move |_| {
            let place = random.below(self.endpoints);
            let service = self.service_at(place / self.per_service);
            let named = service.headless.then(|| self.named(&service, place - service.first));
            named.flatten().map(|(name, _)| name)
        });
        names.take(count)
    }

    /// The name and the address of a StatefulSet's pod that is ready.
    fn named(&self, service: &Service, ordinal: usize) -> Option<(String, Ipv4Addr)> {
        let pod = self.pod(service, ordinal);
        let Service { name, namespace, .. } = service;
        pod.ready.then(|| (format!("{}.{name}.{namespace}.svc.cluster.local", pod.name), pod.address))
    }

    fn service_at(&self, index: usize) -> Service {
        let headless = self.shape == Shape::Headless || index.is_multiple_of(2);
        let (word, port_name, port) = if headless {
            STATEFUL[index / 2 % STATEFUL.len()]
        } else {
            (STATELESS[index / 2 % STATELESS.len()], "http", 8080)
        };
        let first = index * self.per_service;
        Service {
            index,
            namespace: format!("team-{:03}", index / SERVICES_A_NAMESPACE),
            name: format!("{word}-{index}"),
            headless,
            port_name,
            port,
            uid: uid(&mut Random::new(self.seed, 4 * index as u64)),
            first,
            count: self.per_service.min(self.endpoints - first),
        }
    }

    fn pod(&self, service: &Service, ordinal: usize) -> Pod {
        let place = service.first + ordinal;
        let mut random = Random::new(self.seed, 4 * place as u64 + 1);
        let name = if service.headless {
            format!("{}-{ordinal}", service.name)
        } else {
            format!("{}-6d4cf56db6-{}", service.name, suffix(&mut random))
        };
        Pod {
            name,
            uid: uid(&mut random),
            address: offset([10, 128, 0, 0], place + 2),
            node: random.below(NODES),
            ready: random.below(NOT_READY) > 0,
        }
    }

    fn namespace(&self, index: usize) -> Value {
        let name = format!("team-{index:03}");
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "creationTimestamp": "2026-03-02T08:14:31Z",
                "labels": { "kubernetes.io/metadata.name": name },
                "name": name,
                "resourceVersion": (1000 + index).to_string(),
                "uid": uid(&mut Random::new(self.seed, 4 * index as u64 + 2)),
            },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        })
    }

    fn service(&self, service: &Service) -> Value {
        let Service { index, namespace, name, headless, port_name, port, uid, .. } = service;
        let address = offset([10, 96, 0, 0], index + 10).to_string();
        let address = if *headless { "None" } else { &address };
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "creationTimestamp": "2026-03-02T08:15:02Z",
                "labels": { "app.kubernetes.io/name": name },
                "name": name, "namespace": namespace,
                "resourceVersion": (20_000 + index).to_string(), "uid": uid,
            },
            "spec": {
                "clusterIP": address, "clusterIPs": [address],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "ports": [{ "name": port_name, "port": port, "protocol": "TCP", "targetPort": port }],
                "selector": { "app.kubernetes.io/name": name },
                "sessionAffinity": "None", "type": "ClusterIP",
            },
            "status": { "loadBalancer": {} },
        })
    }

    fn slice(&self, service: &Service, slice: usize) -> Value {
        let Service { namespace, name, headless, port_name, port, .. } = service;
        let mut random = Random::new(self.seed, 4 * (service.first + slice) as u64 + 3);
        let mut labels = json!({
            "app.kubernetes.io/name": name,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "kubernetes.io/service-name": name,
        });
        if *headless {
            labels["service.kubernetes.io/headless"] = "".into();
        }
        let ordinals = slice * PER_SLICE..service.count.min((slice + 1) * PER_SLICE);
        let endpoints = ordinals.map(|ordinal| self.endpoint(service, ordinal));
        json!({
            "addressType": "IPv4", "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "endpoints": endpoints.collect::<Vec<_>>(),
            "metadata": {
                "annotations": { "endpoints.kubernetes.io/last-change-trigger-time": "2026-05-19T11:02:47Z" },
                "creationTimestamp": "2026-03-02T08:15:02Z",
                "generateName": format!("{name}-"), "generation": 12,
                "labels": labels,
                "name": format!("{name}-{}", suffix(&mut random)), "namespace": namespace,
                "ownerReferences": [{
                    "apiVersion": "v1", "blockOwnerDeletion": true, "controller": true,
                    "kind": "Service", "name": name, "uid": service.uid,
                }],
                "resourceVersion": (400_000 + service.first + slice).to_string(),
                "uid": uid(&mut random),
            },
            "ports": [{ "name": port_name, "port": port, "protocol": "TCP" }],
        })
    }

    fn endpoint(&self, service: &Service, ordinal: usize) -> Value {
        let pod = self.pod(service, ordinal);
        let zone = ["eu-1a", "eu-1b", "eu-1c"][pod.node % 3];
        let mut endpoint = json!({
            "addresses": [pod.address.to_string()],
            "conditions": { "ready": pod.ready, "serving": pod.ready, "terminating": false },
            "nodeName": format!("node-{:03}", pod.node),
            "targetRef": { "kind": "Pod", "name": pod.name, "namespace": service.namespace, "uid": pod.uid },
            "zone": zone,
        });
        if service.headless {
            endpoint["hostname"] = pod.name.into();
        }
        endpoint
    }

    fn stateful_set(&self, service: &Service) -> Value {
        let Service { namespace, name, port_name, port, count, .. } = service;
        let labels = json!({ "app.kubernetes.io/name": name });
        let mut random = Random::new(self.seed ^ 0x5e75, service.index as u64);
        let ready = (0..*count).filter(|ordinal| self.pod(service, *ordinal).ready).count();
        let revision = format!("{name}-7c9d8b5f64");
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {
                "creationTimestamp": "2026-03-02T08:15:02Z", "generation": 1, "labels": labels,
                "name": name, "namespace": namespace,
                "resourceVersion": (800_000 + service.index).to_string(), "uid": uid(&mut random),
            },
            "spec": {
                "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
                "podManagementPolicy": "OrderedReady", "replicas": count, "revisionHistoryLimit": 10,
                "selector": { "matchLabels": labels }, "serviceName": name,
                "template": {
                    "metadata": { "labels": labels },
                    "spec": {
                        "containers": [{
                            "image": format!("registry.example.org/{port_name}:1.2.3"),
                            "imagePullPolicy": "IfNotPresent", "name": "main",
                            "ports": [{ "containerPort": port, "name": port_name, "protocol": "TCP" }],
                            "resources": { "requests": { "cpu": "500m", "memory": "1Gi" } },
                            "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                            "volumeMounts": [{ "mountPath": "/data", "name": "data" }],
                        }],
                        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                        "schedulerName": "default-scheduler", "securityContext": {},
                        "terminationGracePeriodSeconds": 30,
                    },
                },
                "updateStrategy": { "rollingUpdate": { "partition": 0 }, "type": "RollingUpdate" },
                "volumeClaimTemplates": [{
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                    "metadata": { "name": "data" },
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": { "requests": { "storage": "10Gi" } }, "volumeMode": "Filesystem",
                    },
                    "status": { "phase": "Pending" },
                }],
            },
            "status": {
                "availableReplicas": ready, "collisionCount": 0, "currentReplicas": count,
                "currentRevision": revision, "observedGeneration": 1, "readyReplicas": ready,
                "replicas": count, "updateRevision": revision, "updatedReplicas": count,
            },
        })
    }
}

fn offset(base: [u8; 4], by: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::from(base).to_bits().wrapping_add(u32::try_from(by).unwrap_or(u32::MAX)))
}

/// Five characters, as the API server makes from `generateName`.
fn suffix(random: &mut Random) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| char::from(ALPHABET[random.below(ALPHABET.len())])).collect()
}

fn uid(random: &mut Random) -> String {
    let (high, low) = (random.number(), random.number());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}
