//! Questions that are kept open.

use crate::admin::Metrics;
use crate::server::{HoldCounts, WaitingRoom};

/// Tells of them from now on.
pub(in crate::run) fn tell_hold(metrics: &Metrics, room: WaitingRoom) {
    metrics.tell("hold", move |page| {
        let HoldCounts {
            waiting,
            limit,
            held,
            ready,
            bound,
            changed,
            stopped,
            repeated,
            full,
            full_of_client,
            too_long,
        } = room.counts();
        let gauges = [
            ("rollcall_hold_questions", "Questions that are kept open.", waiting),
            ("rollcall_hold_questions_limit", "As many as may be (hold.questions).", limit),
        ];
        gauges.into_iter().for_each(|(name, help, value)| page.gauge(name, help, [(vec![], value)]));
        let counts = [
            ("rollcall_hold_kept_open", "Questions that were kept open.", held),
            ("rollcall_hold_repeated", "Questions that came again while they were kept open.", repeated),
        ];
        counts.into_iter().for_each(|(name, help, value)| page.counter(name, help, [(vec![], value)]));
        let ends = [("ready", ready), ("bound", bound), ("changed", changed), ("stopped", stopped)];
        page.counter(
            "rollcall_hold_answered",
            "Questions that had been kept open and were answered, by what ended it.",
            ends.map(|(by, count)| (vec![("by", by)], count)),
        );
        let limits = [("questions", full), ("per_client", full_of_client), ("size", too_long)];
        page.counter(
            "rollcall_hold_refused",
            "Questions that were answered at once instead, by the limit that was reached.",
            limits.map(|(limit, count)| (vec![("limit", limit)], count)),
        );
    });
}
