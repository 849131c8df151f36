//! States of a cluster in a line or two, for tables that are read.
//!
//! ```text
//! headless nginx
//! slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7! web-2=10.244.0.8~ pod:kubia-0=10.244.0.2
//! set web of nginx wants 3 [from 5] [parallel]
//! pod web-1 {"status": {"phase": "Pending"}}
//! ```
//!
//! `!` is not ready, `~` is terminating (and not ready), `~!` is terminating and ready. `pod:` has no `hostname`, only a
//! pod's name. What a pod says is JSON as the API has it, with its claims (`claims`) beside it, at 15:00 UTC of 2026-11-21. Everything is in the namespace `default`; each endpoint's port is `http`, 80.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rollcall::model::{
    Endpoint, EndpointSlice, Label, Namespace, Object, PodReference, PodState, Port, Protocol, Service,
    ServiceKey, ServiceShape, StatefulSet, TtlOverrides,
};
use rollcall::source::pods::{RawClaim, RawPod};

pub(super) fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn key(name: &str) -> ServiceKey {
    ServiceKey { namespace: label("default"), name: label(name) }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no address"))
}

fn ports() -> Vec<Port> {
    vec![Port { name: Some(label("http")), protocol: Protocol::Tcp, number: 80 }]
}

/// The objects of a state.
pub(super) fn objects(state: &str) -> Vec<Object> {
    let lines = state.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("pod "));
    lines.map(object).collect()
}

/// What the pods of a state say.
pub(super) fn pods(state: &str) -> Vec<(Label, PodState)> {
    let lines = state.lines().filter_map(|line| line.trim().strip_prefix("pod "));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_273_200);
    let pods = lines.map(|line| {
        let (name, text) = line.split_once(' ').unwrap();
        let mut pod: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let claims = pod["claims"].take();
        pod["metadata"]["name"] = name.into();
        let claims = serde_json::from_value::<Vec<RawClaim>>(claims).unwrap_or_default();
        let mut state = serde_json::from_value::<RawPod>(pod).unwrap().state(now).unwrap();
        state.claims = claims.iter().map(|claim| claim.state().unwrap()).collect();
        (label("default"), state)
    });
    pods.collect()
}

fn object(line: &str) -> Object {
    let words: Vec<&str> = line.split_whitespace().collect();
    let service = |name: &str, shape, ports| {
        Object::Service(Service { key: key(name), shape, ports, ttl: TtlOverrides::default() })
    };
    match &*words {
        ["namespace", name] => Object::Namespace(Namespace { name: label(name) }),
        ["headless", name] => service(name, ServiceShape::Headless, ports()),
        ["portless", name, at] => service(name, ServiceShape::ClusterIp(vec![address(at)]), Vec::new()),
        ["clusterip", name, at] => service(name, ServiceShape::ClusterIp(vec![address(at)]), ports()),
        ["external", name, target] => service(name, ServiceShape::External((*target).into()), Vec::new()),
        ["slice", name, "of", of, endpoints @ ..] => Object::EndpointSlice(EndpointSlice {
            service: key(of.trim_end_matches(':')),
            name: (*name).into(),
            ports: ports(),
            endpoints: endpoints.iter().map(|text| endpoint(text)).collect(),
        }),
        ["set", name, "of", of, "wants", replicas, more @ ..] => Object::StatefulSet(StatefulSet {
            namespace: label("default"),
            name: (*name).into(),
            service: Some(label(of)),
            start: more.iter().skip_while(|word| **word != "from").nth(1).map_or(0, |n| n.parse().unwrap()),
            replicas: replicas.parse().unwrap(),
            parallel: more.contains(&"parallel"),
            revision: None,
        }),
        _ => panic!("`{line}` is no object"),
    }
}

fn endpoint(text: &str) -> Endpoint {
    let (name, at) = text.split_once('=').unwrap_or_else(|| panic!("`{text}` is no endpoint"));
    let (bare, marks) = at.split_at(at.find(['!', '~']).unwrap_or(at.len()));
    let pod = name.strip_prefix("pod:");
    Endpoint {
        addresses: vec![address(bare)],
        hostname: pod.is_none().then(|| label(name)),
        // One pod an address: those of one name and two addresses are two.
        pod: Some(PodReference { name: pod.unwrap_or(name).into(), uid: bare.into() }),
        ready: matches!(marks, "" | "~!"),
        terminating: marks.starts_with('~'),
    }
}
