//! What is told, for programs and for people: docs/explain.md has each field.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{Answered, code_name, meaning, records};
use super::beside::{Beside, Unread};
use super::caching::Caching;
use super::fixes::Fix;
use super::question::{Chosen, Question};
use super::walk::{Walk, Wanted};
use crate::reasons::Reason;

/// A question, its answer, and the way from one to the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // docs/explain.md
pub struct Explanation {
    /// As it was typed.
    pub typed: String,
    /// The name that was asked for.
    pub name: String,
    #[serde(rename = "type")]
    pub rtype: String,
    /// What a pod's search path tries for a short name, in order.
    pub searched: Vec<Searched>,
    /// `NOERROR`, `NXDOMAIN` and so on.
    pub code: String,
    /// `aa`, `rd`, `tc`: those that are set, as dig names them.
    pub flags: Vec<String>,
    /// There is at least one record of the type, or an alias that leads to where others answer.
    pub answered: bool,
    pub serial: u32,
    /// For how many seconds a cache may remember the answer, or that there is none.
    pub ttl: Option<u32>,
    /// As the answer itself says them (RFC 8914); the first is why it is what it is.
    pub reasons: Vec<ReasonSaid>,
    pub steps: Vec<Step>,
    pub answers: Vec<RecordSaid>,
    pub authority: Vec<RecordSaid>,
    pub additional: Vec<RecordSaid>,
    pub caching: Caching,
    pub fixes: Vec<Fix>,
    pub unread: Vec<Unread>,
    /// What to read for more of it.
    #[serde(skip)]
    pub wanted: Wanted,
}

/// A name that a resolver tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Searched {
    pub name: String,
    pub code: String,
}

/// Why, as the answer itself says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ReasonSaid {
    /// docs/reasons.md has each by it.
    pub id: String,
    /// The INFO-CODE.
    pub code: u16,
    /// What the code means, in the RFC's words.
    pub meaning: String,
    pub sentence: String,
    /// The names, numbers and addresses in the sentence; null where there are none.
    pub facts: Value,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RecordSaid {
    pub name: String,
    pub ttl: u32,
    #[serde(rename = "type")]
    pub rtype: String,
    pub data: String,
}

/// Something that was looked at, and what it gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Step {
    pub id: StepId,
    pub verdict: Verdict,
    /// `Service default/nginx`.
    pub looked_at: String,
    /// In words.
    pub found: String,
    /// The same for programs, as far as it is more than words.
    #[serde(default)]
    pub facts: Map<String, Value>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum StepId {
    Zone,
    Name,
    Namespace,
    Service,
    Slices,
    Endpoint,
    Set,
    Pod,
    Claim,
    Scheduler,
    Alias,
    Records,
}

impl StepId {
    /// As JSON has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Name => "name",
            Self::Namespace => "namespace",
            Self::Service => "service",
            Self::Slices => "slices",
            Self::Endpoint => "endpoint",
            Self::Set => "set",
            Self::Pod => "pod",
            Self::Claim => "claim",
            Self::Scheduler => "scheduler",
            Self::Alias => "alias",
            Self::Records => "records",
        }
    }
}

/// What a step means for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be for there to be an answer.
    Good,
    /// What is missing for one.
    Bad,
    /// Neither: what one may want to know.
    Note,
}

impl Explanation {
    pub(super) fn new(
        question: &Question,
        chosen: &Chosen,
        answered: &Answered<'_>,
        walk: Walk,
        caching: Caching,
        fixes: Vec<Fix>,
        beside: &Beside,
    ) -> Self {
        let message = &answered.message;
        let header = &message.metadata;
        let flags = [
            ("qr", true),
            ("aa", header.authoritative),
            ("tc", header.truncation),
            ("rd", header.recursion_desired),
            ("ra", header.recursion_available),
        ];
        Self {
            typed: question.typed.clone(),
            name: chosen.asked.name.clone(),
            rtype: chosen.asked.type_name(),
            searched: chosen.searched.clone(),
            code: code_name(header.response_code.into()),
            flags: flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()).collect(),
            answered: answered.has_records(),
            serial: walk.serial,
            ttl: caching.seconds,
            reasons: reasons(answered),
            steps: walk.steps,
            answers: records(&message.answers),
            authority: records(&message.authorities),
            additional: records(&message.additionals),
            caching,
            fixes,
            unread: beside.unread.clone(),
            wanted: walk.wanted,
        }
    }
}

/// What the answer says of itself: why first, then since when it is stale.
fn reasons(answered: &Answered<'_>) -> Vec<ReasonSaid> {
    let why = answered.reason.map(|reason| {
        let report = reason.report(answered.answer);
        ReasonSaid {
            id: report.id.to_owned(),
            code: report.code,
            meaning: meaning(report.code).to_owned(),
            sentence: report.sentence,
            facts: report.facts,
        }
    });
    let stale = answered.stale.map(|sentence| {
        let code = Reason::Stale { since: "" }.code(answered.answer);
        ReasonSaid {
            id: Reason::Stale { since: "" }.id().to_owned(),
            code,
            meaning: meaning(code).to_owned(),
            sentence: sentence.to_owned(),
            facts: Value::Null,
        }
    });
    why.into_iter().chain(stale).collect()
}
