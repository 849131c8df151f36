//! Follows one kind of object: lists, then watches, for ever; every error is waited out.
//!
//! ```text
//! Unlisted ──list──▶ At(version) ──watch──▶ At(later version) ──watch──▶ …
//!     ▲                   │ 410 Gone
//!     └───────────────────┘           any other error: wait, then again from where it was
//! ```
//!
//! The list is a streamed one (KEP-3157) where the server has it: each object is decoded as it arrives, and the
//! same connection goes on as the watch. Where it is refused, pages are read.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use kube::api::{Request, WatchParams};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::answer::{Api, Messages};
use super::decode::{Decoded, Encoding, Said, Version};
use super::failure::{Cause, Failure};
use super::lines::Next;
use super::lists::Purpose;
use super::relisting::{Relisting, Stage};
use super::trouble::{SHORT, Trouble};
use super::watches::{Restart, Watch};
use super::{AccessError, Clients, Event, Options, Scope, Update};
use crate::source::{Problem, chain};

/// Until the head of a watch's answer is there, which costs the server little to begin.
const WATCH_HEAD_PATIENCE: Duration = Duration::from_secs(8);
/// How long a watch lasts that is to prove that the server lives: by its end, where there is nothing to say.
const PROOF: Duration = Duration::from_secs(3);
/// The server ends a watch by itself; this much later it is dead.
const GRACE: Duration = Duration::from_secs(3);
/// The first wait after an error.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest, before jitter of as much again: an API server that returns is found within 3 seconds.
const LONGEST_WAIT: Duration = Duration::from_millis(1500);
/// Between tries of what the account may not see.
const FORBIDDEN_WAIT: Duration = Duration::from_secs(30);

/// Who waits for the updates has gone.
pub(super) struct Closed;

/// Why a list or a watch ended.
pub(super) enum End {
    Failed(Failure),
    /// The watch disagrees with a list beside it on how far the cluster is: it is not gone on with.
    Behind,
    Closed,
}

impl<F: Into<Failure>> From<F> for End {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// Follows one scope.
#[derive(Clone)]
pub(super) struct Follow {
    pub(super) clients: Clients,
    pub(super) api: Arc<Api>,
    /// What is counted of it.
    pub(super) watch: Arc<Watch>,
    pub(super) options: Options,
    /// Which of the scopes it is, and what it is.
    pub(super) number: usize,
    pub(super) scope: Scope,
    pub(super) updates: mpsc::Sender<Update>,
}

impl Follow {
    /// Runs until nobody listens any more. `trouble` is what it had before.
    pub(super) async fn run(mut self, mut trouble: Trouble) {
        let mut position: Option<Version> = None;
        let mut waits = waits();
        let mut relisting = Relisting::new(self.options.relist);
        loop {
            trouble.tries();
            let watched = position.is_some();
            let end = match &mut position {
                None => self.list(&mut position, &mut trouble, &mut relisting).await,
                Some(version) => self.watch(version, &mut trouble, &mut relisting).await,
            };
            // What worked for a while is tried again at once; what did not is left alone for longer each time, so that no
            // loop is hot.
            let lasted = trouble.began.is_some_and(|began| began.elapsed() >= SHORT);
            if lasted {
                waits = self::waits();
            }
            let failure = match end {
                Ok(()) => {
                    // A server that ends every watch as it begins, if not without a word.
                    if watched && !lasted {
                        tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
                    }
                    continue;
                }
                Err(End::Closed) => return,
                Err(End::Behind) => {
                    info!("{}: the watch is not trusted: listing anew", self.scope);
                    self.watch.restarts(Restart::Behind);
                    position = None;
                    continue;
                }
                Err(End::Failed(failure)) => failure,
            };
            self.watch.fails(failure.cause);
            trouble.fails(failure.cause);
            if failure.cause == Cause::Gone {
                position = None;
                if trouble.began.is_none() {
                    // Refused as it was to begin: there was none that could have counted its end.
                    self.watch.restarts(Restart::Gone);
                }
                if relisting.abandon().await && self.send(Event::Unlisted).await.is_err() {
                    return;
                }
            }
            if trouble.is_news(&failure, &self.scope) {
                let forbidden = failure.cause == Cause::Forbidden;
                // A connection that breaks has lived until then: the kernel asks each few seconds.
                let is_silent = failure.cause == Cause::Silent;
                let unheard = if is_silent { self.watch.unheard() } else { Duration::ZERO };
                let event = Event::Trouble { message: failure.to_string(), forbidden, unheard };
                if self.send(event).await.is_err() {
                    return;
                }
            }
            if failure.cause == Cause::Unauthorised || trouble.is_time_to_reconnect() {
                self.reconnect().await;
            }
            let wait = if failure.cause == Cause::Forbidden && !self.scope.is_needed() && trouble.lasts() {
                FORBIDDEN_WAIT.mul_f32(1.0 + fastrand::f32())
            } else {
                let wait = waits.next().unwrap_or(LONGEST_WAIT);
                failure.retry_after.map_or(wait, |asked| asked + wait)
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// New credentials, or another address, may be in the files by now.
    async fn reconnect(&mut self) {
        match self.clients.client().await {
            // Anew in all: what refused protobuf may have been something in between, for a while.
            Ok(client) => self.api = Arc::new(Api::new(client)),
            // The old client goes on: its credentials may be good again. Who made the attempt says why it failed.
            Err(AccessError::Shared(_)) => {}
            Err(error) => warn!("{}: {}", self.scope, chain(&error)),
        }
    }

    async fn list(
        &self,
        position: &mut Option<Version>,
        trouble: &mut Trouble,
        relisting: &mut Relisting,
    ) -> Result<(), End> {
        let (version, messages) = self.items(Purpose::Follow).await?;
        self.send(Event::Listed).await?;
        self.watch.lists();
        trouble.begins();
        trouble.hears();
        trouble.is_over(&self.scope);
        relisting.hears();
        relisting.put_off();
        let version = position.insert(version);
        let Some(messages) = messages else { return Ok(()) };
        let lasts = self.options.watch_timeout;
        let ended = match self.events(messages, lasts, version, trouble, relisting).await {
            // The list's own bound is far away: from here on watches are shorter.
            Err(End::Failed(failure)) if failure.cause == Cause::Silent => Ok(()),
            ended => ended,
        };
        self.count(&ended);
        ended
    }

    /// Begins a list beside the watch, which has come as far as `version`, where it is time for one.
    fn begin_relist(&self, relisting: &mut Relisting, version: &str) {
        if relisting.is_due() {
            let of_task = self.clone();
            relisting.begin(version, async move {
                match of_task.items(Purpose::Compare).await {
                    Ok((version, _)) => Ok(version),
                    Err(End::Failed(failure)) => {
                        of_task.watch.fails(failure.cause);
                        Err(failure)
                    }
                    Err(End::Behind | End::Closed) => Err(Failure::ended("nobody listens any more")),
                }
            });
        }
    }

    /// Looks after the list beside the watch, which has come as far as `version`.
    async fn tend_relist(&self, relisting: &mut Relisting, version: &str) -> Result<(), End> {
        match relisting.stage(version, &self.scope) {
            Stage::Nothing => {}
            Stage::Comparable => self.send(Event::Relisted).await?,
            Stage::Void(disagrees) => {
                self.send(Event::Unlisted).await?;
                if disagrees {
                    return Err(End::Behind);
                }
            }
        }
        Ok(())
    }

    async fn watch(
        &self,
        version: &mut Version,
        trouble: &mut Trouble,
        relisting: &mut Relisting,
    ) -> Result<(), End> {
        self.tend_relist(relisting, version).await?;
        let lasts = if trouble.is_doubtful() {
            self.options.watch_timeout.min(PROOF)
        } else {
            self.options.watch_timeout
        };
        let timeout = u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX);
        // A quarter of jitter: a thousand of us do not begin again in the same second.
        let timeout = timeout - fastrand::u32(0..=timeout / 4);
        let params = WatchParams { timeout: Some(timeout.max(1)), ..self.watch_params() };
        let request = Request::new(self.scope.path()).watch(&params, version).map_err(Failure::of_request)?;
        let messages = self.api.watch(request, WATCH_HEAD_PATIENCE, self.options.max_object).await;
        let messages = messages.map_err(Failure::of_watch)?;
        trouble.begins();
        if !trouble.is_doubtful() {
            self.lives(trouble, relisting).await?;
            relisting.hasten(self.options.watch_silence);
        }
        self.begin_relist(relisting, version);
        let ended = self.events(messages, lasts, version, trouble, relisting).await;
        self.count(&ended);
        ended
    }

    /// The server is there, and whatever was wrong is over.
    async fn lives(&self, trouble: &mut Trouble, relisting: &mut Relisting) -> Result<(), Closed> {
        self.watch.answers();
        if trouble.is_over(&self.scope) {
            // An outage is no silence: who returns from it together does not list together.
            relisting.hears();
            self.send(Event::Following).await?;
        }
        Ok(())
    }

    /// Counts the end of a watch.
    fn count(&self, ended: &Result<(), End>) {
        match ended {
            Ok(()) => self.watch.restarts(Restart::Ended),
            Err(End::Failed(failure)) => self.watch.restarts(Restart::of(failure.cause)),
            // The latter is counted where it is taken up.
            Err(End::Closed | End::Behind) => {}
        }
    }

    /// The events of a watch, which `lasts` so long, until it ends.
    async fn events(
        &self,
        mut messages: Messages,
        lasts: Duration,
        version: &mut Version,
        trouble: &mut Trouble,
        relisting: &mut Relisting,
    ) -> Result<(), End> {
        let encoding = messages.encoding;
        let began = Instant::now();
        // Dead, if the server has not ended it before.
        let deadline = began + lasts + GRACE;
        let mut said_something = false;
        let mut heard = began;
        loop {
            let silence = heard + self.options.watch_silence;
            let octets = match messages.next(|| deadline.min(silence)).await? {
                Next::Message(octets) => octets,
                Next::TooLong => {
                    heard = Instant::now();
                    self.too_long().await?;
                    continue;
                }
                // A server ends a watch when its time is over. Whatever ends them at once is none.
                Next::End if !said_something && began.elapsed() < SHORT => {
                    return Err(Failure::ended("the watch ended as it began, without an event").into());
                }
                Next::End => {
                    if trouble.is_doubtful() {
                        self.lives(trouble, relisting).await?;
                    }
                    return Ok(());
                }
                // A server that lives ends a watch in time.
                Next::Silence => return Err(Failure::silent().into()),
            };
            heard = Instant::now();
            let Some(said) = self.read(encoding, octets).await? else { continue };
            // An error is no sign of life: it may be all that comes of a server whose own cache is stuck.
            if !matches!(said, Said::Error(_)) {
                said_something = true;
                self.watch.says();
                relisting.hears();
                trouble.hears();
                if trouble.is_doubtful() {
                    self.lives(trouble, relisting).await?;
                }
            }
            let at = match said {
                Said::Is(decoded) => {
                    let at = decoded.version.clone();
                    self.changed(decoded).await?;
                    at
                }
                Said::Gone(name, at) => {
                    self.send(Event::Delete(name)).await?;
                    at
                }
                Said::Bookmark(at, _) => at,
                Said::Error(status) => return Err(Failure::of_event(status).of_watch().into()),
            };
            // To begin at no version is to be told everything, but not what is gone.
            if !at.is_empty() {
                *version = at;
                self.tend_relist(relisting, version).await?;
            }
        }
    }

    pub(super) fn watch_params(&self) -> WatchParams {
        WatchParams {
            label_selector: self.scope.label_selector(&self.options),
            field_selector: self.scope.field_selector(),
            bookmarks: true,
            ..WatchParams::default()
        }
    }

    /// What a message says; one that cannot be read is told and passed over.
    pub(super) async fn read(&self, encoding: Encoding, octets: &[u8]) -> Result<Option<Said>, Closed> {
        match encoding.event(self.scope.kind, octets) {
            Ok(said) => Ok(Some(said)),
            Err(problem) => self.send(Event::Problem(problem)).await.map(|()| None),
        }
    }

    pub(super) async fn too_long(&self) -> Result<(), Closed> {
        let limit = self.options.max_object >> 20;
        let message =
            format!("an object is longer than limits.object_size ({limit} MiB): what was known of it stays");
        self.send(Event::Problem(Box::new(Problem::error(message).of(self.scope.to_string())))).await
    }

    /// An object of a watch.
    async fn changed(&self, decoded: Decoded) -> Result<(), Closed> {
        match self.usable(decoded.object, decoded.beside).await? {
            Some(Some(object)) => self.send_change(Event::Apply(object), decoded.triggered).await,
            // It may have been a service's before.
            Some(None) => self.send(Event::Delete(decoded.name)).await,
            None => Ok(()),
        }
    }

    /// Tells what is wrong with an object; None where it cannot be used.
    pub(super) async fn usable<T>(
        &self,
        object: Result<T, Box<Problem>>,
        beside: Vec<Problem>,
    ) -> Result<Option<T>, Closed> {
        for problem in beside {
            self.send(Event::Problem(Box::new(problem))).await?;
        }
        match object {
            Ok(object) => Ok(Some(object)),
            Err(mut problem) => {
                problem.message.push_str("; what was known of it stays");
                self.send(Event::Problem(problem)).await.map(|()| None)
            }
        }
    }

    pub(super) async fn send(&self, event: Event) -> Result<(), Closed> {
        self.send_change(event, None).await
    }

    async fn send_change(&self, event: Event, triggered: Option<SystemTime>) -> Result<(), Closed> {
        // Before the wait for room in the queue, which is part of what a change takes.
        let arrived = std::time::Instant::now();
        let update = Update { scope: self.number, event, arrived, triggered };
        self.updates.send(update).await.map_err(|_| Closed)
    }
}

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;

    fn mk_follow() -> (Follow, mpsc::Receiver<Update>) {
        let nobody = |_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("nobody is asked"))
        };
        let client = kube::Client::new(tower::service_fn(nobody), "default");
        let (updates, updates_rx) = mpsc::channel(8);
        let scope = Scope { kind: Kind::Service, namespace: None };
        let options = Options {
            namespaces: None,
            selector: "".parse().unwrap(),
            pods: false,
            watch_timeout: Duration::from_secs(20),
            watch_silence: Duration::from_secs(90),
            relist: Some(Duration::from_secs(60)),
            page: 500,
            max_object: 1 << 20,
        };
        let follow = Follow {
            clients: Clients::new(crate::source::kubernetes::Access::InCluster),
            api: Arc::new(Api::new(client)),
            watch: Arc::new(Watch::new(scope.clone())),
            options,
            number: 0,
            scope,
            updates,
        };
        (follow, updates_rx)
    }

    /// What is told, and whether the watch is gone on with, of a list that ends so, a watch at version 100, and a wait.
    async fn tended(list: Result<Version, Failure>, wait: Duration) -> (Vec<String>, bool) {
        let (follow, mut updates_rx) = mk_follow();
        let mut relisting = Relisting::new(follow.options.relist);
        relisting.begin("98", async { list });
        tokio::task::yield_now().await;
        let mut goes_on = follow.tend_relist(&mut relisting, "100").await.is_ok();
        tokio::time::advance(wait).await;
        goes_on &= follow.tend_relist(&mut relisting, "100").await.is_ok();
        let mut told = Vec::new();
        while let Ok(update) = updates_rx.try_recv() {
            told.push(format!("{:?}", update.event));
        }
        (told, goes_on)
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_of_a_list_beside_the_watch() {
        let later = Duration::from_secs(100);
        let told = |word: &str| vec![word.to_owned()];
        assert_eq!(tended(Ok("99".into()), later).await, (told("Relisted"), true));
        assert_eq!(tended(Err(Failure::ended("scripted")), later).await, (told("Unlisted"), true));
        // The watch is far behind, or was farther before: neither is to be trusted.
        assert_eq!(tended(Ok("97".into()), later).await, (told("Unlisted"), false));
        assert_eq!(tended(Ok("101".into()), later).await, (told("Unlisted"), false));
        assert_eq!(tended(Ok("101".into()), Duration::from_secs(80)).await, (Vec::new(), true));
    }
}
