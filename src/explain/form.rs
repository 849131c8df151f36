//! What kind of name a name is, by its labels: which objects it is about. What stands there the zone says.

use std::fmt;
use std::net::IpAddr;

use crate::wire::{ParsedName, ReverseName};
use crate::zone::View;

/// A name, lower case, by what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// The cluster's domain itself.
    Apex,
    /// Directly below it: `dns-version`, a name server, nothing.
    Own(String),
    /// `svc`.
    Services,
    Namespace(String),
    Service {
        namespace: String,
        service: String,
        front: Front,
    },
    /// `pod`, or a namespace below it.
    Pods(Option<String>),
    Pod {
        namespace: String,
        label: String,
    },
    /// `_statefulset`, or a namespace below it.
    Sets(Option<String>),
    /// What the StatefulSets of a Service say.
    SetsOf {
        namespace: String,
        service: String,
    },
    Address(IpAddr),
    /// Below in-addr.arpa or ip6.arpa, and no whole address.
    ReversePart,
    Outside,
}

/// What stands in front of a Service's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Front {
    Itself,
    /// `_tcp`.
    Protocol(String),
    /// `_http._tcp`.
    Port(String),
    Host(String),
    /// `_tcp.web-0`.
    HostProtocol(String, String),
    /// `_http._tcp.web-0`.
    HostPort(String, String),
    /// Whatever else, and the label that is the nearest.
    Below(String, String),
}

impl Front {
    /// The label that would be a host's.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Itself | Self::Protocol(_) | Self::Port(_) => None,
            Self::Host(host)
            | Self::HostProtocol(_, host)
            | Self::HostPort(_, host)
            | Self::Below(_, host) => Some(host).filter(|host| !host.starts_with('_')).map(String::as_str),
        }
    }
}

impl Form {
    pub(super) fn of(view: &View<'_>, name: &ParsedName) -> Self {
        let zone = &view.settings().zone;
        let Some(apex) = name.labels_before(zone.as_wire(), zone.label_count()) else {
            return match ReverseName::read(name) {
                Some(reverse) => reverse.address().map_or(Self::ReversePart, Self::Address),
                None => Self::Outside,
            };
        };
        let labels: Vec<String> =
            (0..apex).map(|at| String::from_utf8_lossy(name.label(at)).into_owned()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match labels.as_slice() {
            [] => Self::Apex,
            ["svc"] => Self::Services,
            [namespace, "svc"] => Self::Namespace((*namespace).to_owned()),
            [front @ .., service, namespace, "svc"] => Self::Service {
                namespace: (*namespace).to_owned(),
                service: (*service).to_owned(),
                front: front_of(front),
            },
            ["pod"] => Self::Pods(None),
            [namespace, "pod"] => Self::Pods(Some((*namespace).to_owned())),
            [front @ .., namespace, "pod"] => {
                Self::Pod { namespace: (*namespace).to_owned(), label: front.join(".") }
            }
            ["_statefulset"] => Self::Sets(None),
            [namespace, "_statefulset"] => Self::Sets(Some((*namespace).to_owned())),
            [service, namespace, "_statefulset"] => {
                Self::SetsOf { namespace: (*namespace).to_owned(), service: (*service).to_owned() }
            }
            own => Self::Own(own.join(".")),
        }
    }

    /// The namespace that it is in.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Namespace(namespace)
            | Self::Service { namespace, .. }
            | Self::Pods(Some(namespace))
            | Self::Sets(Some(namespace))
            | Self::SetsOf { namespace, .. }
            | Self::Pod { namespace, .. } => Some(namespace),
            _ => None,
        }
    }
}

fn front_of(front: &[&str]) -> Front {
    let is_marked = |label: &str| label.starts_with('_');
    let owned = |text: &str| text.to_owned();
    match front {
        [] => Front::Itself,
        [protocol] if is_marked(protocol) => Front::Protocol(owned(protocol)),
        [host] => Front::Host(owned(host)),
        [port, protocol] if is_marked(port) && is_marked(protocol) => {
            Front::Port([*port, *protocol].join("."))
        }
        [protocol, host] if is_marked(protocol) => Front::HostProtocol(owned(protocol), owned(host)),
        [port, protocol, host] if is_marked(port) && is_marked(protocol) => {
            Front::HostPort([*port, *protocol].join("."), owned(host))
        }
        [rest @ .., nearest] => Front::Below(rest.join("."), owned(nearest)),
    }
}

/// In words, as a step has it.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apex => f.write_str("the cluster's domain itself"),
            Self::Own(name) => write!(f, "{name}, a name of the domain's own, of no Service"),
            Self::Services => f.write_str("the name above all namespaces"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
            Self::Service { namespace, service, front } => {
                match front {
                    Front::Itself => f.write_str("")?,
                    Front::Protocol(protocol) => write!(f, "the ports of {protocol} of ")?,
                    Front::Port(port) => write!(f, "port {port} of ")?,
                    Front::Host(host) => write!(f, "host {host} of ")?,
                    Front::HostProtocol(protocol, host) => {
                        write!(f, "the ports of {protocol} at host {host} of ")?;
                    }
                    Front::HostPort(port, host) => write!(f, "port {port} at host {host} of ")?,
                    Front::Below(rest, host) => write!(f, "{rest} below host {host} of ")?,
                }
                write!(f, "Service {service} in namespace {namespace}")
            }
            Self::Pods(None) => f.write_str("the name above the names of pods"),
            Self::Pods(Some(namespace)) => write!(f, "the names of pods in namespace {namespace}"),
            Self::Pod { namespace, label } => write!(f, "the pod at {label} in namespace {namespace}"),
            Self::Sets(None) => f.write_str("the name above what StatefulSets say"),
            Self::Sets(Some(namespace)) => {
                write!(f, "the name above what StatefulSets in namespace {namespace} say")
            }
            Self::SetsOf { namespace, service } => {
                write!(f, "what the StatefulSets of Service {service} in namespace {namespace} say")
            }
            Self::Address(address) => write!(f, "the names of address {address}"),
            Self::ReversePart => f.write_str("a part of an address"),
            Self::Outside => f.write_str("no name of this server"),
        }
    }
}
