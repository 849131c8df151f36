//! Services of every shape, drawn from a fixed seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::objects::{Endpoint, Port, Service, Shape, Slice, World};
use super::peculiar;
use super::random::Random;

/// How many services are drawn, beside the peculiar ones that are written out.
const DRAWN: usize = 150;

/// 63 octets.
const LONG_LABEL: &str = "a-label-of-sixty-three-octets-is-the-longest-that-the-dns-knows";

/// In each namespace: a headless service whose endpoints are at the clusterIPs of others.
pub(super) const BORROWER: &str = "borrower";

/// The service that is applied last, and has its endpoint last: who answers for it has seen all before it.
pub(super) const SENTINEL: &str = "sentinel";

/// Names outside the cluster that ExternalName services point to; `upstream` knows the first of them.
const OUTSIDE: [&str; 10] = [
    "www.upstream.test",
    "www.upstream.test.",
    "v4.upstream.test",
    "alias.upstream.test",
    "text.upstream.test",
    "missing.upstream.test",
    "alias-to-missing.upstream.test",
    "many.upstream.test",
    "broken.upstream.test",
    "back.upstream.test",
];

/// The cluster of this seed, in namespaces of these names (at least three; the last one stays empty).
pub(super) fn world(namespaces: &[String], seed: u64) -> World {
    let mut maker = Maker {
        random: Random::new(seed),
        world: World { namespaces: namespaces.to_vec(), ..World::default() },
        addresses: 0,
        pods: 0,
        used: Vec::new(),
    };
    peculiar::add(&mut maker);
    for number in 0..DRAWN {
        maker.draw(number);
    }
    maker.add_service(&namespaces[0], SENTINEL, Shape::Headless, Vec::new());
    maker.world
}

/// Slices whose endpoints are at clusterIPs, which are known only once the services are applied; the last
/// slice of all is the sentinel's.
pub(super) fn at_cluster_ips(world: &World) -> Vec<Slice> {
    let of = world.services.iter().filter(|service| !service.cluster_ips.is_empty());
    let slice = |(number, service): (usize, &Service)| {
        let address = service.cluster_ips[0];
        Slice {
            namespace: service.namespace.clone(),
            name: format!("at-cluster-ip-{number}"),
            service: Some(if number % 2 == 0 { service.name.clone() } else { BORROWER.into() }),
            family: if address.is_ipv6() { "IPv6" } else { "IPv4" },
            ports: vec![port(Some("http"), "TCP", 80)],
            endpoints: vec![Endpoint { address: address.to_string(), ..Endpoint::default() }],
        }
    };
    let mut slices: Vec<Slice> = of.enumerate().filter(|(number, _)| number % 9 < 2).map(slice).collect();
    slices.push(Slice {
        namespace: world.namespaces[0].clone(),
        name: SENTINEL.into(),
        service: Some(SENTINEL.into()),
        family: "IPv4",
        ports: Vec::new(),
        endpoints: vec![Endpoint { address: "10.78.0.1".into(), ..Endpoint::default() }],
    });
    slices
}

pub(super) fn port(name: Option<&'static str>, protocol: &'static str, number: u16) -> Port {
    Port { name, protocol, number: Some(number) }
}

/// What the objects are drawn with.
pub(super) struct Maker {
    pub(super) random: Random,
    pub(super) world: World,
    addresses: u16,
    pods: usize,
    /// Addresses in use, to be used again at times.
    used: Vec<String>,
}

impl Maker {
    /// A namespace that holds services.
    pub(super) fn namespace(&self, number: usize) -> String {
        self.world.namespaces[number % (self.world.namespaces.len() - 1)].clone()
    }

    pub(super) fn add_service(&mut self, namespace: &str, name: &str, shape: Shape, ports: Vec<Port>) {
        let (namespace, name) = (namespace.to_string(), name.to_string());
        self.world.services.push(Service { namespace, name, shape, ports, cluster_ips: Vec::new() });
    }

    /// A slice for this service; the family is that of its first endpoint.
    pub(super) fn add_slice(
        &mut self,
        namespace: &str,
        service: &str,
        ports: Vec<Port>,
        endpoints: Vec<Endpoint>,
    ) {
        let v6 = endpoints.first().is_some_and(|endpoint| endpoint.address.contains(':'));
        self.world.slices.push(Slice {
            namespace: namespace.to_string(),
            name: format!("{service}-{}", self.world.slices.len()),
            service: Some(service.to_string()),
            family: if v6 { "IPv6" } else { "IPv4" },
            ports,
            endpoints,
        });
    }

    /// An address of this family, at times one that another endpoint has.
    pub(super) fn address(&mut self, v6: bool) -> String {
        let of_family: Vec<&String> = self.used.iter().filter(|used| used.contains(':') == v6).collect();
        if !of_family.is_empty() && self.random.percent(5) {
            return (*self.random.pick(&of_family)).clone();
        }
        let address = self.fresh_address(v6);
        self.used.push(address.clone());
        address
    }

    /// An address that nothing else has, now or later: within the prefixes that rollcall denies names in, or
    /// outside of them.
    pub(super) fn fresh_address(&mut self, v6: bool) -> String {
        self.addresses += 1;
        let [high, low] = self.addresses.to_be_bytes();
        let address: IpAddr = if v6 {
            let prefix = *self.random.pick(&[0xfd00, 0xfd00, 0xfd00, 0x2001]);
            let second = if prefix == 0x2001 { 0xdb8 } else { 0x77 };
            let middle = *self.random.pick(&[0, 0, 0xa]);
            Ipv6Addr::new(prefix, second, middle, 0, 0, 0, u16::from(high), u16::from(low)).into()
        } else {
            let networks = [[10, 77], [10, 77], [10, 77], [172, 20], [192, 168], [100, 64], [203, 0]];
            let [a, b] = *self.random.pick(&networks);
            Ipv4Addr::new(a, b, high, low).into()
        };
        address.to_string()
    }

    fn draw(&mut self, number: usize) {
        let namespace = self.namespace(self.world.services.len());
        let name = if number == 77 { LONG_LABEL.to_string() } else { format!("svc-{number}") };
        let shape = self.shape(&namespace);
        let mut ports = self.service_ports();
        let with_slices = match shape {
            Shape::Headless => true,
            Shape::Virtual(..) => {
                if ports.is_empty() {
                    ports.push(port(None, "TCP", 80));
                }
                self.random.percent(70)
            }
            Shape::External(_) => self.random.percent(10),
        };
        self.add_service(&namespace, &name, shape, ports);
        if with_slices {
            for v6 in *self.random.pick(&[&[false][..], &[false], &[true], &[false, true]]) {
                for _ in 0..*self.random.pick(&[0, 1, 1, 1, 2]) {
                    let ports = self.slice_ports();
                    let endpoints = self.endpoints(&name, *v6);
                    if !endpoints.is_empty() {
                        self.add_slice(&namespace, &name, ports, endpoints);
                    }
                }
            }
        }
    }

    fn shape(&mut self, namespace: &str) -> Shape {
        const FAMILIES: [&[&str]; 4] = [&["IPv4"], &["IPv4"], &["IPv6"], &["IPv4", "IPv6"]];
        match self.random.below(10) {
            0..5 => Shape::Headless,
            5..8 => {
                let kinds = ["ClusterIP", "ClusterIP", "ClusterIP", "NodePort", "LoadBalancer"];
                let (kind, families) = (*self.random.pick(&kinds), *self.random.pick(&FAMILIES));
                Shape::Virtual(kind, families)
            }
            _ => Shape::External(self.external_name(namespace)),
        }
    }

    /// Outside the cluster, or to a service that is there, or is drawn later, or never.
    fn external_name(&mut self, namespace: &str) -> String {
        let other = self.random.below(DRAWN + 10);
        let of = |front: &str| format!("{front}svc-{other}.{namespace}.svc.cluster.local");
        match self.random.below(10) {
            0..4 => (*self.random.pick(&OUTSIDE)).to_string(),
            4 => of("svc-host-0."),
            5 => format!("10-77-0-{other}.{namespace}.pod.cluster.local"),
            _ => of(""),
        }
    }

    fn service_ports(&mut self) -> Vec<Port> {
        let sets: [&[Port]; 6] = [
            &[],
            &[port(None, "TCP", 6379)],
            &[port(Some("http"), "TCP", 80)],
            &[port(Some("http"), "TCP", 80), port(Some("metrics"), "TCP", 9090)],
            &[port(Some("dns"), "UDP", 53), port(Some("dns-tcp"), "TCP", 53)],
            &[
                port(Some("peer"), "SCTP", 3868),
                port(Some("http"), "TCP", 8080),
                port(Some("udp"), "UDP", 80),
            ],
        ];
        self.random.pick(&sets).to_vec()
    }

    /// As a service's, or with a port that has no number.
    fn slice_ports(&mut self) -> Vec<Port> {
        if self.random.percent(6) {
            let numberless = Port { name: Some("any-port"), protocol: "TCP", number: None };
            return vec![numberless, port(Some("http"), "TCP", 80)];
        }
        self.service_ports()
    }

    fn endpoints(&mut self, service: &str, v6: bool) -> Vec<Endpoint> {
        let count = *self.random.pick(&[0, 1, 1, 2, 3, 3, 3, 5, 8, 25, 70]);
        let naming = self.random.below(4);
        (0..count).map(|number| self.endpoint(service, number, naming, v6)).collect()
    }

    fn endpoint(&mut self, service: &str, number: usize, naming: usize, v6: bool) -> Endpoint {
        // Ready and absent count as ready, whatever the others say.
        let (ready, serving, terminating) = match self.random.below(12) {
            0 => (None, None, None),
            1 => (Some(false), Some(false), Some(false)),
            2 => (Some(false), Some(true), Some(true)),
            3 => (Some(true), Some(true), Some(true)),
            _ => (Some(true), Some(true), Some(false)),
        };
        let label = format!("{}-host-{number}", service.split('-').next().unwrap());
        // No two endpoints are of one pod's name: that one of them would be left out is for `peculiar` to
        // make.
        self.pods += 1;
        let (pod, uid) = (format!("{label}-{}", self.pods), format!("uid-{}", self.pods));
        let hostname = match naming {
            // No endpoint has a host name; all have; some; two share each name.
            0 => None,
            1 => Some(label),
            2 => self.random.percent(50).then_some(label),
            _ => Some(format!("shared-{}", number / 2)),
        };
        let pod = self.random.percent(70).then_some((pod, uid));
        Endpoint { address: self.address(v6), hostname, ready, serving, terminating, pod }
    }
}
