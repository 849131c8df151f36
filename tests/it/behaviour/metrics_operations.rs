//! What `/metrics` says of reloads, and of questions that found no room in the query log's queue or dnstap's.

use std::time::SystemTime;

use super::asking::{ask, eventually};
use super::manifests::{NGINX, nginx, replace};
use super::metrics::Counting;

/// Nobody listens there.
const DNSTAP: &str = "[dnstap]\nsocket = 'nobody'\n[limits]\ntap_queue = 16\n";

#[test]
fn reloads_and_what_was_left_out_are_counted() {
    let started = now();
    let mut counting = Counting::start(&nginx(2), DNSTAP);
    let config = counting.folder.path().join("rollcall.toml");
    let reloads = |counting: &Counting| {
        let scrape = counting.scrape();
        ["success", "failure"]
            .map(|result| scrape.value(&format!("rollcall_config_reloads_total{{result=\"{result}\"}}")))
    };
    let last = |counting: &Counting| {
        counting.scrape().value("rollcall_config_last_reload_success_timestamp_seconds")
    };
    assert_eq!(reloads(&counting), [0.0, 0.0]);
    // The start counts as one.
    assert!(last(&counting) >= started.floor() && last(&counting) <= now());

    for _ in 0..20 {
        ask(counting.process.address(), &format!("+notcp -t A {NGINX}"));
    }
    eventually("four without room", || {
        let dropped = counting.scrape().value("rollcall_dnstap_dropped_total");
        if dropped.to_bits() == 4_f64.to_bits() { Ok(()) } else { Err(dropped.to_string()) }
    });
    assert_eq!(counting.scrape().value("rollcall_query_log_dropped_total").to_bits(), 0);

    replace(&config, "[limits]\ntcp_connections = 0\n");
    counting.process.wait_for_words(&["ERROR", "is not taken over"]);
    assert_eq!(reloads(&counting), [0.0, 1.0]);
    let before = now().floor();
    replace(&config, "[limits]\ntcp_connections = 7\n");
    counting.process.wait_for_words(&["the configuration is taken over"]);
    assert_eq!(reloads(&counting), [1.0, 1.0]);
    assert!(last(&counting) >= before && last(&counting) <= now());
    let limit = counting.scrape().value("rollcall_tcp_places{places=\"tcp\"}");
    assert_eq!(limit.to_bits(), 7_f64.to_bits());
    // It counts on, whoever watches now.
    assert!(counting.scrape().value("rollcall_dnstap_dropped_total") >= 4.0);
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}
