//! The differences that docs/differences.md lists: for each of its rows, what that row covers.
//!
//! A predicate is as narrow as the row's words: it looks at the objects, the question and both replies, and
//! what it does not cover is a fault. No difference may be covered by two rows.

mod aliases;
mod reverse;
mod services;
mod srv;
mod tests;
mod zone;

use std::net::IpAddr;

use super::ask::Question;
use super::compare::{Aspect, Pair};
use super::objects::{Service, Shape, World};
use super::place::{End, Place};
use super::reply::Reply;

/// How ours was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// Through the CoreDNS that a pod's resolver asks.
    Stub,
    Direct,
}

/// One aspect in which two replies differ.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) world: &'a World,
    pub(super) question: &'a Question,
    pub(super) place: &'a Place<'a>,
    pub(super) via: Via,
    pub(super) aspect: Aspect,
    pub(super) theirs: &'a Reply,
    pub(super) ours: &'a Reply,
    /// Over TCP, where either reply was cut short over UDP.
    pub(super) whole: Option<Pair<'a>>,
}

/// A row of docs/differences.md.
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) covers: fn(&Case<'_>) -> bool,
}

/// Every row.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [zone::ROWS, services::ROWS, srv::ROWS, reverse::ROWS, aliases::ROWS].into_iter().flatten()
}

/// The rows that cover this difference.
pub(super) fn covering(case: &Case<'_>) -> Vec<&'static str> {
    rows().filter(|row| (row.covers)(case)).map(|row| row.id).collect()
}

impl<'a> Case<'a> {
    /// RCODE or records, of any section, or how they were cut.
    fn is_content(&self) -> bool {
        matches!(self.aspect, Aspect::Content | Aspect::Additional | Aspect::Truncation)
    }

    fn is(&self, theirs: &str, ours: &str) -> bool {
        self.theirs.rcode == theirs && self.ours.rcode == ours
    }

    fn is_type(&self, rtypes: &[&str]) -> bool {
        rtypes.contains(&self.question.rtype)
    }

    /// The labels in front of a service that is no alias, and the service.
    fn below_service(&self) -> Option<(&'a [String], &'a Service)> {
        match self.place {
            Place::Service(front, service) if !matches!(service.shape, Shape::External(_)) => {
                Some((front, service))
            }
            _ => None,
        }
    }

    /// Where an alias at this very name leads to.
    fn alias(&self) -> Option<End> {
        match self.place {
            Place::Service(front, service) if front.is_empty() => self.world.alias_end(service),
            _ => None,
        }
    }

    fn reverse_of(&self) -> Option<IpAddr> {
        if let Place::Reverse(address) = self.place { *address } else { None }
    }
}

fn is_underscored(label: &str) -> bool {
    label.len() > 1 && label.starts_with('_')
}
