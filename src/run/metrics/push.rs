//! Sessions of stateful operations and what is pushed over them.

use crate::admin::Metrics;
use crate::server::{PushCounters, PushCounts};

/// Tells of them from now on.
pub(in crate::run) fn tell_push(metrics: &Metrics, counters: PushCounters) {
    metrics.tell("push", move |page| {
        let PushCounts {
            sessions,
            subscriptions,
            names,
            opened,
            refused,
            refused_sessions,
            refused_subscriptions,
            refused_per_session,
            refused_per_client,
            refused_memory,
            paced,
            messages,
            encoded,
            octets,
            slow,
            withdrawn,
            aborted,
            expired,
            reconfirmed,
        } = counters.counts();
        let gauges = [
            ("rollcall_push_sessions", "Sessions of stateful operations that are open.", sessions),
            ("rollcall_push_subscriptions", "Subscriptions that are active.", subscriptions),
            ("rollcall_push_names", "Names that somebody is subscribed to.", names),
        ];
        gauges.into_iter().for_each(|(name, help, value)| page.gauge(name, help, [(vec![], value)]));
        let counts = [
            ("rollcall_push_opened", "Sessions that were opened.", opened),
            ("rollcall_push_refused", "Stateful operations that were answered with an error.", refused),
            ("rollcall_push_messages", "PUSH messages that were given to sessions to be sent.", messages),
            (
                "rollcall_push_encoded",
                "PUSH messages that were written; the others are the same octets again.",
                encoded,
            ),
            ("rollcall_push_bytes", "Octets of the PUSH messages that were given to sessions.", octets),
            ("rollcall_push_reconfirmed", "Records that a client asked to be confirmed.", reconfirmed),
        ];
        counts.into_iter().for_each(|(name, help, value)| page.counter(name, help, [(vec![], value)]));
        let limits = [
            ("sessions", refused_sessions),
            ("subscriptions", refused_subscriptions),
            ("per_session", refused_per_session),
            ("per_client", refused_per_client),
            ("memory", refused_memory),
            ("pace", paced),
        ];
        page.counter(
            "rollcall_push_limited",
            "Stateful operations that met a limit, by the limit.",
            limits.map(|(limit, count)| (vec![("limit", limit)], count)),
        );
        let reasons = [("slow", slow), ("withdrawn", withdrawn), ("aborted", aborted), ("expired", expired)];
        page.counter(
            "rollcall_push_ended",
            "Sessions that were ended by the server, by the reason.",
            reasons.map(|(reason, count)| (vec![("reason", reason)], count)),
        );
    });
}
