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
/// What broke sooner after it began did not work.
pub(super) const SHORT: Duration = Duration::from_secs(1);
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
    /// It has said something.
    said_something: bool,
    /// What failed ended as it began, without a word, or fell silent: that the next one begins proves nothing.
    doubtful: bool,
}

impl Trouble {
    /// A try begins.
    pub(super) fn tries(&mut self) {
        (self.began, self.said_something) = (None, false);
    }

    /// It begins to work: the head of an answer is there.
    pub(super) fn begins(&mut self) {
        self.began = Some(Instant::now());
    }

    /// It has said something.
    pub(super) fn hears(&mut self) {
        self.said_something = true;
    }

    /// It failed.
    pub(super) fn fails(&mut self, cause: Cause) {
        // Whatever swallows all that comes behind the head would be as good as new with each head. A connection that
        // breaks after a while has lived until then.
        let was_short = self.began.is_some_and(|began| began.elapsed() < SHORT);
        self.doubtful |= cause == Cause::Silent || was_short && !self.said_something;
    }

    /// Whether the trouble goes on until something is said, or a watch ends in time.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

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
        self.doubtful = false;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Kind;

    const SCOPE: Scope = Scope { kind: Kind::Service, namespace: None };

    /// Whether a try is in doubt behind one that began, or did not, lasted for so long, spoke, or did not, and failed.
    async fn doubtful(begins: bool, lasts: Duration, hears: bool, cause: Cause) -> bool {
        let mut trouble = Trouble::default();
        trouble.tries();
        if begins {
            trouble.begins();
        }
        tokio::time::advance(lasts).await;
        if hears {
            trouble.hears();
        }
        trouble.fails(cause);
        // A failure of another kind proves nothing either.
        trouble.tries();
        trouble.fails(Cause::Other);
        let is_doubtful = trouble.is_doubtful();
        trouble.is_over(&SCOPE);
        assert!(!trouble.is_doubtful());
        is_doubtful
    }

    #[tokio::test(start_paused = true)]
    async fn what_said_nothing_is_in_doubt_until_it_is_over() {
        assert!(doubtful(true, SHORT, true, Cause::Silent).await);
        assert!(doubtful(true, Duration::ZERO, false, Cause::Other).await);
        assert!(!doubtful(true, Duration::ZERO, true, Cause::Other).await);
        assert!(!doubtful(true, SHORT, false, Cause::Other).await);
        assert!(!doubtful(false, Duration::ZERO, false, Cause::Other).await);
    }
}
