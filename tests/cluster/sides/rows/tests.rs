//! Pairs of replies as they were recorded, and the row that each belongs to; and pairs that must belong to
//! none.

use std::sync::OnceLock;

use super::super::WORLD_SEED;
use super::super::ask::Question;
use super::super::compare::Pair;
use super::super::generate::world;
use super::super::objects::World;
use super::super::reply::Reply;
use super::{Case, Via, covering};

const SOA: &str =
    "authority: cluster.local. 30 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7200 1800 86400";
const OUR_SOA: &str =
    "authority: cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7200 1800 86400";
const NO_TIME: &str =
    "authority: cluster.local. 0 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7200 1800 86400";

fn mk_world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| world(&["a", "b", "c", "empty"].map(String::from), WORLD_SEED))
}

/// `NXDOMAIN aa` and records, or `NOERROR aa tc`.
type Written<'a> = (&'a str, &'a [&'a str]);

/// The rows of each aspect that differs.
fn rows_of(
    name: &str,
    rtype: &'static str,
    via: Via,
    theirs: Written<'_>,
    ours: Written<'_>,
) -> Vec<Vec<&'static str>> {
    let (world, question) = (mk_world(), Question::plain(name, rtype));
    let [theirs, ours] = [theirs, ours].map(|(header, records)| {
        Reply::written(&format!("{name}. {rtype}"), &format!("{header} qr rd"), records)
    });
    let labels = question.labels();
    let place = world.place(&labels);
    let pair = Pair { theirs: &theirs, ours: &ours };
    let case = |aspect| {
        covering(&Case {
            world,
            question: &question,
            place: &place,
            via,
            aspect,
            theirs: &theirs,
            ours: &ours,
            whole: None,
        })
    };
    pair.differences(&question, None).into_iter().map(case).collect()
}

/// Asserts that every aspect that differs has one row, and which these are.
#[track_caller]
fn is_listed(name: &str, rtype: &'static str, theirs: Written<'_>, ours: Written<'_>, rows: &[&'static str]) {
    let found = rows_of(name, rtype, Via::Stub, theirs, ours);
    assert_eq!(found, rows.iter().map(|row| vec![*row]).collect::<Vec<_>>(), "{name} {rtype}");
}

/// Asserts that the first aspect that differs has no row.
#[track_caller]
fn is_a_fault(name: &str, rtype: &'static str, theirs: Written<'_>, ours: Written<'_>) {
    assert_eq!(rows_of(name, rtype, Via::Stub, theirs, ours).first(), Some(&Vec::new()), "{name} {rtype}");
}

#[test]
fn what_is_alike_has_no_row() {
    let answer = [
        "answer: packet-4.a.svc.cluster.local. 5 A 10.0.0.1",
        "answer: packet-4.a.svc.cluster.local. 5 A 10.0.0.2",
    ];
    let turned = [answer[1], answer[0]];
    let rows = rows_of(
        "packet-4.a.svc.cluster.local",
        "A",
        Via::Stub,
        ("NOERROR aa", &answer),
        ("NOERROR aa", &turned),
    );
    assert_eq!(rows, Vec::<Vec<&str>>::new());
}

#[test]
fn times_to_live_are_listed_within_their_bounds() {
    let name = "packet-4.a.svc.cluster.local";
    let answer = |ttl: u32| format!("answer: {name}. {ttl} A 10.0.0.1");
    is_listed(name, "A", ("NOERROR aa", &[&answer(30)]), ("NOERROR aa", &[&answer(5)]), &["ttl"]);
    is_a_fault(name, "A", ("NOERROR aa", &[&answer(30)]), ("NOERROR aa", &[&answer(6)]));
    let missing = "half-1.half.a.svc.cluster.local";
    is_listed(missing, "A", ("NXDOMAIN aa", &[SOA]), ("NXDOMAIN aa", &[NO_TIME]), &["ttl-expected"]);
    is_a_fault(missing, "A", ("NXDOMAIN aa", &[SOA]), ("NXDOMAIN aa", &[OUR_SOA]));
    // Not a replica of the set: denied for the usual time, and never for none.
    let beyond = "half-9.half.a.svc.cluster.local";
    is_listed(beyond, "A", ("NXDOMAIN aa", &[SOA]), ("NXDOMAIN aa", &[OUR_SOA]), &["ttl"]);
    is_a_fault(beyond, "A", ("NXDOMAIN aa", &[SOA]), ("NXDOMAIN aa", &[NO_TIME]));
}

#[test]
fn a_missing_or_foreign_address_is_a_fault() {
    let name = "packet-4.a.svc.cluster.local";
    let (one, two) = (format!("answer: {name}. 5 A 10.0.0.1"), format!("answer: {name}. 5 A 10.0.0.2"));
    is_a_fault(name, "A", ("NOERROR aa", &[&one, &two]), ("NOERROR aa", &[&one]));
    is_a_fault(name, "A", ("NOERROR aa", &[&one]), ("NOERROR aa", &[&one, &two]));
    is_a_fault(name, "A", ("NOERROR aa", &[&one]), ("NXDOMAIN aa", &[SOA]));
    is_a_fault(name, "A", ("NOERROR aa", &[&one]), ("SERVFAIL", &[]));
    is_a_fault(name, "A", ("NOERROR aa", &[&one]), ("NOERROR", &[&one]));
}

#[test]
fn an_empty_non_terminal_is_listed_and_a_host_is_not() {
    let (theirs, ours): (Written<'_>, Written<'_>) = (("NXDOMAIN aa", &[SOA]), ("NOERROR aa", &[OUR_SOA]));
    is_listed("_tcp.packet-4.a.svc.cluster.local", "A", theirs, ours, &["empty-non-terminal", "ttl"]);
    is_listed("dns.cluster.local", "SRV", theirs, ours, &["empty-non-terminal", "ttl"]);
    is_a_fault("x.packet-4.a.svc.cluster.local", "A", theirs, ours);
    is_a_fault("nowhere.svc.cluster.local", "A", theirs, ours);
}

#[test]
fn weights_are_listed_and_other_ports_are_not() {
    let name = "virtual.a.svc.cluster.local";
    let srv =
        |ttl: u32, weight: u32, port: u16| format!("answer: {name}. {ttl} SRV 0 {weight} {port} {name}.");
    let theirs = [srv(30, 50, 80)];
    let theirs: Written<'_> = ("NOERROR aa", &theirs.each_ref().map(|record| record.as_str()));
    is_listed(name, "SRV", theirs, ("NOERROR aa", &[&srv(5, 100, 80)]), &["srv-weight"]);
    is_a_fault(name, "SRV", theirs, ("NOERROR aa", &[&srv(5, 100, 81)]));
    is_a_fault(name, "SRV", theirs, ("NOERROR aa", &[&srv(5, 99, 80)]));
}

#[test]
fn addresses_of_ports_are_listed_and_of_services_are_not() {
    let answer = |name: &str| format!("answer: {name}. 30 A 10.0.0.1");
    let (port, service) = ("_http._tcp.packet-4.a.svc.cluster.local", "packet-4.a.svc.cluster.local");
    is_listed(port, "A", ("NOERROR aa", &[&answer(port)]), ("NOERROR aa", &[OUR_SOA]), &["port-addresses"]);
    is_a_fault(service, "A", ("NOERROR aa", &[&answer(service)]), ("NOERROR aa", &[OUR_SOA]));
    // CoreDNS takes a port without its underscores; ours denies that, and nothing else.
    let bare = "http.tcp.packet-4.a.svc.cluster.local";
    is_listed(
        bare,
        "A",
        ("NOERROR aa", &[&answer(bare)]),
        ("NXDOMAIN aa", &[OUR_SOA]),
        &["port-underscores"],
    );
    is_a_fault(port, "A", ("NOERROR aa", &[&answer(port)]), ("NXDOMAIN aa", &[OUR_SOA]));
}

#[test]
fn aliases_are_listed_by_what_they_lead_to() {
    let alias = |name: &str, target: &str| format!("answer: {name}.a.svc.cluster.local. 5 CNAME {target}");
    let unknown = alias("to-unknown", "no-such.a.svc.cluster.local.");
    let denied: Written<'_> = ("NXDOMAIN aa", &[&unknown, OUR_SOA]);
    is_listed(
        "to-unknown.a.svc.cluster.local",
        "A",
        ("NOERROR aa", &[SOA]),
        denied,
        &["alias-negative", "ttl"],
    );
    is_listed(
        "to-unknown.a.svc.cluster.local",
        "HTTPS",
        ("NOERROR aa", &[SOA]),
        denied,
        &["alias-types", "ttl"],
    );
    // CoreDNS has an address at the end, ours does not.
    let (service, target) =
        (alias("to-service", "packet-6.a.svc.cluster.local."), "packet-6.a.svc.cluster.local.");
    let address = format!("answer: {target} 5 A 10.0.0.1");
    let name = "to-service.a.svc.cluster.local";
    is_a_fault(name, "A", ("NOERROR aa", &[&service, &address]), ("NOERROR aa", &[&service, OUR_SOA]));
    let broken = alias("external-broken", "broken.upstream.test.");
    let name = "external-broken.a.svc.cluster.local";
    is_listed(name, "A", ("NOERROR aa", &[&broken]), ("SERVFAIL", &[]), &["alias-failed", "alias-failed"]);
    is_a_fault(
        "to-service.a.svc.cluster.local",
        "A",
        ("NOERROR aa", &[&service, &address]),
        ("SERVFAIL", &[]),
    );
}

#[test]
fn names_that_are_not_ours_are_listed_for_direct_questions_only() {
    let theirs: Written<'_> = ("NOERROR aa", &["answer: www.upstream.test. 20 A 198.51.100.1"]);
    let rows = rows_of("www.upstream.test", "A", Via::Direct, theirs, ("REFUSED", &[]));
    assert_eq!(rows, [["outside"], ["outside"]], "the RCODE, and AA");
    is_a_fault("www.upstream.test", "A", theirs, ("REFUSED", &[]));
    is_a_fault("www.upstream.test", "A", theirs, ("NXDOMAIN aa", &[SOA]));
}

#[test]
fn pointers_are_listed_by_the_objects_they_come_from() {
    let world = mk_world();
    let endpoint_of = |service: &str| {
        let slice = world.slices.iter().find(|slice| slice.service.as_deref() == Some(service)).unwrap();
        super::super::objects::reverse_name(slice.endpoints[0].ip().unwrap())
    };
    let pointer = |name: &str, target: &str| format!("answer: {name}. 5 PTR {target}.a.svc.cluster.local.");
    let orphan = endpoint_of("ghost");
    let theirs = pointer(&orphan, "host.ghost");
    is_listed(&orphan, "PTR", ("NOERROR aa", &[&theirs]), ("NXDOMAIN aa", &[]), &["orphan-slice"]);
    let known = endpoint_of("packet-4");
    let theirs = pointer(&known, "host-0.packet-4");
    is_a_fault(&known, "PTR", ("NOERROR aa", &[&theirs]), ("NXDOMAIN aa", &[]));
    is_listed(&known, "A", ("NXDOMAIN aa", &[]), ("NOERROR aa", &[]), &["reverse-types"]);
}

#[test]
fn names_beside_the_specification_are_listed_where_they_are() {
    let set = mk_world().sets.first().unwrap();
    let name = format!("{}.{}._statefulset.cluster.local", set.service, set.namespace);
    let text = format!("answer: {name}. 5 TXT \"name={}\"", set.name);
    let denied: Written<'_> = ("NXDOMAIN aa", &[SOA]);
    is_listed(&name, "TXT", denied, ("NOERROR aa", &[&text]), &["statefulset-names"]);
    is_listed(&name, "A", denied, ("NOERROR aa", &[OUR_SOA]), &["statefulset-names", "ttl"]);
    is_listed(
        "a._statefulset.cluster.local",
        "A",
        denied,
        ("NOERROR aa", &[OUR_SOA]),
        &["statefulset-names", "ttl"],
    );
    is_a_fault(&name, "TXT", denied, ("NOERROR aa", &[OUR_SOA]));
    is_a_fault("no-such.a._statefulset.cluster.local", "TXT", denied, ("NOERROR aa", &[&text]));
    let push = "_dns-push-tls._tcp.cluster.local";
    let srv = format!("answer: {push}. 5 SRV 0 0 853 ns.dns.cluster.local.");
    is_listed(push, "SRV", denied, ("NOERROR aa", &[&srv]), &["push-name"]);
    is_listed("_tcp.cluster.local", "A", denied, ("NOERROR aa", &[OUR_SOA]), &["push-name", "ttl"]);
    is_a_fault("_udp.cluster.local", "A", denied, ("NOERROR aa", &[OUR_SOA]));
}
