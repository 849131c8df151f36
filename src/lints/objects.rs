//! The objects that lints look at: what a name depends on, and where each was read.

use std::collections::BTreeSet;

use super::finding::{ObjectName, Origin};
use super::raw::{ContainerPort, IntOrString, Labels, ServicePort};

/// What every object has.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) object: ObjectName,
    pub(super) origin: Origin,
    /// The ids that its annotation silences.
    pub(super) ignored: Vec<Box<str>>,
}

impl Meta {
    pub(super) fn name(&self) -> &str {
        &self.object.name
    }

    pub(super) fn namespace(&self) -> &str {
        &self.object.namespace
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    ClusterIp,
    Headless,
    External,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) meta: Meta,
    pub(super) shape: Shape,
    pub(super) ports: Vec<ServicePort>,
    pub(super) selector: Labels,
    pub(super) publishes_not_ready: bool,
    /// The annotation of old: true where it asks for what only the field gives now.
    pub(super) tolerates_unready: bool,
    pub(super) families: Vec<String>,
    pub(super) policy: String,
    pub(super) cluster_ips: Vec<String>,
}

impl Service {
    pub(super) fn is_headless(&self) -> bool {
        self.shape == Shape::Headless
    }

    /// Whether pods with these labels, in its namespace, become its endpoints.
    pub(super) fn selects(&self, labels: &Labels) -> bool {
        !self.selector.is_empty()
            && self.shape != Shape::External
            && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// A text in which names may be spoken of, and the field that it stands in.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) field: String,
    pub(super) text: String,
}

/// What a pod, or a template of pods, has.
#[derive(Debug, Default)]
pub(super) struct Pods {
    pub(super) labels: Labels,
    pub(super) hostname: String,
    pub(super) subdomain: String,
    /// Of the containers that serve, sidecars among them.
    pub(super) ports: Vec<ContainerPort>,
    /// Commands, arguments and variables.
    pub(super) texts: Vec<Text>,
    /// What decides that a pod is ready: readiness and startup probes.
    pub(super) probes: Vec<Text>,
    pub(super) has_readiness: bool,
    /// `spec.template.spec`, in front of its fields.
    pub(super) path: &'static str,
}

/// Whatever makes pods; a pod that nothing made is one too.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) meta: Meta,
    pub(super) pods: Pods,
    /// None where it does not say.
    pub(super) replicas: Option<u32>,
    /// `spec.serviceName` of a StatefulSet; empty elsewhere.
    pub(super) service: String,
    /// `spec.ordinals.start`.
    pub(super) start: u32,
}

impl Workload {
    pub(super) fn is_set(&self) -> bool {
        &*self.meta.object.kind == "StatefulSet"
    }

    /// Whether its pods end by themselves: they are endpoints while they run, which backups and hooks are on purpose.
    pub(super) fn is_passing(&self) -> bool {
        matches!(&*self.meta.object.kind, "Job" | "CronJob")
    }

    /// Whether this Service gives its replicas their names.
    pub(super) fn is_governed_by(&self, service: &Service) -> bool {
        self.is_set()
            && self.meta.namespace() == service.meta.namespace()
            && self.service == service.meta.name()
    }

    /// How many pods it makes; a StatefulSet and a Deployment that do not say make one.
    pub(super) fn count(&self) -> u32 {
        self.replicas.unwrap_or(1)
    }
}

#[derive(Debug)]
pub(super) struct Slice {
    pub(super) meta: Meta,
    pub(super) service: String,
    pub(super) is_v6: bool,
    /// False for one that the EndpointSlice controller writes.
    pub(super) by_hand: bool,
    pub(super) port_names: Vec<String>,
    pub(super) has_ready: bool,
    pub(super) has_endpoints: bool,
    /// Host names that two endpoints of different pods have, each once.
    pub(super) duplicates: BTreeSet<String>,
}

impl ServicePort {
    pub(super) fn protocol(&self) -> &str {
        if self.protocol.is_empty() { "TCP" } else { &self.protocol }
    }

    /// `name`, or the number of a port without one.
    pub(super) fn called(&self) -> String {
        if self.name.is_empty() { self.port.to_string() } else { self.name.clone() }
    }

    /// The number that it means in these pods, as the EndpointSlice controller finds it.
    pub(super) fn target(&self, pods: &Pods) -> Option<u32> {
        match &self.target_port {
            None | Some(IntOrString::Int(0)) => Some(self.port),
            Some(IntOrString::Int(number)) => Some(*number),
            Some(IntOrString::String(name)) => {
                let protocol = |text: &str| if text.is_empty() { "TCP".to_owned() } else { text.to_owned() };
                let found = pods
                    .ports
                    .iter()
                    .find(|port| port.name == *name && protocol(&port.protocol) == self.protocol());
                found.map(|port| port.container_port)
            }
        }
    }
}
