//! What the account may not see, and credentials that are no longer good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fake::{Answer, Api};
use super::objects::{NAMESPACES, PODS, SERVICES, SETS, SLICES, name};
use super::program::{Program, until_asked};

#[test]
fn without_statefulsets_and_namespaces_it_is_ready_and_says_so() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    for path in [SETS, NAMESPACES] {
        api.always(path, Answer::status(403, "Forbidden"));
    }
    let mut program = Program::ready(&api, &[], &[]);
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    program.until_readyz(200, &["StatefulSets", "Namespaces", "403"]);
    let printed = program.printed();
    for (kind, without) in [("StatefulSets", "TTL"), ("Namespaces", "known by its Services")] {
        let said = |line: &str| line.contains("WARN") && line.contains(kind) && line.contains(without);
        assert!(printed.lines().any(said), "{kind} {without}\n{printed}");
    }
    // A namespace is known by its Services then.
    assert_eq!(program.status("default.svc.cluster.local"), "NOERROR");
    assert_eq!(program.status("other.svc.cluster.local"), "NXDOMAIN");
    program.is_well();
}

/// A needed kind is forbidden, and granted later.
fn needed(path: &'static str, kind: &str) {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let granted = Arc::new(AtomicBool::new(false));
    let of_rule = Arc::clone(&granted);
    api.rule(path, move |_| (!of_rule.load(Ordering::Relaxed)).then(|| Answer::status(403, "Forbidden")));
    let mut program = Program::start(&api, &[], &[]);
    until_asked(&api, path, 4);
    program.until_readyz(503, &["not synchronised", kind, "403"]);
    assert_eq!(super::http::probe(program.admin, "/livez").0, 200);
    for line in [name("default", "a"), name("default", "none"), "cluster.local".into()] {
        let reply = program.ask(&format!("-t A {line}"));
        assert_eq!(reply.status, "SERVFAIL", "{line}");
        assert_eq!(reply.ede.first().map(|(code, _)| *code), Some(14), "{line}: {:?}", reply.ede);
    }
    assert!(!program.printed().lines().any(|line| line == "ready"));
    let said = |line: &str| line.contains(kind) && line.contains("nothing can be answered");
    assert!(program.printed().lines().any(said));
    granted.store(true, Ordering::Relaxed);
    program.wait_until_ready();
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn without_slices_nothing_is_answered_until_they_are_granted() {
    needed(SLICES, "EndpointSlices");
}

#[test]
fn without_services_nothing_is_answered_until_they_are_granted() {
    needed(SERVICES, "Services");
}

#[test]
fn without_pods_only_their_names_fail() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.always(PODS, Answer::status(403, "Forbidden"));
    let mut program = Program::ready(&api, &[], &[("ROLLCALL_PODS", "verified")]);
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    assert_eq!(program.status(&name("default", "none")), "NXDOMAIN");
    assert_eq!(program.status("10-0-0-1.default.pod.cluster.local"), "SERVFAIL");
    program.until_readyz(200, &["Pods", "403"]);
    let printed = program.printed();
    assert!(printed.contains("names of pods are SERVFAIL"), "{printed}");
    program.is_well();
}

#[test]
fn an_expired_token_is_read_again() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &[]);
    let steady = program.steady(&name("default", "a"), "10.0.0.1");
    api.accept_only("new");
    for path in [SERVICES, SLICES, SETS, NAMESPACES] {
        api.end_watches(path);
        until_asked(&api, path, 3);
    }
    program.until_readyz(200, &["degraded", "401", "Services", "EndpointSlices"]);
    api.put_service("b", &["10.0.0.2"]);
    program.write_token("new");
    program.until_addresses(&name("default", "b"), "10.0.0.2");
    program.until_readyz(200, &["ok"]);
    assert_eq!(api.asked(SLICES).iter().filter(|asked| *asked == "stream").count(), 1, "from where it was");
    steady.held();
    program.is_well();
}

#[test]
fn a_token_that_is_not_good_yet_at_the_start() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.accept_only("new");
    let mut program = Program::start(&api, &[], &[]);
    until_asked(&api, SLICES, 2);
    program.until_readyz(503, &["not synchronised", "401"]);
    program.write_token("new");
    program.wait_until_ready();
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    program.is_well();
}
