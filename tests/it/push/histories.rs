//! Any history: what a subscriber puts together from its pushes is what the zone answers.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::serialize::binary::BinEncodable as _;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use rollcall::cluster::ObjectName;
use rollcall::model::{Object, ServiceShape};
use rollcall::server::{Reply, Responder, Transport};

use super::{A, AAAA, ANY, CNAME, PTR, Pushing, SRV, TXT, headless, service, set, slice_of};
use crate::support::push::{Client, View, apply};
use crate::support::query::Query;
use crate::support::wait::eventually;

const SERVICES: [&str; 3] = ["a", "b", "c"];

/// One change of the cluster.
#[derive(Debug, Clone)]
enum Step {
    /// A service's endpoints: the last octets of their addresses.
    Slice(&'static str, BTreeSet<u8>),
    Headless(&'static str),
    ClusterIp(&'static str, u8),
    Alias(&'static str),
    Set(&'static str, u32),
    DeleteService(&'static str),
    DeleteSlice(&'static str),
    /// Everything again, as from a list.
    Relist,
    /// What happened until now is to be seen.
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || select(&SERVICES[..]);
    prop_oneof![
        6 => (name(), proptest::collection::btree_set(1..12_u8, 0..6)).prop_map(|(n, all)| Step::Slice(n, all)),
        2 => name().prop_map(Step::Headless),
        1 => (name(), 200..203_u8).prop_map(|(n, octet)| Step::ClusterIp(n, octet)),
        1 => name().prop_map(Step::Alias),
        2 => (name(), 0..4_u32).prop_map(|(n, replicas)| Step::Set(n, replicas)),
        1 => name().prop_map(Step::DeleteService),
        1 => name().prop_map(Step::DeleteSlice),
        1 => Just(Step::Relist),
        3 => Just(Step::Look),
    ]
}

/// What is subscribed to: every kind of name, and of type.
fn subscriptions() -> Vec<(String, u16)> {
    let mut all = Vec::new();
    for name in SERVICES {
        let own = format!("{name}.default.svc.cluster.local");
        all.extend([A, AAAA, SRV, CNAME].map(|rtype| (own.clone(), rtype)));
        all.extend([A, SRV].map(|rtype| (format!("{name}-0.{own}"), rtype)));
        all.push((format!("_http._tcp.{own}"), SRV));
        all.push((format!("{name}.default._statefulset.cluster.local"), TXT));
    }
    all.extend((1..12).chain(200..203).map(|octet| (format!("{octet}.0.0.10.in-addr.arpa"), PTR)));
    all
}

/// A subscriber, and what it knows.
struct Subscriber {
    client: Client,
    view: View,
}

impl Subscriber {
    fn new(pushing: &Pushing, names: &[(String, u16)]) -> Self {
        let (mut client, mut view) = (pushing.client(), View::new());
        for (id, (name, rtype)) in (1..).zip(names) {
            client.send(&crate::support::push::subscribe(id, name, *rtype));
        }
        // Responses and pushes come as they come.
        let mut responses = 0;
        while responses < names.len() {
            let message = client.next();
            if message.is_push() {
                apply(&mut view, message.changes());
            } else {
                assert_eq!(message.rcode, 0, "{:?}", names[usize::from(message.id) - 1]);
                responses += 1;
            }
        }
        Self { client, view }
    }

    /// Takes what has come.
    fn take(&mut self) {
        while let Some(message) = self.client.try_next() {
            apply(&mut self.view, message.changes());
        }
    }
}

/// Owner, type, TTL and data of the records of an answer, names in them whole.
fn records(reply: &[u8]) -> Vec<(String, u16, u32, Vec<u8>)> {
    let message = hickory_proto::op::Message::from_vec(reply).unwrap();
    let record = |record: &hickory_proto::rr::Record| {
        let (owner, rtype) = (record.name.to_lowercase().to_string(), record.record_type().into());
        (owner, rtype, record.ttl, record.data.to_bytes().unwrap())
    };
    message.answers.iter().map(record).collect()
}

/// What the zone answers to each question.
fn zone(pushing: &Pushing, names: &[(String, u16)]) -> View {
    let (mut responder, mut buffer) = (Responder::new(pushing.reader.clone()), vec![0; 65535]);
    let mut view = BTreeMap::new();
    for (name, rtype) in names {
        let packet = Query::parse(&format!("dig -t TYPE{rtype} {name}")).unwrap().bytes;
        let length = match responder.respond(&packet, Transport::Tcp, &mut buffer) {
            Reply::Send(length) | Reply::Chase { length, .. } | Reply::Held { length, .. } => length,
            Reply::Silence => panic!("silence"),
        };
        let owner = format!("{name}.");
        for (record_owner, kind, ttl, data) in records(&buffer[..length]) {
            // An alias is not followed.
            if record_owner == owner && kind == *rtype {
                view.insert((record_owner, kind, data), ttl);
            }
        }
    }
    view
}

fn take(pushing: &mut Pushing, cluster: &mut BTreeMap<String, Object>, step: &Step) {
    let mut put = |cluster: &mut BTreeMap<String, Object>, object: Object| {
        cluster.insert(format!("{:?}", ObjectName::of(&object)), object.clone());
        pushing.apply([object]);
    };
    match step {
        Step::Slice(name, octets) => {
            let addresses: Vec<_> =
                octets.iter().map(|octet| std::net::Ipv4Addr::new(10, 0, 0, *octet).into()).collect();
            put(cluster, slice_of(name, &addresses));
        }
        Step::Headless(name) => put(cluster, headless(name)),
        Step::ClusterIp(name, octet) => {
            let address = std::net::Ipv4Addr::new(10, 0, 0, *octet).into();
            put(cluster, service(name, ServiceShape::ClusterIp(vec![address])));
        }
        Step::Alias(name) => put(cluster, service(name, ServiceShape::External("example.org".into()))),
        Step::Set(name, replicas) => put(cluster, set(name, *replicas)),
        Step::DeleteService(name) => delete(pushing, cluster, &headless(name)),
        Step::DeleteSlice(name) => delete(pushing, cluster, &slice_of(name, &[])),
        Step::Relist => {
            pushing.driver.reset(cluster.values().cloned().collect());
            pushing.driver.publish();
        }
        Step::Look => {}
    }
}

fn delete(pushing: &mut Pushing, cluster: &mut BTreeMap<String, Object>, object: &Object) {
    let name = ObjectName::of(object);
    cluster.remove(&format!("{name:?}"));
    pushing.driver.delete(&name);
    pushing.driver.publish();
}

#[test]
fn what_is_told_adds_up_to_what_is_answered() {
    let cases = std::env::var("ROLLCALL_HISTORIES").map_or(12, |text| text.parse().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let names = subscriptions();
    let result = TestRunner::new(config).run(&vec(step(), 1..60), |steps| {
        let mut pushing = Pushing::start();
        let mut cluster = BTreeMap::new();
        let mut subscribers = vec![Subscriber::new(&pushing, &names)];
        for step in steps.iter().chain([&Step::Look]) {
            take(&mut pushing, &mut cluster, step);
            if !matches!(step, Step::Look) {
                continue;
            }
            // One that comes later knows the same.
            if subscribers.len() < 3 {
                subscribers.push(Subscriber::new(&pushing, &names));
            }
            let answered = zone(&pushing, &names);
            for subscriber in &mut subscribers {
                eventually("what is told is what is answered", || {
                    subscriber.take();
                    let told = &subscriber.view;
                    if *told == answered { Ok(()) } else { Err(format!("{told:?}\nanswered: {answered:?}")) }
                });
            }
        }
        Ok(())
    });
    result.unwrap();
}

/// Type ANY holds all of a name's records, and each once.
#[test]
fn all_types_are_all_records() {
    let mut pushing = Pushing::start();
    let name = "a.default.svc.cluster.local".to_owned();
    let mut any = Subscriber::new(&pushing, &[(name.clone(), ANY)]);
    let each = [(name.clone(), A), (name.clone(), AAAA), (name.clone(), SRV), (name, CNAME)];
    let v4 = |octet: u8| std::net::IpAddr::from([10, 0, 0, octet]);
    let v6 = "fd00::1".parse().unwrap();
    let addresses = [vec![v4(1), v6], vec![v6], vec![v4(1), v4(2)], vec![], vec![v6, v4(3)]];
    pushing.apply([headless("a")]);
    for addresses in addresses {
        pushing.apply([slice_of("a", &addresses)]);
        let answered = zone(&pushing, &each);
        eventually("what is told is what is answered", || {
            any.take();
            if any.view == answered { Ok(()) } else { Err(format!("{:?}\n{answered:?}", any.view)) }
        });
    }
}
