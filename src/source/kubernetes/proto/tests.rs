//! `golden/` holds what an API server of Kubernetes 1.34.4 answered, each once as JSON and once as protobuf.

use super::*;
use crate::model::{Object, ServiceShape};
use crate::source::kubernetes::decode::Encoding;

macro_rules! golden {
    ($($name:tt)*) => {
        &include_bytes!(concat!("golden/", $($name)*))[..]
    };
}

/// Kind, list and watch, each as JSON and as protobuf.
type Golden = (Kind, [&'static [u8]; 2], [&'static [u8]; 2]);

macro_rules! goldens {
    ($($kind:ident $name:literal),* $(,)?) => {
        [$((
            Kind::$kind,
            [golden!(concat!($name, ".list.json")), golden!(concat!($name, ".list.pb"))],
            [golden!(concat!($name, ".watch.json")), golden!(concat!($name, ".watch.pb"))],
        )),*]
    };
}

fn goldens() -> [Golden; 5] {
    goldens![
        Namespace "namespaces",
        Service "services",
        EndpointSlice "endpointslices",
        StatefulSet "statefulsets",
        Pod "pods",
    ]
}

fn frames(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = octets.split_first_chunk() {
        let (frame, rest) = rest.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
        frames.push(frame);
        octets = rest;
    }
    frames
}

fn lines(octets: &[u8]) -> Vec<&[u8]> {
    octets.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()).collect()
}

/// All that is said of an object, as text: what is equal is equal in it.
fn told(decoded: &Result<Decoded, Box<Problem>>) -> String {
    format!("{decoded:#?}")
}

fn decoded_page(encoding: Encoding, kind: Kind, octets: &[u8]) -> (Version, String, Vec<String>) {
    let page = encoding.page(kind, octets).unwrap();
    let items = page.items.iter().map(|item| told(&item.read(kind))).collect();
    (page.version, page.token, items)
}

fn objects(kind: Kind, octets: &[u8]) -> Vec<Decoded> {
    page(kind, octets).unwrap().items.iter().map(|item| item.read(kind).unwrap()).collect()
}

#[test]
fn a_list_says_the_same_in_both_encodings() {
    for (kind, [json, protobuf], _) in goldens() {
        let (wanted, found) =
            (decoded_page(Encoding::Json, kind, json), decoded_page(Encoding::Protobuf, kind, protobuf));
        assert!(wanted.2.len() >= 2, "{kind:?}");
        assert_eq!(found, wanted, "{kind:?}");
    }
}

#[test]
fn a_watch_says_the_same_in_both_encodings() {
    for (kind, _, [json, protobuf]) in goldens() {
        let (lines, frames) = (lines(json), frames(protobuf));
        assert_eq!(lines.len(), frames.len(), "{kind:?}");
        for (line, frame) in lines.iter().zip(&frames) {
            let said = |encoding: Encoding, octets| format!("{:#?}", encoding.event(kind, octets).unwrap());
            assert_eq!(said(Encoding::Protobuf, frame), said(Encoding::Json, line));
        }
        let Ok(Said::Bookmark(version, true)) = event(kind, frames.last().unwrap()) else {
            panic!("{kind:?}: no end of the initial events")
        };
        assert!(version.parse::<u64>().is_ok());
    }
}

/// That both say the same is not that they say anything.
#[test]
fn the_objects_are_those_that_were_made() {
    let name = |decoded: &Decoded| decoded.name.name.to_string();
    let services = objects(Kind::Service, golden!("services.list.pb"));
    assert_eq!(
        services.iter().map(name).collect::<Vec<_>>(),
        ["address", "alias", "bare", "dual", "headless"]
    );
    let problem = services[0].object.as_ref().unwrap_err().to_string();
    assert!(
        problem.starts_with("Service golden/address: spec.externalName: `10.0.0.1` is an addr"),
        "{problem}"
    );
    let shape = |number: usize| match &services[number].object {
        Ok(Some(Object::Service(service))) => (service.shape.clone(), service.ports.len(), service.ttl),
        other => panic!("{other:?}"),
    };
    assert_eq!(shape(1).0, ServiceShape::External("db.example.org".into()));
    assert_eq!((shape(2).0, shape(2).1), (ServiceShape::Headless, 0));
    assert_eq!((shape(4).0, shape(4).1), (ServiceShape::Headless, 1));
    let (ServiceShape::ClusterIp(addresses), 2, ttl) = shape(3) else { panic!("{:?}", shape(3)) };
    assert_eq!((addresses.len(), ttl.positive, ttl.negative), (1, Some(7), None));
    assert!(services[3].beside[0].to_string().contains("rollcall/negative-ttl"));

    let slices = objects(Kind::EndpointSlice, golden!("endpointslices.list.pb"));
    let slice = |wanted: &str| {
        let found = slices.iter().find(|decoded| name(decoded) == wanted).unwrap();
        match found.object.as_ref().unwrap() {
            Some(Object::EndpointSlice(slice)) => Some(slice),
            _ => None,
        }
    };
    let endpoints = &slice("headless-v4").unwrap().endpoints;
    let pod = endpoints[0].pod.as_ref().unwrap();
    assert_eq!((&*pod.name, &*pod.uid), ("web-0", "6f1c"));
    assert_eq!(endpoints[0].hostname.as_ref().unwrap().as_str(), "web-0");
    let conditions: Vec<_> =
        endpoints.iter().map(|one| (one.ready, one.terminating, one.pod.is_some())).collect();
    assert_eq!(conditions, [(true, false, true), (false, true, false), (true, false, false)]);
    assert_eq!(slice("headless-v4").unwrap().ports.len(), 1, "one without a number is none");
    assert!(slice("headless-v6").unwrap().endpoints[0].addresses[0].is_ipv6());
    assert!(slice("nothing").unwrap().endpoints.is_empty());
    assert!(slice("names").is_none() && slice("nobodys").is_none());

    let sets = objects(Kind::StatefulSet, golden!("statefulsets.list.pb"));
    let set = |number: usize| match &sets[number].object {
        Ok(Some(Object::StatefulSet(set))) => {
            (set.name.to_string(), set.service.as_ref().map(ToString::to_string), set.start, set.replicas)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(set(0), ("none".into(), None, 0, 0));
    assert_eq!(set(1), ("web".into(), Some("headless".into()), 3, 5));
    let pods = objects(Kind::Pod, golden!("pods.list.pb"));
    let addresses = |number: usize| match &pods[number].object {
        Ok(Some(Object::Pod(pod))) => (pod.name.to_string(), pod.addresses.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!((addresses(0), addresses(1)), (("new".into(), 0), ("web-3".into(), 2)));
}

#[test]
fn a_page_names_the_next_one() {
    let page = page(Kind::Namespace, golden!("page.pb")).unwrap();
    assert_eq!(page.items.len(), 2);
    assert!(!page.token.is_empty() && !page.version.is_empty());
    assert!(
        super::page(Kind::Service, golden!("page.pb")).unwrap_err().to_string().contains("NamespaceList")
    );
}

#[test]
fn deleted_names_the_object() {
    let gone = frames(golden!("deleted.pb"));
    let Ok(Said::Gone(name, version)) = event(Kind::Service, gone[0]) else { panic!("not gone") };
    assert_eq!((name.namespace.as_str(), &*name.name), ("golden", "alias"));
    assert!(!version.is_empty());
}

#[test]
fn a_status_says_the_same_in_both_encodings() {
    let found = Encoding::Protobuf.status(golden!("status.pb")).unwrap();
    assert_eq!(Some(&found), Encoding::Json.status(golden!("status.json")).as_ref());
    assert_eq!((found.code, found.reason.as_str()), (404, "NotFound"));
    let expired = Status { code: 410, reason: "Expired".into(), ..Status::default() };
    let busy = StatusDetails { retry_after_seconds: 3 };
    let frame = mk_event("ERROR", "Status", &Status { details: Some(busy), ..expired });
    let Ok(Said::Error(status)) = event(Kind::Pod, &frame) else { panic!("no error") };
    assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (410, 3));
}

#[test]
fn a_number_that_the_api_does_not_have_is_named() {
    let metadata = Some(ObjectMeta { name: "a".into(), namespace: "b".into(), ..ObjectMeta::default() });
    let said = |kind, octets: Vec<u8>| item(kind, &octets).unwrap().object.unwrap_err().to_string();
    let ports = vec![
        ServicePort { port: 80, ..ServicePort::default() },
        ServicePort { port: -1, ..ServicePort::default() },
    ];
    let spec = Some(ServiceSpec { ports, ..ServiceSpec::default() });
    let text = said(Kind::Service, Service { metadata: metadata.clone(), spec }.encode_to_vec());
    assert!(text.starts_with("Service b/a: spec.ports[1].port: `-1` is less than 0"), "{text}");
    let spec = Some(StatefulSetSpec { replicas: Some(-2), ..StatefulSetSpec::default() });
    let text = said(Kind::StatefulSet, StatefulSet { metadata, spec, status: None }.encode_to_vec());
    assert!(text.starts_with("StatefulSet b/a: spec.replicas: `-2`"), "{text}");
}

#[test]
fn an_object_that_is_damaged_behind_its_metadata_is_named() {
    let page = page(Kind::EndpointSlice, golden!("endpointslices.list.pb")).unwrap();
    let Item::Protobuf(octets) = page.items[0] else { panic!("no protobuf") };
    for damaged in
        [&octets[..octets.len() - 1], &[octets, b"\x12\xff\xff\x01"].concat(), &[octets, b"\x13"].concat()]
    {
        let decoded = item(Kind::EndpointSlice, damaged).unwrap();
        assert!(!decoded.version.is_empty());
        let text = decoded.object.unwrap_err().to_string();
        assert!(text.starts_with("EndpointSlice golden/headless-v4: "), "{text}");
    }
    let text = item(Kind::EndpointSlice, &octets[..20]).unwrap_err().to_string();
    assert!(text.starts_with("EndpointSlice: has no name: "), "{text}");
}

/// The API server checks the size of an annotation's value, not what it is.
#[test]
fn an_annotation_that_is_no_text_costs_neither_the_object_nor_its_name() {
    let metadata = ObjectMeta {
        name: "web".into(),
        namespace: "default".into(),
        annotations: [("x".to_owned(), b"\xff\xfe".to_vec())].into(),
        ..ObjectMeta::default()
    };
    let spec = ServiceSpec { cluster_ip: "None".into(), ..ServiceSpec::default() };
    let service = Service { metadata: Some(metadata), spec: Some(spec) };
    let Ok(Said::Is(decoded)) = event(Kind::Service, &mk_event("ADDED", "Service", &service)) else {
        panic!("not read")
    };
    assert!(matches!(decoded.object, Ok(Some(Object::Service(_)))), "{decoded:?}");
    let deleted = event(Kind::Service, &mk_event("DELETED", "Service", &service));
    assert!(matches!(deleted, Ok(Said::Gone(..))), "{deleted:?}");
}

#[test]
fn when_a_change_happened_is_told_beside_the_slice() {
    let triggered = |value: &[u8]| {
        let metadata = ObjectMeta {
            name: "web-x".into(),
            namespace: "default".into(),
            labels: [("kubernetes.io/service-name".to_owned(), b"web".to_vec())].into(),
            annotations: [("endpoints.kubernetes.io/last-change-trigger-time".to_owned(), value.to_vec())]
                .into(),
            ..ObjectMeta::default()
        };
        let address_type = "IPv4".to_owned();
        let slice = EndpointSlice { metadata: Some(metadata), address_type, ..EndpointSlice::default() };
        let said = event(Kind::EndpointSlice, &mk_event("MODIFIED", "EndpointSlice", &slice));
        let Ok(Said::Is(decoded)) = said else { panic!("{said:?}") };
        assert!(matches!(decoded.object, Ok(Some(Object::EndpointSlice(_)))), "{decoded:?}");
        decoded.triggered.map(|at| at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs())
    };
    assert_eq!(triggered(b"2026-11-21T13:00:00.5Z"), Some(1_795_266_000));
    assert_eq!(triggered(b"2026-11-21T13:00\xff"), None);
}

#[test]
fn what_is_no_event_is_an_error() {
    let service = Service::default();
    let mut other = mk_event("ADDED", "Service", &service);
    other.truncate(other.len() - 1);
    for octets in [
        vec![],
        vec![0],
        b"{\"type\":\"ADDED\"}".to_vec(),
        b"\x0a\x05ADDED".to_vec(),
        other,
        mk_event("ADDED", "Service", &service),
        mk_event("ADDED", "Pod", &service),
        mk_event("CHANGED", "Service", &service),
    ] {
        let text = event(Kind::Service, &octets).unwrap_err().to_string();
        assert!(text.contains("Service"), "{text}");
    }
}

#[test]
fn whatever_is_cut_off_or_turned_over_does_not_panic() {
    // One and the same every time: xorshift.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    let read = |kind, octets: &[u8]| {
        let _ = event(kind, octets);
        let _ = item(kind, octets);
        let _ = status(octets);
        if let Ok(page) = page(kind, octets) {
            page.items.iter().for_each(|one| drop(one.read(kind)));
        }
    };
    for (kind, [_, list], [_, watch]) in goldens() {
        let whole = page(kind, list).unwrap();
        let items = whole.items.iter().map(|one| match one {
            Item::Protobuf(octets) => *octets,
            Item::Json(_) => panic!("no protobuf"),
        });
        for message in items.chain(frames(watch)).chain([list, golden!("status.pb")]) {
            for length in 0..message.len() {
                read(kind, &message[..length]);
            }
            for _ in 0..500 {
                let mut flipped = message.to_vec();
                for _ in 0..=random() % 3 {
                    let at = random() % flipped.len();
                    flipped[at] ^= 1 << (random() % 8);
                }
                read(kind, &flipped);
            }
        }
    }
}

/// What is cut off is never taken for a whole list: its outer lengths do not fit any more.
#[test]
fn a_list_that_is_cut_off_is_none() {
    for (kind, [_, list], _) in goldens() {
        // Behind its content stand two empty fields.
        for length in 0..list.len() - 4 {
            assert!(page(kind, &list[..length]).is_err(), "{kind:?} {length}");
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct Watched {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(message, optional, tag = "2")]
    object: Option<Raw>,
}

#[derive(Clone, PartialEq, Message)]
struct Raw {
    #[prost(bytes = "vec", tag = "1")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "2")]
    kind: String,
}

fn mk_event(what: &str, kind: &str, object: &impl Message) -> Vec<u8> {
    let type_meta = Some(TypeMeta { kind: kind.into() });
    let unknown = Unknown { type_meta, raw: object.encode_to_vec() }.encode_to_vec();
    let raw = [MAGIC, &unknown].concat();
    Watched { r#type: what.into(), object: Some(Raw { raw }) }.encode_to_vec()
}
