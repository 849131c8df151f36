//! Rows about the reverse trees, and names that are not ours.

use std::net::IpAddr;

use super::super::compare::Aspect;
use super::super::objects::Shape;
use super::super::place::Place;
use super::super::reply::{Record, bare};
use super::services::recreated_pod;
use super::zone::any;
use super::{Case, Row, Via};

pub(super) const ROWS: &[Row] = &[
    Row { id: "orphan-slice", covers: orphan_slice },
    Row { id: "ptr-of-both", covers: ptr_of_both },
    Row { id: "reverse-below", covers: reverse_below },
    Row { id: "reverse-above", covers: reverse_above },
    Row { id: "reverse-types", covers: reverse_types },
    Row { id: "reverse-trees", covers: reverse_trees },
    Row { id: "reverse-unknown", covers: reverse_unknown },
    Row { id: "outside", covers: outside },
];

/// Theirs are also names below a service that does not exist, or is an alias: names that are not there.
fn orphan_slice(case: &Case<'_>) -> bool {
    let exists = |record: &&Record| match case.world.place_of(&record.data) {
        Place::Service(_, service) => !matches!(service.shape, Shape::External(_)),
        _ => false,
    };
    let (real, orphans): (Vec<&Record>, Vec<&Record>) = case.theirs.answers().iter().partition(exists);
    let real: Vec<Record> = real.into_iter().cloned().collect();
    let rest = if real.is_empty() {
        case.ours.rcode == "NXDOMAIN"
    } else {
        bare(&real) == bare(case.ours.answers())
    };
    case.reverse_of().is_some() && case.is_type(&["PTR"]) && case.is_content() && !orphans.is_empty() && rest
}

/// Ours are theirs, and the endpoints' names behind the clusterIP's.
fn ptr_of_both(case: &Case<'_>) -> bool {
    let is_virtual = |address: IpAddr| case.world.services.iter().any(|s| s.cluster_ips.contains(&address));
    let ours = bare(case.ours.answers());
    case.reverse_of().is_some_and(is_virtual)
        && case.is_type(&["PTR"])
        && case.aspect == Aspect::Content
        && case.is("NOERROR", "NOERROR")
        && bare(case.theirs.answers()).iter().all(|record| ours.contains(record))
        && ours.len() > case.theirs.answers().len()
}

/// A label in front of the 32 of an IPv6 address.
fn reverse_below(case: &Case<'_>) -> bool {
    let labels = case.question.labels();
    let is_below = labels.len() > 34 && labels[labels.len() - 2] == "ip6";
    is_below && case.is_type(&["PTR"]) && case.is_content() && case.is("NOERROR", "NXDOMAIN")
}

/// Between the roots of the reverse trees and an address: ours to say within a prefix, and above an address.
fn reverse_above(case: &Case<'_>) -> bool {
    let labels = case.question.labels();
    let is_above = matches!(case.place, Place::Reverse(None)) && labels.len() > 2;
    is_above && case.is_content() && from_above(case) && is_empty_or_apex(case) && !any(case)
}

/// Not PTR, of an address that is known.
fn reverse_types(case: &Case<'_>) -> bool {
    let is_known = case.reverse_of().is_some_and(|address| case.world.has_address(address));
    is_known
        && !case.is_type(&["PTR", "ANY"])
        && case.is_content()
        && from_above(case)
        && is_empty_or_apex(case)
}

fn from_above(case: &Case<'_>) -> bool {
    case.theirs.rcode == "NXDOMAIN" || case.theirs.is_nodata()
}

fn is_empty_or_apex(case: &Case<'_>) -> bool {
    let mut answers = case.ours.answers().iter();
    case.ours.rcode == "NOERROR" && answers.all(|record| record.rtype == "SOA" || record.rtype == "NS")
}

/// `in-addr.arpa` and `ip6.arpa` themselves, and SOA of what is in them and not ours: theirs has authority
/// for all of that, ours says what the upstream says.
fn reverse_trees(case: &Case<'_>) -> bool {
    let unknown = case.reverse_of().is_some_and(|address| !case.world.has_address(address));
    let is_root = matches!(case.place, Place::Reverse(None)) && case.question.labels().len() == 2;
    let concerns = is_root || unknown && case.is_type(&["SOA"]);
    concerns && case.via == Via::Stub && case.is_content() && case.is("NOERROR", "NOERROR") && !any(case)
}

/// Denied by rollcall itself; behind CoreDNS the next resolver is asked.
pub(super) fn reverse_unknown(case: &Case<'_>) -> bool {
    let is_reverse = matches!(case.place, Place::Reverse(_));
    is_reverse
        && case.via == Via::Direct
        && case.ours.rcode == "NXDOMAIN"
        && case.is_content()
        && !recreated_pod(case)
        && !orphan_slice(case)
        && !reverse_below(case)
}

fn outside(case: &Case<'_>) -> bool {
    let is_outside = matches!(case.place, Place::Outside | Place::Reverse(_));
    is_outside && case.via == Via::Direct && case.ours.rcode == "REFUSED" && case.ours.answers().is_empty()
}
