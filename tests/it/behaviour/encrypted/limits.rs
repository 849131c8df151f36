//! What one client, and all of them, may hold of each transport.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::clients::{Http, ask, ask_quic, post, quic, tls};
use super::{Served, question, run};
use crate::behaviour::manifests::NGINX;

/// Whether the server ends a connection, within a while and without a word of DNS.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    read.is_ok() && rest.len() < 100
}

#[test]
fn a_handshake_that_takes_too_long_is_cut_and_had_its_place() {
    let served = Served::with(
        "[limits]\ntls_handshake = 1\ntcp_connections_per_client = 2\nhttps_connections_per_client = 2",
    );
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        for transport in ["tls", "https"] {
            let server = served.at(transport);
            let start = Instant::now();
            let mut silent =
                [TcpStream::connect(server).await.unwrap(), TcpStream::connect(server).await.unwrap()];
            // Both places are taken, though nothing was said yet.
            let mut third = TcpStream::connect(server).await.unwrap();
            assert!(
                is_closed(&mut third).await && start.elapsed() < Duration::from_millis(900),
                "{transport}"
            );
            for stream in &mut silent {
                assert!(is_closed(stream).await, "{transport}");
            }
            let took = start.elapsed();
            assert!(
                took >= Duration::from_millis(900) && took < Duration::from_secs(15),
                "{transport}: {took:?}"
            );
        }
        let mut stream = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        ask(&mut stream, &packet).await;
        Http::two(served.at("https"), &served.authority).await.post(&packet).await;
    });
}

#[test]
fn a_handshake_over_quic_that_never_goes_on_is_in_nobodys_way_and_is_cut() {
    // hickory-server waits for it, 5 s, before it looks at the next client.
    let served = Served::with("[limits]\ntls_handshake = 3\nquic_connections_per_client = 2");
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        // The first packet of a client that is given no answer, sent from another socket that gives none either.
        let nowhere = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = nowhere.local_addr().unwrap();
        let connecting = quic(to, &served.authority);
        let mut first = vec![0; 2000];
        let length = tokio::select! {
            read = nowhere.recv(&mut first) => read.unwrap(),
            _ = connecting => unreachable!("nobody answers"),
        };
        let start = Instant::now();
        nowhere.send_to(&first[..length], served.at("quic")).await.unwrap();
        // What the server says shows that it has the packet.
        nowhere.recv(&mut first).await.unwrap();
        let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
        assert!(ask_quic(&connection, &packet).await.is_some());
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        // It has its place, and loses it.
        assert!(quic(served.at("quic"), &served.authority).await.is_err(), "the third");
        loop {
            if quic(served.at("quic"), &served.authority).await.is_ok() {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "the silent one still has its place");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(start.elapsed() > Duration::from_millis(2500), "{:?}", start.elapsed());
    });
}

#[test]
fn tls_shares_the_places_of_tcp() {
    let served = Served::with("[limits]\ntcp_connections_per_client = 2");
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        let mut plain = TcpStream::connect(served.plain()).await.unwrap();
        ask(&mut plain, &packet).await;
        let mut over_tls = tls(served.at("tls"), served.authority.client(&[b"dot"])).await.unwrap();
        ask(&mut over_tls, &packet).await;
        let mut third = TcpStream::connect(served.plain()).await.unwrap();
        assert!(is_closed(&mut third).await);
        assert!(tls(served.at("tls"), served.authority.client(&[b"dot"])).await.is_err());
        // HTTPS has its own.
        Http::two(served.at("https"), &served.authority).await.post(&packet).await;
        ask(&mut over_tls, &packet).await;
    });
}

#[test]
fn https_and_quic_have_so_many_connections_and_give_them_back() {
    for limits in [
        "https_connections_per_client = 2\nquic_connections_per_client = 2",
        "https_connections = 2\nquic_connections = 2",
    ] {
        let served = Served::with(&format!("[limits]\n{limits}"));
        let packet = question(&format!("-t A {NGINX}"));
        run(async {
            let mut held = Vec::new();
            for _ in 0..2 {
                let mut client = Http::two(served.at("https"), &served.authority).await;
                client.post(&packet).await;
                held.push(client);
            }
            assert!(tls(served.at("https"), served.authority.client(&[b"h2"])).await.is_err(), "{limits}");
            held[0].post(&packet).await;
            held.clear();
            let mut again = None;
            for _ in 0..200 {
                match tls(served.at("https"), served.authority.client(&[b"h2"])).await {
                    Ok(stream) => {
                        again = Some(stream);
                        break;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
            assert!(again.is_some(), "{limits}: no place is given back");

            let mut held = Vec::new();
            for _ in 0..2 {
                let (endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
                assert!(ask_quic(&connection, &packet).await.is_some());
                held.push((endpoint, connection));
            }
            assert!(quic(served.at("quic"), &served.authority).await.is_err(), "{limits}");
            assert!(ask_quic(&held[1].1, &packet).await.is_some());
            for (endpoint, connection) in held.drain(..) {
                connection.close(0_u32.into(), b"");
                endpoint.wait_idle().await;
            }
            let mut again = false;
            for _ in 0..200 {
                again = quic(served.at("quic"), &served.authority).await.is_ok();
                if again {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(again, "{limits}: no place is given back");
        });
    }
}

#[test]
fn a_silent_connection_over_https_is_closed_and_one_that_asks_is_kept() {
    let served = Served::with("[limits]\nhttps_idle = 1");
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        for protocol in [b"h2".as_slice(), b"http/1.1"] {
            let stream = tls(served.at("https"), served.authority.client(&[protocol])).await.unwrap();
            let (mut stream, start) = (stream, Instant::now());
            let mut rest = Vec::new();
            let read = stream.read_to_end(&mut rest).await;
            assert!(read.is_ok() || protocol == b"h2", "{read:?}");
            let took = start.elapsed();
            assert!(
                took > Duration::from_millis(700) && took < Duration::from_secs(15),
                "closed after {took:?}"
            );
        }
        let mut client = Http::two(served.at("https"), &served.authority).await;
        for _ in 0..8 {
            client.post(&packet).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
}

#[test]
fn a_client_that_takes_no_reply_is_closed_and_stops_nobody() {
    let served = Served::with("[limits]\nhttps_idle = 1\nquic_idle = 1\ntcp_idle = 1");
    let large = question("-t SRV big.default.svc.cluster.local");
    let packet = question(&format!("-t A {NGINX}"));
    run(async {
        // HTTP/2: responses whose bodies are not read fill their windows.
        let Http::Two(sender) = Http::two(served.at("https"), &served.authority).await else {
            unreachable!()
        };
        let mut unread = Vec::new();
        for _ in 0..90 {
            let mut sender = sender.clone();
            unread.push(tokio::spawn(async move {
                sender.ready().await.ok()?;
                // Kept, and never read.
                sender.send_request(post(&question("-t SRV big.default.svc.cluster.local"))).await.ok()
            }));
        }
        let start = Instant::now();
        for _ in 0..20 {
            Http::two(served.at("https"), &served.authority).await.post(&packet).await;
        }
        while !sender.is_closed() {
            assert!(start.elapsed() < Duration::from_secs(30), "still open after {:?}", start.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(unread);

        // QUIC: streams whose replies are not read.
        let (_endpoint, connection) = quic(served.at("quic"), &served.authority).await.unwrap();
        let mut unread = Vec::new();
        for _ in 0..90 {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&super::clients::framed(&large)).await.unwrap();
            send.finish().unwrap();
            unread.push(receive);
        }
        let (_other_endpoint, other) = quic(served.at("quic"), &served.authority).await.unwrap();
        for _ in 0..20 {
            assert!(ask_quic(&other, &packet).await.is_some());
        }
    });
}
