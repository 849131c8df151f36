//! Questions: names that are there, names next to them, and names from nowhere.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::cluster::name;
use super::{HOSTS, NAMESPACES, SERVICES, V4, V6};
use crate::oracle::{Name, World, dashed, qtype, reverse_name};

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// In the spelling that the answer must repeat.
    pub(crate) name: Name,
    pub(crate) rtype: u16,
}

/// A question before the cluster is known.
#[derive(Debug, Clone)]
pub(crate) struct QuestionSeed {
    base: Base,
    changes: Vec<Change>,
    upper: u64,
    rtype: Rtype,
}

#[derive(Debug, Clone)]
enum Base {
    /// A name that owns a record.
    Owner(Index),
    /// Labels below the zone.
    InZone(String),
    /// Any name.
    Absolute(String),
}

#[derive(Debug, Clone)]
enum Change {
    Prepend(&'static str),
    DropFirst(usize),
    ReplaceFirst(&'static str),
    DropLast,
    Append(&'static str),
    InsertSecond(&'static str),
}

#[derive(Debug, Clone)]
enum Rtype {
    /// The type of a record that is at the name, A where there is none.
    There(Index),
    Number(u16),
}

impl QuestionSeed {
    /// The question about this cluster; names that are too long for the wire lose labels in front.
    pub(crate) fn question(&self, world: &World<'_>, zone: &Name) -> Question {
        let mut name = match &self.base {
            Base::Owner(index) => index.get(&world.owners()).clone(),
            Base::InZone(labels) => zone.below(labels),
            Base::Absolute(name) => Name::from_text(name),
        };
        for change in &self.changes {
            change.apply(&mut name);
        }
        while !name.is_legal() {
            name.0.remove(0);
        }
        let rtype = match &self.rtype {
            Rtype::Number(rtype) => *rtype,
            Rtype::There(index) => {
                let mut types = world.types_at(&name);
                // An alias answers to every type.
                if types.contains(&qtype::CNAME) {
                    types.extend([qtype::A, qtype::SRV]);
                }
                if types.is_empty() { qtype::A } else { *index.get(&types) }
            }
        };
        let letters = name.0.iter_mut().flatten();
        letters.enumerate().filter(|(at, _)| self.upper >> (at % 64) & 1 == 1).for_each(|(_, letter)| {
            letter.make_ascii_uppercase();
        });
        Question { name, rtype }
    }
}

impl Change {
    fn apply(&self, name: &mut Name) {
        let label = |text: &str| text.as_bytes().to_vec();
        match self {
            Self::Prepend(labels) => *name = name.below(labels),
            Self::DropFirst(number) => drop(name.0.drain(..(*number).min(name.0.len()))),
            Self::ReplaceFirst(text) => {
                if let Some(first) = name.0.first_mut() {
                    *first = label(text);
                }
            }
            Self::DropLast => drop(name.0.pop()),
            Self::Append(text) => name.0.push(label(text)),
            Self::InsertSecond(text) => name.0.insert(name.0.len().min(1), label(text)),
        }
    }
}

pub(crate) fn question_seed() -> impl Strategy<Value = QuestionSeed> {
    let changes = prop_oneof![5 => Just(Vec::new()), 4 => vec(change(), 1), 1 => vec(change(), 2..4)];
    let upper = prop_oneof![3 => Just(0), 1 => any::<u64>()];
    (base(), changes, upper, rtype()).prop_map(|(base, changes, upper, rtype)| QuestionSeed {
        base,
        changes,
        upper,
        rtype,
    })
}

fn base() -> impl Strategy<Value = Base> {
    prop_oneof![
        16 => any::<Index>().prop_map(Base::Owner),
        8 => in_zone().prop_map(Base::InZone),
        4 => reverse().prop_map(|address| Base::Absolute(reverse_name(address).to_string())),
        1 => select(vec![
            "", "com", "local", "org", "example.com", "cluster.locale", "arpa", "in-addr.arpa", "ip6.arpa",
            "172.in-addr.arpa", "16.172.in-addr.arpa", "31.172.in-addr.arpa", "32.172.in-addr.arpa",
            "01.0.0.10.in-addr.arpa", "256.0.0.10.in-addr.arpa", "10.in-addr.arpa", "f.ip6.arpa", "d.f.ip6.arpa",
            "a.b.c.d.f.ip6.arpa", "x.d.f.ip6.arpa",
        ]).prop_map(|name| Base::Absolute(name.to_string())),
    ]
}

fn in_zone() -> impl Strategy<Value = String> {
    let service = || (name(&SERVICES), name(&NAMESPACES)).prop_map(|(s, n)| format!("{s}.{n}.svc"));
    let port = || {
        let ports = vec!["_http", "_dns", "_peer", "_", "__http", "http", "_none"];
        (select(ports), select(vec!["_tcp", "_udp", "_sctp", "_quic", "tcp"]))
            .prop_map(|(p, t)| format!("{p}.{t}"))
    };
    let replica = select(vec![
        "web-0",
        "web-1",
        "web-2",
        "web-01",
        "web-",
        "web-9",
        "kubia-2",
        "db-2147483647",
        "web-00",
    ]);
    let replica = (replica, select(vec!["web", "kubia", "ghost"]), name(&NAMESPACES));
    let pod = prop_oneof![
        3 => reverse().prop_map(dashed),
        1 => select(vec!["10-0-0", "010-0-0-1", "10-0-0-256", "fd00-0-0-0-0-0-0-1", "FD00--1", "x", "10.0.0.1", "fd00--1--2"])
            .prop_map(str::to_string),
    ];
    prop_oneof![
        3 => service(),
        3 => (name(&HOSTS), service()).prop_map(|(h, s)| format!("{h}.{s}")),
        3 => replica.prop_map(|(replica, s, n)| format!("{replica}.{s}.{n}.svc")),
        2 => (port(), service()).prop_map(|(p, s)| format!("{p}.{s}")),
        2 => (port(), name(&HOSTS), service()).prop_map(|(p, h, s)| format!("{p}.{h}.{s}")),
        3 => (pod, name(&NAMESPACES)).prop_map(|(pod, n)| format!("{pod}.{n}.pod")),
        1 => (0..12_u8).prop_map(|n| format!("link-{n}.default.svc")),
        1 => Just("crowd.default.svc".to_string()),
        2 => select(vec![
            "", "svc", "pod", "dns", "ns.dns", "dns-version", "x.dns-version", "default.svc", "default.pod",
            "nowhere.svc", "nowhere.pod", "x", "x.y.z", "svc.svc", "hostmaster",
            "_statefulset", "default._statefulset", "nowhere._statefulset", "web.default._statefulset",
            "kubia.default._statefulset", "ghost.default._statefulset", "x.web.default._statefulset",
            "_tcp", "_dns-push-tls._tcp", "x._dns-push-tls._tcp", "_other._tcp", "_udp",
        ]).prop_map(str::to_string),
    ]
}

/// Addresses of the pools, and their neighbours.
fn reverse() -> impl Strategy<Value = IpAddr> {
    let far = ["10.0.0.99", "8.8.8.8", "172.31.255.255", "fd00::99", "2001:db8::99", "::1", "10.1.0.7"];
    let pool = [&V4[..], &V6[..], &far[..]].concat();
    select(pool).prop_map(|address| address.parse().unwrap())
}

fn change() -> impl Strategy<Value = Change> {
    let label = || select(vec!["x", "*", "web-0", "web", "_tcp", "_http", "0", "10-0-0-1", "f"]);
    prop_oneof![
        3 => label().prop_map(Change::Prepend),
        3 => select(vec!["_http._tcp", "_dns._udp", "_http._udp", "_peer._sctp", "x.y", "_a._http._tcp"]).prop_map(Change::Prepend),
        5 => (1..5_usize).prop_map(Change::DropFirst),
        1 => (5..32_usize).prop_map(Change::DropFirst),
        2 => label().prop_map(Change::ReplaceFirst),
        1 => Just(Change::DropLast),
        1 => label().prop_map(Change::Append),
        1 => label().prop_map(Change::InsertSecond),
    ]
}

fn rtype() -> impl Strategy<Value = Rtype> {
    let known = vec![
        qtype::A,
        qtype::AAAA,
        qtype::SRV,
        qtype::PTR,
        qtype::TXT,
        qtype::SOA,
        qtype::NS,
        qtype::CNAME,
        qtype::ANY,
    ];
    // MX, HINFO, DS, HTTPS, AXFR, IXFR, CAA and a private one.
    let others = vec![15, 13, 43, 65, qtype::AXFR, qtype::IXFR, 257, 65400];
    prop_oneof![
        6 => any::<Index>().prop_map(Rtype::There),
        6 => select(vec![qtype::A, qtype::AAAA, qtype::SRV]).prop_map(Rtype::Number),
        4 => select(known).prop_map(Rtype::Number),
        1 => select(others).prop_map(Rtype::Number),
    ]
}
