//! What a client sent: header, question, EDNS; everything else is walked over and ignored.

use super::constants::{rcode, rtype};
use super::name::ParsedName;

pub(crate) const HEADER: usize = 12;
pub(crate) const QR: u16 = 0x8000;
pub(crate) const OPCODE: u16 = 0x7800;
pub(crate) const RD: u16 = 0x0100;
pub(crate) const CD: u16 = 0x0010;

/// The OPT record of a query (RFC 6891, section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The size that the client can take, as it said it; see [`Query::udp_limit`].
    pub payload: u16,
    /// The version; answers are made for 0 only.
    pub version: u8,
    /// DNSSEC OK, copied into the reply (RFC 3225, section 3).
    pub dnssec_ok: bool,
}

/// Why a packet is not answered as a question. Each maps to a response code in [`QueryError::rcode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Fewer than 12 octets: nothing to answer to.
    #[error("shorter than a header")]
    Short,
    /// QR=1: answering responses makes loops.
    #[error("a response, not a query")]
    Response,
    /// An opcode other than QUERY.
    #[error("opcode is not implemented")]
    Opcode,
    /// QDCOUNT is not 1 (RFC 9619).
    #[error("the question count is not one")]
    QuestionCount,
    /// The question does not parse.
    #[error("the question is malformed")]
    Question,
    /// A record behind the question does not parse, or octets are left behind the last one.
    #[error("a record is malformed, or octets are left over")]
    Records,
    /// RFC 6891, section 6.1.1.
    #[error("more than one OPT record")]
    TwoOpt,
    /// RFC 6891, section 6.1.3.
    #[error("EDNS version is not implemented")]
    Version,
}

impl QueryError {
    /// The code to answer with; None is silence. The one place where packet errors become codes.
    #[must_use]
    pub fn rcode(self) -> Option<u16> {
        match self {
            Self::Short | Self::Response => None,
            Self::Opcode => Some(rcode::NOTIMP),
            Self::QuestionCount | Self::Question | Self::Records | Self::TwoOpt => Some(rcode::FORMERR),
            Self::Version => Some(rcode::BADVERS),
        }
    }

    /// Whether the question was read before this came up; see [`Query::parse`].
    #[must_use]
    pub fn has_question(self) -> bool {
        matches!(self, Self::Records | Self::TwoOpt | Self::Version)
    }
}

/// A parsed query: a buffer to parse into again and again, without an allocation.
#[derive(Default)]
pub struct Query {
    /// The header's ID.
    pub id: u16,
    /// The header's second 16 bits: QR, opcode, flags.
    pub flags: u16,
    /// QNAME, lower case.
    pub name: ParsedName,
    /// QTYPE.
    pub rtype: u16,
    /// QCLASS.
    pub class: u16,
    /// The OPT record, if there is one.
    pub edns: Option<Edns>,
    /// Where the question ends in the packet; 12 while there is none to copy.
    pub(crate) question_end: usize,
}

impl Query {
    /// Parses a packet.
    ///
    /// # Errors
    /// See [`QueryError`]. What was understood by then (ID, flags, question, OPT) is kept for the reply.
    pub fn parse(&mut self, packet: &[u8]) -> Result<(), QueryError> {
        let header: &[u8; HEADER] = packet.first_chunk().ok_or(QueryError::Short)?;
        let word = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
        (self.id, self.flags) = (word(0), word(2));
        self.edns = None;
        self.question_end = HEADER;
        if self.flags & QR != 0 {
            return Err(QueryError::Response);
        }
        if self.flags & OPCODE != 0 {
            return Err(QueryError::Opcode);
        }
        if word(4) != 1 {
            if word(4) == 0 {
                // An OPT record is owed one in the reply (RFC 6891, section 6.1.1), whatever else is wrong.
                let _ = self.records(packet, u32::from(word(6)) + u32::from(word(8)), u32::from(word(10)));
            }
            return Err(QueryError::QuestionCount);
        }
        let length = self.name.parse(&packet[HEADER..]).map_err(|_| QueryError::Question)?;
        let fixed: &[u8; 4] = packet[HEADER + length..].first_chunk().ok_or(QueryError::Question)?;
        self.rtype = u16::from_be_bytes([fixed[0], fixed[1]]);
        self.class = u16::from_be_bytes([fixed[2], fixed[3]]);
        self.question_end = HEADER + length + 4;
        self.records(packet, u32::from(word(6)) + u32::from(word(8)), u32::from(word(10)))
    }

    /// Walks over `skipped` records of the answer and authority sections and reads `additional` ones.
    fn records(&mut self, packet: &[u8], skipped: u32, additional: u32) -> Result<(), QueryError> {
        let mut at = self.question_end;
        for _ in 0..skipped {
            at = record(packet, at)?.end;
        }
        let mut opts = 0;
        for _ in 0..additional {
            let record = record(packet, at)?;
            if record.rtype == rtype::OPT {
                opts += 1;
                self.opt(packet, at, &record)?;
            }
            at = record.end;
        }
        if at != packet.len() {
            return Err(QueryError::Records);
        }
        if opts > 1 {
            return Err(QueryError::TwoOpt);
        }
        match self.edns {
            Some(edns) if edns.version != 0 => Err(QueryError::Version),
            _ => Ok(()),
        }
    }

    fn opt(&mut self, packet: &[u8], start: usize, record: &Record) -> Result<(), QueryError> {
        let [_, version, flags, _] = record.ttl;
        self.edns = Some(Edns { payload: record.class, version, dnssec_ok: flags & 0x80 != 0 });
        // The owner must be the root (RFC 6891, section 6.1.2).
        if packet[start] != 0 {
            return Err(QueryError::Records);
        }
        if version == 0 {
            options(&packet[record.rdata..record.end])?;
        }
        Ok(())
    }

    /// The most octets of a reply over UDP: what the client takes, at most `most`, at least 512
    /// (RFC 1035, section 2.3.4; RFC 6891, section 6.2.3).
    #[must_use]
    pub fn udp_limit(&self, most: usize) -> usize {
        self.edns.map_or(512, |edns| usize::from(edns.payload).clamp(512, most))
    }

    /// RD=1.
    #[must_use]
    pub fn recursion_desired(&self) -> bool {
        self.flags & RD != 0
    }
}

pub(super) struct Record {
    pub(super) rtype: u16,
    class: u16,
    pub(super) ttl: [u8; 4],
    pub(super) rdata: usize,
    pub(super) end: usize,
}

pub(super) fn record(packet: &[u8], at: usize) -> Result<Record, QueryError> {
    let fixed_at = skip_name(packet, at).ok_or(QueryError::Records)?;
    let fixed: &[u8; 10] = packet[fixed_at..].first_chunk().ok_or(QueryError::Records)?;
    let rdata = fixed_at + 10;
    let end = rdata + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    if end > packet.len() {
        return Err(QueryError::Records);
    }
    Ok(Record {
        rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
        class: u16::from_be_bytes([fixed[2], fixed[3]]),
        ttl: [fixed[4], fixed[5], fixed[6], fixed[7]],
        rdata,
        end,
    })
}

/// Where a name that may be compressed ends; what a pointer points to is not looked at.
pub(super) fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + length,
            192.. => return (at + 2 <= packet.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

/// Options are ignored, but they must be whole.
fn options(mut rdata: &[u8]) -> Result<(), QueryError> {
    while !rdata.is_empty() {
        let head: &[u8; 4] = rdata.first_chunk().ok_or(QueryError::Records)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        rdata = rdata.get(4 + length..).ok_or(QueryError::Records)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(counts: [u8; 4], rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd, 0x01, 0x10];
        for count in counts {
            packet.extend([0, count]);
        }
        packet.extend_from_slice(rest);
        packet
    }

    const QUESTION: &[u8] = b"\x03WEB\x00\x00\x01\x00\x01";
    const OPT: &[u8] = b"\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00";

    fn parse(packet: &[u8]) -> (Query, Result<(), QueryError>) {
        let mut query = Query::default();
        let result = query.parse(packet);
        (query, result)
    }

    #[test]
    fn a_question_with_edns() {
        let (query, result) = parse(&packet([1, 0, 0, 1], &[QUESTION, OPT].concat()));
        assert_eq!(result, Ok(()));
        assert_eq!((query.id, query.rtype, query.class, query.name.label(0)), (0xabcd, 1, 1, &b"web"[..]));
        assert_eq!(query.edns, Some(Edns { payload: 4096, version: 0, dnssec_ok: true }));
        assert_eq!((query.udp_limit(1232), query.recursion_desired()), (1232, true));
    }

    #[test]
    fn payload_sizes() {
        for (payload, limit) in [(0, 512), (511, 512), (512, 512), (1000, 1000), (1232, 1232), (65535, 1232)]
        {
            let query =
                Query { edns: Some(Edns { payload, version: 0, dnssec_ok: false }), ..Query::default() };
            assert_eq!(query.udp_limit(1232), limit);
        }
        assert_eq!(Query::default().udp_limit(1232), 512);
    }

    #[test]
    fn each_error_is_told_apart() {
        let opt_of_version_1 = b"\x00\x00\x29\x10\x00\x00\x01\x00\x00\x00\x00";
        let with = |counts, parts: &[&[u8]]| parse(&packet(counts, &parts.concat())).1;
        assert_eq!(parse(b"short").1, Err(QueryError::Short));
        assert_eq!(parse(&[0x80; 12]).1, Err(QueryError::Response));
        assert_eq!(parse(&[0, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0]).1, Err(QueryError::Opcode));
        assert_eq!(with([0, 0, 0, 0], &[]), Err(QueryError::QuestionCount));
        assert_eq!(with([2, 0, 0, 0], &[QUESTION, QUESTION]), Err(QueryError::QuestionCount));
        assert_eq!(with([1, 0, 0, 0], &[b"\xc0\x0c\x00\x01\x00\x01"]), Err(QueryError::Question));
        assert_eq!(with([1, 0, 0, 0], &[QUESTION, b"x"]), Err(QueryError::Records));
        assert_eq!(with([1, 0, 0, 1], &[QUESTION, &OPT[..9]]), Err(QueryError::Records));
        assert_eq!(with([1, 0, 0, 2], &[QUESTION, OPT, OPT]), Err(QueryError::TwoOpt));
        assert_eq!(with([1, 0, 0, 1], &[QUESTION, opt_of_version_1]), Err(QueryError::Version));
    }

    #[test]
    fn options_must_be_whole() {
        let with_options = |options: &[u8]| {
            let mut opt = OPT[..9].to_vec();
            opt.extend([0, u8::try_from(options.len()).unwrap()]);
            parse(&packet([1, 0, 0, 1], &[QUESTION, &opt, options].concat())).1
        };
        assert_eq!(with_options(b"\x00\x0a\x00\x02ab\xff\xff\x00\x00"), Ok(()));
        assert_eq!(with_options(b"\x00\x0a\x00\x03ab"), Err(QueryError::Records));
        assert_eq!(with_options(b"\x00\x0a\x00"), Err(QueryError::Records));
    }

    #[test]
    fn foreign_records_are_walked_over() {
        let record = b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x02ab";
        assert_eq!(parse(&packet([1, 1, 1, 1], &[QUESTION, record, record, OPT].concat())).1, Ok(()));
    }
}
