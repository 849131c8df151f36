//! The ports of a service and of its hosts, and the SRV records that they make.
//!
//! Most services of a cluster have one of a few sets of ports, so [`Ports`] are shared between services; and nearly
//! always every host of a service has the same ones, so that its SRV records are hosts by ports and need no list.

mod kept;
mod shared;

use std::sync::Arc;

pub(super) use shared::SharedPorts;

use foldhash::{HashMap, HashMapExt as _};

use crate::records::{Port, ServiceRecords, Srv};

/// The ports of one endpoint; most hosts of a service share one.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct PortSet {
    /// Each number once.
    pub(crate) numbers: Box<[u16]>,
    /// Sorted by name, then by protocol.
    pub(crate) named: Box<[PortName]>,
}

/// `_name`, `_protocol`, number.
pub(crate) type PortName = (Box<[u8]>, &'static [u8], u16);

/// The ports of a service.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ports {
    of_hosts: Box<[PortSet]>,
    of_service: Records,
}

/// The SRV records at the service's name and at the names of its ports.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
enum Records {
    /// Each port, at the service itself (ClusterIP).
    Itself(PortSet),
    /// Each host with each port of the only set there is.
    #[default]
    HostsByPorts,
    /// Hosts differ in their ports.
    Listed(Box<Listed>),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Listed {
    at_service: Box<[SrvEntry]>,
    /// Sorted by `_name`, then by `_protocol`.
    at_ports: Box<[ListedPort]>,
}

/// `_name`, `_protocol`, and what stands there.
type ListedPort = (Box<[u8]>, &'static [u8], Box<[SrvEntry]>);

/// One SRV record at the service's name or at a named port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SrvEntry {
    /// [`SrvEntry::ITSELF`] is the service itself.
    host: u32,
    pub(crate) port: u16,
}

impl SrvEntry {
    const ITSELF: u32 = u32::MAX;

    pub(crate) fn host(self) -> Option<usize> {
        (self.host != Self::ITSELF).then_some(self.host as usize)
    }
}

impl From<&Srv> for SrvEntry {
    #[allow(clippy::cast_possible_truncation)] // a service of 2^32 hosts would not fit in memory
    fn from(srv: &Srv) -> Self {
        Self { host: srv.host.map_or(Self::ITSELF, |host| host as u32), port: srv.port }
    }
}

/// A set of SRV records.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SrvSet<'p> {
    /// At so many hosts; None is the service itself.
    Numbers(Option<u32>, &'p [u16]),
    /// The same, of one name.
    Named(Option<u32>, &'p [PortName]),
    Listed(&'p [SrvEntry]),
}

impl SrvSet<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(hosts, ports) => hosts.unwrap_or(1) as usize * ports.len(),
            Self::Named(hosts, ports) => hosts.unwrap_or(1) as usize * ports.len(),
            Self::Listed(records) => records.len(),
        }
    }

    /// The record at an index below [`SrvSet::len`].
    pub(crate) fn get(&self, index: usize) -> SrvEntry {
        let at = |hosts: Option<u32>, ports: usize| {
            #[allow(clippy::cast_possible_truncation)] // below the number of hosts
            hosts.map_or(SrvEntry::ITSELF, |_| (index / ports) as u32)
        };
        match self {
            Self::Numbers(hosts, ports) => {
                SrvEntry { host: at(*hosts, ports.len()), port: ports[index % ports.len()] }
            }
            Self::Named(hosts, ports) => {
                SrvEntry { host: at(*hosts, ports.len()), port: ports[index % ports.len()].2 }
            }
            Self::Listed(records) => records[index],
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = SrvEntry> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

impl Ports {
    /// The ports of a service's records, and which of the sets each host has.
    pub(crate) fn new(records: &ServiceRecords) -> (Self, Vec<usize>) {
        let mut sets: Vec<PortSet> = Vec::new();
        let mut known: HashMap<&[Port], usize> = HashMap::new();
        let mut last: Option<(&Arc<[Port]>, usize)> = None;
        let of_host = records.hosts.iter().map(|host| {
            // As its neighbour's, nearly always: the very same.
            if let Some((_, set)) = last.filter(|(ports, _)| Arc::ptr_eq(ports, &host.ports)) {
                return set;
            }
            let set = *known.entry(&host.ports).or_insert_with(|| {
                sets.push(PortSet::new(&host.ports));
                sets.len() - 1
            });
            last = Some((&host.ports, set));
            set
        });
        let of_host = of_host.collect();
        let mut ports = Self { of_hosts: sets.into(), of_service: Records::HostsByPorts };
        if records.srv.first().is_some_and(|srv| srv.host.is_none()) {
            ports.of_service = Records::Itself(PortSet::of_service(records));
        }
        // Whatever made the records: what is not kept as a list is only what says the same as the list.
        if !ports.says(records) {
            ports.of_service = Records::Listed(Box::new(Listed::new(records)));
        }
        (ports, of_host)
    }

    fn says(&self, records: &ServiceRecords) -> bool {
        #[allow(clippy::cast_possible_truncation)] // as in `SrvEntry`
        let hosts = records.hosts.len() as u32;
        let same = |set: SrvSet<'_>, list: &[Srv]| set.iter().eq(list.iter().map(SrvEntry::from));
        let at_port = |port: &crate::records::PortRecords| {
            let name = underscored(port.name.as_str());
            let set = self.at_port(hosts, &name, port.protocol.srv_label().as_bytes());
            set.is_some_and(|set| same(set, &port.srv))
        };
        let listed = records.ports.iter();
        let listed =
            listed.map(|port| (underscored(port.name.as_str()), port.protocol.srv_label().as_bytes()));
        let mut listed: Vec<(Box<[u8]>, &[u8])> = listed.collect();
        listed.sort();
        let names = self.names();
        let same_names =
            names.len() == listed.len() && names.iter().zip(&listed).all(|(a, b)| a.0 == &*b.0 && a.1 == b.1);
        same_names && same(self.at_service(hosts), &records.srv) && records.ports.iter().all(at_port)
    }

    /// What is not shared: a list of one service alone.
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self.of_service, Records::Listed(_))
    }

    /// A set of the service's hosts.
    pub(crate) fn of_hosts(&self, set: usize) -> &PortSet {
        &self.of_hosts[set]
    }

    /// The set that the service's SRV records are made of, and at how many hosts, where they are not listed.
    fn only_set(&self, hosts: u32) -> Option<(Option<u32>, &PortSet)> {
        match &self.of_service {
            Records::Itself(set) => Some((None, set)),
            Records::HostsByPorts => self.of_hosts.first().map(|set| (Some(hosts), set)),
            Records::Listed(_) => None,
        }
    }

    /// The records at the name of a service with so many hosts.
    pub(crate) fn at_service(&self, hosts: u32) -> SrvSet<'_> {
        match (&self.of_service, self.only_set(hosts)) {
            (Records::Listed(listed), _) => SrvSet::Listed(&listed.at_service),
            (_, Some((hosts, set))) => SrvSet::Numbers(hosts, &set.numbers),
            (_, None) => SrvSet::Listed(&[]),
        }
    }

    /// The records at `_name._protocol`, where there are any.
    pub(crate) fn at_port(&self, hosts: u32, name: &[u8], protocol: &[u8]) -> Option<SrvSet<'_>> {
        if let Records::Listed(listed) = &self.of_service {
            let mut of_name = by_name(&listed.at_ports, name, |port| &port.0).iter();
            return of_name.find(|port| port.1 == protocol).map(|port| SrvSet::Listed(&port.2));
        }
        let (hosts, set) = self.only_set(hosts)?;
        let named = set.of_name(name, protocol);
        (!named.is_empty()).then_some(SrvSet::Named(hosts, named))
    }

    /// Whether any port of the service is `_name.<protocol>`.
    pub(crate) fn names_protocol(&self, protocol: &[u8]) -> bool {
        match &self.of_service {
            Records::Listed(listed) => listed.at_ports.iter().any(|port| port.1 == protocol),
            _ => self.only_set(1).is_some_and(|(_, set)| set.names_protocol(protocol)),
        }
    }

    /// `_name` and `_protocol` of each named port, once, in order.
    pub(crate) fn names(&self) -> Vec<(&[u8], &'static [u8])> {
        let mut names: Vec<(&[u8], &'static [u8])> = match (&self.of_service, self.only_set(1)) {
            (Records::Listed(listed), _) => listed.at_ports.iter().map(|port| (&*port.0, port.1)).collect(),
            (_, Some((_, set))) => set.named.iter().map(|(name, protocol, _)| (&**name, *protocol)).collect(),
            (_, None) => Vec::new(),
        };
        names.dedup();
        names
    }
}

impl Listed {
    fn new(records: &ServiceRecords) -> Self {
        let list = |srv: &[Srv]| srv.iter().map(SrvEntry::from).collect();
        let mut at_ports: Vec<_> = records
            .ports
            .iter()
            .map(|port| {
                (underscored(port.name.as_str()), port.protocol.srv_label().as_bytes(), list(&port.srv))
            })
            .collect();
        at_ports.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        Self { at_service: list(&records.srv), at_ports: at_ports.into() }
    }
}

impl PortSet {
    fn new(ports: &[Port]) -> Self {
        let mut numbers: Vec<u16> = Vec::with_capacity(ports.len());
        for port in ports {
            if !numbers.contains(&port.number) {
                numbers.push(port.number);
            }
        }
        let named = ports.iter().filter_map(|port| {
            let name = port.name.as_ref()?;
            Some((underscored(name.as_str()), port.protocol.srv_label().as_bytes(), port.number))
        });
        Self { numbers: numbers.into(), named: named.collect() }.sorted()
    }

    /// The ports of a Service with an address of its own.
    fn of_service(records: &ServiceRecords) -> Self {
        let named = records.ports.iter().flat_map(|port| {
            let of_port = move |srv: &Srv| {
                (underscored(port.name.as_str()), port.protocol.srv_label().as_bytes(), srv.port)
            };
            port.srv.iter().map(of_port)
        });
        Self { numbers: records.srv.iter().map(|srv| srv.port).collect(), named: named.collect() }.sorted()
    }

    /// By name and protocol; the numbers of one pair keep their order.
    fn sorted(mut self) -> Self {
        self.named.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        self
    }

    fn of_name(&self, name: &[u8], protocol: &[u8]) -> &[PortName] {
        let of_name = by_name(&self.named, name, |(name, _, _)| name);
        let start = of_name.partition_point(|(_, p, _)| *p < protocol);
        let count = of_name[start..].partition_point(|(_, p, _)| *p == protocol);
        &of_name[start..start + count]
    }

    /// The numbers of a named port.
    pub(crate) fn numbers_of<'s>(
        &'s self,
        name: &[u8],
        protocol: &[u8],
    ) -> impl Iterator<Item = u16> + Clone + use<'s> {
        self.of_name(name, protocol).iter().map(|(_, _, number)| *number)
    }

    pub(crate) fn names_protocol(&self, protocol: &[u8]) -> bool {
        self.named.iter().any(|(_, p, _)| *p == protocol)
    }
}

/// The items of a name, among items that are sorted by it: a service may have thousands of ports.
fn by_name<'s, T>(sorted: &'s [T], name: &[u8], key: impl Fn(&T) -> &[u8]) -> &'s [T] {
    let start = sorted.partition_point(|item| key(item) < name);
    let count = sorted[start..].partition_point(|item| key(item) == name);
    &sorted[start..start + count]
}

fn underscored(name: &str) -> Box<[u8]> {
    [b"_", name.as_bytes()].concat().into()
}
