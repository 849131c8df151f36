//! What fails, and for how long: whose words are to be taken back, for nobody could look at those pods again, and which sets
//! are left alone for their own answers. Knows no API server.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::SetName;

/// So long after the first look that failed, of those that failed ever since, what the pods said before is forgotten: most
/// sentences have no date, and would be told for days.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(600);
/// How long a set is left alone after an answer that cannot be used, its own fault: at first for less than the least
/// interval, so that one such answer costs no turn, then twice as long each time, and no longer than that.
const FIRST_REST: Duration = Duration::from_secs(4);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Whose words are to be forgotten by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forget {
    Nothing,
    /// Those of the set that was asked about.
    This,
    /// Those of every set, the one that was asked about too. Said once.
    All,
}

/// Looks that failed, until one succeeds.
#[derive(Debug, Default)]
pub(super) struct Failing {
    /// Since when nothing succeeds at all, and whether all was forgotten since.
    all: Option<(Instant, bool)>,
    sets: HashMap<SetName, Trouble>,
}

/// Of one set.
#[derive(Debug)]
struct Trouble {
    since: Instant,
    rest: Duration,
    until: Instant,
}

impl Trouble {
    fn new(now: Instant) -> Self {
        Self { since: now, rest: FIRST_REST, until: now }
    }
}

impl Failing {
    /// Whether a set is left alone just now.
    pub(super) fn rests(&self, name: &SetName, now: Instant) -> bool {
        self.sets.get(name).is_some_and(|trouble| now < trouble.until)
    }

    /// The server answers, and says what can be used.
    pub(super) fn succeeds(&mut self, name: &SetName) {
        self.all = None;
        self.sets.remove(name);
    }

    /// The server answers, and what it says of this set cannot be used.
    pub(super) fn cannot_use(&mut self, name: &SetName, now: Instant) {
        self.all = None;
        let trouble = self.sets.entry(name.clone()).or_insert_with(|| Trouble::new(now));
        trouble.until = now + trouble.rest;
        trouble.rest = (trouble.rest * 2).min(LONGEST_REST);
    }

    /// The server does not answer.
    pub(super) fn fails(&mut self, name: &SetName, now: Instant) -> Forget {
        let of_set = self.sets.entry(name.clone()).or_insert_with(|| Trouble::new(now)).since;
        let (since, is_forgotten) = self.all.get_or_insert((now, false));
        if now - *since >= FORGET_AFTER && !std::mem::replace(is_forgotten, true) {
            return Forget::All;
        }
        if now - of_set >= FORGET_AFTER { Forget::This } else { Forget::Nothing }
    }

    /// Keeps nothing of sets that nobody wants any more; of `count` somebody does.
    pub(super) fn prune(&mut self, count: usize, is_wanted: impl Fn(&SetName) -> bool) {
        if self.sets.len() > count {
            self.sets.retain(|name, _| is_wanted(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Label;

    fn name(text: &str) -> SetName {
        (Label::new("default").unwrap(), text.into())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_set_that_fails_beside_others_is_forgotten_alone() {
        let (mut failing, start) = (Failing::default(), Instant::now());
        for second in (0..600).step_by(60) {
            let now = start + seconds(second);
            assert_eq!(failing.fails(&name("web"), now), Forget::Nothing, "{second}");
            failing.succeeds(&name("db"));
        }
        assert_eq!(failing.fails(&name("web"), start + FORGET_AFTER), Forget::This);
        failing.succeeds(&name("db"));
        assert_eq!(failing.fails(&name("web"), start + seconds(660)), Forget::This);
        failing.succeeds(&name("web"));
        assert_eq!(failing.fails(&name("web"), start + seconds(720)), Forget::Nothing);
    }

    #[test]
    fn all_are_forgotten_once_where_none_succeeds() {
        let (mut failing, start) = (Failing::default(), Instant::now());
        assert_eq!(failing.fails(&name("web"), start), Forget::Nothing);
        assert_eq!(failing.fails(&name("db"), start + seconds(599)), Forget::Nothing);
        assert_eq!(failing.fails(&name("db"), start + FORGET_AFTER), Forget::All);
        assert_eq!(failing.fails(&name("db"), start + seconds(700)), Forget::Nothing);
        assert_eq!(failing.fails(&name("web"), start + seconds(701)), Forget::This);
        failing.succeeds(&name("db"));
        assert_eq!(failing.fails(&name("db"), start + seconds(702)), Forget::Nothing);
        assert_eq!(failing.fails(&name("db"), start + seconds(702 + 600)), Forget::All);
    }

    #[test]
    fn a_set_rests_for_longer_each_time_for_its_own_answers_and_others_do_not() {
        let (mut failing, mut now) = (Failing::default(), Instant::now());
        let mut rests = Vec::new();
        for _ in 0..9 {
            failing.cannot_use(&name("web"), now);
            let started = now;
            while failing.rests(&name("web"), now) {
                now += seconds(1);
            }
            rests.push((now - started).as_secs());
        }
        assert_eq!(rests, [4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!(!failing.rests(&name("db"), now));
        assert_eq!(failing.fails(&name("db"), now), Forget::Nothing);
        assert!(!failing.rests(&name("db"), now));
        failing.succeeds(&name("web"));
        failing.cannot_use(&name("web"), now);
        assert!(failing.rests(&name("web"), now) && !failing.rests(&name("web"), now + FIRST_REST));
    }

    #[test]
    fn nothing_is_kept_of_who_is_not_wanted() {
        let (mut failing, now) = (Failing::default(), Instant::now());
        for number in 0..100 {
            failing.fails(&name(&format!("gone-{number}")), now);
            failing.cannot_use(&name("web"), now);
            failing.prune(1, |set| *set == name("web"));
        }
        assert_eq!(failing.sets.len(), 1);
        assert!(failing.rests(&name("web"), now));
    }
}
