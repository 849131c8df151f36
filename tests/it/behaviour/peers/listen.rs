//! `rollcall peers --listen`: the list and its events over HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::{Cluster, PATIENCE, PUSH, command, hosts, words};
use crate::behaviour::asking::eventually;
use crate::behaviour::manifests::endpoints;
use crate::behaviour::process::{Process, run_with};
use crate::support::scrape::{Answer, local, request_with};

/// `rollcall peers` that listens, and where.
fn listening(server: &str, listen: &str, args: &[&str]) -> (Process, SocketAddr) {
    let args = [&["--listen", listen, "--interval", "100ms"], args].concat();
    let mut process = Process::spawn(&mut command(server, &args), Stdio::null());
    let line = process.wait_for_words(&["listening http "]);
    let mut address: SocketAddr = line.strip_prefix("listening http ").unwrap().parse().unwrap();
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    (process, address)
}

/// The list, once there is one that is as wished.
fn until_list(address: SocketAddr, is_it: impl Fn(&Value) -> bool) -> (Answer, Value) {
    eventually("the list", || {
        let answer = local(address, "/peers");
        let list: Value = serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
        if is_it(&list) { Ok((answer, list)) } else { Err(answer.body) }
    })
}

/// An event stream.
struct Stream(BufReader<TcpStream>);

#[derive(Debug)]
struct Told {
    name: String,
    id: String,
    data: Value,
}

impl Stream {
    fn open(address: SocketAddr, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /peers/events HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n").unwrap();
        let mut stream = Self(BufReader::new(stream));
        let first = stream.line().unwrap();
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        while stream.line().is_some_and(|line| !line.is_empty()) {}
        stream
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event; None at the end of the stream.
    fn next(&mut self) -> Option<Told> {
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("data", value)) => {
                    return Some(Told { name, id, data: serde_json::from_str(value).unwrap() });
                }
                _ => {}
            }
        }
    }

    fn until(&mut self, is_it: impl Fn(&Told) -> bool) -> Told {
        loop {
            let told = self.next().expect("an event, and not the end");
            if is_it(&told) {
                return told;
            }
        }
    }
}

#[test]
fn the_list_is_shown_with_a_tag_of_its_content() {
    let cluster = Cluster::new(2, PUSH);
    let (_process, address) = listening(&cluster.server(), "0", &[]);
    assert!(address.ip().is_loopback());
    let (first, list) = until_list(address, |_| true);
    assert_eq!((first.code, first.headers["content-type"].as_str()), (200, "application/json"));
    assert_eq!((first.headers["cache-control"].as_str(), hosts(&list)), ("no-cache", vec!["web-0", "web-1"]));
    assert_eq!(
        (&list["service"], &list["way"], &list["expected"]),
        (&"nginx".into(), &"push".into(), &2.into())
    );
    assert_eq!((&list["peers"][0]["self"], &list["stale"]), (&true.into(), &Value::Null));
    assert!(["event", "time", "added"].iter().all(|key| list.get(key).is_none()), "{list:#?}");
    let tag = &first.headers["etag"];
    let ask = |method: &str, tag: &str| {
        request_with(address, method, "/peers", &format!("host: {address}\r\nif-none-match: {tag}\r\n"))
    };
    let known = ask("GET", tag);
    assert_eq!((known.code, known.body.as_str(), &known.headers["etag"]), (304, "", tag));
    assert_eq!(ask("GET", "\"other\"").body, first.body);
    let head = ask("HEAD", "\"other\"");
    assert_eq!((head.code, head.body.as_str(), &head.headers["etag"]), (200, "", tag));
    assert_eq!(local(address, "/readyz").body, "ok\n");
    cluster.scale(3);
    until_list(address, |list| hosts(list).len() == 3);
    assert_eq!(ask("GET", tag).code, 200);
    cluster.scale(2);
    let (again, _) = until_list(address, |list| hosts(list).len() == 2);
    // The tag is the content's, and not the time's.
    assert_eq!(again.headers["etag"], *tag);
}

#[test]
fn before_the_first_list_the_reason_is_shown() {
    let mut cluster = Cluster::new(2, PUSH);
    let server = cluster.server();
    let (mut process, address) = listening(&server, "127.0.0.1:0", &["--min-peers", "3"]);
    process.wait_for_words(&["held back", "2 of 3 peers are there"]);
    eventually("the reason", || {
        let answer = local(address, "/peers");
        assert_eq!(answer.code, 503);
        if answer.body.contains("2 of 3 peers are there") { Ok(()) } else { Err(answer.body) }
    });
    let ready = local(address, "/readyz");
    assert_eq!((ready.code, ready.headers["retry-after"].as_str()), (503, "1"));
    assert_eq!(local(address, "/livez").code, 200);
    let mut early = Stream::open(address, "");
    cluster.scale(3);
    assert_eq!(early.next().unwrap().name, "start");
    assert_eq!(local(address, "/readyz").code, 200);
    // An outage is no reason to be taken out of service.
    cluster.kill();
    let stale = early.until(|told| told.name == "stale");
    assert_eq!(hosts(&stale.data).len(), 3);
    let ready = local(address, "/readyz");
    assert!(ready.code == 200 && ready.body.contains("what was known last"), "{ready:?}");
    // Where nobody ever said anything, that is said, and then why.
    let (_process, address) = listening(&server, ":0", &[]);
    eventually("the reason", || {
        let answer = local(address, "/peers");
        assert!(answer.code == 503 && answer.body.starts_with("no list yet: "), "{answer:?}");
        if answer.body.contains("refused") { Ok(()) } else { Err(answer.body) }
    });
}

#[test]
fn events_are_told_as_they_come_and_to_whoever_comes_back_all_of_it() {
    let mut cluster = Cluster::new(2, PUSH);
    let (_process, address) = listening(&cluster.server(), "127.0.0.1:0", &[]);
    until_list(address, |_| true);
    let mut stream = Stream::open(address, "");
    let start = stream.next().unwrap();
    assert_eq!((start.name.as_str(), hosts(&start.data)), ("start", vec!["web-0", "web-1"]));
    assert_eq!((words(&start.data, "added").len(), &start.data["event"]), (2, &"start".into()));
    cluster.scale(3);
    let change = stream.until(|told| hosts(&told.data).len() == 3);
    assert_eq!((change.name.as_str(), words(&change.data, "added")), ("change", vec!["web-2".to_owned()]));
    assert_ne!(change.id, start.id);
    let mut back = Stream::open(address, &format!("last-event-id: {}\r\n", start.id));
    let whole = back.next().unwrap();
    assert_eq!((hosts(&whole.data).len(), &whole.id), (3, &change.id));
    cluster.kill();
    for stream in [&mut stream, &mut back] {
        let stale = stream.until(|told| told.name == "stale");
        assert!(stale.data["stale"].is_string() && hosts(&stale.data).len() == 3, "{stale:#?}");
    }
    cluster.start();
    assert_eq!(stream.until(|told| told.data["stale"].is_null()).name, "fresh");
}

#[test]
fn on_loopback_it_is_shown_under_a_name_of_loopback_and_is_read_alone() {
    let cluster = Cluster::new(1, PUSH);
    let (_process, address) = listening(&cluster.server(), "127.0.0.1:0", &[]);
    until_list(address, |_| true);
    let code = |method: &str, path: &str, headers: &str| request_with(address, method, path, headers).code;
    for path in ["/peers", "/peers/events", "/readyz", "/", "/other"] {
        for headers in ["host: rebound.example\r\n", "host: 10.0.0.1\r\n", ""] {
            assert_eq!(code("GET", path, headers), 421, "{path} {headers}");
        }
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:80"] {
        assert_eq!(code("GET", "/peers", &format!("host: {host}\r\n")), 200, "{host}");
    }
    assert_eq!(code("GET", "/other", "host: localhost\r\n"), 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/peers", "/peers/events", "/readyz"] {
            let headers = "host: localhost\r\norigin: http://evil.example\r\n";
            let answer = request_with(address, method, path, headers);
            assert_eq!(
                (answer.code, answer.headers["allow"].as_str()),
                (405, "GET, HEAD"),
                "{method} {path}"
            );
            assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")), "{answer:?}");
        }
    }
    // Elsewhere its names are not ours to know.
    let (_process, address) = listening(&cluster.server(), "0.0.0.0:0", &[]);
    until_list(address, |_| true);
    assert_eq!(request_with(address, "GET", "/peers", "host: db-0.db\r\n").code, 200);
}

#[test]
fn connections_are_bounded_and_streams_leave_some_for_questions() {
    let cluster = Cluster::new(1, PUSH);
    let (_process, address) = listening(&cluster.server(), "127.0.0.1:0", &["--listen-connections", "4"]);
    until_list(address, |_| true);
    let mut streams: Vec<Stream> = (0..3).map(|_| Stream::open(address, "")).collect();
    let refused = local(address, "/peers/events");
    assert!(refused.code == 503 && refused.body.contains("--listen-connections"), "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(local(address, "/peers").code, 200);
    // One that says nothing has the last place until its time is over; the next waits as long.
    let silent = TcpStream::connect(address).unwrap();
    assert_eq!(local(address, "/peers").code, 200);
    let mut closed = Vec::new();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    // Its place was not taken from it before it was closed, with or without a word.
    let _ = (&silent).read_to_end(&mut closed);
    assert!(!String::from_utf8_lossy(&closed).contains(" 200 "));
    // A place that is given back is another's.
    streams.pop();
    eventually("a place for a stream", || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /peers/events HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        if line.contains(" 200 ") { Ok(()) } else { Err(line) }
    });
    assert_eq!(streams[0].next().unwrap().name, "start");
}

#[test]
fn who_does_not_read_is_dropped() {
    let cluster = Cluster::new(0, PUSH);
    // Some 200 KiB an event.
    cluster.apply(&endpoints("nginx", 1500));
    let (_process, address) = listening(&cluster.server(), "127.0.0.1:0", &["--listen-connections", "2"]);
    until_list(address, |list| hosts(list).len() == 1500);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut deaf = TcpStream::from(socket);
    write!(deaf, "GET /peers/events HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    // The one place of a stream is its own, until it is taken from it.
    eventually("the place taken", || {
        let code = local(address, "/peers/events").code;
        if code == 503 { Ok(()) } else { Err(code.to_string()) }
    });
    let mut next = eventually("the place given back", || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(&stream, "GET /peers/events HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
        let mut stream = Stream(BufReader::new(stream));
        let line = stream.line().unwrap();
        if line.contains(" 200 ") { Ok(stream) } else { Err(line) }
    });
    assert_eq!(hosts(&next.next().unwrap().data).len(), 1500);
    // Its own ends in the middle.
    deaf.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut got = Vec::new();
    let _ = deaf.read_to_end(&mut got);
    assert!(!String::from_utf8_lossy(&got).contains("\n\nevent: end"), "{} octets", got.len());
}

#[test]
fn at_the_end_streams_are_told_so() {
    let cluster = Cluster::new(1, PUSH);
    let (mut process, address) = listening(&cluster.server(), "127.0.0.1:0", &[]);
    until_list(address, |_| true);
    let mut streams = [Stream::open(address, ""), Stream::open(address, "")];
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap().name, "start");
    }
    process.signal("TERM");
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap().name, "end");
        assert!(stream.next().is_none());
    }
    assert_eq!(process.end(PATIENCE).0, 0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn where_it_cannot_listen_it_ends_and_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |args: &[&str]| run_with(&mut command("127.0.0.1:1", args), "");
    let finished = run(&["--listen", &address]);
    assert_eq!(finished.code, 1);
    assert!(finished.err.contains(&address) && finished.err.contains("in use"), "{}", finished.err);
    for args in [
        &["--listen", "here"][..],
        &["--listen", "0", "--once"],
        &["--listen-connections", "8"],
        &["--listen", "0", "--listen-connections", "1"],
    ] {
        assert_eq!(run(args).code, 2, "{args:?}");
    }
}
