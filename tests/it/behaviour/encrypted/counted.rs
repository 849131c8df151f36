//! What `/metrics` says of the encrypted transports.

use tokio::net::TcpStream;

use super::clients::{Http, ask, ask_quic, quic, tls};
use super::{Started, listening, question, run};
use crate::behaviour::manifests::NGINX;
use crate::support::scrape::Scrape;

#[test]
fn questions_connections_and_the_certificate_are_counted_by_transport() {
    let Started { mut process, authority, _folder } = Started::with(&["--admin", "127.0.0.1:0"]);
    let printed = process.printed();
    let at = |what: &str| listening(&printed, what);
    let packet = question(&format!("-t A {NGINX}"));
    let counted = run(async {
        let mut over_tls = tls(at("tls"), authority.client(&[b"dot"])).await.unwrap();
        let mut over_https = Http::two(at("https"), &authority).await;
        let (_endpoint, over_quic) = quic(at("quic"), &authority).await.unwrap();
        for _ in 0..3 {
            ask(&mut over_tls, &packet).await;
            over_https.post(&packet).await;
            over_https.get(&packet).await;
            assert!(ask_quic(&over_quic, &packet).await.is_some());
        }
        // A client that trusts another authority.
        assert!(tls(at("tls"), super::certificates::Authority::new().client(&[])).await.is_err());
        // One that speaks no TLS, and is gone.
        drop(TcpStream::connect(at("https")).await.unwrap());
        let admin = at("admin");
        let scraped = tokio::task::spawn_blocking(move || {
            let failed = |scrape: &Scrape, transport: &str| {
                scrape.value(&format!(
                    "rollcall_tcp_refused_total{{transport=\"{transport}\",reason=\"handshake\"}}"
                ))
            };
            crate::support::wait::eventually("the handshakes that fail", || {
                let scrape = Scrape::of(admin);
                let failures = ["tls", "https"].map(|transport| failed(&scrape, transport));
                if failures == [1.0, 1.0] { Ok(scrape) } else { Err(format!("{failures:?}")) }
            })
        });
        let scrape = scraped.await.unwrap();
        drop((over_tls, over_https, over_quic));
        scrape
    });
    for (transport, questions) in [("tls", 3.0), ("https", 6.0), ("quic", 3.0)] {
        let value = |sample: &str| counted.value(sample);
        let labels = "zone=\"cluster.local\",type=\"A\",rcode=\"NOERROR\"";
        let queries = format!("rollcall_dns_queries_total{{{labels},transport=\"{transport}\"}}");
        assert_eq!(value(&queries), questions, "{transport}");
        let of = |family: &str| value(&format!("{family}{{transport=\"{transport}\"}}"));
        assert_eq!(of("rollcall_dns_query_duration_seconds_count"), questions, "{transport}");
        assert_eq!(of("rollcall_tcp_connections"), 1.0, "{transport}");
        // Padded, as they were sent.
        assert_eq!(of("rollcall_dns_response_size_bytes_sum"), questions * 468.0, "{transport}");
        let listener = at(transport);
        let expiry =
            format!("rollcall_certificate_expiry_timestamp_seconds{{listener=\"{transport}://{listener}\"}}");
        // 1 January 2070.
        assert_eq!(value(&expiry), 3_155_760_000.0, "{transport}");
    }
    // TLS has its place from TCP's, which nobody has one of.
    let of = |family: &str, places: &str| counted.value(&format!("{family}{{places=\"{places}\"}}"));
    let places = ["tcp", "https", "quic"];
    assert_eq!(places.map(|places| of("rollcall_tcp_places", places)), [4096.0, 1024.0, 1024.0]);
    assert_eq!(places.map(|places| of("rollcall_tcp_places_taken", places)), [1.0; 3]);
    assert_eq!(counted.value("rollcall_tcp_connections{transport=\"tcp\"}"), 0.0);
    assert_eq!(counted.value("rollcall_certificate_reloads_total{result=\"success\"}"), 0.0);
    assert!(process.is_running());
}
