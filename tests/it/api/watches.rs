//! Watches prove that they are alive, and that what they told is what is there.

use std::thread;
use std::time::{Duration, Instant};

use super::fake::{Answer, Api, Then};
use super::objects::{SERVICES, SLICES, at, bookmark, event, headless, name, slice, status};
use super::program::{Program, until, until_asked};
use crate::support::scrape::Scrape;

/// Lists anew each second, and says what came of it.
const OFTEN: [(&str, &str); 2] =
    [("ROLLCALL_LIMITS_RELIST", "1"), ("ROLLCALL_LOG", "info,rollcall::run=debug")];

const SAME: &str = "EndpointSlices: a list beside the watch has nothing that differs";

/// How often slices were compared and were the same.
fn compared(program: &mut Program) -> usize {
    program.printed().matches(SAME).count()
}

#[test]
fn a_list_beside_the_watch_is_the_same_whatever_changes_meanwhile() {
    let api = Api::start();
    for service in ["a", "b", "c", "d"] {
        api.put_service(service, &["10.0.0.1"]);
    }
    let mut program = Program::ready(&api, &[], &OFTEN);
    // What is told between a list's version and its first octet is newer than the list.
    api.answer_late(Duration::from_millis(300));
    let mut turn: usize = 0;
    let began = Instant::now();
    while compared(&mut program) < 4 {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", program.printed());
        turn += 1;
        let service = ["a", "b", "c", "d"][turn % 4];
        // Changed, gone, and there again, while lists come and go.
        let address = format!("10.0.{}.{}", turn / 250 % 250, turn % 250);
        if turn.is_multiple_of(7) {
            api.delete(SLICES, &format!("{service}-x"));
        } else {
            api.put(SLICES, slice("default", service, &[&address]));
        }
        if turn.is_multiple_of(20) {
            // A relist begins with a watch.
            api.end_watches(SLICES);
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!program.printed().contains("put right"), "{}", program.printed());
    api.put(SLICES, slice("default", "a", &["10.9.9.9"]));
    program.until_addresses(&name("default", "a"), "10.9.9.9");
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn what_a_watch_lost_is_found_and_put_right() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.put_service("b", &["10.0.0.2"]);
    let mut program = Program::ready(&api, &[], &OFTEN);
    let steady = program.steady(&name("default", "b"), "10.0.0.2");
    // Two events that no watch tells: one deletion, one object that comes.
    api.forget(SLICES, "a-x");
    api.put_in_silence(SLICES, slice("default", "c", &["10.0.0.3"]));
    api.put_in_silence(SERVICES, headless("default", "c"));
    let put_right = |program: &mut Program, kind: &str| {
        let mut said = false;
        until("the difference", || {
            for path in [SERVICES, SLICES] {
                api.end_watches(path);
                api.say_how_far(path);
            }
            thread::sleep(Duration::from_millis(200));
            said |= program.printed().lines().any(|line| line.contains("put right") && line.contains(kind));
            said
        });
    };
    put_right(&mut program, "EndpointSlices");
    put_right(&mut program, "Services");
    program.until_addresses(&name("default", "c"), "10.0.0.3");
    assert_eq!(program.status(&name("default", "a")), "NXDOMAIN");
    let said = program.printed();
    let line =
        said.lines().find(|line| line.contains("put right") && line.contains("EndpointSlices")).unwrap();
    for word in ["differences=2", "default/a-x", "default/c-x"] {
        assert!(line.contains(word), "{word} is not in: {line}");
    }
    steady.held();
    program.is_well();
}

/// The list is compared only when the watch has come as far: until then what differs may be under way.
#[test]
fn what_the_watch_has_not_told_yet_is_no_difference() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &OFTEN);
    let now =
        |version: &str, address: &str| event("MODIFIED", &at(version, slice("default", "a", &[address])));
    thread::sleep(Duration::from_millis(1300));
    // The next watch is late: it says nothing while the list beside it has what it will say.
    let late = vec![now("5000", "10.0.0.2")];
    let list = vec![now("5000", "10.0.0.2"), bookmark("5000", true)];
    api.rule(SLICES, move |request| {
        Some(match (request.is_streamed(), request.parameter("resourceVersion")) {
            (true, _) => Answer::Lines(list.clone(), Then::Silence),
            // It is begun from the list's version once, and then from that of its own event.
            (false, "5000") => Answer::Lines(Vec::new(), Then::Silence),
            (false, _) => Answer::Slowly(Duration::from_secs(2), late.clone(), Then::Silence),
        })
    });
    let before = api.requests(SLICES).len();
    api.end_watches(SLICES);
    until("a list beside a watch", || api.asked(SLICES)[before..].contains(&"stream".to_owned()));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(
        (compared(&mut program), program.addresses(&name("default", "a"))),
        (0, "10.0.0.1".to_owned())
    );
    program.until_addresses(&name("default", "a"), "10.0.0.2");
    until("the comparison", || compared(&mut program) == 1);
    assert!(!program.printed().contains("put right"), "{}", program.printed());
    program.is_well();
}

/// Each watch ends in time and has nothing to say, as where the API server's cache stands still.
#[test]
fn where_watches_say_nothing_a_list_is_made() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let limits = [("ROLLCALL_LIMITS_WATCH_TIMEOUT", "5"), ("ROLLCALL_LIMITS_WATCH_SILENCE", "5")];
    let mut program = Program::ready(&api, &[], &limits);
    api.put_in_silence(SLICES, slice("default", "c", &["10.0.0.3"]));
    api.put_in_silence(SERVICES, headless("default", "c"));
    let paths = [SERVICES, SLICES];
    let lists = |path| api.asked(path).iter().filter(|asked| *asked == "stream").count();
    until("lists beside the watches", || paths.into_iter().all(|path| lists(path) == 2));
    until("the comparison", || {
        paths.into_iter().for_each(|path| api.say_how_far(path));
        program.addresses(&name("default", "c")) == "10.0.0.3"
    });
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn a_list_beside_the_watch_that_fails_is_counted() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &OFTEN);
    api.rule(SLICES, |request| request.is_streamed().then(|| Answer::status(503, "ServiceUnavailable")));
    let failed = "rollcall_api_failures_total{kind=\"EndpointSlice\",cause=\"other\"}";
    assert_eq!(Scrape::of(program.admin).value(failed), 0.0);
    until("a list that fails", || {
        // A watch that ends sooner is a failure as well.
        thread::sleep(Duration::from_millis(1400));
        api.end_watches(SLICES);
        Scrape::of(program.admin).value(failed) > 0.0
    });
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

/// A watch with a list beside it that is complete, and has nothing more to say.
fn mk_relisted(api: &Api, program: &Program) {
    thread::sleep(Duration::from_millis(1300));
    assert!(program.addresses(&name("default", "a")) == "10.0.0.1");
    let before = api.requests(SLICES).len();
    api.end_watches(SLICES);
    until("a list beside a watch", || api.asked(SLICES)[before..].contains(&"stream".to_owned()));
    thread::sleep(Duration::from_millis(700));
}

/// A watch lasts 15 s at the least.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn a_list_is_compared_as_soon_as_the_watch_has_told_as_much() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &OFTEN);
    mk_relisted(&api, &program);
    let began = Instant::now();
    until("the comparison", || {
        api.say_how_far(SLICES);
        compared(&mut program) > 0
    });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    program.is_well();
}

#[test]
fn a_list_is_compared_before_the_next_watch_where_nothing_changes() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &OFTEN);
    mk_relisted(&api, &program);
    let began = Instant::now();
    api.end_watches(SLICES);
    until("the comparison", || compared(&mut program) > 0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    program.is_well();
}

/// What a list beside the watch has to say comes behind the watch's end: it has no part in the list that follows.
#[test]
fn a_list_beside_a_watch_that_is_gone_is_given_up() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &OFTEN);
    let now = |version: &str, address: &str| event("ADDED", &at(version, slice("default", "a", &[address])));
    thread::sleep(Duration::from_millis(1300));
    let late = Answer::Slowly(Duration::from_secs(2), vec![now("90", "10.0.0.9")], Then::Silence);
    let next = Answer::Lines(vec![now("91", "10.0.0.2")], Then::GoOn);
    api.rule(SLICES, move |request| request.is_streamed().then(|| late.clone()));
    let before = api.requests(SLICES).len();
    api.end_watches(SLICES);
    until("a list beside a watch", || api.asked(SLICES)[before..].contains(&"stream".to_owned()));
    let began = Instant::now();
    api.rule(SLICES, move |request| request.is_streamed().then(|| next.clone()));
    api.say(SLICES, &event("ERROR", &status(410, "Expired", "scripted")));
    until("the list anew", || api.asked(SLICES).last().is_some_and(|asked| asked == "stream"));
    until("both lists", || api.asked(SLICES)[before..].iter().filter(|asked| *asked == "stream").count() > 1);
    // It ends behind the time of the one before.
    thread::sleep(Duration::from_secs(3).saturating_sub(began.elapsed()));
    api.say(SLICES, &bookmark("92", true));
    program.until_addresses(&name("default", "a"), "10.0.0.2");
    assert!(!program.printed().contains("put right"), "{}", program.printed());
    program.is_well();
}

#[test]
fn a_watch_that_says_nothing_is_cut_and_begun_anew() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "a"));
    let now = |what, version, address| event(what, &at(version, slice("default", "a", &[address])));
    api.script(
        SLICES,
        [
            Answer::Lines(vec![now("ADDED", "30", "10.0.0.1"), bookmark("40", true)], Then::End),
            Answer::Lines(vec![now("MODIFIED", "50", "10.0.0.2")], Then::Silence),
            Answer::Lines(vec![now("MODIFIED", "60", "10.0.0.3")], Then::GoOn),
        ],
    );
    let limits = [("ROLLCALL_LIMITS_WATCH_TIMEOUT", "300"), ("ROLLCALL_LIMITS_WATCH_SILENCE", "5")];
    let mut program = Program::ready(&api, &[], &limits);
    let a = name("default", "a");
    program.until_addresses(&a, "10.0.0.2");
    program.until_addresses(&a, "10.0.0.3");
    until_asked(&api, SLICES, 3);
    let requests = api.requests(SLICES);
    let silent = (requests[2].at - requests[1].at).as_secs_f32();
    assert!((4.9..8.0).contains(&silent), "noticed after {silent} s");
    assert_eq!(api.asked(SLICES)[..3], ["stream", "watch 40", "watch 50"]);
    program.wait_for(&["EndpointSlices", "went silent"]);
    program.until_readyz(200, &["ok"]);
    program.is_well();
}
