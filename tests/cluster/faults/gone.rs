//! 410 Gone: what the server has seen is compacted away while the API server is not there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hickory_proto::rr::{RData, RecordType};
use serde_json::{Value, json};

use super::api::SecondApi;
use super::asker::Asker;
use super::scene::Scene;
use super::{RIGHT, bare};
use crate::support::{ControlPlane, Rollcall, ask, wait_until};

/// How soon the server says that it is stale.
const NOTICED: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn watches_that_are_gone_are_listed_anew() {
    let plane = bare("gone", &[]);
    let mut api = SecondApi::new(&plane);
    api.start();
    let scene = Scene::new(&plane, "gone");
    let rollcall = Rollcall::start(api.kubeconfig(), &[]);
    scene.settle(rollcall.dns);

    // Nothing is different in the new list: nothing is published.
    let before = serial(&rollcall);
    let asker = Asker::start(rollcall.dns, scene.expectations(&[0]));
    lose_history(&plane, &mut api, &rollcall, || {
        // Something must have happened, or there is nothing to compact; it is nothing of the server's.
        plane.kubectl(&["create", "configmap", "unheeded"]);
    });
    wait_until("/readyz says nothing of degraded", RIGHT, || match rollcall.get("/readyz") {
        (200, body) if !body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    let answers = asker.finish();
    assert_eq!(serial(&rollcall), before, "a list without a difference was published");

    let asker = Asker::start(rollcall.dns, scene.expectations(&[0, 1]));
    let back = lose_history(&plane, &mut api, &rollcall, || scene.turn(1));
    let right = asker.right_within(RIGHT).saturating_duration_since(back);
    assert_ne!(serial(&rollcall), before, "what changed has another serial");
    println!(
        "410 with changes: right {:.2} s after the return, {} answers",
        right.as_secs_f32(),
        answers + asker.finish()
    );

    // The new watches carry on.
    let asker = Asker::start(rollcall.dns, scene.expectations(&[1, 2]));
    scene.turn(2);
    let changed = Instant::now();
    let right = asker.right_within(RIGHT).saturating_duration_since(changed);
    println!("a change after that: right {:.2} s after the last acknowledgement", right.as_secs_f32());
    asker.finish();
}

/// Kills the API server, makes changes and compacts them away, and starts it again: when it was back. Watches
/// from before are answered 410 then, which is made sure of.
fn lose_history(
    plane: &ControlPlane,
    api: &mut SecondApi<'_>,
    rollcall: &Rollcall,
    changes: impl FnOnce(),
) -> Instant {
    let seen = Versions::of(api);
    api.kill();
    wait_until("/readyz says degraded, and that it serves", NOTICED, || match rollcall.get("/readyz") {
        (200, body) if body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    changes();
    compact(plane);
    let back = api.start();
    seen.assert_gone(api);
    back
}

/// What is watched, and the version that it had.
#[derive(Debug)]
pub(super) struct Versions([(&'static str, String); 2]);

impl Versions {
    /// Those of now.
    pub(super) fn of(api: &SecondApi<'_>) -> Self {
        Self(["/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"].map(|kind| {
            let list: Value = serde_json::from_str(&api.raw(&format!("{kind}?limit=1")).unwrap()).unwrap();
            (kind, list["metadata"]["resourceVersion"].as_str().unwrap().to_owned())
        }))
    }

    /// Nobody can go on from there: whoever watched before is answered 410, and lists anew.
    pub(super) fn assert_gone(&self, api: &SecondApi<'_>) {
        for (kind, version) in &self.0 {
            let watch = format!("{kind}?watch=1&resourceVersion={version}&timeoutSeconds=1");
            let answer = api.raw(&watch).unwrap_or_else(|error| error);
            let is_gone = answer.contains(r#""code":410"#) || answer.contains("too old resource version");
            assert!(is_gone, "{kind} can still be watched from {version}: {answer}");
        }
    }
}

/// Makes etcd forget all that led to now.
fn compact(plane: &ControlPlane) {
    let range = etcd(plane, "/v3/kv/range", &json!({ "key": "AA==" }));
    let revision = range["header"]["revision"].as_str().unwrap_or_else(|| panic!("{range}"));
    let answer = etcd(plane, "/v3/kv/compaction", &json!({ "revision": revision }));
    assert!(answer["header"].is_object(), "{answer}");
}

/// etcd's JSON gateway.
fn etcd(plane: &ControlPlane, path: &str, request: &Value) -> Value {
    let mut stream = TcpStream::connect(plane.etcd_address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let body = request.to_string();
    // HTTP/1.0: the answer ends with the connection.
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
}

/// The serial of the cluster's zone.
pub(super) fn serial(rollcall: &Rollcall) -> u32 {
    let answer = ask(rollcall.dns, "cluster.local.", RecordType::SOA);
    let serial = answer.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    });
    serial.unwrap_or_else(|| panic!("no SOA record: {answer:?}"))
}
