//! The table: state, question, sentence. `state.rs` says how a state reads.

use super::Setting;

/// One state and one question, with what is said about the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'t> {
    pub(super) id: &'static str,
    pub(super) code: u16,
    pub(super) sentence: &'static str,
    pub(super) state: &'t str,
    pub(super) setting: Setting,
    /// In the words of dig.
    pub(super) question: &'t str,
}

pub(super) const fn row(
    id: &'static str,
    sentence: &'static str,
    state: &'static str,
    question: &'static str,
) -> Row<'static> {
    Row { id, code: 0, sentence, state, setting: Setting::None, question }
}

/// `web-0` is ready, `web-1` is not, `web-2` is to come.
const NGINX: &str = "
    headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7!
    set web of nginx wants 3";

/// The notes' own case: a second Service that selects the pods of a set.
const KUBIA: &str = "
    headless kubia
    headless kubia-state
    set kubia of kubia wants 1
    slice kubia-a of kubia: kubia-0=10.244.0.2
    slice kubia-b of kubia-state: pod:kubia-0=10.244.0.2";

const V4: &str = "clusterip web 10.96.0.1\nslice web-a of web: pod:web-0=10.244.0.1";

const NAMED_BY_ADDRESS: &str =
    "these pods are called by their addresses: their subdomain is not the name of this Service";

pub(super) const ROWS: &[Row<'static>] = &[
    row(
        "not-ready",
        "web-1 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false",
        NGINX,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "not-ready",
        "web-1 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false",
        NGINX,
        "-t SRV _http._tcp.WEB-1.nginx.default.svc.cluster.local",
    ),
    row(
        "not-ready",
        "10-244-0-2 is not ready: slice a has it at 10.244.0.2, ready=false",
        "headless db\nslice a of db: pod:db-0=10.244.0.2!",
        "-t A 10-244-0-2.db.default.svc.cluster.local",
    ),
    row(
        "not-ready",
        "db-0 is not ready: slice b has it at 10.244.0.3, ready=false",
        // A pod that goes, and the one that comes in its place.
        "headless db\nslice a of db: db-0=10.244.0.2~\nslice b of db: db-0=10.244.0.3!",
        "-t A db-0.db.default.svc.cluster.local",
    ),
    row(
        "terminating",
        "web-2 is terminating: slice nginx-x7 has it at 10.244.0.8, terminating=true",
        "headless nginx
         slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7 web-2=10.244.0.8~
         set web of nginx wants 2",
        "-t A web-2.nginx.default.svc.cluster.local",
    ),
    row(
        "awaited",
        "web-2 does not exist yet: StatefulSet web wants 3 and waits for web-1",
        NGINX,
        "-t AAAA web-2.nginx.default.svc.cluster.local",
    ),
    row(
        "awaited",
        "web-6 does not exist yet: StatefulSet web wants 3 and waits for web-5",
        "headless nginx\nset web of nginx wants 3 from 5",
        "-t A web-6.nginx.default.svc.cluster.local",
    ),
    row(
        "no-address",
        "web-1 has no address yet: StatefulSet web wants 3, but no slice of Service nginx has it",
        "headless nginx\nslice a of nginx: web-0=10.244.0.6\nset web of nginx wants 3",
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "no-address",
        "web-2 has no address yet: StatefulSet web wants 3, but no slice of Service nginx has it",
        "headless nginx\nslice a of nginx: web-1=10.244.0.6\nset web of nginx wants 3 parallel",
        "-t A web-2.nginx.default.svc.cluster.local",
    ),
    row(
        "no-address",
        "web-0 has no address yet: StatefulSet web wants 1, but no slice of Service front has it",
        // Under a Service with a cluster IP, too.
        "clusterip front 10.96.0.1\nset web of front wants 1",
        "-t A web-0.front.default.svc.cluster.local",
    ),
    row(
        "beyond-replicas",
        "web-3 does not exist: StatefulSet web has replicas 3",
        NGINX,
        "-t A web-3.nginx.default.svc.cluster.local",
    ),
    row(
        "beyond-replicas",
        "web-0 does not exist: StatefulSet web has replicas 3, from ordinal 5 on",
        "headless nginx\nslice a of nginx: web-5=10.244.0.6\nset web of nginx wants 3 from 5",
        "-t A web-0.nginx.default.svc.cluster.local",
    ),
    row(
        "called-by-address",
        "Service kubia-state selects kubia-0, but its subdomain is kubia: it is called 10-244-0-2 here",
        KUBIA,
        "-t A kubia-0.kubia-state.default.svc.cluster.local",
    ),
    row("named-by-address", NAMED_BY_ADDRESS, KUBIA, "-t SRV kubia-state.default.svc.cluster.local"),
    row(
        "named-by-address",
        NAMED_BY_ADDRESS,
        KUBIA,
        "-t SRV _http._tcp.kubia-state.default.svc.cluster.local",
    ),
    row("named-by-address", NAMED_BY_ADDRESS, KUBIA, "-t A kubia-7.kubia-state.default.svc.cluster.local"),
    row(
        "none-ready",
        "none of the 2 endpoints of Service nginx is ready: slice nginx-x7 has 10.244.0.6 with ready=false",
        "headless nginx\nslice nginx-x7 of nginx: web-0=10.244.0.6! web-1=10.244.0.7!",
        "-t A nginx.default.svc.cluster.local",
    ),
    row(
        "none-ready",
        "the one endpoint of Service nginx is not ready: slice nginx-x7 has it at 10.244.0.6, ready=false",
        "headless nginx\nslice nginx-x7 of nginx: web-0=10.244.0.6!",
        "-t SRV _http._tcp.nginx.default.svc.cluster.local",
    ),
    row(
        "no-endpoints",
        "Service nginx has no endpoints: its selector matches no pod, or none that has an address yet",
        "headless nginx\nslice nginx-x7 of nginx:",
        "-t A nginx.default.svc.cluster.local",
    ),
    row(
        "scaled-to-zero",
        "Service nginx has no endpoints: StatefulSet web has replicas 0",
        "headless nginx\nset web of nginx wants 0",
        "-t A web-0.nginx.default.svc.cluster.local",
    ),
    row(
        "governing-service-missing",
        "no Service kubia in namespace default; StatefulSet kubia names it as its serviceName",
        "set kubia of kubia wants 2",
        "-t A kubia.default.svc.cluster.local",
    ),
    row(
        "governing-service-missing",
        "no Service kubia in namespace default; StatefulSet kubia names it as its serviceName",
        "set kubia of kubia wants 2",
        "-t A kubia-0.kubia.default.svc.cluster.local",
    ),
    row(
        "bad-external-name",
        "the externalName of Service db is no DNS name: a..b",
        "external db a..b",
        "-t A db.default.svc.cluster.local",
    ),
    row(
        "similar-service",
        "no such service ngnix; did you mean nginx?",
        NGINX,
        "-t A ngnix.default.svc.cluster.local",
    ),
    row(
        "similar-service",
        "no such service ngnix; did you mean nginx?",
        NGINX,
        "-t A web-0.ngnix.default.svc.cluster.local",
    ),
    row(
        "no-such-service",
        "no such Service in this namespace",
        // The search path at work.
        NGINX,
        "-t A www.ngnix.default.svc.cluster.local",
    ),
    row(
        "no-such-service",
        "no such Service in this namespace",
        NGINX,
        "-t A zookeeper.default.svc.cluster.local",
    ),
    row(
        "no-such-namespace",
        "no such namespace, and no Service in it",
        NGINX,
        "-t A elsewhere.svc.cluster.local",
    ),
    row(
        "no-such-host",
        "no endpoint of this Service has this name",
        NGINX,
        "-t A web-01.nginx.default.svc.cluster.local",
    ),
    row(
        "no-such-port",
        "no endpoint of this Service has a port of this name and protocol",
        NGINX,
        "-t SRV _https._tcp.nginx.default.svc.cluster.local",
    ),
    row(
        "no-such-port",
        "no endpoint of this Service has a port of this name and protocol",
        NGINX,
        "-t SRV _http._udp.web-0.nginx.default.svc.cluster.local",
    ),
    row(
        "below-host",
        "nothing is below the name of an endpoint but its ports, as _port._protocol",
        NGINX,
        "-t A x.web-0.nginx.default.svc.cluster.local",
    ),
    row(
        "below-alias",
        "the Service is an ExternalName: there is nothing below its name",
        "external db db.example.com",
        "-t A x.db.default.svc.cluster.local",
    ),
    row(
        "no-such-name",
        "the cluster's domain has no such name: those of Services end in svc and the domain",
        NGINX,
        "-t A example.com.cluster.local",
    ),
    row(
        "no-such-name",
        "the cluster's domain has no such name: those of Services end in svc and the domain",
        NGINX,
        "-t TXT x.nginx.default._statefulset.cluster.local",
    ),
    row(
        "no-such-set",
        "no StatefulSet names this Service as its serviceName",
        NGINX,
        "-t TXT web.default._statefulset.cluster.local",
    ),
    row(
        "no-pod-names",
        "names of pods are switched off here (pods = \"disabled\")",
        NGINX,
        "-t A 10-244-0-6.default.pod.cluster.local",
    ),
    Row {
        setting: Setting::Insecure,
        ..row(
            "not-an-address",
            "the name of a pod is its address with dashes, in a namespace that is known: 10-244-0-7.default.pod",
            NGINX,
            "-t A web-0.default.pod.cluster.local",
        )
    },
    Row {
        setting: Setting::Verified,
        ..row(
            "no-such-pod",
            "no pod of this namespace has this address",
            NGINX,
            "-t A 10-9-9-9.default.pod.cluster.local",
        )
    },
    row("unknown-address", "no Service and no ready endpoint has this address", NGINX, "-x 10.244.0.7"),
    row(
        "only-below",
        "nothing stands at this name itself, but at names below it",
        NGINX,
        "-t A _tcp.nginx.default.svc.cluster.local",
    ),
    row(
        "only-below",
        "nothing stands at this name itself, but at names below it",
        NGINX,
        "-t A default.svc.cluster.local",
    ),
    row(
        "no-ipv6",
        "there is no AAAA record here: every address of this name is IPv4",
        V4,
        "-t AAAA web.default.svc.cluster.local",
    ),
    row(
        "no-ipv6",
        "there is no AAAA record here: every address of this name is IPv4",
        NGINX,
        "-t AAAA web-0.nginx.default.svc.cluster.local",
    ),
    row(
        "no-ipv4",
        "there is no A record here: every address of this name is IPv6",
        "clusterip web fd00::1",
        "-t A web.default.svc.cluster.local",
    ),
    row(
        "no-ports",
        "there is no SRV record here: neither Service nor slice has a port",
        "portless web 10.96.0.1",
        "-t SRV web.default.svc.cluster.local",
    ),
    row(
        "no-such-type",
        "the name exists, and has no record of this type",
        V4,
        "-t TXT web.default.svc.cluster.local",
    ),
    row(
        "alias-cut",
        "the chain of aliases is a circle, or longer than 8 links, and ends here",
        "external a b.default.svc.cluster.local\nexternal b a.default.svc.cluster.local",
        "-t A a.default.svc.cluster.local",
    ),
    Row {
        setting: Setting::Filtered,
        ..row(
            "alias-left-out",
            "the alias leads into a namespace that is not served here",
            "external a web.other.svc.cluster.local",
            "-t A a.default.svc.cluster.local",
        )
    },
    row(
        "alias-not-followed",
        "the alias leads out of the cluster's domain, and no upstream is configured to follow it",
        "external a www.example.com",
        "-t A a.default.svc.cluster.local",
    ),
    Row {
        code: 3,
        setting: Setting::Stale,
        ..row(
            "stale",
            "as it was known at 14:02 UTC: the API server has not answered since",
            NGINX,
            "-t A web-0.nginx.default.svc.cluster.local",
        )
    },
    Row {
        code: 3,
        setting: Setting::FromSnapshot,
        ..row(
            "stale-snapshot",
            "served from a snapshot of 14:02 UTC: the API server does not answer",
            NGINX,
            "-t A web-0.nginx.default.svc.cluster.local",
        )
    },
    Row { code: 20, ..row("outside-zones", "not within the zones served here", NGINX, "-t A example.com") },
    Row {
        code: 20,
        setting: Setting::Filtered,
        ..row(
            "namespace-left-out",
            "this server is configured not to serve the namespace, or cannot list it",
            NGINX,
            "-t A web.other.svc.cluster.local",
        )
    },
    Row {
        code: 21,
        ..row("transfer-refused", "zone transfers are not served", NGINX, "-t AXFR cluster.local")
    },
    Row { code: 21, ..row("other-class", "only class IN is served", NGINX, "-c CH -t TXT id.server") },
    Row {
        code: 14,
        setting: Setting::NotSynchronised,
        ..row("not-synchronised", "the cluster is not known yet", "", "-t A web.default.svc.cluster.local")
    },
    Row {
        code: 14,
        setting: Setting::PodsUnknown,
        ..row(
            "pods-not-known",
            "the pods of the cluster are not known yet",
            NGINX,
            "-t A 10-9-9-9.default.pod.cluster.local",
        )
    },
    Row {
        code: 24,
        setting: Setting::TooOld,
        ..row(
            "too-old",
            "what is known of the cluster is older than stale.max_age",
            NGINX,
            "-t A web-0.nginx.default.svc.cluster.local",
        )
    },
];
