//! What is asked and known of the pods of sets that are not whole.

use std::sync::Arc;

use super::Observed;
use crate::admin::Metrics;
use crate::source::kubernetes::{LookCounters, LookCounts};

/// Tells of them from now on.
pub(in crate::run) fn tell_pods(metrics: &Metrics, observed: &Arc<Observed>, looks: &LookCounters) {
    let (observed, looks) = (Arc::clone(observed), looks.clone());
    metrics.tell("pods", move |page| {
        let LookCounts { answered, refused, failed, left_out, waiting } = looks.counts();
        page.gauge(
            "rollcall_incomplete_sets",
            "StatefulSets some of whose replicas have no name, and whose pods are listed for that.",
            [(vec![], waiting)],
        );
        page.counter(
            "rollcall_pod_lists",
            "Lists of their pods, of claims of those, and of events.",
            [("success", answered), ("refused", refused), ("failure", failed)]
                .map(|(result, count)| (vec![("result", result)], count)),
        );
        let known = observed.pods();
        page.gauge(
            "rollcall_pod_states",
            "Pods of which it is known why they are not ready.",
            [(vec![], known.pods as u64)],
        );
        page.gauge(
            "rollcall_pod_states_bytes",
            "Octets of what is known of them.",
            [(vec![], known.octets as u64)],
        );
        page.counter(
            "rollcall_pod_states_left_out",
            "Times that there was no room for what the pods of a set say (explain.pods_memory).",
            [(vec![], left_out)],
        );
    });
}
