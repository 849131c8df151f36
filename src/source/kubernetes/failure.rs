//! Why a list or a watch ended, and what follows from it.

use std::fmt;
use std::io;
use std::time::Duration;

use super::decode::Status;
use crate::source::chain;

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// 410: the version is too old; list again.
    Gone,
    /// 401: the credentials may have changed.
    Unauthorised,
    /// 403.
    Forbidden,
    /// The server has no streamed lists.
    NotStreamed,
    /// The connection is dead, or as good as that.
    Silent,
    /// Try again.
    Other,
}

impl Cause {
    /// All of them.
    pub(super) const ALL: [Self; 6] =
        [Self::Gone, Self::Unauthorised, Self::Forbidden, Self::NotStreamed, Self::Silent, Self::Other];

    /// A word, as the metrics have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::NotStreamed => "not_streamed",
            Self::Silent => "silent",
            Self::Other => "other",
        }
    }
}

/// A failed try.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// What the server asks for (429, 503).
    pub(super) retry_after: Option<Duration>,
    /// This request cannot be answered, or its answer not be used. The server is there, and others may well be answered.
    pub(super) is_of_request: bool,
    message: String,
}

/// The longest that a server may make us wait by its word.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The most characters of a message.
const MAX_MESSAGE: usize = 400;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::FileTooLarge {
            return Self { is_of_request: true, ..Self::ended(chain(&error)) };
        }
        Self::ended(format!("the connection broke: {}", chain(&error)))
    }
}

impl Failure {
    fn new(cause: Cause, message: impl Into<String>) -> Self {
        let message: String = message.into();
        // What is in front of the API server may answer with a page of HTML: for one line of a log it is too long.
        let clean = message.chars().map(|c| if c.is_control() { ' ' } else { c });
        let message = clean.take(MAX_MESSAGE).collect();
        Self { cause, retry_after: None, is_of_request: false, message }
    }

    pub(super) fn ended(message: impl Into<String>) -> Self {
        Self::new(Cause::Other, message)
    }

    pub(super) fn not_streamed(message: impl Into<String>) -> Self {
        Self::new(Cause::NotStreamed, message)
    }

    pub(super) fn silent() -> Self {
        Self::new(Cause::Silent, "the watch went silent: the connection is dead")
    }

    pub(super) fn of_request(error: kube::core::request::Error) -> Self {
        Self { is_of_request: true, ..Self::ended(chain(&error)) }
    }

    pub(super) fn of_page(error: &str) -> Self {
        Self { is_of_request: true, ..Self::ended(format!("the list cannot be read: {error}")) }
    }

    /// No answer at all.
    pub(super) fn of_client(error: kube::Error) -> Self {
        Self::ended(chain(&error))
    }

    /// An answer that is no list and no watch.
    pub(super) fn of_answer(status: Status) -> Self {
        let seconds = status.details.map_or(0, |details| details.retry_after_seconds);
        let wait = Duration::from_secs(u64::from(seconds)).min(MAX_RETRY_AFTER);
        let failure = Self::of_status(status.code, &status.message, &status.reason);
        Self { retry_after: Some(wait).filter(|wait| !wait.is_zero()), ..failure }
    }

    /// An ERROR event.
    pub(super) fn of_event(status: Status) -> Self {
        Self::of_status(status.code, &status.message, &status.reason)
    }

    fn of_status(code: u16, message: &str, reason: &str) -> Self {
        let cause = match (code, reason) {
            (410, _) | (_, "Expired" | "Gone") => Cause::Gone,
            (401, _) => Cause::Unauthorised,
            (403, _) => Cause::Forbidden,
            _ => Cause::Other,
        };
        let mut failure = Self::new(cause, format!("the API server says {code} {reason}: {message}"));
        if matches!(code, 400 | 422) {
            failure.cause = Cause::NotStreamed;
        }
        // Who we are, how long we took, and how often we ask are about more than this one.
        failure.is_of_request = (400..500).contains(&code) && !matches!(code, 401 | 403 | 408 | 429);
        failure
    }

    /// Of a watch: a version that the server does not understand is as good as one that it has no more.
    pub(super) fn of_watch(self) -> Self {
        if self.cause == Cause::NotStreamed { Self { cause: Cause::Gone, ..self } } else { self }
    }

    /// Of a request that is no streamed list: the server has not refused that.
    pub(super) fn of_plain(self) -> Self {
        if self.cause == Cause::NotStreamed { Self { cause: Cause::Other, ..self } } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_a_log() {
        let text = Failure::of_status(502, &format!("<html>\n{}", "x".repeat(9000)), "").to_string();
        assert!(text.len() <= MAX_MESSAGE && !text.contains('\n'), "{text}");
    }

    #[test]
    fn causes() {
        let cause = |code, reason| Failure::of_status(code, "m", reason).cause;
        assert_eq!(cause(410, "Expired"), Cause::Gone);
        assert_eq!(cause(410, ""), Cause::Gone);
        assert_eq!(cause(401, "Unauthorized"), Cause::Unauthorised);
        assert_eq!(cause(403, "Forbidden"), Cause::Forbidden);
        assert_eq!(cause(422, "Invalid"), Cause::NotStreamed);
        assert_eq!(Failure::of_status(422, "m", "Invalid").of_plain().cause, Cause::Other);
        assert_eq!(Failure::of_status(400, "m", "BadRequest").of_watch().cause, Cause::Gone);
        assert_eq!(cause(500, "InternalError"), Cause::Other);
    }

    #[test]
    fn what_is_about_one_request_alone() {
        let of_code = |code| Failure::of_status(code, "m", "").of_plain().is_of_request;
        assert_eq!([400, 404, 410, 422].map(of_code), [true; 4]);
        assert_eq!([401, 403, 408, 429, 500, 503, 504].map(of_code), [false; 7]);
        let of_kind = |kind: io::ErrorKind| Failure::from(io::Error::from(kind)).is_of_request;
        assert!(of_kind(io::ErrorKind::FileTooLarge) && Failure::of_page("no JSON").is_of_request);
        assert!(!of_kind(io::ErrorKind::TimedOut) && !Failure::ended("no answer within 5 s").is_of_request);
    }
}
