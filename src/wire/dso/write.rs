//! What a server says.

use super::{OPCODE_DSO, TLV_HEAD, removal, tlv};
use crate::wire::class;
use crate::wire::query::{HEADER, QR};

/// The most octets of a PUSH message, header included; with the length in front of it that is 16 KiB (RFC 8765, section
/// 6.3.1), which is as far as a compression pointer reaches.
pub const MAX_PUSH: usize = 16_382;

/// The length in front of each message on a stream (RFC 1035, section 4.2.2).
const PREFIX: usize = 2;
/// Where the first owner of a PUSH message stands in it: behind the header and the value's type and length.
const OWNER: u16 = 16;

/// Both timeouts of a session, in milliseconds (RFC 8490, section 7.1); all ones is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// For how long a session may have neither an operation nor a subscription.
    pub inactivity: u32,
    /// For how long nothing at all may be said.
    pub interval: u32,
}

/// A message behind its length, as it goes over a stream.
pub(super) struct Frame(Vec<u8>);

impl Frame {
    pub(super) fn new(id: u16, flags: u16) -> Self {
        let mut octets = vec![0; PREFIX + HEADER];
        octets[PREFIX..PREFIX + 2].copy_from_slice(&id.to_be_bytes());
        octets[PREFIX + 2..PREFIX + 4].copy_from_slice(&(OPCODE_DSO | flags).to_be_bytes());
        Self(octets)
    }

    /// Adds a value, of less than 64 KiB.
    pub(super) fn value(&mut self, kind: u16, data: &[&[u8]]) {
        let length: usize = data.iter().map(|part| part.len()).sum();
        self.0.extend(kind.to_be_bytes());
        self.0.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        data.iter().for_each(|part| self.0.extend_from_slice(part));
    }

    /// Pads the message to a multiple of `block` octets (RFC 8490, section 7.3), at most `most` in all.
    fn pad(&mut self, block: Option<usize>, most: usize) {
        let length = self.0.len() - PREFIX;
        let Some(block) = block else { return };
        let padded = (length + TLV_HEAD).next_multiple_of(block.max(1)).min(most);
        if let Some(zeros) = padded.checked_sub(length + TLV_HEAD) {
            self.value(tlv::PADDING, &[&vec![0; zeros]]);
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = u16::try_from(self.0.len() - PREFIX).unwrap_or(u16::MAX);
        self.0[..PREFIX].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// A response without a value of its own, behind its length; with the time in milliseconds after which to try again
/// (RFC 8490, section 7.2), where there is one.
#[must_use]
pub fn response(id: u16, rcode: u16, retry: Option<u32>, block: Option<usize>) -> Vec<u8> {
    let mut frame = Frame::new(id, QR | rcode & 15);
    if let Some(retry) = retry {
        frame.value(tlv::RETRY_DELAY, &[&retry.to_be_bytes()]);
    }
    // Nothing but a header is what a client that knows no padding expects; who pads gets padding.
    frame.pad(block, MAX_PUSH);
    frame.finish()
}

/// The response to a Keepalive, behind its length (RFC 8490, section 7.1).
#[must_use]
pub fn keepalive(id: u16, times: Keepalive, block: Option<usize>) -> Vec<u8> {
    let mut frame = Frame::new(id, QR);
    frame.value(tlv::KEEPALIVE, &[&times.inactivity.to_be_bytes(), &times.interval.to_be_bytes()]);
    frame.pad(block, MAX_PUSH);
    frame.finish()
}

/// The times of a session as its server dictates them unasked (RFC 8490, section 7.1), behind its length.
#[must_use]
pub fn dictate_keepalive(times: Keepalive) -> Vec<u8> {
    let mut frame = Frame::new(0, 0);
    frame.value(tlv::KEEPALIVE, &[&times.inactivity.to_be_bytes(), &times.interval.to_be_bytes()]);
    frame.finish()
}

/// Asks a client to end its session and not to come back for so many milliseconds (RFC 8490, section 7.2), behind its
/// length; the code says why.
#[must_use]
pub fn retry_delay(rcode: u16, milliseconds: u32) -> Vec<u8> {
    let mut frame = Frame::new(0, rcode & 15);
    frame.value(tlv::RETRY_DELAY, &[&milliseconds.to_be_bytes()]);
    frame.finish()
}

/// Change notifications of one name, written into as few PUSH messages as hold them (RFC 8765, section 6.3.1). They say
/// nothing of whom they go to: every subscriber is sent the same octets.
pub struct Changes<'o> {
    owner: &'o [u8],
    block: Option<usize>,
    /// Octets of a message that records may fill.
    most: usize,
    done: Vec<Vec<u8>>,
    open: Frame,
}

impl<'o> Changes<'o> {
    /// Of a name, uncompressed; padded to a multiple of `block` octets where there is one.
    #[must_use]
    pub fn new(owner: &'o [u8], block: Option<usize>) -> Self {
        let padding = if block.is_some() { TLV_HEAD } else { 0 };
        Self { owner, block, most: MAX_PUSH - padding, done: Vec::new(), open: Self::open() }
    }

    fn open() -> Frame {
        let mut frame = Frame::new(0, 0);
        frame.value(tlv::PUSH, &[]);
        frame
    }

    /// A record that is there; a TTL of more than 31 bits is cut to that (RFC 2181, section 8).
    pub fn add(&mut self, rtype: u16, ttl: u32, data: &[u8]) {
        self.record(rtype, ttl.min(i32::MAX.unsigned_abs()), data);
    }

    /// A record that is there no longer.
    pub fn remove(&mut self, rtype: u16, data: &[u8]) {
        self.record(rtype, removal::OF_RECORD, data);
    }

    /// All records of a type, or with type ANY of the name.
    pub fn remove_all(&mut self, rtype: u16) {
        self.record(rtype, removal::OF_SET, &[]);
    }

    fn record(&mut self, rtype: u16, ttl: u32, data: &[u8]) {
        let is_first = |frame: &Frame| frame.0.len() == PREFIX + HEADER + TLV_HEAD;
        let owner = |first: bool| if first { self.owner.len() } else { 2 };
        let length = |first: bool| owner(first) + 10 + data.len();
        if self.open.0.len() - PREFIX + length(is_first(&self.open)) > self.most {
            let full = std::mem::replace(&mut self.open, Self::open());
            self.close(full);
        }
        let open = &mut self.open;
        if is_first(open) {
            open.0.extend_from_slice(self.owner);
        } else {
            // The name stands in the message already (RFC 1035, section 4.1.4).
            open.0.extend((OWNER | 0xc000).to_be_bytes());
        }
        open.0.extend(rtype.to_be_bytes());
        open.0.extend(class::IN.to_be_bytes());
        open.0.extend(ttl.to_be_bytes());
        open.0.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        open.0.extend_from_slice(data);
    }

    fn close(&mut self, mut frame: Frame) {
        let length = u16::try_from(frame.0.len() - PREFIX - HEADER - TLV_HEAD).unwrap_or(u16::MAX);
        // There is no PUSH without a change.
        if length > 0 {
            frame.0[PREFIX + HEADER + 2..PREFIX + HEADER + 4].copy_from_slice(&length.to_be_bytes());
            frame.pad(self.block, MAX_PUSH);
            self.done.push(frame.finish());
        }
    }

    /// The messages, each behind its length; none where nothing changed.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        let last = std::mem::replace(&mut self.open, Frame(Vec::new()));
        self.close(last);
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtype;

    const OWNER_NAME: &[u8] = b"\x03web\x07example\x00";

    #[test]
    fn what_is_answered_as_the_figures_have_it() {
        // RFC 8490, section 5.4: QR 1, OPCODE 6, RCODE, counts of 0.
        assert_eq!(
            response(0x1234, 0, None, None),
            b"\x00\x0c\x12\x34\xb0\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        );
        let no = response(0x1234, 11, None, None);
        assert_eq!(no, b"\x00\x0c\x12\x34\xb0\x0b\x00\x00\x00\x00\x00\x00\x00\x00");
        // Section 7.2: DSO-TYPE 2, DSO-LENGTH 4, milliseconds.
        let later = response(0x1234, 2, Some(1000), None);
        assert_eq!(&later[..6], b"\x00\x14\x12\x34\xb0\x02");
        assert_eq!(&later[14..], b"\x00\x02\x00\x04\x00\x00\x03\xe8");
        // The same on its own: no ID, QR 0.
        let end = retry_delay(2, 1000);
        assert_eq!(&end[..6], b"\x00\x14\x00\x00\x30\x02");
        assert_eq!(end[14..], later[14..]);
        // Section 7.1.
        let times = Keepalive { inactivity: 15_000, interval: u32::MAX };
        let octets = keepalive(0x1234, times, None);
        assert_eq!(&octets[..6], b"\x00\x18\x12\x34\xb0\x00");
        assert_eq!(&octets[14..], b"\x00\x01\x00\x08\x00\x00\x3a\x98\xff\xff\xff\xff");
        // The same unasked: no ID, QR 0.
        let unasked = dictate_keepalive(times);
        assert_eq!(&unasked[..6], b"\x00\x18\x00\x00\x30\x00");
        assert_eq!(unasked[6..], octets[6..]);
    }

    #[test]
    fn padding_fills_a_block() {
        for block in [1, 16, 128, 468] {
            let octets = response(1, 0, None, Some(block));
            let length = octets.len() - PREFIX;
            assert!(length.is_multiple_of(block) && length < HEADER + TLV_HEAD + block, "{block}");
            assert_eq!(octets[14..16], [0, 3]);
            assert_eq!(usize::from(u16::from_be_bytes([octets[16], octets[17]])), length - HEADER - TLV_HEAD);
            assert!(octets[18..].iter().all(|octet| *octet == 0));
        }
    }

    #[test]
    fn changes_as_the_figure_has_them() {
        let mut changes = Changes::new(OWNER_NAME, None);
        changes.add(rtype::A, 5, &[10, 0, 0, 1]);
        changes.add(rtype::A, u32::MAX - 1, &[10, 0, 0, 2]);
        changes.remove(rtype::A, &[10, 0, 0, 3]);
        changes.remove_all(rtype::AAAA);
        changes.remove_all(rtype::ANY);
        let messages = changes.finish();
        let [message] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(usize::from(u16::from_be_bytes([message[0], message[1]])), message.len() - 2);
        // No ID, QR 0, OPCODE 6; DSO-TYPE 0x41 and DSO-LENGTH; NAME, TYPE, CLASS, TTL, RDLEN, RDATA (RFC 8765, section
        // 6.3.1).
        assert_eq!(&message[2..14], b"\x00\x00\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        assert_eq!(message[14..16], [0, 0x41]);
        let changes: [&[u8]; 5] = [
            b"\x03web\x07example\x00\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01",
            b"\xc0\x10\x00\x01\x00\x01\x7f\xff\xff\xff\x00\x04\x0a\x00\x00\x02",
            b"\xc0\x10\x00\x01\x00\x01\xff\xff\xff\xff\x00\x04\x0a\x00\x00\x03",
            b"\xc0\x10\x00\x1c\x00\x01\xff\xff\xff\xfe\x00\x00",
            b"\xc0\x10\x00\xff\x00\x01\xff\xff\xff\xfe\x00\x00",
        ];
        assert_eq!(message[18..], changes.concat());
        assert_eq!(usize::from(u16::from_be_bytes([message[16], message[17]])), changes.concat().len());
    }

    #[test]
    fn many_changes_are_in_messages_of_at_most_16_kib_and_none_is_empty() {
        assert!(Changes::new(OWNER_NAME, None).finish().is_empty());
        for block in [None, Some(468)] {
            let mut changes = Changes::new(OWNER_NAME, block);
            for n in 0..10_000_u32 {
                changes.add(rtype::A, 5, &n.to_be_bytes());
            }
            let messages = changes.finish();
            let mut seen = 0;
            for message in &messages {
                assert!(message.len() <= 16_384, "{}", message.len());
                let length = usize::from(u16::from_be_bytes([message[16], message[17]]));
                let records = &message[18..18 + length];
                let (first, rest) = records.split_at(OWNER_NAME.len() + 14);
                assert_eq!(first[first.len() - 4..], u32::to_be_bytes(seen));
                seen += 1;
                for record in rest.chunks(16) {
                    assert_eq!(
                        (&record[..2], &record[12..]),
                        (&b"\xc0\x10"[..], &u32::to_be_bytes(seen)[..])
                    );
                    seen += 1;
                }
                if block.is_none() {
                    assert_eq!(18 + length, message.len());
                }
            }
            assert_eq!((seen, messages.len()), (10_000, 10));
        }
    }
}
