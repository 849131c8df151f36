//! The last changes, numbered, each with how long it took: what the timeline and the event stream are read from.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;
use tokio::sync::watch;

use super::words::{state_word, time_text};
use crate::cluster::{Difference, ServiceChange, Turn, difference};

/// A change of one service, as it was published.
#[derive(Debug, Clone)]
pub struct PublishedChange {
    /// What was and what is.
    pub change: ServiceChange,
    /// When the API server says that it came about, where it says so.
    pub changed: Option<SystemTime>,
}

/// What one publish changed.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Service by service.
    pub changes: Vec<PublishedChange>,
    /// More services than are told one by one.
    pub more: usize,
    /// When the first of its changes arrived, where that is known.
    pub arrived: Option<SystemTime>,
    /// When it was answered.
    pub published: SystemTime,
    /// The zone's serial from then on.
    pub serial: u32,
}

/// A replica that is otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TurnAnswer {
    name: String,
    from: Option<&'static str>,
    to: Option<&'static str>,
    addresses: Vec<IpAddr>,
}

/// A change, as it is told. docs/openapi.json says what each field is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ChangeAnswer {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) namespace: Option<String>,
    pub(super) service: Option<String>,
    pub(super) set: Option<String>,
    pub(super) text: String,
    pub(super) replicas: Vec<TurnAnswer>,
    pub(super) more: usize,
    pub(super) changed_at: Option<String>,
    pub(super) arrived_at: Option<String>,
    pub(super) published_at: String,
    /// From the change, or where that is not known from its arrival, to its being answered.
    pub(super) took_ms: Option<f64>,
    pub(super) serial: u32,
}

/// The changes that are remembered. Only the task that takes down what was published writes.
#[derive(Debug)]
pub(super) struct Ring {
    /// Another one for each process: a client that comes back to another one is told of a gap.
    process: String,
    most: usize,
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The number of the newest; 0 is none.
    newest: u64,
    changes: VecDeque<Arc<ChangeAnswer>>,
}

/// Changes behind a number.
#[derive(Debug, Clone)]
pub(super) struct Since {
    /// In order.
    pub(super) changes: Vec<Arc<ChangeAnswer>>,
    /// There were more before them, which are forgotten.
    pub(super) is_gap: bool,
    /// The number of the last of them, or the one that was asked for.
    pub(super) last: u64,
}

impl Ring {
    pub(super) fn new(most: usize) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let process = format!("{:x}{:08x}", since.as_secs(), since.subsec_nanos());
        Self { process, most, kept: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Which process it is of.
    pub(super) fn process(&self) -> &str {
        &self.process
    }

    /// Keeps others from it meanwhile.
    #[cfg(test)]
    pub(super) fn hold(&self, meanwhile: impl FnOnce()) {
        let _kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        meanwhile();
    }

    /// The name of a number.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.process)
    }

    /// The number of a name; None where it is of another process or no name at all.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&self.process)?.strip_prefix('-')?.parse().ok()
    }

    /// Tells when there is a newer one.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Takes down what was published.
    pub(super) fn take_down(&self, batch: &Batch) {
        let mut changes: Vec<ChangeAnswer> = Vec::new();
        for of_service in &batch.changes {
            let told = difference(&of_service.change);
            changes.extend(told.into_iter().map(|difference| tell(batch, of_service, difference)));
        }
        if batch.more > 0 {
            changes.push(ChangeAnswer {
                kind: "more",
                text: format!("{} more services changed at the same time", batch.more),
                ..blank(batch, None)
            });
        }
        if changes.is_empty() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            kept.newest += 1;
            let id = self.id(kept.newest);
            if kept.changes.len() >= self.most {
                kept.changes.pop_front();
            }
            kept.changes.push_back(Arc::new(ChangeAnswer { id, ..change }));
        }
        let newest = kept.newest;
        drop(kept);
        self.newest.send_replace(newest);
    }

    /// Changes behind a number, the oldest first, at most so many.
    pub(super) fn since(&self, number: u64, limit: usize) -> Since {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before_first = kept.newest - kept.changes.len() as u64;
        let skipped = usize::try_from(number.saturating_sub(before_first)).unwrap_or(usize::MAX);
        let changes: Vec<_> = kept.changes.iter().skip(skipped).take(limit).cloned().collect();
        let last = number.max(before_first).min(kept.newest) + changes.len() as u64;
        // A number that was never given is as good as a forgotten one.
        Since { is_gap: number < before_first || number > kept.newest, changes, last }
    }

    /// The newest ones, the newest first.
    pub(super) fn last(&self, limit: usize) -> Vec<Arc<ChangeAnswer>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.changes.iter().rev().take(limit).cloned().collect()
    }

    /// The number of the newest.
    pub(super) fn newest_number(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Since when replicas are as they are: by namespace and name, of those that turned and are remembered.
    pub(super) fn turned(&self) -> std::collections::HashMap<(String, String), String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_sets = kept.changes.iter().filter(|change| change.set.is_some());
        let turns = of_sets.flat_map(|change| {
            let namespace = change.namespace.clone().unwrap_or_default();
            let turned = move |turn: &TurnAnswer| {
                ((namespace.clone(), turn.name.clone()), change.published_at.clone())
            };
            change.replicas.iter().map(turned)
        });
        turns.collect()
    }
}

impl From<Turn> for TurnAnswer {
    fn from(turn: Turn) -> Self {
        let Turn { name, from, to, addresses } = turn;
        Self { name, from: from.map(state_word), to: to.map(state_word), addresses }
    }
}

fn blank(batch: &Batch, changed: Option<SystemTime>) -> ChangeAnswer {
    // Two machines' clocks: what was changed in the future took no time that could be told.
    let began = changed.or(batch.arrived);
    let took = began.and_then(|began| batch.published.duration_since(began).ok());
    ChangeAnswer {
        id: String::new(),
        kind: "",
        namespace: None,
        service: None,
        set: None,
        text: String::new(),
        replicas: Vec::new(),
        more: 0,
        changed_at: changed.map(time_text),
        arrived_at: batch.arrived.map(time_text),
        published_at: time_text(batch.published),
        took_ms: took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
        serial: batch.serial,
    }
}

fn tell(batch: &Batch, of_service: &PublishedChange, difference: Difference) -> ChangeAnswer {
    let after = &of_service.change.after;
    let (namespace, service) = (after.namespace().to_owned(), after.name().to_owned());
    let (kind, set, text, replicas, more) = match difference {
        Difference::Service(was, is) => ("service", None, service_text(&service, was, is), Vec::new(), 0),
        Difference::Endpoints(were, are) => {
            let text = if were == are {
                format!("Service {service}: other endpoints are ready, {are} as before")
            } else {
                format!("Service {service}: {were} → {are} endpoints are ready")
            };
            ("endpoints", None, text, Vec::new(), 0)
        }
        Difference::Set(set, replicas, turns, more) => {
            let text = set_text(&set, replicas, &turns, more);
            ("set", Some(set), text, turns.into_iter().map(TurnAnswer::from).collect(), more)
        }
    };
    let (namespace, service) = (Some(namespace), Some(service));
    ChangeAnswer { kind, namespace, service, set, text, replicas, more, ..blank(batch, of_service.changed) }
}

fn service_text(service: &str, was: Option<&str>, is: Option<&str>) -> String {
    match (was, is) {
        (None, Some(is)) => format!("Service {service} is there: {is}"),
        (Some(_), None) => format!("Service {service} is gone"),
        (Some(was), Some(is)) => format!("Service {service}: {was} → {is}"),
        (None, None) => format!("Service {service} is not there"),
    }
}

fn set_text(set: &str, replicas: [Option<u32>; 2], turns: &[Turn], more: usize) -> String {
    let mut parts: Vec<String> = Vec::new();
    match replicas {
        [None, Some(is)] => parts.push(format!("StatefulSet {set} is there: {is} replicas")),
        [Some(_), None] => parts.push(format!("StatefulSet {set} is gone")),
        [Some(was), Some(is)] if was != is => parts.push(format!("StatefulSet {set}: {was} → {is} replicas")),
        _ => {}
    }
    /// As many as fit into a line.
    const NAMED: usize = 3;
    for turn in turns.iter().take(NAMED) {
        let word = turn.to.map_or("gone", |state| match state {
            crate::cluster::CellState::Missing => "gone",
            other => state_word(other),
        });
        let addresses: Vec<String> = turn.addresses.iter().map(ToString::to_string).collect();
        let at = if addresses.is_empty() { String::new() } else { format!(" at {}", addresses.join(", ")) };
        parts.push(format!("{} is {word}{at}", turn.name));
    }
    let others = turns.len().saturating_sub(NAMED) + more;
    if others > 0 {
        parts.push(format!("{others} more replicas changed"));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::{CellState, Index};

    fn mk_batch(more: usize) -> Batch {
        let published = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let arrived = published.checked_sub(Duration::from_micros(2500));
        Batch { changes: Vec::new(), more, arrived, published, serial: 7 }
    }

    #[test]
    fn the_oldest_are_forgotten_and_that_is_told() {
        let ring = Ring::new(3);
        assert!(ring.since(0, 9).changes.is_empty() && !ring.since(0, 9).is_gap);
        for more in 1..=5 {
            ring.take_down(&mk_batch(more));
        }
        ring.take_down(&mk_batch(0));
        let since = |number, limit| {
            let since = ring.since(number, limit);
            let ids: Vec<u64> = since.changes.iter().map(|change| ring.number(&change.id).unwrap()).collect();
            (ids, since.is_gap, since.last)
        };
        assert_eq!(since(0, 9), (vec![3, 4, 5], true, 5));
        assert_eq!(since(2, 2), (vec![3, 4], false, 4));
        assert_eq!(since(4, 9), (vec![5], false, 5));
        assert_eq!(since(5, 9), (vec![], false, 5));
        assert_eq!(since(9, 9), (vec![], true, 5), "of the future");
        assert_eq!(ring.last(2).len(), 2);
        assert_eq!((ring.newest_number(), ring.number("other-3")), (5, None));
        assert_eq!(ring.number(&ring.id(3)), Some(3));
    }

    #[test]
    fn how_long_it_took_is_told_from_the_change_where_that_is_known() {
        let batch = mk_batch(1);
        let earlier = batch.published.checked_sub(Duration::from_millis(40));
        let later = batch.published.checked_add(Duration::from_millis(40));
        assert_eq!(blank(&batch, None).took_ms, Some(2.5));
        assert_eq!(blank(&batch, earlier).took_ms, Some(40.0));
        assert_eq!(blank(&batch, later).took_ms, None);
        assert_eq!(blank(&batch, None).published_at, "1970-01-01T00:16:40.000Z");
        assert_eq!(blank(&Batch { arrived: None, ..batch }, None).took_ms, None);
    }

    #[test]
    fn a_line_names_the_first_replicas_and_counts_the_others() {
        let turn = |name: &str, to, address: Option<&str>| Turn {
            name: name.into(),
            from: None,
            to,
            addresses: address.map(|address| address.parse().unwrap()).into_iter().collect(),
        };
        let turns = [
            turn("web-0", Some(CellState::Ready), Some("10.0.0.1")),
            turn("web-1", Some(CellState::Missing), None),
            turn("web-2", None, None),
            turn("web-3", Some(CellState::NotReady), Some("fd00::1")),
        ];
        assert_eq!(
            set_text("web", [Some(2), Some(5)], &turns, 2),
            "StatefulSet web: 2 → 5 replicas; web-0 is ready at 10.0.0.1; web-1 is gone; web-2 is gone; \
             3 more replicas changed"
        );
        assert_eq!(set_text("web", [Some(2), Some(2)], &turns[3..], 0), "web-3 is not ready at fd00::1");
        assert_eq!(set_text("web", [Some(2), None], &[], 0), "StatefulSet web is gone");
        assert_eq!(service_text("a", None, Some("headless")), "Service a is there: headless");
    }

    #[test]
    fn nothing_that_differs_is_no_change() {
        let ring = Ring::new(3);
        let mut index = Index::new();
        index.keep_changes(3);
        assert!(index.take_changes().is_empty());
        ring.take_down(&mk_batch(0));
        assert_eq!(ring.newest_number(), 0);
    }
}
