//! As much of HTTP/1.1 as an API server that a test plays needs, and a probe of the admin address.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// For a head to come, or for an admin address to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    /// Decoded.
    pub(super) query: BTreeMap<String, String>,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) at: Instant,
}

impl Request {
    /// Reads a head. None when the connection ends before one is whole.
    pub(super) fn read(stream: &TcpStream) -> Option<Self> {
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next()?;
        let mut words = first.split(' ');
        assert_eq!(words.next(), Some("GET"), "{first}: nothing is ever written to the cluster");
        let (path, query) = words.next()?.split_once('?').unwrap_or((first.split(' ').nth(1)?, ""));
        let mut headers = BTreeMap::new();
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                let query = query.split('&').filter_map(|pair| pair.split_once('='));
                let query = query.map(|(key, value)| (decoded(key), decoded(value))).collect();
                return Some(Self { path: decoded(path), query, headers, at: Instant::now() });
            };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        None
    }

    /// A parameter; empty when it is not there.
    pub(super) fn parameter(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }

    /// Whether it asks for a watch, a streamed list included.
    pub(super) fn is_watch(&self) -> bool {
        matches!(self.parameter("watch"), "true" | "1")
    }

    /// Whether it asks for a streamed list.
    pub(super) fn is_streamed(&self) -> bool {
        self.is_watch() && self.parameter("sendInitialEvents") == "true"
    }

    /// `list`, `stream` or `watch`, and the version that it begins at or the token that it goes on with.
    pub(super) fn short(&self) -> String {
        let (what, at) = match (self.is_streamed(), self.is_watch()) {
            (true, _) => ("stream", ""),
            (false, true) => ("watch", self.parameter("resourceVersion")),
            (false, false) => ("list", self.parameter("continue")),
        };
        format!("{what} {at}").trim().to_owned()
    }
}

fn decoded(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'%' => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                octets.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[2..];
            }
            b'+' => octets.push(b' '),
            other => octets.push(*other),
        }
    }
    String::from_utf8(octets).unwrap()
}

/// Answers with a body and closes. Whether the client still was there.
pub(super) fn answer(mut stream: &TcpStream, code: u16, content_type: &str, body: &[u8]) -> bool {
    let head = format!(
        "HTTP/1.1 {code} Said\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
}

/// A refusal as priority and fairness gives it: no Status, and the wait in the head.
pub(super) fn later(mut stream: &TcpStream, code: u16, seconds: u32) -> bool {
    let body = "Too many requests, please try again later.\n";
    let head = format!(
        "HTTP/1.1 {code} Said\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: {seconds}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).is_ok()
}

/// Begins a chunked answer. Whether the client still was there, as of all below.
pub(super) fn begin(mut stream: &TcpStream, content_type: &str) -> bool {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).is_ok()
}

/// A line as one chunk.
pub(super) fn line(stream: &TcpStream, line: &str) -> bool {
    chunk(stream, format!("{line}\n").as_bytes())
}

/// Octets as one chunk.
pub(super) fn chunk(mut stream: &TcpStream, octets: &[u8]) -> bool {
    let chunk = [format!("{:x}\r\n", octets.len()).as_bytes(), octets, b"\r\n"].concat();
    stream.write_all(&chunk).is_ok()
}

/// The last chunk.
pub(super) fn end(mut stream: &TcpStream) -> bool {
    stream.write_all(b"0\r\n\r\n").is_ok()
}

/// Asks an admin address: the code and the body.
pub(super) fn probe(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
