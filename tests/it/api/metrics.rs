//! What `/metrics` says of a followed cluster: whether it is known, and how long its changes take.

use std::collections::BTreeSet;

use jiff::{Span, Timestamp};
use serde_json::Value;

use super::fake::{Answer, Api};
use super::objects::{SERVICES, SLICES, headless, name, service, slice};
use super::program::{Program, until};
use crate::support::scrape::{Scrape, documented_families};

const PROGRAMMING: &str =
    "rollcall_dns_programming_duration_seconds_count{service_kind=\"headless_with_selector\"}";
const PROGRAMMING_SUM: &str =
    "rollcall_dns_programming_duration_seconds_sum{service_kind=\"headless_with_selector\"}";
const PUBLISHED: &str = "rollcall_publish_duration_seconds_count";

/// A slice that tells of what happened so many seconds ago.
fn triggered(name: &str, addresses: &[&str], seconds: i64) -> Value {
    let mut slice = slice("default", name, addresses);
    let time = Timestamp::now() - Span::new().seconds(seconds);
    slice["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] =
        time.to_string().into();
    slice
}

fn until_value(program: &Program, sample: &str, wanted: f64) -> Scrape {
    until(&format!("{sample} {wanted}"), || Scrape::of(program.admin).value(sample) == wanted);
    Scrape::of(program.admin)
}

#[test]
fn how_long_changes_take_to_be_answered() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "web"));
    api.put(SERVICES, service("default", "vip", serde_json::json!({"clusterIP": "10.96.0.9"})));
    // Of a list: this happened long ago, and nobody waited for it.
    api.put(SLICES, triggered("web", &["10.0.0.1"], 3000));
    let program = Program::ready(&api, &[], &[]);
    let before = Scrape::of(program.admin);
    assert_eq!((before.value(PROGRAMMING), before.value(PUBLISHED)), (0.0, 0.0));

    api.put(SLICES, triggered("web", &["10.0.0.2"], 3));
    program.until_addresses(&name("default", "web"), "10.0.0.2");
    let scrape = until_value(&program, PROGRAMMING, 1.0);
    let seconds = scrape.value(PROGRAMMING_SUM);
    assert!((3.0..20.0).contains(&seconds), "{seconds} s");
    assert_eq!(scrape.value(PUBLISHED), 1.0);
    let quick = scrape.value("rollcall_publish_duration_seconds_sum");
    assert!(quick > 0.0 && quick < 5.0, "{quick} s");

    // Of a clock that is ahead, of no time at all, of a service with an address of its own, of a Service itself.
    api.put(SLICES, triggered("web", &["10.0.0.3"], -3600));
    api.put(SLICES, slice("default", "web", &["10.0.0.4"]));
    api.put(SLICES, triggered("vip", &["10.0.0.5"], 3));
    api.put(SERVICES, headless("default", "other"));
    let scrape = until_value(&program, PUBLISHED, 5.0);
    assert_eq!(scrape.value(PROGRAMMING), 1.0);
    for kind in ["cluster_ip", "headless_without_selector"] {
        let sample = format!("rollcall_dns_programming_duration_seconds_count{{service_kind=\"{kind}\"}}");
        assert_eq!(scrape.value(&sample), 0.0);
    }
    assert_eq!(scrape.value("rollcall_objects{kind=\"EndpointSlice\"}"), 2.0);
    assert_eq!(scrape.value("rollcall_objects{kind=\"Service\"}"), 3.0);
}

#[test]
fn what_is_not_known_yet_and_what_is_known_no_longer() {
    let api = Api::start();
    api.put_service("web", &["10.0.0.1"]);
    api.always(SLICES, Answer::status(503, "ServiceUnavailable"));
    let mut program = Program::start(&api, &[], &[]);
    let scrape = Scrape::of(program.admin);
    assert_eq!((scrape.value("rollcall_synchronised"), scrape.value("rollcall_zone_services")), (0.0, 0.0));
    assert_eq!(program.status(&name("default", "web")), "SERVFAIL");
    let servfail =
        "rollcall_dns_queries_total{zone=\"cluster.local\",type=\"A\",rcode=\"SERVFAIL\",transport=\"udp\"}";
    until_value(&program, servfail, 1.0);
    until_value(&program, "rollcall_degraded", 1.0);
    api.rule(SLICES, |_| None);
    program.wait_until_ready();
    assert_eq!(Scrape::of(program.admin).value("rollcall_synchronised"), 1.0);
    until_value(&program, "rollcall_degraded", 0.0);

    api.always(SLICES, Answer::status(500, "InternalError"));
    api.end_watches(SLICES);
    let scrape = until_value(&program, "rollcall_degraded", 1.0);
    assert_eq!((scrape.value("rollcall_synchronised"), scrape.value("rollcall_zone_services")), (1.0, 1.0));
    api.rule(SLICES, |_| None);
    until_value(&program, "rollcall_degraded", 0.0);
    program.is_well();
}

#[test]
fn the_docs_name_every_family_and_no_other() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    // A certificate is told of where there is one.
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["dns.example".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let tls = ["--listen", "tls://127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key];
    let program = Program::ready(&api, &tls, &[]);
    program.ask(&format!("-t AAAA {}", name("default", "a")));
    let scrape = Scrape::of(program.admin);
    let shown: BTreeSet<String> = scrape.families().into_keys().collect();
    assert_eq!(scrape.sampled(), shown, "each has a sample once a question was answered");
    assert_eq!(documented_families(), shown, "docs/metrics.md and the scrape");
}

#[test]
fn an_outage_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("kept");
    // An address of its own: while it is away nobody else is given its port.
    let api = Api::start_at("127.0.91.1:0".parse().unwrap());
    api.put_service("a", &["10.0.0.1"]);
    let flag = ["--snapshot", snapshot.to_str().unwrap()];
    let program = Program::ready(&api, &flag, &[("ROLLCALL_SNAPSHOT_INTERVAL", "1")]);
    let written = "rollcall_snapshot_writes_total{result=\"success\"}";
    let scrape = until_value(&program, written, 1.0);
    assert_eq!(scrape.value("rollcall_stale_seconds"), 0.0);
    assert!(scrape.value("rollcall_snapshot_size_bytes") > 100.0);
    assert_eq!(scrape.value("rollcall_snapshot_loaded"), 0.0);
    let age = "rollcall_watch_age_seconds{kind=\"EndpointSlice\",namespace=\"\"}";
    assert!(scrape.value(age) < 20.0);
    let address = api.address;
    drop(api);
    until("it is stale", || Scrape::of(program.admin).value("rollcall_stale_seconds") > 0.5);
    let scrape = Scrape::of(program.admin);
    let failed =
        |what: &str, cause: &str| format!("rollcall_{what}_total{{kind=\"Service\",cause=\"{cause}\"}}");
    assert!(scrape.value(&failed("api_failures", "other")) >= 1.0);
    assert_eq!(scrape.value("rollcall_stale_refused"), 0.0);
    // Another process, from the snapshot.
    let other = Program::start_before(address, &flag, &[("ROLLCALL_STALE_MAX_AGE", "6")]);
    assert_eq!(Scrape::of(other.admin).value("rollcall_snapshot_loaded"), 1.0);
    until("it is refused", || Scrape::of(other.admin).value("rollcall_stale_refused") == 1.0);
    let api = Api::start_at(address);
    api.put_service("a", &["10.0.0.1"]);
    until_value(&other, "rollcall_stale_refused", 0.0);
    until_value(&other, "rollcall_stale_seconds", 0.0);
    until_value(&program, "rollcall_stale_seconds", 0.0);
}
