//! Feeds what is served from an API server: updates into the index, lists as a whole, then publishes.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{error, info};

use super::metrics::Waiting;
use super::served::{Known, Served};
use crate::admin::Health;
use crate::cluster::{Kind, Relist};
use crate::config::Config;
use crate::model::Label;
use crate::source::chain;
use crate::source::kubernetes::{Access, AccessError, Event, Kubernetes, Options, Scope, Update};

/// Updates that one publish takes together. A burst fills the queue while the one before is published.
const TOGETHER: usize = 4096;
/// Before a source whose task panicked is started anew.
const RESTART: Duration = Duration::from_secs(1);

/// A followed cluster.
pub(super) struct FromCluster {
    access: Access,
    options: Options,
    source: Kubernetes,
    scopes: Vec<State>,
    updates: Vec<Update>,
    /// Of those that were taken, what is to be measured.
    waiting: Waiting,
    alive: bool,
    /// Everything was listed by this source, or need not be.
    settled: bool,
    health: Health,
}

/// Where a scope stands.
struct State {
    scope: Scope,
    relist: Option<Relist>,
    listed: bool,
    trouble: Option<String>,
    /// What is wrong does not mend itself.
    forbidden: bool,
}

impl State {
    fn new(scope: &Scope) -> Self {
        Self { scope: scope.clone(), relist: None, listed: false, trouble: None, forbidden: false }
    }

    /// Whether the first answers need not wait for it any longer (names.md, "No such data"). A namespace of the
    /// filter that the account may not see does not keep the others waiting: it is REFUSED.
    fn is_settled(&self) -> bool {
        self.listed
            || match self.scope.kind {
                Kind::Service | Kind::EndpointSlice => self.forbidden && self.scope.namespace.is_some(),
                Kind::Namespace => self.forbidden,
                Kind::StatefulSet | Kind::Pod => self.trouble.is_some(),
            }
    }
}

impl FromCluster {
    /// Begins to follow.
    pub(super) async fn start(
        access: &Access,
        options: &Options,
        health: Health,
    ) -> Result<Self, AccessError> {
        let source = Kubernetes::start(access.clone(), options.clone()).await?;
        let scopes = source.scopes().iter().map(State::new).collect();
        Ok(Self {
            access: access.clone(),
            options: options.clone(),
            source,
            scopes,
            updates: Vec::new(),
            waiting: Waiting::default(),
            alive: true,
            settled: false,
            health,
        })
    }

    /// Waits until there is something to take.
    pub(super) async fn changed(&mut self) {
        if self.alive {
            self.alive = self.source.updates(&mut self.updates, TOGETHER).await;
        } else {
            tokio::time::sleep(RESTART).await;
        }
    }

    /// Takes it.
    pub(super) async fn take(&mut self, served: &mut Served, new: Option<Config>) {
        if let Some(new) = new {
            self.reconfigure(served, new).await;
        }
        if !self.alive {
            error!("following the cluster ended in a panic: starting anew");
            match Self::start(&self.access, &self.options, self.health.clone()).await {
                Ok(anew) => *self = anew,
                // Not alive yet: tried again.
                Err(error) => error!("{}", chain(&error)),
            }
            return;
        }
        self.source.more_updates(&mut self.updates, TOGETHER);
        let mut listed = false;
        let mut told = false;
        let mut problems = Vec::new();
        for update in std::mem::take(&mut self.updates) {
            self.waiting.add(&update);
            let Update { scope, event, .. } = update;
            let Some(state) = self.scopes.get_mut(scope) else { continue };
            if let Event::Problem(problem) = event {
                problems.push(*problem);
                continue;
            }
            told |= matches!(event, Event::Trouble { .. } | Event::Following | Event::Listed);
            listed |= state.apply(served, event);
        }
        served.report(problems);
        if told {
            self.tell_health();
        }
        let settles = !self.settled && self.scopes.iter().all(State::is_settled);
        // The first answers are about everything: services without their slices would only be made twice.
        if *served.known() == Known::Nothing && !self.settled && !settles {
            self.waiting.clear();
            return;
        }
        if settles {
            self.forget_others(served);
            self.settled = true;
        }
        if listed || settles {
            served.publish_all();
            self.tell_known(served);
        } else {
            served.publish();
        }
        self.waiting.published(&served.observed, served.driver.index());
    }

    /// Deletes what a filter before this one admitted.
    fn forget_others(&self, served: &mut Served) {
        let followed = |kind, namespace: &Label| {
            let covers = |scope: &Scope| scope.namespace.as_ref().is_none_or(|own| own == namespace);
            self.scopes.iter().any(|state| state.scope.kind == kind && covers(&state.scope))
        };
        served.driver.index_mut().retain(|name| followed(name.kind, &name.namespace));
    }

    /// What is published may be answered for: namespaces whose lists are complete.
    fn tell_known(&self, served: &mut Served) {
        let listed = |kind, namespace: Option<&Label>| {
            let is = |state: &State| state.scope.kind == kind && state.scope.namespace.as_ref() == namespace;
            self.scopes.iter().filter(|state| is(state)).all(|state| state.listed)
        };
        let is_known = |namespace| listed(Kind::Service, namespace) && listed(Kind::EndpointSlice, namespace);
        if self.scopes.iter().any(|state| state.scope.namespace.is_none()) {
            if is_known(None) {
                served.know(Known::All);
            }
        } else {
            let namespaces = self.scopes.iter().filter_map(|state| state.scope.namespace.as_ref());
            let known: BTreeSet<String> =
                namespaces.filter(|name| is_known(Some(name))).map(ToString::to_string).collect();
            if !known.is_empty() {
                served.know(Known::These(known));
            }
        }
        if *served.known() == Known::Nothing {
            return;
        }
        served.driver.synchronised();
        if self.scopes.iter().filter(|state| state.scope.kind == Kind::Pod).all(|state| state.listed) {
            served.driver.set_pods_known(true);
        }
    }

    async fn reconfigure(&mut self, served: &mut Served, new: Config) {
        if new.kubernetes != self.options {
            match Self::start(&self.access, &new.kubernetes, self.health.clone()).await {
                Ok(anew) => *self = anew,
                Err(error) => {
                    error!("the configuration is not taken over: {}", chain(&error));
                    return;
                }
            }
            // Those of a namespace that is new are not.
            served.driver.set_pods_known(false);
        }
        served.reconfigure(new);
        if *served.known() != Known::Nothing {
            served.publish_all();
        }
    }

    fn tell_health(&self) {
        let said = |state: &State| Some(format!("{}: {}", state.scope, state.trouble.as_ref()?));
        // What is withheld on purpose makes nothing stale.
        let withheld = |state: &&State| state.forbidden && !state.listed && !state.scope.is_needed();
        let (notes, reasons): (Vec<&State>, Vec<&State>) = self.scopes.iter().partition(withheld);
        let all = |states: Vec<&State>| states.into_iter().filter_map(said).collect();
        self.health.tell(all(reasons), all(notes));
    }
}

impl State {
    /// Gives whether a list is complete now.
    fn apply(&mut self, served: &mut Served, event: Event) -> bool {
        let index = served.driver.index_mut();
        match (event, &mut self.relist) {
            (Event::Listing, relist) => {
                *relist = Some(Relist::new(self.scope.kind, self.scope.namespace.clone()));
            }
            (Event::Item(object, age), Some(relist)) => relist.offer(index, object, age),
            (Event::UnusableItem(name), Some(relist)) => relist.keep(&name),
            (Event::UnnamedItem, Some(relist)) => relist.keep_all(),
            (Event::NoItem(name), Some(relist)) => relist.remove(&name),
            (Event::Listed, relist) => {
                let changed = relist.take().map_or(0, |relist| relist.finish(index));
                info!(changed, objects = index.count(self.scope.kind), "{} listed", self.scope);
                (self.listed, self.trouble, self.forbidden) = (true, None, false);
                return true;
            }
            (Event::Apply(object), _) => index.apply(object),
            (Event::Delete(name), _) => index.delete(&name),
            (Event::Trouble { message, forbidden }, _) => {
                (self.trouble, self.forbidden) = (Some(message), forbidden);
            }
            (Event::Following, _) => (self.trouble, self.forbidden) = (None, false),
            // Of a list that has not begun: there is none such. Problems were reported.
            (Event::Item(..) | Event::UnusableItem(_) | Event::UnnamedItem | Event::NoItem(_), None)
            | (Event::Problem(_), _) => {}
        }
        false
    }
}
