//! Versions that are too old: the list again, and only what differs changes.

use super::fake::{Answer, Api, Then};
use super::objects::{SERVICES, SLICES, at, bookmark, event, headless, name, slice};
use super::program::{Program, Steady, until_asked};

/// A cluster is served, and the watches of both kinds end: the next is answered that its version has expired.
fn expired(answer: &Answer, gone: bool) {
    let api = Api::start();
    for (service, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")] {
        api.put_service(service, &[address]);
    }
    let mut program = Program::ready(&api, &[], &[]);
    let [a, b, c] = ["a", "b", "c"].map(|service| name("default", service));
    assert_eq!(program.addresses(&b), "10.0.0.2");
    let steady = program.steady(&a, "10.0.0.1");
    let kept = (!gone).then(|| [program.steady(&b, "10.0.0.2"), program.steady(&c, "10.0.0.3")]);
    let serial = program.serial();
    for path in [SERVICES, SLICES] {
        api.script(path, [answer.clone()]);
    }
    if gone {
        // The slice of one and the Service of the other: no watch tells of them.
        api.forget(SLICES, "b-x");
        api.forget(SERVICES, "c");
    }
    for path in [SERVICES, SLICES] {
        api.end_watches(path);
        let asked = until_asked(&api, path, 3);
        assert!(asked[1].starts_with("watch ") && asked[2] == "stream", "{asked:?}");
    }
    for kind in ["Services", "EndpointSlices"] {
        super::program::until("both lists", || {
            program.printed().matches(&format!("{kind} listed")).count() == 2
        });
    }
    if gone {
        program.until_addresses(&b, "NXDOMAIN");
        program.until_addresses(&c, "NXDOMAIN");
        assert!(program.serial() > serial);
    } else {
        assert_eq!(program.serial(), serial, "nothing differs");
    }
    kept.into_iter().flatten().for_each(Steady::held);
    steady.held();
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn as_an_http_status() {
    expired(&Answer::status(410, "Expired"), true);
}

#[test]
fn as_an_event() {
    expired(&Answer::error_event(410, "Expired"), true);
}

#[test]
fn as_an_http_status_where_nothing_differs() {
    expired(&Answer::status(410, "Gone"), false);
}

#[test]
fn as_an_event_where_nothing_differs() {
    expired(&Answer::error_event(410, "Gone"), false);
}

/// What a server says of a version that is no number, as something in front of it may have given.
#[test]
fn a_version_that_the_server_does_not_understand_has_expired() {
    expired(&Answer::status(422, "Invalid"), true);
}

#[test]
fn a_change_without_a_version_loses_nothing() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "a"));
    let versioned = |what, address| event(what, &at("30", slice("default", "a", &[address])));
    let bare = |address| event("MODIFIED", &slice("default", "a", &[address]));
    api.script(
        SLICES,
        [
            // No place to go on from: no list.
            Answer::Lines(vec![versioned("ADDED", "10.0.0.9"), bookmark("", true)], Then::End),
            Answer::Lines(
                vec![versioned("ADDED", "10.0.0.1"), bookmark("40", true), bare("10.0.0.2")],
                Then::End,
            ),
            Answer::Lines(vec![bare("10.0.0.3"), bookmark("", false)], Then::End),
            Answer::Lines(vec![bare("10.0.0.4")], Then::GoOn),
        ],
    );
    let mut program = Program::ready(&api, &[], &[]);
    let asked = until_asked(&api, SLICES, 4);
    assert_eq!(asked, ["stream", "stream", "watch 40", "watch 40"]);
    program.until_addresses(&name("default", "a"), "10.0.0.4");
    program.is_well();
}
