//! SIGKILL at random moments while changes go on, again and again, with and without an API server to start from:
//! what is answered is true of the cluster, and never older than the snapshot may be.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::api::admin_token;
use super::oracle::{Course, Observation, Random, Restart, Tolerance};
use super::proxy::{Cut, Proxy};
use super::rollout::Slices;
use super::{bare, is_long};
use crate::support::{Rollcall, free_port, wait_for};

/// Between two writes of the snapshot.
const INTERVAL: Duration = Duration::from_secs(1);
/// For a write to be done on a machine that does something else.
const WRITE: Duration = Duration::from_secs(3);
/// The longest pause between the first try after an outage and the next, a list, and a busy machine.
const TOLERANCE: Tolerance = Tolerance { behind: Duration::from_secs(6), ahead: Duration::from_secs(2) };
/// Every so many times it is let alone for long enough to know everything.
const REST_EACH: usize = 10;
/// Between two questions: some minutes of answers are kept and judged.
const PAUSE: Duration = Duration::from_micros(300);
/// So long at the most is waited for a write to begin.
const BEGINS: Duration = Duration::from_millis(1500);

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn killed_at_random_moments() {
    let kills = if is_long() { 300 } else { 30 };
    let plane = bare("kill", &[]);
    let slices = Slices::create(plane.namespace("kill"));
    let services = slices.services();
    let proxy = Proxy::start(plane.api_address());
    let kubeconfig = plane.folder().join("kill-kubeconfig");
    plane.kubeconfig_for(&kubeconfig, proxy.address, &admin_token(&plane));
    // A folder of its own: what is in it is the snapshot, or what becomes it.
    let folder = plane.folder().join("kept");
    fs::create_dir(&folder).unwrap();
    let snapshot = folder.join("snapshot");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let start = || {
        let flags = ["--snapshot", snapshot.to_str().unwrap()];
        let mut command = Rollcall::command_at(&listen.to_string(), &kubeconfig, &flags);
        command.env("ROLLCALL_SNAPSHOT_INTERVAL", INTERVAL.as_secs().to_string());
        let rollcall = Rollcall::launch(&command);
        rollcall.ready();
        rollcall
    };
    let mut rollcall = start();
    let observation = Observation::start(&services, listen, PAUSE);
    wait_for("the first snapshot", Duration::from_secs(30), || snapshot.exists().then_some(()));

    let mut course = Course { lag: INTERVAL + WRITE, ..Course::default() };
    let mut random = Random(kills as u64);
    let mut millis = |bound: usize| Duration::from_millis(random.below(bound) as u64);
    let (mut in_writes, mut alone, mut slowest) = (0, 0, Duration::ZERO);
    let is_over = AtomicBool::new(false);
    let (moves, _rollcall) = thread::scope(|scope| {
        let churn = scope.spawn(|| slices.shuffle_while(|| !is_over.load(Ordering::Relaxed)));
        // However it ends, the changes end with it.
        let _over = OnDrop(&is_over);
        for kill in 1..=kills {
            if kill % REST_EACH == 0 {
                thread::sleep(TOLERANCE.behind + Duration::from_secs(1));
            }
            thread::sleep(millis(900));
            // Every second time nobody is there to start from.
            let deaf = (kill % 2 == 0).then(|| {
                let since = observation.now();
                proxy.refuse(Cut::Reset);
                thread::sleep(millis(300));
                since
            });
            // Every third time while it writes, if it does.
            if kill % 3 == 0 {
                in_writes += usize::from(wait_for_write(&folder));
            }
            observation.set_down(true);
            let killing = observation.now();
            drop(rollcall);
            let killed = observation.now();
            rollcall = start();
            let ready = observation.now();
            observation.set_down(false);
            slowest = slowest.max(ready - killed);
            course.restarts.push(Restart { killing, killed, ready });
            if let Some(since) = deaf {
                alone += 1;
                thread::sleep(millis(700));
                proxy.pass();
                course.deaf.push(since..observation.now());
            }
        }
        is_over.store(true, Ordering::Relaxed);
        // It is to answer on: what is right in the end is waited for.
        (churn.join().unwrap(), rollcall)
    });
    let verdict = observation.finish(&course, TOLERANCE);
    println!(
        "killed {kills} times, {alone} of them without an API server to start from, {in_writes} in the middle of a \
         write; {moves} moves; ready {:.2} s after the kill at the latest",
        slowest.as_secs_f32()
    );
    assert!(verdict.shown > kills, "only {} states were shown", verdict.shown);
    assert!(alone * 3 >= kills, "it started alone only {alone} times");
}

/// Waits for a moment until something else than a whole snapshot and its lock is there: it is being written.
fn wait_for_write(folder: &Path) -> bool {
    let latest = Instant::now() + BEGINS;
    while Instant::now() < latest {
        let names = fs::read_dir(folder).unwrap().filter_map(Result::ok).map(|entry| entry.file_name());
        if names.into_iter().any(|name| name != "snapshot" && name != "snapshot.lock") {
            return true;
        }
    }
    false
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
