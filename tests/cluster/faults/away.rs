//! The API server is killed and comes back, or is not there to begin with.

use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::api::SecondApi;
use super::asker::Asker;
use super::client::Said;
use super::scene::Scene;
use super::{RIGHT, bare};
use crate::support::{Rollcall, ask, wait_until};

/// How long it stays away: by then the server tries again at its slowest, and that is what its return is
/// measured by.
const AWAY: Duration = Duration::from_secs(20);
/// How soon the server says that it is stale.
const NOTICED: Duration = Duration::from_secs(10);
/// "never synchronised": not ready (RFC 8914, section 4.15).
const NOT_READY: u16 = 14;

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn api_server_killed_and_restarted() {
    let plane = bare("away", &[]);
    let mut api = SecondApi::new(&plane);
    api.start();
    let scene = Scene::new(&plane, "away");
    let rollcall = Rollcall::start(api.kubeconfig(), &[]);
    scene.settle(rollcall.dns);

    let asker = Asker::start(rollcall.dns, scene.expectations(&[0, 1]));
    api.kill();
    let killed = Instant::now();
    wait_until("/readyz says degraded, and that it serves", NOTICED, || match rollcall.get("/readyz") {
        (200, body) if body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    let degraded = killed.elapsed();
    scene.turn(1);
    // The time that it is away is what is tried here; it is not waited for anything.
    thread::sleep(AWAY.saturating_sub(killed.elapsed()));
    asker.assert_unchanged();
    assert_eq!(rollcall.get("/livez").0, 200);
    let (status, body) = rollcall.get("/readyz");
    assert!(status == 200 && body.contains("degraded"), "{status} {body}");

    let back = api.start();
    let right = asker.right_within(RIGHT).saturating_duration_since(back);
    wait_until("/readyz says nothing of degraded", RIGHT, || match rollcall.get("/readyz") {
        (200, body) if !body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    let answers = asker.finish();
    println!(
        "API server away for {:.1} s: degraded after {:.1} s, right {:.2} s after; {answers} answers",
        (back - killed).as_secs_f32(),
        degraded.as_secs_f32(),
        right.as_secs_f32()
    );
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn api_server_down_at_the_start() {
    let plane = bare("start", &[]);
    let mut api = SecondApi::new(&plane);
    let scene = Scene::new(&plane, "start");
    let rollcall = Rollcall::start_unready(api.kubeconfig(), &[]);
    let server_failure = Said::Other(format!("{:?}", ResponseCode::ServFail));
    let mut expectations = scene.expectations(&[0]);
    for expectation in &mut expectations {
        expectation.begin_with(server_failure.clone());
    }
    let asker = Asker::start(rollcall.dns, expectations);
    for name in
        ["kubernetes.default.svc.cluster.local.", "nothing.default.svc.cluster.local.", "cluster.local."]
    {
        let answer = ask(rollcall.dns, name, RecordType::A);
        assert_eq!(answer.rcode, ResponseCode::ServFail, "{name}");
        assert!(answer.edes.iter().any(|(code, _)| *code == NOT_READY), "{name}: {:?}", answer.edes);
        assert!(!answer.authoritative, "{name}: AA on SERVFAIL");
    }
    // As long as it takes until it tries again at its slowest.
    thread::sleep(AWAY);
    asker.assert_unchanged();
    assert_eq!(rollcall.get("/readyz").0, 503);
    assert_eq!(rollcall.get("/livez").0, 200);
    assert!(!rollcall.stderr().lines().any(|line| line == "ready"), "{}", rollcall.stderr());

    let there = api.start();
    let right = asker.right_within(RIGHT).saturating_duration_since(there);
    wait_until("/readyz", RIGHT, || match rollcall.get("/readyz") {
        (200, body) if !body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    rollcall.ready();
    let answers = asker.finish();
    println!("API server {AWAY:?} late: right {:.2} s after it came, {answers} answers", right.as_secs_f32());
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn store_of_the_api_server_is_away() {
    let plane = bare("store", &[]);
    let scene = Scene::new(&plane, "store");
    let rollcall = Rollcall::start(plane.kubeconfig(), &[]);
    scene.settle(rollcall.dns);

    let asker = Asker::start(rollcall.dns, scene.expectations(&[0, 1]));
    plane.kill_etcd();
    // Long enough that every watch has ended once, and that no new one could be had from the store.
    thread::sleep(AWAY + RIGHT);
    asker.assert_unchanged();
    assert_eq!(rollcall.get("/livez").0, 200);
    assert_eq!(rollcall.get("/readyz").0, 200);
    plane.start_etcd();
    wait_until("the API server has its store again", Duration::from_secs(60), || {
        plane.try_kubectl(&["get", "--raw", "/readyz"])
    });
    scene.turn(1);
    let changed = Instant::now();
    let right = asker.right_within(RIGHT).saturating_duration_since(changed);
    println!(
        "etcd away: right {:.2} s after the first changes, {} answers",
        right.as_secs_f32(),
        asker.finish()
    );
}
