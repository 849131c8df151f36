//! What is shown: one value, replaced by whoever tells lists and read by whoever asks.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::cli::peers::told::{Choice, Of};
use crate::peers::{List, Trouble};

/// A list as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Of its events: the first list is 1.
    pub(super) number: u64,
    pub(super) list: Arc<List>,
    /// As JSON.
    pub(super) body: Bytes,
    /// The entity tag of that, with its quotes (RFC 9110, section 8.8.3).
    pub(super) tag: String,
}

impl Shown {
    pub(super) fn new(number: u64, list: Arc<List>, body: String) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self { number, list, body: body.into(), tag }
    }
}

/// All that there is to show.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) newest: Option<Arc<Shown>>,
    /// Why the lists that there are were not told.
    pub(super) held: Option<String>,
    /// The process is about to end.
    pub(super) ended: bool,
}

/// What answers read.
#[derive(Clone)]
pub(super) struct Board {
    pub(super) state_rx: watch::Receiver<State>,
    /// Why nothing is known just now.
    pub(super) troubled_rx: watch::Receiver<Option<Arc<Trouble>>>,
    pub(super) of: Arc<Of>,
    pub(super) choice: Choice,
    /// Event streams that may be open.
    pub(super) streams: Arc<Semaphore>,
    /// Tells the events of this process from those of another one.
    pub(super) instance: u32,
}

impl Board {
    pub(super) fn new(
        state_rx: watch::Receiver<State>,
        troubled_rx: watch::Receiver<Option<Arc<Trouble>>>,
        of: Arc<Of>,
        choice: Choice,
        streams: usize,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(streams));
        Self { state_rx, troubled_rx, of, choice, streams, instance: fastrand::u32(..) }
    }

    pub(super) fn state(&self) -> State {
        self.state_rx.borrow().clone()
    }

    /// Why there is no list.
    pub(super) fn why_none(&self) -> String {
        let trouble = self.troubled_rx.borrow().as_ref().map(ToString::to_string);
        let why = trouble.or_else(|| self.state_rx.borrow().held.clone());
        why.unwrap_or_else(|| "no server has said yet who the peers are".to_owned())
    }
}
