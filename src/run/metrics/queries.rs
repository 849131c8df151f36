//! Questions, packets and connections.

use crate::admin::{Labels, Metrics, Page};
use crate::server::{
    HistogramCounts, QueryCounters, QueryCounts, TcpCounters, TcpCounts, UdpCounters, UdpCounts,
};
use crate::zone::{Reader, ZoneKind};

/// Who counts, by the transport's name: `udp`, `tcp`, `tls`, `https` or `quic`.
pub(in crate::run) struct Transports {
    pub(in crate::run) udp: UdpCounters,
    /// Those that have connections to be counted.
    pub(in crate::run) connections: Vec<(&'static str, TcpCounters)>,
    /// All of them.
    pub(in crate::run) queries: Vec<(&'static str, QueryCounters)>,
}

/// Tells of what is asked and answered from now on.
pub(in crate::run) fn tell_transports(metrics: &Metrics, reader: &Reader, transports: Transports) {
    let Transports { udp, connections, queries } = transports;
    let reader = reader.clone();
    metrics.tell("queries", move |page| {
        let counts: Vec<(&str, QueryCounts)> =
            queries.iter().map(|(name, of)| (*name, of.counts())).collect();
        let zone = reader.zone().to_string();
        // As people write it, without the final dot; the root is written as one.
        let zone = zone.strip_suffix('.').filter(|zone| !zone.is_empty()).unwrap_or(&zone);
        write_replies(page, zone, &counts);
        write_sizes(page, &counts);
    });
    metrics.tell("udp", move |page| write_udp(page, udp.counts()));
    metrics.tell("connections", move |page| {
        let counts: Vec<(&str, TcpCounts)> =
            connections.iter().map(|(name, of)| (*name, of.counts())).collect();
        write_connections(page, &counts);
    });
}

fn write_replies(page: &mut Page<'_>, zone_name: &str, counts: &[(&str, QueryCounts)]) {
    let zone = |zone: ZoneKind| match zone {
        ZoneKind::Cluster => zone_name,
        ZoneKind::Reverse => "reverse",
        ZoneKind::Outside => ".",
    };
    let all = || {
        counts.iter().flat_map(|(name, counts)| counts.replies.iter().map(move |replies| (*name, replies)))
    };
    page.counter(
        "rollcall_dns_queries",
        "Questions that were answered, by the reply's code.",
        all().map(|(name, of)| {
            let labels =
                vec![("zone", zone(of.zone)), ("type", of.rtype), ("rcode", of.rcode), ("transport", name)];
            (labels, of.count)
        }),
    );
    let without = all().filter(|(_, replies)| replies.without_records > 0);
    page.counter(
        "rollcall_dns_nodata",
        "Of the questions with rcode NOERROR, those whose answer has no record.",
        without.map(|(name, of)| {
            (vec![("zone", zone(of.zone)), ("type", of.rtype), ("transport", name)], of.without_records)
        }),
    );
}

fn write_sizes(page: &mut Page<'_>, counts: &[(&str, QueryCounts)]) {
    let of = |counts: &HistogramCounts| (counts.sum, counts.buckets.clone());
    page.histogram(
        "rollcall_dns_query_duration_seconds",
        "From a question's receipt to its answer being handed to the kernel.",
        counts.iter().map(|(name, counts)| (transport(name), of(&counts.durations))),
    );
    page.histogram(
        "rollcall_dns_request_size_bytes",
        "Size of the questions that were answered.",
        counts.iter().map(|(name, counts)| (transport(name), of(&counts.requests))),
    );
    page.histogram(
        "rollcall_dns_response_size_bytes",
        "Size of the answers.",
        counts.iter().map(|(name, counts)| (transport(name), of(&counts.responses))),
    );
    page.counter(
        "rollcall_dns_truncated",
        "Answers with the TC bit, for they have no room in one message.",
        counts.iter().map(|(name, counts)| (transport(name), counts.truncated)),
    );
}

fn write_udp(page: &mut Page<'_>, counts: UdpCounts) {
    let UdpCounts { answered, silent, forwarded, failed, dropped, .. } = counts;
    let results = [("answered", answered), ("silent", silent), ("forwarded", forwarded), ("failed", failed)];
    page.counter(
        "rollcall_udp_packets",
        "UDP packets received, by what became of them; the reply to a forwarded one is answered or failed later.",
        results.map(|(result, count)| (vec![("result", result)], count)),
    );
    page.counter(
        "rollcall_udp_receive_drops",
        "UDP packets that the kernel dropped before they were received, for a socket's buffer was full.",
        [(vec![], dropped)],
    );
}

fn write_connections(page: &mut Page<'_>, counts: &[(&str, TcpCounts)]) {
    page.gauge(
        "rollcall_tcp_connections",
        "Connections that are open.",
        counts.iter().map(|(name, counts)| (transport(name), counts.open)),
    );
    page.gauge(
        "rollcall_tcp_connections_limit",
        "Connections that may be open at one time.",
        counts.iter().map(|(name, counts)| (transport(name), counts.limit)),
    );
    page.counter(
        "rollcall_tcp_accepted",
        "Connections that were let in.",
        counts.iter().map(|(name, counts)| (transport(name), counts.accepted)),
    );
    let refused = counts.iter().flat_map(|(name, counts)| {
        let mut reasons =
            vec![("connections", counts.refused_connections), ("per_client", counts.refused_per_client)];
        // Without TLS there is none.
        if *name != "tcp" {
            reasons.push(("handshake", counts.refused_handshake));
        }
        reasons.into_iter().map(|(reason, count)| (vec![("transport", *name), ("reason", reason)], count))
    });
    page.counter(
        "rollcall_tcp_refused",
        "Connections that were closed as they came, by the limit that was reached.",
        refused,
    );
    page.counter(
        "rollcall_tcp_idle_closed",
        "Connections that were closed because the client neither asked nor read for the idle time.",
        counts.iter().map(|(name, counts)| (transport(name), counts.idle_closed)),
    );
}

fn transport(name: &str) -> Labels<'_> {
    vec![("transport", name)]
}
