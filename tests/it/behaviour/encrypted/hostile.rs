//! Clients of HTTPS and QUIC who mean harm: what they make the server hold, do and send is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, TransportConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::certificates::{Authority, NAME};
use super::clients::{Http, ask_quic, framed, post, quic, tls};
use super::{Served, Started, listening, question, run};
use crate::behaviour::manifests::{NGINX, nginx};
use crate::support::scrape::Scrape;

/// Asks the admin address without holding up the clients.
async fn scrape(admin: SocketAddr) -> Scrape {
    tokio::task::spawn_blocking(move || Scrape::of(admin)).await.unwrap()
}

#[test]
fn untaken_replies_have_the_memory_of_all_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("rollcall.toml");
    std::fs::write(&config, "[limits]\nstream_memory = 1\nhttps_idle = 600\nquic_idle = 600\n").unwrap();
    let flags = ["--admin", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    let Started { mut process, authority, _folder } = Started::serving(&nginx(700), &flags);
    let printed = process.printed();
    let at = |what: &str| listening(&printed, what);
    let (admin, limit) = (at("admin"), f64::from(1 << 20));
    let (small, large) = (question(&format!("-t A web-3.{NGINX}")), question(&format!("-t SRV {NGINX}")));
    run(async {
        let held = || async { scrape(admin).await.value("rollcall_stream_memory_bytes") };
        let ask_well = || async {
            Http::two(at("https"), &authority).await.post(&small).await;
            let (_endpoint, connection) = quic(at("quic"), &authority).await.unwrap();
            assert!(ask_quic(&connection, &small).await.is_some());
        };
        for transport in ["https", "quic"] {
            let refused =
                format!("rollcall_tcp_refused_total{{transport=\"{transport}\",reason=\"memory\"}}");
            let (mut senders, mut connections, mut unread) = (Vec::new(), Vec::new(), Vec::new());
            let start = Instant::now();
            loop {
                if transport == "https" {
                    let stream = tls(at("https"), authority.client(&[b"h2"])).await.unwrap();
                    let mut builder = http2::Builder::new(TokioExecutor::new());
                    builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
                    let (sender, connection) =
                        builder.handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.unwrap();
                    tokio::spawn(connection);
                    for _ in 0..20 {
                        let (mut sender, request) = (sender.clone(), post(&large));
                        unread.push(tokio::spawn(async move {
                            sender.ready().await.ok()?;
                            // Kept, and never read.
                            sender.send_request(request).await.ok()
                        }));
                    }
                    senders.push(sender);
                } else {
                    let (endpoint, connection) = narrow_quic(at("quic"), &authority).await;
                    let mut streams = Vec::new();
                    for _ in 0..20 {
                        let (mut send, receive) = connection.open_bi().await.unwrap();
                        send.write_all(&framed(&large)).await.unwrap();
                        send.finish().unwrap();
                        streams.push(receive);
                    }
                    connections.push((endpoint, connection, streams));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                let now = scrape(admin).await;
                let held = now.value("rollcall_stream_memory_bytes");
                assert!(held <= limit, "{transport}: {held}");
                if now.value(&refused) >= 20.0 {
                    break;
                }
                assert!(
                    start.elapsed() < Duration::from_secs(60),
                    "{transport}: {held}, and nobody is refused"
                );
            }
            for _ in 0..5 {
                ask_well().await;
            }
            assert!(held().await > limit / 4.0, "{transport}: {}", held().await);
            unread.iter().for_each(tokio::task::JoinHandle::abort);
            for (_, connection, _) in &connections {
                connection.close(0_u32.into(), b"");
            }
            drop((senders, connections, unread));
            let start = Instant::now();
            while held().await > 0.0 {
                assert!(start.elapsed() < Duration::from_secs(30), "{transport}: {} are held", held().await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        ask_well().await;
    });
}

/// Octets that a client takes of a reply, or of all that there are.
const WINDOW: u32 = 1000;

/// A client over QUIC that takes no more than that.
async fn narrow_quic(server: SocketAddr, authority: &Authority) -> (Endpoint, Connection) {
    let tls = QuicClientConfig::try_from(authority.client(&[b"doq"])).unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let (mut config, mut transport) = (ClientConfig::new(Arc::new(tls)), TransportConfig::default());
    transport.stream_receive_window(WINDOW.into()).receive_window(WINDOW.into());
    config.transport_config(Arc::new(transport));
    let connection = endpoint.connect_with(config, server, NAME).unwrap().await.unwrap();
    (endpoint, connection)
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [length.as_slice(), &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM_AND_HEADERS: u8 = 5;
/// GET, https, `/` of the static table (RFC 7541, appendix A), and the authority `x`.
const HEAD: &[u8] = b"\x82\x87\x84\x01\x01x";

/// Sends octets behind the preface; whether the server ends the connection within a while, whatever it says.
async fn is_ended(served: &Served, octets: &[u8]) -> bool {
    let stream = tls(served.at("https"), served.authority.client(&[b"h2"])).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let read = tokio::spawn(async move {
        let mut said = vec![0; 1 << 16];
        while reader.read(&mut said).await.is_ok_and(|length| length > 0) {}
    });
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
    // Cut off while it writes: so much the better.
    let _ = writer.write_all(&preface).await;
    let _ = writer.write_all(octets).await;
    let _ = writer.flush().await;
    let ended = tokio::time::timeout(Duration::from_secs(10), read).await.is_ok();
    drop(writer);
    ended
}

#[test]
fn floods_of_frames_end_their_connection() {
    // Silence ends none of them before the test is over.
    let served = Served::with("[limits]\nhttps_idle = 600\n");
    run(async {
        // Streams that are taken back at once (rapid reset, CVE-2023-44487).
        let pairs = (0..20_000_u32).flat_map(|index| {
            let stream = 2 * index + 1;
            [
                frame(HEADERS, END_STREAM_AND_HEADERS, stream, HEAD),
                frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
            ]
        });
        let resets = pairs.collect::<Vec<_>>().concat();
        // A head without an end (CONTINUATION flood, CVE-2024-27316): fields of 100 octets, unindexed.
        let field = [b"\x00\x01a\x64".as_slice(), &[b'v'; 100]].concat();
        let fields = field.repeat(150);
        let head = [HEAD, fields.as_slice()].concat();
        let endless = (0..500).map(|_| frame(CONTINUATION, 0, 1, &fields));
        let endless: Vec<u8> = [frame(HEADERS, 0, 1, &head)].into_iter().chain(endless).flatten().collect();
        for (what, octets) in [("rapid reset", resets), ("a head without an end", endless)] {
            let start = Instant::now();
            assert!(is_ended(&served, &octets).await, "{what}");
            assert!(start.elapsed() < Duration::from_secs(10), "{what}: {:?}", start.elapsed());
            let mut client = Http::two(served.at("https"), &served.authority).await;
            client.post(&question(&format!("-t A {NGINX}"))).await;
        }
    });
}

/// RFC 9000, section 8.1: anyone can write anyone's address on a packet.
#[test]
fn a_first_packet_brings_no_more_than_three_times_its_octets() {
    let served = Served::new();
    run(async {
        let nowhere = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = nowhere.local_addr().unwrap();
        let connecting = quic(to, &served.authority);
        let mut packet = vec![0; 2000];
        let length = tokio::select! {
            read = nowhere.recv(&mut packet) => read.unwrap(),
            _ = connecting => unreachable!("nobody answers"),
        };
        nowhere.send_to(&packet[..length], served.at("quic")).await.unwrap();
        let (mut sent, start) = (0, Instant::now());
        // With what is sent again because nothing is acknowledged.
        let patience = Duration::from_secs(2);
        while let Ok(read) = tokio::time::timeout(patience, nowhere.recv_from(&mut packet)).await {
            // The client that was given up takes its leave as well.
            let (octets, from) = read.unwrap();
            sent += if from == served.at("quic") { octets } else { 0 };
            if start.elapsed() > Duration::from_secs(4) {
                break;
            }
        }
        // quinn's last word, that the handshake took too long, is not counted among them by quinn.
        assert!(sent > 0 && sent <= 3 * length + 200, "{sent} for {length}");
    });
}
