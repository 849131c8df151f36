//! Why an answer is empty or surprising, from what the lookup found; and how much of it a client is told.
//!
//! Nothing here allocates: what is known of a name lies packed beside the records of its service, and a sentence is
//! written on the stack.

use std::net::IpAddr;

use super::Answers;
use super::answer::{Outcome, Scratch, answer, look_up};
use super::entry::Entry;
use super::lookup::{Absent, Node};
use super::similar::similar;
use super::store::View;
use crate::reasons::{Answer, Line, Reason};
use crate::records::Shape;
use crate::wire::{Extended, Name, ParsedName, Query, Response, rcode, rtype};

/// Why there is no such name. None where reasons of services are not kept.
pub(super) fn why_missing<'a>(absent: &Absent<'a>, name: &'a ParsedName) -> Option<Reason<'a>> {
    match *absent {
        Absent::Within(entry, front) => why_missing_within(entry, name, front),
        Absent::Service => Some(Reason::NoSuchService),
        Absent::Namespace => Some(Reason::NoSuchNamespace),
        Absent::Own => Some(Reason::NoSuchName),
        Absent::PodNames => Some(Reason::NoPodNames),
        Absent::NotAnAddress => Some(Reason::NotAnAddress),
        Absent::Pod => Some(Reason::NoSuchPod),
        Absent::Address => Some(Reason::UnknownAddress),
        Absent::Set => Some(Reason::NoSuchSet),
    }
}

/// `front` labels stand before the service's name.
fn why_missing_within<'a>(entry: &'a Entry, name: &'a ParsedName, front: usize) -> Option<Reason<'a>> {
    let of_service = match entry.shape {
        Shape::External(_) => return Some(Reason::BelowAlias),
        // No replica of it matters as long as the Service is missing.
        // A set of no replicas misses none.
        Shape::Absent => return entry.why_absent().or(Some(Reason::NoSuchService)),
        Shape::Headless if !entry.has_addresses() => Some(entry.why_absent()),
        Shape::Headless | Shape::ClusterIp => None,
    };
    let label = front.checked_sub(1).map(|nearest| name.label(nearest)).unwrap_or_default();
    if label.is_empty() || label.first() == Some(&b'_') {
        return of_service.unwrap_or(Some(Reason::NoSuchPort));
    }
    if entry.host(label).is_some() {
        return Some(if name.label(0).first() == Some(&b'_') {
            Reason::NoSuchPort
        } else {
            Reason::BelowHost
        });
    }
    entry.why_no_host(label).or_else(|| {
        let of_others = if entry.has_dashed_hosts() { Reason::NamedByAddress } else { Reason::NoSuchHost };
        of_service.unwrap_or(Some(of_others))
    })
}

/// Why a name that is there has nothing of a type.
pub(super) fn why_empty(node: &Node<'_>, qtype: u16) -> Reason<'static> {
    let of_addresses = |a: bool, aaaa: bool| match qtype {
        rtype::A if aaaa => Reason::NoIpv4,
        rtype::AAAA if a => Reason::NoIpv6,
        rtype::SRV => Reason::NoPorts,
        _ => Reason::NoSuchType,
    };
    match node {
        Node::Empty => Reason::OnlyBelow,
        Node::Service(entry, _) => {
            of_addresses(!entry.service_a().is_empty(), !entry.service_aaaa().is_empty())
        }
        Node::Host(entry, _, host) => {
            of_addresses(!entry.host_a(*host).is_empty(), !entry.host_aaaa(*host).is_empty())
        }
        Node::Pod(address) if qtype != rtype::SRV => of_addresses(address.is_ipv4(), address.is_ipv6()),
        _ => Reason::NoSuchType,
    }
}

/// Why an answer is not what one may look for.
pub(super) fn why_surprising(node: &Node<'_>, qtype: u16) -> Option<Reason<'static>> {
    let (Node::Service(entry, _) | Node::ServicePort(entry, ..)) = node else { return None };
    let is_headless = qtype == rtype::SRV && entry.shape == Shape::Headless;
    (is_headless && entry.has_dashed_hosts()).then_some(Reason::NamedByAddress)
}

/// Ends a reply to a client with as much of the reason as it is told: in Extended DNS Errors (RFC 8914), which are left
/// out where they do not fit. Gives the reply's length.
pub fn finish(
    view: &View<'_>,
    query: &Query,
    response: Response<'_>,
    code: u16,
    reason: Option<&Reason<'_>>,
    client: Option<IpAddr>,
) -> usize {
    let stale = view.stale().filter(|_| matches!(code, rcode::NOERROR | rcode::NXDOMAIN));
    if (reason.is_none() && stale.is_none()) || !response.has_edns() {
        return response.finish(code, &[]);
    }
    let answers = view.answers_for(client);
    let answer = kind(code, response.answers());
    let stale = stale.map(|text| (Reason::Stale { since: "" }.code(answer), text));
    let is_looked_for = answers == Answers::Full && reason == Some(&Reason::NoSuchService);
    let namespaces = is_looked_for.then(|| view.shared.namespaces.pin());
    let meant = namespaces.as_ref().and_then(|all| similar(view, |label| all.get(label), &query.name));
    let line;
    let why = match meant.as_ref().or(reason) {
        None => None,
        Some(reason) => {
            let text = match reason.constant() {
                Some(text) => text,
                None if answers == Answers::Full => {
                    line = Line::of(reason);
                    line.as_str()
                }
                None => "",
            };
            Some((reason.code(answer), text))
        }
    };
    response.finish(code, &[stale, why].map(|error| error.and_then(|(code, text)| told(answers, code, text))))
}

/// An answer without its records: what it is, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained<'a> {
    /// What kind of answer it is.
    pub answer: Answer,
    /// None where there is nothing to wonder about, or where reasons are not kept.
    pub reason: Option<Reason<'a>>,
    /// Since when it is stale, as a sentence; None while it is fresh.
    pub stale: Option<&'a str>,
    /// For how many milliseconds a client waits for it, in case that its name comes to be.
    pub awaited: Option<u16>,
}

/// Asks for a reason as a client would for the answer, in the same state of the zone: the two never contradict each
/// other. Off the query path: it allocates.
pub fn explain<R>(view: &View<'_>, query: &Query, then: impl FnOnce(&Explained<'_>) -> R) -> R {
    explain_reply(view, query, &[], |explained, _, _| then(explained))
}

/// The same with the whole reply to `packet`, which `query` was parsed from, its reason told in full; and the name that an
/// upstream is asked for where an alias leads out of the zones.
pub fn explain_reply<R>(
    view: &View<'_>,
    query: &Query,
    packet: &[u8],
    then: impl FnOnce(&Explained<'_>, &[u8], Option<&Name>) -> R,
) -> R {
    let (mut buffer, mut scratch) = (vec![0; usize::from(u16::MAX)], Scratch::default());
    let limit = buffer.len();
    let mut response = Response::start(&mut buffer, query, packet, limit, 0);
    let outcome = answer(view, query, look_up(view, query), &mut response, &mut scratch);
    let (code, reason, chased, awaited) = match outcome {
        Outcome::Done(code, reason) => (code, reason, None, None),
        Outcome::Awaited(milliseconds, reason) => (rcode::NXDOMAIN, reason, None, Some(milliseconds)),
        // The aliases are an answer, whatever the upstream says about their end.
        Outcome::Chase(name) => (rcode::NOERROR, None, Some(name), None),
    };
    let namespaces = view.shared.namespaces.pin();
    let similar = || similar(view, |label| namespaces.get(label), &query.name);
    let reason = reason.map(|reason| match reason {
        Reason::NoSuchService => similar().unwrap_or(reason),
        other => other,
    });
    let answer = kind(code, response.answers());
    let stale = view.stale().filter(|_| matches!(answer, Answer::NoName | Answer::NoData | Answer::Records));
    let line = reason.as_ref().map(|reason| (reason.code(answer), Line::of(reason)));
    let told = [
        stale.map(|text| Extended { code: Reason::Stale { since: "" }.code(answer), text }),
        line.as_ref().map(|(code, line)| Extended { code: *code, text: line.as_str() }),
    ];
    let length = response.finish(code, &told);
    let reply = buffer.get(..length).unwrap_or_default();
    then(&Explained { answer, reason, stale, awaited }, reply, chased.as_ref())
}

fn kind(code: u16, records: u16) -> Answer {
    match code {
        rcode::REFUSED => Answer::Refused,
        rcode::SERVFAIL => Answer::Failed,
        rcode::NXDOMAIN => Answer::NoName,
        _ if records == 0 => Answer::NoData,
        _ => Answer::Records,
    }
}

/// What of a code and its sentence is told.
pub fn told(answers: Answers, code: u16, text: &str) -> Option<Extended<'_>> {
    match answers {
        Answers::Off => None,
        Answers::Codes if Reason::needs_sentence(code) => None,
        Answers::Codes => Some(Extended { code, text: "" }),
        Answers::Full => Some(Extended { code, text }),
    }
}
