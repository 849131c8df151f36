//! What is asked of messages that are written already: padding, the least TTL, whether an option is there.
//!
//! Off the fast path: only the encrypted transports look at a message twice, and [`super::Response`] need not know of
//! them.

use super::constants::rtype;
use super::query::{HEADER, Record, record};

/// The EDNS option of padding (RFC 7830, section 3).
const PADDING: u16 = 12;
/// Its code and length.
const OPTION_HEAD: usize = 4;

/// The sections of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Answer,
    Authority,
    Additional,
}

/// Calls with each record of a whole message, and where it begins; None where it is no message.
fn each_record(message: &[u8], mut each: impl FnMut(Section, usize, &Record)) -> Option<()> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    let count = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
    let mut at = HEADER;
    for _ in 0..count(4) {
        at = super::query::skip_name(message, at)? + 4;
    }
    for (section, count) in
        [(Section::Answer, count(6)), (Section::Authority, count(8)), (Section::Additional, count(10))]
    {
        for _ in 0..count {
            // `at` may be behind the end, after a question that is cut.
            let record = message.get(at..).and_then(|_| record(message, at).ok())?;
            each(section, at, &record);
            at = record.end;
        }
    }
    (at == message.len()).then_some(())
}

/// Pads the reply in the first `length` octets of the buffer to a multiple of `block` octets, at most the buffer
/// (RFC 7830; RFC 8467, section 4.1, has the size of a block), so that its length tells an observer less. Gives the new
/// length.
///
/// Only a reply with EDNS has a place for it, which is one to a client with EDNS; OPT must be its last record.
#[must_use]
pub fn pad(buffer: &mut [u8], length: usize, block: usize) -> usize {
    let mut last = None;
    let whole = buffer.get(..length).and_then(|reply| {
        each_record(reply, |section, at, record| {
            last =
                (section == Section::Additional && record.rtype == rtype::OPT).then_some((at, record.rdata));
        })
    });
    let (Some(()), Some((_, rdata))) = (whole, last) else { return length };
    let padded = (length + OPTION_HEAD).next_multiple_of(block.max(1)).min(buffer.len());
    let Some(zeros) = padded.checked_sub(length + OPTION_HEAD) else { return length };
    let (Ok(zeros), Ok(options)) = (u16::try_from(zeros), u16::try_from(padded - rdata)) else {
        return length;
    };
    let ([c0, c1], [l0, l1]) = (PADDING.to_be_bytes(), zeros.to_be_bytes());
    buffer[length..length + OPTION_HEAD].copy_from_slice(&[c0, c1, l0, l1]);
    buffer[length + OPTION_HEAD..padded].fill(0);
    buffer[rdata - 2..rdata].copy_from_slice(&options.to_be_bytes());
    padded
}

/// For how many seconds a reply may be kept: the least TTL of its answer, or of a negative one that of its SOA
/// (RFC 8484, section 5.1; the SOA's TTL is its MINIMUM here). None: nothing in it may be kept.
#[must_use]
pub fn least_ttl(reply: &[u8]) -> Option<u32> {
    let (mut answer, mut soa) = (None, None);
    each_record(reply, |section, _, record| {
        let ttl = u32::from_be_bytes(record.ttl);
        let least = match section {
            Section::Answer => &mut answer,
            Section::Authority if record.rtype == rtype::SOA => &mut soa,
            _ => return,
        };
        *least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
    })?;
    answer.or(soa)
}

/// Whether the OPT record of a message holds an option.
#[must_use]
pub fn has_option(message: &[u8], code: u16) -> bool {
    let mut found = false;
    let _ = each_record(message, |section, _, record| {
        if section == Section::Additional && record.rtype == rtype::OPT {
            let mut options = &message[record.rdata..record.end];
            while let Some(&[c0, c1, l0, l1]) = options.first_chunk::<OPTION_HEAD>() {
                found |= u16::from_be_bytes([c0, c1]) == code;
                let length = usize::from(u16::from_be_bytes([l0, l1]));
                options = options.get(OPTION_HEAD + length..).unwrap_or_default();
            }
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x03web\x00\x00\x01\x00\x01";
    const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    const ERROR: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x09\x00\x0f\x00\x05\x00\x14why";

    fn mk_reply(counts: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let mut reply = vec![0xab, 0xcd, 0x85, 0];
        for count in counts {
            reply.extend([0, count]);
        }
        reply.extend(parts.concat());
        reply
    }

    fn mk_a(ttl: u8) -> Vec<u8> {
        [b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00".as_slice(), &[ttl], b"\x00\x04\x0a\x00\x00\x01"].concat()
    }

    fn padded(reply: &[u8], room: usize) -> Vec<u8> {
        let mut buffer = reply.to_vec();
        buffer.resize(room, 0xee);
        let length = pad(&mut buffer, reply.len(), 468);
        buffer.truncate(length);
        buffer
    }

    #[test]
    fn a_reply_with_edns_is_padded_to_a_block() {
        for opt in [OPT, ERROR] {
            let reply = mk_reply([1, 1, 0, 1], &[QUESTION, &mk_a(5), opt]);
            let padded = padded(&reply, 65_535);
            assert_eq!(padded.len(), 468);
            let message = hickory_proto::op::Message::from_vec(&padded).unwrap();
            assert_eq!(message.answers.len(), 1);
            assert!(has_option(&padded, 12), "{opt:?}");
            assert_eq!(has_option(&padded, 15), opt == ERROR, "the error is kept");
            assert!(padded[reply.len() + 4..].iter().all(|octet| *octet == 0), "RFC 7830, section 3");
        }
    }

    #[test]
    fn padding_ends_with_the_buffer_and_where_there_is_no_room_for_it() {
        let reply = mk_reply([1, 0, 0, 1], &[QUESTION, OPT]);
        assert_eq!(padded(&reply, reply.len() + 10).len(), reply.len() + 10);
        assert_eq!(padded(&reply, reply.len() + 4).len(), reply.len() + 4);
        assert_eq!(padded(&reply, reply.len() + 3), reply);
        // A reply whose option ends just at the block needs no zeros.
        let name = [
            b"\x3f".as_slice(),
            &[b'x'; 63],
            b"\x3f",
            &[b'x'; 63],
            b"\x3f",
            &[b'x'; 63],
            b"\x00\x00\x01\x00\x01",
        ]
        .concat();
        let mut long = mk_reply([1, 0, 0, 1], &[&name, OPT]);
        let block = long.len() + 4;
        let length = long.len();
        long.resize(1000, 0);
        assert_eq!(pad(&mut long, length, block), block);
    }

    #[test]
    fn without_edns_nothing_is_padded() {
        let reply = mk_reply([1, 1, 0, 0], &[QUESTION, &mk_a(5)]);
        assert_eq!(padded(&reply, 1000), reply);
        assert_eq!(padded(b"short", 1000), b"short");
    }

    #[test]
    fn the_least_ttl_is_the_answers_then_the_soas() {
        let soa = b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x07\x00\x02ab";
        let ns = b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x01\x00\x02\xc0\x0c";
        let ttl = |counts, parts: &[&[u8]]| least_ttl(&mk_reply(counts, parts));
        assert_eq!(ttl([1, 2, 0, 1], &[QUESTION, &mk_a(9), &mk_a(4), OPT]), Some(4));
        assert_eq!(ttl([1, 1, 1, 0], &[QUESTION, &mk_a(9), soa]), Some(9));
        assert_eq!(ttl([1, 0, 2, 1], &[QUESTION, ns, soa, OPT]), Some(7));
        assert_eq!(ttl([1, 0, 0, 1], &[QUESTION, OPT]), None, "REFUSED");
        assert_eq!(ttl([1, 2, 0, 0], &[QUESTION, &mk_a(9)]), None, "cut short");
    }

    #[test]
    fn options_are_found_and_garbage_has_none() {
        let opt = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0a\x00\x0a\x00\x02ab\x00\x0b\x00\x00";
        let message = mk_reply([1, 0, 0, 1], &[QUESTION, opt]);
        assert_eq!([10, 11, 12].map(|code| has_option(&message, code)), [true, true, false]);
        for end in 0..message.len() {
            assert!(!has_option(&message[..end], 11), "{end}");
            assert_eq!(least_ttl(&message[..end]), None);
        }
    }
}
