//! A service for the tests of those who read a zone and may not make records themselves.

use std::net::Ipv4Addr;

use super::{Change, Explain, Holding, Name, Nameserver, Order, PodNames, PtrNames, Settings, Ttl};
use crate::reasons::Notes;
use crate::records::{
    Addresses, Expected, Hold, Host, Label, ServiceKey, ServiceRecords, Shape, TtlOverrides,
};

/// Questions wait for a second where a Service says so.
pub(crate) fn mk_settings() -> Settings {
    Settings {
        zone: Name::from_text("cluster.local").unwrap(),
        ttl: Ttl { positive: 5, negative: 5, expected: 0 },
        order: Order::Ordinal,
        pods: PodNames::Insecure,
        ptr: PtrNames::All,
        reverse: Vec::new(),
        nameservers: vec![Nameserver {
            name: Name::from_text("ns.dns.cluster.local").unwrap(),
            addresses: vec![Ipv4Addr::LOCALHOST.into()],
        }],
        identity: None,
        namespaces: None,
        upstream: false,
        explain: Explain::default(),
        discovery: None,
        holding: Holding { all: false, longest: 1000 },
    }
}

/// Headless nginx.a, which says whether questions wait; of as many replicas of its set `web` these are there, each at
/// 10.0.0.ordinal.
pub(crate) fn nginx(holds: bool, replicas: u64, there: &[u8]) -> Change {
    let label = |text: &str| Label::new(text).unwrap();
    let key = ServiceKey { namespace: label("a"), name: label("nginx") };
    let host = |ordinal: &u8| Host {
        label: format!("web-{ordinal}").into(),
        addresses: Addresses { v4: vec![Ipv4Addr::new(10, 0, 0, *ordinal)], v6: Vec::new() },
        ports: [].into(),
        governing: true,
    };
    let hosts: Vec<Host> = there.iter().map(host).collect();
    let v4 = hosts.iter().flat_map(|host| host.addresses.v4.clone()).collect();
    let records = ServiceRecords {
        key: key.clone(),
        shape: Shape::Headless,
        ttl: TtlOverrides { hold: holds.then_some(Hold::AsConfigured), ..TtlOverrides::default() },
        addresses: Addresses { v4, v6: Vec::new() },
        hosts,
        srv: Vec::new(),
        ports: Vec::new(),
        expected: vec![Expected { set: "web".into(), first: 0, end: replicas, ready: 0, revision: None }],
    };
    Change::Service(key, Some(Box::new(records)), Notes::default())
}
