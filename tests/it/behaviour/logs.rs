//! The log's forms and levels, and the query log.

use std::process::Stdio;

use serde_json::Value;

use super::asking::{ask, eventually};
use super::manifests::{NGINX, nginx, replace, text};
use super::process::{Process, rollcall, run};

/// A folder with [`nginx`] and this configuration, and the arguments to serve it.
fn mk_served(toml: &str) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let [config, manifests] = ["rollcall.toml", "web.yaml"].map(|name| folder.path().join(name));
    std::fs::write(&manifests, nginx(2)).unwrap();
    std::fs::write(&config, toml).unwrap();
    let args = ["--config", text(&config), "--manifests", text(&manifests)].map(str::to_owned);
    (folder, args.into())
}

fn serve(args: &[String]) -> Process {
    Process::serve(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn until_ttl(process: &Process, ttl: u32) {
    eventually(&format!("a TTL of {ttl}"), || {
        let reply = ask(process.address(), &format!("-t A {NGINX}"));
        let record = reply.sections[0][0].clone();
        if record.contains(&format!(" {ttl} IN ")) { Ok(()) } else { Err(record) }
    });
}

fn object(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn every_line_is_an_object_where_json_is_asked_for() {
    let (_folder, args) = mk_served("zone = 'k8s.test'\n[log]\nqueries = 1\n");
    let mut command = rollcall(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        &args[0],
        &args[1],
        &args[2],
        &args[3],
    ]);
    let mut process = Process::spawn(&mut command, Stdio::null());
    let line = process.wait_for_words(&["listening udp+tcp"]);
    let server = object(&line)["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    process.wait_for_words(&["\"message\":\"ready\""]);
    ask(server, "-t A nginx.default.svc.k8s.test");
    let query = object(&process.wait_for_words(&["rollcall::query"]));
    assert_eq!((&query["level"], &query["message"]), (&"INFO".into(), &"query".into()));
    assert_eq!(query["fields"]["answers"], 2);
    process.signal("TERM");
    assert_eq!(process.end(std::time::Duration::from_secs(15)).0, 0);
    for line in process.printed().lines() {
        let object = object(line);
        for key in ["time", "level", "target", "message"] {
            assert!(object[key].is_string(), "{key}: {line}");
        }
    }
}

#[test]
fn a_configuration_that_is_wrong_is_said_in_the_form_of_the_flag() {
    let (_folder, args) = mk_served("order = 'up'\n[log]\nlevel = 'inof'\n");
    let finished = run(&["serve", "--log-format", "json", &args[0], &args[1]]);
    assert_eq!(finished.code, 1);
    let object = object(finished.err.trim_end());
    assert_eq!(object["level"], "ERROR");
    let message = object["message"].as_str().unwrap();
    assert!(
        message.contains("order: `up`") && message.contains("log.level: `inof` is not a level"),
        "{message}"
    );
}

#[test]
fn form_and_level_are_taken_over_by_a_reload() {
    let (folder, args) = mk_served("");
    let config = folder.path().join("rollcall.toml");
    let mut process = serve(&args);
    replace(&config, "[log]\nformat = 'json'\n");
    process.wait_for_words(&["the configuration is taken over"]);
    replace(&config, "[log]\nformat = 'json'\nlevel = 'warn'\n");
    let line = process.wait_for_words(&["the configuration is taken over"]);
    assert_eq!(object(&line)["fields"]["changed"], 1);
    // At `warn` it says nothing of a good one, and an error all the same.
    replace(&config, "[log]\nformat = 'json'\nlevel = 'warn'\n[ttl]\npositive = 77\n");
    until_ttl(&process, 77);
    replace(&config, "[log]\nlevel = 'loud'\n");
    let line = process.wait_for_words(&["loud"]);
    assert_eq!(object(&line)["level"], "ERROR");
    assert!(!process.printed().contains("\"77\""), "{}", process.printed());
    replace(&config, "");
    until_ttl(&process, 5);
    replace(&config, "[ttl]\npositive = 8\n");
    let line = process.wait_for_words(&["the configuration is taken over"]);
    assert!(line.contains(" INFO ") && !line.starts_with('{'), "{line}");
}

#[test]
fn the_variable_wins_over_the_level() {
    let (folder, args) = mk_served("[log]\nlevel = 'error'\n");
    let args: Vec<&str> =
        ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(args.iter().map(String::as_str)).collect();
    let mut process = Process::spawn(rollcall(&args).env("ROLLCALL_LOG", "info"), Stdio::null());
    process.wait_for_words(&["ROLLCALL_LOG is set", "error"]);
    process.wait_for_line("ready", |line| line == "ready");
    replace(&folder.path().join("rollcall.toml"), "[log]\nlevel = 'error'\n[ttl]\npositive = 9\n");
    process.wait_for_words(&["the configuration is taken over"]);
}

#[test]
fn a_question_has_a_line_while_it_is_asked_for() {
    let (folder, args) = mk_served("");
    let config = folder.path().join("rollcall.toml");
    let mut process = serve(&args);
    let server = process.address();
    ask(server, &format!("+notcp -t A {NGINX}"));
    replace(&config, "[log]\nqueries = 1\n");
    process.wait_for_words(&["the configuration is taken over"]);
    assert!(!process.printed().contains("microseconds"), "nobody asked for the first");
    for (line, words) in [
        (format!("+notcp -t A {NGINX}"), [NGINX, "type=A", "transport=\"udp\"", "NOERROR", "answers=2"]),
        (format!("+tcp -t SRV {NGINX}"), [NGINX, "type=SRV", "transport=\"tcp\"", "NOERROR", "answers=2"]),
        (
            "+notcp -t AAAA gone.default.svc.cluster.local".into(),
            ["gone.default.", "type=AAAA", "client=127.0.0.1:", "NXDOMAIN", "answers=0"],
        ),
        (
            "-t HTTPS a\\010b.example".into(),
            ["a\\010b.example.", "type=HTTPS", "size=", "REFUSED", "microseconds="],
        ),
        (format!("+notcp +edns=1 -t A {NGINX}"), [NGINX, "type=A", "udp", "BADVERS", "answers=0"]),
    ] {
        ask(server, &line);
        process.wait_for_words(&words);
    }
    replace(&config, "");
    process.wait_for_words(&["the configuration is taken over"]);
    let lines = |process: &mut Process| process.printed().matches("microseconds").count();
    let before = lines(&mut process);
    ask(server, &format!("-t A {NGINX}"));
    process.signal("TERM");
    assert_eq!(process.end(std::time::Duration::from_secs(15)).0, 0);
    assert_eq!(lines(&mut process), before);
}
