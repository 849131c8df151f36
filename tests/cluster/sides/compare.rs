//! Holds two servers' replies to one question against each other: what differs, aspect by aspect.

use super::ask::Question;
use super::reply::{Record, Reply, bare};

/// What may differ on its own. Order never counts: both servers turn their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    /// The RCODE, or the records of the answer and authority sections, TTLs apart.
    Content,
    /// The records of the additional section, TTLs apart.
    Additional,
    /// TTLs of records that both gave.
    Ttl,
    /// AA, RA and the other flags; TC apart.
    Flags,
    /// TC, or the records that an answer cut short holds.
    Truncation,
    /// Whether there is an OPT record, and its Extended DNS Errors.
    Edns,
    /// The question, as it is repeated.
    Question,
}

/// Both replies over one transport.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) theirs: &'a Reply,
    pub(super) ours: &'a Reply,
}

impl Pair<'_> {
    /// The aspects in which the replies differ. `whole` is the pair over TCP, where one over UDP is cut
    /// short.
    pub(super) fn differences(&self, question: &Question, whole: Option<Pair<'_>>) -> Vec<Aspect> {
        let (theirs, ours) = (self.theirs, self.ours);
        let mut aspects = Vec::new();
        let mut differs = |aspect: Aspect, is: bool| {
            if is {
                aspects.push(aspect);
            }
        };
        match whole.filter(|_| theirs.truncated || ours.truncated) {
            // What is cut short is whole over TCP, and compared there; here it must only be part of that.
            Some(whole) => {
                let part = |part: &Reply, of: &Reply| {
                    part.rcode == of.rcode
                        && part.sections.iter().zip(&of.sections).all(|(a, b)| is_part(a, b))
                };
                let honest = part(theirs, whole.theirs) && part(ours, whole.ours);
                differs(Aspect::Truncation, theirs.truncated != ours.truncated || !honest);
            }
            None => {
                let ([their_answers, their_authorities, their_glue], [answers, authorities, glue]) =
                    (theirs.bare(), ours.bare());
                let same = theirs.rcode == ours.rcode
                    && their_answers == answers
                    && their_authorities == authorities;
                differs(Aspect::Content, !same);
                differs(Aspect::Additional, their_glue != glue);
                differs(Aspect::Truncation, theirs.truncated || ours.truncated);
            }
        }
        differs(Aspect::Ttl, ttls_differ(theirs, ours));
        differs(Aspect::Flags, theirs.flags != ours.flags);
        differs(Aspect::Edns, theirs.errors != ours.errors);
        let asked = format!("{}. {}", question.name, question.rtype);
        let repeated =
            |reply: &Reply| reply.question.trim_start_matches('.') == asked.trim_start_matches('.');
        differs(Aspect::Question, repeated(theirs) != repeated(ours));
        aspects
    }
}

fn is_part(part: &[Record], of: &[Record]) -> bool {
    let of = bare(of);
    bare(part).iter().all(|record| of.binary_search(record).is_ok())
}

/// Whether a record that both gave has another TTL in each.
fn ttls_differ(theirs: &Reply, ours: &Reply) -> bool {
    theirs.sections.iter().zip(&ours.sections).any(|(theirs, ours)| {
        ours.iter().any(|own| {
            let same = |other: &&Record| {
                (&other.owner, &other.rtype, &other.data) == (&own.owner, &own.rtype, &own.data)
            };
            theirs.iter().find(same).is_some_and(|other| other.ttl != own.ttl)
        })
    })
}
