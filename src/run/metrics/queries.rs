//! Questions, packets and connections.

use crate::admin::{Labels, Metrics, Page};
use crate::server::{
    HistogramCounts, QueryCounters, QueryCounts, StreamMemory, TcpCounters, TcpCounts, UdpCounters,
    UdpCounts, UpstreamSlot,
};
use crate::zone::{Reader, ZoneKind};

/// Who counts, by the transport's name: `udp`, `tcp`, `tls`, `https` or `quic`.
pub(in crate::run) struct Transports {
    pub(in crate::run) udp: UdpCounters,
    /// Those that have connections to be counted.
    pub(in crate::run) connections: Vec<(&'static str, TcpCounters)>,
    /// All of them.
    pub(in crate::run) queries: Vec<(&'static str, QueryCounters)>,
    /// What all connections hold together.
    pub(in crate::run) memory: StreamMemory,
    /// Who is asked for names outside the zones.
    pub(in crate::run) upstream: UpstreamSlot,
}

/// Tells of what is asked and answered from now on.
pub(in crate::run) fn tell_transports(metrics: &Metrics, reader: &Reader, transports: Transports) {
    let Transports { udp, connections, queries, memory, upstream } = transports;
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
    metrics.tell("upstream", move |page| write_upstream(page, &upstream));
    metrics.tell("udp", move |page| write_udp(page, udp.counts()));
    metrics.tell("connections", move |page| {
        let counts: Vec<(&str, TcpCounts)> =
            connections.iter().map(|(name, of)| (*name, of.counts())).collect();
        write_connections(page, &counts);
        write_memory(page, &memory);
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
    let UdpCounts { answered, silent, forwarded, held, failed, dropped, .. } = counts;
    let results = [
        ("answered", answered),
        ("silent", silent),
        ("forwarded", forwarded),
        ("held", held),
        ("failed", failed),
    ];
    page.counter(
        "rollcall_udp_packets",
        "UDP packets received, by what became of them; the reply to a forwarded or held one is answered or failed later.",
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
    let pools = pools(counts);
    page.gauge(
        "rollcall_tcp_places_taken",
        "Places for connections that are taken, of those that transports have in common.",
        pools.iter().map(|(name, open, _)| (vec![("places", *name)], *open)),
    );
    page.gauge(
        "rollcall_tcp_places",
        "Places for connections: as many may be open at one time.",
        pools.iter().map(|(name, _, limit)| (vec![("places", *name)], *limit)),
    );
    page.counter(
        "rollcall_tcp_accepted",
        "Connections that were let in.",
        counts.iter().map(|(name, counts)| (transport(name), counts.accepted)),
    );
    let refused = counts.iter().flat_map(|(name, counts)| {
        let mut reasons = vec![
            ("connections", counts.refused_connections),
            ("per_client", counts.refused_per_client),
            ("memory", counts.refused_memory),
        ];
        // Without TLS there is none.
        if *name != "tcp" {
            reasons.push(("handshake", counts.refused_handshake));
        }
        // Those of HTTP and QUIC have words of their own for it.
        if matches!(*name, "tcp" | "tls") {
            reasons.push(("garbage", counts.refused_garbage));
        }
        reasons.into_iter().map(|(reason, count)| (vec![("transport", *name), ("reason", reason)], count))
    });
    page.counter(
        "rollcall_tcp_refused",
        "Connections that were closed as they came, or cut off, by the limit that was reached.",
        refused,
    );
    page.counter(
        "rollcall_tcp_idle_closed",
        "Connections that were closed because the client neither asked nor read for the idle time.",
        counts.iter().map(|(name, counts)| (transport(name), counts.idle_closed)),
    );
}

/// TLS has its places from TCP's: a limit each would be one that neither of them reaches.
fn pools<'n>(counts: &[(&'n str, TcpCounts)]) -> Vec<(&'n str, u64, u64)> {
    let of_tls = counts.iter().find(|(name, _)| *name == "tls").map_or(0, |(_, tls)| tls.open);
    let own = counts.iter().filter(|(name, _)| *name != "tls");
    own.map(|(name, counts)| {
        let shared = if *name == "tcp" { of_tls } else { 0 };
        (*name, counts.open + shared, counts.limit)
    })
    .collect()
}

fn write_memory(page: &mut Page<'_>, memory: &StreamMemory) {
    let (held, most) = memory.counts();
    page.gauge(
        "rollcall_stream_memory_bytes",
        "Octets that connections of every transport hold together, beyond what is each one's own.",
        [(vec![], held as u64)],
    );
    page.gauge(
        "rollcall_stream_memory_limit_bytes",
        "As many octets as they may hold (limits.stream_memory).",
        [(vec![], most as u64)],
    );
}

fn write_upstream(page: &mut Page<'_>, upstream: &UpstreamSlot) {
    let counts = upstream.counts();
    page.gauge(
        "rollcall_upstream_in_flight",
        "Questions to the upstream that wait for an answer.",
        [(vec![], counts.in_flight as u64)],
    );
    page.gauge(
        "rollcall_upstream_in_flight_limit",
        "As many questions to the upstream as may wait (limits.upstream_in_flight); 0 without an upstream.",
        [(vec![], counts.limit as u64)],
    );
    page.counter(
        "rollcall_upstream_refused",
        "Questions for the upstream that were answered SERVFAIL, for as many as may were waiting.",
        [(vec![], counts.refused)],
    );
    page.gauge(
        "rollcall_upstream_cache_answers",
        "Answers of the upstream that are kept.",
        [(vec![], counts.kept as u64)],
    );
    page.gauge(
        "rollcall_upstream_cache_bytes",
        "Octets of the answers of the upstream that are kept, with their keeping.",
        [(vec![], counts.octets as u64)],
    );
}

fn transport(name: &str) -> Labels<'_> {
    vec![("transport", name)]
}
