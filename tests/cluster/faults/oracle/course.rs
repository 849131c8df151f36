//! What was done to the server while it was asked, and so what it must know at a moment.
//!
//! A server that is told of changes must know each of them some time later (`behind`). One that nobody could
//! tell must still know what it knew. One that was killed may know less by the age of its snapshot, and by no
//! more; it may be silent until it is there again, and never wrong.

use std::ops::Range;
use std::time::Duration;

/// The course of a test; times are since it began.
#[derive(Debug, Clone, Default)]
pub(in crate::faults) struct Course {
    /// When the API server could not be reached.
    pub(in crate::faults) deaf: Vec<Range<Duration>>,
    /// In their order.
    pub(in crate::faults) restarts: Vec<Restart>,
    /// How much older a snapshot may be than what the server knew when it was killed.
    pub(in crate::faults) lag: Duration,
}

/// The server was killed, and came back.
#[derive(Debug, Clone, Copy)]
pub(in crate::faults) struct Restart {
    /// Before the signal.
    pub(in crate::faults) killing: Duration,
    /// It is gone.
    pub(in crate::faults) killed: Duration,
    /// It said `ready`.
    pub(in crate::faults) ready: Duration,
}

/// Whose answer it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::faults) enum Life {
    /// The server's after so many restarts.
    Of(usize),
    /// It came while the server was being killed: of the old one, if of any.
    Ending,
}

impl Course {
    /// Up to when every change must be known to who answers a question that was sent at this moment, if it is
    /// told of changes within `behind`.
    pub(in crate::faults) fn known(&self, sent: Duration, behind: Duration) -> Duration {
        // Times without a stop in which it could be told: between those in which it could not.
        let mut blocked: Vec<(Duration, Duration)> = self.deaf.iter().map(|d| (d.start, d.end)).collect();
        blocked.extend(self.restarts.iter().map(|restart| (restart.killing, restart.ready)));
        blocked.retain(|(start, _)| *start < sent);
        blocked.sort_unstable();
        blocked.push((sent, sent));
        let (mut free_since, mut known) = (Duration::ZERO, Duration::ZERO);
        for (start, end) in blocked {
            // What changed that long before the end of it was told within it.
            if let Some(told) = start.checked_sub(behind).filter(|told| *told >= free_since) {
                // Of an earlier life there is what its snapshot has.
                let is_lost = self.restarts.iter().any(|r| r.killing >= start && r.killing < sent);
                known = known.max(if is_lost { told.saturating_sub(self.lag) } else { told });
            }
            free_since = free_since.max(end);
        }
        known
    }

    /// Whose answer it is that was asked for at this moment. One process has the port at a time, and what waited
    /// in its socket when it was killed is not answered.
    pub(in crate::faults) fn life(&self, sent: Duration) -> Life {
        let dead = self.restarts.iter().filter(|restart| restart.killed < sent).count();
        match self.restarts.get(dead) {
            Some(next) if next.killing <= sent => Life::Ending,
            _ => Life::Of(dead),
        }
    }

    /// Whether there may be no answer, or none but SERVFAIL, between these moments.
    pub(in crate::faults) fn may_be_silent(&self, sent: Duration, received: Duration) -> bool {
        self.restarts.iter().any(|restart| restart.killing <= received && sent <= restart.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND: Duration = Duration::from_secs(2);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn mk_course(deaf: &[(u64, u64)], restarts: &[(u64, u64, u64)]) -> Course {
        let restart = |(killing, killed, ready): &(u64, u64, u64)| Restart {
            killing: seconds(*killing),
            killed: seconds(*killed),
            ready: seconds(*ready),
        };
        Course {
            deaf: deaf.iter().map(|(from, to)| seconds(*from)..seconds(*to)).collect(),
            restarts: restarts.iter().map(restart).collect(),
            lag: seconds(3),
        }
    }

    fn known(course: &Course, sent: u64) -> u64 {
        course.known(seconds(sent), BEHIND).as_secs()
    }

    #[test]
    fn without_a_fault_it_is_behind_by_the_tolerance() {
        let course = Course::default();
        assert_eq!([1, 2, 10].map(|sent| known(&course, sent)), [0, 0, 8]);
    }

    #[test]
    fn who_is_told_nothing_knows_what_it_knew() {
        let course = mk_course(&[(20, 40), (41, 60)], &[]);
        assert_eq!([20, 21, 39, 40, 59, 61].map(|sent| known(&course, sent)), [18; 6]);
        // Told for two seconds on end.
        assert_eq!([62, 63, 70].map(|sent| known(&course, sent)), [60, 61, 68]);
    }

    #[test]
    fn who_was_killed_knows_its_snapshot() {
        // Told nothing from 20 to 50, killed at 30 and again at 40.
        let course = mk_course(&[(20, 50)], &[(30, 31, 32), (40, 41, 42)]);
        assert_eq!([30, 35, 45, 50, 51].map(|sent| known(&course, sent)), [18, 15, 15, 15, 15]);
        assert_eq!(known(&course, 53), 51);
        // It could be told all the while: nothing is older than it must be.
        let course = mk_course(&[], &[(30, 31, 32)]);
        assert_eq!([30, 31, 33, 34, 35].map(|sent| known(&course, sent)), [28, 25, 25, 32, 33]);
    }

    #[test]
    fn lives() {
        let course = mk_course(&[], &[(30, 31, 34), (40, 41, 44)]);
        let lives = [29, 30, 31, 32, 36, 40, 42].map(|sent| course.life(seconds(sent)));
        use Life::{Ending, Of};
        assert_eq!(lives, [Of(0), Ending, Ending, Of(1), Of(1), Ending, Of(2)]);
        let silent = |sent, received| course.may_be_silent(seconds(sent), seconds(received));
        assert!(silent(29, 30) && silent(30, 33) && silent(33, 35));
        assert!(!silent(28, 29) && !silent(35, 39));
    }
}
