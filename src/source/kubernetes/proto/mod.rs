//! The API server's protobuf: the envelopes of a list and of a watch, and the few fields of each kind.
//!
//! ```text
//! list    k8s\0 Unknown{raw} ──▶ List{metadata, items}
//! watch   frame ──▶ WatchEvent{type, object{raw}} ──▶ k8s\0 Unknown{raw} ──▶ object
//! ```
//!
//! The numbers are those of `generated.proto` in k8s.io/api and k8s.io/apimachinery. Envelopes are walked without a
//! copy ([`field`]), so that the metadata of an object can be read where what follows is damaged; objects are messages
//! of prost, which passes over what is not declared here. They become the types of [`crate::source::raw`], as JSON
//! does: what is valid, and what is said of what is not, is in one place.

use std::collections::BTreeMap;

use prost::Message;

use super::decode::{self, Decoded, Item, Page, Said, Slim, Version};
use crate::cluster::{Kind, ObjectName};
use crate::source::Problem;
use crate::source::raw::{
    FieldError, Metadata, RawConditions, RawEndpoint, RawNamespace, RawOrdinals, RawPod, RawPodIp,
    RawPodStatus, RawReference, RawService, RawServicePort, RawServiceSpec, RawSet, RawSetSpec, RawSetStatus,
    RawSlice, RawSlicePort,
};

/// In front of every object that is not within another one.
const MAGIC: &[u8] = b"k8s\0";

/// Octets that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damaged {
    /// A key, a number or a length that is none, or more than there is.
    #[error("the protobuf is cut off or damaged")]
    Wire,
    #[error("the protobuf does not begin with `k8s\\0`")]
    Magic,
    /// Something that no API server of today writes.
    #[error("the protobuf's content is encoded as `{0}`")]
    Encoded(String),
    #[error("it is a `{0}`")]
    Kind(String),
    #[error(transparent)]
    Message(#[from] prost::DecodeError),
}

/// Reads an event of a watch, a frame's content.
///
/// # Errors
/// When it is not one, or its object has no usable name: there is nothing then that it could be about.
pub(super) fn event(kind: Kind, octets: &[u8]) -> Result<Said, Box<Problem>> {
    let not_one = |error: Damaged| {
        Box::new(Problem::error(format!("not a watch event: {error}")).of(decode::called(kind)))
    };
    let what = field(octets, 1).map_err(not_one)?.unwrap_or_default();
    let what = String::from_utf8_lossy(what);
    let object = field(octets, 2).map_err(not_one)?.unwrap_or_default();
    let object = field(object, 1).map_err(not_one)?.unwrap_or_default();
    let of = |wanted: &str| unknown(object, wanted).map_err(not_one);
    match &*what {
        "ADDED" | "MODIFIED" => item(kind, of(decode::called(kind))?).map(Said::Is),
        "DELETED" => {
            let (name, version) = name(kind, of(decode::called(kind))?)?;
            Ok(Said::Gone(name, version))
        }
        "BOOKMARK" => metadata(of(decode::called(kind))?).map(decode::bookmark).map_err(not_one),
        "ERROR" => status(object).map(Said::Error).map_err(not_one),
        other => {
            let message = format!("`{other}` is not a type of watch event");
            Err(Box::new(Problem::error(message).of(decode::called(kind))))
        }
    }
}

/// Reads a page of a list.
///
/// # Errors
/// When it is none.
pub(super) fn page(kind: Kind, octets: &[u8]) -> Result<Page<'_>, Damaged> {
    let list = unknown(octets, &format!("{}List", decode::called(kind)))?;
    let mut page = Page { version: Version::default(), token: String::new(), items: Vec::new() };
    for part in Fields(list) {
        match part? {
            (1, octets) => {
                let metadata = ListMeta::decode(octets)?;
                (page.version, page.token) = (metadata.resource_version.into(), metadata.r#continue);
            }
            (2, octets) => page.items.push(Item::Protobuf(octets)),
            _ => {}
        }
    }
    Ok(page)
}

/// Reads an object of a kind.
///
/// # Errors
/// When it has no usable name.
pub(super) fn item(kind: Kind, octets: &[u8]) -> Result<Decoded, Box<Problem>> {
    let slim = match kind {
        Kind::Namespace => read::<Namespace, RawNamespace>(octets),
        Kind::Service => read::<Service, RawService>(octets),
        Kind::EndpointSlice => read::<EndpointSlice, RawSlice>(octets),
        Kind::StatefulSet => read::<StatefulSet, RawSet>(octets),
        Kind::Pod => read::<Pod, RawPod>(octets),
    };
    match slim {
        Ok(slim) => slim.decoded(kind),
        // Damaged, but it may have a name: what was known of it stays.
        Err(error) => name(kind, octets).map(|named| decode::unusable(named, error)),
    }
}

/// Reads a Status.
///
/// # Errors
/// When it is none.
pub(super) fn status(octets: &[u8]) -> Result<decode::Status, Damaged> {
    let status = Status::decode(unknown(octets, "Status")?)?;
    Ok(decode::Status {
        code: u16::try_from(status.code).unwrap_or_default(),
        message: lossy(&status.message),
        reason: status.reason,
        details: status.details.map(|details| decode::StatusDetails {
            retry_after_seconds: u32::try_from(details.retry_after_seconds).unwrap_or_default(),
        }),
    })
}

fn read<M: Message + Default, R: TryFrom<M, Error = FieldError> + Into<Slim>>(
    octets: &[u8],
) -> Result<Slim, FieldError> {
    let message =
        M::decode(octets).map_err(|error| FieldError { path: String::new(), message: error.to_string() })?;
    R::try_from(message).map(R::into)
}

fn metadata(object: &[u8]) -> Result<Metadata, Damaged> {
    Ok(ObjectMeta::decode(field(object, 1)?.unwrap_or_default())?.into())
}

fn name(kind: Kind, octets: &[u8]) -> Result<(ObjectName, Version), Box<Problem>> {
    let metadata = metadata(octets)
        .map_err(|error| Problem::error(format!("has no name: {error}")).of(decode::called(kind)))?;
    decode::named(kind, metadata)
}

/// The object within `k8s\0` and `runtime.Unknown`, whose kind is told where it is not the wanted one.
fn unknown<'o>(octets: &'o [u8], wanted: &str) -> Result<&'o [u8], Damaged> {
    let octets = octets.strip_prefix(MAGIC).ok_or(Damaged::Magic)?;
    let (mut kind, mut raw) = (&[][..], None);
    for part in Fields(octets) {
        match part? {
            (1, octets) => kind = field(octets, 2)?.unwrap_or_default(),
            (2, octets) => raw = Some(octets),
            (3, octets) if !octets.is_empty() => {
                return Err(Damaged::Encoded(String::from_utf8_lossy(octets).into_owned()));
            }
            _ => {}
        }
    }
    if !kind.is_empty() && kind != wanted.as_bytes() {
        return Err(Damaged::Kind(String::from_utf8_lossy(kind).into_owned()));
    }
    raw.ok_or(Damaged::Wire)
}

/// The first field of a number, of those that have a length. What follows it is not looked at.
fn field(octets: &[u8], number: u64) -> Result<Option<&[u8]>, Damaged> {
    for part in Fields(octets) {
        let (found, octets) = part?;
        if found == number {
            return Ok(Some(octets));
        }
    }
    Ok(None)
}

/// The fields of a message that have a length (texts, messages), by number; others are passed over. Ends at the first
/// that is damaged.
struct Fields<'o>(&'o [u8]);

impl<'o> Fields<'o> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn octets(&mut self, count: u64) -> Option<&'o [u8]> {
        let (octets, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(octets)
    }

    /// None is damage, `Some(None)` a field without a length.
    fn field(&mut self) -> Option<Option<(u64, &'o [u8])>> {
        let key = self.number()?;
        match key & 7 {
            0 => self.number().map(|_| None),
            1 => self.octets(8).map(|_| None),
            2 => {
                let length = self.number()?;
                self.octets(length).map(|octets| Some((key >> 3, octets)))
            }
            5 => self.octets(4).map(|_| None),
            // Groups, which proto2 has given up, and what never was.
            _ => None,
        }
    }
}

impl<'o> Iterator for Fields<'o> {
    type Item = Result<(u64, &'o [u8]), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            match self.field() {
                Some(Some(field)) => return Some(Ok(field)),
                Some(None) => {}
                None => {
                    self.0 = &[];
                    return Some(Err(Damaged::Wire));
                }
            }
        }
        None
    }
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    /// Values are octets: the API server checks the size of an annotation and keeps whatever it is. One that is not
    /// UTF-8 must not cost the object its name.
    #[prost(btree_map = "string, bytes", tag = "11")]
    labels: BTreeMap<String, Vec<u8>>,
    #[prost(btree_map = "string, bytes", tag = "12")]
    annotations: BTreeMap<String, Vec<u8>>,
}

impl From<ObjectMeta> for Metadata {
    fn from(meta: ObjectMeta) -> Self {
        let ObjectMeta { name, namespace, uid, resource_version, labels, annotations } = meta;
        let [labels, annotations] = [labels, annotations]
            .map(|map| map.into_iter().map(|(key, value)| (key, lossy(&value))).collect());
        // What goes is no longer served when it is gone; its date is nobody's.
        Self { name, namespace, uid, resource_version, labels, annotations, deletion_timestamp: None }
    }
}

/// As JSON has it: what is not UTF-8 becomes U+FFFD.
fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[derive(Clone, PartialEq, Message)]
struct ListMeta {
    #[prost(string, tag = "2")]
    resource_version: String,
    #[prost(string, tag = "3")]
    r#continue: String,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(bytes = "vec", tag = "3")]
    message: Vec<u8>,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(message, optional, tag = "5")]
    details: Option<StatusDetails>,
    #[prost(int32, tag = "6")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StatusDetails {
    #[prost(int32, tag = "5")]
    retry_after_seconds: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Namespace {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

impl TryFrom<Namespace> for RawNamespace {
    type Error = FieldError;

    fn try_from(namespace: Namespace) -> Result<Self, FieldError> {
        Ok(Self { metadata: namespace.metadata.unwrap_or_default().into() })
    }
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<ServiceSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceSpec {
    #[prost(message, repeated, tag = "1")]
    ports: Vec<ServicePort>,
    #[prost(string, tag = "3")]
    cluster_ip: String,
    #[prost(string, repeated, tag = "18")]
    cluster_ips: Vec<String>,
    #[prost(string, tag = "4")]
    r#type: String,
    #[prost(string, tag = "10")]
    external_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ServicePort {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    protocol: String,
    #[prost(int32, tag = "3")]
    port: i32,
}

impl TryFrom<Service> for RawService {
    type Error = FieldError;

    fn try_from(service: Service) -> Result<Self, FieldError> {
        let spec = service.spec.unwrap_or_default();
        let ports = spec.ports.into_iter().enumerate().map(|(i, raw)| {
            let port = unsigned(raw.port, || format!("spec.ports[{i}].port"))?;
            Ok(RawServicePort { name: raw.name, protocol: raw.protocol, port, target_port: None })
        });
        let spec = RawServiceSpec {
            r#type: spec.r#type,
            cluster_ip: spec.cluster_ip,
            cluster_ips: spec.cluster_ips,
            external_name: spec.external_name,
            ports: ports.collect::<Result<_, _>>()?,
            // The rest is for manifests, where nobody has made endpoints of it.
            ..RawServiceSpec::default()
        };
        Ok(Self { metadata: service.metadata.unwrap_or_default().into(), spec })
    }
}

#[derive(Clone, PartialEq, Message)]
struct EndpointSlice {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, repeated, tag = "2")]
    endpoints: Vec<Endpoint>,
    #[prost(message, repeated, tag = "3")]
    ports: Vec<EndpointPort>,
    #[prost(string, tag = "4")]
    address_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct Endpoint {
    #[prost(string, repeated, tag = "1")]
    addresses: Vec<String>,
    #[prost(message, optional, tag = "2")]
    conditions: Option<EndpointConditions>,
    #[prost(string, tag = "3")]
    hostname: String,
    #[prost(message, optional, tag = "4")]
    target_ref: Option<ObjectReference>,
}

#[derive(Clone, PartialEq, Message)]
struct EndpointConditions {
    #[prost(bool, optional, tag = "1")]
    ready: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    terminating: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectReference {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct EndpointPort {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    protocol: String,
    #[prost(int32, optional, tag = "3")]
    port: Option<i32>,
}

impl From<Endpoint> for RawEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        let conditions = endpoint.conditions.unwrap_or_default();
        let reference = |target: ObjectReference| {
            let ObjectReference { kind, name, uid } = target;
            RawReference { kind, name, uid }
        };
        Self {
            addresses: endpoint.addresses,
            hostname: endpoint.hostname,
            target_ref: endpoint.target_ref.map(reference),
            conditions: RawConditions { ready: conditions.ready, terminating: conditions.terminating },
        }
    }
}

impl TryFrom<EndpointSlice> for RawSlice {
    type Error = FieldError;

    fn try_from(slice: EndpointSlice) -> Result<Self, FieldError> {
        let ports = slice.ports.into_iter().enumerate().map(|(i, raw)| {
            let port = raw.port.map(|port| unsigned(port, || format!("ports[{i}].port"))).transpose()?;
            Ok(RawSlicePort { name: raw.name, protocol: raw.protocol, port })
        });
        Ok(Self {
            metadata: slice.metadata.unwrap_or_default().into(),
            address_type: slice.address_type,
            ports: ports.collect::<Result<_, _>>()?,
            endpoints: slice.endpoints.into_iter().map(RawEndpoint::from).collect(),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct StatefulSet {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<StatefulSetSpec>,
    #[prost(message, optional, tag = "3")]
    status: Option<StatefulSetStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct StatefulSetStatus {
    #[prost(string, tag = "7")]
    update_revision: String,
}

#[derive(Clone, PartialEq, Message)]
struct StatefulSetSpec {
    #[prost(int32, optional, tag = "1")]
    replicas: Option<i32>,
    #[prost(string, tag = "5")]
    service_name: String,
    #[prost(string, tag = "6")]
    pod_management_policy: String,
    #[prost(message, optional, tag = "11")]
    ordinals: Option<StatefulSetOrdinals>,
}

#[derive(Clone, PartialEq, Message)]
struct StatefulSetOrdinals {
    #[prost(int32, tag = "1")]
    start: i32,
}

impl TryFrom<StatefulSet> for RawSet {
    type Error = FieldError;

    fn try_from(set: StatefulSet) -> Result<Self, FieldError> {
        let spec = set.spec.unwrap_or_default();
        let replicas = spec.replicas.map(|count| unsigned(count, || "spec.replicas".into())).transpose()?;
        let start = unsigned(spec.ordinals.unwrap_or_default().start, || "spec.ordinals.start".into())?;
        let ordinals = RawOrdinals { start };
        let StatefulSetSpec { service_name, pod_management_policy, .. } = spec;
        let template = RawSetSpec::default().template;
        let spec = RawSetSpec { service_name, replicas, pod_management_policy, ordinals, template };
        let status = RawSetStatus { update_revision: set.status.unwrap_or_default().update_revision };
        Ok(Self { metadata: set.metadata.unwrap_or_default().into(), spec, status })
    }
}

#[derive(Clone, PartialEq, Message)]
struct Pod {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "3")]
    status: Option<PodStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct PodStatus {
    #[prost(string, tag = "1")]
    phase: String,
    #[prost(string, tag = "6")]
    pod_ip: String,
    #[prost(message, repeated, tag = "12")]
    pod_ips: Vec<PodIp>,
}

#[derive(Clone, PartialEq, Message)]
struct PodIp {
    #[prost(string, tag = "1")]
    ip: String,
}

impl TryFrom<Pod> for RawPod {
    type Error = FieldError;

    fn try_from(pod: Pod) -> Result<Self, FieldError> {
        let PodStatus { phase, pod_ip, pod_ips } = pod.status.unwrap_or_default();
        let pod_ips = pod_ips.into_iter().map(|PodIp { ip }| RawPodIp { ip }).collect();
        let status = RawPodStatus { phase, pod_ip, pod_ips, ..RawPodStatus::default() };
        Ok(Self { metadata: pod.metadata.unwrap_or_default().into(), spec: Default::default(), status })
    }
}

fn unsigned(number: i32, path: impl FnOnce() -> String) -> Result<u32, FieldError> {
    u32::try_from(number)
        .map_err(|_| FieldError { path: path(), message: format!("`{number}` is less than 0") })
}

#[cfg(test)]
mod tests;
