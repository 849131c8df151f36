//! The suite's own parts, without a cluster: what is generated is of every shape, and what is compared is
//! compared.

use std::collections::BTreeSet;

use super::ask::Question;
use super::compare::{Aspect, Pair};
use super::objects::{Shape, World, dashed, reverse_name};
use super::peculiar::CROWD;
use super::place::{End, Place};
use super::questions::questions;
use super::reply::Reply;
use super::{QUESTIONS_SEED, WORLD_SEED, generate};

fn mk_world(seed: u64) -> World {
    generate::world(&["a", "b", "c", "empty"].map(String::from), seed)
}

#[test]
fn the_same_seed_makes_the_same_objects_and_questions() {
    let [one, again, other] = [WORLD_SEED, WORLD_SEED, WORLD_SEED + 1].map(mk_world);
    assert_eq!(one.manifests(), again.manifests());
    assert_ne!(one.manifests(), other.manifests());
    assert_eq!(questions(&one, QUESTIONS_SEED), questions(&again, QUESTIONS_SEED));
    assert_ne!(questions(&one, QUESTIONS_SEED), questions(&one, QUESTIONS_SEED + 1));
}

#[test]
fn services_are_of_every_shape() {
    let world = mk_world(WORLD_SEED);
    let kinds: BTreeSet<String> = world
        .services
        .iter()
        .map(|service| match &service.shape {
            Shape::Headless => "headless".to_string(),
            Shape::Virtual(kind, families) => format!("{kind} {}", families.len()),
            Shape::External(_) => match world.alias_end(service) {
                Some(End::Inside(..)) => "alias inside".into(),
                Some(End::Outside(..)) => "alias outside".into(),
                Some(End::Loop) | None => "alias loop".into(),
            },
        })
        .collect();
    for kind in ["headless", "ClusterIP 1", "ClusterIP 2", "NodePort 1", "LoadBalancer 1"] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    for kind in ["alias inside", "alias outside", "alias loop"] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    let endpoints = |service| world.slices_of(service).map(|slice| slice.endpoints.len()).sum::<usize>();
    let sizes: BTreeSet<usize> = world.services.iter().map(endpoints).collect();
    assert!(sizes.contains(&0) && sizes.contains(&1) && sizes.contains(&CROWD), "{sizes:?}");
}

#[test]
fn endpoints_are_in_every_state() {
    let world = mk_world(WORLD_SEED);
    let all: Vec<_> = world.slices.iter().flat_map(|slice| &slice.endpoints).collect();
    let states: BTreeSet<_> = all.iter().map(|e| (e.ready, e.serving, e.terminating)).collect();
    let wanted = [
        (None, None, None),
        (Some(false), Some(false), Some(false)),
        (Some(false), Some(true), Some(true)),
        (Some(true), Some(true), Some(true)),
        (Some(true), Some(true), Some(false)),
    ];
    assert!(wanted.iter().all(|state| states.contains(state)), "{states:?}");
    let some = |count: usize| assert!(count > 20, "only {count}");
    some(all.iter().filter(|e| e.hostname.is_some()).count());
    some(all.iter().filter(|e| e.hostname.is_none()).count());
    some(all.iter().filter(|e| e.pod.is_some()).count());
    some(all.iter().filter(|e| e.address.contains(':')).count());
    let ports: Vec<_> = world.slices.iter().flat_map(|slice| &slice.ports).collect();
    for state in ["unnamed", "numberless", "UDP", "SCTP"] {
        let is = |port: &&&super::objects::Port| match state {
            "unnamed" => port.name.is_none(),
            "numberless" => port.number.is_none(),
            protocol => port.protocol == protocol,
        };
        assert!(ports.iter().any(|port| is(&port)), "no port is {state}");
    }
    let families: BTreeSet<&str> = world.slices.iter().map(|slice| slice.family).collect();
    assert_eq!(families, BTreeSet::from(["FQDN", "IPv4", "IPv6"]));
}

#[test]
fn questions_are_thousands_of_every_type_and_kind() {
    let world = mk_world(WORLD_SEED);
    let questions = questions(&world, QUESTIONS_SEED);
    assert!(questions.len() > 5000, "{}", questions.len());
    let types: BTreeSet<&str> = questions.iter().map(|question| question.rtype).collect();
    for rtype in ["A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "NS", "SOA", "MX", "ANY", "HTTPS"] {
        assert!(types.contains(rtype), "{rtype}");
    }
    let kind = |question: &Question| match world.place(&question.labels()) {
        Place::Service(front, _) => format!("service {}", front.len().min(4)),
        Place::Pod(front) => format!("pod {}", front.len().min(1)),
        Place::Zone(_) => "zone".into(),
        Place::Reverse(address) => format!("reverse {}", address.is_some_and(|a| world.has_address(a))),
        Place::Outside => "outside".into(),
    };
    let kinds: BTreeSet<String> = questions.iter().map(kind).collect();
    let wanted = [
        "outside",
        "pod 0",
        "pod 1",
        "reverse false",
        "reverse true",
        "service 0",
        "service 1",
        "service 2",
        "service 3",
        "service 4",
        "zone",
    ];
    assert_eq!(kinds, wanted.map(String::from).into());
    let sizes: BTreeSet<_> = questions.iter().map(|question| question.edns).collect();
    assert_eq!(sizes, BTreeSet::from([None, Some(512), Some(1232), Some(4096)]));
    assert!(questions.iter().any(|question| question.tcp) && questions.iter().any(|q| !q.recursion));
    assert!(questions.iter().any(|question| question.name != question.name.to_ascii_lowercase()));
}

#[test]
fn aspects_differ_on_their_own() {
    let question = Question::plain("web.a.svc.cluster.local", "A");
    let reply = |header: &str, record: &str| Reply::written("web.a.svc.cluster.local. A", header, &[record]);
    let usual = reply("NOERROR qr aa rd", "answer: web.a.svc.cluster.local. 5 A 10.0.0.1");
    for (other, aspects) in [
        (usual.clone(), vec![]),
        (reply("NOERROR qr aa rd", "answer: web.a.svc.cluster.local. 5 A 10.0.0.2"), vec![Aspect::Content]),
        (reply("NOERROR qr aa rd", "answer: web.a.svc.cluster.local. 6 A 10.0.0.1"), vec![Aspect::Ttl]),
        (reply("NOERROR qr rd", "answer: web.a.svc.cluster.local. 5 A 10.0.0.1"), vec![Aspect::Flags]),
        (Reply { errors: Some(vec![0]), ..usual.clone() }, vec![Aspect::Edns]),
        (Reply { question: "WEB.a.svc.cluster.local. A".into(), ..usual.clone() }, vec![Aspect::Question]),
        (Reply { rcode: "NXDOMAIN".into(), ..usual.clone() }, vec![Aspect::Content]),
        (
            Reply {
                sections: [usual.sections[0].clone(), vec![], usual.sections[0].clone()],
                ..usual.clone()
            },
            vec![Aspect::Additional],
        ),
    ] {
        let pair = Pair { theirs: &usual, ours: &other };
        assert_eq!(pair.differences(&question, None), aspects, "{other}");
    }
}

#[test]
fn what_is_cut_short_is_compared_whole_and_must_be_part_of_it() {
    let question = Question::plain("web.a.svc.cluster.local", "A");
    let address = |number: u8| format!("answer: web.a.svc.cluster.local. 5 A 10.0.0.{number}");
    let reply = |header: &str, numbers: &[u8]| {
        let records: Vec<String> = numbers.iter().map(|number| address(*number)).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        Reply::written("web.a.svc.cluster.local. A", header, &records)
    };
    let whole = reply("NOERROR qr aa rd", &[1, 2, 3]);
    let pair_of_whole = Pair { theirs: &whole, ours: &whole };
    let differences =
        |theirs: &Reply, ours: &Reply| Pair { theirs, ours }.differences(&question, Some(pair_of_whole));
    let [one, two, foreign] =
        [&[1][..], &[1, 2], &[1, 9]].map(|numbers| reply("NOERROR qr aa rd tc", numbers));
    assert_eq!(differences(&one, &two), []);
    assert_eq!(differences(&one, &foreign), [Aspect::Truncation]);
    assert_eq!(differences(&one, &whole), [Aspect::Truncation]);
}

#[test]
fn names_of_addresses() {
    let [v4, v6] = ["10.77.0.1", "fd00:78:9::"].map(|address| address.parse().unwrap());
    assert_eq!((dashed(v4).as_str(), dashed(v6).as_str()), ("10-77-0-1", "fd00-78-9--0"));
    let world = mk_world(WORLD_SEED);
    for address in [v4, v6] {
        let name = reverse_name(address);
        assert!(matches!(world.place_of(&name), Place::Reverse(Some(found)) if found == address), "{name}");
    }
}
