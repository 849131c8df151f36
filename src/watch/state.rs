//! What is known of the server, and what is chosen of it.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::answers::{Cell, Change, Health, News, Set, Zone};

/// Changes that are kept: more than the tallest screen shows.
pub const MOST_CHANGES: usize = 200;

/// Whether it is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// What is shown is what is answered.
    Live,
    /// Not yet.
    Opening,
    /// What is shown is of `as_of`.
    Lost {
        /// Why.
        why: String,
        /// When it was heard last.
        as_of: Timestamp,
        /// When it is tried again.
        again_at: Timestamp,
    },
}

/// What is typed at the bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt {
    Filter(String),
    Namespace(String),
}

impl Prompt {
    pub(super) fn text(&mut self) -> &mut String {
        let (Self::Filter(text) | Self::Namespace(text)) = self;
        text
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) server: String,
    pub(super) sets: BTreeMap<(String, String), Set>,
    /// Of the namespace that is looked at; more than the sets where not all of them were asked for.
    pub(super) total: usize,
    /// The sets of the namespace that is looked at were told.
    pub(super) is_loaded: bool,
    pub(super) health: Option<(Health, Zone)>,
    /// When the health was told: ages are older by what went by since.
    pub(super) health_at: Timestamp,
    /// Of the namespace that is looked at, the newest first.
    pub(super) changes: VecDeque<Change>,
    pub(super) link: Link,
    heard_at: Timestamp,
    pub(super) namespace: Option<String>,
    pub(super) filter: String,
    pub(super) prompt: Option<Prompt>,
    pub(super) is_helping: bool,
    /// By name, not by place: rows come and go.
    pub(super) selected: Option<(String, String)>,
    pub(super) ordinal: u64,
}

impl State {
    /// Nothing is known.
    #[must_use]
    pub fn new(server: &str, namespace: Option<String>) -> Self {
        Self {
            // There is no other scheme; columns are few.
            server: server.trim_start_matches("http://").to_owned(),
            sets: BTreeMap::new(),
            total: 0,
            is_loaded: false,
            health: None,
            health_at: Timestamp::UNIX_EPOCH,
            changes: VecDeque::new(),
            link: Link::Opening,
            heard_at: Timestamp::UNIX_EPOCH,
            namespace,
            filter: String::new(),
            prompt: None,
            is_helping: false,
            selected: None,
            ordinal: 0,
        }
    }

    /// Takes what the server has told.
    pub fn hear(&mut self, news: News, now: Timestamp) {
        if let News::Lost(why, seconds) = news {
            let as_of = match &self.link {
                Link::Lost { as_of, .. } => *as_of,
                Link::Live | Link::Opening => self.heard_at,
            };
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            let again_at = now.as_second().saturating_add(seconds);
            let again_at = Timestamp::from_second(again_at).unwrap_or(Timestamp::MAX);
            self.link = Link::Lost { why, as_of, again_at };
            return;
        }
        self.heard_at = now;
        match news {
            // What was asked for before another namespace was chosen may still come.
            News::Set(set) if self.is_elsewhere(&set) => {}
            News::Sets { namespace, .. } if namespace != self.namespace => {}
            News::Sets { sets, total, .. } => {
                self.sets = sets.into_iter().map(|set| (key(&set), set)).collect();
                self.total = total.max(self.sets.len());
                self.is_loaded = true;
            }
            News::Set(set) => {
                // One of those that were not asked for is counted already.
                let is_whole = self.total == self.sets.len();
                let before = self.sets.insert(key(&set), *set);
                self.total += usize::from(before.is_none() && is_whole);
            }
            News::Gone(namespace, name) => {
                let before = self.sets.remove(&(namespace, name));
                self.total -= usize::from(before.is_some() && self.total > 0);
            }
            News::Health(health, zone) => {
                self.health = Some((health, zone));
                self.health_at = now;
            }
            News::Changes(changes) => {
                let here = changes.into_iter().filter(|change| change.is_of(self.namespace.as_deref()));
                self.changes = here.rev().take(MOST_CHANGES).collect();
            }
            // Those of elsewhere would push out what is looked at.
            News::Change(change) if !change.is_of(self.namespace.as_deref()) => {}
            // It was among those that were asked for while it was on its way.
            News::Change(change) if self.changes.iter().any(|known| known.id == change.id) => {}
            News::Change(change) => {
                self.changes.push_front(*change);
                self.changes.truncate(MOST_CHANGES);
            }
            News::Live => self.link = Link::Live,
            News::Lost(..) => {}
        }
    }

    fn is_elsewhere(&self, set: &Set) -> bool {
        self.namespace.as_ref().is_some_and(|namespace| *namespace != set.namespace)
    }

    /// Another namespace: its sets are to come.
    pub(super) fn look_at(&mut self, namespace: Option<String>) {
        self.namespace = namespace;
        self.sets.clear();
        self.total = 0;
        self.is_loaded = false;
        self.changes.retain(|change| change.is_of(self.namespace.as_deref()));
        self.selected = None;
        self.link = Link::Opening;
    }

    /// Whether all sets of what is looked at were told.
    pub(super) fn is_whole(&self) -> bool {
        self.is_loaded && self.total <= self.sets.len()
    }

    /// The sets that the filter lets through, sorted.
    #[must_use]
    pub fn visible(&self) -> Vec<&Set> {
        let wanted = self.filter.to_lowercase();
        let is_wanted = |set: &&Set| {
            wanted.is_empty() || format!("{}/{}", set.namespace, set.name).contains(wanted.as_str())
        };
        self.sets.values().filter(is_wanted).collect()
    }

    /// Where the selected one is among the visible: the next one where it is not there.
    pub(super) fn selected_at(&self, visible: &[&Set]) -> usize {
        let Some(selected) = &self.selected else { return 0 };
        let at = visible.partition_point(|set| {
            (set.namespace.as_str(), set.name.as_str()) < (selected.0.as_str(), selected.1.as_str())
        });
        at.min(visible.len().saturating_sub(1))
    }

    /// The cell of the selected set that is selected: the nearest one where its ordinal is not there.
    pub(super) fn cell_at(&self, set: &Set) -> usize {
        let at = set.cells.partition_point(|cell| cell.ordinal < self.ordinal);
        at.min(set.cells.len().saturating_sub(1))
    }

    /// What is selected.
    #[must_use]
    pub fn selection(&self) -> Option<(&Set, Option<&Cell>)> {
        let visible = self.visible();
        let set = *visible.get(self.selected_at(&visible))?;
        Some((set, set.cells.get(self.cell_at(set))))
    }

    pub(super) fn step_set(&mut self, by: isize) {
        let visible = self.visible();
        let last = visible.len().saturating_sub(1);
        let at = self.selected_at(&visible).saturating_add_signed(by).min(last);
        self.selected = visible.get(at).map(|set| key(set));
    }

    pub(super) fn step_cell(&mut self, by: isize) {
        let Some((set, _)) = self.selection() else { return };
        let last = set.cells.len().saturating_sub(1);
        let at = self.cell_at(set).saturating_add_signed(by).min(last);
        let ordinal = set.cells.get(at).map_or(0, |cell| cell.ordinal);
        self.selected = Some(key(set));
        self.ordinal = ordinal;
    }

    /// The oldest watch, in seconds by now; None from manifests.
    pub(super) fn watch_age(&self, now: Timestamp) -> Option<u64> {
        let (health, _) = self.health.as_ref()?;
        let oldest = health
            .watches
            .iter()
            .filter_map(|watch| watch.age_seconds)
            .fold(None, |oldest, age| Some(oldest.map_or(age, |oldest: f64| oldest.max(age))))?;
        // Not negative, and a float that is too large becomes the largest.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let oldest = oldest as u64;
        Some(oldest.saturating_add(seconds_between(self.health_at, now)))
    }
}

/// Whole seconds from one moment to another; none where the clock went back.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_second().saturating_sub(from.as_second())).unwrap_or(0)
}

fn key(set: &Set) -> (String, String) {
    (set.namespace.clone(), set.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::mk::{mk_change, mk_set, mk_state, now, three};

    fn set(state: &mut State, name: &str) {
        state.hear(News::Set(Box::new(mk_set("default", name, "R"))), now());
    }

    #[test]
    fn what_was_not_asked_for_is_counted_once() {
        let mut state = mk_state(three());
        set(&mut state, "another");
        assert_eq!((state.total, state.is_whole()), (4, true));
        state.hear(News::Sets { namespace: None, sets: three(), total: 9000 }, now());
        assert!(!state.is_whole());
        for name in ["another", "one-more", "web"] {
            set(&mut state, name);
        }
        assert_eq!((state.total, state.sets.len()), (9000, 5));
        state.hear(News::Gone("default".to_owned(), "one-more".to_owned()), now());
        state.hear(News::Gone("default".to_owned(), "one-more".to_owned()), now());
        assert_eq!((state.total, state.sets.len()), (8999, 4));
    }

    #[test]
    fn changes_of_elsewhere_push_out_none_of_here() {
        let elsewhere = |number: usize| Change {
            namespace: Some("shop".to_owned()),
            ..mk_change(&format!("elsewhere {number}"))
        };
        let told = || [mk_change("here")].into_iter().chain((0..300).map(elsewhere));
        let mut state = mk_state(three());
        state.look_at(Some("default".to_owned()));
        let texts =
            |state: &State| state.changes.iter().map(|change| change.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&state), ["StatefulSet web: 3 -> 4 replicas", "older"]);
        state.hear(News::Changes(told().collect()), now());
        assert_eq!(texts(&state), ["here"]);
        told().for_each(|change| state.hear(News::Change(Box::new(change)), now()));
        assert_eq!(texts(&state), ["here"]);
    }
}
