//! The record on a real API server: whose end of a watch is not the end of the record.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::super::bare;
use super::super::scene::service;
use super::history::Asked;
use super::recorder::Recorder;
use crate::support::{ControlPlane, wait_until};

/// For the record to hold what is listed.
const CAUGHT_UP: Duration = Duration::from_secs(60);
/// An annotation this long makes an event that buffers hold few of: 256 KiB are the most there may be.
const LONG: usize = 240_000;
/// More than buffers of the kernel, of HTTP/2 and of a watch take, and less than the API server remembers.
const CHANGES: usize = 90;

/// A slice of two endpoints; the first one's address is the generation's.
fn slice(generation: usize, long: usize) -> String {
    let note = "x".repeat(long);
    let (third, fourth) = (generation / 250, generation % 250);
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-x
  labels: {{kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: rollcall-tests}}
  annotations: {{rollcall.test/note: '{note}'}}
addressType: IPv4
ports: [{{name: http, port: 80, protocol: TCP}}]
endpoints:
- addresses: [10.7.{third}.{fourth}]
  hostname: web-0
  targetRef: {{kind: Pod, name: web-0, uid: u0}}
- addresses: [10.8.0.1]
  hostname: web-1
  targetRef: {{kind: Pod, name: web-1, uid: u1}}
---
"
    )
}

/// How many watches of EndpointSlices the API server ended because their clients did not keep up.
fn ended_by_the_server(plane: &ControlPlane) -> u64 {
    let metrics = plane.kubectl(&["get", "--raw", "/metrics"]);
    let lines = metrics.lines().filter(|line| line.starts_with("apiserver_terminated_watchers_total{"));
    let lines = lines.filter(|line| line.contains(r#"resource="endpointslices""#));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

fn signal(process: u32, name: &str) {
    let run = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(run.success(), "kill -{name} {process}");
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn watches_that_end_are_followed_by_others() {
    let plane = bare("record-ends", &[]);
    let namespace = plane.namespace("record-ends");
    namespace.apply(&(service("web") + &slice(0, 0)));
    let recorder = Recorder::start(&namespace, Instant::now());
    let begun = Instant::now();
    let mut generation = 0;
    while recorder.watches() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{} watches", recorder.watches());
        generation += 1;
        namespace.apply(&slice(generation, 0));
        thread::sleep(Duration::from_millis(200));
    }
    wait_until("the record holds what is listed", CAUGHT_UP, || recorder.prove());
    let histories = recorder.take();
    // Nothing before there was a slice, then each generation once.
    assert_eq!(histories["web"].states.len(), 2 + generation);
}

/// What once made a record stand still: its watch was ended, which is all that it heard.
#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn who_does_not_keep_up_misses_nothing() {
    let plane = bare("record-slow", &[]);
    let namespace = plane.namespace("record-slow");
    namespace.apply(&(service("web") + &slice(0, LONG)));
    // Longer than the changes take on a busy machine: it is not to end by itself.
    let recorder = Recorder::with_watches_of(300, &namespace, Instant::now());
    let before = ended_by_the_server(&plane);
    let pid = wait_until("the record's watch", CAUGHT_UP, || recorder.pid().ok_or("none"));
    signal(pid, "STOP");
    let yaml: String = (1..=CHANGES).map(|generation| slice(generation, LONG)).collect();
    namespace.apply(&yaml);
    assert!(recorder.prove().is_err(), "it cannot have heard of it");
    let ended = wait_until("the API server ends the watch", CAUGHT_UP, || {
        let ended = ended_by_the_server(&plane) - before;
        if ended > 0 { Ok(ended) } else { Err("none") }
    });
    signal(pid, "CONT");
    wait_until("the record holds what is listed", CAUGHT_UP, || recorder.prove());
    let watches = recorder.watches();
    assert!(watches >= 2, "{watches} watches");
    let histories = recorder.take();
    let states = &histories["web"].states;
    assert_eq!(states.len(), 2 + CHANGES, "a state is missing");
    let said = states.last().unwrap().1.says("web.ns.", &Asked::Host("web-0".to_owned())).to_string();
    assert_eq!(said, format!("A 10.7.0.{CHANGES}"));
    println!("{ended} watches ended by the API server, {watches} in all, {CHANGES} changes, none missed");
}
