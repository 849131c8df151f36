//! SIGTERM: each connection is told that it is the end, and nothing of what was asked is lost.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::clients::{Http, ask, ask_quic, quic, tls};
use super::{Started, listening, question, run};
use crate::behaviour::manifests::NGINX;

#[test]
fn connections_are_ended_and_the_end_is_quick() {
    let Started { mut process, authority, .. } = Started::with(&[]);
    let printed = process.printed();
    let at = |transport: &str| listening(&printed, transport);
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        let mut over_tls = tls(at("tls"), authority.client(&[b"dot"])).await.unwrap();
        ask(&mut over_tls, &packet).await;
        let mut over_https = Http::two(at("https"), &authority).await;
        over_https.post(&packet).await;
        let (_endpoint, over_quic) = quic(at("quic"), &authority).await.unwrap();
        assert!(ask_quic(&over_quic, &packet).await.is_some());
        // A handshake that never goes on is in nobody's way.
        let _silent = tokio::net::TcpStream::connect(at("tls")).await.unwrap();
        process.signal("TERM");
        let mut rest = Vec::new();
        assert_eq!(over_tls.read_to_end(&mut rest).await.unwrap(), 0, "close_notify");
        match over_quic.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, 0_u32.into()),
            other => panic!("{other}"),
        }
        let Http::Two(sender) = over_https else { unreachable!() };
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let (code, took) = process.end(Duration::from_secs(20));
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(10), "{took:?}");
}
