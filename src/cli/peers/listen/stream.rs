//! `/peers/events`: the events, as server-sent events (WHATWG HTML, section 9.2).
//!
//! The first is the whole list as it is, whoever comes and whatever it was told before: each event has all of it, so
//! that nothing is ever to be made up for. `Last-Event-ID` may therefore be sent, and changes nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::board::{self, Board, Shown};
use super::routes::too_many;
use crate::admin::Patience;
use crate::peers::{Difference, Event, Kind, List};

/// Between two signs of life. [`Patience`] ends a stream that has not been read for twice as long.
const BEAT: Duration = Duration::from_secs(15);

struct EventStream {
    board: Board,
    state_rx: watch::Receiver<board::State>,
    /// The list that was told last.
    told: Option<Arc<List>>,
    has_begun: bool,
    is_over: bool,
    beat: Instant,
    patience: Arc<Patience>,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(
    State(board): State<Board>,
    Extension(patience): Extension<Arc<Patience>>,
) -> Response {
    let Ok(place) = Arc::clone(&board.streams).try_acquire_owned() else { return too_many() };
    patience.streams();
    let body = stream::unfold(EventStream::new(board, patience, place), async |mut stream| {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(text), stream))
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx gathers what it is given otherwise.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (head, Body::from_stream(body)).into_response()
}

impl EventStream {
    fn new(board: Board, patience: Arc<Patience>, place: OwnedSemaphorePermit) -> Self {
        let state_rx = board.state_rx.clone();
        let beat = Instant::now() + BEAT;
        Self { board, state_rx, told: None, has_begun: false, is_over: false, beat, patience, _place: place }
    }

    /// The next octets; None is the end.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        self.patience.hears();
        loop {
            let state = self.state_rx.borrow_and_update().clone();
            let mut text = String::new();
            if !std::mem::replace(&mut self.has_begun, true) {
                text.push_str("retry: 2000\n\n");
                if state.newest.is_none() {
                    text.push_str(": no list yet\n\n");
                }
            }
            if let Some(event) = state.newest.and_then(|shown| self.event(&shown)) {
                text.push_str(&event);
            }
            if state.ended {
                self.is_over = true;
                text.push_str("event: end\ndata: {}\n\n");
            }
            if !text.is_empty() {
                self.beat = Instant::now() + BEAT;
                return Some(text);
            }
            tokio::select! {
                changed = self.state_rx.changed() => changed.ok()?,
                () = sleep_until(self.beat) => {
                    self.beat = Instant::now() + BEAT;
                    return Some(": beat\n\n".to_owned());
                }
            }
        }
    }

    /// What there is to tell of a list behind the one that was told last.
    fn event(&mut self, shown: &Shown) -> Option<String> {
        let Board { of, choice, instance, .. } = &self.board;
        let event = Event::between(self.told.as_deref(), Arc::clone(&shown.list))?;
        let peers = choice.of(&event.list);
        let before = self.told.replace(Arc::clone(&event.list)).map(|before| choice.of(&before));
        let difference = Difference::between(before.as_deref().unwrap_or_default(), &peers);
        if event.kind == Kind::Change && difference.is_empty() {
            return None;
        }
        let kind = event.kind.as_str();
        // A line, for JSON has no line breaks of its own.
        let data = of.event(kind, &event.list, &peers, &difference).ok()?;
        Some(format!("event: {kind}\nid: {instance:08x}-{}\ndata: {data}\n\n", shown.number))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::super::board::State as Told;
    use super::*;
    use crate::cli::peers::told::{Choice, Of};
    use crate::peers::{Peer, Way};

    fn mk_list(hosts: &[&str]) -> Arc<List> {
        let peer = |host: &&str| Peer {
            name: format!("{host}.nginx.default.svc.cluster.local"),
            host: (*host).to_owned(),
            addresses: Vec::new(),
            ports: vec![80],
            ready: true,
            ordinal: None,
        };
        let (peers, server) = (hosts.iter().map(peer).collect(), "server".to_owned());
        Arc::new(List { peers, missing: Vec::new(), expected: None, stale: None, way: Way::Push, server })
    }

    fn mk_stream() -> (watch::Sender<Told>, EventStream) {
        let (state, state_rx) = watch::channel(Told::default());
        let of = Of { service: "nginx".to_owned(), namespace: "default".to_owned(), own: None };
        let board = Board::new(state_rx, watch::channel(None).1, Arc::new(of), Choice::default(), 1);
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (state, EventStream::new(board, Arc::new(Patience::new(())), place))
    }

    fn show(state: &watch::Sender<Told>, number: u64, hosts: &[&str]) {
        let shown = Shown::new(number, mk_list(hosts), String::new());
        state.send_modify(|state| state.newest = Some(Arc::new(shown)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_is_told_the_newest_list_and_what_differs_from_its_last() {
        let (state, mut stream) = mk_stream();
        assert!(stream.next().await.unwrap().ends_with(": no list yet\n\n"));
        show(&state, 1, &["web-0"]);
        let text = stream.next().await.unwrap();
        assert!(text.starts_with("event: start\nid: ") && text.contains("-1\ndata: {"), "{text}");
        show(&state, 2, &["web-0", "web-1"]);
        show(&state, 3, &["web-1", "web-2"]);
        let text = stream.next().await.unwrap();
        assert!(text.starts_with("event: change\n") && text.contains("-3\n"), "{text}");
        let data: serde_json::Value =
            serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
        assert_eq!(data["added"].as_array().unwrap().len(), 2);
        assert_eq!(data["removed"][0], "web-0.nginx.default.svc.cluster.local");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_beats_and_ends_with_a_word() {
        let (state, mut stream) = mk_stream();
        show(&state, 1, &["web-0"]);
        stream.next().await.unwrap();
        let start = Instant::now();
        for beats in 1..=3 {
            assert_eq!(stream.next().await.unwrap(), ": beat\n\n");
            assert_eq!(start.elapsed(), beats * BEAT);
        }
        state.send_modify(|state| state.ended = true);
        assert_eq!(stream.next().await.unwrap(), "event: end\ndata: {}\n\n");
        assert_eq!(stream.next().await, None);
    }
}
