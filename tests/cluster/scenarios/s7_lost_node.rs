//! S7: a node stops reporting; its replica loses its name, is stuck, is deleted by force, and comes back
//! elsewhere.

use std::net::IpAddr;
use std::time::Instant;

use crate::support::{ControlPlane, Moment, Namespace, Recorder, State, shared_rollcall, shared_stub};

/// A set on nodes of its own, one replica each, so that one of them can be lost to nobody else's cost.
pub(crate) fn kubia(namespace: &Namespace<'_>) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: kubia}}
spec: {{clusterIP: None, selector: {{app: kubia}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: kubia}}
spec:
  serviceName: kubia
  replicas: 2
  selector: {{matchLabels: {{app: kubia}}}}
  template:
    metadata: {{labels: {{app: kubia}}}}
    spec:
      containers: [{{name: kubia, image: kubia}}]
      nodeSelector: {{rollcall.test/only-for: {name}}}
      tolerations: [{{key: rollcall.test/only-for, value: {name}, effect: NoSchedule}}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {{labelSelector: {{matchLabels: {{app: kubia}}}}, topologyKey: kubernetes.io/hostname}}
",
        name = namespace.name()
    )
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s7_a_replica_of_a_lost_node_comes_back_elsewhere() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("s7");
    for letter in ["a", "b", "c"] {
        plane.add_node(&format!("{}-{letter}", namespace.name()), Some(namespace.name()));
    }
    namespace.apply(&kubia(&namespace));
    let [old, other] = ["kubia-0", "kubia-1"].map(|pod| namespace.wait_ready(pod));
    let both = [old[0], other[0]];
    let start = Moment::new(&namespace, "both are ready").has("kubia", &both);
    start.has("kubia-0.kubia", &old).has("kubia-1.kubia", &other).check();
    let name = namespace.full("kubia-0.kubia");
    let records = [shared_rollcall().dns, shared_stub().dns].map(|server| Recorder::start(server, &name));

    let before = namespace.pod("kubia-0").unwrap();
    let begun = Instant::now();
    plane.lose_node(&before.node);
    plane.wait_for_node(&before.node, "Unknown");
    println!("s7: node Unknown after {:.1} s", begun.elapsed().as_secs_f32());
    namespace.wait_not_ready("kubia-0");
    // The taint of its node has it deleted some seconds later.
    without(&namespace, "kubia-0 is not ready", &old, &other, "kubia-0 is not ready|kubia-0 is terminating");
    assert_eq!(namespace.wait_deleted("kubia-0"), before.uid);
    println!("s7: kubia-0 Terminating after {:.1} s", begun.elapsed().as_secs_f32());
    without(&namespace, "kubia-0 is Terminating and stuck", &old, &other, "kubia-0 is terminating");
    assert_eq!(namespace.pod("kubia-0").map(|pod| pod.uid), Some(before.uid.clone()), "it is stuck");

    namespace.kubectl(&["delete", "pod", "kubia-0", "--force", "--grace-period=0"]);
    namespace.wait_gone("kubia-0", &before.uid);
    let new = namespace.wait_ready("kubia-0");
    let after = namespace.pod("kubia-0").unwrap();
    assert_ne!((&after.node, &new), (&before.node, &old), "the set made it anew elsewhere");
    assert_ne!(after.node, before.node, "on another node");
    let back = Moment::new(&namespace, "kubia-0 is back").has("kubia", &[new[0], other[0]]);
    let back = back.has("kubia-0.kubia", &new).has("kubia-1.kubia", &other).nobody(old[0]);
    back.points(new[0], &["kubia-0.kubia"]).check();

    // The lost node reports again: it has nothing to say about a pod that is not its own any more.
    plane.find_node(&before.node);
    plane.wait_for_node(&before.node, "True");
    Moment::new(&namespace, "the node is back").has("kubia-0.kubia", &new).nobody(old[0]).check();

    let expected = [State::from([old[0]]), State::new(), State::from([new[0]])];
    for (server, record) in ["rollcall", "CoreDNS with the stub"].iter().zip(records) {
        let record = record.stop();
        assert_eq!(record.states, expected, "what {server} said about kubia-0, between the moments too");
        println!("s7: {} questions to {server}, never two addresses for kubia-0", record.questions);
        if *server == "rollcall" {
            record.assert_reasons(&["kubia-0"]);
            let first = |words: &str| record.reasons.iter().position(|told| told.contains(words));
            let told = (first("kubia-0 is not ready"), first("kubia-0 is terminating"));
            assert!(matches!(told, (Some(0), Some(_))), "not ready, then terminating: {:#?}", record.reasons);
        }
    }
}

fn without(namespace: &Namespace<'_>, title: &str, old: &[IpAddr], other: &[IpAddr], why: &str) {
    let moment = Moment::new(namespace, title).has("kubia", other).has("kubia-1.kubia", other);
    moment.lacks("kubia-0.kubia", &[why]).nobody(old[0]).check();
}
