//! The zone's answer to a question, read back as a client reads it.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::explanation::RecordSaid;
use super::typed::Typed;
use crate::reasons::{Answer, Reason};
use crate::wire::{self, Query, class, rtype};
use crate::zone::{self, View};

/// A question as a packet: RD=1, as a stub resolver asks, and EDNS, so that reasons are told.
pub(super) struct Asked {
    /// As it was typed, upper case and all.
    pub(super) name: String,
    pub(super) rtype: u16,
    packet: Vec<u8>,
}

/// The payload that the question offers.
const PAYLOAD: u16 = 1232;
/// Recursion desired (RFC 1035, section 4.1.1).
const RD: u16 = 0x0100;

impl Asked {
    pub(super) fn new(name: &Typed, qtype: u16) -> Self {
        let mut packet = Vec::with_capacity(64);
        for word in [0, RD, 1, 0, 0, 1] {
            packet.extend(u16::to_be_bytes(word));
        }
        packet.extend(name.wire());
        for word in [qtype, class::IN] {
            packet.extend(word.to_be_bytes());
        }
        // OPT (RFC 6891, section 6.1.2): the root, its type, the payload, no flags, no options.
        packet.push(0);
        for word in [rtype::OPT, PAYLOAD, 0, 0, 0] {
            packet.extend(word.to_be_bytes());
        }
        Self { name: name.to_string(), rtype: qtype, packet }
    }

    /// `A`, `SRV`, `TYPE65400`.
    pub(super) fn type_name(&self) -> String {
        RecordType::from(self.rtype).to_string()
    }
}

/// A name as octets, in its own spelling.
pub(super) fn wire_of(name: &Name) -> Vec<u8> {
    let mut octets = Vec::with_capacity(64);
    for label in name.iter() {
        octets.extend(u8::try_from(label.len()));
        octets.extend(label);
    }
    octets.push(0);
    octets
}

/// An answer, and why it is what it is.
pub(super) struct Answered<'a> {
    pub(super) query: &'a Query,
    pub(super) answer: Answer,
    pub(super) reason: Option<Reason<'a>>,
    /// Since when it is stale, as a sentence.
    pub(super) stale: Option<&'a str>,
    /// For how many milliseconds a client's question is kept open before it is answered so.
    pub(super) awaited: Option<u16>,
    /// The reply, read.
    pub(super) message: Message,
    /// The name that an upstream is asked for.
    pub(super) chased: Option<String>,
}

impl Answered<'_> {
    /// Whether there is what was asked for: records of the type, or an alias that leads to where others answer.
    pub(super) fn has_records(&self) -> bool {
        let rtype = self.query.rtype;
        let is_asked =
            |record: &Record| rtype == wire::rtype::ANY || u16::from(record.record_type()) == rtype;
        let leads_out = self.chased.is_some() || self.reason == Some(Reason::AliasNotFollowed);
        self.answer == Answer::Records && (leads_out || self.message.answers.iter().any(is_asked))
    }
}

/// Asks the zone.
pub(super) fn ask<R>(view: &View<'_>, asked: &Asked, then: impl FnOnce(&Answered<'_>) -> R) -> R {
    let mut query = Query::default();
    // A packet of our own making: it parses.
    let _ = query.parse(&asked.packet);
    zone::explain_reply(view, &query, &asked.packet, |explained, reply, chased| {
        let message = Message::from_vec(reply).unwrap_or_else(|_| Message::query());
        then(&Answered {
            query: &query,
            answer: explained.answer,
            reason: explained.reason,
            stale: explained.stale,
            awaited: explained.awaited,
            message,
            chased: chased.map(wire::Name::to_string),
        })
    })
}

/// Records as a page and a terminal show them.
pub(super) fn records(records: &[Record]) -> Vec<RecordSaid> {
    let said = |record: &Record| RecordSaid {
        name: record.name.to_ascii(),
        ttl: record.ttl,
        rtype: record.record_type().to_string(),
        data: data(&record.data),
    };
    records.iter().map(said).collect()
}

/// As a master file has it (RFC 1035, section 5.1): strings of a TXT record are told from one another.
fn data(data: &RData) -> String {
    match data {
        RData::TXT(text) => {
            let strings = text.txt_data.iter().map(|string| format!("\"{}\"", string.escape_ascii()));
            strings.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// The mnemonic of a response code (RFC 1035, section 4.1.1).
pub(super) fn code_name(code: u16) -> String {
    match code {
        wire::rcode::NOERROR => "NOERROR",
        wire::rcode::FORMERR => "FORMERR",
        wire::rcode::SERVFAIL => "SERVFAIL",
        wire::rcode::NXDOMAIN => "NXDOMAIN",
        wire::rcode::NOTIMP => "NOTIMP",
        wire::rcode::REFUSED => "REFUSED",
        other => return other.to_string(),
    }
    .to_owned()
}

/// What an INFO-CODE means (RFC 8914, section 5.2).
pub(super) fn meaning(code: u16) -> &'static str {
    match code {
        0 => "Other Error",
        3 => "Stale Answer",
        14 => "Not Ready",
        19 => "Stale NXDOMAIN Answer",
        20 => "Not Authoritative",
        21 => "Not Supported",
        23 => "Network Error",
        24 => "Invalid Data",
        _ => "Extended DNS Error",
    }
}
