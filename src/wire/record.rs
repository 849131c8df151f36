//! Records and replies as a client reads them: owned values, for what asks and not for what answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::constants::{class, rtype};
use super::name::{Name, NameError};
use super::query::{HEADER, QR};

/// The bits of a reply's header that a client looks at (RFC 1035, section 4.1.1).
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
/// EDNS option 15 (RFC 8914, section 2).
const OPTION_EXTENDED_ERROR: u16 = 15;

/// Of the texts of Extended DNS Errors so many characters are taken, and so many errors of a reply.
const MOST_TEXT: usize = 256;
const MOST_ERRORS: usize = 8;

/// A resource record of class IN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Lower case.
    pub owner: Name,
    /// TYPE.
    pub rtype: u16,
    /// TTL as it stands there; DNS Push Notifications give two values of it a meaning of their own.
    pub ttl: u32,
    /// None where it is empty, as in a removal of a whole set.
    pub data: Option<Data>,
}

/// The data of the types that the finding of peers needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// A and AAAA.
    Address(IpAddr),
    /// SRV (RFC 2782).
    Srv {
        /// Where it is served.
        target: Name,
        /// At this port.
        port: u16,
        /// Priority and weight: two records that differ in them alone are two.
        order: (u16, u16),
    },
    /// CNAME, NS and PTR.
    Name(Name),
    /// TXT: its strings.
    Text(Vec<Box<[u8]>>),
    /// SOA: its serial.
    Soa(u32),
    /// Any other type's octets.
    Other(Box<[u8]>),
}

/// A reply to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The question's.
    pub id: u16,
    /// What was asked for, name and type, where the reply repeats one question.
    pub question: Option<(Name, u16)>,
    /// RCODE, with the upper bits of EDNS (RFC 6891, section 6.1.3).
    pub rcode: u16,
    /// The server has authority over the name (AA).
    pub authoritative: bool,
    /// It did not fit (TC).
    pub truncated: bool,
    /// Extended DNS Errors (RFC 8914): code and text, 8 at most. A server's words reach logs and terminals: a text has 256
    /// characters at most, and none that steers.
    pub errors: Vec<(u16, String)>,
    /// The section Answer.
    pub answer: Vec<Record>,
    /// The section Additional, without OPT.
    pub additional: Vec<Record>,
}

/// Why octets are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It ends inside a header, a name or a record.
    #[error("is cut short")]
    Short,
    /// A question, or an opcode that asks for nothing.
    #[error("is no reply")]
    NoReply,
    /// A name in it.
    #[error("has a name that {0}")]
    Name(#[from] NameError),
    /// Data that is not of its type.
    #[error("has a malformed record of type {0}")]
    Data(u16),
}

impl Reply {
    /// Reads a whole reply of opcode QUERY.
    ///
    /// # Errors
    /// [`ReplyError`]: such a message is not to be trusted in any part.
    pub fn parse(message: &[u8]) -> Result<Self, ReplyError> {
        let [id, flags, questions, answers, authorities, additionals] = header(message)?;
        if flags & QR == 0 || flags & super::query::OPCODE != 0 {
            return Err(ReplyError::NoReply);
        }
        let mut at = HEADER;
        let mut question = None;
        for _ in 0..questions {
            let (name, behind) = Name::from_message(message, at)?;
            let &[t0, t1, ..] = message.get(behind..behind + 4).ok_or(ReplyError::Short)? else {
                return Err(ReplyError::Short);
            };
            at = behind + 4;
            question = Some((name, u16::from_be_bytes([t0, t1]))).filter(|_| questions == 1);
        }
        let mut reply = Self {
            id,
            question,
            rcode: flags & 15,
            authoritative: flags & AA != 0,
            truncated: flags & TC != 0,
            errors: Vec::new(),
            answer: Vec::new(),
            additional: Vec::new(),
        };
        for (section, count) in [answers, authorities, additionals].into_iter().enumerate() {
            for _ in 0..count {
                let raw = Raw::read(message, at)?;
                at = raw.behind;
                if raw.rtype == rtype::OPT {
                    // The uppermost 8 bits of the TTL are those of the RCODE.
                    reply.rcode |= u16::from(raw.ttl.to_be_bytes()[0]) << 4;
                    let room = MOST_ERRORS - reply.errors.len();
                    reply.errors.extend(extended_errors(raw.octets).into_iter().take(room));
                } else if raw.class == class::IN && section != 1 {
                    let record = raw.record(message)?;
                    if section == 0 { reply.answer.push(record) } else { reply.additional.push(record) }
                }
            }
        }
        Ok(reply)
    }
}

/// Reads records that stand one behind the other from `from` up to `to`, the body of a PUSH message. A removal of a whole name
/// in all classes is one of all types, whatever its type says (RFC 8765, section 6.3.1).
///
/// # Errors
/// [`ReplyError`]
pub(super) fn records(message: &[u8], from: usize, to: usize) -> Result<Vec<Record>, ReplyError> {
    let message = message.get(..to).ok_or(ReplyError::Short)?;
    let (mut at, mut records) = (from, Vec::new());
    while at < to {
        let raw = Raw::read(message, at)?;
        at = raw.behind;
        match raw.class {
            class::IN => records.push(raw.record(message)?),
            class::ANY => records.push(Raw { rtype: rtype::ANY, ..raw }.record(message)?),
            _ => {}
        }
    }
    Ok(records)
}

fn header(message: &[u8]) -> Result<[u16; 6], ReplyError> {
    let header: &[u8; HEADER] = message.first_chunk().ok_or(ReplyError::Short)?;
    Ok(std::array::from_fn(|i| u16::from_be_bytes([header[2 * i], header[2 * i + 1]])))
}

/// A record whose data is not looked at yet.
struct Raw<'m> {
    owner: Name,
    rtype: u16,
    class: u16,
    ttl: u32,
    octets: &'m [u8],
    behind: usize,
}

impl<'m> Raw<'m> {
    fn read(message: &'m [u8], at: usize) -> Result<Self, ReplyError> {
        let (owner, at) = Name::from_message(message, at)?;
        let fixed = message.get(at..at + 10).ok_or(ReplyError::Short)?;
        let word = |i: usize| u16::from_be_bytes([fixed[i], fixed[i + 1]]);
        let behind = at + 10 + usize::from(word(8));
        let octets = message.get(at + 10..behind).ok_or(ReplyError::Short)?;
        let ttl = u32::from(word(4)) << 16 | u32::from(word(6));
        Ok(Self { owner, rtype: word(0), class: word(2), ttl, octets, behind })
    }

    /// With its data, which may hold names that point into the message.
    fn record(self, message: &[u8]) -> Result<Record, ReplyError> {
        let data = if self.octets.is_empty() { None } else { Some(self.data(message)?) };
        Ok(Record { owner: self.owner, rtype: self.rtype, ttl: self.ttl, data })
    }

    fn data(&self, message: &[u8]) -> Result<Data, ReplyError> {
        let malformed = ReplyError::Data(self.rtype);
        let from = self.behind - self.octets.len();
        let name = |at: usize| match Name::from_message(&message[..self.behind], at)? {
            (name, behind) if behind == self.behind => Ok(name),
            _ => Err(malformed),
        };
        Ok(match self.rtype {
            rtype::A => {
                Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(self.octets).map_err(|_| malformed)?).into())
            }
            rtype::AAAA => Data::Address(
                Ipv6Addr::from(<[u8; 16]>::try_from(self.octets).map_err(|_| malformed)?).into(),
            ),
            rtype::SRV => {
                let &[p0, p1, w0, w1, n0, n1] = self.octets.first_chunk().ok_or(malformed)?;
                let order = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([w0, w1]));
                Data::Srv { target: name(from + 6)?, port: u16::from_be_bytes([n0, n1]), order }
            }
            rtype::CNAME | rtype::NS | rtype::PTR => Data::Name(name(from)?),
            rtype::TXT => Data::Text(strings(self.octets).ok_or(malformed)?),
            rtype::SOA => {
                let (_, at) = Name::from_message(&message[..self.behind], from)?;
                let (_, at) = Name::from_message(&message[..self.behind], at)?;
                let numbers = message.get(at..self.behind).filter(|numbers| numbers.len() == 20);
                let serial = numbers.and_then(<[u8]>::first_chunk).ok_or(malformed)?;
                Data::Soa(u32::from_be_bytes(*serial))
            }
            _ => Data::Other(self.octets.into()),
        })
    }
}

/// The strings of a TXT record (RFC 1035, section 3.3.14).
fn strings(octets: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let (mut rest, mut strings) = (octets, Vec::new());
    while let Some((&length, behind)) = rest.split_first() {
        let (string, behind) = behind.split_at_checked(length.into())?;
        strings.push(string.into());
        rest = behind;
    }
    Some(strings)
}

/// The Extended DNS Errors among EDNS options; what is cut short there is passed over.
fn extended_errors(options: &[u8]) -> Vec<(u16, String)> {
    let (mut rest, mut errors) = (options, Vec::new());
    while let Some((&[c0, c1, l0, l1], behind)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((data, behind)) = behind.split_at_checked(length) else { break };
        if let (OPTION_EXTENDED_ERROR, Some((info, text))) =
            (u16::from_be_bytes([c0, c1]), data.split_first_chunk::<2>())
        {
            errors.push((u16::from_be_bytes(*info), plain(text)));
            if errors.len() >= MOST_ERRORS {
                break;
            }
        }
        rest = behind;
    }
    errors
}

/// A text as it may be shown: without what moves a cursor, hides or turns around other characters, and not without end.
fn plain(octets: &[u8]) -> String {
    // RFC 8914, section 2: it may end with a null.
    let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    // Four octets a character at most; one that is cut there is beyond the most.
    let text = String::from_utf8_lossy(&octets[..end.min(4 * MOST_TEXT + 4)]);
    let is_steering = |char: char| {
        let is_format = matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        );
        char.is_control() || is_format
    };
    let shown = |char: char| if is_steering(char) { char::REPLACEMENT_CHARACTER } else { char };
    let mut plain: String = text.chars().take(MOST_TEXT).map(shown).collect();
    if text.chars().nth(MOST_TEXT).is_some() {
        plain.push('…');
    }
    plain
}

/// A question of class IN, RD set as stub resolvers do, with EDNS for answers of at most `payload` octets.
#[must_use]
pub fn question(id: u16, name: &Name, rtype: u16, payload: u16) -> Vec<u8> {
    let mut octets = Vec::with_capacity(HEADER + name.as_wire().len() + 15);
    for word in [id, super::query::RD, 1, 0, 0, 1] {
        octets.extend(word.to_be_bytes());
    }
    octets.extend_from_slice(name.as_wire());
    for word in [rtype, class::IN] {
        octets.extend(word.to_be_bytes());
    }
    // The root, OPT, the size, no flags, no options (RFC 6891, section 6.1.2).
    octets.push(0);
    for word in [rtype::OPT, payload, 0, 0, 0] {
        octets.extend(word.to_be_bytes());
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rcode;

    /// A reply to `web.` SRV as RFC 1035, section 4.1, and RFC 2782 have it, octet by octet.
    const REPLY: &[u8] = b"\x12\x34\x84\x03\x00\x01\x00\x02\x00\x01\x00\x02\
        \x03Web\x00\x00\x21\x00\x01\
        \xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x05\x00\x0d\x00\x00\x00\x32\x1f\x90\x01a\x03web\x00\
        \xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05\x00\x06\x03a=1\x01b\
        \x00\x00\x06\x00\x01\x00\x00\x00\x05\x00\x16\x00\x00\x00\x00\x00\x07\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\
        \x01a\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01\
        \x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x0a\x00\x0f\x00\x06\x00\x13late";

    #[test]
    fn a_reply_is_read_octet_by_octet() {
        let reply = Reply::parse(REPLY).unwrap();
        assert_eq!((reply.id, reply.authoritative, reply.truncated), (0x1234, true, false));
        assert_eq!(reply.question, Some((Name::from_text("web").unwrap(), rtype::SRV)));
        assert_eq!(reply.rcode, 1 << 4 | rcode::NXDOMAIN, "OPT has its upper bits");
        assert_eq!(reply.errors, [(19, "late".to_owned())]);
        let name = |text: &str| Name::from_text(text).unwrap();
        let srv = Data::Srv { target: name("a.web"), port: 8080, order: (0, 50) };
        let text = Data::Text(vec![b"a=1"[..].into(), b"b"[..].into()]);
        let record =
            |owner: &str, rtype, data| Record { owner: name(owner), rtype, ttl: 5, data: Some(data) };
        assert_eq!(reply.answer, [record("web", rtype::SRV, srv), record("web", rtype::TXT, text)]);
        let address = Data::Address([10, 0, 0, 1].into());
        assert_eq!(reply.additional, [record("a.web", rtype::A, address)]);
    }

    #[test]
    fn a_servers_words_do_not_steer_what_they_are_shown_on() {
        let option = |text: &[u8]| {
            let length = u16::try_from(text.len() + 2).unwrap().to_be_bytes();
            [&[0, 15][..], &length, &[0, 3], text].concat()
        };
        let texts = |options: &[u8]| -> Vec<String> {
            extended_errors(options).into_iter().map(|(_, text)| text).collect()
        };
        let steering = "\x1b[2J\r\n\u{9b}31m\u{202e}\u{200b}\u{2066}\u{feff}\u{7f}".as_bytes();
        let shown = texts(&option(steering)).concat();
        assert_eq!(shown, "?[2J???31m?????".replace('?', "\u{fffd}"));
        assert_eq!(texts(&option(b"slice \xc3\xa9t\xc3\xa9 \xff\0\0")), ["slice été \u{fffd}"]);
        assert_eq!(texts(&option("é".repeat(256).as_bytes())), ["é".repeat(256)]);
        assert_eq!(texts(&option("é".repeat(9000).as_bytes())), [format!("{}…", "é".repeat(256))]);
        assert_eq!(texts(&option(b"x").repeat(1000)).len(), MOST_ERRORS);
    }

    #[test]
    fn no_reply_that_is_cut_anywhere_is_read() {
        for length in 0..REPLY.len() {
            assert!(Reply::parse(&REPLY[..length]).is_err(), "{length}");
        }
        let mut question = REPLY.to_vec();
        question[2] &= 0x7f;
        assert_eq!(Reply::parse(&question), Err(ReplyError::NoReply));
    }

    #[test]
    fn data_of_another_length_is_malformed() {
        let record = |rtype: u16, data: &[u8]| {
            let length = u16::try_from(data.len()).unwrap();
            let fixed =
                [&b"\x00"[..], &rtype.to_be_bytes(), b"\x00\x01\x00\x00\x00\x05", &length.to_be_bytes()];
            let octets = [&fixed.concat(), data].concat();
            records(&octets, 0, octets.len())
        };
        for (rtype, data) in [
            (rtype::A, &b"\x0a\x00\x00"[..]),
            (rtype::AAAA, b"\x0a\x00\x00\x01"),
            (rtype::SRV, b"\x00\x00\x00\x00\x00"),
            (rtype::SRV, b"\x00\x00\x00\x00\x00\x50\x00\x00"),
            (rtype::PTR, b"\x00\x00"),
            (rtype::TXT, b"\x05abc"),
            (rtype::SOA, b"\x00\x00\x00\x00\x00\x07"),
        ] {
            assert_eq!(record(rtype, data), Err(ReplyError::Data(rtype)), "{rtype} {data:?}");
        }
        assert_eq!(record(rtype::A, b"").unwrap()[0].data, None, "a removal has no data");
        let soa = [&[0, 0][..], &7_u32.to_be_bytes(), &[0; 16]].concat();
        assert_eq!(record(rtype::SOA, &soa).unwrap()[0].data, Some(Data::Soa(7)));
    }

    #[test]
    fn a_question_is_one_that_servers_read() {
        let name = Name::from_text("web.example").unwrap();
        let octets = question(7, &name, rtype::SRV, 1232);
        let mut query = crate::wire::Query::default();
        query.parse(&octets).unwrap();
        assert_eq!((query.id, query.rtype, query.name.as_wire()), (7, rtype::SRV, name.as_wire()));
        assert_eq!(query.edns.map(|edns| edns.payload), Some(1232));
    }
}
