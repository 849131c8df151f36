//! What is taken of a server at most. It may be anybody: whoever answers at an address, or stands between.
//!
//! docs/peers.md has the same numbers.

use super::trouble::Trouble;
use super::view::Question;
use crate::wire::record::{Record, Reply};
use crate::wire::rtype;

/// SRV records of a service, and addresses of it: ten thousand peers of both families, or with two ports each.
pub(super) const RECORDS: usize = 20_000;
/// Addresses of one member.
pub(super) const OF_MEMBER: usize = 64;
/// StatefulSets of a service.
pub(super) const SETS: usize = 64;
/// Strings of a TXT record, and octets of them.
pub(super) const STRINGS: usize = 64;
pub(super) const TEXT: usize = 4096;
/// Replicas that are looked for among the members, and those that are named as missing.
pub(super) const LOOKED_FOR: u64 = 100_000;
pub(super) const MISSING: usize = 10_000;
/// Records of all replies to what is asked at one time.
const ANSWERED: usize = 65_536;
/// Octets of stateful messages that come while an answer is waited for: some pushes of all that a large service has.
pub(super) const ASIDE: usize = 8 << 20;
/// Servers of push that a zone names, and addresses of each.
pub(super) const SERVERS: usize = 8;
pub(super) const OF_SERVER: usize = 8;

/// There is more of this than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Excess(pub(super) &'static str);

impl Excess {
    /// Who said it.
    pub(super) fn of(self, server: &str) -> Trouble {
        Trouble::TooMuch { server: server.to_owned(), what: self.0 }
    }
}

/// Counts the records of replies, and lets go of those that nobody asked for: a name of two octets in a message may be one
/// of 255 behind it.
#[derive(Debug, Default)]
pub(super) struct Answered(usize);

impl Answered {
    pub(super) fn take(&mut self, mut reply: Reply, (name, kind): &Question) -> Result<Reply, Excess> {
        let is_asked = |record: &Record| {
            record.owner == *name && (record.rtype == *kind || record.rtype == rtype::CNAME)
        };
        let is_glue = |record: &Record| *kind == rtype::SRV && matches!(record.rtype, rtype::A | rtype::AAAA);
        reply.answer.retain(is_asked);
        reply.additional.retain(is_glue);
        reply.answer.shrink_to_fit();
        reply.additional.shrink_to_fit();
        self.0 += reply.answer.len() + reply.additional.len();
        if self.0 > ANSWERED { Err(Excess("records in its answers")) } else { Ok(reply) }
    }
}

/// Whether a reply is to this question, as far as it says (RFC 5452, section 9.1).
pub(super) fn is_of(reply: &Reply, question: &Question) -> bool {
    reply.question.as_ref().is_none_or(|asked| asked == question)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;
    use crate::wire::record::Data;

    fn mk_reply(owner: &Name, records: u32) -> Reply {
        let record = |n: u32| {
            let data = Some(Data::Address(std::net::Ipv4Addr::from_bits(n).into()));
            Record { owner: owner.clone(), rtype: rtype::A, ttl: 5, data }
        };
        let answer: Vec<Record> = (0..records).map(record).collect();
        let (errors, additional) = (Vec::new(), answer.clone());
        let (authoritative, truncated) = (true, false);
        Reply { id: 1, question: None, rcode: 0, authoritative, truncated, errors, answer, additional }
    }

    #[test]
    fn what_nobody_asked_for_is_let_go_of_and_the_rest_has_a_bound() {
        let (name, other) = (Name::from_text("web").unwrap(), Name::from_text("other").unwrap());
        let question = (name.clone(), rtype::A);
        let mut answered = Answered::default();
        let reply = answered.take(mk_reply(&other, 4000), &question).unwrap();
        assert_eq!((reply.answer.capacity(), reply.additional.capacity()), (0, 0));
        let takes = |answered: &mut Answered| answered.take(mk_reply(&name, 4000), &question).is_ok();
        let taken = (0..100).take_while(|_| takes(&mut answered)).count();
        assert_eq!(taken, ANSWERED / 4000);
        // Beside SRV records stand their addresses.
        let reply = Answered::default().take(mk_reply(&name, 10), &(name, rtype::SRV)).unwrap();
        assert_eq!((reply.answer.len(), reply.additional.len()), (0, 10));
    }

    #[test]
    fn a_reply_is_to_the_question_that_it_repeats() {
        let (name, other) = (Name::from_text("web").unwrap(), Name::from_text("other").unwrap());
        let reply = |question| Reply { question, ..mk_reply(&other, 0) };
        let asked = (name.clone(), rtype::A);
        assert!(is_of(&reply(None), &asked) && is_of(&reply(Some(asked.clone())), &asked));
        assert!(!is_of(&reply(Some((other.clone(), rtype::A))), &asked));
        assert!(!is_of(&reply(Some((name, rtype::AAAA))), &asked));
    }
}
