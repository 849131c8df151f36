//! A client that asks one question without pause in the background, and keeps each answer that differs from
//! the one before it: what was said between two moments of a scenario.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::ask::ask;
use super::why::has_words;

/// Between two questions: often enough to see each state, and some processor left for what is recorded.
const PAUSE: Duration = Duration::from_millis(2);

/// A running record; its thread ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Record>>,
}

/// What was said.
#[derive(Debug)]
pub(crate) struct Record {
    /// How many questions were asked.
    pub(crate) questions: u64,
    /// The answers in their order, equal neighbours once.
    pub(crate) states: Vec<State>,
    /// What was told of those without an address, in its order, equal neighbours once; nothing is an empty text.
    pub(crate) reasons: Vec<String>,
}

/// An answer: the addresses, none for a name that is not there.
pub(crate) type State = BTreeSet<IpAddr>;

impl Recorder {
    /// Asks for the addresses of this name from now on.
    pub(crate) fn start(server: SocketAddr, name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (Arc::clone(&stop), name.to_owned());
        let thread = thread::spawn(move || {
            let mut record = Record { questions: 0, states: Vec::new(), reasons: Vec::new() };
            while !stopped.load(Ordering::Relaxed) {
                let answer = ask(server, &name, RecordType::A);
                let known = [ResponseCode::NoError, ResponseCode::NXDomain].contains(&answer.rcode);
                assert!(known, "{name}: {answer:?}");
                let state = answer.addresses();
                if state.is_empty() {
                    let told: Vec<&str> = answer.edes.iter().map(|(_, text)| text.as_str()).collect();
                    let told = told.join("; ");
                    if record.reasons.last() != Some(&told) {
                        record.reasons.push(told);
                    }
                }
                if record.states.last() != Some(&state) {
                    record.states.push(state);
                }
                record.questions += 1;
                thread::sleep(PAUSE);
            }
            record
        });
        Self { stop, thread: Some(thread) }
    }

    /// Stops, and returns what was said.
    ///
    /// # Panics
    /// When an answer was neither the name's addresses nor its absence.
    pub(crate) fn stop(mut self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().unwrap().join() {
            Ok(record) => record,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Record {
    /// Every answer without an address, at whatever moment, was told of in a sentence with these words; `one|other`
    /// is either.
    ///
    /// # Panics
    /// Naming the sentences, when one has them not.
    pub(crate) fn assert_reasons(&self, words: &[&str]) {
        let all = self.reasons.iter().all(|told| !told.is_empty() && has_words(told, words));
        assert!(all, "all have {words:?}: {:#?}", self.reasons);
        println!("told of the name while it was away: {:#?}", self.reasons);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The test has failed already, and says why.
            let _ = thread.join();
        }
    }
}
