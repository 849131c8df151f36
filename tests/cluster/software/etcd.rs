//! etcd: a quorum that forms, outlives recreated members, lost data and the loss of its leader, grows and shrinks.

use super::Example;
use crate::support::wait_until;

const PROGRAMS: [(&str, &str); 2] = [("etcd", "etcd-server"), ("etcdctl", "etcd-client")];
const LOCAL: &str = "--endpoints=http://127.0.0.1:2379";

/// A member, as `etcdctl member list` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    id: String,
    status: String,
    name: String,
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn software_etcd_keeps_its_quorum() {
    let claims: Vec<String> = (0..5).map(|ordinal| format!("data-etcd-{ordinal}")).collect();
    let Some(etcd) = Example::start("etcd", &["first.yaml", "etcd.yaml"], &claims, &PROGRAMS) else { return };
    etcd.wait_ready("etcd", 3);
    etcd.has_members(3);
    etcd.put("etcd-0", "first", "1");
    etcd.namespace.kubectl(&["delete", "configmap", "etcd-first"]);

    etcd.recreate("etcd-1", || etcd.put("etcd-0", "while-1-is-away", "2"));
    // Read from its own data, not through the others.
    etcd.reads("etcd-1", &[("first", "1"), ("while-1-is-away", "2")]);
    let leader = etcd.leader(3);
    let other = if leader == "etcd-0" { "etcd-2" } else { "etcd-0" };
    etcd.recreate(&leader, || etcd.put(other, "while-the-leader-is-away", "3"));
    etcd.reads(&leader, &[("first", "1"), ("while-the-leader-is-away", "3")]);
    etcd.has_members(3);

    etcd.scale("etcd", 5);
    etcd.wait_ready("etcd", 5);
    let five = etcd.has_members(5);
    etcd.reads("etcd-4", &[("first", "1"), ("while-the-leader-is-away", "3")]);

    // A volume that is lost: it is another member that comes back.
    etcd.kubelet.exec("etcd-2", "etcd", &["rm", "-rf", "/data/etcd"]).unwrap();
    etcd.recreate("etcd-2", || etcd.put("etcd-0", "while-2-is-lost", "4"));
    etcd.reads("etcd-2", &[("first", "1"), ("while-2-is-lost", "4")]);
    let again = etcd.has_members(5);
    assert_ne!(id(&five, "etcd-2"), id(&again, "etcd-2"), "a member without its data is a new one");

    etcd.scale("etcd", 3);
    let three = etcd.has_members(3);
    assert!(
        three.iter().all(|member| ["etcd-0", "etcd-1", "etcd-2"].contains(&member.name.as_str())),
        "{three:?}"
    );
    etcd.put("etcd-1", "of-three-again", "5");
    let all = [("first", "1"), ("while-2-is-lost", "4"), ("of-three-again", "5")];
    etcd.reads("etcd-0", &all);

    // A volume that is lost while nobody hears the others: it waits for them, and makes no cluster of its own meanwhile.
    etcd.kubelet.exec("etcd-1", "etcd", &["rm", "-rf", "/data/etcd"]).unwrap();
    for pod in ["etcd-0", "etcd-2"] {
        etcd.kubelet.unplug(pod);
    }
    etcd.namespace.kubectl(&["delete", "pod", "etcd-1", "--wait=false"]);
    wait_until("etcd-1 waits for the others", super::STEP, || {
        let printed = etcd.kubelet.printed("etcd-1", "join");
        if printed.contains("waits: no other member answers") { Ok(()) } else { Err(printed) }
    });
    etcd.namespace.kubectl(&["delete", "pod", "etcd-0", "etcd-2", "--wait=false"]);
    etcd.wait_ready("etcd", 3);
    let last = etcd.has_members(3);
    assert_ne!(id(&three, "etcd-1"), id(&last, "etcd-1"), "it joined what was there");
    etcd.reads("etcd-1", &all);
}

/// The id of the member of this name.
fn id(members: &[Member], name: &str) -> String {
    members.iter().find(|member| member.name == name).unwrap().id.clone()
}

impl Example {
    fn put(&self, pod: &str, key: &str, value: &str) {
        let command = ["etcdctl", LOCAL, "--command-timeout=20s", "put", key, value];
        self.until(&format!("{key} is written"), pod, "etcd", &command, |printed| printed.trim() == "OK");
    }

    /// This member has these in its own data.
    fn reads(&self, pod: &str, all: &[(&str, &str)]) {
        for (key, value) in all {
            let command = ["etcdctl", LOCAL, "get", "--consistency=s", "--print-value-only", key];
            self.until(&format!("{key} is {value}"), pod, "etcd", &command, |printed| {
                printed.trim() == *value
            });
        }
    }

    /// Waits until there are so many members, all of them started and healthy.
    fn has_members(&self, count: usize) -> Vec<Member> {
        let members = wait_until(&format!("etcd has {count} members"), super::STEP, || {
            let printed = self.kubelet.exec("etcd-0", "etcd", &["etcdctl", LOCAL, "member", "list"])?;
            let members: Vec<Member> = printed.lines().map(Member::read).collect();
            let started = members.iter().all(|member| member.status == "started");
            if started && members.len() == count { Ok(members) } else { Err(printed) }
        });
        let healthy = ["etcdctl", LOCAL, "--command-timeout=20s", "endpoint", "health", "--cluster"];
        self.until("all members are healthy", "etcd-0", "etcd", &healthy, |_| true);
        println!("software: etcd: {count} members, started and healthy");
        members
    }

    fn leader(&self, members: usize) -> String {
        let pods = (0..members).map(|ordinal| format!("etcd-{ordinal}"));
        let mut leaders = pods.filter(|pod| {
            // `endpoint, id, version, size, leader, learner, …`
            let status = self.kubelet.exec(pod, "etcd", &["etcdctl", LOCAL, "endpoint", "status"]).unwrap();
            status.split(", ").nth(4) == Some("true")
        });
        leaders.next().expect("a leader")
    }
}

impl Member {
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split(", ").collect();
        let word = |index: usize| words.get(index).copied().unwrap_or_default().to_owned();
        Self { id: word(0), status: word(1), name: word(2) }
    }
}
