//! Rows about SRV records, their targets' addresses, and answers that a packet does not hold.

use super::super::compare::Aspect;
use super::super::reply::{Record, Reply, bare};
use super::aliases::begins_with_alias;
use super::services::recreated_pod;
use super::{Case, Row};

pub(super) const ROWS: &[Row] = &[
    Row { id: "srv-weight", covers: srv_weight },
    Row { id: "srv-whole-targets", covers: srv_whole_targets },
    Row { id: "glue", covers: glue },
    Row { id: "udp-size", covers: udp_size },
];

/// The same records, but for their weights; ours share 100.
pub(super) fn srv_weight(case: &Case<'_>) -> bool {
    let weightless = |reply: &Reply| {
        let fields = |record: &Record| record.srv().map(|(a, _, b, c)| format!("{a} {b} {c}"));
        let mut all: Vec<_> = reply.answers().iter().map(fields).collect();
        all.sort();
        all
    };
    let (theirs, ours) = (weightless(case.theirs), weightless(case.ours));
    let share = u32::try_from(100 / ours.len().max(1)).unwrap().max(1);
    case.aspect == Aspect::Content
        && case.is_type(&["SRV"])
        && theirs == ours
        && !ours.is_empty()
        && ours.iter().all(Option::is_some)
        && case
            .ours
            .answers()
            .iter()
            .all(|record| record.srv().is_some_and(|(_, weight, ..)| weight == share))
        && bare(case.theirs.authorities()) == bare(case.ours.authorities())
}

/// Theirs leave out addresses of a target that other ports, or slices, brought in.
fn srv_whole_targets(case: &Case<'_>) -> bool {
    let (theirs, ours) = (bare(case.theirs.additionals()), bare(case.ours.additionals()));
    case.aspect == Aspect::Additional
        && case.is_type(&["SRV"])
        && case.is("NOERROR", "NOERROR")
        && ours.len() > theirs.len()
        && theirs.iter().all(|record| ours.contains(record))
        && ours.iter().all(|record| is_target(case, record))
        && !recreated_pod(case)
        && !begins_with_alias(case)
}

/// Address records of SRV targets that did not fit, and were left out without TC; over TCP too, where a cache
/// kept that.
fn glue(case: &Case<'_>) -> bool {
    let lacks_some = match (case.aspect, case.whole) {
        (Aspect::Additional, _) => {
            let ours = bare(case.ours.additionals());
            bare(case.theirs.additionals()).iter().any(|record| !ours.contains(record))
        }
        (Aspect::Truncation, Some(whole)) => {
            let complete = bare(case.ours.answers()) == bare(whole.ours.answers());
            case.theirs.truncated && !case.ours.truncated && complete
        }
        _ => false,
    };
    let has_targets =
        !case.ours.answers().is_empty() && case.ours.additionals().iter().all(|r| is_target(case, r));
    case.is_type(&["SRV"])
        && case.is("NOERROR", "NOERROR")
        && has_targets
        && lacks_some
        && !recreated_pod(case)
        && !begins_with_alias(case)
}

/// More than 1232 octets, to a client that takes them.
pub(super) fn udp_size(case: &Case<'_>) -> bool {
    case.aspect == Aspect::Truncation
        && case.question.limit() > 1232
        && !case.theirs.truncated
        && case.ours.truncated
        && case.theirs.size > 1232
}

/// An address record of a target, with an address that something in the cluster has.
fn is_target(case: &Case<'_>, record: &Record) -> bool {
    let is_known = record.data.parse().is_ok_and(|address| case.world.has_address(address));
    is_known
        && case
            .ours
            .answers()
            .iter()
            .any(|srv| srv.srv().is_some_and(|(_, _, _, target)| target == record.owner))
}
