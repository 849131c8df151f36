//! Questions for replicas that are not ready yet: which are kept open, what ends it, and that no other is.
//!
//! The times are the server's own, and the machine may be slow: what may come too late is tried again, and what must hold
//! at any speed is what the counters say.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::asking::{ask, data, eventually, query};
use super::manifests::{documents, replace, text};
use super::metrics::Counting;
use super::process::{rollcall, run, run_with};
use super::tcp::{Connection, framed};
use crate::support::reply::Reply;
use crate::support::scrape::Scrape;

const PATIENCE: Duration = Duration::from_secs(30);
const ALL: &str = "[hold]\nall = true\nlongest = 1800\n";
const LONGEST: &str = "[hold]\nlongest = 1800\n";

/// As an API server has them: nothing is played. Of the set's replicas so many, from 0 on, are ready.
fn cluster(annotation: &str, replicas: u32, ready: u32) -> String {
    let annotations = if annotation.is_empty() {
        String::new()
    } else {
        format!(", annotations: {{rollcall/hold: \"{annotation}\"}}")
    };
    let object = |version: &str, kind: &str, metadata: &str, rest: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{namespace: default, uid: u, {metadata}}}\n{rest}\n"
        )
    };
    let endpoint = |ordinal: u32| {
        let is_ready = ordinal < ready;
        format!(
            "{{addresses: [10.0.9.{ordinal}], hostname: web-{ordinal}, conditions: {{ready: {is_ready}}}}}"
        )
    };
    let endpoints: Vec<String> = (0..replicas.min(3)).map(endpoint).collect();
    let endpoints = endpoints.join(", ");
    documents(&[
        object(
            "v1",
            "Service",
            &format!("name: nginx{annotations}"),
            "spec: {clusterIP: None, ports: [{name: web, port: 80}]}",
        ),
        object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "name: nginx-x, labels: {kubernetes.io/service-name: nginx}",
            &format!("addressType: IPv4\nports: [{{name: web, port: 80}}]\nendpoints: [{endpoints}]"),
        ),
        object(
            "apps/v1",
            "StatefulSet",
            "name: web",
            &format!("spec: {{serviceName: nginx, replicas: {replicas}}}"),
        ),
        object(
            "v1",
            "Service",
            "name: alias",
            "spec: {type: ExternalName, externalName: web-1.nginx.default.svc.cluster.local}",
        ),
    ])
}

fn of(ordinal: u32) -> String {
    format!("web-{ordinal}.nginx.default.svc.cluster.local")
}

/// A server, and a client of it.
struct Holding {
    counting: Counting,
    socket: UdpSocket,
}

impl Holding {
    fn start(manifests: &str, toml: &str) -> Self {
        let counting = Counting::start(manifests, toml);
        let socket = client("127.0.0.1", counting.process.address());
        Self { counting, socket }
    }

    fn server(&self) -> SocketAddr {
        self.counting.process.address()
    }

    fn path(&self) -> PathBuf {
        self.counting.folder.path().join("web.yaml")
    }

    fn send(&self, line: &str) {
        self.socket.send(&query(line).bytes).unwrap();
    }

    fn receive(&self) -> Reply {
        receive(&self.socket)
    }

    fn total(&self, family: &str, labels: &str) -> f64 {
        total(&self.counting.scrape(), family, labels)
    }

    fn kept_open(&self) -> f64 {
        self.total("rollcall_hold_kept_open_total", "")
    }
}

fn total(scrape: &Scrape, family: &str, labels: &str) -> f64 {
    scrape.value(&if labels.is_empty() { family.to_owned() } else { format!("{family}{{{labels}}}") })
}

fn client(from: &str, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Reply {
    let mut octets = [0; 1500];
    let length = socket.recv(&mut octets).expect("a reply");
    Reply::read(&octets[..length]).unwrap()
}

#[test]
fn both_families_are_answered_at_the_moment_that_it_is_ready() {
    let holding = Holding::start(&cluster("true", 3, 1), LONGEST);
    eventually("an answer that came by a publish", || {
        replace(&holding.path(), &cluster("true", 3, 1));
        eventually("web-1 is not ready", || {
            let status = ask(holding.server(), &format!("-t MX {}", of(1))).status;
            if status == "NXDOMAIN" { Ok(()) } else { Err(status) }
        });
        holding.send(&format!("+qid=1 -t A {}", of(1)));
        holding.send(&format!("+qid=2 +noedns -t AAAA {}", of(1)));
        replace(&holding.path(), &cluster("true", 3, 2));
        let mut replies = [holding.receive(), holding.receive()];
        replies.sort_by_key(|reply| reply.id);
        let [a, aaaa] = replies;
        assert_eq!((a.id, aaaa.id), (1, 2));
        if a.status == "NXDOMAIN" || aaaa.status == "NXDOMAIN" {
            return Err("the machine was too slow".to_owned());
        }
        assert_eq!((data(&a, "A"), data(&aaaa, "AAAA").len()), (vec!["10.0.9.1".to_owned()], 0));
        let ready = holding.total("rollcall_hold_answered_total", "by=\"ready\"");
        if ready >= 2.0 { Ok(()) } else { Err(format!("{ready} by readiness")) }
    });
    let counts = holding.counting.scrape();
    assert_eq!(total(&counts, "rollcall_hold_questions", ""), 0.0);
    assert!(total(&counts, "rollcall_udp_packets_total", "result=\"held\"") >= 2.0);
}

#[test]
fn the_bound_ends_it_with_the_answer_that_there_would_have_been() {
    let holding = Holding::start(&cluster("300ms", 3, 1), LONGEST);
    let plain = Holding::start(&cluster("false", 3, 1), ALL);
    for line in ["-t A", "+noedns -t AAAA", "+bufsize=512 +norec -t A"] {
        let line = format!("{line} {}", of(2));
        let began = Instant::now();
        holding.send(&line);
        let reply = holding.receive();
        assert!(began.elapsed() >= Duration::from_millis(300), "answered after {:?}", began.elapsed());
        plain.send(&line);
        assert_eq!(masked(&reply), masked(&plain.receive()), "{line}");
        assert_eq!(reply.status, "NXDOMAIN");
    }
    assert_eq!(holding.total("rollcall_hold_answered_total", "by=\"bound\""), 3.0);
    assert_eq!(plain.kept_open(), 0.0);
}

/// Without the serial.
fn masked(reply: &Reply) -> String {
    let is_serial = |word: &&str| word.len() < 9 || !word.bytes().all(|byte| byte.is_ascii_digit());
    let lines = reply.lines();
    let words = lines.iter().flat_map(|line| line.split(' ')).filter(is_serial);
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn no_other_question_is_kept_open() {
    let holding = Holding::start(&cluster("true", 3, 1), ALL);
    let waits = of(1);
    for line in [
        format!("-t A {}", of(0)),
        format!("-t AAAA {}", of(0)),
        format!("-t A {}", of(3)),
        format!("-t SRV {waits}"),
        format!("-t ANY {waits}"),
        format!("-t TXT {waits}"),
        format!("-t SOA {waits}"),
        format!("-t HTTPS {waits}"),
        format!("-c CH -t A {waits}"),
        format!("-t A _web._tcp.{waits}"),
        format!("-t A a.{waits}"),
        "-t A nginx.default.svc.cluster.local".to_owned(),
        "-t SRV _web._tcp.nginx.default.svc.cluster.local".to_owned(),
        "-t A web-01.nginx.default.svc.cluster.local".to_owned(),
        "-t A web-1.other.default.svc.cluster.local".to_owned(),
        "-t A web-1.nginx.other.svc.cluster.local".to_owned(),
        "-t A alias.default.svc.cluster.local".to_owned(),
        "-t TXT nginx.default._statefulset.cluster.local".to_owned(),
        "-x 10.0.9.1".to_owned(),
        "-t A example.org".to_owned(),
    ] {
        holding.send(&line);
        holding.receive();
        assert_eq!(holding.kept_open(), 0.0, "{line}");
    }
    // Nor any, unless the Service says so.
    let without = Holding::start(&cluster("", 3, 1), LONGEST);
    without.send(&format!("-t A {waits}"));
    assert_eq!((without.receive().status.as_str(), without.kept_open()), ("NXDOMAIN", 0.0));
    // And the one that is meant.
    holding.send(&format!("-t A {waits}"));
    holding.receive();
    assert_eq!(holding.kept_open(), 1.0);
}

#[test]
fn one_that_is_sent_again_has_one_place_and_one_reply() {
    let holding = Holding::start(&cluster("true", 3, 1), LONGEST);
    let line = format!("+qid=7 -t A {}", of(1));
    (0..3).for_each(|_| holding.send(&line));
    // Another ID, type, or port is another question.
    holding.send(&format!("+qid=8 -t A {}", of(1)));
    holding.send(&format!("+qid=7 -t AAAA {}", of(1)));
    let other = client("127.0.0.1", holding.server());
    other.send(&query(&line).bytes).unwrap();
    let mut ids: Vec<u16> = (0..3).map(|_| holding.receive().id).collect();
    ids.sort_unstable();
    assert_eq!((ids, receive(&other).id), (vec![7, 7, 8], 7));
    let counts = holding.counting.scrape();
    assert_eq!(total(&counts, "rollcall_hold_kept_open_total", ""), 4.0);
    assert_eq!(total(&counts, "rollcall_hold_repeated_total", ""), 2.0);
    // Nothing follows: what is asked now is answered next.
    holding.send(&format!("+qid=9 -t A {}", of(0)));
    assert_eq!(holding.receive().id, 9);
}

#[test]
fn what_has_no_place_is_answered_at_once() {
    let toml = format!("{ALL}questions = 3\nquestions_per_client = 2\n");
    let holding = Holding::start(&cluster("", 9, 1), &toml);
    let others = ["127.0.0.2", "127.0.0.3"].map(|from| client(from, holding.server()));
    eventually("each limit is reached", || {
        for id in 0..3 {
            holding.send(&format!("+qid={id} -t A {}", of(1)));
        }
        for other in &others {
            other.send(&query(&format!("-t A {}", of(2))).bytes).unwrap();
        }
        (0..3).for_each(|_| assert_eq!(holding.receive().status, "NXDOMAIN"));
        others.iter().for_each(|other| assert_eq!(receive(other).status, "NXDOMAIN"));
        let refused = |limit| holding.total("rollcall_hold_refused_total", &format!("limit=\"{limit}\""));
        let refused = [refused("questions"), refused("per_client")];
        if refused.iter().all(|count| *count > 0.0) { Ok(()) } else { Err(format!("{refused:?}")) }
    });
    let counts = holding.counting.scrape();
    assert_eq!(total(&counts, "rollcall_hold_questions", ""), 0.0);
    assert_eq!(total(&counts, "rollcall_hold_questions_limit", ""), 3.0);
    let kept = total(&counts, "rollcall_hold_kept_open_total", "");
    assert_eq!(kept, total(&counts, "rollcall_hold_answered_total", "by=\"bound\""));
    assert!(kept > 0.0);
}

#[test]
fn others_overtake_it_over_tcp() {
    let holding = Holding::start(&cluster("true", 3, 1), LONGEST);
    let mut connection = Connection::open(holding.server());
    let lines = [format!("+qid=1 -t A {}", of(1)), format!("+qid=2 -t A {}", of(0))];
    connection.write(&lines.iter().flat_map(|line| framed(&query(line).bytes)).collect::<Vec<u8>>());
    let replies = [(); 2].map(|()| Reply::read(&connection.read().expect("an answer")).unwrap());
    let said = replies.map(|reply| (reply.id, reply.status));
    assert_eq!(said, [(2, "NOERROR".to_owned()), (1, "NXDOMAIN".to_owned())]);
    assert_eq!(holding.kept_open(), 1.0);
    assert_eq!(holding.total("rollcall_hold_answered_total", "by=\"bound\""), 1.0);
}

#[test]
fn a_stop_answers_what_is_kept_open() {
    let mut holding = Holding::start(&cluster("true", 3, 1), LONGEST);
    holding.send(&format!("-t A {}", of(1)));
    let mut connection = Connection::open(holding.server());
    connection.write(&framed(&query(&format!("-t A {}", of(1))).bytes));
    eventually("both are there", || {
        let kept = holding.kept_open();
        if kept >= 2.0 { Ok(()) } else { Err(format!("{kept}")) }
    });
    holding.counting.process.signal("TERM");
    // With manifests there is no lame duck: unanswered they would be lost.
    assert_eq!(holding.receive().status, "NXDOMAIN");
    assert_eq!(Reply::read(&connection.read().expect("an answer")).unwrap().status, "NXDOMAIN");
    assert_eq!(holding.counting.process.end(PATIENCE).0, 0);
    holding.counting.process.wait_for_words(&["ended; UDP packets", "held=1", "silent=0"]);
}

#[test]
fn a_reload_switches_it_on_for_all_and_off() {
    let holding = Holding::start(&cluster("", 3, 1), LONGEST);
    let config = holding.counting.folder.path().join("rollcall.toml");
    let asked = |is_kept: bool| {
        eventually(&format!("kept open: {is_kept}"), || {
            let before = holding.kept_open();
            holding.send(&format!("-t A {}", of(1)));
            holding.receive();
            if (holding.kept_open() > before) == is_kept { Ok(()) } else { Err("not yet".to_owned()) }
        });
    };
    asked(false);
    replace(&config, ALL);
    holding.counting.process.signal("HUP");
    asked(true);
    replace(&config, &format!("{ALL}questions = 0\n"));
    holding.counting.process.signal("HUP");
    asked(false);
}

#[test]
fn explain_says_that_a_client_waits() {
    let explained = |annotation: &str| {
        let name = of(1);
        let words = ["explain", &name, "--manifests", "-"];
        let finished = run_with(&mut rollcall(&words), &cluster(annotation, 3, 1));
        assert_eq!(finished.code, 1, "{}", finished.err);
        finished.out
    };
    assert!(explained("500ms").contains("kept open for up to 500 ms"), "{}", explained("500ms"));
    assert!(explained("true").contains("kept open for up to 1000 ms"));
    assert!(!explained("").contains("kept open"));
}

#[test]
fn check_names_an_annotation_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    for (annotation, is_good) in [("true", true), ("1.5s", true), ("2s", false), ("yes", false)] {
        std::fs::write(&path, cluster(annotation, 3, 1)).unwrap();
        let finished = run(&["check", "--manifests", text(&path)]);
        let printed = finished.out + &finished.err;
        assert_eq!(!printed.contains("rollcall/hold"), is_good, "{annotation}: {printed}");
    }
}
