//! Whether the servers did the same work: what each answered to the same questions, asked once before any round.

use crate::runs::{FLOOR, Run, Runs, SUBJECT};

/// Shares of replies may differ so much: the questions that a window left unanswered at the end differ.
const SHARE: f64 = 0.004;
/// Answer records a reply, as a part of rollcall's.
const ANSWERS: f64 = 0.02;

/// How the servers' replies differ from rollcall's, but where that is by design (README.md says where).
pub(crate) fn differences(runs: &Runs<'_>, mix: &str) -> Vec<String> {
    let Some(ours) = runs.of_kind("check", mix).find(|run| run.server == SUBJECT) else {
        return vec![format!("{SUBJECT} was not asked")];
    };
    let mut found = of_itself(ours);
    for theirs in runs.of_kind("check", mix).filter(|run| run.server != SUBJECT && run.server != FLOOR) {
        found.extend(of_itself(theirs));
        for key in ["noerror", "nxdomain"] {
            found.extend(beside(ours, theirs, key, SHARE));
        }
        if !answers_differ(mix, theirs.server) {
            found.extend(beside(ours, theirs, "answers", ANSWERS * ours.number("answers")));
        }
    }
    found
}

/// By design: truncated replies carry as many records as each server likes; hickory's handler knows A only.
fn answers_differ(mix: &str, server: &str) -> bool {
    mix == "large" || server == "hickory" && mix != "ordinals"
}

fn of_itself(run: &Run<'_>) -> Vec<String> {
    let bad = ["wrong", "other"].into_iter().filter(|key| run.number(key) > 0.0);
    bad.map(|key| format!("{}: {key}={}", run.server, run.number(key))).collect()
}

fn beside(ours: &Run<'_>, theirs: &Run<'_>, key: &str, most: f64) -> Option<String> {
    let (a, b) = (ours.number(key), theirs.number(key));
    ((a - b).abs() > most).then(|| format!("{}: {key}={b}, {SUBJECT}: {key}={a}", theirs.server))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(knot: &str) -> usize {
        let text = format!(
            "check round=0 mix=m server=rollcall wrong=0 other=0 noerror=0.75 nxdomain=0.25 answers=1.6\n\
             check round=0 mix=m server=echo wrong=0 other=0 noerror=1 nxdomain=0 answers=0\n\
             check round=0 mix=m server=knot {knot}\n"
        );
        differences(&Runs::of(&text).unwrap(), "m").len()
    }

    #[test]
    fn servers_that_answer_differently_are_told() {
        assert_eq!(found("wrong=0 other=0 noerror=0.7501 nxdomain=0.2499 answers=1.601"), 0);
        assert_eq!(found("wrong=0 other=0 noerror=0.76 nxdomain=0.24 answers=1.6"), 2);
        assert_eq!(found("wrong=0 other=0 noerror=0.75 nxdomain=0.25 answers=1.5"), 1);
        assert_eq!(found("wrong=1 other=0.1 noerror=0.75 nxdomain=0.25 answers=1.6"), 2);
    }
}
