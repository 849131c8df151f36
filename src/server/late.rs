//! A reply over UDP that is not sent with its batch: what it takes to send, count and show it by itself.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use tracing::debug;

use super::counters::UdpCounters;
use super::queries::{Asked, QueryCell};
use super::responder::Transport;
use super::socket::Envelope;
use super::tap::{Moment, Seen, Tap};

/// Where it goes, and as what it counts.
pub(super) struct Late {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) envelope: Envelope,
    pub(super) asked: Asked,
    pub(super) began: Instant,
    /// None where nobody watches.
    pub(super) moment: Option<Moment>,
    pub(super) counters: UdpCounters,
    pub(super) tap: Tap,
}

impl Late {
    /// Sends the reply to a packet.
    pub(super) fn send(&self, packet: &[u8], reply: &mut [u8]) {
        self.send_and(packet, reply, |cell, reply| {
            cell.count_late(self.asked, packet.len(), reply, self.began);
        });
    }

    /// The same, of a question that was kept open.
    pub(super) fn send_held(&self, packet: &[u8], reply: &mut [u8]) {
        self.send_and(packet, reply, |cell, reply| cell.count_held(self.asked, packet.len(), reply));
    }

    fn send_and(&self, packet: &[u8], reply: &mut [u8], count: impl FnOnce(&QueryCell, &[u8])) {
        let sent = self.envelope.send(&self.socket, reply);
        self.counters.late().add_late(sent.is_ok());
        count(self.counters.queries().late(), reply);
        if let Some(moment) = self.moment {
            let bound = self.socket.local_addr().ok();
            self.tap.show(seen(packet, reply, &self.envelope, bound, moment).into_iter());
        }
        if let Err(error) = sent {
            debug!(%error, "a reply could not be sent");
        }
    }
}

/// What the tap is shown of an exchange.
pub(super) fn seen<'a>(
    query: &'a [u8],
    reply: &'a [u8],
    envelope: &Envelope,
    bound: Option<SocketAddr>,
    asked: Moment,
) -> Option<Seen<'a>> {
    let server = bound.map(|bound| (envelope.asked_at().unwrap_or(bound.ip()), bound.port()).into());
    Some(Seen { transport: Transport::Udp, client: envelope.client()?, server, asked, query, reply })
}
