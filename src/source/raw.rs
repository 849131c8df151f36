//! The border: objects as the API writes them, checked and made slim.
//!
//! Only the fields that DNS needs are declared; serde passes over the rest. A field that is null counts as
//! missing, as the API server has it. What comes out is valid ([`crate::model`]), what is not is a
//! [`FieldError`] that names the field.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use serde::{Deserialize, Deserializer};

use crate::model::{
    Endpoint, EndpointSlice, Hold, Label, Namespace, Pod, PodReference, Port, Protocol, Service, ServiceKey,
    ServiceShape, StatefulSet, TtlOverrides,
};

/// The most seconds of a time to live.
const MAX_TTL: u16 = 3600;

/// A field whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FieldError {
    /// `spec.ports[0].port`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

fn wrong(path: impl Into<String>, message: impl std::fmt::Display) -> FieldError {
    FieldError { path: path.into(), message: message.to_string() }
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// `metadata`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the fields are the API's
pub struct Metadata {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub namespace: String,
    #[serde(default, deserialize_with = "or_default")]
    pub uid: String,
    #[serde(default, deserialize_with = "or_default")]
    pub resource_version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    pub deletion_timestamp: Option<String>,
}

impl Metadata {
    /// The namespace; `default` where there is none.
    ///
    /// # Errors
    /// When it is not a label.
    pub fn namespace(&self) -> Result<Label, FieldError> {
        let name = if self.namespace.is_empty() { "default" } else { &self.namespace };
        Label::new(name).map_err(|error| wrong("metadata.namespace", error))
    }

    /// The name as a label, for the kinds whose names are labels.
    ///
    /// # Errors
    /// When it is not a label.
    pub fn label(&self) -> Result<Label, FieldError> {
        Label::new(&self.name).map_err(|error| wrong("metadata.name", error))
    }

    /// The name, for the kinds whose names may have dots.
    ///
    /// # Errors
    /// When it is empty or longer than the 253 octets that Kubernetes allows.
    pub fn name(&self) -> Result<Box<str>, FieldError> {
        match self.name.len() {
            0 => Err(wrong("metadata.name", "is missing")),
            1..=253 => Ok(self.name.as_str().into()),
            _ => Err(wrong("metadata.name", "is longer than 253 octets")),
        }
    }
}

/// A v1 Service.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawService {
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub spec: RawServiceSpec,
}

/// Its `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawServiceSpec {
    #[serde(default, deserialize_with = "or_default")]
    pub r#type: String,
    #[serde(default, rename = "clusterIP", deserialize_with = "or_default")]
    pub cluster_ip: String,
    #[serde(default, rename = "clusterIPs", deserialize_with = "or_default")]
    pub cluster_ips: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub external_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub ports: Vec<RawServicePort>,
    #[serde(default, deserialize_with = "or_default")]
    pub selector: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub publish_not_ready_addresses: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub ip_families: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub ip_family_policy: String,
}

/// A port of a Service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawServicePort {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub protocol: String,
    pub port: u32,
    pub target_port: Option<IntOrString>,
}

/// A number or a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum IntOrString {
    Int(u32),
    String(String),
}

impl RawService {
    /// Namespace and name.
    ///
    /// # Errors
    /// When one is not a label.
    pub fn key(&self) -> Result<ServiceKey, FieldError> {
        Ok(ServiceKey { namespace: self.metadata.namespace()?, name: self.metadata.label()? })
    }

    /// `spec.ports`.
    ///
    /// # Errors
    /// When a number, name or protocol is not one.
    pub fn ports(&self) -> Result<Vec<Port>, FieldError> {
        let ports = self.spec.ports.iter().enumerate();
        ports.map(|(i, raw)| port(&format!("spec.ports[{i}]"), &raw.name, &raw.protocol, raw.port)).collect()
    }

    /// The addresses given as `clusterIP` and `clusterIPs`; None is headless.
    ///
    /// # Errors
    /// When one is not an address.
    pub fn cluster_ips(&self) -> Result<Option<Vec<IpAddr>>, FieldError> {
        let spec = &self.spec;
        if spec.cluster_ip == "None" || spec.cluster_ips.iter().any(|ip| ip == "None") {
            return Ok(None);
        }
        let mut addresses = Vec::new();
        let first = Some(("spec.clusterIP".to_owned(), &spec.cluster_ip)).filter(|(_, ip)| !ip.is_empty());
        let all = spec.cluster_ips.iter().enumerate().map(|(i, ip)| (format!("spec.clusterIPs[{i}]"), ip));
        for (path, text) in first.into_iter().chain(all) {
            let address: IpAddr =
                text.parse().map_err(|_| wrong(path, format!("`{text}` is not an IP address")))?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(Some(addresses))
    }

    /// Makes it slim, with what is wrong beside it.
    ///
    /// # Errors
    /// When a field that is needed is not valid.
    pub fn slim(&self) -> Result<(Service, Vec<FieldError>), FieldError> {
        let (ttl, beside) = self.ttl();
        Ok((Service { key: self.key()?, shape: self.shape()?, ports: self.ports()?, ttl }, beside))
    }

    /// What its name stands for; an empty ClusterIP list is for the caller to fill or to refuse.
    ///
    /// # Errors
    /// When an address or the external name is not one.
    pub fn shape(&self) -> Result<ServiceShape, FieldError> {
        match self.spec.r#type.as_str() {
            "ExternalName" => self.external().map(ServiceShape::External),
            "" | "ClusterIP" | "NodePort" | "LoadBalancer" => {
                Ok(self.cluster_ips()?.map_or(ServiceShape::Headless, ServiceShape::ClusterIp))
            }
            other => Err(wrong("spec.type", format!("`{other}` is not a Service type"))),
        }
    }

    fn external(&self) -> Result<Box<str>, FieldError> {
        let path = "spec.externalName";
        let name = self.spec.external_name.trim_end_matches('.');
        if name.is_empty() {
            return Err(wrong(path, "is missing"));
        }
        if name.parse::<IpAddr>().is_ok() {
            return Err(wrong(
                path,
                format!(
                    "`{name}` is an address; a CNAME needs a name (use a headless Service with an EndpointSlice)"
                ),
            ));
        }
        let host = |label: &str| {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(good)
        };
        if name.len() > 253 || !name.split('.').all(host) {
            return Err(wrong(path, format!("`{name}` is not a domain name")));
        }
        Ok(name.into())
    }

    /// The `rollcall/…` annotations; a bad one is an error beside the ones that are good.
    #[must_use]
    pub fn ttl(&self) -> (TtlOverrides, Vec<FieldError>) {
        let mut errors = Vec::new();
        let mut seconds = |name: &str| {
            let text = self.metadata.annotations.get(name)?;
            let seconds = text.trim().parse().ok().filter(|s| *s <= MAX_TTL);
            if seconds.is_none() {
                let path = format!("metadata.annotations[{name}]");
                errors.push(wrong(
                    path,
                    format!("`{text}` is not a number of seconds from 0 to {MAX_TTL}; ignored"),
                ));
            }
            seconds
        };
        let ttl = TtlOverrides {
            positive: seconds("rollcall/ttl"),
            negative: seconds("rollcall/negative-ttl"),
            expected: seconds("rollcall/expected-ttl"),
            hold: None,
        };
        let hold = self.metadata.annotations.get("rollcall/hold").and_then(|text| {
            let hold = Hold::parse(text.trim());
            if hold.is_none() {
                let (least, longest) = (Hold::LEAST, Hold::LONGEST);
                errors.push(wrong(
                    "metadata.annotations[rollcall/hold]",
                    format!("`{text}` is not true, false or a time from {least}ms to {longest}ms; ignored"),
                ));
            }
            hold
        });
        (TtlOverrides { hold, ..ttl }, errors)
    }
}

fn port(path: &str, name: &str, protocol: &str, number: u32) -> Result<Port, FieldError> {
    let number = u16::try_from(number).ok().filter(|n| *n > 0);
    let number = number.ok_or_else(|| wrong(format!("{path}.port"), "is not a port from 1 to 65535"))?;
    let name = match name {
        "" => None,
        name => {
            let label = Label::new(name).map_err(|error| wrong(format!("{path}.name"), error))?;
            if name.len() > 62 {
                return Err(wrong(
                    format!("{path}.name"),
                    "is longer than the 62 octets that fit behind a `_`",
                ));
            }
            Some(label)
        }
    };
    let protocol = match protocol {
        "" | "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        other => return Err(wrong(format!("{path}.protocol"), format!("`{other}` is not TCP, UDP or SCTP"))),
    };
    Ok(Port { name, protocol, number })
}

/// A discovery.k8s.io/v1 EndpointSlice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawSlice {
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub address_type: String,
    #[serde(default, deserialize_with = "or_default")]
    pub endpoints: Vec<RawEndpoint>,
    #[serde(default, deserialize_with = "or_default")]
    pub ports: Vec<RawSlicePort>,
}

/// A port of a slice; one without a number gives no SRV record.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawSlicePort {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub protocol: String,
    pub port: Option<u32>,
}

/// An endpoint of a slice.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawEndpoint {
    #[serde(default, deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub hostname: String,
    pub target_ref: Option<RawReference>,
    #[serde(default, deserialize_with = "or_default")]
    pub conditions: RawConditions,
}

/// `targetRef`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawReference {
    #[serde(default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub uid: String,
}

/// `conditions` of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct RawConditions {
    pub ready: Option<bool>,
    pub terminating: Option<bool>,
}

/// The label that ties a slice to its service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The annotation that says when what a slice tells of happened to a pod or Service, as the endpoints' controllers saw it.
pub const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

impl RawSlice {
    /// When what it tells of happened. None where nobody says so (a slice that was written by hand), or not as a time of
    /// RFC 3339: only a measurement depends on it.
    #[must_use]
    pub fn triggered(&self) -> Option<SystemTime> {
        let text = self.metadata.annotations.get(TRIGGER_TIME)?;
        text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
    }

    /// Makes it slim, which takes its endpoints; None for slices that are no service's or hold no addresses (FQDN).
    ///
    /// # Errors
    /// When a field that is needed is not valid.
    pub fn slim(&mut self) -> Result<Option<EndpointSlice>, FieldError> {
        let parse: fn(&str) -> Option<IpAddr> = match self.address_type.as_str() {
            "IPv4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "IPv6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            "FQDN" => return Ok(None),
            other => return Err(wrong("addressType", format!("`{other}` is not IPv4, IPv6 or FQDN"))),
        };
        let Some(service) = self.metadata.labels.get(SERVICE_NAME) else { return Ok(None) };
        let name =
            Label::new(service).map_err(|error| wrong(format!("metadata.labels[{SERVICE_NAME}]"), error))?;
        let service = ServiceKey { namespace: self.metadata.namespace()?, name };
        let ports = self.ports.iter().enumerate().filter_map(|(i, raw)| {
            raw.port.map(|number| port(&format!("ports[{i}]"), &raw.name, &raw.protocol, number))
        });
        let ports = ports.collect::<Result<_, _>>()?;
        let endpoints = std::mem::take(&mut self.endpoints).into_iter().enumerate();
        let endpoints = endpoints.map(|(i, raw)| raw.slim(i, &self.address_type, parse));
        let endpoints = endpoints.collect::<Result<_, _>>()?;
        Ok(Some(EndpointSlice { service, name: self.metadata.name()?, ports, endpoints }))
    }
}

impl RawEndpoint {
    fn slim(
        self,
        index: usize,
        family: &str,
        parse: fn(&str) -> Option<IpAddr>,
    ) -> Result<Endpoint, FieldError> {
        let path = format!("endpoints[{index}]");
        if self.addresses.is_empty() {
            return Err(wrong(format!("{path}.addresses"), "is empty"));
        }
        let addresses = self.addresses.iter().enumerate().map(|(i, text)| {
            let message = || format!("`{text}` is not an {family} address");
            parse(text).ok_or_else(|| wrong(format!("{path}.addresses[{i}]"), message()))
        });
        let hostname = Some(self.hostname.as_str()).filter(|h| !h.is_empty()).map(Label::new).transpose();
        let pod = self.target_ref.filter(|target| target.kind == "Pod" && !target.name.is_empty());
        Ok(Endpoint {
            addresses: addresses.collect::<Result<_, _>>()?,
            hostname: hostname.map_err(|error| wrong(format!("{path}.hostname"), error))?,
            pod: pod.map(|target| PodReference { name: target.name.into(), uid: target.uid.into() }),
            ready: self.conditions.ready.unwrap_or(true),
            terminating: self.conditions.terminating.unwrap_or(false),
        })
    }
}

/// An apps/v1 StatefulSet.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawSet {
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub spec: RawSetSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub status: RawSetStatus,
}

/// Its `status`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawSetStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub update_revision: String,
}

/// Its `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawSetSpec {
    #[serde(default, deserialize_with = "or_default")]
    pub service_name: String,
    pub replicas: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    pub pod_management_policy: String,
    #[serde(default, deserialize_with = "or_default")]
    pub ordinals: RawOrdinals,
    #[serde(default, deserialize_with = "or_default")]
    pub template: RawTemplate,
}

/// `spec.ordinals`.
#[derive(Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct RawOrdinals {
    #[serde(default, deserialize_with = "or_default")]
    pub start: u32,
}

/// `spec.template`.
#[derive(Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct RawTemplate {
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub spec: RawPodSpec,
}

impl RawSet {
    /// Makes it slim.
    ///
    /// # Errors
    /// When a field that is needed is not valid.
    pub fn slim(&self) -> Result<StatefulSet, FieldError> {
        let service = Some(self.spec.service_name.as_str()).filter(|name| !name.is_empty());
        let service = service.map(Label::new).transpose();
        Ok(StatefulSet {
            namespace: self.metadata.namespace()?,
            name: self.metadata.name()?,
            service: service.map_err(|error| wrong("spec.serviceName", error))?,
            start: self.spec.ordinals.start,
            replicas: self.spec.replicas.unwrap_or(1),
            parallel: self.spec.pod_management_policy == "Parallel",
            // The name of a ControllerRevision; anything else is nobody's.
            revision: Some(&*self.status.update_revision).filter(|text| is_subdomain(text)).map(Into::into),
        })
    }
}

fn is_subdomain(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.bytes().all(allowed)
}

/// A v1 Pod.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawPod {
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub spec: RawPodSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub status: RawPodStatus,
}

/// Its `spec`.
#[derive(Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct RawPodSpec {
    #[serde(default, deserialize_with = "or_default")]
    pub hostname: String,
    #[serde(default, deserialize_with = "or_default")]
    pub subdomain: String,
    #[serde(default, deserialize_with = "or_default")]
    pub containers: Vec<RawContainer>,
}

/// A container's ports, which named target ports refer to.
#[derive(Debug, Default, Deserialize)]
#[allow(missing_docs)]
pub struct RawContainer {
    #[serde(default, deserialize_with = "or_default")]
    pub ports: Vec<RawContainerPort>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawContainerPort {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub protocol: String,
    pub container_port: u32,
}

/// A pod's `status`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct RawPodStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub phase: String,
    #[serde(default, rename = "podIP", deserialize_with = "or_default")]
    pub pod_ip: String,
    #[serde(default, rename = "podIPs", deserialize_with = "or_default")]
    pub pod_ips: Vec<RawPodIp>,
    #[serde(default, deserialize_with = "or_default")]
    pub conditions: Vec<RawCondition>,
}

/// One of `status.podIPs`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawPodIp {
    #[serde(default, deserialize_with = "or_default")]
    pub ip: String,
}

/// One of `status.conditions`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawCondition {
    #[serde(default, deserialize_with = "or_default")]
    pub r#type: String,
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
}

impl RawPod {
    /// Makes it slim: its addresses.
    ///
    /// # Errors
    /// When a field that is needed is not valid.
    pub fn slim(&self) -> Result<Pod, FieldError> {
        Ok(Pod {
            namespace: self.metadata.namespace()?,
            name: self.metadata.name()?,
            addresses: self.status.addresses()?,
        })
    }
}

impl RawPodStatus {
    /// `podIPs`, or `podIP` of an older server.
    ///
    /// # Errors
    /// When one is not an address.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, FieldError> {
        let several =
            self.pod_ips.iter().enumerate().map(|(i, ip)| (format!("status.podIPs[{i}].ip"), &ip.ip));
        let one = Some(("status.podIP".to_owned(), &self.pod_ip)).filter(|_| self.pod_ips.is_empty());
        let texts = several.chain(one).filter(|(_, text)| !text.is_empty());
        let parsed = texts.map(|(path, text)| {
            text.parse().map_err(|_| wrong(path, format!("`{text}` is not an IP address")))
        });
        parsed.collect()
    }

    /// Whether the condition `Ready` is true.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions.iter().any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }
}

/// A v1 Namespace.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RawNamespace {
    pub metadata: Metadata,
}

impl RawNamespace {
    /// Makes it slim.
    ///
    /// # Errors
    /// When its name is not a label.
    pub fn slim(&self) -> Result<Namespace, FieldError> {
        self.metadata.label().map(|name| Namespace { name })
    }
}
