//! `/metrics` as a page: its two forms, its methods, and that docs/metrics.md names just what is on it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::manifests::nginx;
use super::metrics::Counting;
use crate::support::scrape::{documented_families, request};

#[test]
fn both_forms_with_their_types_and_other_methods_refused() {
    let counting = Counting::start(&nginx(1), "");
    let content_type = |accept: &str| {
        let answer = request(counting.admin, "GET", "/metrics", accept);
        assert_eq!(answer.code, 200);
        assert_eq!(answer.body.ends_with("# EOF\n"), accept.contains("openmetrics"), "{accept}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        answer.headers["content-type"].clone()
    };
    assert_eq!(content_type(""), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(content_type("*/*"), "text/plain; version=0.0.4; charset=utf-8");
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(content_type("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3"), open);

    let head = request(counting.admin, "HEAD", "/metrics", "");
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(request(counting.admin, method, "/metrics", "").code, 405, "{method}");
    }
    let nothing = request(counting.admin, "GET", "/metric", "");
    assert_eq!(nothing.code, 404);
    assert!(
        ["/livez", "/readyz", "/metrics"].iter().all(|path| nothing.body.contains(path)),
        "{}",
        nothing.body
    );
}

/// Each would be waited for two seconds long, and the probe behind all of them.
#[test]
fn who_says_nothing_keeps_no_probe_waiting() {
    let counting = Counting::start(&nginx(1), "");
    let silent: Vec<_> = (0..600).map(|_| std::net::TcpStream::connect(counting.admin).unwrap()).collect();
    let start = Instant::now();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&counting.admin.into()).unwrap();
    let mut probe = std::net::TcpStream::from(socket);
    probe.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    probe.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut said = String::new();
    probe.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?} behind {} others", start.elapsed(), silent.len());
    // A quarter of 64 are waited for, and the others closed as they come.
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let ended = stream.read(&mut [0; 100]);
        assert!(
            ended.as_ref().is_ok_and(|length| *length == 0)
                || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
        );
    }
    super::asking::eventually("the counts of the silent ones", || {
        let scrape = counting.scrape();
        let reason = |reason| scrape.value(&format!("rollcall_admin_refused_total{{reason=\"{reason}\"}}"));
        let (refused, slow) = (reason("per_client"), reason("slow"));
        if (1.0..600.0).contains(&slow) && slow + refused >= 600.0 {
            Ok(())
        } else {
            Err(format!("{refused} {slow}"))
        }
    });
    let scrape = counting.scrape();
    assert_eq!(scrape.value("rollcall_admin_connections_limit").to_bits(), 64_f64.to_bits());
    assert!((1.0..=3.0).contains(&scrape.value("rollcall_admin_connections")), "{}", scrape.text());
}

#[test]
fn whoever_scrapes_how_often_keeps_nobody_from_an_answer() {
    let counting = Counting::start(&nginx(3), "");
    let before = counting.scrape();
    let over = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let scrapers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(request(counting.admin, "GET", "/metrics", "").code, 200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let start = Instant::now();
        let mut asked = 0;
        while asked < 500 || start.elapsed() < Duration::from_secs(1) {
            let reply =
                super::asking::ask(counting.process.address(), "-t A nginx.default.svc.cluster.local");
            assert_eq!(reply.sections[0].len(), 3);
            asked += 1;
        }
        over.store(true, Ordering::Relaxed);
        let scrapes: Vec<u32> = scrapers.into_iter().map(|scraper| scraper.join().unwrap()).collect();
        assert!(scrapes.iter().all(|count| *count > 0), "each has its turn: {scrapes:?}");
        asked
    });
    let family = "rollcall_dns_queries_total";
    let labels = "zone=\"cluster.local\",type=\"A\",rcode=\"NOERROR\",transport=\"udp\"".to_owned();
    assert_eq!(counting.scrape().since(&before, family), [(labels, f64::from(asked))].into());
}

#[test]
fn a_counter_ends_in_total_and_a_size_has_its_unit() {
    let counting = Counting::start(&nginx(1), "");
    for (name, kind) in counting.scrape().families() {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(name.starts_with("rollcall_") || name.starts_with("process_"), "{name}");
        let measures =
            ["_seconds", "_bytes"].iter().any(|unit| name.trim_end_matches("_total").ends_with(unit));
        assert!(kind != "histogram" || measures, "{name} has no unit");
    }
    // In OpenMetrics a counter's family is called without it.
    let open = request(counting.admin, "GET", "/metrics", "application/openmetrics-text").body;
    assert!(open.contains("# TYPE rollcall_dns_queries counter\n"), "{open}");
    assert!(open.contains("# TYPE rollcall_build info\n"), "{open}");
}

#[test]
fn the_docs_name_every_family_of_manifests() {
    let counting = Counting::start(&nginx(1), "");
    super::asking::ask(counting.process.address(), "-t AAAA nginx.default.svc.cluster.local");
    let scrape = counting.scrape();
    let shown: BTreeSet<String> = scrape.families().into_keys().collect();
    assert_eq!(scrape.sampled(), shown, "each has a sample once a question was answered");
    let unnamed: Vec<_> = shown.difference(&documented_families()).cloned().collect();
    assert!(unnamed.is_empty(), "not in docs/metrics.md: {unnamed:?}");
}

/// A rate over a series that begins with its first event does not see that event, and an alert over it neither.
#[test]
fn what_alerts_look_for_is_told_before_it_happens() {
    let counting = Counting::start(&nginx(1), "");
    let scrape = counting.scrape();
    let mut wanted = vec![
        "rollcall_udp_receive_drops_total".to_owned(),
        "rollcall_upstream_refused_total".to_owned(),
        "rollcall_query_log_dropped_total".to_owned(),
        "rollcall_dnstap_dropped_total".to_owned(),
    ];
    let labelled = [
        (
            "rollcall_tcp_refused_total{transport=\"tcp\",reason=",
            &["connections", "per_client", "memory", "garbage"][..],
        ),
        ("rollcall_admin_refused_total{reason=", &["per_client", "slow"]),
        ("rollcall_config_reloads_total{result=", &["success", "failure"]),
        ("rollcall_snapshot_writes_total{result=", &["success", "failure"]),
        ("rollcall_udp_packets_total{result=", &["answered", "silent", "forwarded", "failed"]),
    ];
    for (family, values) in labelled {
        wanted.extend(values.iter().map(|value| format!("{family}\"{value}\"}}")));
    }
    for (zone, transport) in
        ["cluster.local", "reverse"].into_iter().flat_map(|zone| [(zone, "udp"), (zone, "tcp")])
    {
        for kind in ["A", "AAAA", "SRV", "PTR", "other"] {
            let labels =
                format!("zone=\"{zone}\",type=\"{kind}\",rcode=\"SERVFAIL\",transport=\"{transport}\"");
            wanted.push(format!("rollcall_dns_queries_total{{{labels}}}"));
        }
    }
    for sample in wanted {
        assert_eq!(scrape.value(&sample).to_bits(), 0, "{sample}");
    }
}
