//! Servers that say nothing, and servers that are not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::fake::{Answer, Api, Then};
use super::http::probe;
use super::objects::{SERVICES, SLICES, at, bookmark, event, headless, name, slice};
use super::program::{Program, until, until_asked};
use crate::support::scrape::Scrape;

#[test]
fn a_watch_that_goes_silent_is_begun_anew_from_where_it_was() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "a"));
    let now = |what, version, address| event(what, &at(version, slice("default", "a", &[address])));
    api.script(
        SLICES,
        [
            Answer::Lines(vec![now("ADDED", "30", "10.0.0.1"), bookmark("40", true)], Then::End),
            Answer::Lines(vec![now("MODIFIED", "50", "10.0.0.2")], Then::Silence),
            // It is away for a moment: the trouble is to be seen.
            Answer::status(503, "ServiceUnavailable"),
            Answer::status(503, "ServiceUnavailable"),
            Answer::Lines(vec![now("MODIFIED", "60", "10.0.0.3")], Then::GoOn),
        ],
    );
    let mut program = Program::ready(&api, &[], &[("ROLLCALL_LIMITS_WATCH_TIMEOUT", "5")]);
    let a = name("default", "a");
    program.until_addresses(&a, "10.0.0.2");
    let steady = program.steady(&a, "10.0.0.2");
    let over = Arc::new(AtomicBool::new(false));
    let (of_thread, admin) = (Arc::clone(&over), program.admin);
    let probing = thread::spawn(move || {
        let mut bodies = Vec::new();
        while !of_thread.load(Ordering::Relaxed) {
            let (code, body) = probe(admin, "/readyz");
            assert_eq!(code, 200, "{body}");
            bodies.push(body);
            thread::sleep(Duration::from_millis(20));
        }
        bodies
    });
    until_asked(&api, SLICES, 3);
    steady.held();
    program.until_addresses(&a, "10.0.0.3");
    over.store(true, Ordering::Relaxed);
    let bodies = probing.join().unwrap();
    assert!(bodies.iter().any(|body| body.starts_with("degraded") && body.contains("EndpointSlices")));
    assert_eq!(api.asked(SLICES), ["stream", "watch 40", "watch 50", "watch 50", "watch 50"]);
    let requests = api.requests(SLICES);
    let silent = (requests[2].at - requests[1].at).as_secs_f32();
    assert!((7.5..10.0).contains(&silent), "noticed after {silent} s");
    let seconds: u32 = requests[1].parameter("timeoutSeconds").parse().unwrap();
    assert!((3..=5).contains(&seconds), "a watch of {seconds} s");
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn a_streamed_list_that_goes_silent_as_a_watch_goes_on_from_where_it_was() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "a"));
    let lines = vec![event("ADDED", &at("30", slice("default", "a", &["10.0.0.1"]))), bookmark("40", true)];
    api.script(SLICES, [Answer::Lines(lines, Then::Silence)]);
    let mut program = Program::ready(&api, &[], &[("ROLLCALL_LIMITS_WATCH_TIMEOUT", "5")]);
    let steady = program.steady(&name("default", "a"), "10.0.0.1");
    assert_eq!(until_asked(&api, SLICES, 2), ["stream", "watch 40"]);
    let requests = api.requests(SLICES);
    let silent = (requests[1].at - requests[0].at).as_secs_f32();
    assert!((7.5..10.0).contains(&silent), "noticed after {silent} s");
    steady.held();
    assert_eq!(program.readyz(), (200, "ok\n".into()));
    assert!(!program.printed().contains("WARN"), "it is the usual end of a list\n{}", program.printed());
    program.is_well();
}

#[test]
fn a_server_that_is_not_there_at_the_start_is_waited_for() {
    // An address of its own, so that nobody else is given the port in the meantime.
    let listener = std::net::TcpListener::bind("127.0.88.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut program = Program::start_before(address, &[], &[]);
    program.until_readyz(503, &["not synchronised", "Services", "refused"]);
    assert_eq!(probe(program.admin, "/livez"), (200, "ok\n".into()));
    let reply = program.ask(&format!("-t A {}", name("default", "a")));
    assert_eq!((reply.status.as_str(), reply.ede[0].0), ("SERVFAIL", 14));
    let api = Api::start_at(address);
    api.put_service("a", &["10.0.0.1"]);
    program.wait_until_ready();
    program.until_addresses(&name("default", "a"), "10.0.0.1");
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

/// As after an etcd that was restored from a backup. A watch from a version that is yet to come is no error to an API
/// server; it says nothing of what is below.
#[test]
fn a_server_that_goes_away_and_returns_with_older_versions() {
    let api = Api::start();
    api.rise_to(9000);
    api.put_service("a", &["10.0.0.1"]);
    let limits = [("ROLLCALL_LIMITS_WATCH_TIMEOUT", "5"), ("ROLLCALL_LIMITS_WATCH_SILENCE", "5")];
    let mut program = Program::ready(&api, &[], &limits);
    let a = name("default", "a");
    let steady = program.steady(&a, "10.0.0.1");
    let address = api.address;
    drop(api);
    program.until_readyz(200, &["degraded", "Services", "EndpointSlices", "refused"]);
    let api = Api::start_at(address);
    api.put_service("a", &["10.0.0.1"]);
    api.put_service("b", &["10.0.0.2"]);
    for path in [SERVICES, SLICES] {
        until("a list beside the watch", || api.asked(path).contains(&"stream".to_owned()));
    }
    program.until_addresses(&name("default", "b"), "10.0.0.2");
    program.until_readyz(200, &["ok"]);
    steady.held();
    // It is followed again, not only put right.
    api.put_service("b", &["10.0.0.3"]);
    program.until_addresses(&name("default", "b"), "10.0.0.3");
    let scrape = Scrape::of(program.admin);
    assert!(scrape.value("rollcall_watch_restarts_total{kind=\"EndpointSlice\",cause=\"behind\"}") >= 1.0);
    assert_eq!(scrape.value("rollcall_relist_differences_total{kind=\"EndpointSlice\"}"), 0.0);
    program.is_well();
}

const STALE: &str = "rollcall_stale_seconds";

/// Slices are listed as they should be; their watches are answered like this.
fn answer_watches(api: &Api, answer: Answer) {
    // The one that goes on is to end as usual.
    thread::sleep(Duration::from_millis(1100));
    api.rule(SLICES, move |request| (!request.is_streamed()).then(|| answer.clone()));
    api.end_watches(SLICES);
}

#[test]
fn the_head_of_an_answer_with_nothing_behind_it_is_no_life() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &[("ROLLCALL_LIMITS_WATCH_TIMEOUT", "5")]);
    let a = name("default", "a");
    // A watch that is dead for 8 s is cut, and the next one is no better.
    answer_watches(&api, Answer::Lines(Vec::new(), Then::Silence));
    until("it is stale", || Scrape::of(program.admin).value(STALE) > 11.0);
    program.until_readyz(200, &["degraded", "EndpointSlices", "went silent"]);
    assert_eq!(program.addresses(&a), "10.0.0.1");
    api.rule(SLICES, |_| None);
    api.put_service("a", &["10.0.0.2"]);
    program.until_addresses(&a, "10.0.0.2");
    until("it is fresh", || Scrape::of(program.admin).value(STALE) == 0.0);
    assert_eq!(program.readyz(), (200, "ok\n".into()));
    program.is_well();
}

#[test]
fn a_watch_that_ends_as_it_begins_is_no_life() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &[("ROLLCALL_LIMITS_WATCH_TIMEOUT", "5")]);
    for (answer, words) in [
        (Answer::Lines(Vec::new(), Then::End), "ended as it began"),
        (Answer::Lines(Vec::new(), Then::Break), "the connection broke"),
        (Answer::error_event(500, "InternalError"), "500 InternalError"),
    ] {
        answer_watches(&api, answer);
        until("it is stale", || Scrape::of(program.admin).value(STALE) > 3.0);
        program.until_readyz(200, &["degraded", "EndpointSlices", words]);
        let said = program.printed().lines().filter(|line| line.contains(words)).count();
        assert_eq!(said, 1, "{words}: once for all tries\n{}", program.printed());
        // The next one ends in time, or says something: so it lives.
        api.rule(SLICES, |_| None);
        until("it is fresh", || Scrape::of(program.admin).value(STALE) == 0.0);
        assert_eq!(program.readyz(), (200, "ok\n".into()));
    }
    program.is_well();
}
