//! The stream of events: what changes is told, once, to whoever listens, and to whoever comes back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::{Shown, cluster};
use crate::behaviour::manifests::stateful;
use crate::support::openapi::OpenApi;
use crate::support::scrape::local;

struct Listening(BufReader<TcpStream>);

#[derive(Debug, Default)]
struct Event {
    name: String,
    id: String,
    data: String,
}

impl Listening {
    fn to(admin: SocketAddr, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "GET /api/v1/events{query} HTTP/1.1\r\nhost: {admin}\r\n{headers}\r\n").unwrap();
        let mut listening = Self(BufReader::new(stream));
        let first = listening.line().unwrap();
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        while listening.line().is_some_and(|line| !line.is_empty()) {}
        listening
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event that is not about health; None at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.line()?;
            if let Some((key, value)) = line.split_once(": ") {
                match key {
                    "event" => event.name = value.to_owned(),
                    "id" => event.id = value.to_owned(),
                    "data" => event.data = value.to_owned(),
                    _ => {}
                }
            } else if line.is_empty() && !event.name.is_empty() {
                if event.name != "health" {
                    return Some(event);
                }
                event = Event::default();
            }
        }
    }

    /// The next change.
    fn change(&mut self) -> (Event, Value) {
        let event = self.next().unwrap();
        assert_eq!(event.name, "change");
        let data = serde_json::from_str(&event.data).unwrap();
        (event, data)
    }
}

#[test]
fn changes_are_told_as_they_come_and_behind_a_place_that_is_named() {
    let mut shown = Shown::local(&cluster());
    let mut api = OpenApi::read();
    let mut listening = Listening::to(shown.admin, "", "");
    shown.write("db.yaml", &stateful("db", "db", 1));
    let (first, service) = listening.change();
    assert_eq!(
        (&service["kind"], &service["text"]),
        (&"service".into(), &"Service db is there: headless".into())
    );
    let (second, set) = listening.change();
    assert_eq!(set["set"], "db");
    assert_eq!(set["replicas"][0]["to"], "ready");
    for change in [&service, &set] {
        api.check_named("Change", change);
    }
    assert_eq!(second.id, set["id"].as_str().unwrap());

    let missed = Listening::to(shown.admin, "", &format!("last-event-id: {}\r\n", first.id)).change();
    assert_eq!(missed.0.id, second.id);
    let by_query = Listening::to(shown.admin, &format!("?after={}", first.id), "").change();
    assert_eq!(by_query.0.id, second.id);
    // Of another process: everything is to be looked at anew, and goes on from the id that is told with it.
    let mut other = Listening::to(shown.admin, "?after=other-1", "");
    let gap = other.next().unwrap();
    assert_eq!((gap.name.as_str(), &gap.id), ("gap", &second.id));

    shown.write("db.yaml", &stateful("db", "db", 2));
    let told = [listening.change(), other.change()].map(|(event, _)| event.id);
    assert_eq!(told[0], told[1]);
    shown.process.signal("TERM");
    for mut stream in [listening, other] {
        assert_eq!(stream.next().map(|event| event.name).as_deref(), Some("end"));
        assert!(stream.next().is_none());
    }
    assert_eq!(shown.process.end(Duration::from_secs(20)).0, 0);
}

#[test]
fn what_is_forgotten_is_a_gap() {
    let shown = Shown::start(&cluster(), "[limits]\npage_changes = 1", "127.0.0.1:0");
    let mut listening = Listening::to(shown.admin, "", "");
    shown.write("db.yaml", &stateful("db", "db", 1));
    // Of the two the second is remembered; whoever was quick enough was told both.
    let mut told = listening.next().unwrap();
    let first = told.id.clone();
    while !told.data.contains("\"set\":\"db\"") {
        told = listening.next().unwrap();
    }
    shown.write("db.yaml", &stateful("db", "db", 3));
    while !told.data.contains("1 → 3 replicas") {
        told = listening.next().unwrap();
    }
    shown.write("db.yaml", &stateful("db", "db", 5));
    while !told.data.contains("3 → 5 replicas") {
        told = listening.next().unwrap();
    }
    let mut late = Listening::to(shown.admin, &format!("?after={first}"), "");
    assert_eq!(late.next().unwrap().name, "gap");
    assert_eq!(late.change().0.id, told.id);
}

#[test]
fn streams_are_bounded_and_take_no_probes_place() {
    let shown =
        Shown::start(&cluster(), "[limits]\npage_streams = 20\nadmin_connections = 16", "127.0.0.1:0");
    let streams: Vec<Listening> = (0..20).map(|_| Listening::to(shown.admin, "", "")).collect();
    let refused = local(shown.admin, "/api/v1/events");
    assert!(refused.code == 503 && refused.headers.contains_key("retry-after"), "{refused:?}");
    assert_eq!(local(shown.admin, "/livez").code, 200);
    drop(streams);
    crate::behaviour::asking::eventually("a place", || {
        let mut stream = TcpStream::connect(shown.admin).unwrap();
        write!(stream, "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", shown.admin).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        if line.contains(" 200 ") { Ok(()) } else { Err(line) }
    });
}
