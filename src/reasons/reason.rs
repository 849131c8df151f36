//! The reasons, as data.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What an answer is; a reason stands beside some kinds only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// REFUSED.
    Refused,
    /// SERVFAIL.
    Failed,
    /// NXDOMAIN.
    NoName,
    /// NOERROR without a record of the type asked for.
    NoData,
    /// NOERROR with records.
    Records,
}

/// Why an answer is as it is. Names are the objects' own; docs/reasons.md has each with its code and how it comes about.
///
/// The order is that of the packed form ([`super::Notes`]), which snapshots hold too: another order is another
/// `FORM` of `zone::kept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // docs/reasons.md and the sentences
pub enum Reason<'a> {
    /// A set's name that is not there yet, and the set makes its replicas one after the other.
    Awaited {
        name: &'a str,
        set: &'a str,
        replicas: u32,
        waits_for: u64,
    },
    /// A set wants this name, no slice has it, and no replica before it is to blame.
    NoAddress {
        name: &'a str,
        service: &'a str,
        set: &'a str,
        replicas: u32,
    },
    NotReady {
        name: &'a str,
        slice: &'a str,
        address: IpAddr,
    },
    Terminating {
        name: &'a str,
        slice: &'a str,
        address: IpAddr,
    },
    /// The pod waits, and somebody says for what: the scheduler, mostly.
    PodPending {
        name: &'a str,
        message: &'a str,
    },
    /// The pod waits for a node, and nobody says why.
    PodUnscheduled {
        name: &'a str,
    },
    /// The pod waits, and one of its claims has no volume. `class` is empty where the claim names none, `message` where
    /// nobody says more.
    ClaimNotBound {
        name: &'a str,
        claim: &'a str,
        class: &'a str,
        message: &'a str,
    },
    /// One of the pod's containers waits.
    PodWaiting {
        name: &'a str,
        reason: &'a str,
        detail: &'a str,
    },
    PodNotReady {
        name: &'a str,
        since: &'a str,
        message: &'a str,
    },
    NodeSilent {
        name: &'a str,
        since: &'a str,
        node: &'a str,
    },
    /// `node` is empty while the pod has time to end by itself, and where a finalizer keeps it; `silent`: the control
    /// plane itself has not heard of the node.
    PodTerminating {
        name: &'a str,
        since: &'a str,
        finalizer: &'a str,
        node: &'a str,
        silent: bool,
    },
    /// The set that makes this pod names another Service: here it has no name of its own.
    CalledByAddress {
        name: &'a str,
        service: &'a str,
        subdomain: &'a str,
        address: IpAddr,
    },
    NoneReady {
        service: &'a str,
        endpoints: u32,
        slice: &'a str,
        address: IpAddr,
    },
    NoEndpoints {
        service: &'a str,
    },
    ScaledToZero {
        service: &'a str,
        set: &'a str,
    },
    GoverningServiceMissing {
        service: &'a str,
        namespace: &'a str,
        set: &'a str,
    },
    /// The Service is there, and its `externalName` is no name.
    BadExternalName {
        service: &'a str,
        target: &'a str,
    },
    /// A set's name whose ordinal the set does not have: `first` up to, and without, `end`.
    BeyondReplicas {
        name: &'a str,
        set: &'a str,
        first: u32,
        end: u64,
    },
    SimilarService {
        asked: &'a str,
        similar: &'a str,
    },
    NoSuchService,
    NoSuchNamespace,
    NoSuchHost,
    BelowHost,
    NoSuchPort,
    BelowAlias,
    NoSuchName,
    NoSuchSet,
    NoPodNames,
    NotAnAddress,
    NoSuchPod,
    UnknownAddress,
    OnlyBelow,
    NoIpv4,
    NoIpv6,
    NoPorts,
    NoSuchType,
    NamedByAddress,
    AliasCut,
    AliasLeftOut,
    AliasNotFollowed,
    Stale {
        since: &'a str,
    },
    StaleSnapshot {
        since: &'a str,
    },
    OutsideZones,
    NamespaceLeftOut,
    TransferRefused,
    OtherClass,
    NotSynchronised,
    PodsNotKnown,
    TooOld,
    UpstreamFailed,
}

/// INFO-CODEs (RFC 8914, section 5.2).
mod code {
    /// Section 4.1: no other code fits; the text says it.
    pub(super) const OTHER: u16 = 0;
    /// Section 4.4.
    pub(super) const STALE: u16 = 3;
    /// Section 4.15: the server is not fully functional yet.
    pub(super) const NOT_READY: u16 = 14;
    /// Section 4.20.
    pub(super) const STALE_NXDOMAIN: u16 = 19;
    /// Section 4.21.
    pub(super) const NOT_AUTHORITATIVE: u16 = 20;
    /// Section 4.22.
    pub(super) const NOT_SUPPORTED: u16 = 21;
    /// Section 4.24.
    pub(super) const NETWORK_ERROR: u16 = 23;
    /// Section 4.25: "its most recent zone being too old".
    pub(super) const INVALID_DATA: u16 = 24;
}

impl Reason<'_> {
    /// The code to send beside this answer.
    #[must_use]
    pub fn code(&self, answer: Answer) -> u16 {
        match self {
            Self::OutsideZones | Self::NamespaceLeftOut => code::NOT_AUTHORITATIVE,
            Self::TransferRefused | Self::OtherClass => code::NOT_SUPPORTED,
            Self::NotSynchronised | Self::PodsNotKnown => code::NOT_READY,
            Self::TooOld => code::INVALID_DATA,
            Self::UpstreamFailed => code::NETWORK_ERROR,
            Self::Stale { .. } | Self::StaleSnapshot { .. } if answer == Answer::NoName => {
                code::STALE_NXDOMAIN
            }
            Self::Stale { .. } | Self::StaleSnapshot { .. } => code::STALE,
            // Not Ready, Filtered and the like say what befell the server or the question, not a pod (docs/reasons.md).
            _ => code::OTHER,
        }
    }

    /// Whether a code says nothing by itself: without its sentence it is not worth its octets.
    #[must_use]
    pub fn needs_sentence(code: u16) -> bool {
        code == code::OTHER
    }

    /// The answers that it may stand beside.
    #[must_use]
    pub fn stands_beside(&self, answer: Answer) -> bool {
        match answer {
            Answer::Refused => matches!(
                self,
                Self::OutsideZones | Self::NamespaceLeftOut | Self::TransferRefused | Self::OtherClass
            ),
            Answer::Failed => {
                matches!(
                    self,
                    Self::NotSynchronised | Self::PodsNotKnown | Self::TooOld | Self::UpstreamFailed
                )
            }
            Answer::NoData => matches!(
                self,
                Self::OnlyBelow
                    | Self::NoIpv4
                    | Self::NoIpv6
                    | Self::NoPorts
                    | Self::NoSuchType
                    | Self::Stale { .. }
                    | Self::StaleSnapshot { .. }
            ),
            Answer::Records => matches!(
                self,
                Self::NamedByAddress
                    | Self::AliasCut
                    | Self::AliasLeftOut
                    | Self::AliasNotFollowed
                    | Self::Stale { .. }
                    | Self::StaleSnapshot { .. }
            ),
            Answer::NoName => matches!(
                self,
                Self::Awaited { .. }
                    | Self::NoAddress { .. }
                    | Self::NotReady { .. }
                    | Self::Terminating { .. }
                    | Self::PodPending { .. }
                    | Self::PodUnscheduled { .. }
                    | Self::ClaimNotBound { .. }
                    | Self::PodWaiting { .. }
                    | Self::PodNotReady { .. }
                    | Self::NodeSilent { .. }
                    | Self::PodTerminating { .. }
                    | Self::CalledByAddress { .. }
                    | Self::NoneReady { .. }
                    | Self::NoEndpoints { .. }
                    | Self::ScaledToZero { .. }
                    | Self::GoverningServiceMissing { .. }
                    | Self::BadExternalName { .. }
                    | Self::BeyondReplicas { .. }
                    | Self::SimilarService { .. }
                    | Self::NoSuchService
                    | Self::NoSuchNamespace
                    | Self::NoSuchHost
                    | Self::BelowHost
                    | Self::NoSuchPort
                    | Self::BelowAlias
                    | Self::NoSuchName
                    | Self::NoSuchSet
                    | Self::NoPodNames
                    | Self::NotAnAddress
                    | Self::NoSuchPod
                    | Self::UnknownAddress
                    | Self::NamedByAddress
                    | Self::Stale { .. }
                    | Self::StaleSnapshot { .. }
            ),
        }
    }

    /// What it is called in docs/reasons.md, in JSON and in links: `not-ready`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Awaited { .. } => "awaited",
            Self::NoAddress { .. } => "no-address",
            Self::NotReady { .. } => "not-ready",
            Self::Terminating { .. } => "terminating",
            Self::PodPending { .. } => "pod-pending",
            Self::PodUnscheduled { .. } => "pod-unscheduled",
            Self::ClaimNotBound { .. } => "claim-not-bound",
            Self::PodWaiting { .. } => "pod-waiting",
            Self::PodNotReady { .. } => "pod-not-ready",
            Self::NodeSilent { .. } => "node-silent",
            Self::PodTerminating { .. } => "pod-terminating",
            Self::CalledByAddress { .. } => "called-by-address",
            Self::NoneReady { .. } => "none-ready",
            Self::NoEndpoints { .. } => "no-endpoints",
            Self::ScaledToZero { .. } => "scaled-to-zero",
            Self::GoverningServiceMissing { .. } => "governing-service-missing",
            Self::BadExternalName { .. } => "bad-external-name",
            Self::BeyondReplicas { .. } => "beyond-replicas",
            Self::SimilarService { .. } => "similar-service",
            Self::NoSuchService => "no-such-service",
            Self::NoSuchNamespace => "no-such-namespace",
            Self::NoSuchHost => "no-such-host",
            Self::BelowHost => "below-host",
            Self::NoSuchPort => "no-such-port",
            Self::BelowAlias => "below-alias",
            Self::NoSuchName => "no-such-name",
            Self::NoSuchSet => "no-such-set",
            Self::NoPodNames => "no-pod-names",
            Self::NotAnAddress => "not-an-address",
            Self::NoSuchPod => "no-such-pod",
            Self::UnknownAddress => "unknown-address",
            Self::OnlyBelow => "only-below",
            Self::NoIpv4 => "no-ipv4",
            Self::NoIpv6 => "no-ipv6",
            Self::NoPorts => "no-ports",
            Self::NoSuchType => "no-such-type",
            Self::NamedByAddress => "named-by-address",
            Self::AliasCut => "alias-cut",
            Self::AliasLeftOut => "alias-left-out",
            Self::AliasNotFollowed => "alias-not-followed",
            Self::Stale { .. } => "stale",
            Self::StaleSnapshot { .. } => "stale-snapshot",
            Self::OutsideZones => "outside-zones",
            Self::NamespaceLeftOut => "namespace-left-out",
            Self::TransferRefused => "transfer-refused",
            Self::OtherClass => "other-class",
            Self::NotSynchronised => "not-synchronised",
            Self::PodsNotKnown => "pods-not-known",
            Self::TooOld => "too-old",
            Self::UpstreamFailed => "upstream-failed",
        }
    }
}

/// A reason as programs read it: `explain --output json`, the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`Reason::id`].
    pub id: &'static str,
    /// The INFO-CODE beside this answer.
    pub code: u16,
    /// The sentence, whole.
    pub sentence: String,
    /// The names, numbers and addresses in it, by what they are; null where there are none.
    pub facts: serde_json::Value,
}

impl<'a> Reason<'a> {
    /// To be read by programs.
    #[must_use]
    pub fn report(&self, answer: Answer) -> Report {
        let facts = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(mut by_id)) => by_id.remove(self.id()).unwrap_or_default(),
            _ => serde_json::Value::Null,
        };
        Report { id: self.id(), code: self.code(answer), sentence: self.to_string(), facts }
    }

    /// The same about the name that was asked for: it is not kept beside the reason a second time, and what is said of a
    /// range of a set's ordinals is said of each.
    #[must_use]
    pub(super) fn about(self, name: &'a str) -> Self {
        match self {
            Self::Awaited { set, replicas, waits_for, .. } => {
                Self::Awaited { name, set, replicas, waits_for }
            }
            Self::NoAddress { service, set, replicas, .. } => {
                Self::NoAddress { name, service, set, replicas }
            }
            Self::NotReady { slice, address, .. } => Self::NotReady { name, slice, address },
            Self::Terminating { slice, address, .. } => Self::Terminating { name, slice, address },
            Self::PodPending { message, .. } => Self::PodPending { name, message },
            Self::PodUnscheduled { .. } => Self::PodUnscheduled { name },
            Self::ClaimNotBound { claim, class, message, .. } => {
                Self::ClaimNotBound { name, claim, class, message }
            }
            Self::PodWaiting { reason, detail, .. } => Self::PodWaiting { name, reason, detail },
            Self::PodNotReady { since, message, .. } => Self::PodNotReady { name, since, message },
            Self::NodeSilent { since, node, .. } => Self::NodeSilent { name, since, node },
            Self::PodTerminating { since, finalizer, node, silent, .. } => {
                Self::PodTerminating { name, since, finalizer, node, silent }
            }
            Self::CalledByAddress { service, subdomain, address, .. } => {
                Self::CalledByAddress { name, service, subdomain, address }
            }
            other => other,
        }
    }
}
