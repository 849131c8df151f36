//! A client that asks all the while, and what it may hear: for each question a list of answers, in this
//! order.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::{Client, Question, Said};

/// Between two rounds of all questions: the asker is not what the servers should be busy with.
const PAUSE: Duration = Duration::from_millis(2);

/// A question, and its right answers as time goes on. One may stay out; none comes back.
#[derive(Debug, Clone)]
pub(super) struct Expectation {
    question: Question,
    steps: Vec<Said>,
}

impl Expectation {
    pub(super) fn new(question: Question, mut steps: Vec<Said>) -> Self {
        steps.dedup();
        Self { question, steps }
    }

    /// Something else is right before all these.
    pub(super) fn begin_with(&mut self, said: Said) {
        self.steps.insert(0, said);
        self.steps.dedup();
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// Of each question the step that was heard last.
    steps: Vec<usize>,
    faults: Vec<String>,
    answers: usize,
    /// When the last step of every question had been heard.
    right: Option<Instant>,
}

/// The running client.
#[derive(Debug)]
pub(super) struct Asker {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    expectations: Vec<Expectation>,
}

impl Asker {
    pub(super) fn start(server: SocketAddr, expectations: Vec<Expectation>) -> Self {
        let seen = Seen { steps: vec![0; expectations.len()], ..Seen::default() };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (shared, over, asked) = (Arc::clone(&seen), Arc::clone(&is_over), expectations.clone());
        let thread = thread::spawn(move || {
            let begin = Instant::now();
            let mut client = Client::new(server);
            while !over.load(Ordering::Relaxed) {
                for (index, expectation) in asked.iter().enumerate() {
                    let said = client.ask(&expectation.question);
                    shared.0.lock().unwrap().hear(index, &asked, &said, begin);
                }
                shared.1.notify_all();
                thread::sleep(PAUSE);
            }
        });
        Self { seen, is_over, thread: Some(thread), expectations }
    }

    /// Waits until every question has its last answer; when that was.
    ///
    /// # Panics
    /// After the limit, with what is still missing, and on anything that was heard and is not expected.
    pub(super) fn right_within(&self, limit: Duration) -> Instant {
        let (seen, changed) = &*self.seen;
        let waits = |seen: &mut Seen| seen.right.is_none() && seen.faults.is_empty();
        let (seen, _) = changed.wait_timeout_while(seen.lock().unwrap(), limit, waits).unwrap();
        seen.assert_faultless();
        seen.right
            .unwrap_or_else(|| panic!("not right within {limit:?}:\n{}", seen.missing(&self.expectations)))
    }

    /// Of each question the first answer was heard again after this call, and no later one.
    pub(super) fn assert_unchanged(&self) {
        let (seen, changed) = &*self.seen;
        let seen = seen.lock().unwrap();
        let answers = seen.answers + 2 * self.expectations.len();
        let waits = |seen: &mut Seen| seen.answers < answers && seen.faults.is_empty();
        let (seen, result) = changed.wait_timeout_while(seen, Duration::from_secs(10), waits).unwrap();
        assert!(!result.timed_out(), "the asker does not get on");
        seen.assert_faultless();
        let moved = seen.steps.iter().position(|step| *step > 0);
        let moved = moved.map(|index| &self.expectations[index].question.text);
        assert_eq!(moved, None, "changed though nobody could have told the server");
    }

    /// Ends; how many answers there were, all of them as expected and the last ones right.
    pub(super) fn finish(mut self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        let seen = self.seen.0.lock().unwrap();
        seen.assert_faultless();
        assert!(seen.right.is_some(), "in the end:\n{}", seen.missing(&self.expectations));
        assert!(seen.answers > 0, "nothing was asked");
        seen.answers
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    fn hear(&mut self, index: usize, asked: &[Expectation], said: &Said, begin: Instant) {
        let Expectation { question, steps } = &asked[index];
        self.answers += 1;
        let last = self.steps[index];
        match steps.iter().skip(last).position(|step| step == said) {
            Some(further) => self.steps[index] = last + further,
            None if self.faults.len() < 20 => {
                let at = begin.elapsed();
                self.faults.push(format!("{} after {at:?}: {said}; step {last} of {steps:?}", question.text));
            }
            None => {}
        }
        if self.right.is_none() && asked.iter().zip(&self.steps).all(|(e, step)| step + 1 == e.steps.len()) {
            self.right = Some(Instant::now());
        }
    }

    fn assert_faultless(&self) {
        assert!(self.faults.is_empty(), "answers that were never right:\n{}", self.faults.join("\n"));
    }

    fn missing(&self, asked: &[Expectation]) -> String {
        let mut text = String::new();
        for (expectation, step) in asked.iter().zip(&self.steps) {
            if step + 1 < expectation.steps.len() {
                let _ = writeln!(text, "{}: still {}", expectation.question.text, expectation.steps[*step]);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_seen(answers: &[&str]) -> Seen {
        let said = |text: &&str| if text.is_empty() { Said::Absent } else { Said::addresses([text]) };
        let steps = ["10.0.0.1", "", "10.0.0.2"].iter().map(said).collect();
        let asked = [Expectation::new(Question::a("a.test."), steps)];
        let mut seen = Seen { steps: vec![0], ..Seen::default() };
        for answer in answers {
            seen.hear(0, &asked, &said(answer), Instant::now());
        }
        seen
    }

    #[test]
    fn answers_go_forward() {
        assert!(mk_seen(&["10.0.0.1", "10.0.0.1"]).right.is_none());
        // A step may be missed.
        for answers in [["10.0.0.1", "", "10.0.0.2"].as_slice(), &["10.0.0.2", "10.0.0.2"]] {
            let seen = mk_seen(answers);
            assert!(seen.right.is_some() && seen.faults.is_empty(), "{seen:?}");
        }
    }

    #[test]
    fn what_is_not_expected_is_kept() {
        for answers in [["10.0.0.9"].as_slice(), &["", "10.0.0.1"], &["10.0.0.2", ""]] {
            let seen = mk_seen(answers);
            assert_eq!(seen.faults.len(), 1, "{seen:?}");
        }
    }
}
