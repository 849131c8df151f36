//! One question, one reply, as octets: what HTTPS and QUIC have in common once their own words are read.

use std::sync::{Arc, Mutex, PoisonError};

use crate::server::responder::{Reply, Responder, Transport};
use crate::server::upstream::{Chase, Upstream};
use crate::zone::Reader;

/// Answers questions of any task.
pub struct Exchange {
    reader: Reader,
    upstream: Option<Arc<Upstream>>,
    /// As many as were in use at one time, which is one a worker of the runtime.
    desks: Mutex<Vec<Desk>>,
}

struct Desk {
    responder: Box<Responder>,
    reply: Box<[u8]>,
}

impl Exchange {
    /// Answers from a zone, and for aliases out of it from the upstream.
    #[must_use]
    pub fn new(reader: &Reader, upstream: Option<Arc<Upstream>>) -> Arc<Self> {
        Arc::new(Self { reader: reader.clone(), upstream, desks: Mutex::default() })
    }

    /// The reply; None where the packet deserves silence. Waits for the upstream alone.
    pub(super) async fn answer(&self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        match self.at_desk(packet, transport) {
            Looked::Up(reply) => Some(reply),
            Looked::Silence => None,
            Looked::Chase(upstream, chase) => Some(transport.padded(upstream.complete(&chase).await)),
        }
    }

    /// The part that waits for nothing. A desk where that panics is left behind.
    fn at_desk(&self, packet: &[u8], transport: Transport) -> Looked<'_> {
        let desks = || self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let free = desks().pop();
        let mut desk = free.unwrap_or_else(|| Desk {
            responder: Box::new(Responder::new(self.reader.clone())),
            reply: vec![0; usize::from(u16::MAX)].into(),
        });
        let Desk { responder, reply } = &mut desk;
        let looked = match (responder.respond(packet, transport, reply), &self.upstream) {
            (Reply::Silence, _) => Looked::Silence,
            (Reply::Chase { length, target, rtype, limit }, Some(upstream)) => {
                let (packet, partial) = (packet.into(), reply[..length].into());
                Looked::Chase(upstream, Box::new(Chase { packet, partial, target, rtype, limit }))
            }
            (Reply::Send(length) | Reply::Chase { length, .. }, _) => {
                let length = transport.pad(reply, length);
                Looked::Up(reply[..length].into())
            }
        };
        desks().push(desk);
        looked
    }
}

enum Looked<'e> {
    Up(Vec<u8>),
    Silence,
    Chase(&'e Upstream, Box<Chase>),
}
