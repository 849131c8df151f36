//! Why this answer: the way from a question to its answer through everything that decides it, step by step.
//!
//! ```text
//! question: what was typed ──▶ the name that a pod's resolver ends at
//! zone: the answer and its reason, from the lookup that clients get     form: what kind of name it is
//! walk: zone, namespace, Service, slices, endpoint, set, pod            caching: for how long it is remembered
//! fixes: what to do, for each reason                                    beside: what the index does not keep
//! ```
//!
//! The answer is the zone's own, with the reason that a client is told: nothing here decides it a second time, and a
//! property test holds the walk against it. Pure: no I/O, and the clock is the caller's. Imports `model`, `wire`,
//! `records`, `reasons`, `zone` and `cluster`.

mod answer;
mod beside;
mod caching;
mod explanation;
mod fixes;
mod form;
mod question;
mod shell;
mod typed;
mod walk;

pub use beside::{Beside, Unread};
pub use caching::{Caching, Kind as CachingKind, Older};
pub use explanation::{Explanation, ReasonSaid, RecordSaid, Searched, Step, StepId, Verdict};
pub use fixes::Fix;
pub use question::{Question, QuestionError};
pub use walk::Wanted;

use std::time::SystemTime;

use crate::cluster::Index;
use crate::records;
use crate::zone::Reader;

/// What is explained, and from what.
#[derive(Clone, Copy)]
pub struct State<'a> {
    /// The cluster as it was published.
    pub index: &'a Index,
    /// The zone: nothing may be published while it is explained, or walk and answer may be of two states.
    pub reader: &'a Reader,
    /// What records are made by.
    pub settings: &'a records::Settings,
    /// What was read beside the index.
    pub beside: &'a Beside,
    /// When it is asked.
    pub now: SystemTime,
}

/// Asks as a client would, and tells the way to the answer.
///
/// # Errors
/// When what was typed is no name.
pub fn explain(state: &State<'_>, question: &Question) -> Result<Explanation, QuestionError> {
    let view = state.reader.view();
    let chosen = question::choose(question, &view)?;
    Ok(answer::ask(&view, &chosen.asked, |answered| {
        let form = form::Form::of(&view, &answered.query.name);
        let walk = walk::walk(state, &view, &form, answered);
        let caching = caching::caching(state, &view, &walk, answered);
        let fixes = fixes::fixes(state, &walk, answered);
        Explanation::new(question, &chosen, answered, walk, caching, fixes, state.beside)
    }))
}
