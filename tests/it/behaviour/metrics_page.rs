//! `/metrics` as a page: its two forms, its methods, and that docs/metrics.md names just what is on it.

use std::collections::BTreeSet;
use std::path::Path;

use super::manifests::nginx;
use super::metrics::Counting;
use crate::support::scrape::request;

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
fn the_docs_name_every_family_and_no_other() {
    let counting = Counting::start(&nginx(1), "");
    super::asking::ask(counting.process.address(), "-t AAAA nginx.default.svc.cluster.local");
    let scrape = counting.scrape();
    let shown: BTreeSet<String> = scrape.families().into_keys().collect();
    assert_eq!(scrape.sampled(), shown, "each has a sample once a question was answered");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    // A family is a row of a table: its name in the first column.
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let named: Vec<&str> = rows
        .map(|(name, _)| name)
        .filter(|name| ["rollcall_", "process_"].iter().any(|p| name.starts_with(p)))
        .collect();
    let all: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(all.len(), named.len(), "a family has one row");
    assert_eq!(all, shown, "docs/metrics.md and the scrape");
}
