//! Before an API server that is a function, in a time that stands still.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;

use super::*;

const RATE: Rate = Rate { interval: Duration::from_secs(5), sets: 10 };
const BUSY: &str = r#"{"kind": "Status", "code": 429, "reason": "TooManyRequests",
    "details": {"retryAfterSeconds": 7}}"#;

fn name(set: &str) -> SetName {
    (Label::new("default").unwrap(), set.into())
}

/// A list of one pod that waits, of the set that is asked about.
fn a_pod(asked: &str) -> (u16, String) {
    let set = if asked.contains("web-0") { "web" } else { "db" };
    let pod = serde_json::json!({"metadata": {"name": format!("{set}-0")},
        "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]},
        "status": {"phase": "Pending"}});
    (200, serde_json::json!({"items": [pod]}).to_string())
}

fn nothing() -> (u16, String) {
    (200, "{}".to_owned())
}

/// Asks about the first replicas of `db` and `web`. A path with its query makes a code and a body.
fn mk_asking(answer: impl Fn(&str) -> (u16, String) + Clone + Send + Sync + 'static) -> Asking {
    let service = tower::service_fn(move |request: Request<Body>| {
        let (code, body) = answer(&request.uri().to_string());
        let body = Body::from(body.into_bytes());
        async move { Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap()) }
    });
    let asking = Asking::start(Clients::made(Client::new(service, "default")), RATE, LookCounters::default());
    asking.want(["db", "web"].map(|set| (name(set), Some(vec![0]))));
    asking
}

/// What is told until some of it is so, and how long that takes.
async fn until(asking: &mut Asking, is_it: impl Fn(&Told) -> bool) -> (Vec<Told>, Duration) {
    let started = Instant::now();
    let mut all = Vec::new();
    while !all.last().is_some_and(&is_it) {
        assert!(started.elapsed() < Duration::from_secs(7200), "{all:?}");
        all.push(asking.told().await.unwrap());
    }
    (all, started.elapsed())
}

fn is_of(set: &str, pods: usize) -> impl Fn(&Told) -> bool {
    move |told| *told.set.1 == *set && told.pods.len() == pods
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_look_at_again_is_forgotten() {
    for of_all in [false, true] {
        let fails = Arc::new(AtomicBool::new(false));
        let of_server = Arc::clone(&fails);
        let mut asking = mk_asking(move |asked| {
            let is_bad = of_server.load(Ordering::Relaxed) && (of_all || asked.contains("web-0"));
            match is_bad {
                true => (500, String::new()),
                false if asked.contains("/pods?") => a_pod(asked),
                false => nothing(),
            }
        });
        until(&mut asking, is_of("web", 1)).await;
        fails.store(true, Ordering::Relaxed);
        let (told, after) = until(&mut asking, is_of("web", 0)).await;
        let minutes = 10..=15;
        assert!(minutes.contains(&(after.as_secs() / 60)), "{after:?}");
        // The other one is believed as long as it is looked at.
        let of_db: Vec<usize> =
            told.iter().filter(|told| &*told.set.1 == "db").map(|told| told.pods.len()).collect();
        if of_all {
            assert_eq!(of_db.last(), Some(&0), "{of_db:?}");
        } else {
            assert!(of_db.len() > 60 && of_db.iter().all(|pods| *pods == 1), "{of_db:?}");
        }
        fails.store(false, Ordering::Relaxed);
        until(&mut asking, is_of("web", 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_used_is_its_sets_alone() {
    for bad in ["<html>".to_owned(), " ".repeat((16 << 20) + 1)] {
        let mut asking = mk_asking(move |asked| match asked {
            _ if asked.contains("db-0") => (200, bad.clone()),
            _ if asked.contains("/pods?") => a_pod(asked),
            _ => nothing(),
        });
        let (_, first) = until(&mut asking, is_of("db", 0)).await;
        let (told, after) = until(&mut asking, is_of("web", 1)).await;
        assert!(first + after < Duration::from_secs(1) && told.len() == 1, "{told:?} after {after:?}");
        // It is asked about less and less often, and the other one as ever.
        let started = Instant::now();
        let (mut of_db, mut of_web) = (0, 0);
        while started.elapsed() < Duration::from_secs(600) {
            let told = asking.told().await.unwrap();
            let (count, pods) = if &*told.set.1 == "db" { (&mut of_db, 0) } else { (&mut of_web, 1) };
            *count += 1;
            assert_eq!(told.pods.len(), pods);
        }
        assert!((5..=8).contains(&of_db) && (115..=125).contains(&of_web), "{of_db} {of_web}");
    }
}

#[tokio::test(start_paused = true)]
async fn pods_are_told_whatever_becomes_of_claims_and_events() {
    for what in ["/persistentvolumeclaims?", "/events?"] {
        let failing = Arc::new(Mutex::new(Vec::<Instant>::new()));
        let of_server = Arc::clone(&failing);
        let mut asking = mk_asking(move |asked| match asked {
            _ if asked.contains(what) => {
                of_server.lock().unwrap().push(Instant::now());
                (504, String::new())
            }
            _ if asked.contains("/pods?") => a_pod(asked),
            _ => nothing(),
        });
        let (told, _) = until(&mut asking, is_of("web", 1)).await;
        assert!(told.iter().all(|told| told.pods.len() == 1), "{told:?}");
        let started = Instant::now();
        let mut looks = 0;
        while started.elapsed() < Duration::from_secs(290) {
            assert_eq!(asking.told().await.unwrap().pods.len(), 1);
            looks += 1;
        }
        assert!(looks > 100, "{looks} looks: nobody waits for {what}");
        let failed = failing.lock().unwrap().clone();
        assert!((4..=6).contains(&failed.len()), "{failed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_when_to_ask_again_beside_pods_waits_as_long() {
    let mut asking = mk_asking(move |asked| match asked {
        _ if asked.contains("/persistentvolumeclaims?") => (429, BUSY.to_owned()),
        _ if asked.contains("/pods?") => a_pod(asked),
        _ => nothing(),
    });
    asking.told().await.unwrap();
    let (told, after) = until(&mut asking, is_of("web", 1)).await;
    assert!(after >= Duration::from_secs(7), "{told:?} after {after:?}");
}

#[tokio::test(start_paused = true)]
async fn events_are_asked_for_where_nothing_else_says_it_and_only_so_many() {
    for bound in ["Pending", "Bound"] {
        let asked_for = Arc::new(Mutex::new(Vec::<String>::new()));
        let of_server = Arc::clone(&asked_for);
        let mut asking = mk_asking(move |asked| {
            of_server.lock().unwrap().push(asked.to_owned());
            match asked {
                _ if asked.contains("/pods?") => a_pod(asked),
                _ if asked.contains("/persistentvolumeclaims?") => {
                    let claim = serde_json::json!({"metadata": {"name": "data"}, "status": {"phase": bound}});
                    (200, serde_json::json!({"items": [claim]}).to_string())
                }
                _ => nothing(),
            }
        });
        until(&mut asking, is_of("web", 1)).await;
        let asked = asked_for.lock().unwrap().clone();
        let events: Vec<&String> = asked.iter().filter(|asked| asked.contains("/events?")).collect();
        assert_eq!(events.is_empty(), bound == "Pending", "{asked:?}");
        assert!(events.iter().all(|asked| asked.contains("limit=100")), "{events:?}");
        let memory = asked.iter().filter(|asked| asked.contains("resourceVersion=0")).count();
        assert_eq!(memory, asked.len() - events.len(), "{asked:?}");
    }
}
