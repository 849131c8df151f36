//! Why a replica has no name, as dig prints it, while the real scheduler, controllers and a lost node are the reason.

use std::process::Command;
use std::time::Duration;

use crate::scenarios::s2_volumes::{add_volume, nginx};
use crate::scenarios::s7_lost_node::kubia;
use crate::support::{ControlPlane, Namespace, shared_rollcall, wait_until};

/// A look at a set each 5 s, some 10 others that tests beside this one keep incomplete, and a debug build.
const PATIENCE: Duration = Duration::from_secs(40);

/// What dig prints of the reason of an empty answer.
fn said(namespace: &Namespace<'_>, short: &str) -> Result<String, String> {
    let server = shared_rollcall().dns;
    let dig = Command::new("dig")
        .args(["+noall", "+comments", "+tries=1", "+time=2", "-p", &server.port().to_string()])
        .args([&format!("@{}", server.ip()), "-t", "A", &namespace.full(short)])
        .output();
    let printed = String::from_utf8(dig.unwrap().stdout).unwrap();
    let reason = printed.lines().find_map(|line| line.strip_prefix("; EDE: 0 (Other): (")?.strip_suffix(')'));
    reason.map(ToOwned::to_owned).ok_or(printed)
}

fn until_said(namespace: &Namespace<'_>, short: &str, what: &str, is_it: impl Fn(&str) -> bool) {
    wait_until(what, PATIENCE, || {
        let said = said(namespace, short)?;
        if !is_it(&said) {
            return Err(said);
        }
        println!("{}: {said}", namespace.full(short));
        Ok(())
    });
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s2_claims_without_a_volume_are_told_with_the_schedulers_words() {
    let namespace = ControlPlane::shared().namespace("why-s2");
    namespace.apply(&nginx(&namespace));
    let claim = |pod: &str| format!("{pod} is Pending: claim www-{pod} is not bound (storageClass nfs); 0/");
    let is_of = |pod: &'static str| {
        move |said: &str| {
            said.starts_with(&claim(pod)) && said.contains("nodes are available: pod has unbound")
        }
    };
    until_said(&namespace, "web-0.nginx", "web-0's claim", is_of("web-0"));
    // The whole Service waits for it.
    until_said(&namespace, "nginx", "web-0's claim", is_of("web-0"));
    let awaited = "web-2 does not exist yet: StatefulSet web wants 3 and waits for web-0";
    until_said(&namespace, "web-2.nginx", awaited, |said| said == awaited);

    add_volume(&namespace, 0);
    namespace.wait_ready("web-0");
    until_said(&namespace, "web-1.nginx", "web-1's claim", is_of("web-1"));
    for number in [1, 2] {
        add_volume(&namespace, number);
    }
    for pod in ["web-1", "web-2"] {
        namespace.wait_ready(pod);
        let name = format!("{pod}.nginx");
        wait_until("no reason", PATIENCE, || said(&namespace, &name).map_or(Ok(()), Err));
    }
    // A probe fails: the pod's own words stand for it, and since when.
    namespace.set_ready("web-1", false);
    until_said(&namespace, "web-1.nginx", "web-1 is not ready", |said| {
        said.starts_with("web-1 is not ready")
    });
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s7_a_node_that_does_not_answer_is_told_of() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("why-s7");
    for letter in ["a", "b", "c"] {
        plane.add_node(&format!("{}-{letter}", namespace.name()), Some(namespace.name()));
    }
    let set = kubia(&namespace);
    let soon =
        set.replace("      nodeSelector:", "      terminationGracePeriodSeconds: 1\n      nodeSelector:");
    assert_ne!(soon, set);
    namespace.apply(&soon);
    for pod in ["kubia-0", "kubia-1"] {
        namespace.wait_ready(pod);
    }
    let before = namespace.pod("kubia-0").unwrap();
    plane.lose_node(&before.node);
    plane.wait_for_node(&before.node, "Unknown");
    let silent = format!("its node {} does not answer", before.node);
    let node = |kind: &'static str| {
        let silent = silent.clone();
        move |said: &str| said.starts_with(&format!("kubia-0 is {kind} since ")) && said.ends_with(&silent)
    };
    // First its Ready is taken away, and after the toleration of 5 s it is deleted; a look may miss the former.
    until_said(&namespace, "kubia-0.kubia", "not ready, or terminating", |said| {
        node("not ready")(said)
            || node("terminating")(said)
            || said.starts_with("kubia-0 is terminating since ")
    });
    assert_eq!(namespace.wait_deleted("kubia-0"), before.uid);
    until_said(&namespace, "kubia-0.kubia", "terminating", node("terminating"));

    namespace.kubectl(&["delete", "pod", "kubia-0", "--force", "--grace-period=0"]);
    namespace.wait_gone("kubia-0", &before.uid);
    namespace.wait_ready("kubia-0");
    wait_until("no reason", PATIENCE, || said(&namespace, "kubia-0.kubia").map_or(Ok(()), Err));
    plane.find_node(&before.node);
}
