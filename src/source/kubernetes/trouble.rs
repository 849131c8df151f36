//! What is wrong with a scope just now.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Scope;
use super::failure::{Cause, Failure};

/// After this long without success the files of the credentials are read again, and so often from then on.
const RECONNECT: Duration = Duration::from_secs(15);
/// A refusal that has lasted so long is meant: right after its start an API server refuses what it will grant.
const LASTING: Duration = Duration::from_secs(15);
/// The same trouble is not logged again for this long.
const REPEAT: Duration = Duration::from_secs(60);

/// What is wrong with a scope just now, so that it is said once.
#[derive(Default)]
pub(super) struct Trouble {
    /// Without its numbers: some texts count seconds.
    said: Option<(String, Instant)>,
    since: Option<Instant>,
    reconnected: Option<Instant>,
    /// When this try began to work.
    pub(super) began: Option<Instant>,
}

impl Trouble {
    /// Logs a failure; gives whether it is another one than the last.
    pub(super) fn is_news(&mut self, failure: &Failure, scope: &Scope) -> bool {
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
    pub(super) fn is_over(&mut self, scope: &Scope) -> bool {
        self.began = Some(Instant::now());
        (self.said, self.reconnected) = (None, None);
        let since = self.since.take();
        if let Some(since) = since {
            info!("{scope}: followed again after {:.1} s", since.elapsed().as_secs_f64());
        }
        since.is_some()
    }

    /// Whether it is no passing one.
    pub(super) fn lasts(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= LASTING)
    }

    pub(super) fn is_time_to_reconnect(&mut self) -> bool {
        let last = self.reconnected.or(self.since);
        let is_time = last.is_some_and(|last| last.elapsed() >= RECONNECT);
        if is_time {
            self.reconnected = Some(Instant::now());
        }
        is_time
    }
}
