//! What a subscriber is told: what is there, and then what differs.

use rollcall::cluster::ObjectName;
use rollcall::model::ServiceShape;
use rollcall::zone::Freshness;

use super::{A, AAAA, ANY, CNAME, PTR, Pushing, SRV, TXT, headless, service, set, slice};
use crate::support::push::{Change, UNSUBSCRIBE, View, apply, message};

const WEB: &str = "web.default.svc.cluster.local";

/// Changes as text: `+` or `-`, the owner's first label, the type, the last four octets of the data.
fn texts(changes: &[Change]) -> Vec<String> {
    let text = |change: &Change| {
        let sign = match change.ttl {
            0xffff_ffff => "-".to_owned(),
            0xffff_fffe => "--".to_owned(),
            ttl => format!("+{ttl}"),
        };
        let first = change.owner.split('.').next().unwrap();
        let data: Vec<String> = change.data.iter().rev().take(4).rev().map(u8::to_string).collect();
        format!("{sign} {first} {} {}", change.rtype, data.join("."))
    };
    changes.iter().map(text).collect()
}

#[test]
fn what_is_there_comes_behind_the_response_and_then_what_differs() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1", "10.0.0.2", "10.0.0.3"])]);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    let changes = client.changes();
    assert_eq!(changes[0].owner, format!("{WEB}."));
    assert_eq!(texts(&changes), ["+5 web 1 10.0.0.1", "+5 web 1 10.0.0.2", "+5 web 1 10.0.0.3"]);
    pushing.apply([slice("web", &["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5"])]);
    // What is added comes first.
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.4", "+5 web 1 10.0.0.5", "- web 1 10.0.0.3"]);
    // The same again is nothing; nor is another service.
    pushing.apply([slice("web", &["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5"])]);
    pushing.apply([headless("other"), slice("other", &["10.0.1.1"])]);
    client.hears_nothing();
    // All of them are gone in one message; and one appears.
    pushing.apply([slice("web", &[])]);
    let gone = ["- web 1 10.0.0.1", "- web 1 10.0.0.2", "- web 1 10.0.0.4", "- web 1 10.0.0.5"];
    assert_eq!(texts(&client.changes()), gone);
    pushing.apply([slice("web", &["10.0.0.9"])]);
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.9"]);
}

#[test]
fn a_name_that_is_not_there_yet_is_told_of_when_it_appears() {
    let mut pushing = Pushing::start();
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, "Web-1.WEB.default.svc.cluster.local", A), 0);
    assert_eq!(client.subscribe(2, "nobody.nowhere.svc.cluster.local", ANY), 0);
    client.hears_nothing();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    client.hears_nothing();
    pushing.apply([slice("web", &["10.0.0.1", "10.0.0.2"])]);
    assert_eq!(texts(&client.changes()), ["+5 web-1 1 10.0.0.2"]);
}

#[test]
fn each_type_has_its_records() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"]), set("web", 3)]);
    pushing.apply([service("alias", ServiceShape::External("web.default.svc.cluster.local".into()))]);
    let mut client = pushing.client();
    let mut first = |id: u16, name: &str, rtype: u16| {
        assert_eq!(client.subscribe(id, name, rtype), 0, "{name} {rtype}");
        client.changes().into_iter().map(|change| (change.rtype, change.data)).collect::<Vec<_>>()
    };
    let host = b"\x05web-0\x03web\x07default\x03svc\x07cluster\x05local\x00";
    let srv = [&b"\x00\x00\x00\x64\x00\x50"[..], host].concat();
    assert_eq!(first(1, WEB, SRV), [(SRV, srv.clone())]);
    assert_eq!(first(2, "_http._tcp.web-0.web.default.svc.cluster.local", SRV), [(SRV, srv.clone())]);
    assert_eq!(first(3, "1.0.0.10.in-addr.arpa", PTR), [(PTR, host.to_vec())]);
    let told = b"\x08name=web\x0areplicas=3\x07start=0\x07ready=1".to_vec();
    assert_eq!(first(4, "web.default._statefulset.cluster.local", TXT), [(TXT, told)]);
    assert_eq!(first(5, WEB, ANY), [(A, vec![10, 0, 0, 1]), (SRV, srv)]);
    // An alias is a record, and is not followed.
    let target = b"\x03web\x07default\x03svc\x07cluster\x05local\x00".to_vec();
    assert_eq!(first(6, "alias.default.svc.cluster.local", CNAME), [(CNAME, target)]);
    assert_eq!(first(7, "10-1-2-3.default.pod.cluster.local", A), [(A, vec![10, 1, 2, 3])]);
    assert_eq!(first(8, "dns-version.cluster.local", TXT), [(TXT, b"\x051.1.0".to_vec())]);
    for (id, name, rtype) in [(9, "alias.default.svc.cluster.local", A), (10, WEB, AAAA), (11, WEB, TXT)] {
        assert_eq!(client.subscribe(id, name, rtype), 0);
    }
    client.hears_nothing();
}

#[test]
fn a_pointer_follows_its_address() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, "2.0.0.10.in-addr.arpa", PTR), 0);
    assert_eq!(client.subscribe(2, "1.0.0.10.in-addr.arpa", PTR), 0);
    assert_eq!(client.changes().len(), 1);
    pushing.apply([slice("web", &["10.0.0.1", "10.0.0.2"])]);
    let changes = client.changes();
    assert_eq!((changes[0].owner.as_str(), changes[0].data[1]), ("2.0.0.10.in-addr.arpa.", b'w'));
    pushing.apply([slice("web", &["10.0.0.1"])]);
    assert_eq!(client.changes()[0].ttl, 0xffff_ffff);
    client.hears_nothing();
}

/// An address outside the reverse prefixes is ours for as long as it is somebody's; that it is nobody's any longer is told,
/// and is no reason to end a session.
#[test]
fn a_pointer_outside_the_reverse_zones_goes_and_its_session_stays() {
    const POINTER: &str = "1.2.0.192.in-addr.arpa";
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1", "192.0.2.1"])]);
    let mut client = pushing.client();
    assert_eq!((client.subscribe(1, POINTER, PTR), client.changes().len()), (0, 1));
    assert_eq!((client.subscribe(2, WEB, A), client.changes().len()), (0, 2));
    pushing.apply([slice("web", &["10.0.0.1"])]);
    let mut told = [client.changes(), client.changes()].concat();
    told.sort_by_key(|change| change.rtype);
    assert_eq!((told.len(), texts(&told[..1])), (2, vec!["- web 1 192.0.2.1".to_owned()]));
    assert_eq!((told[1].rtype, told[1].ttl), (PTR, 0xFFFF_FFFF), "removed");
    assert_eq!(pushing.client().subscribe(1, POINTER, PTR), 9, "NOTAUTH, for it is nobody's");
    pushing.apply([slice("web", &["10.0.0.1", "192.0.2.1"])]);
    let mut told = [client.changes(), client.changes()].concat();
    told.sort_by_key(|change| change.rtype);
    assert_eq!((told.len(), told[1].rtype, told[1].ttl), (2, PTR, 5));
    // What is not known says nothing.
    pushing.driver.withdraw();
    pushing.driver.publish();
    client.hears_nothing();
    assert_eq!((pushing.counts().withdrawn, pushing.counts().sessions), (0, 1));
}

/// Two pods come back with each other's addresses: no address came or went, and what each is called has changed.
#[test]
fn a_pointer_follows_its_name() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1", "10.0.1.1"])]);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, "1.0.0.10.in-addr.arpa", PTR), 0);
    let called = |change: &Change| (change.ttl, change.data[5]);
    assert_eq!(client.changes().iter().map(called).collect::<Vec<_>>(), [(5, b'0')]);
    pushing.apply([slice("web", &["10.0.1.1", "10.0.0.1"])]);
    let changes = client.changes();
    assert_eq!(changes.iter().map(called).collect::<Vec<_>>(), [(5, b'1'), (0xffff_ffff, b'0')]);
}

#[test]
fn type_any_is_told_once_and_of_a_whole_name_at_once() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let (mut client, mut view) = (pushing.client(), View::new());
    for (id, rtype) in [(1, A), (2, ANY), (3, SRV)] {
        assert_eq!(client.subscribe(id, WEB, rtype), 0);
        let changes = client.changes();
        // What is there is told to each SUBSCRIBE; a change once.
        view.clear();
        apply(&mut view, changes);
    }
    pushing.apply([slice("web", &["10.0.0.2"])]);
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.2", "- web 1 10.0.0.1"]);
    client.hears_nothing();
    pushing.apply([slice("web", &[])]);
    // The end of an SRV record's data is that of its target.
    assert_eq!(texts(&client.changes()), ["- web 1 10.0.0.2", "- web 33 99.97.108.0"]);
    client.hears_nothing();
    // Without the one for all types each of the others is told again.
    client.send(&message(0, &[(UNSUBSCRIBE, &[0, 2])]));
    pushing.until("one is gone", |counts| counts.subscriptions == 2);
    pushing.apply([slice("web", &["10.0.0.3"])]);
    let mut types = [client.changes()[0].rtype, client.changes()[0].rtype];
    types.sort_unstable();
    assert_eq!(types, [A, SRV]);
}

#[test]
fn a_subscription_that_is_ended_is_told_nothing() {
    let mut pushing = Pushing::start();
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(client.subscribe(2, WEB, SRV), 0);
    client.send(&message(0, &[(UNSUBSCRIBE, &[0, 1])]));
    // Of one that never was nobody complains.
    client.send(&message(0, &[(UNSUBSCRIBE, &[0, 9])]));
    pushing.until("one is left", |counts| (counts.subscriptions, counts.names) == (1, 1));
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    assert_eq!(client.changes()[0].rtype, SRV);
    client.hears_nothing();
    // The ID is free again.
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.1"]);
    drop(client);
    pushing.until("all is forgotten", |counts| {
        (counts.sessions, counts.subscriptions, counts.names) == (0, 0, 0)
    });
}

#[test]
fn twenty_thousand_records_come_in_messages_of_16_kib() {
    let mut pushing = Pushing::start();
    let addresses: Vec<std::net::IpAddr> =
        (0..20_000_u32).map(|n| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()).collect();
    pushing.apply([headless("big"), super::slice_of("big", &addresses)]);
    let (mut client, mut view, mut messages) = (pushing.client(), View::new(), 0);
    assert_eq!(client.subscribe(1, "big.default.svc.cluster.local", A), 0);
    while view.len() < addresses.len() {
        apply(&mut view, client.changes());
        messages += 1;
    }
    assert_eq!(messages, 20, "16 octets a record");
    pushing.apply([super::slice_of("big", &addresses[1..])]);
    assert_eq!(texts(&client.changes()), ["- big 1 10.0.0.0"]);
    // What would be messages of removals is one removal of all.
    pushing.apply([super::slice_of("big", &[])]);
    assert_eq!(texts(&client.changes()), ["-- big 1 "]);
}

/// "No false removal is ever pushed": what is not known says nothing.
#[test]
fn an_outage_removes_nobody() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1", "10.0.0.2"])]);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(client.changes().len(), 2);
    // Stale, then too old to be said: questions are SERVFAIL, and who knows goes on knowing.
    pushing.driver.set_freshness(Freshness::Stale { ttl_cap: 1 });
    pushing.driver.set_freshness(Freshness::Expired);
    client.hears_nothing();
    assert_eq!(client.subscribe(2, WEB, AAAA), 2, "SERVFAIL");
    assert_eq!(pushing.client().subscribe(1, WEB, A), 2);
    // Meanwhile something changed: it is told when all is known again, and only then.
    pushing.apply([slice("web", &["10.0.0.1", "10.0.0.3"])]);
    client.hears_nothing();
    pushing.driver.set_freshness(Freshness::Fresh);
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.3", "- web 1 10.0.0.2"]);
    // A list that says the same again, as after every outage.
    let objects = [headless("web"), slice("web", &["10.0.0.1", "10.0.0.3"])];
    pushing.driver.reset(objects.to_vec());
    pushing.driver.publish();
    client.hears_nothing();
    // One that says that the service is gone says so.
    pushing.driver.delete(&ObjectName::of(&objects[0]));
    pushing.driver.publish();
    assert_eq!(texts(&client.changes()), ["- web 1 10.0.0.1", "- web 1 10.0.0.3"]);
}

/// What was served from a snapshot and cannot be stood by is taken back, and nobody is told that it is gone.
#[test]
fn a_zone_that_is_withdrawn_removes_nobody() {
    let mut pushing = Pushing::start();
    let objects = [headless("web"), slice("web", &["10.0.0.1", "10.0.0.2"])];
    pushing.apply(objects);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(client.changes().len(), 2);
    pushing.driver.withdraw();
    pushing.driver.publish();
    client.hears_nothing();
    assert_eq!(client.subscribe(2, WEB, AAAA), 2, "SERVFAIL");
    pushing.apply([headless("web"), slice("web", &["10.0.0.1", "10.0.0.3"])]);
    client.hears_nothing();
    pushing.driver.synchronised();
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.3", "- web 1 10.0.0.2"]);
}

#[test]
fn before_the_cluster_is_known_there_is_no_subscription() {
    let mut pushing = Pushing::unsynchronised(super::LIMITS);
    let mut client = pushing.client();
    client.send(&crate::support::push::subscribe(1, WEB, A));
    let response = client.next();
    assert_eq!((response.rcode, response.types()), (2, vec![crate::support::push::RETRY_DELAY]));
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    pushing.driver.synchronised();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.1"]);
}

#[test]
fn names_that_are_not_served_any_longer_are_not_said_to_be_gone() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(client.changes().len(), 1);
    let namespaces = Some(vec!["other".into()]);
    pushing.driver.set_zone_settings(rollcall::zone::Settings { namespaces, ..super::zone_settings() });
    let goodbye = client.next();
    assert_eq!((goodbye.id, goodbye.is_response, goodbye.rcode), (0, false, 9));
    assert_eq!(goodbye.types(), [crate::support::push::RETRY_DELAY]);
    client.ends();
    pushing.until("it is ended", |counts| (counts.withdrawn, counts.sessions) == (1, 0));
}

#[test]
fn the_time_to_live_is_told_where_it_changes() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(texts(&client.changes()), ["+5 web 1 10.0.0.1"]);
    let rollcall::model::Object::Service(mut web) = headless("web") else { unreachable!() };
    web.ttl.positive = Some(60);
    pushing.apply([rollcall::model::Object::Service(web)]);
    assert_eq!(texts(&client.changes()), ["+60 web 1 10.0.0.1"]);
}
