//! From records to members, and to what is still to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bounds;
use super::place::Place;
use super::view::{Question, View};
use crate::wire::dso::Change;
use crate::wire::record::{Data, Record, Reply};
use crate::wire::{Name, rcode, rtype};

fn place() -> Place {
    Place::new("nginx", "default", "cluster.local").unwrap()
}

fn name(text: &str) -> Name {
    Name::from_text(text).unwrap()
}

fn member(host: &str) -> Name {
    Name::under(&[host.as_bytes()], &place().service).unwrap()
}

fn record(owner: &Name, data: Data) -> Record {
    let rtype = match &data {
        Data::Address(address) if address.is_ipv4() => rtype::A,
        Data::Address(_) => rtype::AAAA,
        Data::Srv { .. } => rtype::SRV,
        Data::Text(_) => rtype::TXT,
        Data::Name(_) => rtype::PTR,
        _ => panic!("no record of a peer: {data:?}"),
    };
    Record { owner: owner.clone(), rtype, ttl: 5, data: Some(data) }
}

fn address(text: &str) -> Data {
    Data::Address(text.parse().unwrap())
}

fn srv(host: &str, port: u16, weight: u16) -> Data {
    Data::Srv { target: member(host), port, order: (0, weight) }
}

fn txt(strings: &[&str]) -> Data {
    Data::Text(strings.iter().map(|string| string.as_bytes().into()).collect())
}

fn reply(answer: Vec<Record>) -> Reply {
    let rcode = if answer.is_empty() { rcode::NXDOMAIN } else { rcode::NOERROR };
    let (errors, additional) = (Vec::new(), Vec::new());
    Reply { id: 1, question: None, rcode, authoritative: true, truncated: false, errors, answer, additional }
}

/// The service's own records, as they are answered.
fn mk_view(members: &[(&str, &str)]) -> View {
    let place = place();
    let mut view = View::new(place.clone());
    let weight = 100 / u16::try_from(members.len()).unwrap();
    let services = members.iter().map(|(host, _)| record(&place.service, srv(host, 80, weight))).collect();
    view.answer(&(place.service.clone(), rtype::SRV), &reply(services));
    for kind in [rtype::A, rtype::AAAA] {
        let records = members.iter().map(|(_, text)| record(&place.service, address(text)));
        let records = records.filter(|record| record.rtype == kind).collect();
        view.answer(&(place.service.clone(), kind), &reply(records));
    }
    view
}

/// Answers what is wanted, as a server would with these members; how many questions that took.
fn answer_all(view: &mut View, members: &[(&str, &str)]) -> usize {
    let wanted = view.wanted();
    for question in &wanted {
        let (owner, kind) = question;
        let records = members.iter().filter(|(host, _)| member(host) == *owner);
        let records = records.map(|(_, text)| record(owner, address(text)));
        view.answer(question, &reply(records.filter(|record| record.rtype == *kind).collect()));
    }
    wanted.len()
}

fn told(view: &View) -> Vec<(String, Vec<String>)> {
    let addresses = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect();
    view.members().iter().map(|peer| (peer.host.clone(), addresses(&peer.addresses))).collect()
}

fn expected(members: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    members.iter().map(|(host, addresses)| ((*host).to_owned(), owned(addresses))).collect()
}

const TWO: &[(&str, &str)] = &[("web-0", "10.0.0.1"), ("web-1", "10.0.0.2")];

#[test]
fn members_are_the_targets_of_srv_with_their_addresses() {
    let mut view = mk_view(TWO);
    assert!(view.members().is_empty(), "whose address is whose is not known yet");
    assert_eq!(answer_all(&mut view, TWO), 4);
    assert!(view.wanted().is_empty());
    assert_eq!(told(&view), expected(&[("web-0", &["10.0.0.1"]), ("web-1", &["10.0.0.2"])]));
    let peer = &view.members()[1];
    assert_eq!(peer.name, "web-1.nginx.default.svc.cluster.local");
    assert_eq!((peer.ports.as_slice(), peer.ready, peer.ordinal), (&[80][..], true, Some(1)));
}

#[test]
fn both_families_are_one_members() {
    let members = [("web-0", "10.0.0.1"), ("web-0", "fd00::1")];
    let mut view = mk_view(&members);
    answer_all(&mut view, &members);
    assert_eq!(told(&view), expected(&[("web-0", &["10.0.0.1", "fd00::1"])]));
}

#[test]
fn glue_spares_the_questions_where_it_is_whole() {
    let place = place();
    let question = (place.service.clone(), rtype::SRV);
    let mut whole = reply(vec![
        record(&place.service, srv("web-0", 80, 50)),
        record(&place.service, srv("web-1", 80, 50)),
    ]);
    whole.additional = TWO.iter().map(|(host, text)| record(&member(host), address(text))).collect();
    let mut view = mk_view(TWO);
    view.answer(&question, &whole);
    assert!(view.wanted().is_empty());
    // Only some of it fitted.
    whole.additional.pop();
    let mut view = mk_view(TWO);
    view.answer(&question, &whole);
    assert_eq!(view.wanted(), [(member("web-1"), rtype::A), (member("web-1"), rtype::AAAA)]);
}

#[test]
fn one_more_replica_costs_two_questions() {
    let mut view = mk_view(TWO);
    answer_all(&mut view, TWO);
    // As rollcall pushes it: every weight changes, what is added stands first.
    let service = &place().service;
    for change in [
        Change::Add(record(service, srv("web-0", 80, 33))),
        Change::Add(record(service, srv("web-1", 80, 33))),
        Change::Add(record(service, srv("web-2", 80, 33))),
        Change::Add(record(service, address("10.0.0.3"))),
        Change::Remove(record(service, srv("web-0", 80, 50))),
        Change::Remove(record(service, srv("web-1", 80, 50))),
    ] {
        view.push(&change);
        assert!(view.members().len() >= 2, "{change:?}");
    }
    let three = [TWO[0], TWO[1], ("web-2", "10.0.0.3")];
    assert_eq!(answer_all(&mut view, &three), 2);
    assert_eq!(told(&view).len(), 3);
}

#[test]
fn a_replica_that_comes_back_elsewhere_is_asked_for_again() {
    let mut view = mk_view(TWO);
    answer_all(&mut view, TWO);
    let service = &place().service;
    view.push(&Change::Add(record(service, address("10.0.0.9"))));
    view.push(&Change::Remove(record(service, address("10.0.0.2"))));
    assert_eq!(view.wanted(), [(member("web-1"), rtype::A), (member("web-1"), rtype::AAAA)]);
    answer_all(&mut view, &[TWO[0], ("web-1", "10.0.0.9")]);
    assert_eq!(told(&view), expected(&[("web-0", &["10.0.0.1"]), ("web-1", &["10.0.0.9"])]));
}

#[test]
fn an_address_that_is_nobodys_is_asked_of_all() {
    let mut view = mk_view(TWO);
    answer_all(&mut view, TWO);
    view.push(&Change::Add(record(&place().service, address("fd00::2"))));
    assert_eq!(view.wanted().len(), 4);
    answer_all(&mut view, &[TWO[0], TWO[1], ("web-1", "fd00::2")]);
    assert_eq!(told(&view)[1], expected(&[("web-1", &["10.0.0.2", "fd00::2"])])[0]);
    assert!(view.wanted().is_empty());
}

#[test]
fn a_name_that_gives_no_address_keeps_those_it_had_while_its_srv_stands() {
    let mut view = mk_view(TWO);
    answer_all(&mut view, TWO);
    view.push(&Change::Remove(record(&place().service, address("10.0.0.2"))));
    // It is about to go: its name is gone, its SRV record is on its way.
    assert_eq!(answer_all(&mut view, &TWO[..1]), 2);
    assert_eq!(told(&view).len(), 2);
    view.push(&Change::Remove(record(&place().service, srv("web-1", 80, 50))));
    assert!(view.wanted().is_empty());
    assert_eq!(told(&view), expected(&[("web-0", &["10.0.0.1"])]));
}

#[test]
fn whole_sets_are_removed_by_type_and_by_name() {
    let service = &place().service;
    let mut view = mk_view(&[("web-0", "10.0.0.1"), ("web-0", "fd00::1")]);
    view.push(&Change::RemoveAll(service.clone(), rtype::AAAA));
    answer_all(&mut view, &[("web-0", "10.0.0.1")]);
    assert_eq!(told(&view), expected(&[("web-0", &["10.0.0.1"])]));
    view.push(&Change::RemoveAll(member("web-0"), rtype::ANY));
    assert!(!view.is_empty(), "another name's");
    view.push(&Change::RemoveAll(service.clone(), rtype::ANY));
    assert!(view.is_empty() && view.members().is_empty() && view.wanted().is_empty());
}

#[test]
fn a_service_without_ports_is_named_by_its_addresses() {
    let place = place();
    let mut view = View::new(place.clone());
    for text in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        view.push(&Change::Add(record(&place.service, address(text))));
    }
    let wanted = view.wanted();
    assert_eq!(wanted[0], (name("1.0.0.10.in-addr.arpa"), rtype::PTR));
    // Of several names that below the service; of none, the address.
    let pointer = |owner: &Question, to: Name| record(&owner.0, Data::Name(to));
    let two = vec![
        pointer(&wanted[0], name("x.other.default.svc.cluster.local")),
        pointer(&wanted[0], member("web-0")),
    ];
    view.answer(&wanted[0], &reply(two));
    view.answer(&wanted[1], &reply(vec![pointer(&wanted[1], name("x.other.default.svc.cluster.local"))]));
    view.answer(&wanted[2], &reply(Vec::new()));
    assert!(view.wanted().is_empty());
    let addressed = [("10.0.0.2", &["10.0.0.2"][..]), ("10.0.0.3", &["10.0.0.3"]), ("web-0", &["10.0.0.1"])];
    assert_eq!(told(&view), expected(&addressed));
    assert!(view.members()[2].ports.is_empty());
}

#[test]
fn a_service_with_an_address_of_its_own_is_its_own_peer() {
    let service = place().service;
    let mut view = View::new(place());
    let own = Data::Srv { target: service.clone(), port: 80, order: (0, 100) };
    view.push(&Change::Add(record(&service, own)));
    view.push(&Change::Add(record(&service, address("10.96.0.7"))));
    assert!(view.wanted().is_empty());
    assert_eq!(told(&view), expected(&[("nginx", &["10.96.0.7"])]));
}

#[test]
fn names_that_are_no_hosts_reach_nobody() {
    let place = place();
    let odd = Name::from_message(b"\x0aweb-0\n;$(x\x05nginx\x07default\x03svc\x07cluster\x05local\x00", 0)
        .unwrap()
        .0;
    assert!(odd.is_within(&place.service));
    let mut view = mk_view(TWO);
    answer_all(&mut view, TWO);
    view.push(&Change::Add(record(
        &place.service,
        Data::Srv { target: odd.clone(), port: 80, order: (0, 50) },
    )));
    view.push(&Change::Add(record(&place.service, address("10.0.0.3"))));
    view.answer(&(odd.clone(), rtype::A), &reply(vec![record(&odd, address("10.0.0.3"))]));
    assert_eq!(told(&view).len(), 2);
    view.push(&Change::Add(record(&place.sets, txt(&["name=web\n;", "replicas=3"]))));
    assert_eq!(view.expected(&view.members()), (Some(3), Vec::new()));
}

#[test]
fn hosts_elsewhere_are_nobodys_peers() {
    let (place, root) = (place(), Name::from_message(b"\0", 0).unwrap().0);
    let mut view = mk_view(TWO);
    for target in [root.clone(), name("web-0.elsewhere"), name("a.web-0.nginx.default.svc.cluster.local")] {
        let data = Data::Srv { target: target.clone(), port: 80, order: (0, 50) };
        view.push(&Change::Add(record(&place.service, data)));
        view.answer(&(target.clone(), rtype::A), &reply(vec![record(&target, address("10.0.0.1"))]));
    }
    assert_eq!(answer_all(&mut view, TWO), 4, "nobody elsewhere is asked for");
    assert!(view.wanted().is_empty());
    assert_eq!(told(&view), expected(&[("web-0", &["10.0.0.1"]), ("web-1", &["10.0.0.2"])]));
    // And where there is nobody else, nobody is there.
    let mut view = View::new(place.clone());
    let data = Data::Srv { target: root.clone(), port: 0, order: (0, 0) };
    view.push(&Change::Add(record(&place.service, data)));
    view.answer(&(root.clone(), rtype::A), &reply(vec![record(&root, address("10.0.0.1"))]));
    assert_eq!((view.wanted(), view.members()), (Vec::new(), Vec::new()));
}

#[test]
fn a_truncated_answer_replaces_nothing() {
    let mut view = mk_view(TWO);
    answer_all(&mut view, TWO);
    let cut = Reply { truncated: true, ..reply(vec![record(&place().service, srv("web-0", 80, 50))]) };
    view.answer(&(place().service, rtype::SRV), &cut);
    assert_eq!(told(&view).len(), 2);
}

#[test]
fn who_is_missing_is_told_by_the_sets() {
    let place = place();
    let mut view = mk_view(TWO);
    answer_all(&mut view, TWO);
    assert_eq!(view.expected(&view.members()), (None, Vec::new()));
    let one = txt(&["name=web", "replicas=3", "start=0", "ready=2"]);
    view.push(&Change::Add(record(&place.sets, one.clone())));
    view.push(&Change::Add(record(&place.sets, txt(&["name=db", "future", "replicas=1", "start=5"]))));
    view.push(&Change::Add(record(&place.sets, txt(&["name=none", "replicas=many"]))));
    let (count, missing) = view.expected(&view.members());
    let hosts: Vec<(&str, bool)> = missing.iter().map(|peer| (peer.host.as_str(), peer.ready)).collect();
    assert_eq!((count, hosts), (Some(4), vec![("db-5", false), ("web-2", false)]));
    assert_eq!(missing[1].name, "web-2.nginx.default.svc.cluster.local");
    view.push(&Change::Remove(record(&place.sets, one)));
    assert_eq!(view.expected(&view.members()).0, Some(1));
}

#[test]
fn how_many_of_a_set_are_ready_is_no_news() {
    let Place { service, sets, .. } = place();
    let mut view = mk_view(TWO);
    let ready = |ready: &str, replicas: &str| record(&sets, txt(&["name=web", replicas, ready]));
    let (one, two, more) =
        (ready("ready=1", "replicas=2"), ready("ready=2", "replicas=2"), ready("ready=2", "replicas=3"));
    assert!(view.hear(&[Change::Add(one.clone())]));
    assert!(!view.hear(&[Change::Add(two.clone()), Change::Remove(one.clone())]));
    assert!(view.hear(&[Change::Add(more.clone()), Change::Remove(two)]));
    assert_eq!(view.expected(&view.members()).0, Some(3));
    // Beside an address, or without any set.
    assert!(view.hear(&[Change::Add(record(&service, address("10.0.0.9"))), Change::Add(more.clone())]));
    assert!(view.hear(&[Change::Remove(more)]));
    assert!(!view.hear(&[Change::Remove(one)]));
}

/// A cluster's members, and what its server would say.
#[derive(Clone, Default)]
struct Cluster(BTreeMap<String, BTreeSet<IpAddr>>);

impl Cluster {
    /// The service's own records.
    fn records(&self) -> Vec<Record> {
        let service = &place().service;
        let weight = 100 / u16::try_from(self.0.len().max(1)).unwrap();
        let services = self.0.keys().map(|host| record(service, srv(host, 80, weight)));
        let addresses = self.0.values().flatten().map(|address| record(service, Data::Address(*address)));
        services.chain(addresses).collect()
    }

    /// Somebody comes, goes, or has other addresses; no address is ever another's.
    fn change(&mut self, random: &mut fastrand::Rng, next: &mut u32) {
        let host = format!("web-{}", random.u32(..5));
        if random.u32(..3) == 0 {
            self.0.remove(&host);
            return;
        }
        let mut addresses = BTreeSet::new();
        for _ in 0..random.u32(1..3) {
            *next += 1;
            let v6 = Ipv6Addr::from(u128::from(*next) | 0xfd << 120);
            addresses.insert(if random.bool() { Ipv4Addr::from(*next).into() } else { IpAddr::from(v6) });
        }
        self.0.insert(host, addresses);
    }

    fn answer(&self, view: &mut View) {
        for question in view.wanted() {
            let (owner, kind) = &question;
            let host = String::from_utf8(owner.first_label().to_vec()).unwrap();
            let addresses = self.0.get(&host).into_iter().flatten();
            let records = addresses.map(|address| record(owner, Data::Address(*address)));
            view.answer(&question, &reply(records.filter(|record| record.rtype == *kind).collect()));
        }
    }
}

/// What is pushed is what differs, what is added first, in pieces between which we ask; the answers are of a server that
/// is further on already. Whenever all of it has come, the members are the cluster's.
#[test]
fn whatever_is_pushed_the_members_are_those_of_the_cluster_at_last() {
    for seed in 0..300 {
        let (mut random, mut next) = (fastrand::Rng::with_seed(seed), 0);
        let (mut cluster, mut view) = (Cluster::default(), View::new(place()));
        for step in 0..12 {
            let before = cluster.records();
            for _ in 0..random.u32(1..4) {
                cluster.change(&mut random, &mut next);
            }
            let after = cluster.records();
            let added = after.iter().filter(|record| !before.contains(record)).cloned().map(Change::Add);
            let gone = before.iter().filter(|record| !after.contains(record)).cloned().map(Change::Remove);
            let changes: Vec<Change> = if after.is_empty() {
                vec![Change::RemoveAll(place().service, rtype::ANY)]
            } else {
                added.chain(gone).collect()
            };
            for change in &changes {
                view.push(change);
                if random.u32(..4) == 0 {
                    cluster.answer(&mut view);
                }
            }
            for _ in 0..3 {
                cluster.answer(&mut view);
            }
            assert!(view.wanted().is_empty(), "seed {seed}, step {step}");
            let members: BTreeMap<String, BTreeSet<IpAddr>> = view
                .members()
                .into_iter()
                .map(|peer| (peer.host, peer.addresses.into_iter().collect()))
                .collect();
            assert_eq!(members, cluster.0, "seed {seed}, step {step}");
        }
    }
}

/// Addresses 10.0.0.0 and so on.
fn many(count: u32) -> impl Iterator<Item = Data> {
    (0..count).map(|n| Data::Address(Ipv4Addr::from_bits(0x0a00_0000 + n).into()))
}

fn pushed(view: &mut View, owner: &Name, data: impl IntoIterator<Item = Data>) {
    data.into_iter().for_each(|data| view.push(&Change::Add(record(owner, data))));
    view.take_over();
}

/// Makes the record of a number.
type Make<'m> = &'m dyn Fn(u32) -> Data;

#[test]
fn a_server_that_says_without_end_fills_nothing() {
    let most = u32::try_from(bounds::RECORDS).unwrap();
    let (service, sets) = (place().service, place().sets);
    let srv_to = |n: u32| srv("web-0", u16::try_from(n).unwrap(), 1);
    let text = |n: u32| txt(&[&format!("name={n}"), "replicas=4000000000"]);
    let of_sets = u32::try_from(bounds::SETS).unwrap();
    let address_of = |n: u32| Data::Address(Ipv4Addr::from_bits(0x0a00_0000 + n).into());
    let kinds: [(&Name, u32, Make<'_>); 3] =
        [(&service, most, &srv_to), (&service, most, &address_of), (&sets, of_sets, &text)];
    for (owner, most, data) in kinds {
        let mut view = View::new(place());
        pushed(&mut view, owner, (0..most).map(data));
        assert_eq!(view.excess(), None);
        // One that is there already is none more.
        pushed(&mut view, owner, [data(0)]);
        assert_eq!(view.excess(), None);
        pushed(&mut view, owner, [data(most)]);
        assert!(view.excess().is_some(), "{owner}");
    }
    let mut view = View::new(place());
    let strings = vec![""; bounds::STRINGS + 1];
    pushed(&mut view, &sets, [txt(&strings)]);
    assert!(view.excess().is_some());
    // Of who answers as well.
    let mut view = mk_view(&[("web-0", "10.0.0.1")]);
    let own = (member("web-0"), rtype::A);
    let records = |count| many(count).map(|data| record(&own.0, data)).collect();
    view.answer(&own, &reply(records(64)));
    assert_eq!(view.excess(), None);
    view.answer(&own, &reply(records(65)));
    assert!(view.excess().is_some());
    // And beside its SRV record; of names that are no targets nothing is kept.
    let mut view = mk_view(&[("web-0", "10.0.0.1")]);
    let srv_question = (service.clone(), rtype::SRV);
    let answer = vec![record(&service, srv("web-0", 80, 1))];
    let other = member("other");
    let glue: Vec<Record> = many(65).map(|data| record(&other, data)).collect();
    view.answer(&srv_question, &Reply { additional: glue, ..reply(answer.clone()) });
    assert_eq!(view.excess(), None);
    view.answer(&srv_question, &Reply { additional: records(65), ..reply(answer) });
    assert!(view.excess().is_some());
}

#[test]
fn replicas_without_end_are_not_all_named() {
    let mut view = mk_view(&[("web-0", "10.0.0.1")]);
    let texts = (0..64).map(|n| txt(&[&format!("name=s{n}"), "replicas=18446744073709551615"]));
    pushed(&mut view, &place().sets, texts);
    let (expected, missing) = view.expected(&view.members());
    assert_eq!((expected, missing.len()), (Some(u64::MAX), bounds::MISSING));
}

/// Two exchange their addresses, and nothing of the service's own changes.
#[test]
fn a_member_whose_name_is_followed_is_known_without_a_question() {
    let mut view = mk_view(&[("web-0", "10.0.0.1"), ("web-1", "10.0.0.2")]);
    assert!(answer_all(&mut view, &[("web-0", "10.0.0.1"), ("web-1", "10.0.0.2")]) > 0);
    let both = [member("web-0"), member("web-1")];
    assert_eq!(view.to_follow(2), both.iter().cloned().collect());
    assert!(view.to_follow(1).is_empty(), "more than that are not worth it");
    both.iter().for_each(|member| view.follow(member));
    for (name, text) in both.iter().zip(["10.0.0.1", "10.0.0.2"]) {
        pushed(&mut view, name, [address(text)]);
    }
    assert!(view.wanted().is_empty());
    for (name, [add, remove]) in both.iter().zip([["10.0.0.2", "10.0.0.1"], ["10.0.0.1", "10.0.0.2"]]) {
        view.push(&Change::Add(record(name, address(add))));
        view.push(&Change::Remove(record(name, address(remove))));
        view.take_over();
    }
    assert!(view.wanted().is_empty());
    let addresses: Vec<IpAddr> = view.members().iter().flat_map(|peer| peer.addresses.clone()).collect();
    assert_eq!(addresses, ["10.0.0.2", "10.0.0.1"].map(|text| text.parse::<IpAddr>().unwrap()));
    // That one has none is believed when its SRV record is gone; one that is followed no longer is nobody's matter.
    view.push(&Change::RemoveAll(both[0].clone(), rtype::ANY));
    view.unfollow(&both[1]);
    view.push(&Change::RemoveAll(both[1].clone(), rtype::ANY));
    view.take_over();
    assert_eq!(view.members().len(), 2);
}

/// The same of a service without ports, where pointers say who is who.
#[test]
fn pointers_are_asked_for_again_where_a_member_says_otherwise() {
    let mut view = View::new(place());
    pushed(&mut view, &place().service, ["10.0.0.1", "10.0.0.2"].map(address));
    let pointers = |view: &mut View, names: [&str; 2]| {
        for (question, _) in view.wanted().into_iter().zip(0..) {
            let is_first = question.0.to_string().starts_with("1.");
            let name = Data::Name(member(names[usize::from(!is_first)]));
            view.answer(&question, &reply(vec![record(&question.0, name)]));
        }
    };
    pointers(&mut view, ["web-0", "web-1"]);
    assert!(view.wanted().is_empty());
    let both = [member("web-0"), member("web-1")];
    assert_eq!(view.to_follow(2), both.iter().cloned().collect());
    both.iter().for_each(|member| view.follow(member));
    for (name, text) in both.iter().zip(["10.0.0.1", "10.0.0.2"]) {
        pushed(&mut view, name, [address(text)]);
    }
    assert!(view.wanted().is_empty(), "they say the same");
    view.push(&Change::Add(record(&both[0], address("10.0.0.2"))));
    view.push(&Change::Remove(record(&both[0], address("10.0.0.1"))));
    view.take_over();
    assert_eq!(view.wanted().len(), 2);
    pointers(&mut view, ["web-1", "web-0"]);
    let first = view.members().into_iter().find(|peer| peer.host == "web-0").unwrap();
    assert_eq!(first.addresses, ["10.0.0.2".parse::<IpAddr>().unwrap()]);
}
