//! Rows about ExternalName services.

use super::super::compare::Aspect;
use super::super::place::End;
use super::super::reply::Reply;
use super::srv::udp_size;
use super::{Case, Row};

pub(super) const ROWS: &[Row] = &[
    Row { id: "alias-types", covers: alias_types },
    Row { id: "alias-negative", covers: alias_negative },
    Row { id: "alias-loop", covers: alias_loop },
    Row { id: "alias-length", covers: alias_length },
    Row { id: "alias-size", covers: alias_size },
    Row { id: "alias-failed", covers: alias_failed },
    Row { id: "alias-no-recursion", covers: alias_no_recursion },
];

fn alias_types(case: &Case<'_>) -> bool {
    case.alias().is_some()
        && begins_with_alias(case)
        && !asks_for_addresses(case)
        && !case.is_type(&["ANY"])
        && case.theirs.is_nodata()
        && !alias_no_recursion(case)
}

/// There is no such data at the end.
fn alias_negative(case: &Case<'_>) -> bool {
    let Some(End::Inside(1..=8, _) | End::Outside(..)) = case.alias() else { return false };
    let lacks = |reply: &Reply| reply.of_type(case.question.rtype).next().is_none();
    begins_with_alias(case)
        && asks_for_addresses(case)
        && !alias_no_recursion(case)
        && case.theirs.rcode == "NOERROR"
        && lacks(case.theirs)
        && lacks(case.ours)
}

fn alias_loop(case: &Case<'_>) -> bool {
    let loops = case.alias() == Some(End::Loop) && begins_with_alias(case) && asks_for_addresses(case);
    loops && case.theirs.is_nodata() && case.ours.rcode == "NOERROR"
}

fn alias_length(case: &Case<'_>) -> bool {
    let is_long = matches!(case.alias(), Some(End::Inside(9.., _)));
    is_long
        && begins_with_alias(case)
        && asks_for_addresses(case)
        && case.is("NOERROR", "NOERROR")
        && case.ours.of_type("CNAME").count() == 8
}

/// Ours are written with fewer pointers, and so do not fit where theirs do.
fn alias_size(case: &Case<'_>) -> bool {
    let leads_on = matches!(case.alias(), Some(End::Inside(1..=8, _) | End::Outside(..)));
    let cut = case.ours.truncated && !case.theirs.truncated && !udp_size(case);
    leads_on && cut && begins_with_alias(case) && asks_for_addresses(case) && case.is("NOERROR", "NOERROR")
}

fn alias_failed(case: &Case<'_>) -> bool {
    let leads_out = matches!(case.alias(), Some(End::Outside(..)));
    let aspects = [Aspect::Content, Aspect::Flags, Aspect::Edns];
    leads_out && case.is("NOERROR", "SERVFAIL") && aspects.contains(&case.aspect)
}

fn alias_no_recursion(case: &Case<'_>) -> bool {
    let leads_out = matches!(case.alias(), Some(End::Outside(..)));
    let bare_alias = case.ours.answers().iter().all(|record| record.rtype == "CNAME");
    leads_out && begins_with_alias(case) && !case.question.recursion && !case.is_type(&["ANY"]) && bare_alias
}

/// Ours begin with the alias.
pub(super) fn begins_with_alias(case: &Case<'_>) -> bool {
    let name = format!("{}.", case.question.labels().join("."));
    case.is_content() && case.ours.of_type("CNAME").any(|record| record.owner == name)
}

fn asks_for_addresses(case: &Case<'_>) -> bool {
    case.is_type(&["A", "AAAA"])
}
