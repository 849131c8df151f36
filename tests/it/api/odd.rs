//! Objects and lines that are none: said, passed over, and nothing else goes wrong.

use serde_json::{Value, json};

use super::fake::{Answer, Api, Then};
use super::objects::{SERVICES, SLICES, at, bookmark, event, headless, name, page, service, slice};
use super::program::Program;

const LIMIT: [(&str, &str); 1] = [("ROLLCALL_LIMITS_OBJECT_SIZE", "2")];

fn alias_to_an_address(name: &str) -> Value {
    service("default", name, json!({"type": "ExternalName", "externalName": "10.0.0.1"}))
}

fn port_as_text(name: &str) -> Value {
    service("default", name, json!({"clusterIP": "None", "ports": [{"name": "web", "port": "80"}]}))
}

fn too_long(name: &str) -> Value {
    let mut object = headless("default", name);
    object["metadata"]["annotations"] = json!({"long": "x".repeat(2 << 20)});
    object
}

/// Bad lines about Services, with words that must be said of each.
fn bad_services() -> Vec<(String, Vec<&'static str>)> {
    let modified = |object| event("MODIFIED", &at("900", object));
    let mut nameless = headless("default", "x");
    nameless["metadata"].as_object_mut().unwrap().remove("name");
    vec![
        (modified(alias_to_an_address("alias")), vec!["default/alias", "spec.externalName", "10.0.0.1"]),
        (modified(port_as_text("port")), vec!["default/port", "spec.ports[0].port"]),
        (modified(too_long("long")), vec!["object_size", "2 MiB", "Services"]),
        (modified(nameless), vec!["Service", "metadata.name"]),
        ("{\"type\":\"ADDED\",\"object\":{".to_owned(), vec!["Service", "not a watch event"]),
        ("no JSON at all".to_owned(), vec!["Service", "not a watch event"]),
        ("[]".to_owned(), vec!["Service", "not a watch event"]),
        ("\u{0}".to_owned(), vec!["Service", "not a watch event"]),
        (event("PATCHED", &headless("default", "x")), vec!["PATCHED"]),
        (event("ADDED", &json!(null)), vec!["Service", "has no name"]),
        (event("DELETED", &json!({"metadata": {"namespace": "default"}})), vec!["Service", "metadata.name"]),
    ]
}

fn bad_slices() -> Vec<(String, Vec<&'static str>)> {
    let modified = |object| event("MODIFIED", &at("900", object));
    let mut shape = slice("default", "port", &["10.0.0.2"]);
    shape["endpoints"] = json!({"not": "a list"});
    vec![
        (
            modified(slice("default", "alias", &["10.0.0.999"])),
            vec!["EndpointSlice default/alias-x", "endpoints[0].addresses[0]", "10.0.0.999"],
        ),
        (modified(shape), vec!["EndpointSlice default/port-x", "endpoints"]),
    ]
}

fn put_good(api: &Api) {
    for (service, address) in [("alias", "10.0.0.1"), ("port", "10.0.0.2"), ("long", "10.0.0.3")] {
        api.put_service(service, &[address]);
    }
}

fn are_good(program: &Program) {
    for (service, address) in [("alias", "10.0.0.1"), ("port", "10.0.0.2"), ("long", "10.0.0.3")] {
        assert_eq!(program.addresses(&name("default", service)), address, "what was known of {service}");
    }
}

fn are_said(program: &mut Program, words: &[&str]) {
    let printed = program.printed();
    let said = |line: &str| line.contains("ERROR") && words.iter().all(|word| line.contains(word));
    assert!(printed.lines().any(said), "{words:?}\n{printed}");
}

#[test]
fn in_a_watch() {
    let api = Api::start();
    put_good(&api);
    let mut program = Program::ready(&api, &[], &LIMIT);
    are_good(&program);
    for (path, bad) in [(SERVICES, bad_services()), (SLICES, bad_slices())] {
        for (line, words) in bad {
            api.say(path, &line);
            program.wait_for(&words);
        }
    }
    // On the same connections.
    api.put_service("behind", &["10.0.0.9"]);
    program.until_addresses(&name("default", "behind"), "10.0.0.9");
    assert_eq!((api.asked(SERVICES), api.asked(SLICES)), (vec!["stream".into()], vec!["stream".into()]));
    are_good(&program);
    assert_eq!(program.readyz(), (200, "ok\n".into()), "it is the object's fault, not the server's");
    // And what is mended counts.
    api.put_service("alias", &["10.0.0.5"]);
    program.until_addresses(&name("default", "alias"), "10.0.0.5");
    program.is_well();
}

#[test]
fn in_a_streamed_list_at_the_start() {
    let api = Api::start();
    for (path, bad) in [(SERVICES, bad_services()), (SLICES, bad_slices())] {
        let good = match path {
            SERVICES => headless("default", "good"),
            _ => slice("default", "good", &["10.0.0.4"]),
        };
        let mut lines: Vec<String> = bad.into_iter().map(|(line, _)| line).collect();
        lines.extend([event("ADDED", &at("901", good)), bookmark("902", true)]);
        api.script(path, [Answer::Lines(lines, Then::GoOn)]);
    }
    let mut program = Program::ready(&api, &[], &LIMIT);
    assert_eq!(program.addresses(&name("default", "good")), "10.0.0.4");
    for (_, words) in bad_services().iter().chain(&bad_slices()) {
        are_said(&mut program, words);
    }
    for service in ["alias", "port"] {
        assert_eq!(program.status(&name("default", service)), "NXDOMAIN", "{service} was never known");
    }
    program.is_well();
}

#[test]
fn in_a_list_that_is_made_again_what_was_known_stays() {
    for streamed in [true, false] {
        let api = Api::start();
        put_good(&api);
        let mut program = Program::ready(&api, &[], &LIMIT);
        let objects = [alias_to_an_address("alias"), port_as_text("port"), headless("default", "long")];
        let slices = [
            slice("default", "alias", &["10.0.0.999"]),
            slice("default", "port", &["10.0.0.2"]),
            slice("default", "long", &["10.0.0.3"]),
        ];
        for (path, objects) in [(SERVICES, objects), (SLICES, slices)] {
            let objects = objects.map(|object| at("3000", object));
            let expired = Answer::status(410, "Expired");
            if streamed {
                let mut lines: Vec<String> = objects.iter().map(|object| event("ADDED", object)).collect();
                lines.push(bookmark("3000", true));
                api.script(path, [expired, Answer::Lines(lines, Then::GoOn)]);
            } else {
                let listed = Answer::Body(200, page("3000", "", &objects));
                api.script(path, [expired, Answer::status(422, "Invalid"), listed]);
            }
            api.end_watches(path);
        }
        for kind in ["Services", "EndpointSlices"] {
            super::program::until("both lists", || {
                program.printed().matches(&format!("{kind} listed")).count() == 2
            });
        }
        are_good(&program);
        are_said(&mut program, &["default/alias", "spec.externalName", "what was known of it stays"]);
        are_said(&mut program, &["default/port", "spec.ports[0].port"]);
        are_said(&mut program, &["default/alias-x", "endpoints[0].addresses[0]"]);
        program.is_well();
    }
}

/// Which object a line too long to be read was about cannot be told: none may be taken as gone for want of it.
#[test]
fn one_that_is_too_long_in_a_list_made_again_stays_as_it_was() {
    let api = Api::start();
    put_good(&api);
    let mut program = Program::ready(&api, &[], &LIMIT);
    let lines = vec![
        event("ADDED", &at("3000", headless("default", "alias"))),
        event("ADDED", &at("3000", headless("default", "port"))),
        event("ADDED", &at("3000", too_long("long"))),
        bookmark("3000", true),
    ];
    api.script(SERVICES, [Answer::status(410, "Expired"), Answer::Lines(lines, Then::GoOn)]);
    api.end_watches(SERVICES);
    super::program::until("the list", || program.printed().matches("Services listed").count() == 2);
    are_said(&mut program, &["object_size", "2 MiB"]);
    are_good(&program);
    program.is_well();
}

#[test]
fn an_answer_of_something_in_front_is_told_in_one_line() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.always(
        SLICES,
        Answer::Body(502, format!("<html>\n{}\nready\n</html>", "<p>long</p>\n".repeat(9000))),
    );
    let mut program = Program::start(&api, &[], &[]);
    let body = program.until_readyz(503, &["EndpointSlices", "502"]);
    assert!(body.lines().count() == 2 && body.len() < 1000, "{body}");
    let printed = program.printed();
    assert!(printed.lines().all(|line| line.len() < 1000 && line != "ready"), "{printed}");
    api.rule(SLICES, |_| None);
    program.wait_until_ready();
    program.is_well();
}
