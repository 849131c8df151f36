//! What a client writes, and reads of a server.

use super::write::Frame;
use super::{Keepalive, MAX_PUSH, OPCODE_DSO, removal, tlv};
use crate::wire::query::{HEADER, OPCODE, QR};
use crate::wire::record::{Record, ReplyError, records};
use crate::wire::{Name, class, rtype};

/// The largest TTL of a record that is there (RFC 2181, section 8).
const MOST_TTL: u32 = i32::MAX.unsigned_abs();

/// A message from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// To an operation with this ID.
    Response {
        /// The operation's.
        id: u16,
        /// 0 is yes.
        rcode: u16,
        /// The times of the session, in the response to a Keepalive.
        times: Option<Keepalive>,
        /// Not to come again for so many milliseconds.
        retry: Option<u32>,
    },
    /// Change notifications, in their order (RFC 8765, section 6.3.1); those of type ANY or without data remove a set.
    Push(Vec<Change>),
    /// To end the session, and not to come back for so many milliseconds (RFC 8490, section 6.6.1).
    RetryDelay {
        /// Why.
        rcode: u16,
        /// For how long.
        milliseconds: u32,
    },
    /// Other times for the session (RFC 8490, section 7.1).
    Keepalive(Keepalive),
}

/// A change of a name's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is there, or there with another TTL.
    Add(Record),
    /// It is not there any longer.
    Remove(Record),
    /// No record of this name and type (ANY is every type) is there any longer.
    RemoveAll(Name, u16),
}

/// A SUBSCRIBE of class IN behind its length (RFC 8765, section 6.2.1).
#[must_use]
pub fn subscribe(id: u16, name: &Name, rtype: u16) -> Vec<u8> {
    let mut frame = Frame::new(id, 0);
    frame.value(tlv::SUBSCRIBE, &[name.as_wire(), &rtype.to_be_bytes(), &class::IN.to_be_bytes()]);
    frame.finish()
}

/// Ends the subscription of a SUBSCRIBE with this ID, behind its length (RFC 8765, section 6.4.1). Nobody answers it.
#[must_use]
pub fn unsubscribe(id: u16) -> Vec<u8> {
    let mut frame = Frame::new(0, 0);
    frame.value(tlv::UNSUBSCRIBE, &[&id.to_be_bytes()]);
    frame.finish()
}

/// Asks for times of the session, or says that the client is there, behind its length (RFC 8490, section 7.1).
#[must_use]
pub fn ask_keepalive(id: u16, times: Keepalive) -> Vec<u8> {
    let mut frame = Frame::new(id, 0);
    frame.value(tlv::KEEPALIVE, &[&times.inactivity.to_be_bytes(), &times.interval.to_be_bytes()]);
    frame.finish()
}

impl Said {
    /// Reads a stateful message of a server. None is one that is not known and needs no answer; a request with an ID
    /// is an error, for servers ask nothing that we could answer.
    ///
    /// # Errors
    /// [`ReplyError`]: the connection is of no use any longer (RFC 8490, section 5.4).
    pub fn parse(message: &[u8]) -> Result<Option<Self>, ReplyError> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(ReplyError::Short)?;
        let (id, flags) =
            (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]));
        let is_response = flags & QR != 0;
        if flags & OPCODE != OPCODE_DSO
            || header[4..].iter().any(|octet| *octet != 0)
            || is_response != (id != 0)
        {
            return Err(ReplyError::NoReply);
        }
        let rcode = flags & 15;
        let values = values(message)?;
        let times = values.iter().find_map(|value| value.keepalive(message));
        let retry = values.iter().find_map(|value| value.number(message, tlv::RETRY_DELAY));
        if is_response {
            return Ok(Some(Self::Response { id, rcode, times, retry }));
        }
        let first = values.first().ok_or(ReplyError::Short)?;
        Ok(match first.kind {
            // A push of nothing, and one that is too long (RFC 8765, section 6.3.1).
            tlv::PUSH if first.from == first.to || message.len() > MAX_PUSH => {
                return Err(ReplyError::NoReply);
            }
            tlv::PUSH => Some(Self::Push(changes(records(message, first.from, first.to)?)?)),
            tlv::RETRY_DELAY => retry.map(|milliseconds| Self::RetryDelay { rcode, milliseconds }),
            tlv::KEEPALIVE => times.map(Self::Keepalive),
            _ => None,
        })
    }
}

/// Where a type-length-value stands: pointers in a PUSH lead to the message's beginning.
struct Value {
    kind: u16,
    from: usize,
    to: usize,
}

impl Value {
    fn number(&self, message: &[u8], kind: u16) -> Option<u32> {
        let octets = message.get(self.from..self.to).filter(|_| self.kind == kind)?;
        octets.try_into().ok().map(u32::from_be_bytes)
    }

    fn keepalive(&self, message: &[u8]) -> Option<Keepalive> {
        let octets = message.get(self.from..self.to).filter(|_| self.kind == tlv::KEEPALIVE)?;
        let &[a, b, c, d, e, f, g, h] = octets else { return None };
        Some(Keepalive {
            inactivity: u32::from_be_bytes([a, b, c, d]),
            interval: u32::from_be_bytes([e, f, g, h]),
        })
    }
}

fn values(message: &[u8]) -> Result<Vec<Value>, ReplyError> {
    let (mut at, mut values) = (HEADER, Vec::new());
    while at < message.len() {
        let head = message.get(at..at + super::TLV_HEAD).ok_or(ReplyError::Short)?;
        let from = at + super::TLV_HEAD;
        at = from + usize::from(u16::from_be_bytes([head[2], head[3]]));
        if at > message.len() {
            return Err(ReplyError::Short);
        }
        values.push(Value { kind: u16::from_be_bytes([head[0], head[1]]), from, to: at });
    }
    Ok(values)
}

/// RFC 8765, section 6.3.1: what is an error there ends the connection, and what has another TTL is passed over.
fn changes(records: Vec<Record>) -> Result<Vec<Change>, ReplyError> {
    let change = |record: Record| match record.ttl {
        removal::OF_SET if record.data.is_some() => Some(Err(ReplyError::Data(record.rtype))),
        removal::OF_SET => Some(Ok(Change::RemoveAll(record.owner, record.rtype))),
        0..=MOST_TTL | removal::OF_RECORD if record.rtype == rtype::ANY => {
            Some(Err(ReplyError::Data(rtype::ANY)))
        }
        removal::OF_RECORD => Some(Ok(Change::Remove(record))),
        0..=MOST_TTL => Some(Ok(Change::Add(record))),
        _ => None,
    };
    records.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dso::{self, Changes, Operation, Request, Subscription};
    use crate::wire::record::Data;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    #[test]
    fn what_is_asked_as_the_figures_have_it() {
        // RFC 8765, section 6.2.1: ID, QR 0, OPCODE 6, counts of 0; DSO-TYPE 0x40, DSO-LENGTH, NAME, TYPE PTR, CLASS IN.
        let asked = b"\x00\x2b\x12\x34\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\
            \x00\x40\x00\x1b\x04_ipp\x04_tcp\x07example\x03com\x00\x00\x0c\x00\x01";
        assert_eq!(subscribe(0x1234, &name("_ipp._tcp.example.com"), rtype::PTR), asked);
        // RFC 8490, section 7.1: DSO-TYPE 1, DSO-LENGTH 8, INACTIVITY TIMEOUT, KEEPALIVE INTERVAL.
        let asked = b"\x00\x18\x12\x34\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\
            \x00\x01\x00\x08\x00\x00\x3a\x98\x00\x36\xee\x80";
        let times = Keepalive { inactivity: 15_000, interval: 3_600_000 };
        assert_eq!(ask_keepalive(0x1234, times), asked);
    }

    /// A PUSH of one change: the root's, of this type, class, TTL and data.
    fn push(rtype: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
        let mut octets = b"\x00\x00\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x41\x00".to_vec();
        octets.extend([u8::try_from(11 + data.len()).unwrap(), 0]);
        octets.extend([rtype.to_be_bytes(), class.to_be_bytes()].concat());
        octets.extend(ttl.to_be_bytes());
        octets.extend([0, u8::try_from(data.len()).unwrap()]);
        octets.extend(data);
        octets
    }

    #[test]
    fn a_change_is_what_its_ttl_says() {
        let changes = |octets: &[u8]| match Said::parse(octets) {
            Ok(Some(Said::Push(changes))) => Ok(changes),
            Err(error) => Err(error),
            other => panic!("{other:?}"),
        };
        let is_gone = |rtype| Ok(vec![Change::RemoveAll(name("."), rtype)]);
        let address = &[10, 0, 0, 1][..];
        for ttl in [0, MOST_TTL] {
            assert!(matches!(&changes(&push(1, 1, ttl, address)).unwrap()[..], [Change::Add(_)]), "{ttl}");
        }
        assert!(matches!(&changes(&push(1, 1, u32::MAX, address)).unwrap()[..], [Change::Remove(_)]));
        // A set, a name, and a name in all classes, where the type is 0 and not looked at.
        assert_eq!(changes(&push(1, 1, removal::OF_SET, b"")), is_gone(1));
        assert_eq!(changes(&push(255, 1, removal::OF_SET, b"")), is_gone(255));
        assert_eq!(changes(&push(0, 255, removal::OF_SET, b"")), is_gone(255));
        assert_eq!(changes(&push(1, 255, removal::OF_SET, b"")), is_gone(255));
        // A TTL that means nothing, and a class that nobody asked for.
        for ttl in [MOST_TTL + 1, removal::OF_SET - 1] {
            assert_eq!(changes(&push(1, 1, ttl, address)), Ok(Vec::new()), "{ttl}");
        }
        assert_eq!(changes(&push(1, 3, 5, address)), Ok(Vec::new()));
        // What ends the connection.
        assert!(changes(&push(1, 1, removal::OF_SET, address)).is_err());
        for (rtype, class) in [(255, 1), (1, 255)] {
            for ttl in [5, removal::OF_RECORD] {
                assert!(changes(&push(rtype, class, ttl, address)).is_err(), "{rtype} {class} {ttl}");
            }
        }
    }

    #[test]
    fn what_is_written_is_what_a_server_reads() {
        let web = name("web.example");
        let octets = subscribe(7, &web, rtype::ANY);
        assert_eq!(octets.len() - 2, usize::from(u16::from_be_bytes([octets[0], octets[1]])));
        let request = Request::parse(&octets[2..]).unwrap();
        let subscription = Subscription { name: web.as_wire(), rtype: rtype::ANY, class: class::IN };
        assert_eq!((request.id, request.operation), (7, Operation::Subscribe(subscription)));
        let octets = unsubscribe(7);
        let request = Request::parse(&octets[2..]).unwrap();
        assert_eq!((request.id, request.operation), (0, Operation::Unsubscribe(7)));
        let times = Keepalive { inactivity: 15_000, interval: 60_000 };
        let octets = ask_keepalive(8, times);
        let request = Request::parse(&octets[2..]).unwrap();
        assert_eq!((request.id, request.operation), (8, Operation::Keepalive(times)));
    }

    #[test]
    fn what_a_server_writes_is_read() {
        let said = |octets: &[u8]| Said::parse(&octets[2..]).unwrap().unwrap();
        let response = |id, rcode, times, retry| Said::Response { id, rcode, times, retry };
        assert_eq!(said(&dso::response(9, 0, None, None)), response(9, 0, None, None));
        assert_eq!(said(&dso::response(9, 2, Some(1500), Some(468))), response(9, 2, None, Some(1500)));
        let times = Keepalive { inactivity: 1, interval: 2 };
        assert_eq!(said(&dso::keepalive(9, times, Some(468))), response(9, 0, Some(times), None));
        assert_eq!(said(&dso::retry_delay(5, 70_000)), Said::RetryDelay { rcode: 5, milliseconds: 70_000 });

        let web = name("web.example");
        let mut changes = Changes::new(web.as_wire(), Some(468));
        changes.add(rtype::A, 5, &[10, 0, 0, 1]);
        changes.remove(rtype::A, &[10, 0, 0, 2]);
        changes.remove_all(rtype::AAAA);
        changes.remove_all(rtype::ANY);
        let messages = changes.finish();
        let record = |ttl, address: [u8; 4]| {
            let data = Some(Data::Address(address.into()));
            Record { owner: web.clone(), rtype: rtype::A, ttl, data }
        };
        let expected = vec![
            Change::Add(record(5, [10, 0, 0, 1])),
            Change::Remove(record(removal::OF_RECORD, [10, 0, 0, 2])),
            Change::RemoveAll(web.clone(), rtype::AAAA),
            Change::RemoveAll(web.clone(), rtype::ANY),
        ];
        assert_eq!(said(&messages[0]), Said::Push(expected));
    }

    #[test]
    fn what_no_server_says_is_an_error() {
        let pushed = push(1, 1, removal::OF_SET, b"");
        assert!(Said::parse(&pushed).is_ok());
        let nothing = b"\x00\x00\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x41\x00\x00";
        assert!(Said::parse(nothing).is_err());
        let padded = |length: usize| {
            let padding = length - pushed.len() - 4;
            let length = u16::try_from(padding).unwrap().to_be_bytes();
            [&pushed[..], &[0, 3], &length, &vec![0; padding]].concat()
        };
        assert!(Said::parse(&padded(MAX_PUSH)).is_ok() && Said::parse(&padded(MAX_PUSH + 1)).is_err());
        for length in 0..pushed.len() {
            assert!(Said::parse(&pushed[..length]).is_err(), "{length}");
        }
        // A request with an ID, a response without one, another opcode, a record.
        for (at, octet) in [(1, 1), (2, 0xb0), (2, 0x28), (5, 1)] {
            let mut octets = pushed.to_vec();
            octets[at] = octet;
            assert!(Said::parse(&octets).is_err(), "{at}");
        }
        let unknown = b"\x00\x00\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf8\x41\x00\x00";
        assert_eq!(Said::parse(unknown), Ok(None));
    }
}
