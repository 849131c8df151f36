//! What is measured of a real cluster's changes: by rollcall, and by CoreDNS of the same changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{
    ControlPlane, CoreDns, Rollcall, free_port, http_get, kubeadm_corefile, shared_upstream, wait_until,
};

const STEP: Duration = Duration::from_secs(60);

/// A headless Service whose pods are ready as they run.
const WEB: &str = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
";

/// The histogram of headless services with a selector, of a family.
#[derive(Debug, Default)]
struct Programming {
    bounds: BTreeSet<String>,
    count: f64,
    sum: f64,
}

fn programming(admin: SocketAddr, family: &str) -> Programming {
    let (code, text) = http_get(admin, "/metrics");
    assert_eq!(code, 200);
    let samples: BTreeMap<&str, f64> = text
        .lines()
        .filter(|line| line.starts_with(family) && line.contains("service_kind=\"headless_with_selector\""))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(sample, value)| (sample, value.parse().unwrap()))
        .collect();
    let of = |suffix: &str| {
        let start = format!("{family}{suffix}{{");
        samples.iter().find(|(sample, _)| sample.starts_with(&start)).map_or(0.0, |(_, value)| *value)
    };
    let bounds = samples.keys().filter_map(|sample| sample.split("le=\"").nth(1)?.split('"').next());
    // A number has several texts.
    let bounds = bounds.map(|bound| bound.parse::<f64>().unwrap().to_string()).collect();
    Programming { bounds, count: of("_count"), sum: of("_sum") }
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn programming_latency_beside_coredns() {
    const OURS: &str = "rollcall_dns_programming_duration_seconds";
    const THEIRS: &str = "coredns_kubernetes_dns_programming_duration_seconds";
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("measured");
    let admin: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let corefile = kubeadm_corefile(plane, shared_upstream().dns);
    let measuring = corefile.replace("prometheus 127.0.0.1:@FREE@", &format!("prometheus {admin}"));
    assert_ne!(measuring, corefile);
    let _coredns = CoreDns::start(&measuring);
    let rollcall = Rollcall::start(plane.kubeconfig(), &[]);
    namespace.apply(WEB);
    namespace.wait_ready("web-0");
    // Both are past what their lists told.
    let both = |what: &str, is_it: &dyn Fn(&Programming, &Programming) -> bool| {
        wait_until(what, STEP, || {
            let seen = (programming(rollcall.admin, OURS), programming(admin, THEIRS));
            if is_it(&seen.0, &seen.1) { Ok(seen) } else { Err(seen) }
        })
    };
    let (ours, theirs) = both("a first change", &|ours, theirs| ours.count > 0.0 && theirs.count > 0.0);
    assert_eq!(ours.bounds, theirs.bounds);

    namespace.kubectl(&["scale", "statefulset", "web", "--replicas=4"]);
    namespace.wait_ready("web-3");
    let (ours_after, theirs_after) = both("three more changes", &|now_ours, now_theirs| {
        now_ours.count >= ours.count + 3.0 && now_theirs.count >= theirs.count + 3.0
    });
    let mean =
        |before: &Programming, after: &Programming| (after.sum - before.sum) / (after.count - before.count);
    let (our_mean, their_mean) = (mean(&ours, &ours_after), mean(&theirs, &theirs_after));
    println!("measured: {our_mean:.3} s by rollcall, {their_mean:.3} s by CoreDNS");
    // The controllers wait a second before they write: most of it is theirs, and the same for both.
    assert!(our_mean > 0.0 && our_mean < 10.0, "{our_mean} s");
    assert!((our_mean - their_mean).abs() < 1.0, "{our_mean} s, and {their_mean} s by CoreDNS");
}
