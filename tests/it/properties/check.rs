//! One answer held against the oracle, one truncated answer against the whole one.

use std::fmt;

use rollcall::server::Transport;

use super::message::{Manner, Reply, ensure, packet, read};
use super::served::{Asked, Served, Variant};
use crate::generate::Question;
use crate::oracle::{Expected, OracleSettings, Rdata, Record, World, qtype};

/// Asks with the limit of TCP; the answer is the oracle's, and given back.
pub(super) fn whole_answer(
    served: &mut Served,
    world: &World<'_>,
    variant: Variant,
    question: &Question,
    manner: Manner,
) -> Result<Expected, String> {
    let expected = world.answer(&question.name, question.rtype);
    let asked = served.ask(&packet(question, manner), Transport::Tcp);
    let reply = read(asked.reply().ok_or("silence")?, question, manner)?;
    let chased = match &asked {
        Asked::Chase { target, rtype, limit: 65535, .. } => Some((target.lower(), *rtype)),
        _ => None,
    };
    let upstream = expected.chase && variant.upstream && manner.rd;
    let end = expected.answer.last().and_then(|alias| alias.data.target()).filter(|_| upstream);
    ensure(chased == end.map(|end| (end.clone(), question.rtype)), || format!("a chase of {chased:?}"))?;
    // What resolvers take for the name of an address is the first record.
    let ranks = world.pointer_ranks(&reply.answer);
    ensure(ranks.is_sorted(), || format!("PTR records out of order: {:?}", reply.answer))?;
    is_expected(&reply, &expected, world.settings(), manner)?;
    Ok(expected)
}

fn is_expected(
    reply: &Reply,
    expected: &Expected,
    settings: &OracleSettings,
    manner: Manner,
) -> Result<(), String> {
    same("rcode", &reply.rcode, &expected.rcode)?;
    same("AA", &reply.aa, &expected.aa)?;
    same("TC", &reply.tc, &false)?;
    same("DO of the OPT record", &reply.edns, &manner.edns.map(|(_, dnssec_ok)| dnssec_ok))?;
    same_set("answer", &reply.answer, &expected.answer)?;
    same("chain", &chain(&reply.answer), &chain(&expected.answer))?;
    same_set("additional", &reply.additional, &expected.additional)?;
    let soa =
        |(owner, ttl): &(_, u32)| Record { owner: Clone::clone(owner), ttl: *ttl, data: settings.soa_data() };
    let authority: Vec<Record> = expected.authority.iter().map(soa).collect();
    same("authority", &reply.authority, &authority)
}

fn same<T: PartialEq + fmt::Debug>(what: &str, given: &T, expected: &T) -> Result<(), String> {
    ensure(given == expected, || format!("{what}: {given:?}\ninstead of {expected:?}"))
}

/// The same records, each as often; only the difference is said, for sections may be long.
fn same_set(what: &str, given: &[Record], expected: &[Record]) -> Result<(), String> {
    let (mut added, mut missing) = (given.to_vec(), expected.to_vec());
    added.retain(|record| match missing.iter().position(|other| other == record) {
        Some(at) => {
            missing.remove(at);
            false
        }
        None => true,
    });
    ensure(added.is_empty() && missing.is_empty(), || {
        let (given, expected) = (given.len(), expected.len());
        format!(
            "{what}: {given} records instead of {expected}; not expected: {added:?}; missing: {missing:?}"
        )
    })
}

/// Asks over UDP and with the limit of TCP: the first is a truthful part of the second.
pub(super) fn truncated_answer(
    served: &mut Served,
    question: &Question,
    manner: Manner,
) -> Result<(), String> {
    let packet = packet(question, manner);
    let (whole, part) = (served.ask(&packet, Transport::Tcp), served.ask(&packet, Transport::Udp));
    let chases = |asked: &Asked| matches!(asked, Asked::Chase { .. });
    let (chased, still_chased) = (chases(&whole), chases(&part));
    let (whole, part) = (whole.reply().ok_or("silence")?, part.reply().ok_or("silence")?);
    let limit = usize::from(manner.edns.map_or(512, |(size, _)| size.clamp(512, 1232)));
    let (whole, part) = (read(whole, question, manner)?, read(part, question, manner)?);
    ensure(chased == still_chased || (chased && part.tc), || "the end of the chain is forgotten".into())?;
    is_truthful(&whole, &part, limit, question)
        .map_err(|why| format!("{why} (limit {limit})\nwhole {whole:#?}\npart {part:#?}"))
}

fn is_truthful(whole: &Reply, part: &Reply, limit: usize, question: &Question) -> Result<(), String> {
    let lost_answer = missing(&whole.answer, &part.answer)?;
    let lost_authority = missing(&whole.authority, &part.authority)?;
    let lost_glue = missing(&whole.additional, &part.additional)?;
    let cut = !lost_answer.is_empty() || !lost_authority.is_empty();
    ensure(part.size <= limit, || format!("{} octets", part.size))?;
    ensure((part.rcode, part.aa, part.edns) == (whole.rcode, whole.aa, whole.edns), || "other flags".into())?;
    ensure(part.tc == cut, || format!("TC is {}", part.tc))?;
    ensure(!cut || part.additional.is_empty(), || "glue stayed where an answer had to go".into())?;
    let complete = !cut && lost_glue.is_empty();
    ensure(complete || whole.size > limit, || "cut though all of it fits".into())?;
    ensure(chain(&whole.answer).starts_with(&chain(&part.answer)), || "a chain with a gap".into())?;
    let data_follows = part.answer.iter().any(|record| record.data.rtype() != qtype::CNAME);
    ensure(!data_follows || chain(&whole.answer) == chain(&part.answer), || "data behind a gap".into())?;
    // No more is left out than has to be: the largest record that is missing would not have fitted.
    let size = |record: &Record| {
        let owner = if record.owner == question.name.lower() { 2 } else { record.owner.wire_length() };
        owner + 10 + record.data.wire_length()
    };
    let next = lost_answer.iter().map(size).max().unwrap_or(usize::MAX / 2);
    ensure(!lost_authority.is_empty() || part.size + next > limit, || "there was room for one more".into())
}

/// What `part` lacks of `whole`; it must have nothing else.
fn missing(whole: &[Record], part: &[Record]) -> Result<Vec<Record>, String> {
    let mut rest = whole.to_vec();
    for record in part {
        let at = rest.iter().position(|other| other == record);
        rest.remove(at.ok_or_else(|| format!("{record:?} is not in the whole answer"))?);
    }
    Ok(rest)
}

fn chain(records: &[Record]) -> Vec<&Record> {
    records.iter().take_while(|record| matches!(record.data, Rdata::Cname(_))).collect()
}
