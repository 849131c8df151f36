//! Settings of the zone.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::NAMESPACES;
use crate::oracle::{Name, OracleSettings, Pods};

/// Cluster domains: the usual one, and one that makes names of another length.
pub(crate) const ZONES: [&str; 2] = ["cluster.local", "k8s.example.org"];

pub(crate) fn settings(zone: &'static str) -> impl Strategy<Value = OracleSettings> {
    let ttl = || prop_oneof![4 => Just([5, 5, 0]), 1 => [0..=3600_u32, 0..=3600_u32, 0..=3600_u32]];
    let pods = select(vec![Pods::Disabled, Pods::Insecure, Pods::Verified]);
    let namespaces = prop_oneof![
        4 => Just(None),
        1 => subsequence(NAMESPACES.to_vec(), 1..3).prop_map(|names| Some(names.iter().map(|n| n.to_string()).collect())),
    ];
    let switches = (any::<bool>(), prop::bool::weighted(0.2));
    let discovery = prop_oneof![
        1 => Just(None),
        1 => select(vec![Name::from_text(zone).below("ns.dns"), Name::from_text("push.example.net")])
            .prop_map(|target| Some((target, 853))),
    ];
    (ttl(), pods, namespaces, switches, reverse(), name_servers(zone), discovery).prop_map(
        move |(
            ttl,
            pods,
            namespaces,
            (endpoint_pod_names, governing_only),
            reverse,
            name_servers,
            discovery,
        )| {
            let [positive, negative, expected] = ttl;
            OracleSettings {
                zone: Name::from_text(zone),
                name_servers,
                name_server_addresses: ["192.0.2.53", "fd00:53::53"].map(|a| a.parse().unwrap()).to_vec(),
                positive,
                negative,
                expected,
                reverse: reverse
                    .iter()
                    .map(|&(address, length)| (address.parse().unwrap(), length))
                    .collect(),
                pods,
                endpoint_pod_names,
                governing_only,
                namespaces,
                discovery,
            }
        },
    )
}

/// Prefixes that end on a label, inside one, at a whole address, and none at all.
fn reverse() -> impl Strategy<Value = Vec<(&'static str, u8)>> {
    let default = vec![("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16), ("fd00::", 8)];
    let narrow = vec![("10.0.0.0", 23), ("192.168.1.16", 28), ("172.32.0.1", 32), ("fd00::", 10)];
    let wide = vec![("0.0.0.0", 1), ("2001:db8::", 30)];
    prop_oneof![6 => Just(default), 2 => Just(narrow), 1 => Just(wide), 1 => Just(Vec::new())]
}

fn name_servers(zone: &'static str) -> impl Strategy<Value = Vec<Name>> {
    let zone = Name::from_text(zone);
    let outside = Name::from_text("ns.example.net");
    let in_the_zone = vec![zone.below("ns.dns")];
    let both = vec![zone.below("ns.dns"), outside];
    prop_oneof![4 => Just(in_the_zone), 1 => Just(both)]
}
