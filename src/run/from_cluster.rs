//! Feeds what is served from an API server: updates into the index, lists as a whole, then publishes.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::following::State;
use super::keeper::Keeper;
use super::looking::Looking;
use super::metrics::Waiting;
use super::served::{Known, Served};
use super::staleness::{Since, freshness};
use crate::admin::Health;
use crate::cluster::Kind;
use crate::config::Config;
use crate::model::Label;
use crate::reasons::Reason;
use crate::source::chain;
use crate::source::kubernetes::{
    Access, AccessError, Client, Clients, Event, Kubernetes, LookCounters, Options, Scope, Update, Watches,
};
use crate::source::snapshot::SnapshotCounters;
use crate::zone::Freshness;

/// Updates that one publish takes together. A burst fills the queue while the one before is published.
const TOGETHER: usize = 4096;
/// Before a source whose task panicked is started anew.
const RESTART: Duration = Duration::from_secs(1);

/// A followed cluster.
pub(super) struct FromCluster {
    clients: Clients,
    options: Options,
    source: Kubernetes,
    scopes: Vec<State>,
    updates: Vec<Update>,
    /// Of those that were taken, what is to be measured.
    waiting: Waiting,
    /// When it is started anew, where it ended in a panic.
    restart_at: Option<Instant>,
    /// Everything was listed by this source, or need not be.
    settled: bool,
    /// Since when what was served before this source listed anything may be wrong: a snapshot, or what a source before
    /// it knew. With the words for a snapshot.
    before: Option<Since>,
    from_snapshot: Option<String>,
    freshness: Freshness,
    /// When the freshness changes by itself.
    turns: Option<Instant>,
    keeper: Option<Keeper>,
    looking: Looking,
    health: Health,
    counting: Counting,
}

/// What is counted of a followed cluster, to be read from anywhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Counting {
    pub(super) watches: Watches,
    pub(super) snapshot: SnapshotCounters,
    pub(super) looks: LookCounters,
}

impl FromCluster {
    /// Serves from the snapshot where there is one, and keeps it from now on; then begins to follow. What is served
    /// already waits for no credentials: they may need the network that is away.
    ///
    /// # Errors
    /// When there is no snapshot to serve, and the API server cannot even be asked.
    pub(super) async fn start(
        access: &Access,
        served: &mut Served,
        health: Health,
        counting: Counting,
    ) -> Result<Self, AccessError> {
        let mut keeper = Keeper::new(served, access, counting.snapshot.clone()).await;
        let resumed = match &mut keeper {
            Some(keeper) => keeper.resume(served).await,
            None => None,
        };
        let clients = Clients::new(access.clone());
        let client = if resumed.is_none() { Some(clients.client().await?) } else { None };
        let options = served.config.kubernetes.clone();
        let source = Kubernetes::start(&clients, client.as_ref(), options.clone(), counting.watches.clone());
        let scopes = source.scopes().iter().map(State::new).collect();
        let (before, from_snapshot) = resumed.unzip();
        let looking = Looking::new(clients.clone(), served.config.looks.rate, counting.looks.clone());
        let mut started = Self {
            clients,
            options,
            source,
            scopes,
            updates: Vec::new(),
            waiting: Waiting::default(),
            restart_at: None,
            settled: false,
            before,
            from_snapshot,
            freshness: Freshness::Fresh,
            turns: None,
            keeper,
            looking,
            health,
            counting,
        };
        if started.before.is_some() {
            started.tell_health();
            started.tell_freshness(served);
        }
        Ok(started)
    }

    /// Begins anew; what is served goes on, and counts as known until now.
    fn restart(&mut self, client: Option<&Client>, options: &Options, served: &Served) {
        let counting = self.counting.watches.clone();
        let source = Kubernetes::start(&self.clients, client, options.clone(), counting);
        self.before = self.until_now(served);
        self.scopes = source.scopes().iter().map(State::new).collect();
        self.options = options.clone();
        self.source = source;
        self.updates.clear();
        (self.restart_at, self.settled) = (None, false);
    }

    /// Since when what is served may be wrong, if nothing is heard from now on.
    fn until_now(&self, served: &Served) -> Option<Since> {
        let now = || Since::ago(Duration::ZERO);
        (*served.known() != Known::Nothing).then(|| self.stale(served).unwrap_or_else(now))
    }

    /// Whether the objects of what is served are still being read.
    pub(super) fn is_loading(&self) -> bool {
        self.keeper.as_ref().is_some_and(Keeper::is_loading)
    }

    /// Waits until there is something to take. May be cancelled.
    pub(super) async fn changed(&mut self) {
        if let Some(at) = self.restart_at {
            return tokio::time::sleep_until(at).await;
        }
        if let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.is_loading()) {
            return keeper.read().await;
        }
        let (turns, keeper, looking) = (self.turns, &mut self.keeper, &mut self.looking);
        let turned = async {
            match turns {
                Some(turns) => tokio::time::sleep_until(turns).await,
                None => std::future::pending().await,
            }
        };
        let kept = async {
            match keeper {
                Some(keeper) => keeper.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            alive = self.source.updates(&mut self.updates, TOGETHER) => if alive { return },
            () = turned => return,
            () = kept => return,
            () = looking.changed() => return,
        }
        let at = Instant::now() + RESTART;
        self.restart_at = Some(at);
        tokio::time::sleep_until(at).await;
    }

    /// Takes it.
    pub(super) async fn take(&mut self, served: &mut Served, new: Option<Config>) {
        // What changes, changes in a cluster that is there.
        if let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.is_loading())
            && !keeper.load(served).await
        {
            (self.before, self.from_snapshot) = (None, None);
            self.tell_health();
        }
        self.looking.take(served);
        self.take_updates(served, new).await;
        self.looking.want(served);
        self.tell_freshness(served);
        let (stale, is_one) = (self.stale(served), self.is_of_one_filter());
        match &mut self.keeper {
            Some(keeper) if is_one => keeper.tend(served, stale),
            Some(keeper) => keeper.rest(),
            None => {}
        }
    }

    /// Keeps what was not kept yet.
    pub(super) async fn finish(&mut self, served: &Served) {
        let (stale, is_one) = (self.stale(served), self.is_of_one_filter());
        if let Some(keeper) = self.keeper.as_mut().filter(|_| is_one) {
            keeper.finish(served, stale).await;
        }
    }

    /// Whether what is known is of the filter that is configured: half of one and half of another is not kept.
    fn is_of_one_filter(&self) -> bool {
        self.settled || self.from_snapshot.is_some()
    }

    async fn take_updates(&mut self, served: &mut Served, new: Option<Config>) {
        if let Some(new) = new {
            self.reconfigure(served, new).await;
        }
        if self.restart_at.is_some() {
            error!("following the cluster ended in a panic: starting anew");
            let options = self.options.clone();
            self.restart(None, &options, served);
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
            listed |= state.apply(served, event, &self.counting.watches);
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
            if self.from_snapshot.take().is_some() {
                self.tell_health();
            }
        }
        served.came_about(self.waiting.times());
        if listed || settles {
            served.publish_all();
            self.tell_known(served);
        } else {
            served.publish();
        }
        self.waiting.published(&served.observed, served.driver.index());
    }

    /// Deletes what a filter before this one admitted. A namespace of it that comes back is listed anew, and until then
    /// it is REFUSED and not denied.
    fn forget_others(&self, served: &mut Served) {
        let followed = |kind, namespace: &Label| {
            let covers = |scope: &Scope| scope.namespace.as_ref().is_none_or(|own| own == namespace);
            self.scopes.iter().any(|state| state.scope.kind == kind && covers(&state.scope))
        };
        served.driver.index_mut().retain(|name| followed(name.kind, &name.namespace));
        served.forget_others();
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
        let before = &self.options;
        if new.kubernetes != *before {
            let is_of_others = new.kubernetes.namespaces != before.namespaces
                || new.kubernetes.selector != before.selector
                || new.kubernetes.pods != before.pods;
            let client = match self.clients.client().await {
                Ok(client) => client,
                Err(error) => {
                    error!("the configuration is not taken over: {}", chain(&error));
                    return;
                }
            };
            self.restart(Some(&client), &new.kubernetes, served);
            // A limit alone makes nothing unknown that was known.
            if is_of_others {
                self.from_snapshot = None;
                // Those of a namespace that is new are not.
                served.driver.set_pods_known(false);
            }
        }
        served.reconfigure(new);
        self.looking.heed(served);
        if *served.known() != Known::Nothing {
            served.publish_all();
        }
    }

    /// Since when what is served may be wrong: the longest of any scope that is needed.
    fn stale(&self, served: &Served) -> Option<Since> {
        let known = served.known();
        let stale = self.scopes.iter().filter_map(|state| state.stale(known, self.before));
        stale.reduce(Since::or_before).filter(|_| *known != Known::Nothing)
    }

    /// Goes by how long what is served has been stale.
    fn tell_freshness(&mut self, served: &mut Served) {
        let stale = self.stale(served);
        self.health.tell_stale(stale.map(Since::age));
        let (freshness, turns) = freshness(stale, &served.config.stale);
        self.turns = turns.map(|turns| Instant::now() + turns);
        if freshness == self.freshness {
            return;
        }
        self.freshness = freshness;
        if let Some(since) = stale.map(Since::text) {
            let since = since.as_str();
            served.driver.set_stale_reason(match self.from_snapshot {
                Some(_) => Reason::StaleSnapshot { since },
                None => Reason::Stale { since },
            });
        }
        served.driver.set_freshness(freshness);
        let age = stale.map_or(0, |since| since.age().as_secs());
        match freshness {
            Freshness::Fresh => info!("what is served is fresh again"),
            Freshness::Stale { ttl_cap } => {
                warn!("answering what was known last, right {age} s ago: no time to live above {ttl_cap} s");
            }
            Freshness::Expired => {
                error!(
                    "what was known last was right {age} s ago, longer than stale.max_age: SERVFAIL until the API server answers"
                );
            }
        }
    }

    fn tell_health(&self) {
        let said = |state: &State| Some(format!("{}: {}", state.scope, state.trouble.as_ref()?));
        // What is withheld on purpose makes nothing stale.
        let withheld = |state: &&State| state.forbidden && !state.listed && !state.scope.is_needed();
        let (notes, reasons): (Vec<&State>, Vec<&State>) = self.scopes.iter().partition(withheld);
        let all = |states: Vec<&State>| -> Vec<String> { states.into_iter().filter_map(said).collect() };
        let reasons = self.from_snapshot.clone().into_iter().chain(all(reasons)).collect();
        self.health.tell(reasons, all(notes));
    }
}
