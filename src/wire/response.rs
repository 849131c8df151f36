//! Writes a reply into a buffer of the caller's: header, question as asked, records from slices, OPT.

use super::constants::rtype;
use super::query::{CD, HEADER, OPCODE, QR, Query, RD};

const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
/// OPT without options (RFC 6891, section 6.1.2).
const OPT: usize = 11;
/// Pointers have 14 bits (RFC 1035, section 4.1.4).
const POINTER_END: usize = 0x4000;

/// A record did not fit; nothing of it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The parts of an SRV target: an optional first label (with its length octet), the labels of the service, and
/// the rest down to the root. Targets are not compressed (RFC 2782).
#[derive(Debug, Clone, Copy)]
pub struct SrvTarget<'a>(pub [&'a [u8]; 3]);

/// What the records of one set have in common: owner, type, class IN, TTL.
#[derive(Debug, Clone, Copy)]
pub struct RecordSet<'a> {
    label: &'a [u8],
    /// Up to the length of the data, which the data says.
    head: [u8; 12],
}

impl<'a> RecordSet<'a> {
    /// The owner is a label with its length octet, or nothing, in front of the name at a place.
    #[must_use]
    pub fn new((label, place): (&'a [u8], usize), rtype: u16, ttl: u16) -> Self {
        let ([p0, p1], [t0, t1], [s0, s1]) = (pointer(place), rtype.to_be_bytes(), ttl.to_be_bytes());
        Self { label, head: [p0, p1, t0, t1, 0, 1, 0, 0, s0, s1, 0, 0] }
    }
}

/// An Extended DNS Error (RFC 8914): its INFO-CODE, and its EXTRA-TEXT or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended<'a> {
    /// One of the registry.
    pub code: u16,
    /// UTF-8, without an end.
    pub text: &'a str,
}

/// The option's code (RFC 8914, section 2).
const EXTENDED_ERROR: u16 = 15;

/// A reply being written.
pub struct Response<'b> {
    buffer: &'b mut [u8],
    length: usize,
    /// Records may fill the buffer up to here; what is behind is kept for the OPT record.
    limit: usize,
    flags: u16,
    counts: [u16; 4],
    /// The OPT's DO flag and the size that the server takes, when the query had an OPT.
    edns: Option<(bool, u16)>,
}

/// The section that records go to; in this order only.
#[derive(Clone, Copy)]
enum Section {
    Answer = 1,
    Authority = 2,
    Additional = 3,
}

impl<'b> Response<'b> {
    /// Starts a reply to `packet`, which `query` was parsed from, of at most `limit` octets in all.
    ///
    /// The buffer must hold `limit` octets, 512 at least (a shorter one is the limit). The question is copied as it was
    /// asked, upper case and all: clients that mix case check it (draft-vixie-dnsext-dns0x20).
    #[must_use]
    pub fn start(buffer: &'b mut [u8], query: &Query, packet: &[u8], limit: usize, own_payload: u16) -> Self {
        let edns = query.edns.map(|edns| (edns.dnssec_ok, own_payload));
        let reserve = if edns.is_some() { OPT } else { 0 };
        let limit = limit.min(buffer.len()).saturating_sub(reserve);
        let flags = QR | (query.flags & (OPCODE | RD | CD));
        if let Some(id) = buffer.first_chunk_mut::<2>() {
            *id = query.id.to_be_bytes();
        }
        let mut response = Self { buffer, length: HEADER, limit, flags, counts: [0; 4], edns };
        let question = packet.get(HEADER..query.question_end).unwrap_or_default();
        if !question.is_empty() && response.put(&[question]).is_ok() {
            response.counts[0] = 1;
        }
        response
    }

    /// Marks the reply as authoritative (RFC 1035, section 4.1.1).
    pub fn authoritative(&mut self) {
        self.flags |= AA;
    }

    /// Marks the reply as cut short.
    pub fn truncated(&mut self) {
        self.flags |= TC;
    }

    /// A record of the answer section whose type, class, TTL, length and data are octets already.
    ///
    /// # Errors
    /// [`Full`].
    pub fn encoded_answer(&mut self, owner: usize, encoded: &[u8]) -> Result<(), Full> {
        self.put(&[&pointer(owner), encoded])?;
        self.counts[Section::Answer as usize] += 1;
        Ok(())
    }

    /// Records of the answer section, as many of them as fit.
    ///
    /// # Errors
    /// [`Full`], when not all do.
    pub fn answers_of<const N: usize>(&mut self, set: &RecordSet<'_>, data: &[[u8; N]]) -> Result<(), Full> {
        let written = self.set(set, data);
        self.counts[Section::Answer as usize] += written;
        if usize::from(written) < data.len() { Err(Full) } else { Ok(()) }
    }

    /// Records of the additional section: all of them or none.
    ///
    /// # Errors
    /// [`Full`], when not all fit.
    pub fn glue_of<const N: usize>(&mut self, set: &RecordSet<'_>, data: &[[u8; N]]) -> Result<(), Full> {
        if data.len() > self.room_for(set, N) {
            return Err(Full);
        }
        self.counts[Section::Additional as usize] += self.set(set, data);
        Ok(())
    }

    fn room_for(&self, set: &RecordSet<'_>, length: usize) -> usize {
        self.limit.min(self.buffer.len()).saturating_sub(self.length) / (set.label.len() + 12 + length)
    }

    /// Writes the records that fit; gives how many. One check of the room serves all of them.
    fn set<const N: usize>(&mut self, set: &RecordSet<'_>, data: &[[u8; N]]) -> u16 {
        // A message of 64 KiB holds fewer than 2^16 records.
        let count = u16::try_from(data.len().min(self.room_for(set, N))).unwrap_or(u16::MAX);
        let mut head = set.head;
        #[allow(clippy::cast_possible_truncation)] // 4 or 16
        {
            head[11] = N as u8;
        }
        let front = set.label.len();
        let size = front + 12 + N;
        let end = self.length + usize::from(count) * size;
        let to = self.buffer.get_mut(self.length..end).unwrap_or_default();
        if front == 0 {
            for (slot, data) in to.chunks_exact_mut(12 + N).zip(data) {
                slot[..12].copy_from_slice(&head);
                slot[12..].copy_from_slice(data);
            }
        } else {
            for (slot, data) in to.chunks_exact_mut(size).zip(data) {
                let (label, rest) = slot.split_at_mut(front);
                label.copy_from_slice(set.label);
                rest[..12].copy_from_slice(&head);
                rest[12..].copy_from_slice(data);
            }
        }
        self.length = end;
        count
    }

    /// A record of the answer section; gives the place of its data.
    ///
    /// # Errors
    /// [`Full`].
    pub fn answer(&mut self, owner: usize, rtype: u16, ttl: u32, data: &[&[u8]]) -> Result<usize, Full> {
        self.record(Section::Answer, owner, rtype, ttl, data)
    }

    /// A record of the authority section.
    ///
    /// # Errors
    /// [`Full`].
    pub fn authority(&mut self, owner: usize, rtype: u16, ttl: u32, data: &[&[u8]]) -> Result<usize, Full> {
        self.record(Section::Authority, owner, rtype, ttl, data)
    }

    /// An SRV record of the answer section with priority 0; gives the place of its target.
    ///
    /// # Errors
    /// [`Full`].
    pub fn srv(
        &mut self,
        owner: usize,
        ttl: u32,
        weight: u16,
        port: u16,
        target: &SrvTarget<'_>,
    ) -> Result<usize, Full> {
        let [weight, port] = [weight.to_be_bytes(), port.to_be_bytes()];
        let [first, service, rest] = target.0;
        self.answer(owner, rtype::SRV, ttl, &[&[0, 0], &weight, &port, first, service, rest])
            .map(|data| data + 6)
    }

    fn record(
        &mut self,
        section: Section,
        owner: usize,
        rtype: u16,
        ttl: u32,
        data: &[&[u8]],
    ) -> Result<usize, Full> {
        let length: usize = data.iter().map(|part| part.len()).sum();
        let room = self.limit.saturating_sub(self.length);
        let length_octets = u16::try_from(length).map_err(|_| Full)?.to_be_bytes();
        if room < 12 + length {
            return Err(Full);
        }
        let [t, c, l] = [rtype.to_be_bytes(), [0, 1], length_octets];
        self.put(&[&pointer(owner), &t, &c, &ttl.to_be_bytes(), &l])?;
        let place = self.length;
        for part in data {
            self.put(&[part])?;
        }
        self.counts[section as usize] += 1;
        Ok(place)
    }

    /// Whether a name at this place can be pointed to.
    #[must_use]
    pub fn can_point_to(place: usize) -> bool {
        place < POINTER_END
    }

    /// How many octets are written.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many records the answer section holds.
    #[must_use]
    pub fn answers(&self) -> u16 {
        self.counts[1]
    }

    /// Whether the client sent EDNS, and so is sent an OPT record.
    #[must_use]
    pub fn has_edns(&self) -> bool {
        self.edns.is_some()
    }

    /// Writes OPT and header; gives the reply's length.
    ///
    /// `errors` are Extended DNS Errors (RFC 8914): each is added when the client sent EDNS and it fits, or without its
    /// text where only that fits. None pushes a record out, or makes a reply one that is cut short.
    pub fn finish(mut self, rcode: u16, errors: &[Option<Extended<'_>>]) -> usize {
        if let Some((dnssec_ok, payload)) = self.edns {
            self.limit += OPT;
            let [high, _] = (rcode << 4).to_be_bytes();
            let flags = if dnssec_ok { 0x80 } else { 0 };
            let [p0, p1] = payload.to_be_bytes();
            let [t0, t1] = rtype::OPT.to_be_bytes();
            if self.put(&[&[0, t0, t1, p0, p1, high, 0, flags, 0, 0, 0]]).is_ok() {
                self.counts[Section::Additional as usize] += 1;
                let options = self.length;
                let written = errors.iter().flatten().fold(false, |written, error| {
                    let bare = Extended { code: error.code, text: "" };
                    self.option(error).or_else(|Full| self.option(&bare)).is_ok() || written
                });
                if written {
                    let length = u16::try_from(self.length - options).unwrap_or_default();
                    let to = self.buffer.get_mut(options - 2..options).unwrap_or_default();
                    to.copy_from_slice(&length.to_be_bytes());
                }
            }
        }
        let flags = self.flags | (rcode & 15);
        let words = [flags, self.counts[0], self.counts[1], self.counts[2], self.counts[3]];
        let header = self.buffer.get_mut(2..HEADER).unwrap_or_default();
        for (slot, word) in header.chunks_exact_mut(2).zip(words) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        self.length
    }

    fn option(&mut self, error: &Extended<'_>) -> Result<(), Full> {
        let length = u16::try_from(error.text.len() + 2).map_err(|_| Full)?;
        let [option, length, code] = [EXTENDED_ERROR, length, error.code].map(u16::to_be_bytes);
        self.put(&[&option, &length, &code, error.text.as_bytes()])
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<(), Full> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let end = self.length + length;
        if end > self.limit {
            return Err(Full);
        }
        let mut to = self.buffer.get_mut(self.length..end).ok_or(Full)?;
        for part in parts {
            let (here, rest) = to.split_at_mut(part.len());
            here.copy_from_slice(part);
            to = rest;
        }
        self.length = end;
        Ok(())
    }
}

/// A compression pointer; places past the 14 bits are the caller's to avoid ([`Response::can_point_to`]).
fn pointer(place: usize) -> [u8; 2] {
    #[allow(clippy::cast_possible_truncation)] // masked to 14 bits
    ((place & (POINTER_END - 1)) as u16 | 0xc000).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: &[u8] = b"\xab\xcd\x01\x10\x00\x01\x00\x00\x00\x00\x00\x01\x03WEB\x00\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00";

    fn reply(limit: usize, write: impl FnOnce(&mut Response<'_>)) -> Vec<u8> {
        let mut query = Query::default();
        query.parse(PACKET).unwrap();
        let mut buffer = vec![0; 600];
        let mut response = Response::start(&mut buffer, &query, PACKET, limit, 1232);
        write(&mut response);
        let length = response.finish(0, &[Some(Extended { code: 20, text: "why" }), None]);
        buffer.truncate(length);
        buffer
    }

    #[test]
    fn header_question_and_opt() {
        #[allow(clippy::redundant_closure_for_method_calls)] // the path has no lifetime that fits
        let reply = reply(512, |response| response.authoritative());
        assert_eq!(&reply[2..12], b"\x85\x10\x00\x01\x00\x00\x00\x00\x00\x01");
        assert_eq!(&reply[12..21], b"\x03WEB\x00\x00\x01\x00\x01");
        assert_eq!(&reply[21..], b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x09\x00\x0f\x00\x05\x00\x14why");
    }

    #[test]
    fn what_does_not_fit_loses_its_text_then_itself_and_the_next_may_fit() {
        let errors = [(0, "a sentence"), (3, "")].map(|(code, text)| Some(Extended { code, text }));
        let options = |limit: usize| {
            let mut query = Query::default();
            query.parse(PACKET).unwrap();
            let mut buffer = vec![0; 600];
            let length = Response::start(&mut buffer, &query, PACKET, limit, 1232).finish(3, &errors);
            assert_eq!((buffer[2] & 2, buffer[3] & 15), (0, 3), "no TC");
            assert_eq!(usize::from(buffer[31]), length - 32);
            buffer[32..length].to_vec()
        };
        let (whole, bare, second) = (
            &b"\x00\x0f\x00\x0c\x00\x00a sentence"[..],
            b"\x00\x0f\x00\x02\x00\x00",
            b"\x00\x0f\x00\x02\x00\x03",
        );
        assert_eq!(options(32 + 22), [whole, &second[..]].concat());
        assert_eq!(options(32 + 21), whole, "no room for the second");
        assert_eq!(options(32 + 15), [&bare[..], second].concat());
        assert_eq!(options(32 + 11), bare);
        assert_eq!(options(32 + 5), b"");
    }

    #[test]
    fn a_full_reply_keeps_its_opt_and_whole_records() {
        let mut full = None;
        let reply = reply(21 + 11 + 16 + 8, |r| {
            assert_eq!(r.answer(12, rtype::A, 5, &[&[1, 2, 3, 4]]), Ok(33));
            full = Some(r.answer(12, rtype::A, 5, &[&[1, 2, 3, 5]]));
        });
        assert_eq!(full, Some(Err(Full)));
        assert_eq!(&reply[6..8], b"\x00\x01");
        assert_eq!(
            reply.len(),
            21 + 16 + 11 + 6,
            "the error's text is left out, its code and the OPT are not"
        );
        assert_eq!(&reply[21..37], b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04");
    }
}
