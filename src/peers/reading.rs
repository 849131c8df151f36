//! All of a service's records, asked for: what every way begins with, and what a doubt is settled with.

use super::datagram::Datagrams;
use super::list::Peer;
use super::place::Place;
use super::stream::Connection;
use super::trouble::Trouble;
use super::view::{Question, View, is_answer};
use crate::wire::record::{Data, Reply};
use crate::wire::{Name, rcode, rtype};

/// How often what is still unknown is asked for, before what is known has to do: the cluster goes on changing meanwhile.
const ROUNDS: usize = 3;

/// Who is asked.
pub(super) enum Asked {
    Stream(Connection),
    Datagrams(Datagrams, String),
}

impl Asked {
    pub(super) async fn ask(&mut self, questions: &[Question]) -> Result<Vec<Reply>, Trouble> {
        match self {
            Self::Stream(connection) => connection.ask(questions).await,
            Self::Datagrams(datagrams, _) => datagrams.ask(questions).await,
        }
    }

    pub(super) fn server(&self) -> &str {
        match self {
            Self::Stream(connection) => connection.server(),
            Self::Datagrams(_, server) => server,
        }
    }
}

/// What records say of a service at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) members: Vec<Peer>,
    pub(super) missing: Vec<Peer>,
    pub(super) expected: Option<u64>,
    /// Whether that nobody is there was said by whom the zone is of (AA).
    pub(super) authoritative: bool,
    /// What was said of the data's age, where they are stale.
    pub(super) stale: Option<Option<String>>,
    /// Everything that was to be asked is known.
    pub(super) settled: bool,
}

impl Reading {
    /// From records that are known.
    pub(super) fn of(view: &View, settled: bool) -> Self {
        let members = view.members();
        let (expected, missing) = view.expected(&members);
        Self { members, missing, expected, authoritative: false, stale: None, settled }
    }
}

/// Asks for everything anew.
pub(super) async fn read(asked: &mut Asked, view: &mut View, place: &Place) -> Result<Reading, Trouble> {
    let of_service = |rtype| (place.service.clone(), rtype);
    let questions = [
        of_service(rtype::SRV),
        of_service(rtype::A),
        of_service(rtype::AAAA),
        (place.sets.clone(), rtype::TXT),
    ];
    let replies = asked.ask(&questions).await?;
    let (mut authoritative, mut stale) = (true, None);
    for (question, reply) in questions.iter().zip(&replies) {
        if question.1 == rtype::TXT {
            // Nobody has to tell how many there should be: what was told once stays until it is told anew.
            if is_answer(reply) {
                view.answer(question, reply);
            }
            continue;
        }
        check(asked.server(), question, reply)?;
        if reply.truncated && question.1 != rtype::SRV {
            return Err(Trouble::TooMany {
                server: asked.server().to_owned(),
                name: place.service.to_string(),
            });
        }
        authoritative &= reply.authoritative;
        stale = stale.or_else(|| staleness(reply));
        view.answer(question, reply);
    }
    let settled = complete(asked, view).await?;
    Ok(Reading { authoritative, stale, ..Reading::of(view, settled) })
}

/// Asks for what is unknown; whether all is known then.
pub(super) async fn complete(asked: &mut Asked, view: &mut View) -> Result<bool, Trouble> {
    for _ in 0..ROUNDS {
        within(asked.server(), view)?;
        let wanted = view.wanted();
        if wanted.is_empty() {
            return Ok(true);
        }
        let replies = asked.ask(&wanted).await?;
        for (question, reply) in wanted.iter().zip(&replies) {
            // Reverse names may be another server's, and refused: an address without a name is a peer as well.
            if question.1 != rtype::PTR || reply.rcode != rcode::REFUSED {
                check(asked.server(), question, reply)?;
            }
            view.answer(question, reply);
        }
    }
    within(asked.server(), view)?;
    Ok(view.wanted().is_empty())
}

/// What is known is all that was said.
pub(super) fn within(server: &str, view: &View) -> Result<(), Trouble> {
    view.excess().map_or(Ok(()), |excess| Err(excess.of(server)))
}

/// The zone's serial; None where it is not told.
pub(super) async fn serial(asked: &mut Asked, zone: &Name) -> Result<Option<u32>, Trouble> {
    let question = (zone.clone(), rtype::SOA);
    let replies = asked.ask(std::slice::from_ref(&question)).await?;
    let Some(reply) = replies.first() else { return Ok(None) };
    check(asked.server(), &question, reply)?;
    let serial = |data: &Data| if let Data::Soa(serial) = data { Some(*serial) } else { None };
    Ok(reply.answer.iter().filter_map(|record| record.data.as_ref()).find_map(serial))
}

/// An answer that can be taken: NOERROR or NXDOMAIN, and of no alias.
pub(super) fn check(server: &str, (name, _): &Question, reply: &Reply) -> Result<(), Trouble> {
    if !is_answer(reply) {
        let why = reply.errors.iter().find(|(_, text)| !text.is_empty()).map(|(_, text)| text.clone());
        let (server, name) = (server.to_owned(), name.to_string());
        return Err(Trouble::Refused { server, rcode: reply.rcode, name, why });
    }
    let is_alias = reply.answer.iter().any(|record| record.rtype == rtype::CNAME && record.owner == *name);
    if is_alias { Err(Trouble::Alias { name: name.to_string() }) } else { Ok(()) }
}

/// The text of an Extended DNS Error that says that data are stale, or not known yet: 3, 14, 19, 22 and 23 (RFC 8914,
/// section 4).
pub(super) fn staleness(reply: &Reply) -> Option<Option<String>> {
    let error = reply.errors.iter().find(|(code, _)| matches!(code, 3 | 14 | 19 | 22 | 23));
    error.map(|(_, text)| Some(text.clone()).filter(|text| !text.is_empty()))
}
