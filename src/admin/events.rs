//! `/api/v1/events`: changes as they are published, as server-sent events (WHATWG HTML, section 9.2).
//!
//! A stream is a place in the ring of changes and nothing else: who reads slowly holds no memory, and is told of a gap
//! where what it had not read was forgotten. One that reads nothing is ended by its connection ([`super::patience`]).

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

use super::board::Board;
use super::patience::Patience;
use super::query::Query;
use super::ring::ChangeAnswer;

/// Between two signs of life: less than what proxies and port forwards wait for.
pub(super) const BEAT: Duration = Duration::from_secs(10);
/// A stream is over after this, and its client comes back to where it was: one that takes nothing fills the kernel's buffers
/// first, which lasts hours where little changes, and would keep its place as long.
const AGE: Duration = Duration::from_secs(600);
/// Changes of one write.
const TOGETHER: usize = 64;

/// The streams that may be open.
#[derive(Clone, Debug)]
pub(super) struct Streams(pub(super) Arc<Semaphore>);

struct EventStream {
    board: Board,
    /// The last change that was told.
    number: u64,
    /// What is to be said first.
    head: Option<String>,
    health: String,
    /// When health is to be looked at next.
    beat: Instant,
    ends: Instant,
    newest: watch::Receiver<u64>,
    ended: watch::Receiver<bool>,
    patience: Arc<Patience>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(
    State(board): State<Board>,
    Extension(Streams(streams)): Extension<Streams>,
    Extension(patience): Extension<Arc<Patience>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Ok(place) = streams.try_acquire_owned() else {
        let head = [(header::RETRY_AFTER, "10"), (header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let said = "as many event streams are open as may be (limits.page_streams); try again later\n";
        return (StatusCode::SERVICE_UNAVAILABLE, head, said).into_response();
    };
    patience.streams();
    let query = Query::parse(query.as_deref());
    // A browser sends the header when it comes back; a page that was rendered before says it in the query.
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let stream = EventStream::new(board, header.or(query.text("after")), place, patience);
    let body = stream::unfold(stream, async |mut stream| {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(text), stream))
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx gathers what it is given otherwise.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (head, Body::from_stream(body)).into_response()
}

impl EventStream {
    fn new(board: Board, after: Option<&str>, place: OwnedSemaphorePermit, patience: Arc<Patience>) -> Self {
        let ring = board.ring();
        let newest = ring.newest();
        let now = ring.newest_number();
        let mut head = "retry: 2000\n\n".to_owned();
        let number = match after.map(|id| ring.number(id)) {
            None => now,
            Some(Some(number)) => number,
            // Of another process: what it had told is not what this one remembers.
            Some(None) => {
                head.push_str(&gap(&ring.id(now)));
                now
            }
        };
        let (ended, health, began) = (board.ended(), String::new(), Instant::now());
        Self {
            head: Some(head),
            number,
            health,
            beat: began + BEAT,
            ends: began + AGE,
            newest,
            ended,
            patience,
            is_over: false,
            _place: place,
            board,
        }
    }

    /// The next octets; None is the end.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        self.patience.hears();
        if let Some(mut head) = self.head.take() {
            self.tell_health(&mut head);
            return Some(head);
        }
        loop {
            if *self.ended.borrow_and_update() {
                self.is_over = true;
                return Some("event: end\ndata: {}\n\n".to_owned());
            }
            if self.ends <= Instant::now() {
                return None;
            }
            self.newest.mark_unchanged();
            let since = self.board.ring().since(self.number, TOGETHER);
            let mut text = String::new();
            // Changes that come faster than it beats do not keep health back.
            let beats = self.beat <= Instant::now();
            if beats {
                self.tell_health(&mut text);
            }
            if since.is_gap {
                text.push_str(&gap(&self.board.ring().id(since.last - since.changes.len() as u64)));
            }
            self.number = since.last;
            since.changes.iter().for_each(|change| tell(&mut text, change));
            if !text.is_empty() {
                return Some(text);
            }
            if beats {
                return Some(": beat\n\n".to_owned());
            }
            let more = tokio::select! {
                more = self.newest.changed() => more.is_ok(),
                more = self.ended.changed() => more.is_ok(),
                () = sleep_until(self.beat.min(self.ends)) => true,
            };
            if !more {
                return None;
            }
        }
    }

    /// Where it is another than was told last.
    fn tell_health(&mut self, text: &mut String) {
        self.beat = Instant::now() + BEAT;
        let health = super::look::health(&self.board);
        let (ready, serial) = (health.ready, self.board.reader.serial());
        let told =
            serde_json::json!({ "ready": ready, "status": health.status, "serial": serial }).to_string();
        if told != self.health {
            let _ = write!(text, "event: health\ndata: {told}\n\n");
            self.health = told;
        }
    }
}

fn gap(id: &str) -> String {
    format!("event: gap\nid: {id}\ndata: {{}}\n\n")
}

fn tell(text: &mut String, change: &ChangeAnswer) {
    // A line, for JSON has no line breaks of its own.
    let data = serde_json::to_string(change).unwrap_or_default();
    let _ = write!(text, "event: change\nid: {}\ndata: {data}\n\n", change.id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::board::tests::{mk_batch, mk_board};

    fn mk_stream(board: &Board) -> EventStream {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        EventStream::new(board.clone(), None, place, Arc::new(Patience::new(())))
    }

    #[tokio::test(start_paused = true)]
    async fn health_is_told_among_changes_that_do_not_end() {
        let (board, mut end) = mk_board();
        let mut stream = mk_stream(&board);
        assert!(stream.next().await.unwrap().contains("event: health"));
        board.health.drain();
        let mut texts = Vec::new();
        for revision in 0..4 {
            end.published(revision, mk_batch());
            board.ring().newest().wait_for(|newest| *newest > revision).await.unwrap();
            texts.push(stream.next().await.unwrap());
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        assert!(texts.iter().all(|text| text.contains("event: change")), "{texts:?}");
        let told: Vec<bool> = texts.iter().map(|text| text.contains("event: health")).collect();
        assert_eq!(told, [false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_gives_its_place_back_in_the_end() {
        let (board, _end) = mk_board();
        let mut stream = mk_stream(&board);
        let (start, mut beats) = (Instant::now(), 0);
        while let Some(text) = stream.next().await {
            assert!(!text.contains("event: end"), "which is told where the server is being stopped");
            beats += usize::from(text.contains(": beat"));
            assert!(start.elapsed() <= AGE, "{:?}", start.elapsed());
        }
        assert_eq!((start.elapsed().as_secs(), beats), (AGE.as_secs(), 59));
    }
}
