//! Why an answer is empty, stale or surprising: the one place that knows reasons, their codes and their sentences.
//!
//! A [`Reason`] is data: which set, which slice, which address. Its `Display` is the one plain sentence that Extended
//! DNS Errors (RFC 8914), commands and pages show. [`of_service`] finds what the objects of a service say about names
//! that are not there; [`Notes`] keeps that beside the service's records, so that a question finds its reason where it
//! finds its answer, and the two never contradict each other. Pure: imports `model` and `records`, and knows no zone,
//! no packet and no clock.

mod line;
mod notes;
mod pods;
mod reason;
mod sentence;
mod service;

pub use line::Line;
pub use notes::Notes;
pub use pods::is_past;
pub use reason::{Answer, Reason, Report};
pub use service::{Facts, Incomplete, incomplete, of_service, owners};
