//! Clusters on which oracle and server once differed, as small as they get.

use rollcall::model::{
    Endpoint, EndpointSlice, Label, Object, Pod, PodReference, Port, Protocol, Service, ServiceKey,
    ServiceShape, StatefulSet, TtlOverrides,
};
use rollcall::zone::Order;

use super::check::whole_answer;
use super::message::Manner;
use super::served::{Served, Variant};
use crate::generate::Question;
use crate::oracle::{Name, OracleSettings, Pods, World, qtype};

/// "Each apex answers SOA and NS", also where it is the whole reverse name of a known address.
#[test]
fn an_apex_that_is_an_address_has_soa_and_ns() {
    let mut settings = mk_settings();
    settings.reverse.push(("192.168.1.16".parse().unwrap(), 28));
    let cluster = [mk_service("web", ServiceShape::ClusterIp(vec!["192.168.1.17".parse().unwrap()]))];
    for rtype in [qtype::NS, qtype::SOA, qtype::PTR, qtype::A] {
        agrees(&cluster, &settings, "17.1.168.192.in-addr.arpa", rtype);
        agrees(&cluster, &settings, "18.1.168.192.in-addr.arpa", rtype);
    }
}

/// An address outside every prefix is an apex to itself.
#[test]
fn a_known_address_outside_the_prefixes_has_soa_and_ns() {
    let cluster = [mk_service("web", ServiceShape::ClusterIp(vec!["100.64.0.1".parse().unwrap()]))];
    for rtype in [qtype::NS, qtype::SOA, qtype::PTR, qtype::A] {
        agrees(&cluster, &mk_settings(), "1.0.64.100.in-addr.arpa", rtype);
    }
}

/// "`ptr = "governing"` gives only those": without a PTR record the name is not there, for no type.
#[test]
fn an_address_without_a_governing_name_has_no_reverse_name() {
    let settings = OracleSettings { governing_only: true, ..mk_settings() };
    let endpoints = vec![mk_endpoint("10.0.0.1", None), mk_endpoint("100.64.0.1", None)];
    let cluster = [mk_service("web", ServiceShape::Headless), mk_slice(endpoints)];
    for rtype in [qtype::PTR, qtype::A, qtype::ANY] {
        agrees(&cluster, &settings, "1.0.0.10.in-addr.arpa", rtype);
        agrees(&cluster, &settings, "1.0.64.100.in-addr.arpa", rtype);
        agrees(&cluster, &settings, "0.0.10.in-addr.arpa", rtype);
    }
}

/// A reload of `ptr` is as good as a start with it.
#[test]
fn a_reload_takes_the_other_reverse_names_away() {
    let (all, governing) = (mk_settings(), OracleSettings { governing_only: true, ..mk_settings() });
    let endpoints = vec![mk_endpoint("10.0.0.1", None), mk_endpoint("100.64.0.1", None)];
    let cluster = [mk_service("web", ServiceShape::Headless), mk_slice(endpoints)];
    for (before, after) in [(&all, &governing), (&governing, &all)] {
        let mut served = Served::of(&cluster, before, VARIANT);
        served.set_settings(after, VARIANT);
        served.publish();
        for name in ["1.0.0.10.in-addr.arpa", "0.0.10.in-addr.arpa", "1.0.64.100.in-addr.arpa"] {
            asks(&mut served, &cluster, after, name, qtype::PTR);
            asks(&mut served, &cluster, after, name, qtype::A);
        }
    }
}

/// "The name of a replica … that is not ready yet": below a replica that is ready, absence is plain absence.
#[test]
fn below_a_ready_replica_the_negative_ttl_applies() {
    let set = StatefulSet {
        namespace: label("default"),
        name: "web".into(),
        service: Some(label("web")),
        start: 0,
        replicas: 2,
        parallel: false,
        revision: None,
    };
    let ready = mk_slice(vec![mk_endpoint("10.0.0.1", Some("web-0"))]);
    let cluster = [mk_service("web", ServiceShape::Headless), ready, Object::StatefulSet(set)];
    for name in ["web-0", "x.web-0", "web-1", "x.web-1", "web-2", "web-01"] {
        agrees(&cluster, &mk_settings(), &format!("{name}.web.default.svc.cluster.local"), qtype::AAAA);
    }
}

/// "Terminating ones are left out, then all but the newest applied": of two that terminate, none is left.
#[test]
fn two_pods_of_one_name_that_both_terminate_are_both_left_out() {
    let pod = |address: &str, uid: &str| Endpoint {
        pod: Some(PodReference { name: "web-0".into(), uid: uid.into() }),
        terminating: true,
        ..mk_endpoint(address, Some("web-0"))
    };
    let cluster = [
        mk_service("web", ServiceShape::Headless),
        mk_slice(vec![
            pod("10.0.0.1", "u-1"),
            pod("10.0.0.2", "u-2"),
            mk_endpoint("10.0.0.3", Some("web-1")),
        ]),
    ];
    agrees(&cluster, &mk_settings(), "web-0.web.default.svc.cluster.local", qtype::A);
    agrees(&cluster, &mk_settings(), "web.default.svc.cluster.local", qtype::A);
}

/// "TCP has all of it, up to 64 KiB": glue behind the first 16 KiB too, which no compression pointer reaches.
#[test]
fn glue_is_whole_in_long_answers() {
    let address = |n: u32| format!("10.0.{}.{}", n / 256, n % 256);
    for size in [100, 276, 290, 295, 300] {
        let endpoints = (0..size).map(|n| mk_endpoint(&address(n), Some(&format!("web-{n}")))).collect();
        let Object::EndpointSlice(mut slice) = mk_slice(endpoints) else { unreachable!() };
        for more in 0..3 {
            let cluster = [mk_service("web", ServiceShape::Headless), Object::EndpointSlice(slice.clone())];
            agrees(&cluster, &mk_settings(), "web.default.svc.cluster.local", qtype::SRV);
            slice.ports.push(Port { name: None, protocol: Protocol::Tcp, number: 8080 + more });
        }
    }
}

/// A name that has data has existing names above it (RFC 8020), and a Pod makes no namespace known.
#[test]
fn a_pod_alone_makes_no_namespace_known() {
    let settings = OracleSettings { pods: Pods::Verified, ..mk_settings() };
    let pod =
        Pod { namespace: label("lonely"), name: "a".into(), addresses: vec!["10.0.0.1".parse().unwrap()] };
    for name in ["lonely.pod", "10-0-0-1.lonely.pod"] {
        agrees(&[Object::Pod(pod.clone())], &settings, &format!("{name}.cluster.local"), qtype::A);
    }
}

const VARIANT: Variant = Variant { order: Order::Ordinal, upstream: false };

fn agrees(cluster: &[Object], settings: &OracleSettings, name: &str, rtype: u16) {
    asks(&mut Served::of(cluster, settings, VARIANT), cluster, settings, name, rtype);
}

fn asks(served: &mut Served, cluster: &[Object], settings: &OracleSettings, name: &str, rtype: u16) {
    let manner = Manner { id: 1, rd: true, cd: false, edns: None };
    let question = Question { name: Name::from_text(name), rtype };
    if let Err(why) = whole_answer(served, &World::new(cluster, settings), VARIANT, &question, manner) {
        panic!("{question:?}: {why}");
    }
}

fn mk_settings() -> OracleSettings {
    let zone = Name::from_text("cluster.local");
    OracleSettings {
        name_servers: vec![zone.below("ns.dns")],
        name_server_addresses: vec!["192.0.2.53".parse().unwrap()],
        zone,
        positive: 5,
        negative: 5,
        expected: 0,
        reverse: vec![("10.0.0.0".parse().unwrap(), 8)],
        pods: Pods::Disabled,
        endpoint_pod_names: false,
        governing_only: false,
        namespaces: None,
        discovery: None,
    }
}

pub(super) fn mk_service(name: &str, shape: ServiceShape) -> Object {
    let key = ServiceKey { namespace: label("default"), name: label(name) };
    Object::Service(Service { key, shape, ports: Vec::new(), ttl: TtlOverrides::default() })
}

/// A slice of the service `web`.
fn mk_slice(endpoints: Vec<Endpoint>) -> Object {
    let service = ServiceKey { namespace: label("default"), name: label("web") };
    let ports = vec![Port { name: Some(label("http")), protocol: Protocol::Tcp, number: 80 }];
    Object::EndpointSlice(EndpointSlice { service, name: "web-x".into(), ports, endpoints })
}

fn mk_endpoint(address: &str, hostname: Option<&str>) -> Endpoint {
    Endpoint {
        addresses: vec![address.parse().unwrap()],
        hostname: hostname.map(label),
        pod: None,
        ready: true,
        terminating: false,
    }
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}
