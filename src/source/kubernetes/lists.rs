//! Lists: a streamed one where the server has it, pages elsewhere.

use std::time::Duration;

use kube::api::{ListParams, Request, WatchParams};
use tokio::time::Instant;

use super::Event;
use super::answer::Messages;
use super::decode::{Decoded, Said, Version};
use super::failure::{Cause, Failure};
use super::follow::{Closed, End, Follow};
use super::lines::Next;

/// Until the head of a list's answer is there. A busy API server queues requests, but not for so long.
pub(super) const LIST_HEAD_PATIENCE: Duration = Duration::from_secs(20);
/// Between two octets of a list.
pub(super) const LIST_PATIENCE: Duration = Duration::from_secs(15);
/// The most octets of a page.
pub(super) const MAX_PAGE: usize = 512 << 20;

/// What a list is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To go on from.
    Follow,
    /// To compare with, while a watch goes on.
    Compare,
}

impl Purpose {
    fn begin(self) -> Event {
        match self {
            Self::Follow => Event::Listing,
            Self::Compare => Event::Relisting,
        }
    }
}

impl Follow {
    /// Sends all items; gives the version that they are of, and the stream that goes on from it where there is one.
    pub(super) async fn items(&self, purpose: Purpose) -> Result<(Version, Option<Messages>), End> {
        match self.streamed_items(purpose).await {
            // A server without streamed lists refuses the request; an etcd that cannot tell where it is leaves
            // the list without its end.
            Err(End::Failed(failure)) if failure.cause == Cause::NotStreamed => {
                Ok((self.paged_items(purpose).await?, None))
            }
            other => other.map(|(version, messages)| (version, Some(messages))),
        }
    }

    async fn streamed_items(&self, purpose: Purpose) -> Result<(Version, Messages), End> {
        let params = WatchParams {
            send_initial_events: true,
            // Not the list's bound but the server's: the watch behind it ends by ours.
            timeout: Some(900),
            ..self.watch_params()
        };
        let request = Request::new(self.scope.path()).watch(&params, "").map_err(Failure::of_request)?;
        // Before it is asked for: the server fixes what the list says before it sends the head of its answer, and what
        // the watch tells in between is newer. Where no watch goes on a try without an answer is no news.
        if purpose == Purpose::Compare {
            self.send(purpose.begin()).await?;
        }
        let mut messages = self.api.watch(request, LIST_HEAD_PATIENCE, self.options.max_object).await?;
        if purpose == Purpose::Follow {
            self.send(purpose.begin()).await?;
        }
        let encoding = messages.encoding;
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
                Some(Said::Bookmark(version, true)) => return Ok((known(version)?, messages)),
                Some(Said::Error(status)) => return Err(Failure::of_event(status).into()),
            }
        }
    }

    async fn paged_items(&self, purpose: Purpose) -> Result<Version, End> {
        let mut params = ListParams {
            label_selector: self.scope.label_selector(&self.options),
            field_selector: self.scope.field_selector(),
            limit: Some(self.options.page),
            ..ListParams::default()
        };
        self.send(purpose.begin()).await?;
        loop {
            let request = Request::new(self.scope.path()).list(&params).map_err(Failure::of_request)?;
            let bounds = (MAX_PAGE, LIST_PATIENCE);
            let answer = self.api.page(request, LIST_HEAD_PATIENCE, bounds).await;
            let page = match answer.map_err(Failure::of_plain) {
                // The pages took longer than the server keeps what they are of: all of it in one.
                Err(failure) if failure.cause == Cause::Gone && params.limit.is_some() => {
                    (params.limit, params.continue_token) = (None, None);
                    self.send(purpose.begin()).await?;
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
                return Ok(known(page.version)?);
            }
        }
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
}

/// A version to watch from.
fn known(version: Version) -> Result<Version, Failure> {
    if version.is_empty() { Err(Failure::ended("the list has no resourceVersion")) } else { Ok(version) }
}
