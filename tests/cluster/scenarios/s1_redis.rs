//! S1: names come and go with the replicas of a StatefulSet, in order and in parallel.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::support::{ControlPlane, Moment, Namespace, Recorder, State, shared_rollcall};

/// A headless Service with an unnamed port, and a set whose replicas are ready when the test says so.
fn redis(policy: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: redis-h}}
spec: {{clusterIP: None, selector: {{app: redis}}, ports: [{{port: 6379}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: redis}}
spec:
  serviceName: redis-h
  replicas: 3
  podManagementPolicy: {policy}
  selector: {{matchLabels: {{app: redis}}}}
  template:
    metadata: {{labels: {{app: redis}}, annotations: {{rollcall.test/ready: 'false'}}}}
    spec: {{containers: [{{name: redis, image: redis, ports: [{{containerPort: 6379}}]}}]}}
"
    )
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s1_names_come_and_go_in_order() {
    let namespace = ControlPlane::shared().namespace("s1-ordered");
    let server = shared_rollcall().dns;
    let all = Recorder::start(server, &namespace.full("redis-h"));
    let first = Recorder::start(server, &namespace.full("redis-0.redis-h"));
    namespace.apply(&redis("OrderedReady"));

    let mut addresses = vec![namespace.wait_running("redis-0")[0]];
    let running = Moment::new(&namespace, "redis-0 runs and is not ready");
    let address = addresses[0].to_string();
    let slice = namespace.slice_of("redis-h");
    running
        .lacks("redis-h", &["the one endpoint of Service redis-h is not ready", &slice, &address])
        .lacks("redis-0.redis-h", &["redis-0", "is not ready"])
        .lacks("redis-1.redis-h", &["redis-1", "StatefulSet redis wants 3", "waits for redis-0"])
        .lacks("redis-2.redis-h", &["redis-2", "StatefulSet redis wants 3", "waits for redis-0"])
        .lacks("redis-3.redis-h", &["redis-3 does not exist", "StatefulSet redis has replicas 3"])
        .nobody(addresses[0])
        .check();
    for ordinal in 0..3 {
        bring_up(&namespace, ordinal, &mut addresses, 3);
    }

    namespace.kubectl(&["scale", "statefulset", "redis", "--replicas=5"]);
    namespace.wait_running("redis-3");
    holds(&namespace, "scaled to 5, redis-3 not ready", &addresses, &grows(3, 5));
    bring_up(&namespace, 3, &mut addresses, 5);
    bring_up(&namespace, 4, &mut addresses, 5);

    // The highest ordinal goes first, and each waits for the one above to be gone: held at each step.
    for pod in ["redis-4", "redis-3", "redis-2"] {
        namespace.annotate_pod(pod, "rollcall.test/terminating", "hold");
    }
    namespace.kubectl(&["scale", "statefulset", "redis", "--replicas=2"]);
    for (pod, left, title) in [
        ("redis-4", 4, "redis-4 is Terminating"),
        ("redis-3", 3, "redis-3 is Terminating"),
        ("redis-2", 2, "redis-2 is Terminating"),
    ] {
        let uid = namespace.wait_deleted(pod);
        let mut why = vec![format!("{pod} is terminating")];
        why.extend((left + 1..5).map(|ordinal| beyond(ordinal, 2)));
        holds(&namespace, title, &addresses[..left], &why);
        namespace.annotate_pod(pod, "rollcall.test/terminating", "done");
        namespace.wait_gone(pod, &uid);
    }
    holds(&namespace, "scaled to 2", &addresses[..2], &[2, 3, 4].map(|ordinal| beyond(ordinal, 2)));

    let record = all.stop();
    record.assert_reasons(&["Service redis-h|no such"]);
    let expected: Vec<State> =
        [0, 1, 2, 3, 4, 5, 4, 3, 2].map(|count| addresses[..count].iter().copied().collect()).into();
    assert_eq!(record.states, expected, "what redis-h said, between the moments too");
    let record = first.stop();
    record.assert_reasons(&["redis-0|Service redis-h|no such"]);
    let expected = vec![State::new(), State::from([addresses[0]])];
    assert_eq!(record.states, expected, "what redis-0.redis-h said, between the moments too");
    println!("s1: {} questions between the moments", record.questions);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s1_names_come_and_go_in_parallel() {
    let namespace = ControlPlane::shared().namespace("s1-parallel");
    let all = Recorder::start(shared_rollcall().dns, &namespace.full("redis-h"));
    namespace.apply(&redis("Parallel"));
    let mut addresses: Vec<IpAddr> =
        (0..3).map(|ordinal| namespace.wait_running(&format!("redis-{ordinal}"))[0]).collect();
    let none = Moment::new(&namespace, "three run, none is ready");
    none.lacks(
        "redis-h",
        &["none of the 3 endpoints of Service redis-h is ready", &namespace.slice_of("redis-h")],
    )
    .lacks("redis-0.redis-h", &["redis-0", "is not ready"])
    .lacks("redis-2.redis-h", &["redis-2", "is not ready"])
    .lacks("redis-3.redis-h", &[&beyond(3, 3)])
    .check();

    // In no order: the last first.
    let mut expected = vec![State::new()];
    let mut ready = BTreeSet::new();
    for (ordinal, title) in [(2, "redis-2 alone is ready"), (0, "redis-0 too"), (1, "all three")] {
        namespace.set_ready(&format!("redis-{ordinal}"), true);
        ready.insert(addresses[ordinal]);
        expected.push(ready.clone());
        let ready: Vec<IpAddr> = ready.iter().copied().collect();
        let host = format!("redis-{ordinal}.redis-h");
        let moment = Moment::new(&namespace, title).has("redis-h", &ready).has(&host, &[addresses[ordinal]]);
        if ready.len() == 3 {
            moment.check();
        } else {
            // Nobody waits for another here.
            moment.lacks("redis-1.redis-h", &["redis-1", "is not ready"]).check();
        }
    }

    namespace.kubectl(&["scale", "statefulset", "redis", "--replicas=5"]);
    for ordinal in [4, 3] {
        namespace.wait_running(&format!("redis-{ordinal}"));
    }
    addresses.extend([3, 4].map(|ordinal| namespace.wait_running(&format!("redis-{ordinal}"))[0]));
    for ordinal in [4, 3] {
        namespace.set_ready(&format!("redis-{ordinal}"), true);
        ready.insert(addresses[ordinal]);
        expected.push(ready.clone());
        let ready: Vec<IpAddr> = ready.iter().copied().collect();
        let host = format!("redis-{ordinal}.redis-h");
        let title = format!("scaled to 5, redis-{ordinal} is ready");
        Moment::new(&namespace, &title).has("redis-h", &ready).has(&host, &[addresses[ordinal]]).check();
    }

    namespace.kubectl(&["scale", "statefulset", "redis", "--replicas=2"]);
    holds(&namespace, "scaled to 2", &addresses[..2], &[2, 3, 4].map(|ordinal| beyond(ordinal, 2)));
    // All three go at once, and which of them the slice loses first is the controller's affair.
    let record = all.stop();
    record.assert_reasons(&["Service redis-h|no such"]);
    let states = record.states;
    let (risen, fallen) = states.split_at(expected.len());
    assert_eq!(risen, expected, "what redis-h said while it grew");
    let last: State = addresses[..2].iter().copied().collect();
    assert_eq!(fallen.last(), Some(&last), "what redis-h said at last");
    let mut before = &expected[expected.len() - 1];
    for state in fallen {
        assert!(state.is_subset(before), "redis-h said {state:?} after {before:?} while it shrank");
        assert!(last.is_subset(state), "redis-h left out one that stays: {state:?}");
        before = state;
    }
}

/// Makes a replica ready, and holds the moment. `addresses` are those of the replicas before it, or of it
/// too; `replicas` is how many the set wants.
fn bring_up(namespace: &Namespace<'_>, ordinal: usize, addresses: &mut Vec<IpAddr>, replicas: usize) {
    let pod = format!("redis-{ordinal}");
    let address = namespace.wait_running(&pod)[0];
    if addresses.len() == ordinal {
        addresses.push(address);
    }
    namespace.set_ready(&pod, true);
    namespace.wait_ready(&pod);
    holds(namespace, &format!("{pod} is ready"), addresses, &grows(ordinal + 1, replicas));
}

/// Why the replicas from `ready` on have no name while the set grows, and one beyond them.
fn grows(ready: usize, replicas: usize) -> Vec<String> {
    let mut why = Vec::new();
    for ordinal in ready..replicas {
        why.push(if ordinal == ready {
            format!("redis-{ordinal} is not ready")
        } else {
            format!("redis-{ordinal} does not exist yet: StatefulSet redis wants {replicas} and waits for redis-{ready}")
        });
    }
    why.push(beyond(replicas, replicas));
    why
}

fn beyond(ordinal: usize, replicas: usize) -> String {
    format!("redis-{ordinal} does not exist: StatefulSet redis has replicas {replicas}")
}

/// The service has these addresses, each replica its own, and the replicas from there on have no name: one for each
/// sentence of `why`.
fn holds(namespace: &Namespace<'_>, title: &str, addresses: &[IpAddr], why: &[String]) {
    let host = |ordinal: usize| format!("redis-{ordinal}.redis-h");
    let mut moment = Moment::new(namespace, title).has("redis-h", addresses);
    for (ordinal, address) in addresses.iter().enumerate() {
        moment = moment.has(&host(ordinal), &[*address]).points(*address, &[&host(ordinal)]);
    }
    for (ordinal, why) in (addresses.len()..).zip(why) {
        moment = moment.lacks(&host(ordinal), &[why]);
    }
    moment.check();
}
