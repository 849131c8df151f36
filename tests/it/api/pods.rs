//! What a pod waits for: asked for where a replica has no name, slowly, and only as long as it has none.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fake::{Answer, Api};
use super::objects::{PODS, SETS, of};
use super::program::{Program, until, until_asked};
use crate::support::scrape::request;
use crate::support::wait::eventually;

const CLAIMS: &str = "/api/v1/persistentvolumeclaims";
const EVENTS: &str = "/api/v1/events";
const WEB_1: &str = "web-1.nginx.default.svc.cluster.local";
const BY_SLICES: &str =
    "web-1 has no address yet: StatefulSet web wants 2, but no slice of Service nginx has it";

fn pods() -> String {
    of("default", PODS)
}

fn mk_set(name: &str, service: &str, replicas: u32) -> Value {
    json!({"kind": "StatefulSet", "metadata": {"name": name, "namespace": "default", "uid": format!("t-{name}")},
        "spec": {"serviceName": service, "replicas": replicas}})
}

fn mk_pod(name: &str, message: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"name": name, "namespace": "default", "uid": format!("p-{name}")},
        "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": format!("www-{name}")}}]},
        "status": {"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}})
}

/// `web` wants two replicas under `nginx`, and has the first.
fn mk_api() -> Api {
    let api = Api::start();
    api.put_service("nginx", &["10.244.0.6"]);
    api.put(SETS, mk_set("web", "nginx", 2));
    api
}

fn said(program: &Program, name: &str) -> Vec<String> {
    program.ask(&format!("-t A {name}")).ede.into_iter().map(|(_, sentence)| sentence).collect()
}

fn until_said(program: &Program, name: &str, wanted: &str) {
    eventually(wanted, || {
        let said = said(program, name);
        if said == [wanted] { Ok(()) } else { Err(format!("{said:?}")) }
    });
}

fn metric(program: &Program, name: &str) -> f64 {
    let text = request(program.admin, "GET", "/metrics", "").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn what_pods_wait_for_is_told_and_forgotten() {
    let api = mk_api();
    api.put(&pods(), mk_pod("web-1", "0/3 nodes are available"));
    let program = Program::ready(&api, &[], &[]);
    until_said(&program, WEB_1, "web-1 is Pending: 0/3 nodes are available");
    let asked = &api.requests(&pods())[0];
    assert_eq!(asked.parameter("labelSelector"), "statefulset.kubernetes.io/pod-name in (web-1)");
    assert!(asked.parameter("watch").is_empty(), "nobody watches pods");

    let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "www-web-1", "namespace": "default"},
        "spec": {"storageClassName": "nfs"}, "status": {"phase": "Pending"}});
    api.put(&of("default", CLAIMS), claim);
    let both = "web-1 is Pending: claim www-web-1 is not bound (storageClass nfs); 0/3 nodes are available";
    until_said(&program, WEB_1, both);
    assert_eq!(api.requests(&of("default", CLAIMS))[0].parameter("fieldSelector"), "metadata.name=www-web-1");
    assert!(api.requests(&of("default", EVENTS)).is_empty(), "the pod says it itself");
    assert_eq!(metric(&program, "rollcall_incomplete_sets").to_bits(), 1_f64.to_bits());
    assert!(metric(&program, "rollcall_pod_states_bytes") > 100.0);

    // It has no message of its own any more; the last event has.
    api.put(&pods(), mk_pod("web-1", ""));
    api.delete(&of("default", CLAIMS), "www-web-1");
    let event = json!({"kind": "Event", "metadata": {"name": "web-1.1", "namespace": "default"}, "type": "Warning",
        "involvedObject": {"kind": "Pod", "name": "web-1", "uid": "p-web-1"},
        "reason": "FailedScheduling", "message": "no such zone\n", "lastTimestamp": "2026-11-21T14:02:00Z"});
    api.put(&of("default", EVENTS), event);
    until_said(&program, WEB_1, "web-1 is Pending: no such zone");
    assert_eq!(api.requests(&of("default", EVENTS))[0].parameter("limit"), "100");

    api.put_service("nginx", &["10.244.0.6", "10.244.0.7"]);
    program.until_addresses(WEB_1, "10.244.0.7");
    until("nothing is known of pods", || {
        ["rollcall_pod_states", "rollcall_pod_states_bytes"].iter().all(|name| metric(&program, name) == 0.0)
    });
    let lists = api.requests(&pods()).len();
    thread::sleep(Duration::from_secs(6));
    assert_eq!(api.requests(&pods()).len(), lists, "the set is whole");
}

#[test]
fn a_set_is_looked_at_once_in_five_seconds_and_many_in_turn() {
    let api = mk_api();
    for number in 0..30 {
        api.put_service(&format!("s{number}"), &[]);
        api.put(SETS, mk_set(&format!("db{number}"), &format!("s{number}"), 1));
    }
    let started = Instant::now();
    let program = Program::ready(&api, &[], &[]);
    until_asked(&api, &pods(), 31);
    assert!(started.elapsed() > Duration::from_secs(3), "more than ten in a second");
    let of_web = |request: &&super::http::Request| request.parameter("labelSelector").ends_with("(web-1)");
    let own = || api.requests(&pods()).iter().filter(of_web).count() as u64;
    until("another look at the first", || own() >= 2);
    let rounds = started.elapsed().as_secs() / 5 + 1;
    assert!(own() <= rounds, "{} in {rounds} rounds", own());
    assert!(api.requests(&pods()).len() as u64 <= 10 * (started.elapsed().as_secs() + 1));
    assert_eq!(metric(&program, "rollcall_incomplete_sets").to_bits(), 31_f64.to_bits());
}

#[test]
fn who_may_not_list_pods_says_so_once_and_tells_what_slices_show() {
    let api = mk_api();
    api.put(SETS, mk_set("db", "nginx", 1));
    api.put(&pods(), mk_pod("web-1", "0/3 nodes are available"));
    api.always(&pods(), Answer::status(403, "Forbidden"));
    let mut program = Program::ready(&api, &[], &[("config", "[explain]\nset_interval = 5\n")]);
    program.wait_for(&["403 Forbidden", "without it reasons tell what slices say"]);
    until_said(&program, WEB_1, BY_SLICES);
    thread::sleep(Duration::from_secs(6));
    assert_eq!(api.requests(&pods()).len(), 1, "asked again too soon");
    assert_eq!(program.printed().matches("without it reasons tell").count(), 1);
    assert_eq!(metric(&program, "rollcall_pod_lists_total{result=\"refused\"}").to_bits(), 1_f64.to_bits());

    // It is granted, and somebody asks for it to be tried.
    api.rule(&pods(), |_| None);
    let config = program.folder.path().join("rollcall.toml");
    std::fs::write(config, "[explain]\nset_interval = 6\n").unwrap();
    until_said(&program, WEB_1, "web-1 is Pending: 0/3 nodes are available");
    program.is_well();
}

#[test]
fn a_busy_and_a_silent_server_are_left_alone_and_no_watch_waits_for_them() {
    let api = mk_api();
    api.put(&pods(), mk_pod("web-1", "0/3 nodes are available"));
    let answers = [Answer::busy(429, "TooManyRequests", 2), Answer::Never];
    api.script(&pods(), answers);
    let mut program = Program::ready(&api, &[], &[]);
    until_asked(&api, &pods(), 1);
    let refused = Instant::now();
    until_asked(&api, &pods(), 2);
    assert!(refused.elapsed() > Duration::from_secs(2), "{:?} after 429", refused.elapsed());
    // Not one octet comes, and a change is answered at once.
    let changed = Instant::now();
    api.put_service("later", &["10.244.0.9"]);
    program.until_addresses("later.default.svc.cluster.local", "10.244.0.9");
    assert!(changed.elapsed() < Duration::from_secs(3), "{:?}", changed.elapsed());
    assert_eq!(said(&program, WEB_1), [BY_SLICES]);
    until_said(&program, WEB_1, "web-1 is Pending: 0/3 nodes are available");
    assert_eq!(metric(&program, "rollcall_pod_lists_total{result=\"failure\"}").to_bits(), 2_f64.to_bits());
    program.is_well();
}

#[test]
fn what_is_no_list_of_pods_breaks_nothing() {
    let api = mk_api();
    let answers =
        [Answer::Body(200, "{\"items\": [{\"metadata\": 7}]}".into()), Answer::Body(200, "<html>".into())];
    api.script(&pods(), answers);
    let long = format!("{}\u{1b}[31m\n{}", "x".repeat(5000), "\u{e4}".repeat(5000));
    api.put(&pods(), mk_pod("web-1", &long));
    api.put(&pods(), mk_pod("web-0", "ready by now, and asked for by nobody"));
    let mut program = Program::ready(&api, &[], &[]);
    until_said(
        &program,
        WEB_1,
        &format!("web-1 is Pending: {}...", "x".repeat(200 - "web-1 is Pending: ...".len())),
    );
    program.until_addresses("web-0.nginx.default.svc.cluster.local", "10.244.0.6");
    program.is_well();
}

#[test]
fn sets_whose_lists_cannot_be_used_hold_up_no_other() {
    let api = mk_api();
    api.put(&pods(), mk_pod("web-1", "0/3 nodes are available"));
    for number in 0..12 {
        api.put_service(&format!("s{number}"), &[]);
        // They come before `web`.
        api.put(SETS, mk_set(&format!("bad{number}"), &format!("s{number}"), 1));
    }
    api.rule(&pods(), |request| match request.parameter("labelSelector") {
        selector if selector.ends_with("(bad7-0)") => Some(Answer::Body(200, " ".repeat((16 << 20) + 1))),
        selector if selector.contains("bad") => Some(Answer::Body(200, "<html>".into())),
        _ => None,
    });
    let mut program = Program::ready(&api, &[], &[]);
    let of_web = |request: &&super::http::Request| request.parameter("labelSelector").ends_with("(web-1)");
    let own = || api.requests(&pods()).iter().filter(of_web).count();
    until("the first look", || own() >= 1);
    until("three more", || own() >= 4);
    until_said(&program, WEB_1, "web-1 is Pending: 0/3 nodes are available");
    assert!(metric(&program, "rollcall_pod_lists_total{result=\"failure\"}") >= 12.0);

    // What it said once is not told of one that has such a list by now.
    api.always(&pods(), Answer::Body(200, " ".repeat((16 << 20) + 1)));
    until_said(&program, WEB_1, BY_SLICES);
    program.is_well();
}

#[test]
fn pods_are_told_without_claims_and_events_that_cannot_be_had() {
    let api = mk_api();
    api.put(&pods(), mk_pod("web-1", "0/3 nodes are available"));
    api.always(&of("default", CLAIMS), Answer::status(500, "InternalError"));
    api.always(&of("default", EVENTS), Answer::Body(200, " ".repeat((16 << 20) + 1)));
    let mut program = Program::ready(&api, &[], &[]);
    until_said(&program, WEB_1, "web-1 is Pending: 0/3 nodes are available");
    api.put(&pods(), mk_pod("web-1", ""));
    until_said(&program, WEB_1, "web-1 is Pending: it has no node yet and does not say why");
    api.put(&pods(), mk_pod("web-1", "0/4 nodes are available"));
    until_said(&program, WEB_1, "web-1 is Pending: 0/4 nodes are available");
    program.is_well();
}

#[test]
fn where_nobody_is_asked_any_more_nothing_is_told_of_pods() {
    let api = mk_api();
    api.put(&pods(), mk_pod("web-1", "0/3 nodes are available"));
    let mut program = Program::ready(&api, &[], &[("config", "[explain]\nsets_per_second = 10\n")]);
    let waits = "web-1 is Pending: 0/3 nodes are available";
    until_said(&program, WEB_1, waits);
    let config = program.folder.path().join("rollcall.toml");
    std::fs::write(&config, "[explain]\nsets_per_second = 0\n").unwrap();
    until_said(&program, WEB_1, BY_SLICES);
    assert!(metric(&program, "rollcall_pod_states").abs() < 0.5);
    std::fs::write(&config, "[explain]\nsets_per_second = 9\n").unwrap();
    until_said(&program, WEB_1, waits);
    program.is_well();
}

#[test]
fn a_list_of_very_many_pods_is_no_more_than_its_octets() {
    let api = mk_api();
    let many = "{},".repeat(700_000);
    let within = format!(
        "{{\"metadata\": {{\"name\": \"web-1\"}}, \"status\": {{\"containerStatuses\": [{many}{{}}]}}}}"
    );
    let answers = [format!("{{\"items\": [{many}{{}}]}}"), format!("{{\"items\": [{within}]}}")];
    api.script(&pods(), answers.map(|body| Answer::Body(200, body)));
    api.put(&pods(), mk_pod("web-1", "0/3 nodes are available"));
    let mut program = Program::ready(&api, &[], &[]);
    until_said(&program, WEB_1, "web-1 is Pending: 0/3 nodes are available");
    // As objects the pods of the first are 200 MiB, and the containers of the other one 140.
    let peak = program.peak_memory();
    assert!(peak < 128 << 20, "{} MiB", peak >> 20);
    program.is_well();
}
