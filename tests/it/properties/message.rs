//! Questions as packets, and replies as the oracle's records, read by hickory-proto.

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::{Name as HickoryName, RData, Record as HickoryRecord};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::generate::Question;
use crate::oracle::{Name, Rdata, Record};

/// How a question is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) id: u16,
    pub(super) rd: bool,
    pub(super) cd: bool,
    /// The EDNS size and the DO bit.
    pub(super) edns: Option<(u16, bool)>,
}

/// A reply, whole.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) size: usize,
    pub(super) rcode: u16,
    pub(super) aa: bool,
    pub(super) tc: bool,
    pub(super) answer: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
    /// The DO bit, where there is an OPT record.
    pub(super) edns: Option<bool>,
}

/// Question and manner in wire form.
pub(crate) fn packet(question: &Question, manner: Manner) -> Vec<u8> {
    let mut packet = manner.id.to_be_bytes().to_vec();
    packet.extend([u8::from(manner.rd), u8::from(manner.cd) << 4]);
    packet.extend([0, 1, 0, 0, 0, 0, 0, u8::from(manner.edns.is_some())]);
    packet.extend(question_octets(question));
    if let Some((size, dnssec_ok)) = manner.edns {
        packet.extend([0, 0, 41]);
        packet.extend(size.to_be_bytes());
        packet.extend([0, 0, u8::from(dnssec_ok) << 7, 0, 0, 0]);
    }
    packet
}

/// Name, type and class IN.
fn question_octets(question: &Question) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in &question.name.0 {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label);
    }
    octets.push(0);
    octets.extend(question.rtype.to_be_bytes());
    octets.extend([0, 1]);
    octets
}

/// Reads a message that hickory-proto must be able to read, whole, with nothing behind it.
pub(super) fn decode(bytes: &[u8]) -> Result<Message, String> {
    let mut decoder = BinDecoder::new(bytes);
    let message = Message::read(&mut decoder).map_err(|error| format!("hickory-proto: {error}"))?;
    if decoder.is_empty() { Ok(message) } else { Err(format!("{} octets behind the message", decoder.len())) }
}

/// Reads the reply to a question, and checks what every reply has to repeat of it.
pub(super) fn read(bytes: &[u8], question: &Question, manner: Manner) -> Result<Reply, String> {
    let message = decode(bytes)?;
    let metadata = &message.metadata;
    let repeated = metadata.id == manner.id
        && metadata.message_type == MessageType::Response
        && metadata.recursion_desired == manner.rd
        && metadata.checking_disabled == manner.cd;
    ensure(repeated, || format!("id, QR, RD or CD: {metadata:?}"))?;
    ensure(!metadata.recursion_available && !metadata.authentic_data, || "RA or AD is set".into())?;
    // The question's own spelling, octet for octet, for clients that mix the case.
    let asked = question_octets(question);
    ensure(bytes[12..].starts_with(&asked), || "the question is not repeated".into())?;
    let records = |section: &[HickoryRecord]| section.iter().map(record).collect::<Result<Vec<_>, _>>();
    for given in message.answers.iter().filter(|r| lowered(&r.name) == question.name.lower()) {
        ensure(labels(&given.name) == question.name, || format!("{} is not spelt as asked", given.name))?;
    }
    Ok(Reply {
        size: bytes.len(),
        rcode: metadata.response_code.into(),
        aa: metadata.authoritative,
        tc: metadata.truncation,
        answer: records(&message.answers)?,
        authority: records(&message.authorities)?,
        additional: records(&message.additionals)?,
        edns: message.edns.as_ref().map(|edns| edns.flags().dnssec_ok),
    })
}

fn record(given: &HickoryRecord) -> Result<Record, String> {
    let seconds = |seconds: i32| u32::try_from(seconds).map_err(|_| format!("{seconds} s"));
    let data = match &given.data {
        RData::A(a) => Rdata::A(a.0),
        RData::AAAA(aaaa) => Rdata::Aaaa(aaaa.0),
        RData::CNAME(name) => Rdata::Cname(lowered(&name.0)),
        RData::NS(name) => Rdata::Ns(lowered(&name.0)),
        RData::PTR(name) => Rdata::Ptr(lowered(&name.0)),
        RData::TXT(txt) => Rdata::Txt(txt.txt_data.iter().map(|string| string.to_vec()).collect()),
        RData::SRV(srv) => Rdata::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: lowered(&srv.target),
        },
        RData::SOA(soa) => Rdata::Soa {
            mname: lowered(&soa.mname),
            rname: lowered(&soa.rname),
            times: [seconds(soa.refresh)?, seconds(soa.retry)?, seconds(soa.expire)?, soa.minimum],
        },
        other => return Err(format!("a record that nobody has: {other:?}")),
    };
    ensure(u16::from(given.dns_class) == 1, || format!("class {}", given.dns_class))?;
    Ok(Record { owner: lowered(&given.name), ttl: given.ttl, data })
}

fn labels(name: &HickoryName) -> Name {
    Name(name.iter().map(<[u8]>::to_vec).collect())
}

fn lowered(name: &HickoryName) -> Name {
    labels(name).lower()
}

pub(super) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
