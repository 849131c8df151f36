//! Every number of the configuration: one table, which the bounds are checked by and the docs are made from.

/// A number of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// `limits.tcp_idle`.
    pub key: &'static str,
    /// `s`, `ms`, `µs`, `octets`, `KiB`, `MiB`; empty for counts.
    pub unit: &'static str,
    /// Without a word in the configuration.
    pub default: u64,
    /// Inclusive.
    pub min: u64,
    /// Inclusive.
    pub max: u64,
    /// What it is, in a sentence.
    pub what: &'static str,
}

const fn number(
    key: &'static str,
    unit: &'static str,
    default: u64,
    [min, max]: [u64; 2],
    what: &'static str,
) -> Number {
    Number { key, unit, default, min, max, what }
}

/// All of them.
pub const NUMBERS: &[Number] = &[
    number("ttl.positive", "s", 5, [0, 3600], "Time to live of records."),
    number(
        "ttl.negative",
        "s",
        5,
        [0, 3600],
        "For how long the absence of a name or type may be remembered.",
    ),
    number(
        "ttl.expected",
        "s",
        0,
        [0, 3600],
        "The same for a replica that should exist and is not ready yet, and a headless service without a ready one.",
    ),
    number(
        "hold.longest",
        "ms",
        1000,
        [10, 1800],
        "How long a question for a replica that is not ready yet is kept open at most; below the 2 s behind which CoreDNS's forward asks again.",
    ),
    number(
        "hold.questions",
        "",
        10_000,
        [0, 1_000_000],
        "Questions that are kept open at one time, at some 1 KiB each; more are answered at once. 0 is none, whatever annotations say.",
    ),
    number(
        "hold.questions_per_client",
        "",
        1000,
        [1, 1_000_000],
        "The same for one client: an address, or the /64 of a global IPv6 one. A CoreDNS is one client.",
    ),
    number(
        "snapshot.interval",
        "s",
        10,
        [1, 3600],
        "The least time between two writes of the snapshot; without a change it is written each 5 minutes.",
    ),
    number(
        "stale.max_age",
        "s",
        259_200,
        [0, 31_536_000],
        "How long the last known records are answered while the API server is away; then SERVFAIL. 0 is for ever.",
    ),
    number(
        "stale.ttl_cap",
        "s",
        30,
        [0, 3600],
        "The longest time to live of an answer, positive or negative, once the API server has been away for 30 s.",
    ),
    number(
        "explain.set_interval",
        "s",
        5,
        [5, 3600],
        "The least time between two looks at the pods of a StatefulSet some of whose replicas have no name.",
    ),
    number(
        "explain.sets_per_second",
        "",
        10,
        [0, 10],
        "Such sets whose pods are listed in a second, one after the other in turn; 0 is never.",
    ),
    number(
        "explain.pods_memory",
        "MiB",
        8,
        [1, 256],
        "Octets of what is known of the pods of such sets; of those that have no room only slices tell.",
    ),
    number(
        "log.queries",
        "",
        0,
        [0, 1_000_000_000],
        "One in so many questions has a line in the log; 0 is none.",
    ),
    number("limits.udp_threads", "", 0, [0, 256], "UDP threads for each address; 0 is one a core."),
    number(
        "limits.udp_batch",
        "",
        32,
        [1, 64],
        "Packets that a UDP thread receives, and replies that it sends, with one system call.",
    ),
    number(
        "limits.udp_receive_buffer",
        "KiB",
        0,
        [0, 262_144],
        "The kernel's room for packets that wait to be read, of each UDP socket (one a thread); 0 is a 512th of the memory shared by an address's sockets, 256 KiB to 4 MiB each.",
    ),
    number("limits.udp_send_buffer", "KiB", 0, [0, 262_144], "The same for replies that wait to be sent."),
    number(
        "limits.udp_busy_poll",
        "µs",
        0,
        [0, 1000],
        "How long a UDP thread that waits spins on the network interface's queue before it sleeps; 0 is not at all.",
    ),
    number(
        "limits.tcp_connections",
        "",
        4096,
        [1, 1_000_000],
        "TCP connections at one time; more are closed as they come.",
    ),
    number(
        "limits.tcp_connections_per_client",
        "",
        1024,
        [1, 1_000_000],
        "The same for one client: an address, or the /64 of a global IPv6 one.",
    ),
    number(
        "limits.tcp_idle",
        "s",
        30,
        [1, 3600],
        "How long a TCP connection may be silent after its last reply, or leave a reply unread.",
    ),
    number(
        "limits.tcp_pipelined",
        "",
        32,
        [1, 4096],
        "Questions of one TCP connection that wait for the upstream.",
    ),
    number(
        "limits.stream_memory",
        "MiB",
        64,
        [1, 65_536],
        "Octets of unfinished questions and untaken replies of all TCP, TLS, HTTPS and QUIC connections together, beyond 8 KiB of each; who wants more is cut off.",
    ),
    number(
        "limits.tls_handshake",
        "s",
        5,
        [1, 60],
        "How long the handshake of a TLS, HTTPS or QUIC connection may take; TLS shares the other limits of TCP.",
    ),
    number(
        "limits.encrypted_question",
        "octets",
        4096,
        [512, 65_535],
        "The size of a question over HTTPS or QUIC; a longer one is refused.",
    ),
    number(
        "limits.https_connections",
        "",
        1024,
        [1, 1_000_000],
        "HTTPS connections at one time; more are closed as they come.",
    ),
    number("limits.https_connections_per_client", "", 256, [1, 1_000_000], "The same for one client."),
    number(
        "limits.https_streams",
        "",
        100,
        [1, 10_000],
        "Questions at one time on an HTTPS connection (HTTP/2).",
    ),
    number(
        "limits.https_idle",
        "s",
        30,
        [1, 3600],
        "How long an HTTPS connection may be silent or leave replies unread, and a request be unfinished.",
    ),
    number(
        "limits.quic_connections",
        "",
        1024,
        [1, 1_000_000],
        "QUIC connections at one time; more are refused as they come.",
    ),
    number("limits.quic_connections_per_client", "", 256, [1, 1_000_000], "The same for one client."),
    number("limits.quic_streams", "", 100, [1, 10_000], "Questions at one time on a QUIC connection."),
    number(
        "limits.quic_idle",
        "s",
        30,
        [1, 3600],
        "How long a QUIC connection may be without a question, a question be unfinished, or a reply unread.",
    ),
    number(
        "tls.reload",
        "s",
        5,
        [1, 3600],
        "How often the certificate and its key are looked at for a change.",
    ),
    number(
        "push.port",
        "",
        853,
        [1, 65_535],
        "The port that the SRV record of DNS Push Notifications names.",
    ),
    number(
        "push.sessions",
        "",
        4096,
        [1, 1_000_000],
        "Sessions of stateful operations at one time; more are answered SERVFAIL, with a time to come back.",
    ),
    number(
        "push.subscriptions",
        "",
        16_384,
        [1, 10_000_000],
        "Subscriptions of all sessions; more are answered SERVFAIL, with a time to come back.",
    ),
    number(
        "push.subscriptions_per_session",
        "",
        64,
        [1, 65_535],
        "Subscriptions of one session; more are REFUSED.",
    ),
    number(
        "push.subscriptions_per_client",
        "",
        4096,
        [1, 10_000_000],
        "Subscriptions of one client over all of its sessions, an address or the /64 of a global IPv6 one; more are REFUSED.",
    ),
    number(
        "push.queue",
        "KiB",
        512,
        [1, 1_048_576],
        "What may wait for a client that does not read; with more its session is ended. One push may wait however large it is.",
    ),
    number(
        "push.keepalive",
        "s",
        120,
        [10, 3600],
        "How long neither side of a session may say a word; after twice the time it is cut.",
    ),
    number(
        "push.inactivity",
        "s",
        30,
        [1, 3600],
        "How long a session may be without a subscription and an operation; after twice the time it is cut.",
    ),
    number(
        "push.retry",
        "ms",
        1000,
        [0, 600_000],
        "When a client that is sent away may come back; each is told up to twice the time.",
    ),
    number(
        "limits.upstream_in_flight",
        "",
        512,
        [1, 65535],
        "Questions to the upstream at one time, those answered from its cache not counted; more are answered SERVFAIL.",
    ),
    number(
        "limits.upstream_timeout",
        "ms",
        1000,
        [50, 10_000],
        "How long a question to the upstream may take in all, before SERVFAIL.",
    ),
    number("limits.upstream_cache", "", 4096, [0, 1_000_000], "Answers of the upstream that are kept."),
    number(
        "limits.upstream_cache_size",
        "MiB",
        8,
        [1, 1024],
        "Octets of the answers of the upstream that are kept.",
    ),
    number(
        "limits.tap_queue",
        "",
        4096,
        [16, 262_144],
        "Questions with their replies that wait to be written to the query log, and as many to dnstap, at 2 KiB each on average; more are counted and left out.",
    ),
    number(
        "limits.manifest_size",
        "MiB",
        1024,
        [1, 65_536],
        "The size of one manifest file, or of standard input.",
    ),
    number(
        "limits.played_pods",
        "",
        100_000,
        [0, 10_000_000],
        "Pods that are played for StatefulSets in manifests, in all.",
    ),
    number(
        "limits.lameduck",
        "s",
        5,
        [0, 3600],
        "How long to answer on after SIGTERM; 0 by default with manifests.",
    ),
    number(
        "limits.watch_timeout",
        "s",
        20,
        [5, 300],
        "How long a watch of the API server lasts before the next one goes on from it; a connection that is dead without a word is noticed 3 s later.",
    ),
    number(
        "limits.watch_silence",
        "s",
        90,
        [5, 600],
        "How long a watch may bring neither an event nor a bookmark before it is cut and begun anew; where watches that end in time bring none for so long, everything is listed beside them.",
    ),
    number(
        "limits.relist",
        "s",
        1800,
        [0, 86_400],
        "How often everything is listed anew beside the watches and compared with what is known, with a quarter of jitter; 0 is never.",
    ),
    number(
        "limits.list_page",
        "",
        250,
        [10, 5000],
        "Objects in a page of a list, where the API server has no streamed lists.",
    ),
    number(
        "limits.object_size",
        "MiB",
        8,
        [2, 256],
        "The size of one object from the API server, with what surrounds it; of a longer one what was known of it stays.",
    ),
    number(
        "limits.admin_connections",
        "",
        64,
        [1, 4096],
        "Connections to the admin address at one time; more wait.",
    ),
    number(
        "limits.page_streams",
        "",
        16,
        [0, 4096],
        "Event streams of the page and the API at one time, beside those connections; more are refused.",
    ),
    number(
        "limits.page_changes",
        "",
        1024,
        [1, 65_536],
        "Changes that are remembered for the page and the API, at some 500 octets each; of 64 replicas at once 8 to 34 KiB.",
    ),
];

/// The number of a key. Keys are this crate's own: a wrong one is caught by the test below.
pub(super) fn of(key: &str) -> Number {
    let found = NUMBERS.iter().find(|number| number.key == key);
    found.copied().unwrap_or(Number { key: "", unit: "", default: 0, min: 0, max: 0, what: "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_within_their_bounds_and_keys_are_unique() {
        for (index, number) in NUMBERS.iter().enumerate() {
            assert!((number.min..=number.max).contains(&number.default), "{}", number.key);
            assert!(NUMBERS[index + 1..].iter().all(|other| other.key != number.key), "{}", number.key);
            assert!(number.what.ends_with('.'), "{}", number.key);
        }
    }
}
