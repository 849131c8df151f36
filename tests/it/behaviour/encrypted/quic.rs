//! DNS over QUIC (RFC 9250): a stream a question, and what ends a connection.

use std::time::Duration;

use quinn::{ConnectionError, VarInt};

use super::clients::{ask_quic, framed, quic, quic_with};
use super::{Served, question, run};
use crate::behaviour::manifests::NGINX;

/// DOQ_PROTOCOL_ERROR and DOQ_EXCESSIVE_LOAD (RFC 9250, section 4.3).
const PROTOCOL_ERROR: u32 = 2;
const EXCESSIVE_LOAD: u32 = 4;

fn closed_with(error: &ConnectionError) -> Option<VarInt> {
    match error {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code),
        _ => None,
    }
}

#[test]
fn more_questions_on_one_connection_than_streams_at_one_time() {
    // hickory-server ends a connection behind its hundredth question, and answers them one behind another.
    let served = Served::with("[limits]\nquic_streams = 10");
    run(async {
        let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
        let asked: Vec<_> = (0..400)
            .map(|number| {
                let connection = connection.clone();
                let line = if number % 10 == 0 {
                    "-t SRV big.default.svc.cluster.local".to_owned()
                } else {
                    format!("-t A web-1.{NGINX}")
                };
                tokio::spawn(async move { (number, ask_quic(&connection, &question(&line)).await) })
            })
            .collect();
        for reply in asked {
            let (number, reply) = reply.await.unwrap();
            let message = hickory_proto::op::Message::from_vec(&reply.expect("a reply")).unwrap();
            assert_eq!(message.answers.len(), if number % 10 == 0 { 400 } else { 1 }, "{number}");
        }
        assert!(connection.close_reason().is_none());
    });
}

#[test]
fn faults_of_the_protocol_end_the_connection() {
    let served = Served::new();
    let packet = question(&format!("+noedns -t A {NGINX}"));
    let mut with_id = packet.clone();
    with_id[1] = 7;
    let mut response = packet.clone();
    response[2] |= 0x80;
    let mut keepalive = packet.clone();
    keepalive[11] = 1;
    keepalive.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0b\0\0");
    let cases = [
        ("an ID", framed(&with_id)),
        ("a response", framed(&response)),
        ("the keepalive of TCP", framed(&keepalive)),
        ("a message that is not whole", framed(&packet)[..20].to_vec()),
        ("two messages", framed(&packet).repeat(2)),
        ("nothing", Vec::new()),
    ];
    run(async {
        for (what, octets) in &cases {
            let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
            let (mut send, mut receive) = connection.open_bi().await.unwrap();
            send.write_all(octets).await.unwrap();
            send.finish().unwrap();
            let end = connection.closed().await;
            assert_eq!(closed_with(&end), Some(PROTOCOL_ERROR.into()), "{what}: {end}");
            assert!(receive.read_to_end(1000).await.is_err(), "{what}");
        }
        // Another connection knows nothing of it.
        let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
        assert!(ask_quic(&connection, &packet).await.is_some());
    });
}

#[test]
fn a_question_that_is_too_long_ends_its_stream_alone() {
    let served = Served::with("[limits]\nencrypted_question = 512");
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        let _ = send.write_all(&framed(&[0; 600])).await;
        let _ = send.finish();
        match receive.read_to_end(1000).await {
            Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => {
                assert_eq!(code, VarInt::from_u32(EXCESSIVE_LOAD));
            }
            other => panic!("not a reset: {other:?}"),
        }
        assert!(ask_quic(&connection, &packet).await.is_some());
    });
}

#[test]
fn silence_ends_a_connection_even_where_it_is_kept_alive() {
    let served = Served::with("[limits]\nquic_idle = 1");
    run(async {
        let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
        // Streams that are begun and not finished are silent too.
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0, 40, 0]).await.unwrap();
        assert!(receive.read_to_end(1000).await.is_err(), "the stream is reset");
        let start = tokio::time::Instant::now();
        let pinging = async {
            loop {
                // Each is an octet for the transport and nothing for DNS.
                let _ = connection.open_bi().await.map(|(mut send, _)| send.reset(VarInt::from_u32(3)));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let end = tokio::select! {
            end = connection.closed() => end,
            () = pinging => unreachable!(),
        };
        assert_eq!(closed_with(&end), Some(VarInt::from_u32(0)), "{end}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    });
}

#[test]
fn another_protocol_and_streams_that_nobody_can_answer_are_refused() {
    let served = Served::new();
    run(async {
        assert!(quic_with(served.at("quic"), &served.authority, &[b"h3"]).await.is_err());
        assert!(quic_with(served.at("quic"), &served.authority, &[]).await.is_err());
        let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
        let one_way = tokio::time::timeout(Duration::from_millis(300), connection.open_uni()).await;
        assert!(one_way.is_err(), "no place for a stream of one way");
        assert_eq!(connection.max_datagram_size(), None, "no datagrams");
    });
}
