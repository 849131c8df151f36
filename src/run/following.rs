//! Where each scope of a followed cluster stands, and what its events do to the index.

use tracing::{debug, info, warn};

use super::served::{Known, Served};
use super::staleness::Since;
use crate::cluster::{Kind, ObjectName, Relist};
use crate::source::kubernetes::{Event, Scope, Watches};

/// Differences of a list beside a watch that are named in the log.
const NAMED: usize = 5;

/// Where a scope stands.
pub(super) struct State {
    pub(super) scope: Scope,
    relist: Option<Relist>,
    pub(super) listed: bool,
    pub(super) trouble: Option<String>,
    /// Since when there is some.
    since: Option<Since>,
    /// What is wrong does not mend itself.
    pub(super) forbidden: bool,
}

impl State {
    pub(super) fn new(scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            relist: None,
            listed: false,
            trouble: None,
            since: None,
            forbidden: false,
        }
    }

    /// Whether the first answers need not wait for it any longer (names.md, "No such data"). A namespace of the
    /// filter that the account may not see does not keep the others waiting: it is REFUSED.
    pub(super) fn is_settled(&self) -> bool {
        self.listed
            || match self.scope.kind {
                Kind::Service | Kind::EndpointSlice => self.forbidden && self.scope.namespace.is_some(),
                Kind::Namespace => self.forbidden,
                Kind::StatefulSet | Kind::Pod => self.trouble.is_some(),
            }
    }

    /// Since when what is served of it may be wrong; None is not at all. `before` is that of what was served before it
    /// was listed: a snapshot, or what a source before this one knew.
    pub(super) fn stale(&self, known: &Known, before: Option<Since>) -> Option<Since> {
        let namespace = self.scope.namespace.as_ref();
        // What is withheld and was never served takes nothing else with it.
        let is_withheld =
            !self.listed && self.forbidden && namespace.is_some_and(|own| !known.covers(Some(own.as_str())));
        if !self.scope.is_needed() || is_withheld {
            None
        } else if self.listed {
            self.since
        } else {
            before
        }
    }

    fn is_well(&mut self) {
        (self.trouble, self.since, self.forbidden) = (None, None, false);
    }

    /// Gives whether a list is complete now.
    pub(super) fn apply(&mut self, served: &mut Served, event: Event, watches: &Watches) -> bool {
        let index = served.driver.index_mut();
        match (event, &mut self.relist) {
            (Event::Listing, relist) => {
                *relist = Some(Relist::new(self.scope.kind, self.scope.namespace.clone()));
            }
            (Event::Relisting, relist) => {
                *relist = Some(Relist::beside(self.scope.kind, self.scope.namespace.clone()));
            }
            (Event::Unlisted, relist) => *relist = None,
            (Event::Relisted, relist) => {
                let Some(relist) = relist.take() else { return false };
                let mut names = Vec::new();
                let differences = relist.finish_telling(index, |name| {
                    if names.len() < NAMED {
                        names.push(name.to_owned());
                    }
                });
                watches.compared(&self.scope, differences);
                if differences == 0 {
                    debug!("{}: a list beside the watch has nothing that differs", self.scope);
                    return false;
                }
                warn!(
                    differences,
                    ?names,
                    "{}: what the watch had told was not what is there; put right",
                    self.scope
                );
                return true;
            }
            (Event::Item(object, age), Some(relist)) => relist.offer(index, object, age),
            (Event::UnusableItem(name), Some(relist)) => relist.keep(&name),
            (Event::UnnamedItem, Some(relist)) => relist.keep_all(),
            (Event::NoItem(name), Some(relist)) => relist.remove(&name),
            (Event::Listed, relist) => {
                let changed = relist.take().map_or(0, |relist| relist.finish(index));
                info!(changed, objects = index.count(self.scope.kind), "{} listed", self.scope);
                self.listed = true;
                self.is_well();
                return true;
            }
            (Event::Apply(object), relist) => {
                if let Some(relist) = relist {
                    relist.watched(&ObjectName::of(&object));
                }
                index.apply(object);
            }
            (Event::Delete(name), relist) => {
                if let Some(relist) = relist {
                    relist.watched(&name);
                }
                index.delete(&name);
            }
            (Event::Trouble { message, forbidden, unheard }, _) => {
                self.since.get_or_insert_with(|| Since::ago(unheard));
                (self.trouble, self.forbidden) = (Some(message), forbidden);
            }
            (Event::Following, _) => self.is_well(),
            // Of a list that has not begun: there is none such. Problems were reported.
            (Event::Item(..) | Event::UnusableItem(_) | Event::UnnamedItem | Event::NoItem(_), None)
            | (Event::Problem(_), _) => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Typed};
    use crate::model::{Label, Namespace, Object};
    use crate::run::settings::for_zone;
    use crate::zone::zone;

    fn mk_object(name: &str) -> Object {
        Object::Namespace(Namespace { name: Label::new(name).unwrap() })
    }

    /// A scope that is listed and has `a`, and what its lists are counted in.
    fn mk_followed() -> (State, Served, Watches) {
        let config = Config::resolve(Typed::default()).unwrap();
        let (publisher, _reader) = zone(for_zone(&config, &[]));
        let served = Served::new(publisher, config, &[]);
        let followed =
            (State::new(&Scope { kind: Kind::Namespace, namespace: None }), served, Watches::default());
        let (mut state, mut served, watches) = followed;
        assert!(!told(&mut state, &mut served, &watches, [Event::Listing, Event::Item(mk_object("a"), 1)]));
        assert!(told(&mut state, &mut served, &watches, [Event::Listed]));
        (state, served, watches)
    }

    /// Whether the last event completes a list that changed something.
    fn told(
        state: &mut State,
        served: &mut Served,
        watches: &Watches,
        events: impl IntoIterator<Item = Event>,
    ) -> bool {
        events.into_iter().fold(false, |_, event| state.apply(served, event, watches))
    }

    fn known(served: &Served) -> [bool; 3] {
        ["a", "b", "c"].map(|name| served.driver.index().has_namespace(&Label::new(name).unwrap()))
    }

    #[test]
    fn a_list_beside_the_watch_puts_right_what_differs() {
        let (mut state, mut served, watches) = mk_followed();
        let lost = [Event::Relisting, Event::Item(mk_object("b"), 2), Event::Relisted];
        assert!(told(&mut state, &mut served, &watches, lost));
        assert_eq!(known(&served), [false, true, false]);
        let same = [Event::Relisting, Event::Item(mk_object("b"), 2), Event::Relisted];
        assert!(!told(&mut state, &mut served, &watches, same));
        let gone = [Event::Relisting, Event::Item(mk_object("b"), 2)];
        let gone = gone.into_iter().chain([Event::NoItem(ObjectName::of(&mk_object("b"))), Event::Relisted]);
        assert!(told(&mut state, &mut served, &watches, gone));
        assert_eq!(known(&served), [false; 3]);
    }

    #[test]
    fn of_a_list_that_is_void_nothing_is_left() {
        let (mut state, mut served, watches) = mk_followed();
        let void = [Event::Relisting, Event::Item(mk_object("b"), 2), Event::Unlisted, Event::Relisted];
        assert!(!told(&mut state, &mut served, &watches, void));
        assert_eq!(known(&served), [true, false, false]);
    }

    #[test]
    fn what_the_watch_tells_beside_a_list_is_no_difference() {
        let (mut state, mut served, watches) = mk_followed();
        let beside = [
            Event::Relisting,
            Event::Apply(mk_object("b")),
            Event::Delete(ObjectName::of(&mk_object("a"))),
            // As it was before both, and `c` is there for long.
            Event::Item(mk_object("a"), 1),
        ];
        told(&mut state, &mut served, &watches, beside);
        assert!(!told(&mut state, &mut served, &watches, [Event::Relisted]));
        assert_eq!(known(&served), [false, true, false]);
    }
}
