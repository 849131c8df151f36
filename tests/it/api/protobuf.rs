//! What is asked for, and a server that gives it: protobuf, or not even JSON at first.
//!
//! The messages are written here by hand, field by field, and not by what reads them.

use super::fake::{Answer, Api, Then};
use super::objects::{NAMESPACES, SERVICES, SETS, SLICES, at, headless, name, page, slice};
use super::program::{Program, until_asked};

const LIST: &str = "application/vnd.kubernetes.protobuf, application/json";
const WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch, application/json";
const TYPE: &str = "application/vnd.kubernetes.protobuf";

/// A number of 7 bits an octet, as keys and lengths are.
fn number(mut number: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    while number >= 128 {
        octets.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    octets.push(u8::try_from(number).unwrap());
    octets
}

/// A field with a length.
fn field(key: usize, octets: impl AsRef<[u8]>) -> Vec<u8> {
    let octets = octets.as_ref();
    [number(key << 3 | 2), number(octets.len()), octets.to_vec()].concat()
}

/// A field that is a number.
fn count(key: usize, value: usize) -> Vec<u8> {
    [number(key << 3), number(value)].concat()
}

/// `k8s\0` and `runtime.Unknown`.
fn enveloped(kind: &str, object: &[u8]) -> Vec<u8> {
    let meta = [field(1, "v1"), field(2, kind)].concat();
    [b"k8s\0".to_vec(), field(1, meta), field(2, object), field(3, ""), field(4, "")].concat()
}

/// The frame of an event.
fn event(what: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let event = [field(1, what), field(2, field(1, enveloped(kind, object)))].concat();
    [&u32::try_from(event.len()).unwrap().to_be_bytes()[..], &event].concat()
}

fn metadata(version: &str, name: &str, more: &[u8]) -> Vec<u8> {
    let fields = [field(1, name), field(2, ""), field(3, "default"), field(6, version), more.to_vec()];
    field(1, fields.concat())
}

/// `a-x`, a slice of the Service `a`, with one endpoint.
fn slice_of_a(version: &str, address: &str) -> Vec<u8> {
    let label = field(11, [field(1, "kubernetes.io/service-name"), field(2, "a")].concat());
    let endpoint = [field(1, address), field(2, count(1, 1)), field(3, "web-0")].concat();
    let port = [field(1, "web"), field(2, "TCP"), count(3, 80)].concat();
    [metadata(version, "a-x", &label), field(2, endpoint), field(3, port), field(4, "IPv4")].concat()
}

fn service_a(version: &str) -> Vec<u8> {
    let spec = [field(3, "None"), field(4, "ClusterIP"), field(18, "None")].concat();
    [metadata(version, "a", &[]), field(2, spec)].concat()
}

fn bookmark(kind: &str, version: &str, end: bool) -> Vec<u8> {
    let annotation = [field(1, "k8s.io/initial-events-end"), field(2, "true")].concat();
    let annotation = if end { field(12, annotation) } else { Vec::new() };
    event("BOOKMARK", kind, &metadata(version, "", &annotation))
}

fn status(code: usize, reason: &str) -> Vec<u8> {
    [field(2, "Failure"), field(3, "scripted"), field(4, reason), count(6, code)].concat()
}

fn typed_status(code: u16, reason: &str) -> Answer {
    Answer::Typed(code, TYPE, enveloped("Status", &status(code.into(), reason)))
}

#[test]
fn protobuf_is_asked_for_first_and_json_is_as_good() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let refused = Answer::status(422, "Invalid");
    let listed = Answer::Body(200, page("40", "", &[at("30", slice("default", "a", &["10.0.0.1"]))]));
    api.script(SLICES, [refused, listed]);
    let mut program = Program::ready(&api, &[], &[]);
    assert_eq!(until_asked(&api, SLICES, 3), ["stream", "list", "watch 40"]);
    for path in [SERVICES, SLICES, SETS, NAMESPACES] {
        for request in api.requests(path) {
            let accept = request.headers.get("accept").unwrap();
            assert_eq!(accept, if request.is_watch() { WATCH } else { LIST }, "{path}");
            assert_eq!(request.headers.get("accept-encoding").unwrap(), "identity");
        }
    }
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    program.is_well();
}

#[test]
fn a_server_that_gives_it() {
    let api = Api::start();
    let slice = |what: &str, version, address| event(what, "EndpointSlice", &slice_of_a(version, address));
    let streamed = [
        slice("ADDED", "30", "10.0.0.1"),
        bookmark("EndpointSlice", "31", false),
        bookmark("EndpointSlice", "40", true),
        slice("MODIFIED", "45", "10.0.0.2"),
    ];
    // Two in a chunk, and one in two.
    let octets = streamed.concat();
    let parts = octets.chunks(octets.len() / 3 + 1).map(<[u8]>::to_vec).collect();
    let expired = event("ERROR", "Status", &status(410, "Expired"));
    let (mut damaged, mut broken) = (slice_of_a("47", "10.0.0.9"), slice("MODIFIED", "48", "10.0.0.9"));
    damaged.extend(b"\x12\x7f");
    broken.truncate(broken.len() - 1);
    api.script(
        SLICES,
        [
            Answer::Frames(parts, Then::End),
            // From where it was; what is damaged is passed over, and what is cut off is nothing.
            Answer::Frames(
                vec![
                    event("MODIFIED", "EndpointSlice", &damaged),
                    event("PATCHED", "EndpointSlice", &[]),
                    slice("MODIFIED", "50", "10.0.0.3"),
                    broken,
                ],
                Then::End,
            ),
            Answer::Frames(vec![expired], Then::End),
            // Anew, with one that cannot be read: what was known of it stays.
            Answer::Frames(
                vec![event("ADDED", "EndpointSlice", &damaged), bookmark("EndpointSlice", "60", true)],
                Then::End,
            ),
            Answer::Frames(vec![slice("DELETED", "70", "10.0.0.3")], Then::End),
            typed_status(410, "Gone"),
            typed_status(403, "Forbidden"),
            Answer::Frames(
                vec![slice("ADDED", "80", "10.0.0.4"), bookmark("EndpointSlice", "81", true)],
                Then::Silence,
            ),
        ],
    );
    let services = vec![event("ADDED", "Service", &service_a("20")), bookmark("Service", "40", true)];
    api.script(SERVICES, [Answer::Frames(services, Then::Silence)]);
    let mut program = Program::ready(&api, &[], &[]);
    let asked = until_asked(&api, SLICES, 8);
    assert_eq!(
        asked[..8],
        ["stream", "watch 45", "watch 50", "stream", "watch 60", "watch 70", "stream", "stream"]
    );
    program.until_addresses(&name("default", "a"), "10.0.0.4");
    program.until_readyz(200, &["ok"]);
    let printed = program.printed();
    for words in [
        ["ERROR", "EndpointSlice default/a-x", "what was known of it stays"],
        ["ERROR", "EndpointSlice", "`PATCHED` is not a type of watch event"],
        ["WARN", "EndpointSlices", "410 Expired: scripted"],
        ["WARN", "EndpointSlices", "410 Gone: scripted"],
        ["WARN", "EndpointSlices", "403 Forbidden: scripted"],
    ] {
        let said = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(printed.lines().any(said), "{words:?}\n{printed}");
    }
    program.is_well();
}

#[test]
fn what_cannot_be_read_in_a_list_made_again_stays() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "a"));
    let mut damaged = slice_of_a("50", "10.0.0.9");
    damaged.extend(b"\x12\x7f");
    let list = |token: &str, items: &[&[u8]]| {
        let metadata = field(1, [field(1, ""), field(2, "60"), field(3, token)].concat());
        let items: Vec<u8> = items.iter().flat_map(|item| field(2, item)).collect();
        Answer::Typed(200, TYPE, enveloped("EndpointSliceList", &[metadata, items].concat()))
    };
    api.script(
        SLICES,
        [
            typed_status(422, "Invalid"),
            list("next", &[&slice_of_a("30", "10.0.0.1")]),
            list("", &[]),
            typed_status(410, "Expired"),
            typed_status(422, "Invalid"),
            list("", &[&damaged]),
        ],
    );
    let mut program = Program::ready(&api, &[], &[]);
    let asked = until_asked(&api, SLICES, 7);
    assert_eq!(asked[..7], ["stream", "list", "list next", "watch 60", "stream", "list", "watch 60"]);
    let steady = program.steady(&name("default", "a"), "10.0.0.1");
    program.wait_for(&["EndpointSlice default/a-x", "what was known of it stays"]);
    steady.held();
    program.is_well();
}

/// The answers, and what is asked after them in JSON alone.
fn falls_back(answers: impl IntoIterator<Item = Answer>, asked: &[&str], json_from: usize) {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.script(SLICES, answers);
    let mut program = Program::ready(&api, &[], &[]);
    api.end_watches(SLICES);
    let found = until_asked(&api, SLICES, asked.len() + 1);
    assert_eq!(found[..asked.len()], *asked);
    for (number, request) in api.requests(SLICES).iter().enumerate() {
        let accept = request.headers.get("accept").unwrap();
        assert_eq!(accept == "application/json", number >= json_from, "{number}: {accept}");
    }
    // Of this scope only.
    assert_eq!(api.requests(SERVICES)[0].headers.get("accept").unwrap(), WATCH);
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    // A watch that was ended within a second of its list is trouble for a moment, in either encoding.
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn where_it_is_not_acceptable_json_is_asked_for() {
    falls_back([Answer::status(406, "NotAcceptable")], &["stream", "stream"], 1);
    falls_back([Answer::Typed(406, "text/plain", b"no".to_vec())], &["stream", "stream"], 1);
}

#[test]
fn where_something_else_comes_json_is_asked_for() {
    falls_back([Answer::Typed(200, "text/html", b"<html>".to_vec())], &["stream", "stream"], 1);
}

#[test]
fn a_page_that_cannot_be_read_is_asked_for_in_json() {
    let answers = [Answer::status(422, "Invalid"), Answer::Typed(200, TYPE, b"k8s\0no".to_vec())];
    falls_back(answers, &["stream", "list", "stream"], 2);
}
