//! The cluster as lints look at it, made of what the API writes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use super::corefile::Corefile;
use super::finding::{ObjectName, Origin, Silenced};
use super::objects::{Meta, Pods, Service, Shape, Slice, Text, Workload};
use super::raw::{
    Container, Labels, Metadata, Object, PodSpec, Probe, ServiceSpec, Slice as RawSlice, WorkloadSpec,
};

/// The annotation that silences lints on its object: ids, with commas between them.
pub(super) const IGNORE: &str = "rollcall/ignore";
/// What Kubernetes read before there was `publishNotReadyAddresses`.
const TOLERATE_UNREADY: &str = "service.alpha.kubernetes.io/tolerate-unready-endpoints";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// The kinds that have to be known whole for something to be told as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the variants are the kinds
pub enum Kind {
    Service,
    EndpointSlice,
    StatefulSet,
    Deployment,
    DaemonSet,
    Pod,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Service, Self::EndpointSlice, Self::StatefulSet, Self::Deployment, Self::DaemonSet, Self::Pod];
    /// Everything that makes pods, and the pods.
    pub(super) const PODS: [Self; 4] = [Self::StatefulSet, Self::Deployment, Self::DaemonSet, Self::Pod];

    /// Several of them, as one says it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Service => "Services",
            Self::EndpointSlice => "EndpointSlices",
            Self::StatefulSet => "StatefulSets",
            Self::Deployment => "Deployments",
            Self::DaemonSet => "DaemonSets",
            Self::Pod => "Pods",
        }
    }
}

/// Everything that is looked at.
#[derive(Debug, Default)]
pub struct Cluster {
    pub(super) zone: String,
    pub(super) services: Vec<Service>,
    pub(super) workloads: Vec<Workload>,
    pub(super) slices: Vec<Slice>,
    /// By namespace: the labels of pods that a controller made.
    pub(super) pod_labels: BTreeMap<Box<str>, BTreeSet<Labels>>,
    pub(super) corefile: Option<Corefile>,
    namespaces: Option<Vec<String>>,
    seen: HashSet<ObjectName>,
    /// By namespace, then by name: places in `services`.
    services_by_name: HashMap<Box<str>, HashMap<Box<str>, usize>>,
    /// By namespace: places in `workloads`.
    workloads_by_namespace: HashMap<Box<str>, Vec<usize>>,
    unknown: BTreeSet<Kind>,
    silenced: Vec<Silenced>,
}

impl Cluster {
    /// An empty one. Objects of other namespaces than these are passed over; None takes all.
    #[must_use]
    pub fn new(zone: impl Into<String>, namespaces: Option<Vec<String>>) -> Self {
        Self { zone: zone.into(), namespaces, ..Self::default() }
    }

    /// Takes the Corefile of the CoreDNS in front.
    pub fn set_corefile(&mut self, corefile: Corefile) {
        self.corefile = Some(corefile);
    }

    /// These could not be read: nothing is said for want of one of them.
    pub fn set_unknown(&mut self, kind: Kind) {
        self.unknown.insert(kind);
    }

    /// Whether all of a kind were read.
    #[must_use]
    pub fn knows(&self, kind: Kind) -> bool {
        !self.unknown.contains(&kind)
    }

    /// What annotations silence that is no lint.
    #[must_use]
    pub fn silenced_in_vain(&self) -> &[Silenced] {
        &self.silenced
    }

    /// Takes an object as the API writes it; what has nothing to do with names is passed over, as is a second one of a
    /// name.
    ///
    /// # Errors
    /// When a field is not what the API has there.
    pub fn add(&mut self, value: &Value, origin: Origin) -> Result<(), serde_json::Error> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
        let kind = text("/kind");
        let known = matches!(
            (group, kind),
            ("", "Service" | "Pod")
                | ("apps", "StatefulSet" | "Deployment" | "DaemonSet" | "ReplicaSet")
                | ("batch", "Job" | "CronJob")
                | ("discovery.k8s.io", "EndpointSlice")
        );
        if !known {
            return Ok(());
        }
        let metadata = value.get("metadata").map(Metadata::deserialize).transpose()?.unwrap_or_default();
        let namespace = if metadata.namespace.is_empty() { "default" } else { &metadata.namespace };
        let is_left_out =
            self.namespaces.as_ref().is_some_and(|names| !names.iter().any(|name| name == namespace));
        let object = ObjectName {
            kind: kind.into(),
            namespace: namespace.into(),
            name: metadata.name.as_str().into(),
        };
        if is_left_out || !self.seen.insert(object.clone()) {
            return Ok(());
        }
        let is_owned = metadata.owner_references.iter().any(|owner| owner.controller);
        if kind == "Pod" && is_owned {
            // Its template says the rest.
            self.pod_labels.entry(object.namespace).or_default().insert(metadata.labels);
            return Ok(());
        }
        let meta = self.meta(object, origin, &metadata);
        match kind {
            "Service" => {
                let service = service(meta, &metadata, Object::deserialize(value)?.spec);
                let of_namespace =
                    self.services_by_name.entry(service.meta.object.namespace.clone()).or_default();
                of_namespace.insert(service.meta.object.name.clone(), self.services.len());
                self.services.push(service);
            }
            "EndpointSlice" => {
                self.slices.extend(slice(meta, &metadata, RawSlice::deserialize(value)?));
            }
            "Pod" => {
                let spec = Object::<PodSpec>::deserialize(value)?.spec;
                let pods = pods(metadata.labels, spec, "spec");
                let (service, replicas, start) = (String::new(), Some(1), 0);
                self.add_workload(Workload { meta, pods, replicas, service, start });
            }
            // A ReplicaSet or Job of something that is here itself would be said twice.
            "ReplicaSet" | "Job" if is_owned => {}
            _ => self.add_workload(workload(meta, Object::deserialize(value)?.spec)),
        }
        Ok(())
    }

    fn add_workload(&mut self, workload: Workload) {
        let namespace = workload.meta.object.namespace.clone();
        self.workloads_by_namespace.entry(namespace).or_default().push(self.workloads.len());
        self.workloads.push(workload);
    }

    fn meta(&mut self, object: ObjectName, origin: Origin, metadata: &Metadata) -> Meta {
        let ids = metadata.annotations.get(IGNORE).map(String::as_str).unwrap_or_default();
        let ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty());
        let (ignored, vain): (Vec<Box<str>>, Vec<Box<str>>) =
            ids.map(Box::from).partition(|id| super::by_id(id).is_some());
        self.silenced.extend(vain.into_iter().map(|id| Silenced {
            object: object.clone(),
            origin: origin.clone(),
            id,
        }));
        Meta { object, origin, ignored }
    }

    /// The Service of this name.
    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(*self.services_by_name.get(namespace)?.get(name)?)
    }

    /// The StatefulSets, each with the Service that it names, where that exists.
    pub(super) fn governed(&self) -> impl Iterator<Item = (&Workload, &Service)> {
        let sets = self.workloads.iter().filter(|workload| workload.is_set());
        sets.filter_map(|set| Some((set, self.service(set.meta.namespace(), &set.service)?)))
    }

    /// What makes pods in a namespace.
    pub(super) fn workloads_of(&self, namespace: &str) -> impl Iterator<Item = &Workload> + use<'_> {
        let places = self.workloads_by_namespace.get(namespace).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| self.workloads.get(*place))
    }

    /// What makes the pods that a Service selects.
    pub(super) fn selected_by<'c>(&'c self, service: &'c Service) -> impl Iterator<Item = &'c Workload> {
        self.workloads_of(service.meta.namespace()).filter(|workload| service.selects(&workload.pods.labels))
    }
}

fn service(meta: Meta, metadata: &Metadata, spec: ServiceSpec) -> Service {
    let is_headless = spec.cluster_ip == "None" || spec.cluster_ips.iter().any(|ip| ip == "None");
    let shape = match spec.r#type.as_str() {
        "ExternalName" => Shape::External,
        _ if is_headless => Shape::Headless,
        _ => Shape::ClusterIp,
    };
    let mut cluster_ips = spec.cluster_ips;
    if cluster_ips.is_empty() && !spec.cluster_ip.is_empty() {
        cluster_ips.push(spec.cluster_ip);
    }
    Service {
        meta,
        shape,
        ports: spec.ports,
        selector: spec.selector,
        publishes_not_ready: spec.publish_not_ready_addresses,
        tolerates_unready: metadata.annotations.get(TOLERATE_UNREADY).is_some_and(|value| value == "true"),
        families: spec.ip_families,
        policy: spec.ip_family_policy,
        cluster_ips,
    }
}

fn workload(meta: Meta, spec: WorkloadSpec) -> Workload {
    let is_set = &*meta.object.kind == "StatefulSet";
    let (template, path) = match &*meta.object.kind {
        "CronJob" => (spec.job_template.spec.template, "spec.jobTemplate.spec.template.spec"),
        _ => (spec.template, "spec.template.spec"),
    };
    Workload {
        meta,
        pods: pods(template.metadata.labels, template.spec, path),
        replicas: spec.replicas,
        service: if is_set { spec.service_name } else { String::new() },
        start: spec.ordinals.start,
    }
}

fn pods(labels: Labels, spec: PodSpec, path: &'static str) -> Pods {
    let mut pods =
        Pods { labels, hostname: spec.hostname, subdomain: spec.subdomain, path, ..Pods::default() };
    let init = spec.init_containers.into_iter().enumerate().map(|at| ("initContainers", at));
    let main = spec.containers.into_iter().enumerate().map(|at| ("containers", at));
    for (list, (index, container)) in main.chain(init) {
        let is_sidecar = container.restart_policy == "Always";
        pods.take(container, &format!("{path}.{list}[{index}]"), list == "containers" || is_sidecar);
    }
    pods
}

impl Pods {
    fn take(&mut self, container: Container, path: &str, serves: bool) {
        let Container { command, args, env, ports, readiness_probe, startup_probe, .. } = container;
        let variables = env.into_iter().map(|variable| variable.value).collect();
        for (list, texts, value) in
            [("command", command, ""), ("args", args, ""), ("env", variables, ".value")]
        {
            let named = texts.into_iter().enumerate().filter(|(_, text)| text.contains('.'));
            self.texts.extend(
                named.map(|(index, text)| Text { field: format!("{path}.{list}[{index}]{value}"), text }),
            );
        }
        if !serves {
            return;
        }
        self.ports.extend(ports);
        self.has_readiness |= readiness_probe.is_some();
        for (name, probe) in [("readinessProbe", readiness_probe), ("startupProbe", startup_probe)] {
            self.probes.extend(probe.map(|probe| text_of(&probe, &format!("{path}.{name}"))));
        }
    }
}

/// A probe's command, or whom it asks. The kubelet gives an empty host the pod's own address.
fn text_of(probe: &Probe, path: &str) -> Text {
    let hosts = [("httpGet.host", &probe.http_get.host), ("tcpSocket.host", &probe.tcp_socket.host)];
    match hosts.into_iter().find(|(_, host)| !host.is_empty()) {
        Some((field, host)) => Text { field: format!("{path}.{field}"), text: format!("-h {host}") },
        None => Text { field: format!("{path}.exec.command"), text: probe.exec.command.join(" ") },
    }
}

fn slice(meta: Meta, metadata: &Metadata, raw: RawSlice) -> Option<Slice> {
    let service = metadata.labels.get(SERVICE_NAME)?.clone();
    let is_v6 = match raw.address_type.as_str() {
        "IPv4" => false,
        "IPv6" => true,
        _ => return None,
    };
    let (mut duplicates, mut pods_by_host) = (BTreeSet::new(), BTreeMap::<&str, &str>::new());
    let lasting = |conditions: &super::raw::Conditions| conditions.terminating != Some(true);
    for endpoint in raw.endpoints.iter().filter(|endpoint| lasting(&endpoint.conditions)) {
        if endpoint.hostname.is_empty() {
            continue;
        }
        let pod = endpoint.target_ref.name.as_str();
        match pods_by_host.insert(&endpoint.hostname, pod) {
            Some(other) if other != pod || pod.is_empty() => {
                duplicates.insert(endpoint.hostname.clone());
            }
            _ => {}
        }
    }
    Some(Slice {
        service,
        is_v6,
        by_hand: metadata.labels.get(MANAGED_BY).is_none_or(|manager| manager != CONTROLLER),
        has_endpoints: !raw.endpoints.is_empty(),
        has_ready: raw.endpoints.iter().any(|endpoint| endpoint.conditions.ready != Some(false)),
        port_names: raw.ports.into_iter().map(|port| port.name).collect(),
        duplicates,
        meta,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lints::run;
    use crate::lints::support::{found, mk_cluster, mk_service, mk_set};

    #[test]
    fn namespaces_are_apart_and_a_filter_leaves_them_out() {
        let mut service = mk_service("db", "db", json!({}));
        service["metadata"]["namespace"] = json!("other");
        let set = mk_set("db", "db", "db", json!({}));
        assert_eq!(found(&[service.clone(), set.clone()]), ["governing-service-missing"]);
        let mut cluster = Cluster::new("cluster.local", Some(vec!["other".to_owned()]));
        for object in [service, set] {
            cluster.add(&object, Origin::default()).unwrap();
        }
        assert!(run(&cluster, &[]).findings.is_empty());
    }

    #[test]
    fn nothing_is_missing_among_what_is_not_known() {
        let mut cluster = mk_cluster(&[mk_set("db", "db", "db", json!({}))]);
        assert_eq!(run(&cluster, &[]).findings.len(), 1);
        cluster.set_unknown(Kind::Service);
        assert!(run(&cluster, &[]).findings.is_empty());
    }

    #[test]
    fn null_is_missing_and_the_first_of_a_name_counts() {
        let null = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": null,
            "annotations": null, "ownerReferences": null}, "spec": {"ports": null, "selector": null}});
        let bare =
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"}, "spec": null});
        let cluster = mk_cluster(&[null, mk_service("a", "a", json!({})), bare, json!({}), json!(3)]);
        assert_eq!((cluster.services.len(), cluster.workloads.len()), (1, 1));
        assert_eq!(cluster.services[0].shape, Shape::ClusterIp);
    }

    #[test]
    fn what_is_not_as_the_api_has_it_is_an_error_and_no_panic() {
        let mut cluster = Cluster::default();
        for bad in [
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": 3}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": -1}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}, "spec": "none"}),
        ] {
            assert!(cluster.add(&bad, Origin::default()).is_err(), "{bad}");
        }
        assert!(run(&cluster, &[]).findings.is_empty());
    }
}
