//! Redis replication with Sentinel: replicas and masters that come back elsewhere, and a master that is cut off.

use super::Example;
use crate::support::wait_until;

const PROGRAMS: [(&str, &str); 3] =
    [("redis-server", "redis-server"), ("redis-sentinel", "redis-sentinel"), ("redis-cli", "redis-tools")];
const ALL: [&str; 3] = ["redis-0", "redis-1", "redis-2"];

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn software_redis_keeps_its_data_and_a_master() {
    let claims = ALL.map(|pod| format!("data-{pod}"));
    let Some(redis) = Example::start("redis", &["redis.yaml"], &claims, &PROGRAMS) else { return };
    redis.wait_ready("redis", 3);
    assert_eq!(redis.whole(), "redis-0", "the first replica is the first master");
    redis.set("redis-0", "first", "1");

    redis.recreate("redis-1", || redis.set("redis-0", "while-1-is-away", "2"));
    let master = redis.whole();
    redis.all_read(&[("first", "1"), ("while-1-is-away", "2")]);

    // Away for less or more than the sentinels' patience: the one or another is master then, and nothing is lost.
    redis.recreate(&master, || ());
    let master = redis.whole();
    redis.set(&master, "behind-the-master", "3");
    redis.all_read(&[("first", "1"), ("while-1-is-away", "2"), ("behind-the-master", "3")]);

    // Nobody hears the master any more, and it runs on: the others elect another.
    redis.kubelet.unplug(&master);
    let other = ALL.into_iter().find(|pod| *pod != master).unwrap();
    let elected = wait_until("another master", super::STEP, || {
        let elected = redis.master(other)?;
        if elected == master { Err(elected) } else { Ok(elected) }
    });
    println!("software: redis: {master} is cut off, {elected} is master");
    redis.set(&elected, "of-another-master", "4");
    redis.recreate(&master, || ());
    assert_eq!(redis.whole(), elected, "who comes back follows");
    redis.all_read(&[
        ("first", "1"),
        ("while-1-is-away", "2"),
        ("behind-the-master", "3"),
        ("of-another-master", "4"),
    ]);
}

impl Example {
    fn cli(&self, pod: &str, arguments: &[&str]) -> Result<String, String> {
        let command = [&["timeout", "10", "redis-cli", "--raw"], arguments].concat();
        self.kubelet.exec(pod, "redis", &command)
    }

    /// The pod that the sentinel of this one calls the master.
    fn master(&self, pod: &str) -> Result<String, String> {
        let told = self.cli(pod, &["-p", "26379", "sentinel", "get-master-addr-by-name", "main"])?;
        // The first label of its name; where it is told by its address, that is a fault to wait for.
        Ok(told.split('.').next().unwrap_or_default().to_owned())
    }

    /// Waits until all sentinels agree on a master, see each other, and it has both replicas; returns its pod.
    fn whole(&self) -> String {
        let look = || {
            let masters = ALL.map(|pod| self.master(pod));
            let master = masters[0].clone()?;
            if !ALL.contains(&master.as_str()) || masters.iter().any(|other| other.as_ref() != Ok(&master)) {
                return Err(format!("masters: {masters:?}"));
            }
            for pod in ALL {
                let quorum = self.cli(pod, &["-p", "26379", "sentinel", "ckquorum", "main"])?;
                if !quorum.starts_with("OK 3 usable Sentinels") {
                    return Err(format!("{pod}: {quorum}"));
                }
            }
            let replication = self.cli(&master, &["info", "replication"])?;
            let online = replication.matches("state=online").count();
            if replication.contains("role:master") && online == 2 { Ok(master) } else { Err(replication) }
        };
        let master = wait_until("one master with two replicas, and three sentinels", super::STEP, look);
        println!("software: redis: {master} is master, with two replicas and three sentinels");
        master
    }

    fn set(&self, master: &str, key: &str, value: &str) {
        wait_until(&format!("{key} is written at {master}"), super::STEP, || {
            let said = self.cli(master, &["set", key, value])?;
            if said.trim() == "OK" { Ok(()) } else { Err(said) }
        });
    }

    /// Each of the three has these.
    fn all_read(&self, all: &[(&str, &str)]) {
        for pod in ALL {
            for (key, value) in all {
                wait_until(&format!("{pod} has {key}"), super::STEP, || {
                    let read = self.cli(pod, &["get", key])?;
                    if read.trim() == *value { Ok(()) } else { Err(read) }
                });
            }
        }
    }
}
