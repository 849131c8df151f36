//! When questions are asked: as soon as there is room, or at a rate.

use std::time::{Duration, Instant};

/// How long to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    Time(Duration),
    Count(u64),
}

/// At a rate, a question counts from the moment it was due, not from when the window had room for it: a server that
/// stops for a while would else be asked less, and its stop be seen by few.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Nanoseconds from one question to the next.
    between: Option<f64>,
    start: Instant,
    asked: u64,
}

impl Pace {
    pub(crate) fn new(rate: Option<f64>) -> Self {
        Self { between: rate.map(|rate| 1e9 / rate), start: Instant::now(), asked: 0 }
    }

    /// Whether the generator looks without waiting, to be at its core when the next question is due.
    pub(crate) fn is_paced(&self) -> bool {
        self.between.is_some()
    }

    /// How many questions are due, up to `most`.
    pub(crate) fn due(&self, now: Instant, most: usize) -> usize {
        let Some(between) = self.between else { return most };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let in_all = (now.saturating_duration_since(self.start).as_nanos() as f64 / between) as u64;
        usize::try_from(in_all.saturating_sub(self.asked)).map_or(most, |due| due.min(most))
    }

    /// The moment that the next question counts from.
    pub(crate) fn next(&mut self, now: Instant) -> Instant {
        let Some(between) = self.between else { return now };
        self.asked += 1;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let after = Duration::from_nanos((self.asked as f64 * between) as u64);
        self.start + after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paced_question_counts_from_when_it_was_due() {
        let mut pace = Pace::new(Some(1000.0));
        let start = pace.start;
        assert_eq!(pace.due(start, 10), 0);
        let late = start + Duration::from_millis(5);
        assert_eq!((pace.due(late, 10), pace.due(late, 3)), (5, 3));
        assert_eq!(pace.next(late), start + Duration::from_millis(1));
        assert_eq!(pace.due(late, 10), 4);
    }

    #[test]
    fn without_a_rate_all_are_due() {
        let mut pace = Pace::new(None);
        let now = Instant::now();
        assert_eq!((pace.due(now, 7), pace.next(now)), (7, now));
    }
}
