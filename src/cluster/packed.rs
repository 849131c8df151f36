//! Objects as the index keeps them: a few dozen octets an endpoint, where the objects themselves take some hundred.
//!
//! The index holds every object of a cluster and looks into one only when its service changed; so it keeps them packed
//! and gives them back whole. Two objects are the same when their octets are.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::model::{
    Endpoint, EndpointSlice, Hold, Label, PodReference, Port, Protocol, Service, ServiceKey, ServiceShape,
    StatefulSet, TtlOverrides,
};

/// A Service, an EndpointSlice or a StatefulSet of a service whose key stands elsewhere: its kind, the length of its
/// name, its name, its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

// The lists of a form are its parameters: kept where it is unpacked, passed over where it is only checked.

/// Behind it stands what releases before it knew nothing of: two octets of a [`Hold`], where its annotation says one. They
/// are not in a snapshot's services, which say it in a part of their own, as [`SetForm`] does.
#[derive(Serialize, Deserialize)]
struct ServiceForm<Shape, Ports> {
    shape: Shape,
    ports: Ports,
    ttl: [Option<u16>; 3],
}

#[derive(Serialize, Deserialize)]
enum ShapeForm<'a, Addresses> {
    ClusterIp(Addresses),
    Headless,
    External(&'a str),
}

type ServiceList<'a> = ServiceForm<ShapeForm<'a, Vec<IpAddr>>, Vec<PortForm<'a>>>;
type ServiceCheck<'a> = ServiceForm<ShapeForm<'a, Passed<IpAddr>>, Passed<PortForm<'a>>>;

#[derive(Serialize, Deserialize)]
struct PortForm<'a> {
    name: Option<&'a str>,
    protocol: u8,
    number: u16,
}

#[derive(Serialize, Deserialize)]
struct SliceForm<Ports, Endpoints> {
    ports: Ports,
    endpoints: Endpoints,
}

type SliceList<'a> = SliceForm<Vec<PortForm<'a>>, Vec<EndpointForm<'a, Vec<IpAddr>>>>;
type SliceCheck<'a> = SliceForm<Passed<PortForm<'a>>, Passed<EndpointForm<'a, Passed<IpAddr>>>>;

#[derive(Serialize, Deserialize)]
struct EndpointForm<'a, Addresses> {
    addresses: Addresses,
    /// [`READY`], [`TERMINATING`].
    conditions: u8,
    #[serde(borrow)]
    pod: Option<(&'a str, Uid<'a>)>,
    hostname: Hostname<'a>,
}

const READY: u8 = 1;
const TERMINATING: u8 = 2;

#[derive(Serialize, Deserialize)]
enum Hostname<'a> {
    None,
    /// As nearly always, where there is one.
    ThePods,
    Other(&'a str),
}

#[derive(Serialize, Deserialize)]
enum Uid<'a> {
    /// In the text form of RFC 9562, section 4, as the API server makes them.
    Uuid([u8; 16]),
    Other(&'a str),
}

/// Behind it stands what releases before it knew nothing of: [`PARALLEL`] for a set whose replicas wait for nobody, and
/// the revision, where there is one, up to the end. Neither is in a snapshot's sets, which says them in parts of their
/// own: those who know nothing of them read the set all the same.
#[derive(Serialize, Deserialize)]
struct SetForm {
    start: u32,
    replicas: u32,
}

/// No revision begins with it: it is text.
const PARALLEL: u8 = 1;

/// A list each item of which was read and none kept.
struct Passed<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Passed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Passed<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<T>()?.is_some() {}
        Ok(self)
    }
}

impl Packed {
    pub(super) fn of_service(service: &Service) -> Self {
        let TtlOverrides { positive, negative, expected, hold } = service.ttl;
        let shape = match &service.shape {
            ServiceShape::ClusterIp(addresses) => ShapeForm::ClusterIp(addresses.clone()),
            ServiceShape::Headless => ShapeForm::Headless,
            ServiceShape::External(target) => ShapeForm::External(target),
        };
        let form =
            ServiceForm { shape, ports: pack_ports(&service.ports), ttl: [positive, negative, expected] };
        let packed = Self::new(Kind::Service, service.key.name.as_str(), &form);
        match hold {
            None => packed,
            Some(hold) => packed.with_hold(hold).unwrap_or(packed),
        }
    }

    pub(super) fn of_slice(slice: &EndpointSlice) -> Self {
        let endpoints: Vec<_> = slice.endpoints.iter().map(EndpointForm::of).collect();
        let form = SliceForm { ports: pack_ports(&slice.ports), endpoints };
        Self::new(Kind::EndpointSlice, &slice.name, &form)
    }

    pub(super) fn of_set(set: &StatefulSet) -> Self {
        let StatefulSet { start, replicas, parallel, .. } = *set;
        let packed = Self::new(Kind::StatefulSet, &set.name, &SetForm { start, replicas });
        packed.with(parallel, set.revision.as_deref().unwrap_or_default())
    }

    fn new(kind: Kind, name: &str, form: &impl Serialize) -> Self {
        // Names have at most 253 octets (RFC 1123 subdomains); the sources refuse others.
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let mut octets = vec![kind as u8, length];
        octets.extend(&name.as_bytes()[..usize::from(length)]);
        // Into memory: there is nothing that could fail.
        Self(postcard::to_extend(form, octets).unwrap_or_default().into())
    }

    /// The octets, for [`Packed::from_octets`]; of a set they say neither whether it is parallel nor its revision, of a
    /// Service nothing of holding.
    pub(super) fn octets(&self) -> &[u8] {
        let behind = match self.set_form() {
            Some((_, behind)) => behind.len(),
            None => self.behind_service().len(),
        };
        &self.0[..self.0.len() - behind]
    }

    /// What stands behind a Service's form.
    fn behind_service(&self) -> &[u8] {
        let form = self.form_octets(Kind::Service).map(postcard::take_from_bytes::<ServiceCheck<'_>>);
        form.and_then(Result::ok).map_or(&[], |(_, behind)| behind)
    }

    /// What a Service says of holding, as the octets of a file say it; None where it says nothing.
    pub(super) fn hold_octets(&self) -> Option<[u8; 2]> {
        self.behind_service().try_into().ok()
    }

    /// The same Service with a word on holding; None where it is none, or has said one.
    pub(super) fn with_hold(&self, hold: Hold) -> Option<Self> {
        let is_one = self.is_a(Kind::Service) && self.behind_service().is_empty();
        is_one.then(|| Self([&*self.0, &hold_number(hold).to_le_bytes()].concat().into()))
    }

    /// A set with what stands behind its form, of which there is nothing yet.
    fn with(&self, parallel: bool, revision: &str) -> Self {
        let flag: &[u8] = if parallel { &[PARALLEL] } else { &[] };
        Self([&*self.0, flag, revision.as_bytes()].concat().into())
    }

    /// Whether it is a set whose replicas wait for nobody.
    pub(super) fn is_parallel(&self) -> bool {
        self.set_form().is_some_and(|(_, behind)| behind.first() == Some(&PARALLEL))
    }

    /// A set's revision; empty where there is none.
    pub(super) fn revision(&self) -> &str {
        let behind = self.set_form().map_or(&[][..], |(_, behind)| behind);
        std::str::from_utf8(behind.strip_prefix(&[PARALLEL]).unwrap_or(behind)).unwrap_or_default()
    }

    /// The same set, its replicas waiting for nobody; None where it is none, or is said to be that already.
    pub(super) fn parallel(&self) -> Option<Self> {
        let is_one = self.is_a(Kind::StatefulSet) && !self.is_parallel();
        is_one.then(|| Self(self.octets().into()).with(true, self.revision()))
    }

    /// The same set with a revision; None where it is none, or has one.
    pub(super) fn with_revision(&self, revision: &str) -> Option<Self> {
        let is_one = self.is_a(Kind::StatefulSet) && self.revision().is_empty();
        is_one.then(|| Self(self.octets().into()).with(self.is_parallel(), revision))
    }

    /// From octets of a file; None where they are no object, and of nothing else.
    pub(super) fn from_octets(octets: &[u8]) -> Option<Self> {
        fn is<'a, T: Deserialize<'a>>(form: &'a [u8]) -> bool {
            postcard::take_from_bytes::<T>(form).is_ok_and(|(_, rest)| rest.is_empty())
        }
        let (&[kind, length], rest) = octets.split_first_chunk()?;
        let (name, form) = rest.split_at_checked(length.into())?;
        let named = !name.is_empty() && std::str::from_utf8(name).is_ok();
        let is_whole = match kind {
            kind if kind == Kind::Service as u8 => is::<ServiceCheck<'_>>(form),
            kind if kind == Kind::EndpointSlice as u8 => is::<SliceCheck<'_>>(form),
            kind if kind == Kind::StatefulSet as u8 => is::<SetForm>(form),
            _ => false,
        };
        (named && is_whole).then(|| Self(octets.into()))
    }

    /// Whether it is the object of this kind and name.
    pub(super) fn is(&self, kind: Kind, name: &str) -> bool {
        self.is_a(kind) && self.name_octets() == name.as_bytes()
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::ALL.into_iter().find(|kind| self.is_a(*kind)).unwrap_or(Kind::Service)
    }

    pub(super) fn is_a(&self, kind: Kind) -> bool {
        self.0.first() == Some(&(kind as u8))
    }

    pub(super) fn name(&self) -> &str {
        std::str::from_utf8(self.name_octets()).unwrap_or_default()
    }

    fn name_octets(&self) -> &[u8] {
        let length = self.0.get(1).map_or(0, |length| usize::from(*length));
        self.0.get(2..2 + length).unwrap_or_default()
    }

    fn set_form(&self) -> Option<(SetForm, &[u8])> {
        postcard::take_from_bytes(self.form_octets(Kind::StatefulSet)?).ok()
    }

    fn form_octets(&self, kind: Kind) -> Option<&[u8]> {
        self.0.get(2 + self.name_octets().len()..).filter(|_| self.is_a(kind))
    }

    /// The form; None when it is not of this kind.
    fn form<'a, T: Deserialize<'a>>(&'a self, kind: Kind) -> Option<T> {
        postcard::from_bytes(self.form_octets(kind)?).ok()
    }

    pub(super) fn service(&self, key: &ServiceKey) -> Option<Service> {
        let ServiceForm { shape, ports, ttl }: ServiceList<'_> = self.form(Kind::Service)?;
        let shape = match shape {
            ShapeForm::ClusterIp(addresses) => ServiceShape::ClusterIp(addresses),
            ShapeForm::Headless => ServiceShape::Headless,
            ShapeForm::External(target) => ServiceShape::External(target.into()),
        };
        let [positive, negative, expected] = ttl;
        let hold = self.hold_octets().map(hold_of);
        let ttl = TtlOverrides { positive, negative, expected, hold };
        Some(Service { key: key.clone(), shape, ports: unpack_ports(&ports), ttl })
    }

    pub(super) fn slice(&self, service: &ServiceKey) -> Option<EndpointSlice> {
        let SliceForm { ports, endpoints }: SliceList<'_> = self.form(Kind::EndpointSlice)?;
        let endpoints = endpoints.into_iter().map(EndpointForm::unpacked).collect();
        let (service, name) = (service.clone(), self.name().into());
        Some(EndpointSlice { service, name, ports: unpack_ports(&ports), endpoints })
    }

    pub(super) fn set(&self, service: &ServiceKey) -> Option<StatefulSet> {
        let (SetForm { start, replicas }, _) = self.set_form()?;
        let (namespace, service) = (service.namespace.clone(), Some(service.name.clone()));
        let (name, parallel) = (self.name().into(), self.is_parallel());
        let revision = Some(self.revision()).filter(|revision| !revision.is_empty()).map(Into::into);
        Some(StatefulSet { namespace, name, service, start, replicas, parallel, revision })
    }
}

/// No time is as long.
const AS_CONFIGURED: u16 = u16::MAX;

fn hold_number(hold: Hold) -> u16 {
    match hold {
        Hold::Never => 0,
        Hold::AsConfigured => AS_CONFIGURED,
        Hold::For(milliseconds) => milliseconds,
    }
}

/// What the octets of a file say of holding.
pub(super) fn hold_of(octets: [u8; 2]) -> Hold {
    match u16::from_le_bytes(octets) {
        0 => Hold::Never,
        AS_CONFIGURED => Hold::AsConfigured,
        // Of a release with other bounds.
        milliseconds => Hold::For(milliseconds.clamp(Hold::LEAST, Hold::LONGEST)),
    }
}

impl<'a> EndpointForm<'a, Vec<IpAddr>> {
    fn of(endpoint: &'a Endpoint) -> Self {
        let pod = endpoint.pod.as_ref();
        let hostname = match &endpoint.hostname {
            None => Hostname::None,
            Some(name) if pod.is_some_and(|pod| *pod.name == *name.as_str()) => Hostname::ThePods,
            Some(name) => Hostname::Other(name.as_str()),
        };
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        Self {
            addresses: endpoint.addresses.clone(),
            conditions: flag(endpoint.ready, READY) | flag(endpoint.terminating, TERMINATING),
            pod: pod.map(|pod| (&*pod.name, uuid(&pod.uid).map_or(Uid::Other(&pod.uid), Uid::Uuid))),
            hostname,
        }
    }

    fn unpacked(self) -> Endpoint {
        let hostname = match (self.hostname, &self.pod) {
            (Hostname::ThePods, Some((pod, _))) => Some(*pod),
            (Hostname::Other(name), _) => Some(name),
            (Hostname::None | Hostname::ThePods, _) => None,
        };
        let uid = |uid| match uid {
            Uid::Uuid(octets) => uuid_text(&octets),
            Uid::Other(text) => text.into(),
        };
        Endpoint {
            addresses: self.addresses,
            hostname: hostname.and_then(|name| Label::new(name).ok()),
            pod: self.pod.map(|(name, of_pod)| PodReference { name: name.into(), uid: uid(of_pod) }),
            ready: self.conditions & READY > 0,
            terminating: self.conditions & TERMINATING > 0,
        }
    }
}

fn pack_ports(ports: &[Port]) -> Vec<PortForm<'_>> {
    let pack = |port| {
        let Port { name, protocol, number }: &Port = port;
        PortForm { name: name.as_ref().map(Label::as_str), protocol: *protocol as u8, number: *number }
    };
    ports.iter().map(pack).collect()
}

fn unpack_ports(ports: &[PortForm<'_>]) -> Vec<Port> {
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let protocol = |number: u8| protocols.into_iter().find(|protocol| *protocol as u8 == number);
    let unpack = |port: &PortForm<'_>| Port {
        name: port.name.and_then(|name| Label::new(name).ok()),
        protocol: protocol(port.protocol).unwrap_or_default(),
        number: port.number,
    };
    ports.iter().map(unpack).collect()
}

/// Where the hyphens of a UUID's text stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// A UUID in its canonical text form: what [`uuid_text`] gives back octet by octet.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut uuid = [0; 16];
    let mut digits = 0;
    for (at, byte) in text.iter().enumerate() {
        let digit = match byte {
            b'-' if HYPHENS.contains(&at) => continue,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        // 36 octets, and each that is not a digit is one of four hyphens: at least 32 digits.
        let octet = uuid.get_mut(digits / 2)?;
        *octet = *octet << 4 | digit;
        digits += 1;
    }
    Some(uuid)
}

fn uuid_text(uuid: &[u8; 16]) -> Box<str> {
    let mut text = [b'-'; 36];
    let places = (0..text.len()).filter(|at| !HYPHENS.contains(at));
    let digits = uuid.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    for (at, digit) in places.zip(digits) {
        text[at] = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    // Digits and hyphens.
    std::str::from_utf8(&text).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn key() -> ServiceKey {
        ServiceKey { namespace: label("default"), name: label("nginx") }
    }

    fn mk_port(name: Option<&str>, protocol: Protocol, number: u16) -> Port {
        Port { name: name.map(label), protocol, number }
    }

    fn mk_endpoint(addresses: &[&str], hostname: Option<&str>, pod: Option<(&str, &str)>) -> Endpoint {
        Endpoint {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            hostname: hostname.map(label),
            pod: pod.map(|(name, uid)| PodReference { name: name.into(), uid: uid.into() }),
            ready: hostname.is_some(),
            terminating: hostname.is_none(),
        }
    }

    const UID: &str = "0f9a3a9e-6c1f-4a57-9d0e-0123456789ab";

    #[test]
    fn services_come_back_as_they_were() {
        let ports = vec![
            mk_port(None, Protocol::Tcp, 80),
            mk_port(Some("dns"), Protocol::Udp, 53),
            mk_port(Some("sig"), Protocol::Sctp, 65535),
        ];
        for shape in [
            ServiceShape::Headless,
            ServiceShape::ClusterIp(vec!["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()]),
            ServiceShape::External("db.example.org".into()),
        ] {
            let ttl = TtlOverrides { positive: Some(0), negative: None, expected: Some(3600), hold: None };
            let service = Service { key: key(), shape, ports: ports.clone(), ttl };
            let packed = Packed::of_service(&service);
            assert_eq!(packed.service(&key()), Some(service.clone()));
            for hold in [Hold::Never, Hold::AsConfigured, Hold::For(Hold::LONGEST)] {
                let held = Service { ttl: TtlOverrides { hold: Some(hold), ..ttl }, ..service.clone() };
                let of_held = Packed::of_service(&held);
                assert_eq!(of_held.service(&key()), Some(held));
                // In a snapshot it is the same object to those who know nothing of it.
                assert_eq!(of_held.octets(), packed.octets());
                assert_eq!((packed.with_hold(hold), of_held.with_hold(hold)), (Some(of_held.clone()), None));
            }
            assert!(packed.is(Kind::Service, "nginx") && !packed.is(Kind::EndpointSlice, "nginx"));
            assert_eq!(packed.slice(&key()), None);
        }
    }

    #[test]
    fn slices_come_back_as_they_were() {
        let name = "x".repeat(253);
        let slice = EndpointSlice {
            service: key(),
            name: name.as_str().into(),
            ports: vec![mk_port(Some("web"), Protocol::Tcp, 8080)],
            endpoints: vec![
                mk_endpoint(&["10.0.0.1"], Some("web-0"), Some(("web-0", UID))),
                mk_endpoint(&["10.0.0.2", "10.0.0.3"], Some("other"), Some(("web-1", "not a uuid"))),
                mk_endpoint(&["fd00::1"], None, Some(("web-2", &UID.to_uppercase()))),
                mk_endpoint(&["fd00::2"], Some("web-3"), None),
                mk_endpoint(&["10.0.0.4"], None, None),
            ],
        };
        let packed = Packed::of_slice(&slice);
        assert_eq!(packed.name(), name);
        assert_eq!(packed.slice(&key()), Some(slice));
    }

    #[test]
    fn an_endpoint_takes_a_few_dozen_octets() {
        let slice = |count: usize| {
            let endpoint = mk_endpoint(&["10.0.0.1"], Some("web-0"), Some(("web-0", UID)));
            let endpoints = vec![endpoint; count];
            let (name, ports) = ("nginx-abcde".into(), Vec::new());
            Packed::of_slice(&EndpointSlice { service: key(), name, ports, endpoints }).0.len()
        };
        assert!(slice(2) - slice(1) <= 34, "{}", slice(2) - slice(1));
    }

    #[test]
    fn sets_come_back_as_they_were() {
        for (parallel, revision) in
            [(false, None), (true, None), (false, Some("web-6596ffb49b")), (true, Some("web-6596ffb49b"))]
        {
            let set = StatefulSet {
                namespace: label("default"),
                name: "web".into(),
                service: Some(label("nginx")),
                start: 7,
                replicas: u32::MAX,
                parallel,
                revision: revision.map(Into::into),
            };
            let packed = Packed::of_set(&set);
            assert_eq!(packed.set(&key()), Some(set.clone()));
            // What a snapshot's sets say, and what its other parts add, in either order.
            let bare = Packed::from_octets(packed.octets()).unwrap();
            let ordered = StatefulSet { parallel: false, revision: None, ..set };
            assert_eq!(bare, Packed::of_set(&ordered));
            let flagged = |packed: Packed| if parallel { packed.parallel().unwrap() } else { packed };
            let revised = |packed: Packed| match revision {
                Some(revision) => packed.with_revision(revision).unwrap(),
                None => packed,
            };
            assert_eq!(revised(flagged(bare.clone())), packed);
            assert_eq!(flagged(revised(bare)), packed);
            assert_eq!(packed.parallel().is_some(), !parallel, "said twice");
            assert_eq!(packed.with_revision("x").is_some(), revision.is_none(), "said twice");
        }
    }

    #[test]
    fn only_the_canonical_text_is_a_uuid() {
        assert_eq!(uuid(UID).map(|uuid| uuid_text(&uuid)).as_deref(), Some(UID));
        for other in ["", "0f9a3a9e6c1f4a579d0e0123456789ab", &UID.replace('-', "a"), &UID.replace('f', "-")]
        {
            assert_eq!(uuid(other), None, "{other}");
        }
    }
}
