//! Manifests as well-known charts and tutorials render them: sound, and so nothing is found.

use std::path::Path;

use super::{checked, found};

#[test]
fn sound_charts_are_not_spoken_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lints/charts");
    let mut count = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let checked = checked(&path, None);
        assert_eq!(found(&checked), [], "{}", path.display());
        let errors: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
        assert!(errors.iter().all(|error| error.contains("is not played")), "{}: {errors:?}", path.display());
        count += 1;
    }
    assert!(count >= 8, "{count} charts");
}

/// The same charts with what people forget.
#[test]
fn what_is_taken_out_of_them_is_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lints/charts");
    for (chart, from, to, expected) in [
        (
            "etcd",
            "  publishNotReadyAddresses: true\n",
            "",
            ["peers-need-not-ready-addresses", "tolerate-unready-annotation"].as_slice(),
        ),
        ("cockroachdb", "  publishNotReadyAddresses: true\n", "", &["peers-need-not-ready-addresses"]),
        ("kafka", "kafka-controller-2.k", "kafka-controller-3.k", &["peer-out-of-range"]),
        (
            "kafka",
            "  serviceName: kafka-broker-headless\n",
            "  serviceName: kafka-broker\n",
            &["governing-service-missing"],
        ),
        (
            "redis",
            "  serviceName: cache-redis-headless\n",
            "  serviceName: cache-redis-master\n",
            &["governing-service-mixed", "governing-service-not-headless"],
        ),
        (
            "elasticsearch",
            "  selector: {app: es, role: data}\n",
            "  selector: {app: es, role: datas}\n",
            &["governing-service-selects-others"],
        ),
        ("mysql", "mysql, -h, 127.0.0.1,", "mysql, -h, mysql,", &["readiness-needs-own-name"]),
        (
            "observability",
            "  selector: {app: node-exporter}\n",
            "  selector: {app: node-exporters}\n",
            &["headless-selects-nothing"],
        ),
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{chart}.yaml"))).unwrap();
        assert!(text.contains(from), "{chart}: {from}");
        let checked = super::checked_text(&text.replacen(from, to, 1), None);
        let mut ids: Vec<&str> = found(&checked).into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids, expected, "{chart}: {from}");
    }
}
