//! Whether each answer was true of some state between the question's sending and its answer.
//!
//! The record and the server are told of a change at about the same moment, neither first by rule, and
//! neither at the moment when it becomes true. So a tolerance goes with the verdict: an answer must be
//! exactly what one state of its service says, a state that the record knew of at the latest `ahead` after
//! the answer, and that was followed by another, as far as the record knew, at the earliest `behind` before
//! the question. Half a change is no state, and fails with any tolerance. What was shown is never taken back:
//! over all questions about one service the states go forward, for one client asks one at a time; a server that
//! was killed may go back as far as its snapshot is old (`course.rs`).

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use super::super::client::Said;
use super::course::{Course, Life};
use super::history::{Asked, History};

/// How far the record and the server may be apart.
#[derive(Debug, Clone, Copy)]
pub(in crate::faults) struct Tolerance {
    /// How long a state may be said that is no longer true.
    pub(in crate::faults) behind: Duration,
    /// How much earlier than the record the server may know.
    pub(in crate::faults) ahead: Duration,
}

/// A question that is asked again and again.
#[derive(Debug, Clone)]
pub(in crate::faults) struct Subject {
    /// Index of the service.
    pub(in crate::faults) service: usize,
    pub(in crate::faults) asked: Asked,
}

/// What was answered; times are since the test began.
#[derive(Debug, Clone, Copy)]
pub(in crate::faults) struct Answer {
    /// Index of the subject.
    pub(in crate::faults) subject: usize,
    pub(in crate::faults) sent: Duration,
    pub(in crate::faults) received: Duration,
    /// Which of the answers, by [`Answers::number`].
    pub(in crate::faults) said: usize,
}

/// Each answer that was ever seen, numbered: most are the same ones again.
#[derive(Debug, Default)]
pub(in crate::faults) struct Answers {
    numbers: HashMap<Said, usize>,
    by_number: Vec<Said>,
}

impl Answers {
    /// The number of an answer.
    pub(in crate::faults) fn number(&mut self, said: Said) -> usize {
        if let Some(number) = self.numbers.get(&said) {
            return *number;
        }
        self.by_number.push(said.clone());
        self.numbers.insert(said, self.by_number.len() - 1);
        self.by_number.len() - 1
    }
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::faults) enum Fault {
    /// It is no state that the service was ever in: half a change, or an error.
    NoState,
    /// It was no longer true when it was asked for, by so much.
    Late(Duration),
    /// It was not true yet when it was answered, by so much.
    Early(Duration),
    /// A newer state had been shown before.
    StepBack,
}

/// What came of all answers.
#[derive(Debug, Default)]
pub(in crate::faults) struct Verdict {
    /// Which answers are wrong, by their place, and how.
    pub(in crate::faults) faults: Vec<(usize, Fault)>,
    /// How many states were shown, of all services.
    pub(in crate::faults) shown: usize,
    /// The oldest answer: how long before its question its state had ended, as far as the record knew.
    pub(in crate::faults) behind: Duration,
    /// How many answers were of a state that had ended before their question.
    pub(in crate::faults) behind_count: usize,
    /// The most that the server was ahead of the record.
    pub(in crate::faults) ahead: Duration,
    /// How many questions had no answer, or SERVFAIL, while the server was not there.
    pub(in crate::faults) silences: usize,
}

/// The newest state of a service that was surely shown, and when each was first.
#[derive(Debug, Clone, Default)]
struct Floor(Vec<(Duration, usize)>);

impl Floor {
    fn state(&self) -> usize {
        self.0.last().map_or(0, |(_, state)| *state)
    }

    fn rise_to(&mut self, state: usize, at: Duration) {
        if state > self.state() {
            self.0.push((at, state));
        }
    }

    /// What was shown later may be forgotten.
    fn go_back_to(&mut self, moment: Duration) {
        self.0.retain(|(at, _)| *at <= moment);
    }
}

/// Silence, a closed port, or SERVFAIL: what a server says that knows nothing yet.
fn is_no_answer(said: &Said) -> bool {
    matches!(said, Said::Other(what) if what == "ServFail" || what.starts_with("no answer"))
}

/// A service, as the judge needs it.
#[derive(Debug)]
pub(in crate::faults) struct Service {
    /// Its full name, with the dot at the end.
    pub(in crate::faults) owner: String,
    pub(in crate::faults) history: History,
}

impl Service {
    /// How long before the question a state had ended, and how long after the answer it began.
    fn distance(&self, state: usize, answer: &Answer) -> (Duration, Duration) {
        let states = &self.history.states;
        let behind = states.get(state + 1).map(|(end, _)| answer.sent.saturating_sub(*end));
        (behind.unwrap_or_default(), states[state].0.saturating_sub(answer.received))
    }

    /// The states that an answer may be of.
    fn allowed(&self, answer: &Answer, course: &Course, tolerance: Tolerance) -> Range<usize> {
        let states = &self.history.states;
        // The one that was true at that moment, and those after it.
        let known = course.known(answer.sent, tolerance.behind);
        let first = states.partition_point(|(since, _)| *since < known).saturating_sub(1);
        first..states.partition_point(|(since, _)| *since <= answer.received + tolerance.ahead)
    }
}

/// Judges the answers of one client, which are in the order in which they were asked for.
pub(in crate::faults) fn judge(
    services: &[Service],
    subjects: &[Subject],
    answers: &[Answer],
    numbers: &mut Answers,
    course: &Course,
    tolerance: Tolerance,
) -> Verdict {
    let says: Vec<Vec<usize>> = subjects
        .iter()
        .map(|subject| {
            let service = &services[subject.service];
            let states = service.history.states.iter();
            states.map(|(_, state)| numbers.number(state.says(&service.owner, &subject.asked))).collect()
        })
        .collect();
    let mut verdict = Verdict::default();
    let mut shown = BTreeSet::new();
    let mut floors = vec![Floor::default(); services.len()];
    let mut life = 0;
    for (place, answer) in answers.iter().enumerate() {
        if course.may_be_silent(answer.sent, answer.received) && is_no_answer(&numbers.by_number[answer.said])
        {
            verdict.silences += 1;
            continue;
        }
        if let Life::Of(now) = course.life(answer.sent)
            && now > life
        {
            life = now;
            let kept = course.restarts[now - 1].killing.saturating_sub(course.lag);
            floors.iter_mut().for_each(|floor| floor.go_back_to(kept));
        }
        let index = subjects[answer.subject].service;
        let service = &services[index];
        let says = &says[answer.subject];
        let distance = |state: &usize| service.distance(*state, answer);
        let allowed = service.allowed(answer, course, tolerance);
        let of_states = |states: Range<usize>| states.filter(|state| says[*state] == answer.said);
        let mut possible = of_states(allowed.start.max(floors[index].state())..allowed.end).peekable();
        // The earliest: it leaves the most to the answers that follow, and so never makes a fault of its own.
        if let Some(earliest) = possible.peek() {
            floors[index].rise_to(*earliest, answer.received);
            shown.insert((index, *earliest));
            let (behind, ahead) = possible.map(|state| distance(&state)).min().unwrap_or_default();
            verdict.behind = verdict.behind.max(behind);
            verdict.behind_count += usize::from(!behind.is_zero());
            verdict.ahead = verdict.ahead.max(ahead);
            continue;
        }
        let fault = if of_states(allowed).next().is_some() {
            Fault::StepBack
        } else {
            let distances = of_states(0..says.len()).map(|state| distance(&state));
            match distances.min_by_key(|(behind, ahead)| *behind + *ahead) {
                None => Fault::NoState,
                Some((behind, Duration::ZERO)) => Fault::Late(behind),
                Some((_, ahead)) => Fault::Early(ahead),
            }
        };
        verdict.faults.push((place, fault));
    }
    verdict.shown = shown.len();
    verdict
}

/// The first faults, and how each differs from what was true around it.
pub(in crate::faults) fn describe(
    verdict: &Verdict,
    services: &[Service],
    subjects: &[Subject],
    answers: &[Answer],
    numbers: &Answers,
) -> String {
    let mut text = format!("{} answers are wrong; the first of them:\n", verdict.faults.len());
    for (place, fault) in verdict.faults.iter().take(5) {
        let answer = &answers[*place];
        let subject = &subjects[answer.subject];
        let service = &services[subject.service];
        let _ = writeln!(
            text,
            "{fault:?}: {:?} of {} asked at {:?}, answered at {:?}",
            subject.asked, service.owner, answer.sent, answer.received
        );
        let states = &service.history.states;
        let now = states.partition_point(|(since, _)| *since <= answer.received).saturating_sub(1);
        for (number, (since, state)) in states.iter().enumerate().take(now + 3).skip(now.saturating_sub(3)) {
            let says = state.says(&service.owner, &subject.asked);
            let mut difference = numbers.by_number[answer.said].difference(&says);
            // What is whole, and not half a change, may be some hundred records.
            difference.truncate(600);
            let _ = writeln!(text, "  beside state {number}, since {since:?}: {difference}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::course::Restart;
    use super::super::history::{Contents, Endpoint, Event};
    use super::*;

    const TOLERANCE: Tolerance = Tolerance { behind: Duration::from_secs(2), ahead: Duration::from_secs(1) };

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// From second 10 on web-0 and web-1, from 20 on web-0 with another address, from 30 on as at first.
    fn mk_services() -> Vec<Service> {
        let endpoint = |host: &str, address: &str| Endpoint {
            host: host.to_owned(),
            address: address.to_owned(),
            pod: (host.to_owned(), address.to_owned()),
            ready: true,
            terminating: false,
        };
        let event = |at: f64, address: &str| Event {
            at: seconds(at),
            service: "web".to_owned(),
            slice: "web-1".to_owned(),
            contents: Some(Contents {
                endpoints: vec![endpoint("web-0", address), endpoint("web-1", "10.0.0.2")],
                ports: vec![80],
            }),
        };
        let mut history = History::default();
        for event in [event(10.0, "10.0.0.1"), event(20.0, "10.0.0.3"), event(30.0, "10.0.0.1")] {
            history.apply(&event);
        }
        vec![Service { owner: "web.ns.".to_owned(), history }]
    }

    /// The verdict over some answers to the question for the service, each with the second of its asking.
    fn verdict(answers: &[(f64, Said)]) -> Verdict {
        verdict_of(&Course::default(), answers)
    }

    fn verdict_of(course: &Course, answers: &[(f64, Said)]) -> Verdict {
        let subjects = [Subject { service: 0, asked: Asked::Service }];
        let mut numbers = Answers::default();
        let answers: Vec<Answer> = answers
            .iter()
            .map(|(at, said)| Answer {
                subject: 0,
                sent: seconds(*at),
                received: seconds(at + 0.1),
                said: numbers.number(said.clone()),
            })
            .collect();
        judge(&mk_services(), &subjects, &answers, &mut numbers, course, TOLERANCE)
    }

    fn faults(answers: &[(f64, Said)]) -> Vec<(usize, Fault)> {
        verdict(answers).faults
    }

    fn first() -> Said {
        Said::addresses(["10.0.0.1", "10.0.0.2"])
    }

    fn second() -> Said {
        Said::addresses(["10.0.0.3", "10.0.0.2"])
    }

    #[test]
    fn true_answers() {
        let verdict = verdict(&[
            (5.0, Said::Absent),
            (10.0, first()),
            (15.0, first()),
            (20.0, second()),
            (35.0, first()),
        ]);
        assert_eq!(verdict.faults, []);
        assert_eq!((verdict.shown, verdict.behind, verdict.behind_count), (4, Duration::ZERO, 0));
    }

    #[test]
    fn half_a_change_is_no_state() {
        for half in [
            Said::addresses(["10.0.0.2"]),
            Said::addresses(["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
            Said::addresses(["10.0.0.2", "10.0.0.2", "10.0.0.3"]),
            Said::Records(Vec::new()),
            Said::Other("ServFail".to_owned()),
        ] {
            assert_eq!(faults(&[(20.0, half)]), [(0, Fault::NoState)]);
        }
        // A service that is there is not absent; that was true in the beginning only.
        assert_eq!(faults(&[(20.0, Said::Absent)]), [(0, Fault::Late(seconds(10.0)))]);
    }

    #[test]
    fn the_tolerance_is_held() {
        let late = verdict(&[(21.9, first())]);
        assert_eq!((late.faults, late.behind, late.behind_count), (vec![], seconds(1.9), 1));
        assert_eq!(faults(&[(22.5, first())]), [(0, Fault::Late(seconds(2.5)))]);
        // The reply came at 19.1.
        let early = verdict(&[(19.0, second())]);
        assert_eq!((early.faults, early.ahead), (vec![], seconds(0.9)));
        assert_eq!(faults(&[(18.0, second())]), [(0, Fault::Early(seconds(1.9)))]);
    }

    #[test]
    fn what_was_shown_is_not_taken_back() {
        assert_eq!(faults(&[(20.5, second()), (20.6, first())]), [(1, Fault::StepBack)]);
        // As the third state the same answer is no step back.
        assert_eq!(faults(&[(29.5, second()), (29.6, first())]), []);
        // An answer that may be of the first state or of the third leaves either to those that follow.
        assert_eq!(
            faults(&[(21.0, first()), (21.1, second()), (30.5, first()), (30.6, second())]),
            [(3, Fault::StepBack)]
        );
    }

    /// Told nothing from second 19 to 40, killed at 25, there again at 26.
    fn killed_and_deaf() -> Course {
        let restart = Restart { killing: seconds(25.0), killed: seconds(25.2), ready: seconds(26.0) };
        Course { deaf: vec![seconds(19.0)..seconds(40.0)], restarts: vec![restart], lag: seconds(3.0) }
    }

    #[test]
    fn who_was_killed_may_be_silent_and_never_wrong() {
        let none = || Said::Other("no answer: refused".to_owned());
        let failure = || Said::Other("ServFail".to_owned());
        let verdict = verdict_of(&killed_and_deaf(), &[(25.0, none()), (25.5, failure()), (26.5, first())]);
        assert_eq!((verdict.faults, verdict.silences), (vec![], 2));
        let fault = |at, said| verdict_of(&killed_and_deaf(), &[(at, said)]).faults;
        assert_eq!(fault(26.5, failure()), [(0, Fault::NoState)]);
        assert_eq!(fault(24.0, none()), [(0, Fault::NoState)]);
        // Before second 10 it was absent; nothing that forgets so much is a snapshot.
        assert!(matches!(fault(25.5, Said::Absent)[..], [(0, Fault::Late(_))]));
    }

    #[test]
    fn who_was_killed_goes_back_by_a_snapshot_and_no_further() {
        // What was shown shortly before it was killed may be in no snapshot.
        let shown_late = [(24.0, second()), (26.5, first()), (26.6, second())];
        assert_eq!(verdict_of(&killed_and_deaf(), &shown_late).faults, []);
        // What was shown before the snapshot's age is in it.
        let shown_early = [(21.0, second()), (26.5, first())];
        assert_eq!(verdict_of(&killed_and_deaf(), &shown_early).faults, [(1, Fault::StepBack)]);
        // One life goes forward in itself.
        let back_again = [(26.5, second()), (26.6, first())];
        assert_eq!(verdict_of(&killed_and_deaf(), &back_again).faults, [(1, Fault::StepBack)]);
    }

    #[test]
    fn subjects_of_one_service_go_forward_together() {
        let subjects = [
            Subject { service: 0, asked: Asked::Service },
            Subject { service: 0, asked: Asked::Host("web-0".to_owned()) },
            Subject { service: 0, asked: Asked::Srv },
        ];
        let mut numbers = Answers::default();
        let mut answer = |subject, at, said| Answer {
            subject,
            sent: seconds(at),
            received: seconds(at),
            said: numbers.number(said),
        };
        let srv = Said::records(
            ["SRV 0 50 80 web-0.web.ns.", "SRV 0 50 80 web-1.web.ns.", "with web-0.web.ns. A 10.0.0.3"]
                .into_iter()
                .chain(["with web-1.web.ns. A 10.0.0.2"])
                .map(str::to_owned),
        );
        let half = srv.clone();
        let Said::Records(mut half) = half else { panic!("records") };
        half.retain(|line| line != "with web-1.web.ns. A 10.0.0.2");
        let answers = [
            answer(1, 20.0, Said::addresses(["10.0.0.3"])),
            answer(2, 20.1, srv),
            answer(2, 20.1, Said::Records(half)),
            answer(0, 20.2, first()),
        ];
        let course = Course::default();
        let verdict = judge(&mk_services(), &subjects, &answers, &mut numbers, &course, TOLERANCE);
        assert_eq!(verdict.faults, [(2, Fault::NoState), (3, Fault::StepBack)]);
        let text = describe(&verdict, &mk_services(), &subjects, &answers, &numbers);
        assert!(text.contains("StepBack: Service of web.ns. asked at 20.2s"), "{text}");
        assert!(text.contains("beside state 2, since 20s: more: A 10.0.0.1; less: A 10.0.0.3"), "{text}");
    }
}
