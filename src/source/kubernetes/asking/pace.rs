//! Which set is asked about next, and when: so many sets in a second, each seldom, all in turn. Knows no API server.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::SetName;

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Between two looks at the same set.
    pub interval: Duration,
    /// Sets in a second; 0 is never.
    pub sets: u32,
}

impl Rate {
    /// Between two sets. A burst is no use: what a set says is there after a second as well.
    fn between(self) -> Duration {
        Duration::from_secs(1) / self.sets.max(1)
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask about this one, now.
    Ask(SetName),
    /// Nothing before this.
    At(Instant),
    /// Nothing before somebody wants it.
    Idle,
}

/// A queue of those that were never asked about, one of those that are to be asked again. Who has waited longest comes
/// next, but for every other look, which is a new one's: a thousand sets that stand still keep it waiting for moments, and
/// new ones keep none of them waiting for ever.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// With when each came.
    fresh: VecDeque<(SetName, Instant)>,
    again: VecDeque<SetName>,
    /// Each that is in a queue, with the last look at it. One that nobody wants any more leaves when it has its turn: who
    /// comes and goes is not asked about more often.
    looked: HashMap<SetName, Option<Instant>>,
    /// The next look at any.
    free: Option<Instant>,
    was_fresh: bool,
}

impl Pace {
    /// Takes up a set; one that is there already stays where it is.
    pub(super) fn add(&mut self, name: SetName, now: Instant) {
        if !self.looked.contains_key(&name) {
            self.looked.insert(name.clone(), None);
            self.fresh.push_back((name, now));
        }
    }

    /// What to do next. `is_wanted` tells whether a set is to be asked about at all.
    pub(super) fn next(&mut self, now: Instant, rate: Rate, is_wanted: impl Fn(&SetName) -> bool) -> Next {
        if rate.sets == 0 {
            return Next::Idle;
        }
        if let Some(free) = self.free.filter(|free| *free > now) {
            return Next::At(free);
        }
        while self.fresh.front().is_some_and(|(name, _)| !is_wanted(name)) {
            self.fresh.pop_front().and_then(|(name, _)| self.looked.remove(&name));
        }
        // They stand in the order of their last looks.
        let due = loop {
            let Some(name) = self.again.front() else { break None };
            let due = self.looked.get(name).copied().flatten().map_or(now, |at| at + rate.interval);
            if due > now || is_wanted(name) {
                break Some(due);
            }
            self.again.pop_front().and_then(|name| self.looked.remove(&name));
        };
        let came = self.fresh.front().map(|(_, came)| *came);
        let is_repeated =
            due.is_some_and(|due| due <= now && came.is_none_or(|came| self.was_fresh && due <= came));
        let name =
            if is_repeated { self.again.pop_front() } else { self.fresh.pop_front().map(|(name, _)| name) };
        let Some(name) = name else { return due.map_or(Next::Idle, Next::At) };
        self.was_fresh = !is_repeated;
        self.looked.insert(name.clone(), Some(now));
        self.again.push_back(name.clone());
        self.free = Some(now + rate.between());
        Next::Ask(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Label;
    use std::cell::RefCell;
    use std::collections::HashSet;

    const RATE: Rate = Rate { interval: Duration::from_secs(5), sets: 10 };

    fn name(number: usize) -> SetName {
        (Label::new("default").unwrap(), format!("set-{number}").into())
    }

    /// Looks until so much time is over: what was asked about, and when.
    async fn looks(
        pace: &mut Pace,
        seconds: u64,
        is_wanted: impl Fn(&SetName) -> bool,
    ) -> Vec<(SetName, Instant)> {
        let over = Instant::now() + Duration::from_secs(seconds);
        let mut looks = Vec::new();
        while Instant::now() < over {
            match pace.next(Instant::now(), RATE, &is_wanted) {
                Next::Ask(name) => looks.push((name, Instant::now())),
                Next::At(at) => tokio::time::sleep_until(at.min(over)).await,
                Next::Idle => tokio::time::sleep_until(over).await,
            }
        }
        looks
    }

    #[tokio::test(start_paused = true)]
    async fn one_set_is_looked_at_each_interval() {
        let mut pace = Pace::default();
        pace.add(name(1), Instant::now());
        pace.add(name(1), Instant::now());
        let looks = looks(&mut pace, 60, |_| true).await;
        assert_eq!(looks.len(), 12);
        assert!(looks.windows(2).all(|two| two[1].1 - two[0].1 >= RATE.interval));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_sets_have_their_turns_within_the_rate() {
        let mut pace = Pace::default();
        (0..1000).for_each(|number| pace.add(name(number), Instant::now()));
        let looks = looks(&mut pace, 300, |_| true).await;
        assert_eq!(looks.len(), 3000);
        for second in looks.windows(11) {
            assert!(second[10].1 - second[0].1 >= Duration::from_secs(1), "more than 10 in a second");
        }
        for number in 0..1000 {
            let own = looks.iter().filter(|(other, _)| *other == name(number)).count();
            assert_eq!(own, 3, "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_new_waits_for_moments_and_keeps_nobody_waiting_for_ever() {
        let mut pace = Pace::default();
        (0..1000).for_each(|number| pace.add(name(number), Instant::now()));
        looks(&mut pace, 110, |_| true).await;
        pace.add(name(5000), Instant::now());
        let soon = looks(&mut pace, 1, |_| true).await;
        assert!(soon.iter().any(|(other, _)| *other == name(5000)), "{soon:?}");
        // New ones all the time: half of the looks are theirs.
        (6000..9000).for_each(|number| pace.add(name(number), Instant::now()));
        let looks = looks(&mut pace, 100, |_| true).await;
        let new = looks.iter().filter(|(other, _)| (6000..9000).any(|number| *other == name(number))).count();
        assert!((490..=510).contains(&new), "{new} of {}", looks.len());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_and_goes_is_not_looked_at_more_often_and_leaves_nothing() {
        let (mut pace, wanted) = (Pace::default(), RefCell::new(HashSet::new()));
        let mut all = Vec::new();
        for round in 0..40 {
            if round % 2 == 0 {
                wanted.borrow_mut().insert(name(1));
                pace.add(name(1), Instant::now());
            } else {
                wanted.borrow_mut().clear();
            }
            all.extend(looks(&mut pace, 1, |name| wanted.borrow().contains(name)).await);
        }
        assert!((5..=8).contains(&all.len()), "{}", all.len());
        assert!(all.windows(2).all(|two| two[1].1 - two[0].1 >= RATE.interval));
        wanted.borrow_mut().clear();
        looks(&mut pace, 10, |name| wanted.borrow().contains(name)).await;
        assert!(pace.looked.is_empty() && pace.fresh.is_empty() && pace.again.is_empty());
    }

    #[test]
    fn without_a_rate_nobody_is_looked_at() {
        let mut pace = Pace::default();
        pace.add(name(1), Instant::now());
        let never = Rate { sets: 0, ..RATE };
        assert_eq!(pace.next(Instant::now(), never, |_| true), Next::Idle);
    }
}
