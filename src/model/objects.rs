//! Service, EndpointSlice, StatefulSet, Pod and Namespace, without what DNS does not need.

use std::fmt;
use std::net::IpAddr;

use super::{Hold, Label};

/// The key of everything that belongs to one service: one value in the index, one in the record cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The namespace's name.
    pub namespace: Label,
    /// The Service's name.
    pub name: Label,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A transport protocol, as Services name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protocol {
    /// `_tcp`, Kubernetes' default.
    #[default]
    Tcp,
    /// `_udp`.
    Udp,
    /// `_sctp`.
    Sctp,
}

impl Protocol {
    /// The label of SRV owners (RFC 2782, section "The format of the SRV RR").
    #[must_use]
    pub fn srv_label(self) -> &'static str {
        match self {
            Self::Tcp => "_tcp",
            Self::Udp => "_udp",
            Self::Sctp => "_sctp",
        }
    }
}

/// A port of a Service or of an EndpointSlice: a number, and a name where it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// None for the unnamed port (the API's empty or null name). At most 62 octets, for `_name` to be a label.
    pub name: Option<Label>,
    /// TCP when the object does not say.
    pub protocol: Protocol,
    /// 1 to 65535.
    pub number: u16,
}

/// What a Service's own name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceShape {
    /// The cluster's virtual addresses, one a family.
    ClusterIp(Vec<IpAddr>),
    /// `clusterIP: None`: the name stands for the ready endpoints.
    Headless,
    /// `type: ExternalName`: the name is an alias. The text is a syntactically valid domain name.
    External(Box<str>),
}

impl ServiceShape {
    /// A word for it, as pages and answers have it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ClusterIp(_) => "cluster-ip",
            Self::Headless => "headless",
            Self::External(_) => "external-name",
        }
    }

    /// The addresses of its own, and the name that it is an alias of.
    #[must_use]
    pub fn stands_for(&self) -> (&[IpAddr], Option<&str>) {
        match self {
            Self::ClusterIp(addresses) => (addresses, None),
            Self::Headless => (&[], None),
            Self::External(target) => (&[], Some(target)),
        }
    }
}

/// What a Service's annotations say of times: `rollcall/ttl`, `rollcall/negative-ttl` and `rollcall/expected-ttl`, seconds,
/// 0 to 3600; and `rollcall/hold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TtlOverrides {
    /// For records.
    pub positive: Option<u16>,
    /// For names and types that are not there.
    pub negative: Option<u16>,
    /// For replicas that should be there and are not yet.
    pub expected: Option<u16>,
    /// Whether questions for these wait.
    pub hold: Option<Hold>,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub key: ServiceKey,
    /// ClusterIP, headless or ExternalName.
    pub shape: ServiceShape,
    /// `spec.ports`, in their order.
    pub ports: Vec<Port>,
    /// The annotations.
    pub ttl: TtlOverrides,
}

/// The pod that an endpoint's `targetRef` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodReference {
    /// The pod's name.
    pub name: Box<str>,
    /// The pod's UID, which tells a recreated pod from the one before.
    pub uid: Box<str>,
}

/// One endpoint of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// At least one, all of one family (a slice has one address type).
    pub addresses: Vec<IpAddr>,
    /// `hostname`: set by the controller where the pod's `subdomain` is the Service's name.
    pub hostname: Option<Label>,
    /// `targetRef`, where it is a Pod.
    pub pod: Option<PodReference>,
    /// `conditions.ready`; absent counts as ready.
    pub ready: bool,
    /// `conditions.terminating`; absent counts as not terminating.
    pub terminating: bool,
}

/// An EndpointSlice of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSlice {
    /// The service that the label `kubernetes.io/service-name` names.
    pub service: ServiceKey,
    /// The slice's own name, unique in its namespace.
    pub name: Box<str>,
    /// The slice's ports that have a number.
    pub ports: Vec<Port>,
    /// In the slice's order.
    pub endpoints: Vec<Endpoint>,
}

/// A StatefulSet, as far as it says which names should exist and of which revision they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatefulSet {
    /// The namespace's name.
    pub namespace: Label,
    /// The set's name; pods are called `name-ordinal`.
    pub name: Box<str>,
    /// `spec.serviceName`: the governing Service, which may not exist. None where it is empty.
    pub service: Option<Label>,
    /// `spec.ordinals.start`.
    pub start: u32,
    /// `spec.replicas`; 1 where it is not given.
    pub replicas: u32,
    /// `spec.podManagementPolicy` is Parallel: no replica waits for the one before it.
    pub parallel: bool,
    /// `status.updateRevision`: the revision that its pods are made of, or are on the way to. None until the controller
    /// has said it.
    pub revision: Option<Box<str>>,
}

/// A Pod, for `pods = "verified"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The namespace's name.
    pub namespace: Label,
    /// The pod's name.
    pub name: Box<str>,
    /// `status.podIPs`.
    pub addresses: Vec<IpAddr>,
}

/// A Namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace {
    /// Its name.
    pub name: Label,
}

/// Any of the objects that the index follows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the variants are the types
pub enum Object {
    Namespace(Namespace),
    Service(Service),
    EndpointSlice(EndpointSlice),
    StatefulSet(StatefulSet),
    Pod(Pod),
}
