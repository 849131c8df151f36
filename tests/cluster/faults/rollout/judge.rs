//! Whether each answer was true of some state between the question's sending and its answer.
//!
//! The record and the server are told of a change at about the same moment, neither first by rule, and
//! neither at the moment when it becomes true. So a tolerance goes with the verdict: an answer must be
//! exactly what one state of its service says, a state that the record knew of at the latest `ahead` after
//! the answer, and that was followed by another, as far as the record knew, at the earliest `behind` before
//! the question. Half a change is no state, and fails with any tolerance. What was shown is never taken back:
//! over all questions about one service the states go forward, for one client asks one at a time.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use super::super::client::Said;
use super::history::{Asked, History};

/// How far the record and the server may be apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerance {
    /// How long a state may be said that is no longer true.
    pub(super) behind: Duration,
    /// How much earlier than the record the server may know.
    pub(super) ahead: Duration,
}

/// A question that is asked again and again.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// Index of the service.
    pub(super) service: usize,
    pub(super) asked: Asked,
}

/// What was answered; times are since the test began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// Index of the subject.
    pub(super) subject: usize,
    pub(super) sent: Duration,
    pub(super) received: Duration,
    /// Which of the answers, by [`Answers::number`].
    pub(super) said: usize,
}

/// Each answer that was ever seen, numbered: most are the same ones again.
#[derive(Debug, Default)]
pub(super) struct Answers {
    numbers: HashMap<Said, usize>,
    by_number: Vec<Said>,
}

impl Answers {
    /// The number of an answer.
    pub(super) fn number(&mut self, said: Said) -> usize {
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
pub(super) enum Fault {
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
pub(super) struct Verdict {
    /// Which answers are wrong, by their place, and how.
    pub(super) faults: Vec<(usize, Fault)>,
    /// How many states were shown, of all services.
    pub(super) shown: usize,
    /// The oldest answer: how long before its question its state had ended, as far as the record knew.
    pub(super) behind: Duration,
    /// How many answers were of a state that had ended before their question.
    pub(super) behind_count: usize,
    /// The most that the server was ahead of the record.
    pub(super) ahead: Duration,
}

/// A service, as the judge needs it.
#[derive(Debug)]
pub(super) struct Service {
    /// Its full name, with the dot at the end.
    pub(super) owner: String,
    pub(super) history: History,
}

impl Service {
    /// How long before the question a state had ended, and how long after the answer it began.
    fn distance(&self, state: usize, answer: &Answer) -> (Duration, Duration) {
        let states = &self.history.states;
        let behind = states.get(state + 1).map(|(end, _)| answer.sent.saturating_sub(*end));
        (behind.unwrap_or_default(), states[state].0.saturating_sub(answer.received))
    }

    /// The states that an answer may be of.
    fn allowed(&self, answer: &Answer, tolerance: Tolerance) -> Range<usize> {
        let states = &self.history.states;
        // The one that was true at that moment, and those after it.
        let first = match answer.sent.checked_sub(tolerance.behind) {
            Some(moment) => states.partition_point(|(since, _)| *since < moment).saturating_sub(1),
            None => 0,
        };
        first..states.partition_point(|(since, _)| *since <= answer.received + tolerance.ahead)
    }
}

/// Judges the answers of one client, which are in the order in which they were asked for.
pub(super) fn judge(
    services: &[Service],
    subjects: &[Subject],
    answers: &[Answer],
    numbers: &mut Answers,
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
    let mut last = vec![0; services.len()];
    for (place, answer) in answers.iter().enumerate() {
        let index = subjects[answer.subject].service;
        let service = &services[index];
        let says = &says[answer.subject];
        let distance = |state: &usize| service.distance(*state, answer);
        let allowed = service.allowed(answer, tolerance);
        let of_states = |states: Range<usize>| states.filter(|state| says[*state] == answer.said);
        let mut possible = of_states(allowed.start.max(last[index])..allowed.end).peekable();
        // The earliest: it leaves the most to the answers that follow, and so never makes a fault of its own.
        if let Some(earliest) = possible.peek() {
            last[index] = *earliest;
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
pub(super) fn describe(
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
            let difference = numbers.by_number[answer.said].difference(&says);
            let _ = writeln!(text, "  beside state {number}, since {since:?}: {difference}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
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
        judge(&mk_services(), &subjects, &answers, &mut numbers, TOLERANCE)
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
        let verdict = judge(&mk_services(), &subjects, &answers, &mut numbers, TOLERANCE);
        assert_eq!(verdict.faults, [(2, Fault::NoState), (3, Fault::StepBack)]);
        let text = describe(&verdict, &mk_services(), &subjects, &answers, &numbers);
        assert!(text.contains("StepBack: Service of web.ns. asked at 20.2s"), "{text}");
        assert!(text.contains("beside state 2, since 20s: more: A 10.0.0.1; less: A 10.0.0.3"), "{text}");
    }
}
