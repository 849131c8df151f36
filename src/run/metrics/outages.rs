//! How old what is served is, the watches that keep it fresh, and the snapshot that outlives the process.

use std::collections::BTreeMap;

use crate::admin::{Health, Metrics};
use crate::run::from_cluster::Counting;
use crate::source::kubernetes::WatchCounts;
use crate::zone::Reader;

/// Tells of outages from now on.
pub(in crate::run) fn tell_outages(metrics: &Metrics, reader: &Reader, health: &Health, counting: &Counting) {
    let (reader, health, counting) = (reader.clone(), health.clone(), counting.clone());
    metrics.tell("outages", move |page| {
        page.gauge(
            "rollcall_stale_seconds",
            "Since when what is served may differ from the cluster; 0 while it is known to be right.",
            [(vec![], health.stale().unwrap_or_default().as_secs_f64())],
        );
        page.gauge(
            "rollcall_stale_refused",
            "1 while what is known is older than stale.max_age, and every answer is SERVFAIL.",
            [(vec![], u64::from(reader.is_expired()))],
        );
        let kept = counting.snapshot.counts();
        page.counter(
            "rollcall_snapshot_writes",
            "Snapshots that were written, or could not be.",
            [(vec![("result", "success")], kept.successes), (vec![("result", "failure")], kept.failures)],
        );
        page.gauge(
            "rollcall_snapshot_written_timestamp_seconds",
            "When the last snapshot was written; 0 is never by this process.",
            [(vec![], kept.written)],
        );
        page.gauge(
            "rollcall_snapshot_size_bytes",
            "Octets of the last snapshot that was written.",
            [(vec![], kept.octets)],
        );
        page.gauge(
            "rollcall_snapshot_loaded",
            "1 where this process began by serving a snapshot.",
            [(vec![], u64::from(kept.loaded))],
        );
        let watches: Vec<(String, String, WatchCounts)> =
            counting.watches.counts().into_iter().map(named).collect();
        // From manifests there are none.
        if watches.is_empty() {
            return;
        }
        page.gauge(
            "rollcall_watch_age_seconds",
            "Since the last event or bookmark of a watch.",
            watches.iter().filter_map(|(kind, namespace, counts)| {
                let labels = vec![("kind", kind.as_str()), ("namespace", namespace.as_str())];
                Some((labels, counts.age?.as_secs_f64()))
            }),
        );
        let by_cause = |of: fn(&WatchCounts) -> Vec<(&'static str, u64)>| {
            let mut sums: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
            for (kind, _, counts) in &watches {
                of(counts)
                    .into_iter()
                    .for_each(|(cause, count)| *sums.entry((kind.as_str(), cause)).or_default() += count);
            }
            let labelled = |((kind, cause), sum)| (vec![("kind", kind), ("cause", cause)], sum);
            sums.into_iter().map(labelled).collect::<Vec<_>>()
        };
        page.counter(
            "rollcall_watch_restarts",
            "Watches that ended and were begun anew.",
            by_cause(|counts| counts.restarts.iter().map(|(how, count)| (how.as_str(), *count)).collect()),
        );
        page.counter(
            "rollcall_api_failures",
            "Lists and watches of the API server that failed.",
            by_cause(|counts| counts.failures.to_vec()),
        );
        let by_kind = |of: fn(&WatchCounts) -> u64| {
            let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
            watches
                .iter()
                .for_each(|(kind, _, counts)| *sums.entry(kind.as_str()).or_default() += of(counts));
            sums.into_iter().map(|(kind, sum)| (vec![("kind", kind)], sum)).collect::<Vec<_>>()
        };
        page.counter(
            "rollcall_relists",
            "Lists beside a watch that were compared with what was known.",
            by_kind(|counts| counts.relists),
        );
        page.counter(
            "rollcall_relist_differences",
            "Objects that differed in them: changes that a watch had lost.",
            by_kind(|counts| counts.differences),
        );
    });
}

/// With its kind and its namespace, which is empty for the whole cluster.
fn named(counts: WatchCounts) -> (String, String, WatchCounts) {
    let namespace = counts.scope.namespace.as_ref().map(ToString::to_string).unwrap_or_default();
    (format!("{:?}", counts.scope.kind), namespace, counts)
}
