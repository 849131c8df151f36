//! What is shown: one value, replaced by whoever tells lists and read by whoever asks.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::cli::peers::told::{Choice, Of};
use crate::peers::List;

/// A list as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Of its events: the first list is 1.
    pub(super) number: u64,
    pub(super) list: Arc<List>,
    /// As JSON.
    pub(super) body: String,
    /// The entity tag of that, with its quotes (RFC 9110, section 8.8.3).
    pub(super) tag: String,
}

impl Shown {
    pub(super) fn new(number: u64, list: Arc<List>, body: String) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self { number, list, body, tag }
    }
}

/// All that there is to show.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) newest: Option<Arc<Shown>>,
    /// Why there is no list yet.
    pub(super) held: String,
    /// The process is about to end.
    pub(super) ended: bool,
}

impl Default for State {
    fn default() -> Self {
        let held = "no server has said yet who the peers are".to_owned();
        Self { newest: None, held, ended: false }
    }
}

/// What answers read.
#[derive(Clone)]
pub(super) struct Board {
    pub(super) state_rx: watch::Receiver<State>,
    pub(super) of: Arc<Of>,
    pub(super) choice: Choice,
    /// Event streams that may be open.
    pub(super) streams: Arc<Semaphore>,
    /// Tells the events of this process from those of another one.
    pub(super) instance: u32,
}

impl Board {
    pub(super) fn new(state_rx: watch::Receiver<State>, of: Arc<Of>, choice: Choice, streams: usize) -> Self {
        Self { state_rx, of, choice, streams: Arc::new(Semaphore::new(streams)), instance: fastrand::u32(..) }
    }

    pub(super) fn state(&self) -> State {
        self.state_rx.borrow().clone()
    }
}
