//! `rollcall watch --once`: what the live view shows, as text. The view itself is in tests/watch.sh, in a terminal.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::manifests::{documents, external, nginx, replace, text};
use super::process::{Process, rollcall, run, run_with};
use crate::support::scrape::local;
use crate::support::wait::eventually;

/// For what is published to be shown.
const PATIENCE: Duration = Duration::from_secs(240);

fn once(admin: &str, more: &[&str]) -> super::process::Finished {
    let args: Vec<&str> =
        ["watch", "--once", "--server", admin].into_iter().chain(more.iter().copied()).collect();
    run(&args)
}

fn admin_of(server: &mut Process) -> String {
    let printed = server.printed();
    printed.lines().find_map(|line| line.strip_prefix("listening admin ")).unwrap().to_owned()
}

#[test]
fn the_demo_is_shown_with_what_it_lacks() {
    let mut server = Process::serve(&["--manifests", "config/demo", "--admin", "127.0.0.1:0"]);
    let admin = admin_of(&mut server);
    let finished = once(&admin, &[]);
    // S5 of the demo has no governing Service.
    assert_eq!((finished.code, finished.err.as_str()), (1, ""), "{}", finished.out);
    let has = |line: &str| assert!(finished.out.lines().any(|l| l == line), "{line} in:\n{}", finished.out);
    has("default/web  3/3  RRR");
    assert!(finished.out.starts_with(&format!("rollcall fresh {admin}  cluster.local serial ")));
    assert!(finished.out.lines().any(|line| line.starts_with("  kubia-0 missing")), "{}", finished.out);
    assert!(
        finished.out.lines().any(|line| line.contains("kubia") && line.contains("serviceName")),
        "{}",
        finished.out
    );
    // Standard output is no terminal here: the same without --once.
    let piped = run(&["watch", "--server", &admin]);
    assert_eq!(piped.code, 1);
    assert!(piped.out.contains("default/web  3/3  RRR"));
    let other = once(&format!("http://{admin}/"), &["-n", "nowhere"]);
    assert_eq!(other.code, 0, "{}", other.out);
    assert!(other.out.contains("0 sets, 0 incomplete, 0/0 ready, namespace nowhere"), "{}", other.out);
}

#[test]
fn complete_is_zero_and_nobody_is_three() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nginx.yaml");
    replace(&file, &nginx(2));
    let mut server = Process::serve(&["--manifests", text(folder.path()), "--admin", "127.0.0.1:0"]);
    let finished = once(&admin_of(&mut server), &[]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{}", finished.out);
    assert!(finished.out.contains("  2/2  RR"), "{}", finished.out);
    let nobody = once("127.0.0.1:1", &[]);
    assert_eq!((nobody.code, nobody.out.as_str()), (3, ""));
    assert!(nobody.err.contains("http://127.0.0.1:1 does not answer"), "{}", nobody.err);
    for wrong in ["https://127.0.0.1:1", "127.0.0.1:1/api", ""] {
        assert_eq!(once(wrong, &[]).code, 2, "{wrong}");
    }
    assert_eq!(run(&["watch", "--twice"]).code, 2);
}

#[test]
fn a_token_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let (token, wrong) = (folder.path().join("token"), folder.path().join("wrong"));
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    std::fs::write(&wrong, "fedcba9876543210\n").unwrap();
    let config = folder.path().join("rollcall.toml");
    std::fs::write(&config, format!("[page]\ntoken_file = {:?}\n", text(&token))).unwrap();
    let mut server =
        Process::serve(&["--config", text(&config), "--manifests", "config/demo", "--admin", "127.0.0.1:0"]);
    let admin = admin_of(&mut server);
    assert_eq!(once(&admin, &["--token-file", text(&token)]).code, 1);
    // A pipe gives it once, and more than one question is asked.
    let mut piped = rollcall(&["watch", "--once", "--server", &admin, "--token-file", "/dev/stdin"]);
    let piped = run_with(&mut piped, "0123456789abcdef\n");
    assert_eq!((piped.code, piped.err.as_str()), (1, ""), "{}", piped.out);
    for more in [&[][..], &["--token-file", text(&wrong)]] {
        let refused = once(&admin, more);
        assert_eq!(refused.code, 3);
        assert!(refused.err.contains("says 401"), "{}", refused.err);
    }
}

#[test]
fn the_newest_of_many_changes_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.yaml");
    replace(&file, &nginx(1));
    let mut server = Process::serve(&["--manifests", text(folder.path()), "--admin", "127.0.0.1:0"]);
    let admin = admin_of(&mut server);
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(50));
        }
    };
    let services = || {
        let zone: serde_json::Value =
            serde_json::from_str(&local(admin.parse().unwrap(), "/api/v1/zone").body).unwrap();
        zone["services"].as_u64().unwrap()
    };
    // Of a publish 256 services are told one by one: more than 1,000 changes, which is the most that one answer has.
    let many: Vec<String> = (0..250).map(|number| external(&format!("s-{number}"), "example.org")).collect();
    let many = documents(&[nginx(1), documents(&many)]);
    for round in 0..5 {
        let (written, expected) = if round % 2 == 0 { (many.clone(), 251) } else { (nginx(1), 1) };
        replace(&file, &written);
        wait("it is published", &|| services() == expected);
    }
    replace(&folder.path().join("newest.yaml"), &external("newest", "example.org"));
    wait("the newest change is shown", &|| once(&admin, &[]).out.contains("Service newest is there"));
    // And none of elsewhere where a namespace is looked at.
    assert!(!once(&admin, &["-n", "shop"]).out.contains("Service"));
}

#[test]
fn the_code_is_of_all_sets_however_many() {
    let folder = tempfile::tempdir().unwrap();
    let set = |number: u32| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: a-{number}}}\nspec: {{serviceName: nginx, replicas: 0}}\n"
        )
    };
    // Behind as many as a screen asks for.
    let last = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: z}\nspec: {serviceName: gone, replicas: 1}\n";
    let sets: Vec<String> = (0..5000).map(set).chain([last.to_owned()]).collect();
    replace(&folder.path().join("sets.yaml"), &documents(&[nginx(0), documents(&sets)]));
    let mut server = Process::serve(&["--manifests", text(folder.path()), "--admin", "127.0.0.1:0"]);
    // A server that has no time for so many says so, and is asked again.
    let admin = admin_of(&mut server);
    let finished = eventually("an answer", || match once(&admin, &[]) {
        finished if finished.code == 3 => Err(finished.err),
        finished => Ok(finished),
    });
    assert_eq!((finished.code, finished.err.as_str()), (1, ""));
    assert!(
        finished.out.lines().any(|line| line == "5002 sets, 1 incomplete, 0/1 ready"),
        "{}",
        finished.out
    );
}

#[test]
fn who_has_read_enough_is_told_the_code() {
    let mut server = Process::serve(&["--manifests", "config/demo", "--admin", "127.0.0.1:0"]);
    let admin = admin_of(&mut server);
    let (nobody, pipe) = std::io::pipe().unwrap();
    drop(nobody);
    let status =
        rollcall(&["watch", "--once", "--server", &admin]).stdout(pipe).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(1), "a set of the demo lacks its Service");
}

#[test]
fn a_server_s_words_do_not_steer_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let words = format!("{{\"error\": \"\\u001b[2J\\u009b\\u202e\\u2066\\r{}\"}}", "x".repeat(10_000));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The head of a question is small: it comes at once.
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let length = words.len();
        write!(stream, "HTTP/1.1 500 No\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{words}")
            .unwrap();
    });
    let finished = once(&address, &[]);
    assert_eq!((finished.code, finished.out.as_str()), (3, ""));
    let line = finished.err.strip_suffix('\n').unwrap();
    assert!(line.starts_with(&format!("rollcall: http://{address} says 500: \u{fffd}[2J\u{fffd}")), "{line}");
    let is_steering = |char: char| char.is_control() || "\u{202e}\u{2066}".contains(char);
    assert!(!line.contains(is_steering) && line.chars().count() < 400, "{line}");
}
