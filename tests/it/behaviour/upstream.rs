//! ExternalName targets outside the zones: asked of the upstream for clients that want it, once, and bounded.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::asking::{ask, data, query};
use super::manifests::{documents, external, nginx, text};
use super::resolver::{Resolver, Says};
use super::tcp::{Connection, framed};
use crate::support::reply::Reply;
use crate::support::server::Server;

const SUFFIX: &str = "default.svc.cluster.local";

/// A server of ExternalName services, each with the name of its target's first label, and its upstream.
pub(super) struct Chasing {
    pub(super) server: Server,
    pub(super) resolver: Resolver,
    _folder: tempfile::TempDir,
}

impl Chasing {
    pub(super) fn new(
        targets: &[&str],
        limits: &str,
        knows: impl Fn(&str, RecordType) -> Says + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let resolver = Resolver::start(knows);
        let (manifests, config) = (folder.path().join("web.yaml"), folder.path().join("rollcall.toml"));
        let services = targets.iter().map(|target| external(target.split('.').next().unwrap(), target));
        let all: Vec<String> = services.chain([nginx(2)]).collect();
        std::fs::write(&manifests, documents(&all)).unwrap();
        let toml = format!("[upstream]\nservers = ['{}']\n[limits]\n{limits}\n", resolver.address);
        std::fs::write(&config, toml).unwrap();
        let args =
            ["serve", "--listen", "127.0.0.1:0", "--config", text(&config), "--manifests", text(&manifests)];
        Self { server: Server::start(&args).unwrap(), resolver, _folder: folder }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    /// Asks for the service of this name; `line` may begin with options.
    pub(super) fn ask(&self, options: &str, service: &str) -> Reply {
        ask(self.address(), &format!("{options} {service}.{SUFFIX}"))
    }
}

pub(super) fn records<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).into()
}

/// `www.example.org` has addresses of both families.
fn www(name: &str, rtype: RecordType) -> Says {
    match (name, rtype) {
        ("www.example.org", RecordType::A) => {
            Says::Records(records(["www.example.org. 300 A 192.0.2.80", "www.example.org. 300 A 192.0.2.81"]))
        }
        ("www.example.org", RecordType::AAAA) => {
            Says::Records(records(["www.example.org. 300 AAAA 2001:db8::80"]))
        }
        ("www.example.org", _) => Says::Nothing(ResponseCode::NoError, Vec::new()),
        ("broken.example.org", _) => Says::Code(ResponseCode::ServFail),
        ("refused.example.org", _) => Says::Code(ResponseCode::Refused),
        ("silent.example.org", _) => Says::Silence,
        _ => Says::Nothing(ResponseCode::NXDomain, Vec::new()),
    }
}

#[test]
fn the_alias_and_the_records_of_its_target() {
    let chasing = Chasing::new(&["www.example.org"], "", www);
    let alias = format!("www.{SUFFIX}. 5 IN CNAME www.example.org.");
    for transport in ["+notcp", "+tcp"] {
        let reply = chasing.ask(&format!("{transport} -t A"), "www");
        assert_eq!(
            (reply.status.as_str(), reply.flags.as_slice()),
            ("NOERROR", ["qr", "aa", "rd"].as_slice())
        );
        assert_eq!(reply.question, [format!("www.{SUFFIX}. IN A")]);
        assert_eq!(reply.sections[0][0], alias, "the alias comes first");
        assert_eq!(data(&reply, "A"), ["192.0.2.80", "192.0.2.81"]);
        assert_eq!(reply.opt.as_deref(), Some("version 0; udp 1232"));
        let reply = chasing.ask(&format!("{transport} +noedns -t AAAA"), "www");
        assert_eq!(data(&reply, "AAAA"), ["2001:db8::80"]);
        assert_eq!((reply.sections[0][0].as_str(), reply.opt), (alias.as_str(), None));
    }
}

#[test]
fn the_question_keeps_its_spelling_and_do_and_cd_are_copied() {
    let chasing = Chasing::new(&["www.example.org"], "", www);
    let reply = ask(chasing.address(), "+do +cd -t A wWw.DeFault.svc.cLuster.local");
    assert_eq!(reply.question, ["wWw.DeFault.svc.cLuster.local. IN A"]);
    assert!(reply.sections[0][0].starts_with("wWw.DeFault.svc.cLuster.local. "), "{:?}", reply.sections[0]);
    assert!(reply.flags.contains(&"cd") && !reply.flags.contains(&"ra"), "{:?}", reply.flags);
    assert_eq!(reply.opt.as_deref(), Some("version 0, flags do; udp 1232"));
}

#[test]
fn a_target_that_does_not_exist_and_one_without_the_type() {
    let chasing = Chasing::new(&["gone.example.org", "www.example.org"], "", www);
    for transport in ["+notcp", "+tcp"] {
        for (rtype, service, status) in [("A", "gone", "NXDOMAIN"), ("TXT", "www", "NOERROR")] {
            let reply = chasing.ask(&format!("{transport} -t {rtype}"), service);
            assert_eq!(reply.status, status);
            assert_eq!(reply.sections[0], [format!("{service}.{SUFFIX}. 5 IN CNAME {service}.example.org.")]);
            // What the absence may be remembered by is the upstream's (RFC 2308).
            let [soa] = &reply.sections[1][..] else { panic!("{:?}", reply.lines()) };
            assert!(soa.starts_with("example.org. ") && soa.contains(" IN SOA ns.example.org. "), "{soa}");
        }
    }
}

#[test]
fn without_recursion_desired_nobody_is_asked() {
    let chasing = Chasing::new(&["www.example.org"], "", www);
    for options in ["+norec -t A", "+norec +tcp -t AAAA", "-t CNAME", "+tcp -t CNAME", "-t ANY"] {
        let reply = chasing.ask(options, "www");
        assert_eq!(reply.sections[0], [format!("www.{SUFFIX}. 5 IN CNAME www.example.org.")], "{options}");
        assert_eq!((reply.status.as_str(), reply.sections[1].len()), ("NOERROR", 0), "{options}");
    }
    assert_eq!(chasing.resolver.asked(), [""; 0]);
}

#[test]
fn names_within_the_zones_are_never_asked() {
    let chasing = Chasing::new(
        &[
            "in2.other.svc.cluster.local",
            "in3.cluster.local",
            // Names of reverse zones are ours as well.
            "x4.0.0.10.in-addr.arpa",
        ],
        "",
        www,
    );
    for (service, status) in
        [("in2", "NXDOMAIN"), ("in3", "NXDOMAIN"), ("x4", "NXDOMAIN"), ("nginx", "NOERROR")]
    {
        for transport in ["+notcp", "+tcp"] {
            let reply = chasing.ask(&format!("{transport} -t A"), service);
            assert_eq!(reply.status, status, "{service}: {:?}", reply.lines());
        }
    }
    // Nor are names that are no service's at all.
    for name in
        ["missing.default.svc.cluster.local", "cluster.local", "www.example.org", "4.0.0.10.in-addr.arpa"]
    {
        ask(chasing.address(), &format!("-t A {name}"));
    }
    assert_eq!(chasing.resolver.asked(), [""; 0]);
}

#[test]
fn an_upstream_that_fails_is_servfail_with_a_reason() {
    let chasing = Chasing::new(&["broken.example.org", "refused.example.org"], "", www);
    for service in ["broken", "refused"] {
        for transport in ["+notcp", "+tcp"] {
            let reply = chasing.ask(&format!("{transport} -t A"), service);
            assert_eq!(
                (reply.status.as_str(), reply.flags.as_slice()),
                ("SERVFAIL", ["qr", "rd"].as_slice())
            );
            assert_eq!(reply.ede.len(), 1, "{:?}", reply.lines());
            assert!(reply.sections.iter().all(Vec::is_empty), "{:?}", reply.lines());
        }
    }
}

#[test]
fn a_silent_upstream_is_servfail_after_its_second() {
    let chasing = Chasing::new(&["silent.example.org"], "", www);
    for options in ["+notcp +do -t A", "+tcp -t AAAA", "+notcp +noedns -t TXT"] {
        let start = Instant::now();
        let reply = chasing.ask(options, "silent");
        let took = start.elapsed();
        assert_eq!((reply.status.as_str(), reply.flags.as_slice()), ("SERVFAIL", ["qr", "rd"].as_slice()));
        assert!(took > Duration::from_millis(400) && took < Duration::from_secs(2), "{options}: {took:?}");
        assert_eq!(reply.ede.is_empty(), options.contains("noedns"), "{options}: {:?}", reply.ede);
        assert_eq!(reply.question.len(), 1);
    }
    // The one that waits holds up nobody.
    let server = chasing.address();
    thread::scope(|scope| {
        scope.spawn(move || ask(server, &format!("-t MX silent.{SUFFIX}")));
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(chasing.ask("-t A", "nginx").status, "NOERROR");
        }
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    });
}

#[test]
fn the_time_is_a_setting() {
    let chasing = Chasing::new(&["silent.example.org"], "upstream_timeout = 100", www);
    let start = Instant::now();
    assert_eq!(chasing.ask("-t A", "silent").status, "SERVFAIL");
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[test]
fn what_was_asked_once_comes_from_the_cache() {
    let chasing = Chasing::new(&["www.example.org", "gone.example.org"], "", www);
    for service in ["www", "gone"] {
        for transport in ["+notcp", "+tcp", "+notcp", "+tcp"] {
            let reply = chasing.ask(&format!("{transport} -t A"), service);
            assert_eq!(data(&reply, "A").len(), if service == "www" { 2 } else { 0 });
        }
    }
    assert_eq!(chasing.resolver.asked(), ["udp www.example.org A", "udp gone.example.org A"]);
}

#[test]
fn two_hundred_at_once_over_each_transport() {
    let targets: Vec<String> = (0..40).map(|number| format!("n{number}.example.org")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let chasing = Chasing::new(&targets, "", |name, rtype| {
        let number: u8 = name[1..].split('.').next().unwrap().parse().unwrap();
        // Slow enough that the questions meet each other.
        thread::sleep(Duration::from_millis(1));
        match rtype {
            RecordType::A => Says::Records(vec![format!("{name}. 300 A 192.0.2.{number}")]),
            _ => Says::Nothing(ResponseCode::NoError, Vec::new()),
        }
    });
    thread::scope(|scope| {
        for asked in 0..400_usize {
            let server = chasing.address();
            scope.spawn(move || {
                let (number, transport) = (asked % 40, if asked % 2 == 0 { "+notcp" } else { "+tcp" });
                let reply = ask(server, &format!("{transport} -t A n{number}.{SUFFIX}"));
                assert_eq!(data(&reply, "A"), [format!("192.0.2.{number}")], "{transport}");
            });
        }
    });
}

#[test]
fn a_hundred_of_one_connection_are_all_answered_and_do_not_wait_for_each_other() {
    let chasing = Chasing::new(&["www.example.org", "silent.example.org"], "tcp_pipelined = 8", www);
    let mut connection = Connection::open(chasing.address());
    let mut all = Vec::new();
    for id in 0..100 {
        let (rtype, name) = match id % 10 {
            0 => ("A", "silent"),
            1..5 => ("AAAA", "www"),
            _ => ("A", "nginx"),
        };
        all.extend(framed(&query(&format!("+qid={id} -t {rtype} {name}.{SUFFIX}")).bytes));
    }
    let start = Instant::now();
    connection.write(&all);
    let mut ids = Vec::new();
    for _ in 0..100 {
        let reply = Reply::read(&connection.read().expect("an answer")).unwrap();
        assert_eq!(
            reply.status,
            if reply.id.is_multiple_of(10) { "SERVFAIL" } else { "NOERROR" },
            "{}",
            reply.id
        );
        ids.push(reply.id);
    }
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(!ids.is_sorted(), "what is known overtakes what is asked for");
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
}
