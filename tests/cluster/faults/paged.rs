//! An API server that has no streaming lists: the server lists in pages, and finds that out by itself.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use super::asker::{Asker, Expectation};
use super::client::{Question, Said};
use super::scene::{Scene, service, slice};
use super::{RIGHT, bare};
use crate::support::{ControlPlane, Rollcall};

/// More than one page of any size that clients use (500 is kubectl's).
const SERVICES: u16 = 700;
/// kubectl makes objects one after the other: so many of them run beside each other.
const MAKERS: usize = 6;

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn lists_come_in_pages() {
    let plane = bare("paged", &["--feature-gates=WatchList=false"]);
    let streaming = "/api/v1/services?watch=1&sendInitialEvents=true&allowWatchBookmarks=true\
        &resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    let refused = plane.try_kubectl(&["get", "--raw", streaming]).expect_err("it has streaming lists");
    assert!(refused.contains("sendInitialEvents"), "{refused}");

    let namespace = plane.namespace("paged");
    let address = |index: u16| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 8, 0, 0)) + u32::from(index));
    let mut chunks = vec![String::new(); MAKERS];
    for index in 0..SERVICES {
        let name = format!("paged-{index}");
        chunks[usize::from(index) % MAKERS] += &(service(&name) + &slice(&name, &[address(index)], 1));
    }
    let begin = Instant::now();
    thread::scope(|scope| {
        for yaml in &chunks {
            scope.spawn(|| {
                let args = ["-n", namespace.name(), "create", "--validate=false", "-f", "-"];
                plane.kubectl_with_input(&args, yaml).unwrap();
            });
        }
    });
    println!("{SERVICES} services made in {:.1} s", begin.elapsed().as_secs_f32());

    let lists = |kind| lists(&plane, kind);
    let before = ["services", "endpointslices"].map(lists);
    let begin = Instant::now();
    let rollcall = Rollcall::start(plane.kubeconfig(), &[]);
    let ready = begin.elapsed();
    let after = ["services", "endpointslices"].map(lists);
    for (kind, (before, after)) in ["services", "endpointslices"].iter().zip(before.iter().zip(after)) {
        assert!(after - before >= 2, "{kind}: {} lists are no pages", after - before);
    }
    println!("ready {:.2} s after the start", ready.as_secs_f32());

    // It said `ready`: all of it is known, the first page and the last.
    let all = (0..SERVICES).map(|index| {
        let name = namespace.full(&format!("paged-{index}-0.paged-{index}"));
        Expectation::new(Question::a(&name), vec![Said::addresses([address(index)])])
    });
    let asker = Asker::start(rollcall.dns, all.collect());
    asker.right_within(Duration::from_secs(20));
    asker.finish();

    // And watches from there on.
    let scene = Scene::new(&plane, "paged-changes");
    scene.settle(rollcall.dns);
    let asker = Asker::start(rollcall.dns, scene.expectations(&[0, 1]));
    scene.turn(1);
    let changed = Instant::now();
    let right = asker.right_within(RIGHT).saturating_duration_since(changed);
    println!("a change: right {:.2} s after the last acknowledgement", right.as_secs_f32());
    asker.finish();
}

/// How many lists of a kind the API server has answered so far, by its own count.
fn lists(plane: &ControlPlane, kind: &str) -> u64 {
    let metrics = plane.kubectl(&["get", "--raw", "/metrics"]);
    let of_kind = format!(r#"resource="{kind}""#);
    let lines = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
    let lines = lines.filter(|line| line.contains(r#"verb="LIST""#) && line.contains(&of_kind));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}
