//! The requests of one connection: HTTP/1.1, as much of it as clients of the API need.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::store::{self, Format};
use super::watchers::Watcher;
use super::{Replay, State};
use crate::cluster::Kind;

/// The most octets of a request's head.
const MAX_HEAD: u64 = 1 << 16;
/// Of a watch that does not say for how long.
const WATCH: u64 = 1800;

struct Request {
    path: String,
    query: HashMap<String, String>,
    accept: String,
}

/// Answers until the connection ends, or is a watch's.
pub(super) fn serve(replay: &Replay, stream: TcpStream) {
    // A client that goes away in the middle is no trouble of ours.
    let _ = serve_all(replay, stream);
}

fn serve_all(replay: &Replay, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read(&mut reader)? {
        let Some(kind) = kind_of(&request.path) else {
            stream.write_all(&other(&request.path))?;
            continue;
        };
        // What nobody asks for as protobuf is not there as that; the answer says what it is.
        let wants_protobuf = request.accept.contains("application/vnd.kubernetes.protobuf");
        let format = match kind {
            Kind::StatefulSet => Format::Json,
            _ if wants_protobuf => Format::Protobuf,
            _ => Format::Json,
        };
        if matches!(request.parameter("watch"), "true" | "1") {
            return watch(replay, &request, kind, format, stream);
        }
        let body = list(replay, &request, kind, format);
        stream.write_all(&response("200 OK", media(format), &body))?;
    }
    Ok(())
}

impl Request {
    fn parameter(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }
}

/// None when the connection has ended.
fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    let mut head = reader.take(MAX_HEAD);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let bad = || io::Error::from(ErrorKind::InvalidData);
    let (first, headers) = lines.split_first().ok_or_else(bad)?;
    let target = first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).ok_or_else(bad)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |wanted: &str| {
        let mut pairs = headers.iter().filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map_or("", |(_, value)| value.trim())
    };
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Ok(Some(Request {
        path: path.to_owned(),
        // Only numbers and words are looked at: nothing of them is encoded.
        query: query.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        accept: header("accept").to_owned(),
    }))
}

fn kind_of(path: &str) -> Option<Kind> {
    Some(match path {
        "/api/v1/namespaces" => Kind::Namespace,
        "/api/v1/services" => Kind::Service,
        "/apis/discovery.k8s.io/v1/endpointslices" => Kind::EndpointSlice,
        "/apis/apps/v1/statefulsets" => Kind::StatefulSet,
        _ => return None,
    })
}

fn media(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Protobuf => "application/vnd.kubernetes.protobuf",
    }
}

/// A list, whole or by pages. A page's token is where the next one begins: nothing is ever added or removed.
fn list(replay: &Replay, request: &Request, kind: Kind, format: Format) -> Vec<u8> {
    let state = replay.state();
    let objects = state.store.of(kind);
    let from = request.parameter("continue").parse().unwrap_or(0).min(objects.len());
    let limit = request.parameter("limit").parse().unwrap_or(0);
    // From its cache (version 0) an API server gives all of them.
    let is_whole = limit == 0 || request.parameter("resourceVersion") == "0";
    let to = if is_whole { objects.len() } else { (from + limit).min(objects.len()) };
    let token = if to < objects.len() { to.to_string() } else { String::new() };
    store::page(kind, format, state.store.version(), &token, &objects[from..to])
}

fn watch(
    replay: &Replay,
    request: &Request,
    kind: Kind,
    format: Format,
    stream: TcpStream,
) -> io::Result<()> {
    let mut waiting = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        match format {
            Format::Json => "application/json",
            Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        }
    )
    .into_bytes();
    let seconds = request.parameter("timeoutSeconds").parse().unwrap_or(WATCH);
    stream.set_nonblocking(true)?;
    let State { store, watchers } = &mut *replay.state();
    if request.parameter("sendInitialEvents") == "true" {
        waiting.extend(store.of(kind).iter().filter_map(|object| object.added(format)).flatten());
        waiting.extend(store::bookmark(kind, format, store.version(), true));
    } else {
        // What has changed since, as it is now; without a version, everything.
        let since = request.parameter("resourceVersion").parse().unwrap_or(0);
        let mut missed: Vec<_> = store.of(kind).iter().filter(|object| object.version > since).collect();
        missed.sort_by_key(|object| object.version);
        waiting.extend(missed.into_iter().filter_map(|object| object.modified(format)).flatten());
    }
    watchers.add(Watcher {
        kind,
        format,
        stream,
        waiting,
        written: 0,
        end: Instant::now() + Duration::from_secs(seconds),
        wants_bookmarks: request.parameter("allowWatchBookmarks") == "true",
    });
    Ok(())
}

/// What clients ask for before they list, and what is not there.
fn other(path: &str) -> Vec<u8> {
    let resource = |name: &str, kind: &str, namespaced: bool| json!({ "name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list", "watch"] });
    let resources = |group: &str, resources: &[serde_json::Value]| json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources });
    let group = |name: &str| {
        let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
        json!({ "name": name, "versions": [version], "preferredVersion": version })
    };
    let body = match path {
        "/version" => {
            json!({ "major": "1", "minor": "34", "gitVersion": "v1.34.0", "platform": "linux/amd64" })
        }
        "/api" => json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        "/apis" => json!({
            "kind": "APIGroupList", "apiVersion": "v1", "groups": [group("apps"), group("discovery.k8s.io")],
        }),
        "/api/v1" => resources(
            "v1",
            &[resource("namespaces", "Namespace", false), resource("services", "Service", true)],
        ),
        "/apis/apps/v1" => resources("apps/v1", &[resource("statefulsets", "StatefulSet", true)]),
        "/apis/discovery.k8s.io/v1" => {
            resources("discovery.k8s.io/v1", &[resource("endpointslices", "EndpointSlice", true)])
        }
        "/readyz" | "/livez" => return response("200 OK", "text/plain", b"ok"),
        _ => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "the server could not find the requested resource", "reason": "NotFound", "code": 404,
            });
            return response("404 Not Found", "application/json", status.to_string().as_bytes());
        }
    };
    response("200 OK", "application/json", body.to_string().as_bytes())
}

fn response(status: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let mut head = String::new();
    // Writing to a string does not fail.
    let _ =
        write!(head, "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
