//! S3: what a busybox shell sees of two replicas, before and after both are deleted at once.

use crate::support::{ControlPlane, PodNetwork, Recorder, ask_clients, shared_rollcall, shared_stub};

use super::s2_volumes::{add_volume, all_three, nginx};

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s3_both_come_back_under_their_names() {
    let namespace = ControlPlane::shared().namespace("s3");
    for number in 0..4 {
        add_volume(&namespace, number);
    }
    namespace.apply(&nginx(&namespace));
    let pods = ["web-0", "web-1", "web-2"];
    let before = pods.map(|pod| namespace.wait_ready(pod));
    all_three(&namespace, "volumes plenty", before.each_ref());

    // `nslookup web-0.nginx`: Debian's busybox does not search names with a dot, so the full ones.
    let hosts = ["web-0.nginx", "web-1.nginx"].map(|host| namespace.full(host));
    let questions = hosts.each_ref().map(|host| ("nslookup", "A", host.clone()));
    let (network, _) = (PodNetwork::shared(), (shared_rollcall(), shared_stub()));
    for place in [&network.direct, &network.stub] {
        let answers = ask_clients(place, namespace.name(), &questions);
        for (question, addresses) in questions.iter().zip(&before) {
            assert_eq!(answers.get(question), Some(&addresses[0].to_string()), "{question:?}");
        }
    }

    let uids = pods.map(|pod| namespace.pod(pod).unwrap().uid);
    let records = hosts.each_ref().map(|host| Recorder::start(shared_rollcall().dns, host));
    namespace.kubectl(&["delete", "pod", "web-0", "web-1"]);
    namespace.wait_gone("web-0", &uids[0]);
    namespace.wait_gone("web-1", &uids[1]);
    let after = pods.map(|pod| namespace.wait_ready(pod));
    assert_eq!(after[2], before[2], "web-2 was not deleted");
    for (old, new) in before.iter().zip(&after).take(2) {
        assert_ne!(old, new, "a new pod has a new address");
    }
    all_three(&namespace, "both are back", after.each_ref());
    for (pod, record) in pods.into_iter().zip(records) {
        record.stop().assert_reasons(&[&format!("{pod}|no A record here")]);
    }
}
