//! What an operator changes while the process runs: the configuration, and who watches the questions.

use std::sync::Arc;

use crate::admin::Metrics;
use crate::run::reload::ReloadCounter;
use crate::run::tapping::TapCounters;

/// Tells of both from now on.
pub(in crate::run) fn tell_operations(metrics: &Metrics, reloads: &Arc<ReloadCounter>, taps: &TapCounters) {
    let (reloads, taps) = (Arc::clone(reloads), taps.clone());
    metrics.tell("operations", move |page| {
        let counts = reloads.counts();
        page.counter(
            "rollcall_config_reloads",
            "Times that the configuration was read again: taken over, or refused.",
            [("success", counts.succeeded), ("failure", counts.failed)]
                .map(|(result, count)| (vec![("result", result)], count)),
        );
        page.gauge(
            "rollcall_config_last_reload_success_timestamp_seconds",
            "When the configuration that is served was taken over, in seconds since 1970.",
            [(vec![], counts.last_success)],
        );
        page.counter(
            "rollcall_query_log_dropped",
            "Questions that were meant for the query log and found no room.",
            [(vec![], taps.query_log.dropped())],
        );
        page.counter(
            "rollcall_dnstap_dropped",
            "Questions that did not reach the reader of dnstap.",
            [(vec![], taps.dnstap.dropped())],
        );
    });
}
