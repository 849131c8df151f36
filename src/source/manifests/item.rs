//! What one manifest is, as far as it matters here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{Claim, EndpointSlice, Label, Namespace, PodState, Port, Service, StatefulSet};
use crate::source::Problem;
use crate::source::pods::{self, RawClaim, RawEvent};
use crate::source::raw::{
    FieldError, IntOrString, RawContainer, RawContainerPort, RawNamespace, RawPod, RawService, RawSet,
    RawSlice,
};

pub(super) type Labels = BTreeMap<String, String>;

/// A manifest that has something to do with names.
#[derive(Debug)]
pub(super) enum Item {
    Namespace(Namespace),
    Service(ServiceItem),
    Slice(EndpointSlice),
    Set(SetItem),
    Pod(PodItem),
    /// Of one that has no volume.
    Claim(Label, Claim),
    /// Of one that says why a pod waits.
    Event(Label, Box<str>, Box<RawEvent>),
    /// A kind whose pods the controllers would make, but whose names are not stable.
    Unplayed {
        kind: String,
        namespace: Label,
        name: String,
    },
}

/// A Service with what endpoints and addresses are made from.
#[derive(Debug)]
pub(super) struct ServiceItem {
    pub(super) service: Service,
    pub(super) from_server: bool,
    pub(super) labels: Labels,
    pub(super) selector: Labels,
    /// Behind `service.ports`, one each.
    pub(super) targets: Vec<IntOrString>,
    pub(super) publish_not_ready: bool,
    pub(super) families: Families,
}

/// `ipFamilies` and `ipFamilyPolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Families {
    /// True is IPv6.
    pub(super) listed: Vec<bool>,
    pub(super) dual: bool,
}

#[derive(Debug)]
pub(super) struct SetItem {
    pub(super) set: StatefulSet,
    pub(super) from_server: bool,
    pub(super) labels: Labels,
    pub(super) container_ports: Vec<RawContainerPort>,
}

#[derive(Debug)]
pub(super) struct PodItem {
    pub(super) namespace: Label,
    pub(super) name: Box<str>,
    pub(super) uid: Box<str>,
    pub(super) labels: Labels,
    pub(super) hostname: Option<Label>,
    pub(super) subdomain: String,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ready: bool,
    pub(super) terminating: bool,
    /// Succeeded or Failed: no endpoint any more.
    pub(super) finished: bool,
    pub(super) container_ports: Vec<RawContainerPort>,
    /// Of one that is not ready, or goes: what it says about that.
    pub(super) state: Option<Box<PodState>>,
}

/// What became of one object.
pub(super) type Read = Result<(Option<Item>, Vec<Problem>), Box<Problem>>;

/// Reads one object. None: a kind that has nothing to do with names.
///
/// The second part lists what is wrong beside it, without making it useless.
pub(super) fn item(value: Value) -> Read {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    if !value.is_object() {
        return Err(Box::new(Problem::error("is not an object with apiVersion and kind")));
    }
    if kind.is_empty() || version.is_empty() {
        let field = if kind.is_empty() { "kind" } else { "apiVersion" };
        return Err(Box::new(Problem::error("is missing").at(field)));
    }
    let named = match (namespace.is_empty(), kind.as_str()) {
        (_, "Namespace") => format!("{kind} {name}"),
        (true, _) => format!("{kind} default/{name}"),
        (false, _) => format!("{kind} {namespace}/{name}"),
    };
    let from_server = !text("/metadata/uid").is_empty()
        || value.get("status").and_then(Value::as_object).is_some_and(|status| !status.is_empty());
    let said = |error: FieldError| Problem::error(error.message).at(error.path).of(&named);
    let bad = |error: FieldError| Box::new(said(error));
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let mut beside = Vec::new();
    let item = match (group, kind.as_str()) {
        ("", "Namespace") => Item::Namespace(typed::<RawNamespace>(value, &named)?.slim().map_err(bad)?),
        ("", "Service") => {
            let raw: RawService = typed(value, &named)?;
            let (service, errors) = raw.slim().map_err(bad)?;
            beside.extend(errors.into_iter().map(said));
            Item::Service(service_item(raw, service, from_server).map_err(bad)?)
        }
        ("discovery.k8s.io", "EndpointSlice") => {
            let mut raw: RawSlice = typed(value, &named)?;
            match raw.slim().map_err(bad)? {
                Some(slice) => Item::Slice(slice),
                None => {
                    let message =
                        "ignored: its addressType is FQDN or it has no label kubernetes.io/service-name";
                    return Ok((None, vec![Problem::note(message).of(&named)]));
                }
            }
        }
        ("apps", "StatefulSet") => {
            let raw: RawSet = typed(value, &named)?;
            Item::Set(SetItem {
                set: raw.slim().map_err(bad)?,
                from_server,
                labels: raw.spec.template.metadata.labels,
                container_ports: ports(raw.spec.template.spec.containers),
            })
        }
        ("", "Pod") => {
            let state = pods::RawPod::deserialize(&value).ok().and_then(|raw| raw.state(SystemTime::now()));
            let state = state.filter(|state| !state.ready || state.terminating.is_some()).map(Box::new);
            Item::Pod(pod(typed(value, &named)?, state).map_err(bad)?)
        }
        // What stands behind a sentence, and nothing else: one that cannot be read is no error.
        ("", "PersistentVolumeClaim") => {
            let claim = RawClaim::deserialize(&value).ok().and_then(|raw| raw.state());
            match (claim.filter(|claim| claim.bound == Some(false)), label_of(&namespace)) {
                (Some(claim), Some(namespace)) => Item::Claim(namespace, claim),
                _ => return Ok((None, beside)),
            }
        }
        ("", "Event") => {
            let event = RawEvent::deserialize(&value).ok().filter(RawEvent::is_trouble);
            match (event, label_of(&namespace)) {
                (Some(event), Some(namespace)) => Item::Event(namespace, name.into(), Box::new(event)),
                _ => return Ok((None, beside)),
            }
        }
        ("", "Endpoints") if !from_server => {
            let message = "is not read: give the addresses as an EndpointSlice (discovery.k8s.io/v1)";
            return Ok((None, vec![Problem::note(message).of(&named)]));
        }
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") if !from_server => {
            let namespace = if namespace.is_empty() { "default" } else { &namespace };
            let namespace = Label::new(namespace).map_err(|error| {
                bad(FieldError { path: "metadata.namespace".to_owned(), message: error.to_string() })
            })?;
            Item::Unplayed { kind, namespace, name }
        }
        _ => return Ok((None, beside)),
    };
    Ok((Some(item), beside))
}

fn typed<T: DeserializeOwned>(value: Value, object: &str) -> Result<T, Box<Problem>> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        Box::new(Problem::error(error.into_inner().to_string()).at(path).of(object))
    })
}

fn service_item(raw: RawService, service: Service, from_server: bool) -> Result<ServiceItem, FieldError> {
    let listed = raw.spec.ip_families.iter().enumerate().map(|(i, family)| match family.as_str() {
        "IPv4" => Ok(false),
        "IPv6" => Ok(true),
        other => Err(FieldError {
            path: format!("spec.ipFamilies[{i}]"),
            message: format!("`{other}` is not IPv4 or IPv6"),
        }),
    });
    let listed = listed.collect::<Result<_, _>>()?;
    let dual = match raw.spec.ip_family_policy.as_str() {
        "" | "SingleStack" => false,
        "PreferDualStack" | "RequireDualStack" => true,
        other => {
            return Err(FieldError {
                path: "spec.ipFamilyPolicy".to_owned(),
                message: format!("`{other}` is not SingleStack, PreferDualStack or RequireDualStack"),
            });
        }
    };
    let target = |port: &crate::source::raw::RawServicePort| {
        port.target_port.clone().unwrap_or(IntOrString::Int(port.port))
    };
    Ok(ServiceItem {
        service,
        from_server,
        labels: raw.metadata.labels,
        targets: raw.spec.ports.iter().map(target).collect(),
        selector: raw.spec.selector,
        publish_not_ready: raw.spec.publish_not_ready_addresses,
        families: Families { listed, dual },
    })
}

fn label_of(namespace: &str) -> Option<Label> {
    Label::new(if namespace.is_empty() { "default" } else { namespace }).ok()
}

fn pod(raw: RawPod, state: Option<Box<PodState>>) -> Result<PodItem, FieldError> {
    let hostname = Some(raw.spec.hostname.as_str()).filter(|hostname| !hostname.is_empty());
    let hostname = hostname.map(Label::new).transpose();
    Ok(PodItem {
        namespace: raw.metadata.namespace()?,
        name: raw.metadata.name()?,
        uid: raw.metadata.uid.into(),
        labels: raw.metadata.labels,
        hostname: hostname
            .map_err(|error| FieldError { path: "spec.hostname".to_owned(), message: error.to_string() })?,
        subdomain: raw.spec.subdomain,
        addresses: raw.status.addresses()?,
        ready: raw.status.is_ready(),
        terminating: raw.metadata.deletion_timestamp.is_some(),
        finished: matches!(raw.status.phase.as_str(), "Succeeded" | "Failed"),
        container_ports: ports(raw.spec.containers),
        state,
    })
}

fn ports(containers: Vec<RawContainer>) -> Vec<RawContainerPort> {
    containers.into_iter().flat_map(|container| container.ports).collect()
}

/// The number that a target port means in a pod; as the EndpointSlice controller finds it.
pub(super) fn target_number(
    port: &Port,
    target: &IntOrString,
    container_ports: &[RawContainerPort],
) -> Option<u16> {
    let number = match target {
        IntOrString::Int(0) => return Some(port.number),
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let protocol = |text: &str| match text {
                "UDP" => crate::model::Protocol::Udp,
                "SCTP" => crate::model::Protocol::Sctp,
                _ => crate::model::Protocol::Tcp,
            };
            let named = |p: &&RawContainerPort| p.name == *name && protocol(&p.protocol) == port.protocol;
            container_ports.iter().find(named)?.container_port
        }
    };
    u16::try_from(number).ok().filter(|number| *number > 0)
}
