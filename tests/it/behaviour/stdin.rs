//! Manifests on standard input: YAML, JSON, a List of `kubectl get -o json`; and the time before they are whole.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use super::asking::{addresses, ask, eventually};
use super::manifests::{NGINX, nginx};
use super::process::{Process, rollcall, run_with};

const JSON_SERVICE: &str = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"nginx"},"spec":{"clusterIP":"None","selector":{"app":"nginx"},"ports":[{"name":"web","port":80}]}}"#;
const JSON_SET: &str = r#"{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"web"},"spec":{"serviceName":"nginx","replicas":2,"template":{"metadata":{"labels":{"app":"nginx"}}}}}"#;

/// The same cluster in every form that is read.
fn forms() -> [(&'static str, String); 5] {
    [
        ("YAML", nginx(2)),
        ("JSON documents", format!("{JSON_SERVICE}\n{JSON_SET}\n")),
        (
            "a List in JSON, as kubectl prints it",
            format!(
                r#"{{"apiVersion":"v1","items":[{JSON_SERVICE},{JSON_SET}],"kind":"List","metadata":{{"resourceVersion":""}}}}"#
            ),
        ),
        ("a List in YAML", format!("apiVersion: v1\nitems:\n- {JSON_SERVICE}\n- {JSON_SET}\nkind: List\n")),
        (
            "a List in YAML with a byte order mark",
            format!("\u{feff}apiVersion: v1\nkind: List\nitems:\n- {JSON_SERVICE}\n- {JSON_SET}\n"),
        ),
    ]
}

#[test]
fn check_and_records_read_every_form() {
    let mut first: Option<Vec<String>> = None;
    for (form, input) in forms() {
        let check = run_with(&mut rollcall(&["check", "--manifests", "-"]), &input);
        assert_eq!((check.code, check.err.as_str()), (0, ""), "{form}: {}", check.out);
        assert!(
            check.out.contains("1 Services") && check.out.contains("1 StatefulSets"),
            "{form}: {}",
            check.out
        );

        let records = run_with(&mut rollcall(&["records", "--manifests", "-"]), &input);
        assert_eq!((records.code, records.err.as_str()), (0, ""), "{form}");
        let lines: Vec<String> =
            records.out.lines().filter(|line| !line.contains("\tSOA\t")).map(str::to_owned).collect();
        assert!(lines.iter().any(|line| line.starts_with("web-1.nginx.")), "{form}: {lines:?}");
        assert_eq!(first.get_or_insert_with(|| lines.clone()), &lines, "{form}");
    }
}

#[test]
fn serve_reads_every_form_and_goes_on_when_it_ends() {
    for (form, input) in forms() {
        let mut process = spawn();
        let mut stdin = process.stdin();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        process.wait_for_line("ready", |line| line == "ready");
        assert_eq!(addresses(process.address(), NGINX).len(), 2, "{form}");
        assert!(process.is_running(), "{form}");
    }
}

#[test]
fn problems_of_standard_input_are_named_by_a_dash() {
    let finished = run_with(
        &mut rollcall(&["check", "--manifests", "-"]),
        "apiVersion: v1\nkind: Service\nmetadata: {name: UP}\n",
    );
    assert_eq!(finished.code, 1);
    assert!(
        finished.out.contains("error: -:3: document 1: Service default/UP: metadata.name"),
        "{}",
        finished.out
    );
}

#[test]
fn an_empty_standard_input_is_an_empty_cluster() {
    let mut process = spawn();
    drop(process.stdin());
    process.wait_for_line("ready", |line| line == "ready");
    assert_eq!(ask(process.address(), &format!("-t A {NGINX}")).status, "NXDOMAIN");
    assert_eq!(ask(process.address(), "-t SOA cluster.local").status, "NOERROR");
}

fn spawn() -> Process {
    Process::spawn(&mut rollcall(&["serve", "--manifests", "-", "--listen", "127.0.0.1:0"]), Stdio::piped())
}

#[test]
fn before_the_input_is_whole_the_answer_is_servfail_and_never_nxdomain() {
    let mut process = spawn();
    let mut stdin = process.stdin();
    process.wait_for_words(&["listening udp+tcp"]);
    let server = process.address();
    let whole = nginx(2);
    let (first, rest) = whole.split_at(whole.len() / 2);
    for part in ["", first] {
        stdin.write_all(part.as_bytes()).unwrap();
        stdin.flush().unwrap();
        for transport in ["+notcp", "+tcp"] {
            for line in [
                format!("-t A {NGINX}"),
                "-t A no.such.svc.cluster.local".to_owned(),
                "-t SOA cluster.local".to_owned(),
                "-x 10.244.0.2".to_owned(),
            ] {
                let reply = ask(server, &format!("{transport} {line}"));
                assert_eq!(reply.status, "SERVFAIL", "{line}");
                assert_eq!(reply.ede.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [14], "{line}");
                assert!(!reply.flags.contains(&"aa"), "{line}: {:?}", reply.flags);
                assert!(reply.sections.iter().all(Vec::is_empty), "{line}: {:?}", reply.lines());
            }
            // What is not ours is refused all the same, and a client without EDNS is told no more than the code.
            assert_eq!(ask(server, &format!("{transport} -t A www.example.org")).status, "REFUSED");
            assert_eq!(ask(server, &format!("{transport} -t NS .")).status, "REFUSED");
            assert_eq!(ask(server, &format!("{transport} +noedns -t A {NGINX}")).status, "SERVFAIL");
        }
    }
    assert!(!process.printed().lines().any(|line| line == "ready"), "{}", process.printed());
    stdin.write_all(rest.as_bytes()).unwrap();
    drop(stdin);
    process.wait_for_line("ready", |line| line == "ready");
    // From the line on, not some time after it.
    assert_eq!(ask(server, &format!("-t A {NGINX}")).status, "NOERROR");
    assert_eq!(addresses(server, NGINX).len(), 2);
}

#[test]
fn a_signal_before_the_input_is_whole_ends_it() {
    for signal in ["TERM", "INT"] {
        let mut process = spawn();
        let stdin = process.stdin();
        process.wait_for_words(&["listening udp+tcp"]);
        process.signal(signal);
        let (code, took) = process.end(Duration::from_secs(10));
        assert_eq!(code, 0, "{signal}");
        assert!(took < Duration::from_secs(3), "{signal}: {took:?}");
        drop(stdin);
    }
}

#[test]
fn a_reload_keeps_what_came_over_standard_input() {
    let mut process = spawn();
    let mut stdin = process.stdin();
    stdin.write_all(nginx(2).as_bytes()).unwrap();
    drop(stdin);
    process.wait_for_line("ready", |line| line == "ready");
    let before = addresses(process.address(), NGINX);
    process.signal("HUP");
    process.wait_for_words(&["SIGHUP"]);
    process.wait_for_words(&["published"]);
    eventually("the same addresses after SIGHUP", || {
        let now = addresses(process.address(), NGINX);
        if now == before { Ok(()) } else { Err(format!("{now:?}")) }
    });
}
