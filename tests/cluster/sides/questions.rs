//! Questions about a world: every form of name, what stands next to each, and what is not there.

use std::collections::HashSet;
use std::net::IpAddr;

use super::ask::{Question, Rtype};
use super::objects::{Endpoint, Service, Shape, World, dashed, reverse_name};
use super::random::Random;

const ZONE: &str = "cluster.local";

/// Endpoints of a service that are asked about by name.
const HOSTS: usize = 4;

const ADDRESS_TYPES: [Rtype; 3] = ["A", "AAAA", "SRV"];
const OTHER_TYPES: [Rtype; 13] =
    ["PTR", "TXT", "CNAME", "NS", "SOA", "MX", "ANY", "HTTPS", "SVCB", "NAPTR", "DS", "CAA", "DNSKEY"];

/// The questions of this seed.
pub(super) fn questions(world: &World, seed: u64) -> Vec<Question> {
    let mut asker = Asker { random: Random::new(seed), questions: Vec::new(), asked: HashSet::new() };
    for name in of_the_zone(world) {
        // Every type: these are few, and each is an exception of its own.
        asker.ask_types(&name, &ADDRESS_TYPES);
        asker.ask_types(&name, &OTHER_TYPES);
    }
    for name in outside() {
        asker.ask(&name, &ADDRESS_TYPES, 2);
    }
    // More than 1232 octets, of which clients say that they take them.
    for (service, rtype) in [("packet-80", "A"), ("packet-20", "SRV"), ("crowd", "A"), ("crowd-named", "SRV")]
    {
        let name = format!("{service}.{}.svc.{ZONE}", world.namespaces[0]);
        asker.questions.push(Question { edns: Some(4096), ..Question::plain(&name, rtype) });
    }
    for service in &world.services {
        asker.about(world, service);
    }
    for slice in &world.slices {
        let every = slice.endpoints.len().div_ceil(HOSTS).max(1);
        for endpoint in slice.endpoints.iter().step_by(every) {
            // Of a slice that names no service CoreDNS makes a name with an empty label, and never replies.
            if let Some(address) = endpoint.ip().filter(|_| slice.service.is_some()) {
                asker.reverse(address);
            }
        }
        if slice.service.as_deref().is_none_or(|name| world.service(&slice.namespace, name).is_none()) {
            let name = slice.service.as_deref().unwrap_or("no-label");
            asker.ask(&format!("{name}.{}.svc.{ZONE}", slice.namespace), &ADDRESS_TYPES, 1);
            asker.ask(&format!("host.{name}.{}.svc.{ZONE}", slice.namespace), &ADDRESS_TYPES, 1);
        }
    }
    for set in &world.sets {
        for ordinal in 0..=set.replicas {
            let host = format!("{}-{ordinal}.{}.{}.svc.{ZONE}", set.name, set.service, set.namespace);
            asker.ask(&host, &ADDRESS_TYPES, 1);
            asker.ask(&format!("_http._tcp.{host}"), &["SRV", "A"], 0);
        }
    }
    for name in beside_the_specification(world) {
        asker.ask_types(&name, &ADDRESS_TYPES);
        asker.ask_types(&name, &OTHER_TYPES);
    }
    asker.questions
}

/// The zone itself, its branches, namespaces, and names of pods.
fn of_the_zone(world: &World) -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        "svc.",
        "pod.",
        "dns.",
        "ns.dns.",
        "x.ns.dns.",
        "dns-version.",
        "x.dns-version.",
        "x.",
        "x.y.z.",
        "any.",
        "*.",
        "_tcp.",
    ]
    .map(|front| format!("{front}{ZONE}"))
    .into();
    let empty = world.namespaces.last().unwrap();
    for namespace in [&world.namespaces[0], empty, "nowhere"] {
        for branch in ["svc", "pod"] {
            names.push(format!("{namespace}.{branch}.{ZONE}"));
            names.push(format!("x.{namespace}.{branch}.{ZONE}"));
            names.push(format!("*.{namespace}.{branch}.{ZONE}"));
        }
        let labels = [
            "10-244-0-2",
            "172-32-0-1",
            "8-8-8-8",
            "010-0-0-1",
            "10-0-0-256",
            "10-0-0",
            "fd00-10-244--2",
            "FD00--0001",
            "fd00-0-0-0-0-0-0-1",
            "fd00--1--2",
            "--1",
            "1--",
            "--ffff-a00-1",
            "10-244-0-2.x",
            "x.10-244-0-2",
            "_http._tcp.10-244-0-2",
            "_tcp.10-244-0-2",
        ];
        names.extend(labels.map(|label| format!("{label}.{namespace}.pod.{ZONE}")));
    }
    names
}

/// Names of ours that the specification has not: how many peers there should be, and where push is to be had.
fn beside_the_specification(world: &World) -> Vec<String> {
    let mut names: Vec<String> =
        ["_statefulset.", "_dns-push-tls._tcp.", "_dns-push-tls._udp.", "x._dns-push-tls._tcp."]
            .map(|front| format!("{front}{ZONE}"))
            .into();
    for namespace in [&world.namespaces[0], world.namespaces.last().unwrap(), "nowhere"] {
        names.push(format!("{namespace}._statefulset.{ZONE}"));
        names.push(format!("no-such-service.{namespace}._statefulset.{ZONE}"));
    }
    for set in world.sets.iter().take(HOSTS) {
        let name = format!("{}.{}._statefulset.{ZONE}", set.service, set.namespace);
        names.push(format!("x.{name}"));
        names.push(name);
    }
    names
}

/// Names that the upstream is asked for, and such as are nearly the zone's.
fn outside() -> Vec<String> {
    let names = [
        "www.upstream.test",
        "WWW.Upstream.TEST",
        "v4.upstream.test",
        "alias.upstream.test",
        "alias-to-missing.upstream.test",
        "text.upstream.test",
        "missing.upstream.test",
        "many.upstream.test",
        "back.upstream.test",
        "upstream.test",
        "",
        "local",
        "test",
        "svc",
        "redis-0",
        "redis-0.redis-h",
        "notcluster.local",
        "cluster.locale",
        "cluster.local.example",
        "in-addr.arpa",
        "ip6.arpa",
        "arpa",
        "10.in-addr.arpa",
        "77.10.in-addr.arpa",
        "0.77.10.in-addr.arpa",
        "20.172.in-addr.arpa",
        "172.in-addr.arpa",
        "168.192.in-addr.arpa",
        "203.in-addr.arpa",
        "d.f.ip6.arpa",
        "0.0.d.f.ip6.arpa",
        "7.7.0.0.0.0.d.f.ip6.arpa",
        "8.b.d.0.1.0.0.2.ip6.arpa",
        "1.0.250.10.in-addr.arpa",
        "2.0.250.10.in-addr.arpa",
        "8.8.8.8.in-addr.arpa",
        "9.8.8.8.in-addr.arpa",
        "01.0.77.10.in-addr.arpa",
        "256.0.77.10.in-addr.arpa",
        "x.1.0.77.10.in-addr.arpa",
    ];
    let addresses: [IpAddr; 4] = ["fd00:250::1", "fd00:250::2", "2001:db8:250::1", "2001:db8:250::2"]
        .map(|address| address.parse().unwrap());
    names.map(str::to_string).into_iter().chain(addresses.map(reverse_name)).collect()
}

struct Asker {
    random: Random,
    questions: Vec<Question>,
    asked: HashSet<(String, Rtype)>,
}

impl Asker {
    /// The service's name, all names below it that answer, and their neighbours.
    fn about(&mut self, world: &World, service: &Service) {
        let name = format!("{}.{}.svc.{ZONE}", service.name, service.namespace);
        self.ask(&name, &ADDRESS_TYPES, 2);
        let slices: Vec<_> = world.slices_of(service).collect();
        let ports = service.ports.iter().chain(slices.iter().flat_map(|slice| &slice.ports));
        let ports: HashSet<(&str, &str)> = ports.map(|p| (p.name.unwrap_or(""), p.protocol)).collect();
        let mut ports: Vec<_> = ports.into_iter().collect();
        ports.sort_unstable();
        ports.truncate(3);
        for (port, protocol) in &ports {
            let protocol = protocol.to_ascii_lowercase();
            self.ask(&format!("_{protocol}.{name}"), &["A", "SRV"], 0);
            // An unnamed port, too: `_._tcp` is a name that a client may make of it.
            self.ask(&format!("_{port}._{protocol}.{name}"), &ADDRESS_TYPES, 1);
            let other = if protocol == "udp" { "tcp" } else { "udp" };
            self.ask(&format!("_{port}._{other}.{name}"), &["SRV"], 0);
            if self.random.percent(30) {
                for front in [
                    format!("{port}.{protocol}"),
                    format!("_{port}.{protocol}"),
                    format!("{port}._{protocol}"),
                ] {
                    let front = front.trim_start_matches('.').to_string();
                    self.ask(&format!("{front}.{name}"), &["SRV", "A"], 0);
                }
            }
        }
        let mut endpoints: Vec<&Endpoint> = slices.iter().flat_map(|slice| &slice.endpoints).collect();
        let every = endpoints.len().div_ceil(HOSTS).max(1);
        endpoints = endpoints.into_iter().step_by(every).collect();
        for endpoint in endpoints {
            self.host(&name, endpoint, ports.first());
        }
        if let Shape::Virtual(..) = service.shape {
            service.cluster_ips.iter().for_each(|address| self.reverse(*address));
        }
        self.neighbours(service, &name);
    }

    fn host(&mut self, service: &str, endpoint: &Endpoint, port: Option<&(&str, &str)>) {
        let Some(label) = endpoint.label() else { return };
        let name = format!("{label}.{service}");
        self.ask(&name, &ADDRESS_TYPES, 1);
        if let Some((port, protocol)) = port.filter(|_| self.random.percent(40)) {
            let protocol = protocol.to_ascii_lowercase();
            self.ask(&format!("_{port}._{protocol}.{name}"), &["SRV", "A"], 0);
            self.ask(&format!("_{protocol}.{name}"), &["SRV", "A"], 0);
        }
        if let Some(address) = endpoint.ip().filter(|_| self.random.percent(30)) {
            // By its address where it has a name of its own, and as its pod.
            self.ask(&format!("{}.{service}", dashed(address)), &["A"], 0);
            let namespace = service.split('.').nth(1).unwrap();
            self.ask(&format!("{}.{namespace}.pod.{ZONE}", dashed(address)), &ADDRESS_TYPES, 1);
        }
    }

    fn neighbours(&mut self, service: &Service, name: &str) {
        let fronts = [
            "x",
            "*",
            "any",
            "x.y",
            "_none._tcp",
            "_http._tcp.x",
            "_http._quic",
            "a.b.c",
            "a.b.c.d",
            "_tcp",
            "10-0-0-1",
            "_",
        ];
        for _ in 0..2 {
            let front = *self.random.pick(&fronts);
            self.ask(&format!("{front}.{name}"), &["A", "SRV"], 0);
        }
        if self.random.percent(30) {
            // What a resolver tries on its way along a pod's search path.
            let namespace = &service.namespace;
            for search in [format!("{namespace}.svc.{ZONE}"), format!("svc.{ZONE}"), ZONE.to_string()] {
                for short in [service.name.clone(), format!("{}.{namespace}", service.name), name.to_string()]
                {
                    self.ask(&format!("{short}.{search}"), &["A", "AAAA"], 0);
                }
            }
        }
        if self.random.percent(15) {
            self.ask(&format!("{}.nowhere.svc.{ZONE}", service.name), &["A"], 0);
            self.ask(&format!("{}.{}.{ZONE}", service.name, service.namespace), &["A"], 0);
        }
    }

    fn reverse(&mut self, address: IpAddr) {
        let name = reverse_name(address);
        self.ask(&name, &["PTR"], 1);
        if self.random.percent(15) {
            self.ask(&format!("x.{name}"), &["PTR"], 0);
            let (_, above) = name.split_once('.').unwrap();
            self.ask(above, &["PTR", "A"], 0);
            // The next address, which mostly nobody has.
            let octet = if address.is_ipv4() { "254" } else { "e" };
            self.ask(&format!("{octet}.{above}"), &["PTR"], 0);
        }
    }

    /// Asks for these types and so many others.
    fn ask(&mut self, name: &str, types: &[Rtype], others: usize) {
        self.ask_types(name, types);
        for _ in 0..others {
            let other = *self.random.pick(&OTHER_TYPES);
            self.ask_types(name, &[other]);
        }
    }

    fn ask_types(&mut self, name: &str, types: &[Rtype]) {
        let legal = name.len() <= 253 && name.split('.').all(|label| label.len() <= 63);
        for rtype in types {
            if !legal || !self.asked.insert((name.to_ascii_lowercase(), rtype)) {
                continue;
            }
            let edns = *self.random.pick(&[None, None, Some(512), Some(1232), Some(1232), Some(4096)]);
            let mut spelled = name.to_string();
            if self.random.percent(20) {
                let upper = self.random.next();
                let letters = name.bytes().enumerate();
                let letter = |(at, byte): (usize, u8)| match upper >> (at % 64) & 1 {
                    1 => char::from(byte.to_ascii_uppercase()),
                    _ => char::from(byte),
                };
                spelled = letters.map(letter).collect();
            }
            let (recursion, tcp) = (self.random.percent(90), self.random.percent(10));
            self.questions.push(Question { name: spelled, rtype, edns, recursion, tcp });
        }
    }
}
