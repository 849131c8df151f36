//! What a client says.

use super::{OPCODE_DSO, TLV_HEAD, tlv};
use crate::wire::name::ParsedName;
use crate::wire::query::{HEADER, OPCODE, QR};
use crate::wire::{class, rcode, rtype};

/// A message from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'p> {
    /// 0 where no response is asked for.
    pub id: u16,
    /// What is asked for.
    pub operation: Operation<'p>,
    /// It is padded (RFC 8490, section 7.3): so shall be what answers it.
    pub padded: bool,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'p> {
    /// RFC 8490, section 7.1.
    Keepalive(super::Keepalive),
    /// RFC 8765, section 6.2.
    Subscribe(Subscription<'p>),
    /// RFC 8765, section 6.4: the ID of the SUBSCRIBE.
    Unsubscribe(u16),
    /// The same by what was subscribed to, as drafts of RFC 8765 had it and mDNSResponder says it to this day.
    UnsubscribeFrom(Subscription<'p>),
    /// RFC 8765, section 6.5: the client doubts a record.
    Reconfirm {
        /// Whose it is; neither its type nor its class is ANY.
        name: Subscription<'p>,
        /// The record's data.
        data: &'p [u8],
    },
}

/// A name, a type and a class to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription<'p> {
    /// A whole name, uncompressed, in the client's spelling.
    pub name: &'p [u8],
    /// ANY is all of them.
    pub rtype: u16,
    /// ANY is all of them.
    pub class: u16,
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The client waits for a response: this code says no.
    #[error("is answered with RCODE {rcode}")]
    Answer {
        /// Of the message; not 0.
        id: u16,
        /// FORMERR or DSOTYPENI.
        rcode: u16,
        /// The message is padded, as far as it can be read.
        padded: bool,
    },
    /// Client and server do not speak the same protocol: the connection is aborted at once, without a word (RFC 8490,
    /// section 5.3).
    #[error("{0}")]
    Fatal(&'static str),
}

/// Whether a packet is of the opcode DSO, well formed or not.
#[must_use]
pub fn is_stateful(packet: &[u8]) -> bool {
    packet.get(2..4).is_some_and(|flags| u16::from_be_bytes([flags[0], flags[1]]) & OPCODE == OPCODE_DSO)
}

impl<'p> Request<'p> {
    /// Reads a message of a client.
    ///
    /// # Errors
    /// [`Fault`]: with an ID it can be said, without one the connection is lost.
    pub fn parse(packet: &'p [u8]) -> Result<Self, Fault> {
        let header: &[u8; HEADER] = packet.first_chunk().ok_or(Fault::Fatal("shorter than a header"))?;
        let word = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
        let id = word(0);
        if word(2) & QR != 0 {
            // We ask a client nothing, and a response to nothing is fatal (RFC 8490, section 5.5.2).
            return Err(Fault::Fatal("a response to nothing that was asked"));
        }
        let refused = |rcode: u16, padded: bool, why: &'static str| match id {
            0 => Fault::Fatal(why),
            id => Fault::Answer { id, rcode, padded },
        };
        let no = |rcode: u16, why: &'static str| refused(rcode, false, why);
        // No question, no EDNS, no TSIG: all counts are 0 (RFC 8490, section 5.4).
        if header[4..].iter().any(|octet| *octet != 0) {
            return Err(no(rcode::FORMERR, "a stateful message with records"));
        }
        let cut = || no(rcode::FORMERR, "a value is cut short");
        let (primary, data, mut rest) = value(&packet[HEADER..]).ok_or_else(cut)?;
        let mut padded = false;
        while !rest.is_empty() {
            // What is not known among the additional ones is passed over (RFC 8490, section 5.4.5).
            let (kind, _, behind) = value(rest).ok_or_else(cut)?;
            padded |= kind == tlv::PADDING;
            rest = behind;
        }
        let no = |rcode: u16, why: &'static str| refused(rcode, padded, why);
        let malformed = || no(rcode::FORMERR, "a value is malformed");
        let operation = match primary {
            tlv::KEEPALIVE => read_keepalive(data).ok_or_else(malformed)?,
            tlv::SUBSCRIBE => Operation::Subscribe(read_subscription(data).ok_or_else(malformed)?),
            tlv::UNSUBSCRIBE => read_unsubscribe(data).ok_or_else(malformed)?,
            tlv::RECONFIRM => read_reconfirm(data).ok_or_else(malformed)?,
            // A server's (RFC 8490, section 7.2.1; RFC 8765, section 6.3).
            tlv::RETRY_DELAY | tlv::PUSH => return Err(Fault::Fatal("what only a server says")),
            // Never the first one (RFC 8490, section 7.3).
            tlv::PADDING => return Err(no(rcode::FORMERR, "padding of nothing")),
            _ => return Err(no(rcode::DSOTYPENI, "an operation that is not known")),
        };
        // Not to be asked for by an ID, nor to be declined by none (RFC 8490, section 5.4.1).
        let wants_response = matches!(operation, Operation::Keepalive(_) | Operation::Subscribe(_));
        if wants_response != (id != 0) {
            return Err(Fault::Fatal("an operation with an ID that it must not have, or without one"));
        }
        Ok(Self { id, operation, padded })
    }
}

/// The type and the data of a value, and what stands behind it.
fn value(octets: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let &[t0, t1, l0, l1] = octets.first_chunk::<TLV_HEAD>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let (data, behind) = octets[TLV_HEAD..].split_at_checked(length)?;
    Some((u16::from_be_bytes([t0, t1]), data, behind))
}

fn read_keepalive(data: &[u8]) -> Option<Operation<'_>> {
    let &[a, b, c, d, e, f, g, h] = data else { return None };
    let (inactivity, interval) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    Some(Operation::Keepalive(super::Keepalive { inactivity, interval }))
}

fn read_subscription(data: &[u8]) -> Option<Subscription<'_>> {
    let (subscription, rest) = name_type_class(data)?;
    rest.is_empty().then_some(subscription)
}

fn read_unsubscribe(data: &[u8]) -> Option<Operation<'_>> {
    // A name, a type and a class are five octets at least.
    let &[high, low] = data else { return read_subscription(data).map(Operation::UnsubscribeFrom) };
    Some(Operation::Unsubscribe(u16::from_be_bytes([high, low])))
}

fn read_reconfirm(data: &[u8]) -> Option<Operation<'_>> {
    let (name, data) = name_type_class(data)?;
    (name.rtype != rtype::ANY && name.class != class::ANY).then_some(Operation::Reconfirm { name, data })
}

fn name_type_class(data: &[u8]) -> Option<(Subscription<'_>, &[u8])> {
    let length = ParsedName::default().parse(data).ok()?;
    let (name, rest) = data.split_at_checked(length)?;
    let (&[t0, t1, c0, c1], rest) = rest.split_first_chunk::<4>()?;
    let (rtype, class) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]));
    Some((Subscription { name, rtype, class }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dso::Keepalive;

    /// The header of RFC 8490, section 5.4: ID, QR 0, OPCODE 6, seven bits of 0, RCODE 0, four counts of 0.
    fn packet(id: u16, values: &[u8]) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        [&[high, low, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0], values].concat()
    }

    fn fault(id: u16, values: &[u8]) -> Option<Fault> {
        Request::parse(&packet(id, values)).err()
    }

    fn formerr(id: u16) -> Option<Fault> {
        Some(Fault::Answer { id, rcode: rcode::FORMERR, padded: false })
    }

    /// DSO-TYPE 1, DSO-LENGTH 8, INACTIVITY TIMEOUT, KEEPALIVE INTERVAL (RFC 8490, section 7.1): 15 s each, which is
    /// what holds where nothing is said (section 6.2).
    const KEEPALIVE: &[u8] = b"\x00\x01\x00\x08\x00\x00\x3a\x98\x00\x00\x3a\x98";
    /// DSO-TYPE 0x40, DSO-LENGTH, NAME, TYPE PTR, CLASS IN (RFC 8765, section 6.2.1).
    const SUBSCRIBE: &[u8] = b"\x00\x40\x00\x1b\x04_ipp\x04_Tcp\x07example\x03com\x00\x00\x0c\x00\x01";
    /// DSO-TYPE 0x42, DSO-LENGTH 2, SUBSCRIBE MESSAGE ID (RFC 8765, section 6.4.1).
    const UNSUBSCRIBE: &[u8] = b"\x00\x42\x00\x02\x12\x34";
    /// The same with what SUBSCRIBE holds, as drafts had it.
    const UNSUBSCRIBE_FROM: &[u8] = b"\x00\x42\x00\x0d\x03web\x03svc\x00\x00\x01\x00\x01";
    /// DSO-TYPE 0x43, DSO-LENGTH, NAME, TYPE A, CLASS IN, RDATA (RFC 8765, section 6.5.1).
    const RECONFIRM: &[u8] = b"\x00\x43\x00\x0d\x03web\x00\x00\x01\x00\x01\x0a\x00\x00\x01";
    const PADDING: &[u8] = b"\x00\x03\x00\x05\x00\x00\x00\x00\x00";

    #[test]
    fn each_operation_is_read() {
        let keepalive = Operation::Keepalive(Keepalive { inactivity: 15_000, interval: 15_000 });
        let name = |name: &'static [u8], rtype| Subscription { name, rtype, class: class::IN };
        let subscribe = Operation::Subscribe(name(b"\x04_ipp\x04_Tcp\x07example\x03com\x00", rtype::PTR));
        let reconfirm = Operation::Reconfirm { name: name(b"\x03web\x00", rtype::A), data: &[10, 0, 0, 1] };
        for (id, values, operation) in [
            (0x1234, KEEPALIVE, keepalive),
            (0x1234, SUBSCRIBE, subscribe),
            (0, UNSUBSCRIBE, Operation::Unsubscribe(0x1234)),
            (0, UNSUBSCRIBE_FROM, Operation::UnsubscribeFrom(name(b"\x03web\x03svc\x00", rtype::A))),
            (0, RECONFIRM, reconfirm),
        ] {
            let octets = packet(id, values);
            assert!(is_stateful(&octets));
            assert_eq!(Request::parse(&octets), Ok(Request { id, operation, padded: false }));
            // What is not known behind it is passed over, and padding is seen.
            let octets = packet(id, &[values, b"\xf8\x01\x00\x01x", PADDING].concat());
            assert_eq!(Request::parse(&octets), Ok(Request { id, operation, padded: true }));
        }
    }

    #[test]
    fn seven_bits_of_the_header_are_not_looked_at() {
        let mut octets = packet(7, KEEPALIVE);
        (octets[2], octets[3]) = (0x37, 0xff);
        assert!(Request::parse(&octets).is_ok());
    }

    #[test]
    fn no_message_that_is_cut_anywhere_is_read() {
        for (id, values) in
            [(1, KEEPALIVE), (1, SUBSCRIBE), (0, UNSUBSCRIBE), (0, UNSUBSCRIBE_FROM), (0, RECONFIRM)]
        {
            let whole = packet(id, &[values, PADDING].concat());
            for length in 0..whole.len() {
                // Whole again where the padding begins.
                let is_whole = length == HEADER + values.len();
                assert_eq!(Request::parse(&whole[..length]).is_ok(), is_whole, "{id} {length}");
            }
        }
    }

    #[test]
    fn a_value_is_as_long_as_it_has_to_be() {
        for (values, change) in [(KEEPALIVE, 1_i8), (SUBSCRIBE, 1), (KEEPALIVE, -1), (SUBSCRIBE, -1)] {
            let mut octets = values.to_vec();
            octets[3] = octets[3].wrapping_add_signed(change);
            octets.resize(values.len().wrapping_add_signed(change.into()), 0);
            assert_eq!(fault(9, &octets), formerr(9));
        }
        let mut octets = UNSUBSCRIBE.to_vec();
        octets[3] = 3;
        octets.push(0);
        assert!(matches!(fault(0, &octets), Some(Fault::Fatal(_))));
        // A compressed name, and one without its end.
        assert_eq!(fault(9, b"\x00\x40\x00\x06\xc0\x0c\x00\x01\x00\x01"), formerr(9));
        assert_eq!(fault(9, b"\x00\x40\x00\x04\x03web"), formerr(9));
    }

    #[test]
    fn what_cannot_be_said_ends_the_connection() {
        let no_operation = |padded| Some(Fault::Answer { id: 9, rcode: rcode::DSOTYPENI, padded });
        let unknown = b"\xf8\x00\x00\x00";
        assert_eq!(fault(9, unknown), no_operation(false));
        assert_eq!(fault(9, &[&unknown[..], PADDING].concat()), no_operation(true));
        for values in [&b""[..], unknown, KEEPALIVE, SUBSCRIBE, PADDING, b"\x00\x02\x00\x04\x00\x00\x00\x01"]
        {
            assert!(matches!(fault(0, values), Some(Fault::Fatal(_))), "{values:?}");
        }
        for values in [&b""[..], PADDING] {
            assert_eq!(fault(9, values), formerr(9), "{values:?}");
        }
        // With an ID or without: no client says them, or not so.
        let only_a_server = [&b"\x00\x41\x00\x00"[..], b"\x00\x02\x00\x04\x00\x00\x00\x01"];
        for values in only_a_server.into_iter().chain([UNSUBSCRIBE, UNSUBSCRIBE_FROM, RECONFIRM]) {
            assert!(matches!(fault(9, values), Some(Fault::Fatal(_))), "{values:?}");
        }
        let mut response = packet(9, KEEPALIVE);
        response[2] |= 0x80;
        assert!(matches!(Request::parse(&response), Err(Fault::Fatal(_))));
        for count in [5, 7, 9, 11] {
            let mut octets = packet(9, KEEPALIVE);
            octets[count] = 1;
            assert_eq!(Request::parse(&octets).err(), formerr(9));
        }
        for octets in [RECONFIRM.to_vec(), RECONFIRM.to_vec()].iter_mut().zip([10, 12]).map(|(octets, at)| {
            octets[at] = 255;
            octets
        }) {
            assert!(matches!(fault(0, octets), Some(Fault::Fatal(_))), "ANY is no record's");
        }
    }

    #[test]
    fn only_opcode_6_is_stateful() {
        for (flags, is) in
            [(0x30, true), (0xb0, true), (0x37, true), (0x28, false), (0, false), (0x70, false)]
        {
            assert_eq!(is_stateful(&[0, 0, flags, 0]), is);
        }
        assert!(!is_stateful(&[0, 0, 0x30]));
    }
}
