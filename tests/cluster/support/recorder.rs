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
}

/// An answer: the addresses, none for a name that is not there.
pub(crate) type State = BTreeSet<IpAddr>;

impl Recorder {
    /// Asks for the addresses of this name from now on.
    pub(crate) fn start(server: SocketAddr, name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (Arc::clone(&stop), name.to_owned());
        let thread = thread::spawn(move || {
            let mut record = Record { questions: 0, states: Vec::new() };
            while !stopped.load(Ordering::Relaxed) {
                let answer = ask(server, &name, RecordType::A);
                let known = [ResponseCode::NoError, ResponseCode::NXDomain].contains(&answer.rcode);
                assert!(known, "{name}: {answer:?}");
                let state = answer.addresses();
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

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The test has failed already, and says why.
            let _ = thread.join();
        }
    }
}
