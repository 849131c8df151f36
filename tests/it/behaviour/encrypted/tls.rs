//! DNS over TLS (RFC 7858): the TCP loop behind a handshake.

use std::sync::Arc;

use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::clients::{ask, framed, read, tls, tls_with};
use super::{Served, question, run};
use crate::behaviour::manifests::NGINX;

#[test]
fn a_hundred_questions_in_one_write_and_one_in_pieces() {
    let served = Served::new();
    let packet = |number: u8| {
        let mut packet = question(&format!("-t A web-{}.{NGINX}", number % 3));
        packet[1] = number;
        packet
    };
    run(async {
        let mut stream = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        let all: Vec<u8> = (0..100).flat_map(|number| framed(&packet(number))).collect();
        stream.write_all(&all).await.unwrap();
        stream.flush().await.unwrap();
        for number in 0..100 {
            let reply = read(&mut stream).await.unwrap();
            assert_eq!(reply[..2], [0, number]);
            assert_eq!(reply.len(), 468);
        }
        // An octet a record.
        for octet in framed(&packet(7)) {
            stream.write_all(&[octet]).await.unwrap();
            stream.flush().await.unwrap();
        }
        assert_eq!(read(&mut stream).await.unwrap()[..2], [0, 7]);
    });
}

#[test]
fn large_replies_that_are_read_late_come_whole() {
    let served = Served::new();
    let packet = question("-t SRV big.default.svc.cluster.local");
    run(async {
        let mut stream = tls(served.at("tls"), served.authority.client(&[])).await.unwrap();
        let count = 50;
        let (mut reading, mut writing) = tokio::io::split(&mut stream);
        let asked = async {
            writing.write_all(&framed(&packet).repeat(count)).await.unwrap();
            writing.flush().await.unwrap();
        };
        let answered = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            for _ in 0..count {
                let reply = read(&mut reading).await.unwrap();
                assert_eq!(hickory_proto::op::Message::from_vec(&reply).unwrap().answers.len(), 400);
            }
        };
        tokio::join!(asked, answered);
    });
}

#[test]
fn the_end_is_said_by_both_sides() {
    let served = Served::with("[limits]\ntcp_idle = 1");
    run(async {
        // The client's end: what was asked before is answered, and the server ends with close_notify.
        let mut stream = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        stream.write_all(&framed(&question(&format!("-t A {NGINX}")))).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(read(&mut stream).await.is_some());
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0, "close_notify, not a cut");
        // The server's end, for silence.
        let mut silent = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        ask(&mut silent, &question(&format!("-t A {NGINX}"))).await;
        assert_eq!(silent.read_to_end(&mut rest).await.unwrap(), 0, "close_notify, not a cut");
    });
}

#[test]
fn protocols_are_agreed_on_or_the_handshake_fails() {
    let served = Served::new();
    run(async {
        for (protocols, agreed) in [
            (&[b"dot".as_slice()][..], Some(b"dot".as_slice())),
            (&[], None),
            (&[b"h2", b"dot"], Some(b"dot")),
        ] {
            let mut stream = tls(served.at("tls"), served.authority.client(protocols)).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
            ask(&mut stream, &question(&format!("-t A {NGINX}"))).await;
        }
        assert!(tls(served.at("tls"), served.authority.client(&[b"h2"])).await.is_err(), "another protocol");
        // Somebody else's authority.
        let stranger = super::certificates::Authority::new();
        assert!(tls(served.at("tls"), stranger.client(&[b"dot"])).await.is_err());
        // No TLS at all.
        let mut plain = TcpStream::connect(served.at("tls")).await.unwrap();
        plain.write_all(&framed(&question(&format!("-t A {NGINX}")))).await.unwrap();
        let mut rest = Vec::new();
        let _ = plain.read_to_end(&mut rest).await;
        assert!(!rest.windows(5).any(|window| window == b"nginx"), "nothing is answered in the clear");
    });
}

#[test]
fn a_client_that_comes_back_is_known_by_its_ticket_and_sends_no_early_data() {
    let served = Served::new();
    let mut config = served.authority.client(&[b"dot"]);
    config.enable_early_data = true;
    let config = Arc::new(config);
    run(async {
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut stream = tls_with(served.at("tls"), &config).await.unwrap();
            ask(&mut stream, &question(&format!("-t A {NGINX}"))).await;
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
            assert!(!stream.get_ref().1.is_early_data_accepted());
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
    });
}

#[test]
fn the_least_version_is_the_operators() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = |served: &Served| {
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(served.authority.roots())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"dot".to_vec()];
        config
    };
    let served = Served::new();
    run(async {
        let mut stream = tls(served.at("tls"), old(&served)).await.unwrap();
        ask(&mut stream, &question(&format!("-t A {NGINX}"))).await;
    });
    let strict = Served::with_tls("min_version = '1.3'");
    run(async {
        assert!(tls(strict.at("tls"), old(&strict)).await.is_err());
        assert!(tls(strict.at("https"), old(&strict)).await.is_err());
        assert!(tls(strict.at("tls"), strict.authority.client(&[b"dot"])).await.is_ok());
    });
}
