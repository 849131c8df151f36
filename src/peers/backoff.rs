//! Waiting between tries: longer each time, and each client differently, so that a thousand do not come at once.

use std::time::Duration;

/// How long to wait before the next try.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// From `first` on, twice as long each time, up to `most`.
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// How long to wait now: half to three halves of what it doubles.
    #[must_use]
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (self.next * 2).min(self.most);
        jittered(wait)
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Half to three halves of a time, at random.
pub(super) fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_bound_and_begins_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let within = |wait: Duration, middle: u64| {
            let middle = Duration::from_secs(middle);
            assert!(wait >= middle / 2 && wait <= middle * 3 / 2, "{wait:?} {middle:?}");
        };
        for middle in [1, 2, 4, 5, 5] {
            within(backoff.wait(), middle);
        }
        backoff.reset();
        within(backoff.wait(), 1);
    }
}
