//! Servers that have no time, and servers that answer too quickly.

use std::thread;
use std::time::{Duration, Instant};

use super::fake::{Answer, Api, Then};
use super::http::Request;
use super::objects::{SERVICES, SLICES, bookmark, name};
use super::program::{Program, until, until_asked};

/// Between the first request for slices and the second.
fn waited(answer: Answer) -> Duration {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.script(SLICES, [answer]);
    let mut program = Program::start(&api, &[], &[]);
    until_asked(&api, SLICES, 1);
    program.until_readyz(503, &["not synchronised", "EndpointSlices"]);
    until_asked(&api, SLICES, 2);
    let requests = api.requests(SLICES);
    program.wait_until_ready();
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    requests[1].at - requests[0].at
}

/// They wait beside each other.
#[test]
fn a_busy_server_is_given_the_time_that_it_wants_but_no_more_than_ten_seconds() {
    let cases = [
        (Answer::busy(429, "TooManyRequests", 2), 2.0..5.0),
        (Answer::busy(503, "ServiceUnavailable", 2), 2.0..5.0),
        (Answer::busy(503, "ServiceUnavailable", 3600), 10.0..14.0),
        (Answer::Later(429, 2), 2.0..5.0),
        (Answer::Later(503, 3600), 10.0..14.0),
    ];
    let cases = cases.map(|(answer, wanted)| {
        thread::spawn(move || {
            let waited = waited(answer.clone()).as_secs_f32();
            assert!(wanted.contains(&waited), "{answer:?}: {waited} s");
        })
    });
    cases.into_iter().for_each(|case| case.join().unwrap());
}

/// How many requests a kind makes in four seconds of a server whose slices are answered like this.
fn requests(answer: impl Fn(&Request) -> Option<Answer> + Send + 'static) -> usize {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.rule(SLICES, answer);
    let program = Program::start(&api, &[], &[]);
    let first = until_asked(&api, SLICES, 1).len();
    assert!(first >= 1);
    let started = api.requests(SLICES)[0].at;
    until("four seconds", || started.elapsed() > Duration::from_secs(4));
    let count =
        api.requests(SLICES).iter().filter(|request| request.at - started < Duration::from_secs(4)).count();
    // It is found again soon.
    api.rule(SLICES, |_| None);
    let mended = Instant::now();
    api.put_service("a", &["10.0.0.2"]);
    program.until_addresses(&name("default", "a"), "10.0.0.2");
    assert!(mended.elapsed() < Duration::from_secs(5), "found again after {:?}", mended.elapsed());
    count
}

/// An empty list, and no watch behind it.
fn listed() -> Answer {
    Answer::Lines(vec![bookmark("1000", true)], Then::End)
}

fn watch_of(line: &str) -> Answer {
    Answer::Lines(vec![line.to_owned()], Then::End)
}

/// Five or six by the doubling waits; more than a few a second would be a hot loop.
fn few(what: &str, count: usize) {
    assert!((3..=12).contains(&count), "{what}: {count} requests in four seconds");
}

type Answers = fn(&Request) -> Answer;

/// What goes wrong at once is not done again at once. All of it beside each other.
#[test]
fn no_loop_is_hot() {
    let cases: [(&str, Answers); 9] =
        [
            ("an error", |_| Answer::status(500, "InternalError")),
            ("no HTTP status of an API", |_| Answer::Body(502, "<html>bad gateway</html>".into())),
            ("no list", |_| Answer::Body(200, "{}".into())),
            ("a connection that breaks", |_| Answer::Lines(Vec::new(), Then::Break)),
            ("a list that breaks off", |_| Answer::Lines(vec![bookmark("1000", false)], Then::End)),
            ("an expired version", |request| {
                if request.is_streamed() { listed() } else { Answer::status(410, "Expired") }
            }),
            ("a watch that ends", |request| {
                if request.is_streamed() { listed() } else { Answer::Lines(Vec::new(), Then::End) }
            }),
            ("a watch that ends behind a bookmark", |request| {
                if request.is_streamed() { listed() } else { watch_of(&bookmark("1000", false)) }
            }),
            ("a watch that ends behind what cannot be read", |request| {
                if request.is_streamed() { listed() } else { watch_of("{}") }
            }),
        ];
    let cases = cases.map(|(what, answers)| {
        thread::spawn(move || few(what, requests(move |request| Some(answers(request)))))
    });
    let failed = cases.into_iter().filter_map(|case| case.join().err()).count();
    assert_eq!(failed, 0, "cases that are hot, or never mended");
}

/// Up to three requests a try: the streamed list, the first page, and all of it in one.
#[test]
fn lists_that_always_expire() {
    let count =
        requests(|request| Some(Answer::status(if request.is_streamed() { 422 } else { 410 }, "Scripted")));
    few("pages that expire", count.div_ceil(3));
}

#[test]
fn credentials_that_are_never_good() {
    let api = Api::start();
    api.accept_only("another");
    let program = Program::start(&api, &[], &[]);
    let started = Instant::now();
    until("four seconds", || started.elapsed() > Duration::from_secs(4));
    for path in [SERVICES, SLICES] {
        few(path, api.asked(path).len());
    }
    assert_eq!(program.readyz().0, 503);
}
