//! dnstap messages: what <https://github.com/dnstap/dnstap.pb> has for an authoritative server, and no more.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use prost::Message as _;

use super::super::responder::Transport;
use super::Exchange;

/// `Dnstap`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dnstap {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(super) identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) version: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    pub(super) message: Option<Message>,
    /// `MESSAGE`.
    #[prost(int32, required, tag = "15")]
    pub(super) kind: i32,
}

/// `Message`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Message {
    #[prost(int32, required, tag = "1")]
    pub(super) kind: i32,
    #[prost(int32, optional, tag = "2")]
    pub(super) socket_family: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(super) response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    pub(super) query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub(super) response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    pub(super) query_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    pub(super) query_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    pub(super) query_message: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    pub(super) response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    pub(super) response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    pub(super) response_message: Option<Vec<u8>>,
}

/// `Dnstap.Type`.
pub(super) const MESSAGE: i32 = 1;
/// `Message.Type`.
pub(super) const AUTH_QUERY: i32 = 1;
pub(super) const AUTH_RESPONSE: i32 = 2;
/// `SocketFamily`.
pub(super) const INET: i32 = 1;
pub(super) const INET6: i32 = 2;
/// `SocketProtocol`.
const UDP: i32 = 1;
const TCP: i32 = 2;
const DOT: i32 = 3;
const DOH: i32 = 4;
const DOQ: i32 = 7;

/// Who says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender {
    /// The server's name, as `id.server` has it.
    pub(super) identity: Option<Box<str>>,
}

impl Sender {
    /// Appends an exchange to a stream's data as two frames, a length of four octets in front of each: the question, and
    /// the reply with the times of both, as the schema recommends.
    pub(super) fn frames(&self, exchange: &Exchange, out: &mut Vec<u8>) {
        let answered = exchange.asked + exchange.took;
        let both = both(exchange);
        let (seconds, nanoseconds) = since_1970(answered);
        let query =
            Message { kind: AUTH_QUERY, query_message: Some(exchange.query().to_vec()), ..both.clone() };
        let response = Message {
            kind: AUTH_RESPONSE,
            response_time_sec: Some(seconds),
            response_time_nsec: Some(nanoseconds),
            response_message: Some(exchange.reply().to_vec()),
            ..both
        };
        for message in [query, response] {
            let frame = Dnstap {
                identity: self.identity.as_ref().map(|text| text.as_bytes().to_vec()),
                version: Some(concat!("rollcall ", env!("CARGO_PKG_VERSION")).into()),
                message: Some(message),
                kind: MESSAGE,
            };
            let length = u32::try_from(frame.encoded_len()).unwrap_or(u32::MAX);
            out.extend(length.to_be_bytes());
            // A Vec has room for everything.
            let _ = frame.encode(out);
        }
    }
}

/// What the question's message and the reply's have in common.
fn both(exchange: &Exchange) -> Message {
    let octets = |address: SocketAddr| match address.ip().to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let (seconds, nanoseconds) = since_1970(exchange.asked);
    Message {
        socket_family: Some(if exchange.client.ip().to_canonical().is_ipv4() { INET } else { INET6 }),
        socket_protocol: Some(match exchange.transport {
            Transport::Udp => UDP,
            Transport::Tcp => TCP,
            Transport::Tls => DOT,
            Transport::Https => DOH,
            Transport::Quic => DOQ,
        }),
        query_address: Some(octets(exchange.client)),
        query_port: Some(exchange.client.port().into()),
        response_address: exchange.server.map(octets),
        response_port: exchange.server.map(|server| server.port().into()),
        query_time_sec: Some(seconds),
        query_time_nsec: Some(nanoseconds),
        ..Message::default()
    }
}

/// Seconds and nanoseconds; a clock before 1970 counts as 1970.
fn since_1970(time: SystemTime) -> (u64, u32) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::super::tests::mk_seen;
    use super::*;

    /// The frames of a stream's data.
    fn decoded(mut data: &[u8]) -> Vec<Dnstap> {
        let mut frames = Vec::new();
        while let Some((length, rest)) = data.split_first_chunk::<4>() {
            let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            frames.push(Dnstap::decode(frame).unwrap());
            data = rest;
        }
        frames
    }

    #[test]
    fn an_exchange_is_a_question_and_a_reply() {
        let mut exchange = Exchange::empty();
        exchange.fill(&mk_seen(b"question", b"reply"));
        exchange.took = std::time::Duration::from_nanos(1_000_000_001);
        let mut out = Vec::new();
        Sender { identity: Some("dns-0".into()) }.frames(&exchange, &mut out);
        let frames = decoded(&out);
        let [query, response] = frames.as_slice() else { panic!("{frames:?}") };
        assert_eq!((query.kind, response.identity.as_deref()), (MESSAGE, Some(&b"dns-0"[..])));
        assert!(query.version.as_deref().is_some_and(|version| version.starts_with(b"rollcall ")));
        let message = query.message.clone().unwrap();
        assert_eq!(
            message,
            Message {
                kind: AUTH_QUERY,
                socket_family: Some(INET),
                socket_protocol: Some(UDP),
                query_address: Some(vec![10, 0, 0, 9]),
                response_address: Some(vec![10, 0, 0, 1]),
                query_port: Some(4242),
                response_port: Some(53),
                query_time_sec: Some(7),
                query_time_nsec: Some(9),
                query_message: Some(b"question".to_vec()),
                ..Message::default()
            }
        );
        assert_eq!(
            response.message.clone().unwrap(),
            Message {
                kind: AUTH_RESPONSE,
                query_message: None,
                response_time_sec: Some(8),
                response_time_nsec: Some(10),
                response_message: Some(b"reply".to_vec()),
                ..message
            }
        );
    }

    #[test]
    fn families_and_transports() {
        let mut exchange = Exchange::empty();
        let sender = Sender { identity: None };
        for (client, family, octets) in [("[::1]:1", INET6, 16), ("[::ffff:10.0.0.1]:1", INET, 4)] {
            let seen = super::super::Seen {
                client: client.parse().unwrap(),
                server: None,
                transport: Transport::Tcp,
                ..mk_seen(b"", b"")
            };
            exchange.fill(&seen);
            let mut out = Vec::new();
            sender.frames(&exchange, &mut out);
            let message = decoded(&out).remove(0).message.unwrap();
            assert_eq!(
                (message.socket_family, message.socket_protocol),
                (Some(family), Some(TCP)),
                "{client}"
            );
            assert_eq!(message.query_address.map(|address| address.len()), Some(octets), "{client}");
            assert_eq!((message.response_address, message.response_port), (None, None));
        }
    }
}
