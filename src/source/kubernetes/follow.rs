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

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use kube::api::{ListParams, Request, WatchParams};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::answer::{Api, Messages};
use super::decode::{Decoded, Encoding, Said, Version};
use super::failure::{Cause, Failure};
use super::lines::Next;
use super::{Access, Event, Options, Scope, Update};
use crate::source::{Problem, chain};

/// Until the head of a list's answer is there. A busy API server queues requests, but not for so long.
const LIST_HEAD_PATIENCE: Duration = Duration::from_secs(20);
/// The same for a watch, which costs the server little to begin.
const WATCH_HEAD_PATIENCE: Duration = Duration::from_secs(8);
/// Between two octets of a list.
const LIST_PATIENCE: Duration = Duration::from_secs(15);
/// What broke sooner after it began did not work: the waits grow on, so that no loop is hot.
const SHORT: Duration = Duration::from_secs(1);
/// After this long without success the files of the credentials are read again, and so often from then on.
const RECONNECT: Duration = Duration::from_secs(15);
/// A refusal that has lasted so long is meant: right after its start an API server refuses what it will grant.
const LASTING: Duration = Duration::from_secs(15);
/// The server ends a watch by itself; this much later it is dead.
const GRACE: Duration = Duration::from_secs(3);
/// The first wait after an error.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest, before jitter of as much again: an API server that returns is found within 3 seconds.
const LONGEST_WAIT: Duration = Duration::from_millis(1500);
/// Between tries of what the account may not see.
const FORBIDDEN_WAIT: Duration = Duration::from_secs(30);
/// The same trouble is not logged again for this long.
const REPEAT: Duration = Duration::from_secs(60);
/// The most octets of a page.
const MAX_PAGE: usize = 512 << 20;

/// Who waits for the updates has gone.
struct Closed;

/// Why a list or a watch ended.
enum End {
    Failed(Failure),
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
pub(super) struct Follow {
    pub(super) access: Access,
    pub(super) api: Api,
    pub(super) options: Options,
    /// Which of the scopes it is, and what it is.
    pub(super) number: usize,
    pub(super) scope: Scope,
    pub(super) updates: mpsc::Sender<Update>,
}

impl Follow {
    /// Runs until nobody listens any more.
    pub(super) async fn run(mut self) {
        let mut position: Option<Version> = None;
        let mut trouble = Trouble::default();
        let mut waits = waits();
        loop {
            trouble.began = None;
            let watched = position.is_some();
            let end = match &mut position {
                None => self.list(&mut position, &mut trouble).await,
                Some(version) => self.watch(version, &mut trouble).await,
            };
            // What worked for a while is tried again at once; what did not is left alone for longer each time.
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
                Err(End::Failed(failure)) => failure,
            };
            if failure.cause == Cause::Gone {
                position = None;
            }
            if trouble.is_news(&failure, &self.scope) {
                let forbidden = failure.cause == Cause::Forbidden;
                let event = Event::Trouble { message: failure.to_string(), forbidden };
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
        match self.access.client().await {
            // Anew in all: what refused protobuf may have been something in between, for a while.
            Ok(client) => self.api = Api::new(client),
            // The old client goes on: its credentials may be good again.
            Err(error) => warn!("{}: {}", self.scope, chain(&error)),
        }
    }

    async fn list(&self, position: &mut Option<Version>, trouble: &mut Trouble) -> Result<(), End> {
        match self.streamed_list(position, trouble).await {
            // A server without streamed lists refuses the request; an etcd that cannot tell where it is leaves
            // the list without its end.
            Err(End::Failed(failure)) if failure.cause == Cause::NotStreamed => {
                self.paged_list(position, trouble).await
            }
            other => other,
        }
    }

    async fn streamed_list(&self, position: &mut Option<Version>, trouble: &mut Trouble) -> Result<(), End> {
        let params = WatchParams {
            send_initial_events: true,
            // Not the list's bound but the server's: the watch behind it ends by ours.
            timeout: Some(900),
            ..self.watch_params()
        };
        let request = Request::new(self.scope.path()).watch(&params, "").map_err(Failure::of_request)?;
        let mut messages = self.api.watch(request, LIST_HEAD_PATIENCE, self.options.max_object).await?;
        let encoding = messages.encoding;
        self.send(Event::Listing).await?;
        loop {
            let patience = || Instant::now() + LIST_PATIENCE;
            let octets = match messages.next(patience).await? {
                Next::Message(octets) => octets,
                Next::TooLong => {
                    self.too_long().await?;
                    self.send(Event::UnnamedItem).await?;
                    continue;
                }
                Next::End => return Err(Failure::ended("the list broke off").into()),
                Next::Silence => return Err(Failure::not_streamed("the streamed list has no end").into()),
            };
            match self.read(encoding, octets).await? {
                None => self.send(Event::UnnamedItem).await?,
                Some(Said::Is(decoded)) => self.listed(decoded).await?,
                // While the list was made.
                Some(Said::Gone(name, _)) => self.send(Event::NoItem(name)).await?,
                Some(Said::Bookmark(_, false)) => {}
                Some(Said::Bookmark(version, true)) => {
                    let version = known(version)?;
                    self.send(Event::Listed).await?;
                    trouble.is_over(&self.scope);
                    let version = position.insert(version);
                    return match self.events(messages, version).await {
                        // The list's own bound is far away: from here on watches are shorter.
                        Err(End::Failed(failure)) if failure.cause == Cause::Silent => Ok(()),
                        ended => ended,
                    };
                }
                Some(Said::Error(status)) => return Err(Failure::of_event(status).into()),
            }
        }
    }

    async fn paged_list(&self, position: &mut Option<Version>, trouble: &mut Trouble) -> Result<(), End> {
        let mut params = ListParams {
            label_selector: self.scope.label_selector(&self.options),
            field_selector: self.scope.field_selector(),
            limit: Some(self.options.page),
            ..ListParams::default()
        };
        self.send(Event::Listing).await?;
        loop {
            let request = Request::new(self.scope.path()).list(&params).map_err(Failure::of_request)?;
            let bounds = (MAX_PAGE, LIST_PATIENCE);
            let answer = self.api.page(request, LIST_HEAD_PATIENCE, bounds).await;
            let page = match answer.map_err(Failure::of_plain) {
                // The pages took longer than the server keeps what they are of: all of it in one.
                Err(failure) if failure.cause == Cause::Gone && params.limit.is_some() => {
                    (params.limit, params.continue_token) = (None, None);
                    self.send(Event::Listing).await?;
                    continue;
                }
                answer => answer?,
            };
            let page = page.read(self.scope.kind)?;
            for item in page.items {
                if item.len() > self.options.max_object {
                    self.too_long().await?;
                    self.send(Event::UnnamedItem).await?;
                    continue;
                }
                match item.read(self.scope.kind) {
                    Ok(decoded) => self.listed(decoded).await?,
                    Err(problem) => {
                        self.send(Event::Problem(problem)).await?;
                        self.send(Event::UnnamedItem).await?;
                    }
                }
            }
            params.continue_token = Some(page.token).filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                let version = known(page.version)?;
                self.send(Event::Listed).await?;
                trouble.is_over(&self.scope);
                *position = Some(version);
                return Ok(());
            }
        }
    }

    async fn watch(&self, version: &mut Version, trouble: &mut Trouble) -> Result<(), End> {
        let timeout = u32::try_from(self.options.watch_timeout.as_secs()).unwrap_or(u32::MAX);
        // A quarter of jitter: a thousand of us do not begin again in the same second.
        let timeout = timeout - fastrand::u32(0..=timeout / 4);
        let params = WatchParams { timeout: Some(timeout.max(1)), ..self.watch_params() };
        let request = Request::new(self.scope.path()).watch(&params, version).map_err(Failure::of_request)?;
        let messages = self.api.watch(request, WATCH_HEAD_PATIENCE, self.options.max_object).await;
        let messages = messages.map_err(Failure::of_watch)?;
        if trouble.is_over(&self.scope) {
            self.send(Event::Following).await?;
        }
        self.events(messages, version).await
    }

    /// The events of a watch until it ends.
    async fn events(&self, mut messages: Messages, version: &mut Version) -> Result<(), End> {
        let encoding = messages.encoding;
        let began = Instant::now();
        // Dead, if the server has not ended it before.
        let deadline = began + self.options.watch_timeout + GRACE;
        let mut said_something = false;
        loop {
            let octets = match messages.next(|| deadline).await? {
                Next::Message(octets) => octets,
                Next::TooLong => {
                    self.too_long().await?;
                    continue;
                }
                // A server ends a watch when its time is over. Whatever ends them at once is none.
                Next::End if !said_something && began.elapsed() < SHORT => {
                    return Err(Failure::ended("the watch ended as it began, without an event").into());
                }
                Next::End => return Ok(()),
                // A server that lives ends a watch in time.
                Next::Silence => return Err(Failure::silent().into()),
            };
            let Some(said) = self.read(encoding, octets).await? else { continue };
            said_something = true;
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
            }
        }
    }

    fn watch_params(&self) -> WatchParams {
        WatchParams {
            label_selector: self.scope.label_selector(&self.options),
            field_selector: self.scope.field_selector(),
            bookmarks: true,
            ..WatchParams::default()
        }
    }

    /// What a message says; one that cannot be read is told and passed over.
    async fn read(&self, encoding: Encoding, octets: &[u8]) -> Result<Option<Said>, Closed> {
        match encoding.event(self.scope.kind, octets) {
            Ok(said) => Ok(Some(said)),
            Err(problem) => self.send(Event::Problem(problem)).await.map(|()| None),
        }
    }

    async fn too_long(&self) -> Result<(), Closed> {
        let limit = self.options.max_object >> 20;
        let message =
            format!("an object is longer than limits.object_size ({limit} MiB): what was known of it stays");
        self.send(Event::Problem(Box::new(Problem::error(message).of(self.scope.to_string())))).await
    }

    /// An object of a list.
    async fn listed(&self, decoded: Decoded) -> Result<(), Closed> {
        // The versions of one cluster compare as numbers (KEP-5504); where they do not, the list's order counts.
        let age = decoded.version.parse().unwrap_or_default();
        let event = match self.usable(decoded.object, decoded.beside).await? {
            Some(Some(object)) => Event::Item(object, age),
            Some(None) => Event::NoItem(decoded.name),
            None => Event::UnusableItem(decoded.name),
        };
        self.send(event).await
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
    async fn usable<T>(
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

    async fn send(&self, event: Event) -> Result<(), Closed> {
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

/// A version to watch from.
fn known(version: Version) -> Result<Version, Failure> {
    if version.is_empty() { Err(Failure::ended("the list has no resourceVersion")) } else { Ok(version) }
}

/// What is wrong with a scope just now, so that it is said once.
#[derive(Default)]
struct Trouble {
    /// Without its numbers: some texts count seconds.
    said: Option<(String, Instant)>,
    since: Option<Instant>,
    reconnected: Option<Instant>,
    /// When this try began to work.
    began: Option<Instant>,
}

impl Trouble {
    /// Logs a failure; gives whether it is another one than the last.
    fn is_news(&mut self, failure: &Failure, scope: &Scope) -> bool {
        let text = failure.to_string();
        let bare: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        self.since.get_or_insert_with(Instant::now);
        let known = self.said.as_ref().filter(|(said, _)| *said == bare);
        if known.is_some_and(|(_, at)| at.elapsed() < REPEAT) {
            return false;
        }
        let is_new = known.is_none();
        warn!("{scope}: {text}{}", scope.without(failure.cause == Cause::Forbidden));
        self.said = Some((bare, Instant::now()));
        is_new
    }

    /// Logs the end of it; gives whether there was any.
    fn is_over(&mut self, scope: &Scope) -> bool {
        self.began = Some(Instant::now());
        (self.said, self.reconnected) = (None, None);
        let since = self.since.take();
        if let Some(since) = since {
            info!("{scope}: followed again after {:.1} s", since.elapsed().as_secs_f64());
        }
        since.is_some()
    }

    /// Whether it is no passing one.
    fn lasts(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= LASTING)
    }

    fn is_time_to_reconnect(&mut self) -> bool {
        let last = self.reconnected.or(self.since);
        let is_time = last.is_some_and(|last| last.elapsed() >= RECONNECT);
        if is_time {
            self.reconnected = Some(Instant::now());
        }
        is_time
    }
}
