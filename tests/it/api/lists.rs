//! Lists, streamed and in pages, and the watch that follows them.

use super::fake::{Answer, Api, Then};
use super::objects::{
    NAMESPACES, SERVICES, SETS, SLICES, at, bookmark, event, headless, name, page, slice, status,
};
use super::program::{Program, until, until_asked};

fn added(version: &str, service: &str, addresses: &[&str]) -> String {
    event("ADDED", &at(version, slice("default", service, addresses)))
}

#[test]
fn a_streamed_list_goes_on_as_the_watch_and_the_next_one_from_where_it_was() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "a"));
    let modified = |version, address| event("MODIFIED", &at(version, slice("default", "a", &[address])));
    api.script(
        SLICES,
        [
            Answer::Lines(
                vec![
                    added("30", "a", &["10.0.0.1"]),
                    // Of a server that is slow with the list; not the end of it.
                    bookmark("31", false),
                    bookmark("40", true),
                    modified("45", "10.0.0.2"),
                ],
                Then::End,
            ),
            Answer::Lines(vec![modified("50", "10.0.0.3"), bookmark("60", false)], Then::End),
            Answer::Lines(vec![event("DELETED", &at("70", slice("default", "a", &["10.0.0.3"])))], Then::End),
        ],
    );
    let mut program = Program::ready(&api, &[], &[]);
    let asked = until_asked(&api, SLICES, 4);
    assert_eq!(asked[..4], ["stream", "watch 45", "watch 60", "watch 70"]);
    assert_eq!(program.addresses(&name("default", "a")), "NXDOMAIN");
    api.put_service("a", &["10.0.0.4"]);
    program.until_addresses(&name("default", "a"), "10.0.0.4");
    assert_eq!(api.asked(SERVICES), ["stream"], "a list that goes on is the watch");
    for path in [SERVICES, SLICES, SETS, NAMESPACES] {
        let requests = api.requests(path);
        let first = &requests[0];
        for (key, value) in [
            ("watch", "true"),
            ("sendInitialEvents", "true"),
            ("resourceVersionMatch", "NotOlderThan"),
            ("allowWatchBookmarks", "true"),
            ("labelSelector", ""),
        ] {
            assert_eq!(first.parameter(key), value, "{path} {key}");
        }
        assert_eq!(first.headers.get("authorization").unwrap(), "Bearer t");
        for request in &requests[1..] {
            assert_eq!(request.parameter("allowWatchBookmarks"), "true");
            let seconds: u64 = request.parameter("timeoutSeconds").parse().unwrap();
            assert!((15..=20).contains(&seconds), "a watch of {seconds} s");
        }
    }
    program.is_well();
}

/// A streamed list whose end is held back.
#[test]
fn nothing_is_ready_before_the_list_is_complete() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "a"));
    api.script(SLICES, [Answer::Lines(vec![added("30", "a", &["10.0.0.1"])], Then::GoOn)]);
    let mut program = Program::start(&api, &[], &[]);
    until_asked(&api, SLICES, 1);
    program.wait_for(&["Services listed"]);
    assert_eq!(program.status(&name("default", "a")), "SERVFAIL");
    assert_eq!(program.readyz().0, 503);
    api.say(SLICES, &bookmark("40", true));
    program.wait_until_ready();
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
}

/// A server without streamed lists, which refuses them.
fn unstreamed(api: &Api, path: &str) {
    api.rule(path, |request| request.is_streamed().then(|| Answer::status(422, "Invalid")));
}

#[test]
fn pages_where_streamed_lists_are_refused() {
    let api = Api::start();
    for service in ["a", "b", "c"] {
        api.put(SERVICES, headless("default", service));
    }
    unstreamed(&api, SERVICES);
    let items = |service, address| [at("30", slice("default", service, &[address]))];
    api.script(
        SLICES,
        [
            Answer::status(422, "Invalid"),
            Answer::Body(200, page("40", "one", &items("a", "10.0.0.1"))),
            Answer::Body(200, page("40", "two", &items("b", "10.0.0.2"))),
            Answer::Body(200, page("40", "", &items("c", "10.0.0.3"))),
            Answer::Lines(
                vec![event("MODIFIED", &at("50", slice("default", "c", &["10.0.0.4"])))],
                Then::GoOn,
            ),
        ],
    );
    let mut program = Program::ready(&api, &[], &[("ROLLCALL_LIMITS_LIST_PAGE", "10")]);
    let asked = until_asked(&api, SLICES, 5);
    assert_eq!(asked, ["stream", "list", "list one", "list two", "watch 40"]);
    for request in &api.requests(SLICES)[1..4] {
        assert_eq!(request.parameter("limit"), "10");
    }
    for (service, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.4")] {
        program.until_addresses(&name("default", service), address);
    }
    assert_eq!(program.readyz(), (200, "ok\n".into()), "a server without streamed lists is no trouble");
    program.is_well();
}

#[test]
fn a_page_that_expired_begins_the_list_anew() {
    let api = Api::start();
    for service in ["a", "b", "ghost"] {
        api.put(SERVICES, headless("default", service));
    }
    let item = |version, service, address| at(version, slice("default", service, &[address]));
    api.script(
        SLICES,
        [
            Answer::status(422, "Invalid"),
            Answer::Body(
                200,
                page("40", "one", &[item("30", "a", "10.0.0.1"), item("31", "ghost", "10.0.0.9")]),
            ),
            Answer::status(410, "Expired"),
            // Even without pages it does not get through at first.
            Answer::status(500, "InternalError"),
            Answer::status(422, "Invalid"),
            Answer::Body(200, page("50", "two", &[item("31", "ghost", "10.0.0.9")])),
            Answer::status(410, "Expired"),
            Answer::Body(200, page("60", "", &[item("50", "a", "10.0.0.2"), item("51", "b", "10.0.0.3")])),
        ],
    );
    let mut program = Program::ready(&api, &[], &[]);
    let asked = until_asked(&api, SLICES, 9);
    let tried = ["stream", "list", "list one", "list", "stream", "list", "list two", "list", "watch 60"];
    assert_eq!(asked, tried);
    for whole in [3, 7] {
        let request = &api.requests(SLICES)[whole];
        assert_eq!(request.parameter("limit"), "", "all of it in one: pages take too long for this server");
    }
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.2");
    assert_eq!(program.addresses(&name("default", "b")), "10.0.0.3");
    assert_eq!(program.status(&name("default", "ghost")), "NXDOMAIN");
    program.is_well();
}

#[test]
fn what_changes_while_a_list_is_streamed() {
    let api = Api::start();
    for service in ["a", "b", "c"] {
        api.put(SERVICES, headless("default", service));
    }
    api.script(
        SLICES,
        [Answer::Lines(
            vec![
                added("30", "a", &["10.0.0.1"]),
                added("31", "b", &["10.0.0.2"]),
                added("32", "c", &["10.0.0.3"]),
                event("MODIFIED", &at("40", slice("default", "a", &["10.0.0.4"]))),
                event("DELETED", &at("41", slice("default", "b", &["10.0.0.2"]))),
                // Gone, and there again.
                event("DELETED", &at("42", slice("default", "c", &["10.0.0.3"]))),
                added("43", "c", &["10.0.0.5"]),
                bookmark("44", true),
            ],
            Then::GoOn,
        )],
    );
    let mut program = Program::ready(&api, &[], &[]);
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.4");
    assert_eq!(program.addresses(&name("default", "b")), "NXDOMAIN");
    assert_eq!(program.addresses(&name("default", "c")), "10.0.0.5");
    program.is_well();
}

#[test]
fn a_list_that_breaks_off_changes_nothing_and_is_tried_again() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.put_service("b", &["10.0.0.2"]);
    let mut program = Program::ready(&api, &[], &[]);
    let (a, b) = (name("default", "a"), name("default", "b"));
    let serial = program.serial();
    let steady = [program.steady(&a, "10.0.0.1"), program.steady(&b, "10.0.0.2")];
    let other = || added("2000", "a", &["10.9.9.9"]);
    let gone = || event("DELETED", &at("2001", slice("default", "b", &["10.0.0.2"])));
    let error = event("ERROR", &status(500, "InternalError", "etcd has changed its leader"));
    // Where a connection is closed between two chunks, in a chunk's line, or in an orderly way.
    let half: String = other().chars().take(60).collect();
    api.script(
        SLICES,
        [
            Answer::status(410, "Expired"),
            Answer::Lines(vec![other(), gone()], Then::Break),
            Answer::Lines(vec![other(), half], Then::Break),
            Answer::Lines(vec![other(), gone()], Then::End),
            Answer::Lines(vec![other(), error], Then::End),
            Answer::status(422, "Invalid"),
            Answer::Body(200, page("2002", "one", &[at("2000", slice("default", "a", &["10.9.9.9"]))])),
            Answer::status(500, "InternalError"),
            Answer::status(422, "Invalid"),
            Answer::Body(200, page("2002", "", &[]).replace(['}', ']'], "")),
        ],
    );
    api.end_watches(SLICES);
    let asked = until_asked(&api, SLICES, 12);
    let tried =
        ["stream", "stream", "stream", "stream", "stream", "list", "list one", "stream", "list", "stream"];
    assert_eq!(asked[2..12], tried);
    program.until_readyz(200, &["ok"]);
    until("the list", || program.printed().matches("EndpointSlices listed").count() == 2);
    steady.into_iter().for_each(super::program::Steady::held);
    assert_eq!(program.serial(), serial, "nothing differs");
    // And what comes behind it counts.
    api.put_service("a", &["10.0.0.7"]);
    program.until_addresses(&a, "10.0.0.7");
    program.is_well();
}
