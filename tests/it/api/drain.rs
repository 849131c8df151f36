//! SIGTERM: not ready any more, and answering on from the cluster as it changes.

use super::fake::{Answer, Api};
use super::objects::{SLICES, name};
use super::program::{Program, until_asked};

#[test]
fn changes_are_followed_while_draining() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &[("ROLLCALL_LIMITS_LAMEDUCK", "2")]);
    let a = name("default", "a");
    assert_eq!(program.addresses(&a), "10.0.0.1");
    assert_eq!(program.readyz(), (200, "ok\n".into()));
    let started = std::time::Instant::now();
    program.signal("TERM");
    program.until_readyz(503, &["draining"]);
    api.put_service("a", &["10.0.0.2"]);
    program.until_addresses(&a, "10.0.0.2");
    api.put_service("b", &["10.0.0.3"]);
    program.until_addresses(&name("default", "b"), "10.0.0.3");
    assert_eq!(super::http::probe(program.admin, "/livez").0, 200);
    assert_eq!(program.end(), 0);
    let seconds = started.elapsed().as_secs_f32();
    assert!((2.0..30.0).contains(&seconds), "{seconds} s");
    assert!(!program.printed().contains("panic"));
}

#[test]
fn one_that_never_was_ready_ends_at_once() {
    let api = Api::start();
    api.always(SLICES, Answer::Never);
    let mut program = Program::start(&api, &[], &[("ROLLCALL_LIMITS_LAMEDUCK", "60")]);
    until_asked(&api, SLICES, 1);
    let started = std::time::Instant::now();
    program.signal("TERM");
    assert_eq!(program.end(), 0);
    assert!(started.elapsed().as_secs() < 30);
}
