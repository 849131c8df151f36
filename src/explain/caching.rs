//! For how long somebody may remember an answer, and the one before it.

use std::time::{Duration, SystemTime};

use hickory_proto::rr::{RData, RecordType};
use serde::{Deserialize, Serialize};

use super::State;
use super::answer::Answered;
use super::walk::Walk;
use crate::reasons::Answer;
use crate::zone::View;

/// What may be remembered, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // docs/explain.md
pub struct Caching {
    pub kind: Kind,
    /// None where the answer says nothing about it.
    pub seconds: Option<u32>,
    /// Of a negative answer: the SOA record's own time and its MINIMUM, the lesser of which counts (RFC 2308, section 5).
    pub soa_ttl: Option<u32>,
    pub soa_minimum: Option<u32>,
    /// RFC 3339, UTC.
    pub asked_at: String,
    /// Who asked then forgets it by then.
    pub until: Option<String>,
    /// Where the last change is known.
    pub older: Option<Older>,
}

/// Which of the times to live it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Records.
    Positive,
    /// There is no such name or type.
    Negative,
    /// There is no such name, and a StatefulSet says there should be, or its Service has none ready yet.
    Expected,
    /// Neither: REFUSED or SERVFAIL.
    None,
}

/// What was answered before the last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Older {
    /// When the change was, as the API server's controllers say.
    pub changed_at: String,
    /// The longest of the times that any answer about the Service had.
    pub seconds: u32,
    /// Who asked just before it forgets what it heard by then.
    pub until: String,
}

/// A moment in RFC 3339, to the second.
pub(super) fn moment(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    jiff::Timestamp::from_second(time.as_second()).ok().map(|time| time.to_string())
}

fn behind(time: SystemTime, seconds: u32) -> Option<String> {
    // To the second that is over then.
    moment(time.checked_add(Duration::from_secs(u64::from(seconds)) + Duration::from_millis(999))?)
}

pub(super) fn caching(state: &State<'_>, view: &View<'_>, walk: &Walk, answered: &Answered<'_>) -> Caching {
    let of_records = answered.message.answers.iter().map(|record| record.ttl).min();
    let soa = answered.message.authorities.iter().find(|record| record.record_type() == RecordType::SOA);
    let soa_ttl = soa.map(|soa| soa.ttl);
    let soa_minimum = soa.and_then(|soa| match &soa.data {
        RData::SOA(soa) => Some(soa.minimum),
        _ => None,
    });
    let of_absence = soa_ttl.map(|ttl| ttl.min(soa_minimum.unwrap_or(ttl)));
    let kind = match answered.answer {
        // Aliases whose end has none of the type.
        Answer::Records if soa.is_some() => Kind::Negative,
        Answer::Records => Kind::Positive,
        Answer::NoData => Kind::Negative,
        Answer::NoName if walk.is_expected => Kind::Expected,
        Answer::NoName => Kind::Negative,
        Answer::Refused | Answer::Failed => Kind::None,
    };
    // An alias whose end is not there: the chain is remembered as records, its end as absence.
    let seconds = of_records.into_iter().chain(of_absence).min();
    let longest = longest(view, walk);
    let older = walk.changed.and_then(|changed| {
        Some(Older { changed_at: moment(changed)?, seconds: longest, until: behind(changed, longest)? })
    });
    Caching {
        kind,
        seconds,
        soa_ttl,
        soa_minimum,
        asked_at: moment(state.now).unwrap_or_default(),
        until: seconds.and_then(|seconds| behind(state.now, seconds)),
        older,
    }
}

/// The longest time that an answer about the Service has, whichever it was.
fn longest(view: &View<'_>, walk: &Walk) -> u32 {
    let ttl = view.settings().ttl;
    let own = walk.of_service.as_ref().and_then(|of| of.objects.service.as_ref()).map(|service| service.ttl);
    let own = own.unwrap_or_default();
    // A negative answer lasts no longer than MINIMUM, which is the zone's.
    let negative = own.negative.unwrap_or(ttl.negative).min(ttl.negative);
    let expected = own.expected.unwrap_or(ttl.expected).min(ttl.negative);
    u32::from(own.positive.unwrap_or(ttl.positive).max(negative).max(expected))
}
