//! One question, one reply, as octets: what HTTPS and QUIC have in common once their own words are read.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::server::queries::{Asked, QueryCell};
use crate::server::responder::{Reply, Responder, Transport};
use crate::server::tap::{Moment, Seen, Tap};
use crate::server::tcp_counters::TcpCounters;
use crate::server::upstream::{Chase, Upstream, UpstreamSlot};
use crate::zone::Reader;

/// Both ends of a connection, as those who watch are told; the server's where it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    pub(super) server: Option<SocketAddr>,
}

/// Answers questions of any task.
pub(super) struct Exchange {
    reader: Reader,
    upstream: UpstreamSlot,
    tap: Tap,
    transport: Transport,
    counters: TcpCounters,
    /// As many as were in use at one time, which is one a worker of the runtime.
    desks: Mutex<Vec<Desk>>,
}

struct Desk {
    responder: Box<Responder>,
    reply: Box<[u8]>,
    /// Its own: who is at the desk is the one writer.
    cell: Arc<QueryCell>,
}

impl Exchange {
    /// Answers from a zone, and for aliases out of it from the upstream, as a transport does.
    pub(super) fn new(
        reader: &Reader,
        upstream: &UpstreamSlot,
        tap: &Tap,
        transport: Transport,
        counters: TcpCounters,
    ) -> Self {
        let (reader, upstream, tap) = (reader.clone(), upstream.clone(), tap.clone());
        Self { reader, upstream, tap, transport, counters, desks: Mutex::default() }
    }

    /// What is counted.
    #[cfg(feature = "quic")]
    pub(super) fn counters(&self) -> &TcpCounters {
        &self.counters
    }

    /// The reply; None where the packet deserves silence. Waits for the upstream alone.
    pub(super) async fn answer(&self, packet: &[u8], ends: Ends) -> Option<Vec<u8>> {
        let (began, moment) = (Instant::now(), self.tap.asked());
        let reply = match self.at_desk(packet, ends.client.ip(), began) {
            Looked::Up(reply) => reply,
            Looked::Silence => return None,
            Looked::Chase(upstream, asked, chase) => {
                let reply = self.transport.padded(upstream.complete(&chase).await);
                self.counters.queries().late().count_late(asked, packet.len(), &reply, began);
                reply
            }
        };
        if let Some(asked) = moment {
            self.show(asked, ends, packet, &reply);
        }
        Some(reply)
    }

    fn show(&self, asked: Moment, Ends { client, server }: Ends, query: &[u8], reply: &[u8]) {
        let seen = Seen { transport: self.transport, client, server, asked, query, reply };
        self.tap.show(std::iter::once(seen));
    }

    /// The part that waits for nothing. A desk where that panics is left behind.
    fn at_desk(&self, packet: &[u8], client: IpAddr, began: Instant) -> Looked {
        let desks = || self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let free = desks().pop();
        let mut desk = free.unwrap_or_else(|| Desk {
            responder: Box::new(Responder::new(self.reader.clone())),
            reply: vec![0; usize::from(u16::MAX)].into(),
            cell: self.counters.queries().cell(),
        });
        let Desk { responder, reply, cell } = &mut desk;
        let (answer, asked) = responder.pin().respond_and_tell(packet, self.transport, Some(client), reply);
        let upstream = match &answer {
            Reply::Chase { .. } => self.upstream.get(),
            _ => None,
        };
        let looked = match (answer, asked, upstream) {
            (Reply::Silence, ..) | (_, None, _) => Looked::Silence,
            (Reply::Chase { length, target, rtype, limit, answers }, Some(asked), Some(upstream)) => {
                let (packet, partial) = (packet.into(), reply[..length].into());
                let chase = Chase { packet, partial, target, rtype, limit, answers };
                Looked::Chase(upstream, asked, Box::new(chase))
            }
            // No question waits here for a replica: streams are few and dear.
            (
                Reply::Send(length) | Reply::Chase { length, .. } | Reply::Held { length, .. },
                Some(asked),
                _,
            ) => {
                let length = self.transport.pad(reply, length);
                cell.count(asked, packet.len(), reply, length);
                cell.took(began, 1);
                Looked::Up(reply[..length].into())
            }
        };
        desks().push(desk);
        looked
    }
}

enum Looked {
    Up(Vec<u8>),
    Silence,
    Chase(Arc<Upstream>, Asked, Box<Chase>),
}
