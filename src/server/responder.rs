//! One packet in, one packet out.

use crate::wire::{Name, Query, Response};
use crate::zone::{Outcome, Reader, Scratch, View, answer};

/// The most octets that are sent over UDP, and what the OPT records of replies say: what crosses the links of
/// the day in one piece (the figure of the 2020 DNS flag day).
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// What a reply may be as large as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The client's EDNS size, 512 to 1232 octets.
    Udp,
    /// 65535 octets.
    Tcp,
}

/// What to do about a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Send this many octets of the buffer.
    Send(usize),
    /// Say nothing.
    Silence,
    /// The buffer holds a reply with the aliases that lead out of the zones; what the upstream says about
    /// their end is to be added by [`super::Upstream`], up to `limit` octets in all.
    Chase {
        /// Octets of the buffer.
        length: usize,
        /// The name to ask for.
        target: Name,
        /// The question's type.
        rtype: u16,
        /// What the whole reply may be as large as.
        limit: usize,
    },
}

/// Answers packets; one for each thread or connection, for it keeps its buffers.
pub struct Responder {
    reader: Reader,
    query: Query,
    scratch: Scratch,
}

impl Responder {
    /// Answers from a zone.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self { reader, query: Query::default(), scratch: Scratch::default() }
    }

    /// The same with all its room taken, for a thread that shall never allocate between receive and send.
    #[must_use]
    pub fn reserved(reader: Reader) -> Self {
        Self { reader, query: Query::default(), scratch: Scratch::reserved() }
    }

    /// Pins the zone for the packets of one moment.
    pub fn pin(&mut self) -> Pinned<'_> {
        Pinned { view: self.reader.view(), query: &mut self.query, scratch: &mut self.scratch }
    }

    /// Answers one packet into `out`, which must hold 1232 octets for UDP and 65535 for TCP.
    pub fn respond(&mut self, packet: &[u8], transport: Transport, out: &mut [u8]) -> Reply {
        self.pin().respond(packet, transport, out)
    }
}

/// A [`Responder`] with the zone pinned; see [`Reader::view`].
pub struct Pinned<'r> {
    view: View<'r>,
    query: &'r mut Query,
    scratch: &'r mut Scratch,
}

impl Pinned<'_> {
    /// Answers one packet into `out`, which must hold 1232 octets for UDP and 65535 for TCP.
    pub fn respond(&mut self, packet: &[u8], transport: Transport, out: &mut [u8]) -> Reply {
        let query = &mut *self.query;
        let parsed = query.parse(packet);
        let limit = match transport {
            Transport::Udp => query.udp_limit(usize::from(UDP_PAYLOAD)),
            Transport::Tcp => usize::from(u16::MAX),
        };
        let refused = match parsed.map_err(crate::wire::QueryError::rcode) {
            Ok(()) => None,
            Err(None) => return Reply::Silence,
            Err(Some(code)) => Some(code),
        };
        let mut response = Response::start(out, query, packet, limit, UDP_PAYLOAD);
        if let Some(code) = refused {
            return Reply::Send(response.finish(code, None));
        }
        match answer(&self.view, query, &mut response, self.scratch) {
            Outcome::Done(code, error) => Reply::Send(response.finish(code, error)),
            Outcome::Chase(target) => {
                let length = response.finish(0, None);
                Reply::Chase { length, target, rtype: query.rtype, limit }
            }
        }
    }
}
