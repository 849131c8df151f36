//! The objects of a cluster, in order of application.

use std::net::{IpAddr, Ipv4Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rollcall::model::{
    Endpoint, EndpointSlice, Hold, Label, Namespace, Object, Pod, PodReference, Port, Protocol, Service,
    ServiceKey, ServiceShape, StatefulSet, TtlOverrides,
};

use super::{HOSTS, LONG_LABEL, NAMESPACES, SERVICES, V4, V6};

/// A cluster of a few objects, at times with a chain of aliases or a service that fills many packets.
pub(crate) fn cluster(zone: &'static str) -> impl Strategy<Value = Vec<Object>> {
    let objects = vec(object(zone), 0..24);
    let chain = prop_oneof![5 => Just(Vec::new()), 1 => chain(zone)];
    let crowd = prop_oneof![5 => Just(Vec::new()), 1 => crowd()];
    (objects, chain, crowd).prop_map(|(objects, chain, crowd)| [objects, chain, crowd].concat())
}

/// Any object.
pub(crate) fn object(zone: &'static str) -> impl Strategy<Value = Object> {
    prop_oneof![
        1 => label(&NAMESPACES).prop_map(|name| Object::Namespace(Namespace { name })),
        7 => service(zone).prop_map(Object::Service),
        9 => slice().prop_map(Object::EndpointSlice),
        3 => stateful_set().prop_map(Object::StatefulSet),
        2 => pod().prop_map(Object::Pod),
    ]
}

/// Aliases `link-0` to `link-n`, each to the next one, the last to anything, a link before it too.
fn chain(zone: &'static str) -> impl Strategy<Value = Vec<Object>> {
    let link = move |n: usize| format!("link-{n}.default.svc.{zone}");
    let end = prop_oneof![external_name(zone), (0..12_usize).prop_map(link)];
    (1..=11_usize, end, ttl()).prop_map(move |(length, end, ttl)| {
        let alias = |n: usize| {
            let target = if n + 1 == length { end.clone() } else { link(n + 1) };
            let name = Label::new(&format!("link-{n}")).unwrap();
            let key = ServiceKey { namespace: Label::new("default").unwrap(), name };
            Object::Service(Service {
                key,
                shape: ServiceShape::External(target.into()),
                ports: Vec::new(),
                ttl,
            })
        };
        (0..length).map(alias).collect()
    })
}

/// A headless service with more endpoints than a packet holds.
fn crowd() -> impl Strategy<Value = Vec<Object>> {
    let named = prop_oneof![Just(None), Just(Some("crowd"))];
    (20..120_u8, named, ports(), ttl()).prop_map(|(size, name, ports, ttl)| {
        let key =
            ServiceKey { namespace: Label::new("default").unwrap(), name: Label::new("crowd").unwrap() };
        let endpoint = |n: u8| Endpoint {
            addresses: vec![IpAddr::V4(Ipv4Addr::new(10, 1, 0, n))],
            hostname: name.map(|name| Label::new(&format!("{name}-{n}")).unwrap()),
            pod: None,
            ready: true,
            terminating: false,
        };
        let endpoints = (0..size).map(endpoint).collect();
        let slice = EndpointSlice { service: key.clone(), name: "crowd-x".into(), ports, endpoints };
        let service = Service { key, shape: ServiceShape::Headless, ports: Vec::new(), ttl };
        vec![Object::Service(service), Object::EndpointSlice(slice)]
    })
}

fn service(zone: &'static str) -> impl Strategy<Value = Service> {
    let shape = prop_oneof![
        5 => Just(ServiceShape::Headless),
        4 => cluster_ips().prop_map(ServiceShape::ClusterIp),
        3 => external_name(zone).prop_map(|target| ServiceShape::External(target.into())),
    ];
    (key(), shape, ports(), ttl()).prop_map(|(key, shape, ports, ttl)| Service { key, shape, ports, ttl })
}

fn cluster_ips() -> impl Strategy<Value = Vec<IpAddr>> {
    prop_oneof![
        4 => address(&V4).prop_map(|v4| vec![v4]),
        2 => address(&V6).prop_map(|v6| vec![v6]),
        2 => (address(&V4), address(&V6)).prop_map(|(v4, v6)| vec![v4, v6]),
        1 => Just(Vec::new()),
    ]
}

/// Aliases inside, outside, above and besides the zone; relative or absolute, in any case.
fn external_name(zone: &'static str) -> impl Strategy<Value = String> {
    let inside = move |service: &str, namespace: &str| format!("{service}.{namespace}.svc.{zone}");
    prop_oneof![
        4 => (name(&SERVICES), name(&NAMESPACES)).prop_map(move |(s, n)| inside(s, n)),
        2 => (name(&HOSTS), name(&SERVICES), name(&NAMESPACES)).prop_map(move |(h, s, n)| format!("{h}.{}", inside(s, n))),
        1 => (name(&SERVICES), name(&NAMESPACES)).prop_map(move |(s, n)| inside(s, n).to_uppercase() + "."),
        1 => Just(format!("_http._tcp.web.default.svc.{zone}")),
        1 => Just(format!("10-0-0-1.default.pod.{zone}")),
        1 => Just(format!("ns.dns.{zone}")),
        1 => Just(format!("svc.{zone}")),
        1 => Just(format!("{zone}.")),
        1 => Just("1.0.0.10.in-addr.arpa".to_string()),
        4 => Just("Www.Example.COM".to_string()),
        1 => Just(format!("not{zone}")),
    ]
}

fn slice() -> impl Strategy<Value = EndpointSlice> {
    let endpoints = prop_oneof![3 => vec(endpoint(&V4), 0..5), 2 => vec(endpoint(&V6), 0..4)];
    // Few names: a slice is applied again, at times for another service.
    let name = select(vec!["s-1", "s-2", "s-3", "s-4", "s-5", "s-6", "s-7", "s-8", "s-9"]);
    (key(), name, ports(), endpoints).prop_map(|(service, name, ports, endpoints)| EndpointSlice {
        service,
        name: name.into(),
        ports,
        endpoints,
    })
}

fn endpoint(pool: &'static [&'static str]) -> impl Strategy<Value = Endpoint> {
    let addresses = prop_oneof![5 => vec(address(pool), 1), 1 => vec(address(pool), 2)];
    let states = (prop::bool::weighted(0.75), prop::bool::weighted(0.2));
    (addresses, identity(), states).prop_map(|(addresses, (hostname, pod), (ready, terminating))| Endpoint {
        addresses,
        hostname,
        pod,
        ready,
        terminating,
    })
}

/// Host name and pod: alike as the controller makes them, only one of them, or none.
fn identity() -> impl Strategy<Value = (Option<Label>, Option<PodReference>)> {
    let same = (name(&HOSTS), uid()).prop_map(|(name, uid)| (Label::new(name).ok(), reference(name, uid)));
    let other_pod =
        (label(&HOSTS), pod_name(), uid()).prop_map(|(l, name, uid)| (Some(l), reference(name, uid)));
    let pod_only = (pod_name(), uid()).prop_map(|(name, uid)| (None, reference(name, uid)));
    let host_only = label(&HOSTS).prop_map(|label| (Some(label), None));
    prop_oneof![5 => same, 1 => other_pod, 3 => pod_only, 1 => host_only, 1 => Just((None, None))]
}

fn reference(name: &str, uid: &str) -> Option<PodReference> {
    Some(PodReference { name: name.into(), uid: uid.into() })
}

/// Names of pods: as hosts are called, and such as no label can hold.
fn pod_name() -> impl Strategy<Value = &'static str> {
    let no_label = ["web.v1-0", "a-name-that-a-pod-may-have-and-a-label-may-not-for-it-is-far-too-long"];
    prop_oneof![6 => name(&HOSTS), 1 => select(no_label.to_vec())]
}

fn uid() -> impl Strategy<Value = &'static str> {
    select(vec!["u-1", "u-2", "u-3"])
}

fn ports() -> impl Strategy<Value = Vec<Port>> {
    let port = |name: Option<&str>, protocol, number| Port {
        name: name.map(|name| Label::new(name).unwrap()),
        protocol,
        number,
    };
    let pool = vec![
        port(Some("http"), Protocol::Tcp, 80),
        port(Some("http"), Protocol::Tcp, 8080),
        port(Some("http"), Protocol::Udp, 80),
        port(Some("dns"), Protocol::Tcp, 53),
        port(Some("dns"), Protocol::Udp, 53),
        port(Some("peer"), Protocol::Sctp, 65535),
        port(Some(&LONG_LABEL[..62]), Protocol::Tcp, 1),
        port(None, Protocol::Tcp, 6379),
        port(None, Protocol::Udp, 6379),
        port(None, Protocol::Tcp, 80),
    ];
    prop_oneof![1 => Just(Vec::new()), 4 => vec(select(pool), 1..4)]
}

/// In a box: the strategies of a whole cluster, each within the next, fill a test's stack.
fn stateful_set() -> BoxedStrategy<StatefulSet> {
    let names = select(vec!["web", "db", "kubia", "web.v1"]);
    let governing = option::weighted(0.9, label(&["web", "db", "kubia", "ghost"]));
    let start = prop_oneof![5 => 0..3_u32, 1 => Just(2_147_483_646_u32)];
    let revision = option::of(select(vec!["web-6596ffb49b", "x"]));
    (label(&NAMESPACES), names, governing, start, 0..4_u32, any::<bool>(), revision)
        .prop_map(|(namespace, name, service, start, replicas, parallel, revision)| StatefulSet {
            namespace,
            name: name.into(),
            service,
            start,
            replicas,
            parallel,
            revision: revision.map(Into::into),
        })
        .boxed()
}

fn pod() -> impl Strategy<Value = Pod> {
    let addresses =
        prop_oneof![vec(address(&V4), 0..2), (address(&V4), address(&V6)).prop_map(|(v4, v6)| vec![v4, v6]),];
    (label(&NAMESPACES), pod_name(), addresses).prop_map(|(namespace, name, addresses)| Pod {
        namespace,
        name: name.into(),
        addresses,
    })
}

fn ttl() -> impl Strategy<Value = TtlOverrides> {
    let seconds = || option::of(select(vec![0, 1, 30, 3600]));
    let hold = option::of(select(vec![Hold::Never, Hold::AsConfigured, Hold::For(300)]));
    let some = (seconds(), seconds(), seconds(), hold)
        .prop_map(|(positive, negative, expected, hold)| TtlOverrides { positive, negative, expected, hold });
    prop_oneof![3 => Just(TtlOverrides::default()), 1 => some]
}

fn key() -> impl Strategy<Value = ServiceKey> {
    (label(&NAMESPACES), label(&SERVICES)).prop_map(|(namespace, name)| ServiceKey { namespace, name })
}

/// One of the pool, the first ones most often.
pub(super) fn name(pool: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => Just(pool[0]), 2 => select(&pool[..2]), 2 => select(pool)]
}

fn label(pool: &'static [&'static str]) -> impl Strategy<Value = Label> {
    name(pool).prop_map(|name| Label::new(name).unwrap())
}

fn address(pool: &'static [&'static str]) -> impl Strategy<Value = IpAddr> {
    select(pool).prop_map(|address| address.parse().unwrap())
}
