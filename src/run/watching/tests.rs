//! A server of the test's own is followed, through its sockets; its clock is the test's.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::{Instant, advance, pause, resume, timeout};

use super::*;

/// Of what comes at once, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two questions for health.
const LOOK: u64 = 5;

/// A stream of events that somebody opened: what is sent goes into it, and dropped it ends.
type Stream = UnboundedSender<String>;

struct Fake {
    server: Server,
    /// What was asked for, and when.
    asked: Arc<Mutex<Vec<(String, Instant)>>>,
    streams: UnboundedReceiver<Stream>,
}

impl Fake {
    /// Answers a path with its query with a code and a text.
    async fn start(answer: impl Fn(&str) -> (u16, String) + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<(String, Instant)>>>::default();
        let (streams_tx, streams) = unbounded_channel();
        let of_requests = Arc::clone(&asked);
        let handler = move |uri: Uri| {
            let (asked, streams, answer) = (Arc::clone(&of_requests), streams_tx.clone(), answer.clone());
            async move {
                let path = uri.to_string();
                asked.lock().unwrap().push((path.clone(), Instant::now()));
                if path.starts_with("/api/v1/events") {
                    return events(&streams);
                }
                let (code, text) = answer(&path);
                (StatusCode::from_u16(code).unwrap(), text).into_response()
            }
        };
        let routes = Router::new().fallback(handler);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { server: Server::new(&address, None).unwrap(), asked, streams }
    }

    /// When that was asked for, each time.
    fn times(&self, path: &str) -> Vec<Instant> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(other, _)| other.starts_with(path)).map(|(_, at)| *at).collect()
    }

    /// The next stream that is opened.
    async fn stream(&mut self) -> Stream {
        timeout(PATIENCE, self.streams.recv()).await.unwrap().unwrap()
    }

    /// Where the last stream was told to go on.
    fn opened_at(&self) -> Option<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .rev()
            .find_map(|(path, _)| path.strip_prefix("/api/v1/events?after=").map(ToOwned::to_owned))
    }
}

fn events(streams: &UnboundedSender<Stream>) -> Response {
    let (stream_tx, stream_rx) = unbounded_channel::<String>();
    streams.send(stream_tx).unwrap();
    let body = stream::unfold(stream_rx, async |mut stream_rx| {
        let text = stream_rx.recv().await?;
        Some((Ok::<_, Infallible>(text), stream_rx))
    });
    Body::from_stream(body).into_response()
}

/// A server that is well and has nothing.
fn healthy(path: &str) -> (u16, String) {
    let answer = match path.split('?').next().unwrap() {
        "/api/v1/health" => json!({
            "ready": true, "status": "ok", "stale_seconds": null, "degraded": [], "source": "manifests", "watches": []
        }),
        "/api/v1/zone" => json!({"zone": "cluster.local", "serial": 1}),
        "/api/v1/changes" => json!({"last": "p-0", "changes": []}),
        "/api/v1/sets" => json!({"total": 0, "next": null, "sets": []}),
        _ => return (404, json!({"error": "no such path"}).to_string()),
    };
    (200, answer.to_string())
}

fn mk_change(number: usize, set: &str) -> Value {
    json!({
        "id": format!("p-{number}"), "namespace": "default", "service": "nginx", "set": set, "text": set,
        "published_at": "2026-11-21T12:04:07.512Z", "took_ms": null
    })
}

fn mk_event(number: usize, set: &str) -> String {
    format!("event: change\nid: p-{number}\ndata: {}\n\n", mk_change(number, set))
}

fn mk_set(name: &str) -> Value {
    json!({
        "namespace": "default", "name": name, "service": "nginx", "replicas": 1, "ready": 1, "cells": [], "more": 0
    })
}

/// What is told while it is followed.
struct Told(UnboundedReceiver<News>);

impl Told {
    /// The next one that is as wished; the server is not lost meanwhile.
    async fn until(&mut self, is_it: impl Fn(&News) -> bool) -> News {
        loop {
            let news = timeout(PATIENCE, self.0.recv()).await.unwrap().unwrap();
            if is_it(&news) {
                return news;
            }
            assert!(!matches!(news, News::Lost(..)), "{news:?}");
        }
    }

    async fn until_change(&mut self, id: &str) {
        self.until(|news| matches!(news, News::Change(change) if change.id == id)).await;
    }

    /// Time goes by, look by look: nothing that was asked for meanwhile is in its way for longer than an answer may take.
    async fn skip(&mut self, looks: usize) {
        for _ in 0..looks {
            while let Ok(news) = self.0.try_recv() {
                assert!(!matches!(news, News::Lost(..)), "{news:?}");
            }
            skip(LOOK).await;
            self.until(|news| matches!(news, News::Health(..))).await;
        }
    }

    /// In how many seconds a lost server is tried again.
    async fn lost(&mut self) -> u64 {
        match self.until(|news| matches!(news, News::Lost(..))).await {
            News::Lost(_, seconds) => seconds,
            _ => unreachable!(),
        }
    }
}

/// Follows the server for as long as the test looks.
async fn followed(fake: Fake, test: impl AsyncFnOnce(Fake, Told)) {
    let server = fake.server.clone();
    let (told_tx, told_rx) = unbounded_channel();
    let (_chosen_tx, chosen_rx) = watch::channel(None);
    LocalSet::new()
        .run_until(async {
            tokio::task::spawn_local(async move {
                follow(&server, chosen_rx, |news| told_tx.send(news).is_ok()).await;
            });
            test(fake, Told(told_rx)).await;
        })
        .await;
}

/// Time goes by, and with it nothing else.
async fn skip(seconds: u64) {
    pause();
    advance(Duration::from_secs(seconds)).await;
    resume();
}

#[tokio::test]
async fn a_stream_that_has_lived_is_opened_anew_where_it_ended() {
    let fake = Fake::start(healthy).await;
    followed(fake, async |mut fake, mut told| {
        let mut stream = fake.stream().await;
        for number in 1..=6 {
            stream.send(mk_event(number, "web")).unwrap();
            told.until_change(&format!("p-{number}")).await;
            if number % 3 == 0 {
                drop(stream);
                stream = fake.stream().await;
                assert_eq!(fake.opened_at(), Some(format!("p-{number}")));
            } else {
                told.skip(3).await;
            }
        }
        stream.send(mk_event(7, "web")).unwrap();
        told.until_change("p-7").await;
        assert_eq!(fake.times("/api/v1/sets?").len(), 1, "nothing was missed");
    })
    .await;
}

#[tokio::test]
async fn streams_that_end_at_once_are_opened_slowly() {
    let fake = Fake::start(healthy).await;
    followed(fake, async |mut fake, mut told| {
        for seconds in [1, 2, 4, 8, 16, 16] {
            drop(fake.stream().await);
            assert_eq!(told.lost().await, seconds);
            skip(seconds).await;
        }
        let stream = fake.stream().await;
        for number in 1..=2 {
            stream.send(mk_event(number, "web")).unwrap();
            told.until_change(&format!("p-{number}")).await;
            told.skip(3).await;
        }
        stream.send("event: end\ndata: {}\n\n".to_owned()).unwrap();
        assert_eq!(told.lost().await, 1, "it has lived");
    })
    .await;
}

#[tokio::test]
async fn a_set_that_cannot_be_asked_for_just_now_is_asked_for_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let answer = move |path: &str| match path.split('?').next().unwrap() {
        "/api/v1/sets/default/web" if tries.fetch_add(1, Ordering::Relaxed) == 0 => {
            (503, json!({"error": "try again"}).to_string())
        }
        "/api/v1/sets/default/web" => (200, mk_set("web").to_string()),
        _ => healthy(path),
    };
    let fake = Fake::start(answer).await;
    followed(fake, async |mut fake, mut told| {
        let stream = fake.stream().await;
        stream.send(mk_event(1, "web")).unwrap();
        told.until(|news| matches!(news, News::Set(set) if set.name == "web")).await;
        assert_eq!(fake.times("/api/v1/sets/default/web").len(), 2);
        assert_eq!(fake.times("/api/v1/events").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_has_time_is_lost_in_the_end() {
    let answer = |path: &str| match path.split('?').next().unwrap() {
        "/api/v1/sets/default/web" => (503, json!({"error": "try again"}).to_string()),
        _ => healthy(path),
    };
    let fake = Fake::start(answer).await;
    followed(fake, async |mut fake, mut told| {
        let stream = fake.stream().await;
        told.until(|news| matches!(news, News::Live)).await;
        stream.send(mk_event(1, "web")).unwrap();
        told.until_change("p-1").await;
        let mut lost = None;
        for _ in 0..12 {
            skip(LOOK).await;
            let news = told.until(|news| matches!(news, News::Health(..) | News::Lost(..))).await;
            if matches!(news, News::Lost(..)) {
                lost = Some(news);
                break;
            }
            // It lives, and says so.
            stream.send(":\n\n".to_owned()).unwrap();
        }
        assert!(matches!(&lost, Some(News::Lost(why, 1)) if why.contains("try again")), "{lost:?}");
    })
    .await;
}

#[tokio::test]
async fn where_many_sets_change_all_are_asked_for_and_not_back_to_back() {
    let fake = Fake::start(healthy).await;
    followed(fake, async |mut fake, mut told| {
        let stream = fake.stream().await;
        told.until(|news| matches!(news, News::Live)).await;
        for _ in 0..2 {
            // Together, so that they are gathered together.
            let events = (1..=34).map(|number| mk_event(number, &format!("set-{number}"))).collect();
            stream.send(events).unwrap();
            told.until(|news| matches!(news, News::Sets { .. })).await;
        }
        let times = fake.times("/api/v1/sets?");
        assert_eq!(times.len(), 3);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(2)), "{times:?}");
        assert!(fake.times("/api/v1/sets/").is_empty());
        assert_eq!(fake.times("/api/v1/changes").len(), 1, "none was missed");
    })
    .await;
}

/// Changes as a server has them that remembers so many, the oldest first.
fn remembered(most: usize) -> impl Fn(&str) -> (u16, String) + Clone + Send + Sync + 'static {
    move |path: &str| {
        if !path.starts_with("/api/v1/changes?limit=1000") {
            return healthy(path);
        }
        let after = path.split_once("&after=p-").map_or(0, |(_, number)| number.parse().unwrap());
        let last = most.min(after + 1000);
        let changes: Vec<Value> = (after + 1..=last).map(|number| mk_change(number, "web")).collect();
        (200, json!({"last": format!("p-{last}"), "changes": changes}).to_string())
    }
}

#[tokio::test]
async fn the_last_changes_are_the_newest() {
    for most in [0, 7, 1000, 1001, 2500] {
        let fake = Fake::start(remembered(most)).await;
        let changes = asking::changes(&fake.server, None).await.unwrap();
        let ids: Vec<String> = changes.changes.into_iter().map(|change| change.id).collect();
        let newest: Vec<String> =
            (most.saturating_sub(200) + 1..=most).map(|number| format!("p-{number}")).collect();
        assert_eq!((changes.last, ids), (format!("p-{most}"), newest));
        let elsewhere = asking::changes(&fake.server, Some("shop")).await.unwrap();
        assert_eq!((elsewhere.last, elsewhere.changes.len()), (format!("p-{most}"), 0));
    }
}

#[tokio::test]
async fn changes_without_an_end_are_not_read_for_ever() {
    let fake = Fake::start(remembered(usize::MAX)).await;
    let changes = asking::changes(&fake.server, None).await.unwrap();
    assert_eq!(changes.last, "p-66000");
    assert_eq!(fake.times("/api/v1/changes").len(), 66);
}

#[tokio::test]
async fn a_gap_brings_the_newest_changes() {
    let fake = Fake::start(remembered(2500)).await;
    followed(fake, async |mut fake, mut told| {
        let stream = fake.stream().await;
        assert_eq!(fake.times("/api/v1/events?after=p-2500").len(), 1);
        told.until(|news| matches!(news, News::Live)).await;
        stream.send("event: gap\nid: p-2500\ndata: {}\n\n".to_owned()).unwrap();
        let changes = told.until(|news| matches!(news, News::Changes(_))).await;
        let News::Changes(changes) = changes else { unreachable!() };
        assert_eq!((changes.len(), changes.last().unwrap().id.as_str()), (200, "p-2500"));
    })
    .await;
}

#[tokio::test]
async fn sets_without_an_end_are_not_read_for_ever() {
    /// So many octets, most of them white space.
    fn padded(answer: &Value, octets: usize) -> String {
        format!("{answer}{}", " ".repeat(octets))
    }
    let part = |sets: Value, next: &str, octets| {
        let text = padded(&json!({"total": 9000, "next": next, "sets": sets}), octets);
        move |path: &str| if path.starts_with("/api/v1/sets") { (200, text.clone()) } else { healthy(path) }
    };
    let empty = part(json!([]), "a/a", 0);
    let again = part(json!([mk_set("web")]), "default/web", 0);
    for (fake, questions, found) in [(Fake::start(empty).await, 1, 0), (Fake::start(again).await, 2, 2)] {
        let (sets, total) =
            timeout(PATIENCE, asking::sets(&fake.server, None, usize::MAX)).await.unwrap().unwrap();
        assert_eq!((sets.len(), total, fake.times("/api/v1/sets").len()), (found, 9000, questions));
    }
    // Each leads on, and all of them together are more than one answer may be.
    let number = Arc::new(AtomicUsize::new(0));
    let endless = move |_: &str| {
        let next = format!("default/web-{}", number.fetch_add(1, Ordering::Relaxed));
        (200, padded(&json!({"total": 9000, "next": next, "sets": [mk_set("web")]}), 24 << 20))
    };
    let fake = Fake::start(endless).await;
    let (sets, _) = timeout(PATIENCE, asking::sets(&fake.server, None, usize::MAX)).await.unwrap().unwrap();
    assert_eq!((sets.len(), fake.times("/api/v1/sets").len()), (3, 3));
    // And so many as a screen has.
    let many = part(json!(vec![mk_set("web"); 1000]), "a/b", 0);
    let fake = Fake::start(move |path: &str| {
        let (code, text) = many(path);
        (code, if path.contains("after=a%2Fb") { text.replace("a/b", "a/c") } else { text })
    })
    .await;
    let (sets, _) = asking::sets(&fake.server, None, 2000).await.unwrap();
    assert_eq!((sets.len(), fake.times("/api/v1/sets").len()), (2000, 2));
}
