//! Each transport answers what TCP answers, octet for octet, and pads it where the client has EDNS.

use tokio::net::TcpStream;

use super::clients::{Http, ask, ask_quic, quic, tls};
use super::{Served, question, run};
use crate::behaviour::manifests::NGINX;

/// The length that replies are padded to (RFC 8467, section 4.1).
const BLOCK: usize = 468;

/// What can be asked, as dig lines.
fn lines() -> Vec<String> {
    let mut lines: Vec<String> = [
        format!("-t A {NGINX}"),
        format!("-t AAAA {NGINX}"),
        format!("-t SRV {NGINX}"),
        format!("-t A web-1.{NGINX}"),
        format!("-t A WEB-1.{NGINX}"),
        format!("-t A missing.{NGINX}"),
        format!("-t ANY {NGINX}"),
    ]
    .into();
    for line in [
        "-t A big.default.svc.cluster.local",
        // 400 targets and their addresses.
        "-t SRV big.default.svc.cluster.local",
        "-t A nowhere.default.svc.cluster.local",
        "-t SOA cluster.local",
        "-t NS cluster.local",
        "-t TXT dns-version.cluster.local",
        "-t A www.example.org",
        "-t A 10.in-addr.arpa",
        "-t AXFR cluster.local",
    ] {
        lines.push(line.to_owned());
    }
    let without: Vec<String> = lines.iter().map(|line| format!("+noedns {line}")).collect();
    lines.extend(without);
    lines
}

/// Questions that are none, and what is left of one that is cut.
fn faulty() -> Vec<Vec<u8>> {
    let whole = question(&format!("+noedns -t A {NGINX}"));
    let with = |at: usize, octet: u8| {
        let mut packet = whole.clone();
        packet[at] = octet;
        packet
    };
    vec![
        with(5, 2),
        with(5, 0),
        // Opcode 5.
        with(2, 0x28),
        whole[..whole.len() - 1].to_vec(),
        [whole.as_slice(), b"xyz"].concat(),
        // EDNS of version 1.
        [with(11, 1).as_slice(), b"\0\0\x29\x04\xd0\0\x01\0\0\0\0"].concat(),
    ]
}

/// That a reply is that of TCP with padding at its end, or without where it has no place for it.
fn assert_padded(reply: &[u8], tcp: &[u8], what: &str) {
    let message = hickory_proto::op::Message::from_vec(reply).unwrap();
    if message.edns.is_none() {
        assert_eq!(reply, tcp, "{what}");
        return;
    }
    assert!(reply.len().is_multiple_of(BLOCK) || reply.len() == 65_535, "{what}: {} octets", reply.len());
    let (same, padding) = reply.split_at(tcp.len());
    assert!(padding.len() >= 4, "{what}: {} octets, {} over TCP", reply.len(), tcp.len());
    let zeros = u16::try_from(padding.len() - 4).unwrap().to_be_bytes();
    assert_eq!(padding[..4], [0, 12, zeros[0], zeros[1]], "{what}");
    assert!(padding[4..].iter().all(|octet| *octet == 0), "{what}");
    // But for the length of OPT's data.
    let differing: Vec<usize> = (0..tcp.len()).filter(|at| same[*at] != tcp[*at]).collect();
    let (first, last) = (differing.first().unwrap(), differing.last().unwrap());
    assert!(last - first < 2 && *first + 200 > tcp.len(), "{what}: {differing:?}");
}

#[test]
fn every_transport_answers_what_tcp_answers() {
    let served = Served::new();
    let questions: Vec<Vec<u8>> = lines().iter().map(|line| question(line)).chain(faulty()).collect();
    run(async {
        let mut plain = TcpStream::connect(served.plain()).await.unwrap();
        let mut over_tls = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        let mut http2 = Http::two(served.at("https"), &served.authority).await;
        let mut http1 = Http::one(served.at("https"), &served.authority).await;
        let (_endpoint, over_quic) = quic(served.at("quic"), &served.authority).await.unwrap();
        let mut longest = 0;
        for packet in &questions {
            let expected = ask(&mut plain, packet).await;
            longest = longest.max(expected.len());
            let what = |transport: &str| format!("{transport} {packet:02x?}");
            assert_padded(&ask(&mut over_tls, packet).await, &expected, &what("TLS"));
            assert_padded(&http2.post(packet).await, &expected, &what("POST, HTTP/2"));
            assert_padded(&http2.get(packet).await, &expected, &what("GET, HTTP/2"));
            assert_padded(&http1.post(packet).await, &expected, &what("POST, HTTP/1.1"));
            assert_padded(&http1.get(packet).await, &expected, &what("GET, HTTP/1.1"));
            let reply = ask_quic(&over_quic, packet).await.expect("a reply over QUIC");
            assert_padded(&reply, &expected, &what("QUIC"));
        }
        assert!(longest > 4096, "the largest reply has {longest} octets");
    });
}
