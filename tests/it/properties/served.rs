//! The real code under a generated cluster: driver, zone and responder, without a socket.

use ipnet::IpNet;
use rollcall::cluster::ObjectName;
use rollcall::model::{Label, Object, PodState};
use rollcall::run::Driver;
use rollcall::server::{Reply, Responder, Transport};
use rollcall::wire::Name as WireName;
use rollcall::{records, zone};

use crate::oracle::{Name, OracleSettings, Pods};

/// What only the fast code knows of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    pub(super) order: zone::Order,
    /// Whether ExternalName targets outside the zones are to be looked up.
    pub(super) upstream: bool,
}

/// A zone that follows a cluster, and answers.
pub(super) struct Served {
    driver: Driver,
    reader: zone::Reader,
    responder: Responder,
    buffer: Vec<u8>,
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Reply(Vec<u8>),
    Silence,
    /// The aliases that lead out of the zones, and what is to be asked of the upstream.
    Chase {
        reply: Vec<u8>,
        target: Name,
        rtype: u16,
        limit: usize,
    },
}

impl Asked {
    /// The octets of the reply, where there is one.
    pub(super) fn reply(&self) -> Option<&[u8]> {
        match self {
            Self::Reply(reply) | Self::Chase { reply, .. } => Some(reply),
            Self::Silence => None,
        }
    }
}

impl Served {
    pub(super) fn new(settings: &OracleSettings, variant: Variant) -> Self {
        let (records, zone_settings) = real_settings(settings, variant);
        let (publisher, reader) = zone::zone(zone_settings);
        let mut driver = Driver::new(publisher, records);
        driver.set_explains(true);
        driver.publish();
        driver.set_pods_known(true);
        driver.synchronised();
        Self { driver, reader: reader.clone(), responder: Responder::new(reader), buffer: vec![0; 65535] }
    }

    /// A zone that was kept, and nothing behind it.
    pub(super) fn taken_up(
        octets: &[u8],
        settings: &OracleSettings,
        variant: Variant,
    ) -> Result<Self, zone::KeptError> {
        let (records, zone_settings) = real_settings(settings, variant);
        let (publisher, reader) = zone::zone(zone_settings);
        let mut driver = Driver::new(publisher, records);
        driver.set_explains(true);
        driver.take_up(octets)?;
        driver.set_pods_known(true);
        driver.synchronised();
        Ok(Self { driver, reader: reader.clone(), responder: Responder::new(reader), buffer: vec![0; 65535] })
    }

    /// What is kept of it.
    pub(super) fn kept(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        self.driver.keep()(&mut octets);
        octets
    }

    /// Which names pods have.
    pub(super) fn pods(settings: &OracleSettings) -> zone::PodNames {
        match settings.pods {
            Pods::Disabled => zone::PodNames::Disabled,
            Pods::Insecure => zone::PodNames::Insecure,
            Pods::Verified => zone::PodNames::Verified,
        }
    }

    /// A zone of this cluster, published once.
    pub(super) fn of(cluster: &[Object], settings: &OracleSettings, variant: Variant) -> Self {
        let mut served = Self::new(settings, variant);
        cluster.iter().for_each(|object| served.apply(object));
        served.publish();
        served
    }

    /// What pods say, where somebody asked them.
    pub(super) fn set_pods(&mut self, pods: Vec<(Label, PodState)>) {
        self.driver.index_mut().reset_pods(pods, 1 << 20);
    }

    pub(super) fn apply(&mut self, object: &Object) {
        self.driver.apply(object.clone());
    }

    pub(super) fn delete(&mut self, object: &Object) {
        self.driver.delete(&ObjectName::of(object));
    }

    pub(super) fn reset(&mut self, objects: &[Object]) {
        self.driver.reset(objects.to_vec());
    }

    pub(super) fn reader(&self) -> &zone::Reader {
        &self.reader
    }

    pub(super) fn driver(&self) -> &Driver {
        &self.driver
    }

    pub(super) fn driver_mut(&mut self) -> &mut Driver {
        &mut self.driver
    }

    pub(super) fn publish(&mut self) {
        self.driver.publish();
    }

    pub(super) fn set_settings(&mut self, settings: &OracleSettings, variant: Variant) {
        let (records, zone_settings) = real_settings(settings, variant);
        self.driver.set_settings(records, zone_settings);
    }

    /// Writes over the buffer.
    pub(super) fn soil(&mut self) {
        self.buffer.fill(0xa5);
    }

    pub(super) fn ask(&mut self, packet: &[u8], transport: Transport) -> Asked {
        // What an answer does not write must not be read: the buffer is dirty from the answer before.
        match self.responder.respond(packet, transport, &mut self.buffer) {
            // One that may wait is what it would be without.
            Reply::Send(length) | Reply::Held { length, .. } => Asked::Reply(self.buffer[..length].to_vec()),
            Reply::Silence => Asked::Silence,
            Reply::Chase { length, target, rtype, limit, .. } => {
                Asked::Chase { reply: self.buffer[..length].to_vec(), target: labels(&target), rtype, limit }
            }
        }
    }
}

fn real_settings(settings: &OracleSettings, variant: Variant) -> (records::Settings, zone::Settings) {
    let seconds = |seconds: u32| u16::try_from(seconds).unwrap();
    let nameserver = |name: &Name| zone::Nameserver {
        name: wire(name),
        addresses: settings.name_server_addresses.clone(),
    };
    let zone_settings = zone::Settings {
        zone: wire(&settings.zone),
        ttl: zone::Ttl {
            positive: seconds(settings.positive),
            negative: seconds(settings.negative),
            expected: seconds(settings.expected),
        },
        order: variant.order,
        pods: Served::pods(settings),
        ptr: if settings.governing_only { zone::PtrNames::Governing } else { zone::PtrNames::All },
        reverse: settings.reverse.iter().map(|&(a, length)| IpNet::new(a, length).unwrap()).collect(),
        nameservers: settings.name_servers.iter().map(nameserver).collect(),
        identity: None,
        namespaces: settings
            .namespaces
            .as_ref()
            .map(|names| names.iter().map(|n| n.as_str().into()).collect()),
        upstream: variant.upstream,
        // Sentences of every length, which must never push anything out.
        explain: zone::Explain::new(zone::Answers::Full, Vec::new()),
        discovery: settings
            .discovery
            .as_ref()
            .map(|(target, port)| zone::Discovery { target: wire(target), port: *port }),
        holding: zone::Holding { all: variant.upstream, longest: 1000 },
    };
    (records_settings(settings), zone_settings)
}

/// What records are made by.
pub(super) fn records_settings(settings: &OracleSettings) -> records::Settings {
    records::Settings { zone: wire(&settings.zone), endpoint_pod_names: settings.endpoint_pod_names }
}

fn wire(name: &Name) -> WireName {
    WireName::from_text(&name.to_string()).unwrap()
}

fn labels(name: &WireName) -> Name {
    let (mut rest, mut labels) = (name.as_wire(), Vec::new());
    while let Some((&length, tail)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let (label, tail) = tail.split_at(length.into());
        labels.push(label.to_vec());
        rest = tail;
    }
    Name(labels)
}
