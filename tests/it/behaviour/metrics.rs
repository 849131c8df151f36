//! What `/metrics` counts: exactly what was asked, by zone, type, code and transport, and what became of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::asking::{ask, data, eventually, query};
use super::manifests::{NGINX, documents, endpoints, external, nginx, replace, text};
use super::process::Process;
use super::resolver::{Resolver, Says};
use super::tcp::{Connection, framed};
use crate::support::scrape::Scrape;

const PATIENCE: Duration = Duration::from_secs(10);

/// A program that serves these manifests with this configuration, and its admin address.
pub(super) struct Counting {
    pub(super) process: Process,
    pub(super) admin: SocketAddr,
    pub(super) folder: tempfile::TempDir,
}

impl Counting {
    pub(super) fn start(manifests: &str, toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (web, config) = (folder.path().join("web.yaml"), folder.path().join("rollcall.toml"));
        std::fs::write(&web, manifests).unwrap();
        std::fs::write(&config, toml).unwrap();
        let args = ["--config", text(&config), "--manifests", text(&web), "--admin", "127.0.0.1:0"];
        let mut process = Process::serve(&args);
        let printed = process.printed();
        let admin = printed.lines().find_map(|line| line.strip_prefix("listening admin ")).unwrap();
        let admin = admin.parse().unwrap();
        Self { process, admin, folder }
    }

    fn dns(&self) -> SocketAddr {
        self.process.address()
    }

    pub(super) fn scrape(&self) -> Scrape {
        Scrape::of(self.admin)
    }

    /// Waits until a family has grown by just this: the last of it is counted behind the reply.
    fn until(&self, before: &Scrape, family: &str, wanted: &BTreeMap<String, f64>) {
        eventually(family, || {
            let now = self.scrape().since(before, family);
            if now == *wanted { Ok(()) } else { Err(format!("{now:#?}, and not {wanted:#?}")) }
        });
    }
}

/// Sends a message and reads the reply, whatever both are.
fn exchange(server: SocketAddr, tcp: bool, message: &[u8]) -> Vec<u8> {
    let mut reply = vec![0; 65_535];
    let length = if tcp {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&framed(message)).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let length = usize::from(u16::from_be_bytes(length));
        stream.read_exact(&mut reply[..length]).unwrap();
        length
    } else {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(message).unwrap();
        socket.recv(&mut reply).unwrap()
    };
    reply.truncate(length);
    reply
}

fn samples<const N: usize>(all: [(&str, f64); N]) -> BTreeMap<String, f64> {
    all.map(|(labels, value)| (labels.to_owned(), value)).into()
}

/// Questions, and what each is counted as: zone, type, code, and whether it is NODATA.
const QUESTIONS: &[(&str, &str, &str, &str, bool)] = &[
    ("-t A web-0.nginx.default.svc.cluster.local", "cluster.local", "A", "NOERROR", false),
    ("-t A nginx.default.svc.cluster.local", "cluster.local", "A", "NOERROR", false),
    ("-t AAAA web-0.nginx.default.svc.cluster.local", "cluster.local", "AAAA", "NOERROR", true),
    ("-t SRV nginx.default.svc.cluster.local", "cluster.local", "SRV", "NOERROR", false),
    ("-t TXT dns-version.cluster.local", "cluster.local", "TXT", "NOERROR", false),
    ("-t NS cluster.local", "cluster.local", "NS", "NOERROR", false),
    ("-t SOA cluster.local", "cluster.local", "SOA", "NOERROR", false),
    ("-t ANY nginx.default.svc.cluster.local", "cluster.local", "ANY", "NOERROR", false),
    ("-t HTTPS nginx.default.svc.cluster.local", "cluster.local", "HTTPS", "NOERROR", true),
    ("-t MX nginx.default.svc.cluster.local", "cluster.local", "other", "NOERROR", true),
    ("-t A gone.default.svc.cluster.local", "cluster.local", "A", "NXDOMAIN", false),
    ("-t A a.b.c.d.svc.cluster.local", "cluster.local", "A", "NXDOMAIN", false),
    ("-t AXFR cluster.local", "cluster.local", "other", "REFUSED", false),
    ("-t PTR 9.9.9.10.in-addr.arpa", "reverse", "PTR", "NXDOMAIN", false),
    ("-t SOA 10.in-addr.arpa", "reverse", "SOA", "NOERROR", false),
    ("-t A 10.in-addr.arpa", "reverse", "A", "NOERROR", true),
    ("-t PTR 1.2.0.192.in-addr.arpa", ".", "PTR", "REFUSED", false),
    ("-t A www.example.org", ".", "A", "REFUSED", false),
    ("-t TXT -c CH id.server", ".", "TXT", "REFUSED", false),
    ("+edns=1 -t A web-0.nginx.default.svc.cluster.local", ".", "other", "BADVERS", false),
    ("+opcode=NOTIFY -t SOA cluster.local", ".", "other", "NOTIMP", false),
    ("+header-only", ".", "other", "FORMERR", false),
];

#[test]
fn each_question_is_counted_by_zone_type_code_and_transport() {
    let counting = Counting::start(&nginx(3), "");
    let before = counting.scrape();
    let pointer = data(&ask(counting.dns(), &format!("-t A web-0.{NGINX}")), "A").remove(0);
    // What is counted behind the reply is counted by now.
    counting.until(
        &before,
        "rollcall_dns_query_duration_seconds_count",
        &samples([("transport=\"udp\"", 1.0)]),
    );
    counting.until(&before, "rollcall_udp_packets_total", &samples([("result=\"answered\"", 1.0)]));
    let pointer = format!("-x {pointer}");
    let pointer = (pointer.as_str(), "reverse", "PTR", "NOERROR", false);
    let all = QUESTIONS.iter().chain([&pointer]);
    // How often each, so that no two are taken for each other.
    let all: Vec<_> = all.enumerate().map(|(number, question)| (number % 5 + 1, question)).collect();
    let before = counting.scrape();
    for (transport, tcp) in [("udp", false), ("tcp", true)] {
        let (start, mut queries, mut nodata) = (counting.scrape(), BTreeMap::new(), BTreeMap::new());
        let (mut requests, mut responses, mut count) = (0, 0, 0);
        for (times, (line, zone, rtype, rcode, is_nodata)) in &all {
            for _ in 0..*times {
                let message = query(line).bytes;
                responses += exchange(counting.dns(), tcp, &message).len();
                requests += message.len();
                count += 1;
            }
            let labels =
                format!("zone=\"{zone}\",type=\"{rtype}\",rcode=\"{rcode}\",transport=\"{transport}\"");
            *queries.entry(labels).or_insert(0.0) += *times as f64;
            if *is_nodata {
                let labels = format!("zone=\"{zone}\",type=\"{rtype}\",transport=\"{transport}\"");
                *nodata.entry(labels).or_insert(0.0) += *times as f64;
            }
        }
        counting.until(&start, "rollcall_dns_queries_total", &queries);
        counting.until(&start, "rollcall_dns_nodata_total", &nodata);
        let label = format!("transport=\"{transport}\"");
        for (family, octets) in [("request", requests), ("response", responses)] {
            let family = format!("rollcall_dns_{family}_size_bytes");
            counting.until(&start, &format!("{family}_sum"), &samples([(&label, octets as f64)]));
            counting.until(&start, &format!("{family}_count"), &samples([(&label, f64::from(count))]));
        }
        let family = "rollcall_dns_query_duration_seconds";
        counting.until(&start, &format!("{family}_count"), &samples([(&label, f64::from(count))]));
        let scrape = counting.scrape();
        let last = scrape.value(&format!("{family}_bucket{{le=\"+Inf\",transport=\"{transport}\"}}"));
        assert_eq!(last, scrape.value(&format!("{family}_count{{{label}}}")), "the last bound holds all");
        let seconds = scrape.since(&start, &format!("{family}_sum"))[&label];
        assert!(seconds > 0.0 && seconds < 60.0, "{seconds} s");
    }
    // Every packet was answered, and asking over TCP was a connection each.
    let count: usize = all.iter().map(|(times, _)| times).sum();
    counting.until(&before, "rollcall_udp_packets_total", &samples([("result=\"answered\"", count as f64)]));
    counting.until(&before, "rollcall_tcp_accepted_total", &samples([("transport=\"tcp\"", count as f64)]));
}

#[test]
fn what_is_cut_short_and_what_is_silence() {
    let counting = Counting::start(&documents(&[nginx(1), endpoints("many", 200)]), "");
    let (before, dns) = (counting.scrape(), counting.dns());
    let many = query("+noedns -t A many.default.svc.cluster.local").bytes;
    for tcp in [false, true, false] {
        assert_eq!(exchange(dns, tcp, &many)[2] & 2 != 0, !tcp, "TC");
    }
    // An answer is not answered, and half a header neither.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut answer = many;
    answer[2] |= 0x80;
    socket.send_to(&answer, dns).unwrap();
    socket.send_to(&answer[..5], dns).unwrap();
    counting.until(&before, "rollcall_dns_truncated_total", &samples([("transport=\"udp\"", 2.0)]));
    let results = samples([("result=\"answered\"", 2.0), ("result=\"silent\"", 2.0)]);
    counting.until(&before, "rollcall_udp_packets_total", &results);
    let of =
        |transport| format!("zone=\"cluster.local\",type=\"A\",rcode=\"NOERROR\",transport=\"{transport}\"");
    let queries = samples([(&of("udp"), 2.0), (&of("tcp"), 1.0)]);
    counting.until(&before, "rollcall_dns_queries_total", &queries);
    counting.until(&before, "rollcall_dns_nodata_total", &samples([]));
    assert_eq!(counting.scrape().value("rollcall_udp_receive_drops_total"), 0.0);
}

#[test]
fn what_the_kernel_drops() {
    let counting = Counting::start(&nginx(1), "[limits]\nudp_receive_buffer = 1\nudp_threads = 1");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    counting.process.signal("STOP");
    let question = query(&format!("-t A web-0.{NGINX}")).bytes;
    (0..500).for_each(|_| assert!(socket.send_to(&question, counting.dns()).unwrap() > 0));
    counting.process.signal("CONT");
    eventually("500 packets, received or dropped", || {
        let scrape = counting.scrape();
        let dropped = scrape.value("rollcall_udp_receive_drops_total");
        let answered = scrape.value("rollcall_udp_packets_total{result=\"answered\"}");
        if dropped > 300.0 && dropped + answered == 500.0 {
            Ok(())
        } else {
            Err(format!("{dropped} {answered}"))
        }
    });
}

#[test]
fn what_the_upstream_answers_is_counted_once() {
    let resolver = Resolver::start(|name, rtype| match (name, rtype) {
        ("www.example.org", RecordType::A) => {
            Says::Records(vec!["www.example.org. 300 A 192.0.2.80".to_owned()])
        }
        _ => Says::Nothing(ResponseCode::NXDomain, Vec::new()),
    });
    let manifests = documents(&[external("www", "www.example.org"), external("gone", "gone.example.org")]);
    let counting = Counting::start(&manifests, &format!("[upstream]\nservers = ['{}']\n", resolver.address));
    let before = counting.scrape();
    for tcp in [false, true] {
        for name in ["www", "gone"] {
            exchange(counting.dns(), tcp, &query(&format!("-t A {name}.default.svc.cluster.local")).bytes);
        }
    }
    let of = |rcode, transport| {
        format!("zone=\"cluster.local\",type=\"A\",rcode=\"{rcode}\",transport=\"{transport}\"")
    };
    let queries = [("NOERROR", "udp"), ("NOERROR", "tcp"), ("NXDOMAIN", "udp"), ("NXDOMAIN", "tcp")];
    let queries = queries.map(|(rcode, transport)| (of(rcode, transport), 1.0)).into();
    counting.until(&before, "rollcall_dns_queries_total", &queries);
    let results = samples([("result=\"answered\"", 2.0), ("result=\"forwarded\"", 2.0)]);
    counting.until(&before, "rollcall_udp_packets_total", &results);
    let two = samples([("transport=\"udp\"", 2.0), ("transport=\"tcp\"", 2.0)]);
    counting.until(&before, "rollcall_dns_query_duration_seconds_count", &two);
}

#[test]
fn connections_open_refused_and_idle() {
    let toml = "[limits]\ntcp_connections = 3\ntcp_connections_per_client = 2\ntcp_idle = 3";
    let counting = Counting::start(&nginx(1), toml);
    let before = counting.scrape();
    assert_eq!(before.value("rollcall_tcp_places{places=\"tcp\"}"), 3.0);
    let question = query(&format!("-t A web-0.{NGINX}")).bytes;
    let mut held: Vec<Connection> = (0..2).map(|_| Connection::open(counting.dns())).collect();
    held.iter_mut().for_each(|connection| drop(connection.ask(&question)));
    assert_eq!(counting.scrape().value("rollcall_tcp_connections{transport=\"tcp\"}"), 2.0);
    assert!(Connection::open(counting.dns()).is_closed(), "the third");
    let refused = "rollcall_tcp_refused_total";
    counting.until(&before, refused, &samples([("transport=\"tcp\",reason=\"per_client\"", 1.0)]));
    // They say nothing more.
    assert!(held.iter_mut().all(Connection::is_closed));
    counting.until(&before, "rollcall_tcp_idle_closed_total", &samples([("transport=\"tcp\"", 2.0)]));
    counting.until(&before, "rollcall_tcp_accepted_total", &samples([("transport=\"tcp\"", 2.0)]));
    counting.until(&before, "rollcall_tcp_connections", &samples([]));
}

#[test]
fn all_places_taken() {
    let counting = Counting::start(&nginx(1), "[limits]\ntcp_connections = 1");
    let before = counting.scrape();
    let mut held = Connection::open(counting.dns());
    held.ask(&query(&format!("-t A web-0.{NGINX}")).bytes);
    assert!(Connection::open(counting.dns()).is_closed() && Connection::open(counting.dns()).is_closed());
    let refused = "rollcall_tcp_refused_total";
    counting.until(&before, refused, &samples([("transport=\"tcp\",reason=\"connections\"", 2.0)]));
    drop(held);
    counting.until(&before, "rollcall_tcp_connections", &samples([]));
    counting.until(&before, "rollcall_tcp_idle_closed_total", &samples([]));
}

#[test]
fn the_cluster_and_the_zone_as_they_change() {
    let counting = Counting::start(&nginx(3), "");
    let expect = |wanted: [(&str, f64); 6]| {
        eventually("the counts of the cluster", || {
            let scrape = counting.scrape();
            let now = wanted.map(|(sample, _)| (sample, scrape.value(sample)));
            if now == wanted { Ok(()) } else { Err(format!("{now:?}")) }
        });
    };
    expect([
        ("rollcall_objects{kind=\"Service\"}", 1.0),
        ("rollcall_objects{kind=\"StatefulSet\"}", 1.0),
        ("rollcall_zone_services", 1.0),
        ("rollcall_zone_names", 4.0),
        ("rollcall_synchronised", 1.0),
        ("rollcall_degraded", 0.0),
    ]);
    let serial = |line: &str| line.split(' ').nth(2).unwrap().parse::<f64>().unwrap();
    let soa = || serial(&data(&ask(counting.dns(), "-t SOA cluster.local"), "SOA")[0]);
    assert_eq!(counting.scrape().value("rollcall_zone_serial"), soa());
    replace(&counting.folder.path().join("web.yaml"), &documents(&[nginx(2), endpoints("many", 50)]));
    expect([
        ("rollcall_objects{kind=\"Service\"}", 2.0),
        ("rollcall_objects{kind=\"StatefulSet\"}", 1.0),
        ("rollcall_zone_services", 2.0),
        ("rollcall_zone_names", 54.0),
        ("rollcall_synchronised", 1.0),
        ("rollcall_degraded", 0.0),
    ]);
    assert_eq!(counting.scrape().value("rollcall_zone_serial"), soa());
}

#[test]
fn the_process_is_described() {
    let counting = Counting::start(&nginx(1), "");
    let scrape = counting.scrape();
    let id = counting.process.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident = resident.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() * 1024.0;
    let told = scrape.value("process_resident_memory_bytes");
    assert!((told / resident - 1.0).abs() < 0.3, "{told} {resident}");
    let files = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count() as f64;
    // The scrape's own connection is one.
    let told = scrape.value("process_open_fds");
    assert!((told - files).abs() <= 4.0, "{told} {files}");
    assert!(scrape.value("process_max_fds") >= told);
    assert!(scrape.value("process_cpu_seconds_total") < 600.0);
    assert!(scrape.value("process_virtual_memory_bytes") > resident);
    assert!(scrape.value("process_start_time_seconds") > 1e9);
    let build = format!("rollcall_build_info{{version=\"{}\",", env!("CARGO_PKG_VERSION"));
    assert!(scrape.text().contains(&build), "{build}");
}
