//! The part of a connection that stateful operations are (RFC 8490): taking them, writing what is pushed, the abrupt end.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, MOST_OUTPUT, Stream, Turn};
use crate::server::dso::{Said, hear};
use crate::wire::dso::is_stateful;
use crate::wire::has_option;

/// The EDNS option edns-tcp-keepalive (RFC 7828, section 3.1).
const TCP_KEEPALIVE: u16 = 11;

impl<S: Stream> Connection<'_, S> {
    /// Ends the connection without a word (RFC 8490, section 5.3: a reset, where TCP has it).
    pub(super) fn abort(&mut self, why: &'static str) -> io::Error {
        let _ = socket2::SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO));
        io::Error::other(why)
    }

    /// Writes what a session is to be sent, as shared octets wherever the client takes them at once.
    pub(super) fn poll_pushes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let Some(session) = &mut self.session else { return Poll::Pending };
        let taken = ready!(session.poll_take(cx, MOST_OUTPUT));
        if taken.ended {
            // What an upstream says later has nobody to be said to: behind the goodbye nothing is (RFC 8490, section 6.6.1).
            self.waiting = None;
        }
        let mut wrote = false;
        let mut frames = taken.frames.iter();
        for frame in frames.by_ref() {
            let written = self.write(cx, frame)?;
            wrote |= written > 0;
            if written < frame.len() {
                self.output.extend_from_slice(&frame[written..]);
                break;
            }
        }
        frames.for_each(|frame| self.output.extend_from_slice(frame));
        // What the client did not take is its own, and counts as what it holds.
        self.account()?;
        Poll::Ready(Ok(Turn::wrote(wrote)))
    }

    /// Whether a session is to be written to before more is taken from its client. What a SUBSCRIBE asks for waits in the
    /// outbox and may be large: else who asks for much at once would be taken for one that does not read.
    pub(super) fn is_crowded(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.has_more_than(MOST_OUTPUT))
            || self.rest().is_some()
    }

    /// Until when nothing is taken from the client, for it asks faster than it may.
    pub(super) fn rest(&self) -> Option<Instant> {
        // Behind a goodbye all that it says is passed over, and who has nothing to write waits for its end.
        self.rests.filter(|until| *until > Instant::now() && !self.is_leaving())
    }

    fn is_leaving(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_leaving())
    }

    /// Takes a message that is a session's. An error aborts the connection.
    pub(super) fn stateful(&mut self, packet: &[u8], output: &mut Vec<u8>) -> io::Result<Heard> {
        let shared = self.shared;
        if let Some(session) = &mut self.session {
            if session.is_leaving() {
                return Ok(Heard::Operation);
            }
            session.touch();
            // RFC 8490, section 7.1.2: a session's times are not an EDNS option's business any more.
            if !is_stateful(packet) {
                session.operate();
                if has_option(packet, TCP_KEEPALIVE) {
                    return Err(self.abort("edns-tcp-keepalive in a session"));
                }
                return Ok(Heard::Question);
            }
        } else if !is_stateful(packet) || !shared.limits().push.allows(shared.transport) {
            // Without sessions the opcode is not implemented, and said so.
            return Ok(Heard::Question);
        }
        // Before it is done: what it costs counts whatever comes of it.
        self.rests = shared.hub.pace(self.guard.client);
        match hear(&mut self.session, &shared.hub, (shared.transport, self.guard.client), packet) {
            Said::Nothing => {}
            Said::Reply(reply) => output.extend(reply),
            Said::Malformed(reply) => {
                output.extend(reply);
                return Ok(Heard::Garbage);
            }
            Said::Abort(why) => return Err(self.abort(why)),
        }
        Ok(Heard::Operation)
    }
}

/// What a message was.
pub(super) enum Heard {
    /// Nothing of a session's: it is answered as on any connection.
    Question,
    /// A session's, and taken.
    Operation,
    /// Meant to be a session's, and cannot be read.
    Garbage,
}
