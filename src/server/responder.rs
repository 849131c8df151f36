//! One packet in, one packet out.

use std::net::IpAddr;
use std::time::Duration;

use super::queries::Asked;
use crate::wire::{Name, Query, Response, pad, rcode};
use crate::zone::{Answers, Lookup, Outcome, Reader, Scratch, View, answer, finish, look_up};

/// The most octets that are sent over UDP, and what the OPT records of replies say: what crosses the links of
/// the day in one piece (the figure of the 2020 DNS flag day).
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// How a packet came, and so what its reply may be as large as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The client's EDNS size, 512 to 1232 octets.
    Udp,
    /// 65535 octets.
    Tcp,
    /// RFC 7858: 65535 octets, padded.
    Tls,
    /// RFC 8484: the same.
    Https,
    /// RFC 9250: the same.
    Quic,
}

/// The lengths that replies are padded to multiples of where nobody else can read them (RFC 8467, section 4.1).
const PADDING_BLOCK: usize = 468;

impl Transport {
    /// Whether nobody but the client can read a reply.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }

    /// Pads a finished reply of so many octets, where that is of use: a client with EDNS can read it (RFC 7830,
    /// section 4, leaves it to us where the client did not ask for it). Gives its length.
    pub(super) fn pad(self, reply: &mut [u8], length: usize) -> usize {
        if self.is_encrypted() { pad(reply, length, PADDING_BLOCK) } else { length }
    }

    /// The same for a reply that waited for the upstream.
    pub(super) fn padded(self, mut reply: Vec<u8>) -> Vec<u8> {
        if self.is_encrypted() {
            let length = reply.len();
            let room = (length + 2 * PADDING_BLOCK).min(usize::from(u16::MAX)).max(length);
            reply.resize(room, 0);
            let length = pad(&mut reply, length, PADDING_BLOCK);
            reply.truncate(length);
        }
        reply
    }
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
        /// How much the client is told, should the upstream fail.
        answers: Answers,
    },
    /// The buffer holds the answer of this moment to a question for a replica that should be there and is not ready: who
    /// can wait asks again when the zone changes, and sends what is said then, or at the end of its time.
    Held {
        /// Octets of the buffer.
        length: usize,
        /// For how long it may wait.
        longest: Duration,
    },
}

/// The most packets that are answered together.
pub(super) const MOST_TOGETHER: usize = 64;

/// Answers packets; one for each thread or connection, for it keeps its buffers.
pub struct Responder {
    reader: Reader,
    queries: Box<[Query]>,
    scratch: Scratch,
}

impl Responder {
    /// Answers from a zone, one packet at a time.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self { reader, queries: Box::new([Query::default()]), scratch: Scratch::default() }
    }

    /// The same with room for `together` packets, at most 64, and all other room taken: for a thread that shall never
    /// allocate between receive and send.
    #[must_use]
    pub fn reserved(reader: Reader, together: usize) -> Self {
        let queries = (0..together.clamp(1, MOST_TOGETHER)).map(|_| Query::default()).collect();
        Self { reader, queries, scratch: Scratch::reserved() }
    }

    /// Pins the zone for the packets of one moment.
    pub fn pin(&mut self) -> Pinned<'_> {
        Pinned { view: self.reader.view(), queries: &mut self.queries, scratch: &mut self.scratch }
    }

    /// Answers one packet into `out`, which must hold 1232 octets for UDP and 65535 for the others.
    pub fn respond(&mut self, packet: &[u8], transport: Transport, out: &mut [u8]) -> Reply {
        self.pin().respond(packet, transport, out)
    }
}

/// A [`Responder`] with the zone pinned; see [`Reader::view`].
pub struct Pinned<'r> {
    view: View<'r>,
    queries: &'r mut [Query],
    scratch: &'r mut Scratch,
}

impl<'r> Pinned<'r> {
    /// Answers one packet into `out`, which must hold 1232 octets for UDP and 65535 for the others.
    pub fn respond(&mut self, packet: &[u8], transport: Transport, out: &mut [u8]) -> Reply {
        self.look_up(std::iter::once(packet)).respond(0, packet, transport, out)
    }

    /// The same, and what the packet is counted under; nothing where it is silence.
    pub(super) fn respond_and_tell(
        &mut self,
        packet: &[u8],
        transport: Transport,
        client: Option<IpAddr>,
        out: &mut [u8],
    ) -> (Reply, Option<Asked>) {
        let mut questions = self.look_up(std::iter::once(packet));
        let asked = questions.asked(0);
        (questions.respond_to(client, 0, packet, transport, out), asked)
    }

    /// Reads the questions of packets, as many as there is room for, and finds their names, all before the first
    /// answer is written: what one lookup waits for in memory arrives while the others are made.
    pub fn look_up<'p>(&mut self, packets: impl Iterator<Item = &'p [u8]>) -> Questions<'_, 'r> {
        let mut questions = [const { Question::Silent }; MOST_TOGETHER];
        let (mut count, queries) = (0, &mut *self.queries);
        for ((query, packet), question) in queries.iter_mut().zip(packets).zip(&mut questions) {
            *question = match query.parse(packet).map_err(crate::wire::QueryError::rcode) {
                Ok(()) => Question::Asked,
                Err(Some(code)) => Question::Refused(code),
                Err(None) => Question::Silent,
            };
            count += 1;
        }
        let queries = &*queries;
        for (query, question) in queries.iter().zip(&mut questions).take(count) {
            if matches!(question, Question::Asked) {
                *question = Question::Found(look_up(&self.view, query));
            }
        }
        for (query, question) in queries.iter().zip(&mut questions).take(count) {
            *question = match std::mem::replace(question, Question::Silent) {
                Question::Found(lookup) => Question::Found(lookup.complete(query)),
                other => other,
            };
        }
        Questions { view: &self.view, queries, questions, scratch: self.scratch }
    }
}

/// Questions whose names are found; each is answered once.
pub struct Questions<'q, 'r> {
    view: &'q View<'r>,
    queries: &'q [Query],
    questions: [Question<'q>; MOST_TOGETHER],
    scratch: &'q mut Scratch,
}

enum Question<'q> {
    /// Nothing is to be said.
    Silent,
    /// The packet is no question: the code to say so with.
    Refused(u16),
    /// Not looked up yet.
    Asked,
    Found(Lookup<'q>),
}

impl Questions<'_, '_> {
    /// What the packet that was looked up at this place is counted under, before it is answered.
    #[must_use]
    pub fn asked(&self, index: usize) -> Option<Asked> {
        match self.questions.get(index)? {
            Question::Silent | Question::Asked => None,
            Question::Refused(code) => Some(Asked::nothing(*code)),
            Question::Found(lookup) => Some(Asked::question(lookup.zone(), self.queries.get(index)?.rtype)),
        }
    }

    /// Answers the packet that was looked up at this place, into `out` as [`Pinned::respond`] does, as nobody in
    /// particular is answered.
    pub fn respond(&mut self, index: usize, packet: &[u8], transport: Transport, out: &mut [u8]) -> Reply {
        self.respond_to(None, index, packet, transport, out)
    }

    /// The same to a client, which may be told more or less of the reasons than others.
    pub fn respond_to(
        &mut self,
        client: Option<IpAddr>,
        index: usize,
        packet: &[u8],
        transport: Transport,
        out: &mut [u8],
    ) -> Reply {
        let (Some(query), Some(question)) = (self.queries.get(index), self.questions.get_mut(index)) else {
            return Reply::Silence;
        };
        let limit = match transport {
            Transport::Udp => query.udp_limit(usize::from(UDP_PAYLOAD)),
            Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic => usize::from(u16::MAX),
        };
        let found = match std::mem::replace(question, Question::Silent) {
            Question::Silent | Question::Asked => return Reply::Silence,
            Question::Refused(code) => Err(code),
            Question::Found(lookup) => Ok(lookup),
        };
        let mut response = Response::start(out, query, packet, limit, UDP_PAYLOAD);
        let lookup = match found {
            Ok(lookup) => lookup,
            Err(code) => return Reply::Send(response.finish(code, &[])),
        };
        match answer(self.view, query, lookup, &mut response, self.scratch) {
            Outcome::Done(code, reason) => {
                Reply::Send(finish(self.view, query, response, code, reason.as_ref(), client))
            }
            Outcome::Awaited(milliseconds, why) => {
                let code = rcode::NXDOMAIN;
                let length = finish(self.view, query, response, code, why.as_ref(), client);
                Reply::Held { length, longest: Duration::from_millis(milliseconds.into()) }
            }
            Outcome::Chase(target) => {
                let length = response.finish(0, &[]);
                let answers = self.view.answers_for(client);
                Reply::Chase { length, target, rtype: query.rtype, limit, answers }
            }
        }
    }
}
