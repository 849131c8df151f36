//! From the slim objects of one service to its records: pure functions, no I/O, no clock, no order of arrival
//! but the one that the caller gives.
//!
//! The rules are those of the Kubernetes DNS specification 1.1.0 and of docs/names.md. Imports `model` and
//! `wire` only. What comes out is logical: `zone` encodes it.

mod build;
mod host;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use build::{Input, service_records};
pub use host::{Dashed, dashed, endpoint_label, ordinal_of};

// What records are made of is part of what they say: `zone` takes these from here, for it knows no cluster.
pub use crate::model::{Hold, Label, Port, Protocol, ServiceKey, TtlOverrides};
use crate::wire::Name;

/// What the records of every service depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The cluster domain.
    pub zone: Name,
    /// Call an endpoint without `hostname` by its pod's name, where that is a label.
    pub endpoint_pod_names: bool,
}

/// Addresses by family, each once, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Addresses {
    pub v4: Vec<Ipv4Addr>,
    pub v6: Vec<Ipv6Addr>,
}

/// What the service's own name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Exists with the cluster's virtual addresses, endpoints or none.
    ClusterIp,
    /// Exists while it has a ready endpoint.
    Headless,
    /// A CNAME. In a box: of a hundred services hardly one is an alias, and each has room for it.
    External(Box<Name>),
    /// There is no such Service; only names that a StatefulSet expects below it.
    Absent,
}

/// A name below a service: a replica or an address, with at least one ready endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// At most 63 octets, lower case.
    pub label: Box<str>,
    /// The addresses of every ready endpoint with this name.
    pub addresses: Addresses,
    /// The ports of the slices that carry them, sorted, each name, protocol and number once. Most hosts of a service
    /// share them.
    pub ports: Arc<[Port]>,
    /// A slice gives this name as the endpoint's `hostname`: its PTR comes first.
    pub governing: bool,
}

/// One SRV record: port and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Srv {
    /// An index into [`ServiceRecords::hosts`]; None is the service itself (ClusterIP).
    pub host: Option<usize>,
    /// The port.
    pub port: u16,
}

/// The SRV records at `_name._protocol` below the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRecords {
    /// The port's name.
    pub name: Label,
    /// Its protocol.
    pub protocol: Protocol,
    /// At least one, each port and target once.
    pub srv: Vec<Srv>,
}

/// A StatefulSet's replicas that should exist, `name-first` up to `name-(end-1)`, and what is known of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Expected {
    pub set: Box<str>,
    pub first: u32,
    /// Exclusive: `u32::MAX` replicas from ordinal 1 end past 32 bits.
    pub end: u64,
    /// How many of them have a name below the service.
    pub ready: u32,
    /// What they are made of, or are on the way to.
    pub revision: Option<Box<str>>,
}

/// All records of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecords {
    /// Namespace and name.
    pub key: ServiceKey,
    /// What the service's own name is.
    pub shape: Shape,
    /// The annotations' times to live.
    pub ttl: TtlOverrides,
    /// At the service's own name: clusterIPs, or the ready endpoints' addresses.
    pub addresses: Addresses,
    /// Sorted by ordinal, then by name; names without an ordinal behind, dashed addresses last.
    pub hosts: Vec<Host>,
    /// At the service's own name: every port, named or not.
    pub srv: Vec<Srv>,
    /// At `_port._protocol` below it.
    pub ports: Vec<PortRecords>,
    /// Which names should be there, set by set.
    pub expected: Vec<Expected>,
}

impl ServiceRecords {
    /// Of a service that has none.
    #[must_use]
    pub fn none(key: ServiceKey) -> Self {
        Self {
            key,
            shape: Shape::Absent,
            ttl: TtlOverrides::default(),
            addresses: Addresses::default(),
            hosts: Vec::new(),
            srv: Vec::new(),
            ports: Vec::new(),
            expected: Vec::new(),
        }
    }
}

/// Something of a service that cannot be published; the rest of it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// RFC 1035, section 2.3.4.
    #[error("Service {0}: its name would be longer than 255 octets; it is not published")]
    ServiceNameTooLong(ServiceKey),
    /// RFC 1035, section 2.3.4.
    #[error("Service {0}: the name of its endpoint {1} would be longer than 255 octets; it is not published")]
    HostNameTooLong(ServiceKey, Box<str>),
    /// The alias's target is no name.
    #[error("Service {0}: externalName {1}")]
    External(ServiceKey, crate::wire::NameError),
}
