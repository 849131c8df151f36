//! What was true at each moment, and whether each answer was.
//!
//! What was true is read from a record of its own: watches of the EndpointSlices that have nothing to do with
//! the server (`recorder.rs`), turned into the states of each service (`history.rs`). `judge.rs` says what
//! "true between" means where two who watch are not told in the same moment, and holds each answer to it;
//! `course.rs` says what a server must know that was cut off, or killed.

mod asking;
mod course;
mod history;
mod judge;
mod recorder;
mod recorder_tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{Client, Question};
use crate::support::{Namespace, wait_until};
pub(super) use asking::Random;
use asking::{Asking, Plan};
pub(super) use course::{Course, Restart};
use history::Asked;
use judge::Service;
pub(super) use judge::{Tolerance, Verdict};
use recorder::Recorder;

/// How long until the last answers are right when the last change is made.
const SETTLED: Duration = Duration::from_secs(60);
/// The EndpointSlice controller, whose own cache is behind while thousands of pods start, lets a service wait for
/// twice as long after each failure, at last for a quarter of an hour. A change of the Service ends that wait.
const NUDGE: Duration = Duration::from_secs(5);
/// Two cores for the control plane, the kubelets, the server and the client: each may have to wait its turn.
pub(super) const TOLERANCE: Tolerance =
    Tolerance { behind: Duration::from_secs(2), ahead: Duration::from_secs(2) };

/// The services of a namespace that are asked about.
#[derive(Debug)]
pub(super) struct Services<'a> {
    namespace: &'a Namespace<'a>,
    names: Vec<String>,
    plan: Arc<Plan>,
    /// The ready hosts of each, before and after all changes.
    hosts: usize,
}

impl<'a> Services<'a> {
    /// `hosts` gives the host names of a service.
    pub(super) fn new<H: Iterator<Item = String>>(
        namespace: &'a Namespace<'a>,
        names: Vec<String>,
        hosts: impl Fn(usize) -> H,
    ) -> Self {
        let owners = names.iter().map(|name| namespace.full(name)).collect();
        let count = hosts(0).count();
        Self { namespace, names, plan: Arc::new(Plan::new(owners, hosts)), hosts: count }
    }
}

/// An observation that goes on: the record, and the client that asks without pause.
#[derive(Debug)]
pub(super) struct Observation<'a> {
    services: &'a Services<'a>,
    server: SocketAddr,
    recorder: Recorder,
    asking: Asking,
    begin: Instant,
    changing: Instant,
}

impl<'a> Observation<'a> {
    /// Waits until record and server agree, and asks from then on, with this pause behind each answer.
    pub(super) fn start(services: &'a Services<'a>, server: SocketAddr, pause: Duration) -> Self {
        let begin = Instant::now();
        let recorder = Recorder::start(services.namespace, begin);
        wait_settled(services, &recorder, server);
        let asking = Asking::start(server, Arc::clone(&services.plan), begin, pause);
        Self { services, server, recorder, asking, begin, changing: Instant::now() }
    }

    /// How long it has gone on: what a course is told in.
    pub(super) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Whether the server is not there: an answer need not be waited for.
    pub(super) fn set_down(&self, is_down: bool) {
        self.asking.set_down(is_down);
    }

    /// Waits until record and server agree again, and judges all that was answered.
    ///
    /// # Panics
    /// On an answer that was wrong, and when the record is not to be relied on.
    pub(super) fn finish(self, course: &Course, tolerance: Tolerance) -> Verdict {
        let Self { services, server, recorder, asking, .. } = self;
        wait_settled(services, &recorder, server);
        let took = self.changing.elapsed();
        let (answers, mut numbers) = asking.finish();
        let mut histories = recorder.take();
        let judged: Vec<Service> = services
            .names
            .iter()
            .zip(&services.plan.owners)
            .map(|(name, owner)| Service {
                owner: owner.clone(),
                history: histories.remove(name).unwrap_or_default(),
            })
            .collect();
        let states: usize = judged.iter().map(|service| service.history.states.len()).sum();
        let subjects = &services.plan.subjects;
        let verdict = judge::judge(&judged, subjects, &answers, &mut numbers, course, tolerance);
        println!(
            "{} services of {} hosts, changed for {:.1} s: {} answers; {states} states, {} of them shown; \
             {} answers of a state that had ended before the question, by {:.3} s at most; at most {:.3} s \
             before the record; {} questions unanswered while it was not there",
            services.names.len(),
            services.hosts,
            took.as_secs_f32(),
            answers.len(),
            verdict.shown,
            verdict.behind_count,
            verdict.behind.as_secs_f32(),
            verdict.ahead.as_secs_f32(),
            verdict.silences,
        );
        let wrong = || judge::describe(&verdict, &judged, subjects, &answers, &numbers);
        assert!(verdict.faults.is_empty(), "{}", wrong());
        verdict
    }
}

/// Makes changes while a client asks, and judges what it was answered.
pub(super) fn observe(
    services: &Services<'_>,
    server: SocketAddr,
    tolerance: Tolerance,
    changes: impl FnOnce(),
) -> Verdict {
    let observation = Observation::start(services, server, Duration::ZERO);
    changes();
    observation.finish(&Course::default(), tolerance)
}

/// Waits until the record proves that it is whole, every service is whole in it, and the server answers what the
/// record says. Nothing is changed meanwhile.
fn wait_settled(services: &Services<'_>, recorder: &Recorder, server: SocketAddr) {
    let mut client = Client::new(server);
    let mut settled = 0;
    let (mut nudged, mut nudges) = (Instant::now(), 0);
    wait_until("record and server agree on every service", SETTLED, || {
        // First of all: what differs then is the record's fault, and not the server's.
        recorder.prove().map_err(|difference| format!("the record itself is behind: {difference}"))?;
        while let (Some(name), Some(owner)) = (services.names.get(settled), services.plan.owners.get(settled))
        {
            let said = client.ask(&Question::a(owner));
            let (hosts, is_said) = recorder.with_last(name, |state| match state {
                Some(state) => (state.hosts(), state.says(owner, &Asked::Service) == said),
                None => (0, false),
            });
            if hosts != services.hosts && nudged.elapsed() > NUDGE {
                (nudged, nudges) = (Instant::now(), nudges + 1);
                nudge(services, recorder, nudges);
            }
            if hosts != services.hosts || !is_said {
                return Err(format!("{name}: {hosts} hosts, answered: {said}"));
            }
            settled += 1;
        }
        Ok(())
    });
}

/// Ends the controller's wait for every service that lacks hosts in the record: all of them at once, for after a
/// large rollout a dozen may wait, and one by one they would outlast [`SETTLED`].
fn nudge(services: &Services<'_>, recorder: &Recorder, number: usize) {
    let lacks = |name: &&String| {
        recorder.with_last(name, |state| state.is_none_or(|state| state.hosts() != services.hosts))
    };
    let annotation = format!("rollcall.test/nudge={number}");
    let names = services.names.iter().filter(lacks).map(String::as_str);
    let arguments: Vec<&str> = ["annotate", "--overwrite", "service"]
        .into_iter()
        .chain(names)
        .chain([annotation.as_str()])
        .collect();
    services.namespace.kubectl(&arguments);
}
