//! DNS Push Notifications (RFC 8765) over DNS Stateful Operations (RFC 8490), by a client of our own.
//!
//! The server is the real one over loopback, its cluster is driven from here: what is published is known to the moment.
//! `behaviour/encrypted/push.rs` has the built program, over TLS.

mod changes;
mod histories;
mod limits;
mod sessions;

use std::net::{IpAddr, SocketAddr, TcpListener};

use rollcall::model::{
    Endpoint, EndpointSlice, Label, Object, Port, Protocol, Service, ServiceKey, ServiceShape, StatefulSet,
    TtlOverrides,
};
use rollcall::run::Driver;
use rollcall::server::{PushCounts, PushLimits, StreamMemory, Tap, TcpLimits, TcpServer, UpstreamSlot};
use rollcall::wire::Name;
use rollcall::zone::{self, Reader};
use rollcall::{records, server};
use tokio::runtime::Runtime;

use crate::support::push::Client;
use crate::support::wait::eventually;

pub(super) const A: u16 = 1;
pub(super) const CNAME: u16 = 5;
pub(super) const PTR: u16 = 12;
pub(super) const TXT: u16 = 16;
pub(super) const AAAA: u16 = 28;
pub(super) const SRV: u16 = 33;
pub(super) const ANY: u16 = 255;

/// Enough for every test that is not about them.
pub(super) const LIMITS: PushLimits = PushLimits {
    tls: true,
    tcp: true,
    sessions: 2000,
    subscriptions: 5000,
    per_session: 64,
    per_client: 5000,
    queue: 1 << 19,
    keepalive: 120_000,
    inactivity: 30_000,
    retry: 1000,
};

/// A server with a cluster in the test's hands.
pub(super) struct Pushing {
    pub(super) driver: Driver,
    pub(super) reader: Reader,
    server: Option<TcpServer>,
    counters: server::PushCounters,
    pub(super) memory: StreamMemory,
    address: SocketAddr,
    runtime: Runtime,
}

impl Pushing {
    /// Of a cluster that is known, and empty.
    pub(super) fn start() -> Self {
        let mut pushing = Self::unsynchronised(LIMITS);
        pushing.driver.synchronised();
        pushing
    }

    pub(super) fn with(limits: PushLimits) -> Self {
        let mut pushing = Self::unsynchronised(limits);
        pushing.driver.synchronised();
        pushing
    }

    /// Of a cluster that is not known yet.
    pub(super) fn unsynchronised(limits: PushLimits) -> Self {
        Self::of(zone_settings(), limits)
    }

    /// With so many octets for all connections.
    pub(super) fn with_memory(octets: usize) -> Self {
        let pushing = Self::start();
        pushing.memory.set(octets);
        pushing
    }

    pub(super) fn of(settings: zone::Settings, limits: PushLimits) -> Self {
        let records = records::Settings { zone: settings.zone.clone(), endpoint_pod_names: false };
        let (publisher, reader) = zone::zone(settings);
        let driver = Driver::new(publisher, records);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let limits = tcp_limits(limits);
        let memory = StreamMemory::new(1 << 26);
        let server = runtime.block_on(async {
            let upstream = UpstreamSlot::default();
            TcpServer::start(vec![listener], &reader, &upstream, None, limits, &Tap::default(), &memory)
                .unwrap()
        });
        let counters = server.push_counters();
        Self { driver, reader, server: Some(server), counters, memory, address, runtime }
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A client at another address of loopback.
    pub(super) fn client_at(&self, address: &str) -> Client {
        Client::connect_from(address, self.address)
    }

    pub(super) fn apply(&mut self, objects: impl IntoIterator<Item = Object>) {
        objects.into_iter().for_each(|object| self.driver.apply(object));
        self.driver.publish();
    }

    pub(super) fn set_limits(&self, limits: PushLimits) {
        self.server.as_ref().unwrap().set_limits(tcp_limits(limits));
    }

    pub(super) fn counts(&self) -> PushCounts {
        self.counters.counts()
    }

    /// Waits until what is counted is so.
    pub(super) fn until(&self, what: &str, holds: impl Fn(PushCounts) -> bool) {
        eventually(what, || if holds(self.counts()) { Ok(()) } else { Err(format!("{:?}", self.counts())) });
    }

    pub(super) fn stop(&mut self) {
        let server = self.server.take().unwrap();
        self.runtime.block_on(server.stop());
    }
}

fn tcp_limits(push: PushLimits) -> TcpLimits {
    let idle = std::time::Duration::from_secs(30);
    TcpLimits { connections: 4096, per_client: 4096, idle, pipelined: 32, push }
}

pub(super) fn zone_settings() -> zone::Settings {
    zone::Settings {
        zone: Name::from_text("cluster.local").unwrap(),
        ttl: zone::Ttl { positive: 5, negative: 5, expected: 0 },
        order: zone::Order::Ordinal,
        pods: zone::PodNames::Insecure,
        ptr: zone::PtrNames::All,
        reverse: vec!["10.0.0.0/8".parse().unwrap()],
        nameservers: vec![zone::Nameserver {
            name: Name::from_text("ns.dns.cluster.local").unwrap(),
            addresses: vec!["127.0.0.1".parse().unwrap()],
        }],
        identity: None,
        namespaces: None,
        upstream: false,
        explain: zone::Explain::default(),
        discovery: None,
        holding: zone::Holding::default(),
    }
}

pub(super) fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn key(name: &str) -> ServiceKey {
    ServiceKey { namespace: label("default"), name: label(name) }
}

pub(super) fn service(name: &str, shape: ServiceShape) -> Object {
    Object::Service(Service { key: key(name), shape, ports: Vec::new(), ttl: TtlOverrides::default() })
}

pub(super) fn headless(name: &str) -> Object {
    service(name, ServiceShape::Headless)
}

/// The one slice of a service: hosts `<service>-0` and so on at these addresses, all ready.
pub(super) fn slice(service: &str, addresses: &[&str]) -> Object {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    slice_of(service, &addresses)
}

pub(super) fn slice_of(service: &str, addresses: &[IpAddr]) -> Object {
    let endpoint = |(ordinal, address): (usize, &IpAddr)| Endpoint {
        addresses: vec![*address],
        hostname: Some(label(&format!("{service}-{ordinal}"))),
        pod: None,
        ready: true,
        terminating: false,
    };
    Object::EndpointSlice(EndpointSlice {
        service: key(service),
        name: format!("{service}-x").into(),
        ports: vec![Port { name: Some(label("http")), protocol: Protocol::Tcp, number: 80 }],
        endpoints: addresses.iter().enumerate().map(endpoint).collect(),
    })
}

pub(super) fn set(service: &str, replicas: u32) -> Object {
    Object::StatefulSet(StatefulSet {
        namespace: label("default"),
        name: service.into(),
        service: Some(label(service)),
        start: 0,
        replicas,
        parallel: false,
        revision: None,
    })
}
