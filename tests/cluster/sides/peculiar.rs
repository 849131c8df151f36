//! The services that chance would not make: very large ones, those that a slice is odd of, chains of aliases,
//! sets whose replicas are awaited.

use super::generate::{BORROWER, Maker, port};
use super::objects::{Endpoint, Port, Shape, Slice, StatefulSet};

/// How many endpoints the largest service has, in slices of a hundred.
pub(super) const CROWD: usize = 300;

/// Adds them, most to the first namespace.
pub(super) fn add(maker: &mut Maker) {
    let here = maker.namespace(0);
    crowds(maker, &here);
    starting(maker, &here);
    recreated(maker, &here);
    odd_slices(maker, &here);
    odd_addresses(maker, &here);
    aliases(maker, &here);
    for number in 0..3 {
        let namespace = maker.namespace(number);
        if maker.world.service(&namespace, BORROWER).is_none() {
            maker.add_service(&namespace, "empty", Shape::Headless, vec![http()]);
            maker.add_service(&namespace, BORROWER, Shape::Headless, vec![http()]);
        }
    }
    // What the zone itself has names for, as names of services.
    for name in ["svc", "pod", "dns", "tcp", "cluster"] {
        maker.add_service(&here, name, Shape::Headless, vec![http()]);
        let endpoint = ready(maker, "svc");
        maker.add_slice(&here, name, vec![port(Some("tcp"), "TCP", 1)], vec![endpoint]);
    }
}

fn http() -> Port {
    port(Some("http"), "TCP", 80)
}

fn ready(maker: &mut Maker, hostname: &str) -> Endpoint {
    let hostname = (!hostname.is_empty()).then(|| hostname.to_string());
    Endpoint { address: maker.fresh_address(false), hostname, ready: Some(true), ..Endpoint::default() }
}

/// Answers that fill many packets.
fn crowds(maker: &mut Maker, here: &str) {
    for (name, named) in [("crowd", false), ("crowd-named", true)] {
        let ports = vec![http(), port(Some("metrics"), "TCP", 9090)];
        maker.add_service(here, name, Shape::Headless, ports.clone());
        for first in (0..CROWD).step_by(100) {
            let host = |number: usize| if named { format!("crowd-{number}") } else { String::new() };
            let endpoints = (first..first + 100).map(|number| ready(maker, &host(number))).collect();
            maker.add_slice(here, name, ports.clone(), endpoints);
        }
    }
    // Sizes around what a packet holds: of 512 octets without EDNS, and of 1232.
    for count in [4, 6, 8, 10, 12, 14, 16, 20, 25, 30, 60, 65, 70, 75, 80] {
        let name = format!("packet-{count}");
        maker.add_service(here, &name, Shape::Headless, vec![http()]);
        let endpoints = (0..count).map(|number| ready(maker, &format!("host-{number}"))).collect();
        maker.add_slice(here, &name, vec![http()], endpoints);
    }
}

/// Governing services of sets none, or not all, of whose replicas are there.
fn starting(maker: &mut Maker, here: &str) {
    for (name, there) in [("starting", 0), ("half", 1), ("unready", 0)] {
        maker.add_service(here, name, Shape::Headless, vec![http()]);
        let mut endpoints: Vec<_> = (0..there).map(|n| ready(maker, &format!("{name}-{n}"))).collect();
        if name == "unready" {
            let mut endpoint = ready(maker, "unready-0");
            endpoint.ready = Some(false);
            endpoints.push(endpoint);
        }
        if !endpoints.is_empty() {
            maker.add_slice(here, name, vec![http()], endpoints);
        }
        let (namespace, name, service) = (here.to_string(), name.to_string(), name.to_string());
        maker.world.sets.push(StatefulSet { namespace, name, service, replicas: 3 });
    }
}

/// One pod name with two UIDs, both of them ready by their slices; and one where the old pod terminates.
fn recreated(maker: &mut Maker, here: &str) {
    for (name, terminating) in [("recreated", None), ("replaced", Some(true))] {
        maker.add_service(here, name, Shape::Headless, vec![http()]);
        for uid in ["the-first", "the-second"] {
            let mut endpoint = ready(maker, &format!("{name}-0"));
            endpoint.pod = Some((format!("{name}-0"), uid.to_string()));
            endpoint.terminating = terminating.filter(|_| uid == "the-first");
            maker.add_slice(here, name, vec![http()], vec![endpoint]);
        }
    }
}

/// Slices without a service, without the label, of names instead of addresses, without ports.
fn odd_slices(maker: &mut Maker, here: &str) {
    let endpoint = ready(maker, "host");
    maker.add_slice(here, "ghost", vec![http()], vec![endpoint]);
    let endpoint = ready(maker, "host");
    maker.world.slices.push(Slice {
        namespace: here.to_string(),
        name: "no-label".into(),
        service: None,
        family: "IPv4",
        ports: vec![http()],
        endpoints: vec![endpoint],
    });
    maker.add_service(here, "fqdn", Shape::Headless, vec![http()]);
    let endpoint = Endpoint { address: "www.upstream.test".into(), ready: Some(true), ..Endpoint::default() };
    maker.world.slices.push(Slice {
        namespace: here.to_string(),
        name: "fqdn-names".into(),
        service: Some("fqdn".into()),
        family: "FQDN",
        ports: vec![http()],
        endpoints: vec![endpoint],
    });
    let endpoint = ready(maker, "");
    maker.add_slice(here, "fqdn", vec![http()], vec![endpoint]);
    maker.add_service(here, "portless", Shape::Headless, Vec::new());
    let endpoints = vec![ready(maker, "host"), ready(maker, "")];
    maker.add_slice(here, "portless", Vec::new(), endpoints);
    // One service, other ports in other slices, and one name for two of them.
    maker.add_service(here, "rolling", Shape::Headless, vec![http()]);
    for ports in [vec![http()], vec![port(Some("http"), "TCP", 8080), port(Some("admin"), "UDP", 80)]] {
        let endpoints = vec![ready(maker, "old"), ready(maker, "new")];
        maker.add_slice(here, "rolling", ports, endpoints);
    }
    // Endpoints of a virtual service.
    maker.add_service(here, "virtual", Shape::Virtual("ClusterIP", &["IPv4", "IPv6"]), vec![http()]);
    let endpoints = vec![ready(maker, "virtual-0"), ready(maker, "")];
    maker.add_slice(here, "virtual", vec![http()], endpoints);
}

/// IPv6 addresses whose labels need thought: runs of zeros at the end, twice, and of one group only.
fn odd_addresses(maker: &mut Maker, here: &str) {
    maker.add_service(here, "zeros", Shape::Headless, vec![http()]);
    let addresses = ["fd00:78:9::", "fd00:78::1:0:0:1", "fd00:78:0:1:1:1:1:1", "fd00:78:a::", "2001:db8::"];
    let endpoint = |address: &str| Endpoint { address: address.into(), ..Endpoint::default() };
    maker.add_slice(here, "zeros", vec![http()], addresses.map(endpoint).into());
}

/// Chains within the zone, with every kind of end; loops; aliases of what is no service.
fn aliases(maker: &mut Maker, here: &str) {
    let inside = |front: &str| format!("{front}.{here}.svc.cluster.local");
    let mut alias = |name: &str, target: String| {
        maker.add_service(here, name, Shape::External(target), Vec::new());
    };
    for link in 0..12 {
        alias(&format!("chain-{link}"), inside(&format!("chain-{}", link + 1)));
    }
    alias("chain-12", inside("packet-4"));
    alias("loop-0", inside("loop-1"));
    alias("loop-1", inside("loop-0"));
    alias("loop-self", inside("loop-self"));
    for (name, target) in [
        ("to-service", inside("packet-6")),
        ("to-virtual", inside("virtual")),
        ("to-host", inside("host-1.packet-6")),
        ("to-crowd", inside("crowd")),
        ("to-empty", inside("empty")),
        ("to-starting", inside("starting")),
        ("to-unknown", inside("no-such")),
        ("to-outside", inside("external-alias")),
        ("external-alias", "alias.upstream.test".into()),
        ("external-text", "text.upstream.test".into()),
        ("external-broken", "broken.upstream.test".into()),
        ("external-missing", "missing.upstream.test".into()),
        ("external-back", "back.upstream.test".into()),
        ("external-many", "many.upstream.test".into()),
        ("to-pod", format!("10-77-0-1.{here}.pod.cluster.local")),
        ("to-branch", "svc.cluster.local".into()),
        ("to-apex", "cluster.local".into()),
        ("to-version", "dns-version.cluster.local".into()),
        ("to-reverse", "1.0.77.10.in-addr.arpa".into()),
        ("to-itself-below", inside("host.to-itself-below")),
        ("to-neighbour", "www.notcluster.local".into()),
        ("to-address", "10.77.0.1".into()),
    ] {
        alias(name, target);
    }
}
