//! What is run, written and signalled; what is held back; what is printed.

use std::fs::read_to_string;
use std::path::Path;
use std::process::Stdio;

use super::{Cluster, Follower, PATIENCE, PUSH, command, in_time, of_service};
use crate::behaviour::asking::{eventually, until_addresses};
use crate::behaviour::manifests::{NGINX, text};
use crate::behaviour::process::{Process, rollcall, run_with};

/// Until a file reads as it should.
fn until(path: &Path, wanted: &str) {
    eventually(&format!("{wanted:?} in {}", path.display()), || {
        let read = read_to_string(path).unwrap_or_default();
        if read == wanted { Ok(()) } else { Err(read) }
    });
}

fn names(count: u32) -> String {
    (0..count).map(|ordinal| format!("web-{ordinal}.nginx.default.svc.cluster.local\n")).collect()
}

#[test]
fn once_prints_a_list_and_ends() {
    let cluster = Cluster::new(2, PUSH);
    let run = |args: &[&str]| {
        let args = [args, &["--timeout", "200s"]].concat();
        run_with(&mut command(&cluster.server(), &args), "")
    };
    let finished = run(&["--once", "--output", "names"]);
    assert_eq!((finished.code, finished.out), (0, names(2)));
    let finished = run(&["--once", "-o", "names", "--ordinals"]);
    assert!(finished.out.starts_with("0 web-0.nginx."), "{}", finished.out);
    let finished = run(&["--once"]);
    let event: serde_json::Value = serde_json::from_str(&finished.out).unwrap();
    assert_eq!(
        (&event["event"], &event["service"], &event["self"]),
        (&"start".into(), &"nginx".into(), &"web-0".into())
    );
    // Its hook's code is its own.
    assert_eq!(run(&["--once", "-o", "none", "--on-start", "exit 5"]).code, 5);
    // Why there is none: as far as it came by the time that it has.
    let server = cluster.server();
    for (args, why) in [
        (&["--min-peers", "3"][..], "2 of 3 peers are there"),
        (&["--self", "web-7", "--require-self"], "web-7 is not among the 2 peers"),
    ] {
        let finished = in_time(|| command(&server, args), |finished| finished.err.contains(why));
        assert_eq!((finished.code, finished.out.as_str()), (1, ""), "{}", finished.err);
        assert!(finished.err.contains(why), "{}", finished.err);
    }
    let finished =
        in_time(|| command("127.0.0.1:1", &[]), |finished| finished.err.contains("no server says"));
    assert!(finished.code == 1 && finished.err.contains("no server says"), "{}", finished.err);
}

/// Whoever runs `--once` in front of something else is told that it never came to tell a list.
#[test]
fn once_that_is_ended_before_it_told_anything_has_the_signals_number() {
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let mut once = command("127.0.0.1:1", &["--once", "--timeout", "1h"]);
        let mut once = Process::spawn(&mut once, Stdio::null());
        once.wait_for_words(&["no server says"]);
        once.signal(name);
        assert_eq!(once.end(PATIENCE).0, code, "{name}");
    }
}

#[test]
fn a_bad_command_line_is_one() {
    let mut nameless = rollcall(&["peers", "--namespace", "default", "--server", "127.0.0.1:1"]);
    let finished = run_with(nameless.env_remove("SERVICE_NAME"), "");
    assert!(finished.code == 2 && finished.err.contains("which service?"), "{}", finished.err);
    for (service, args) in [("no.label", &[][..]), ("nginx", &["--once", "--listen", "0"])] {
        let finished = run_with(&mut of_service(service, "127.0.0.1:1", args), "");
        assert_eq!(finished.code, 2, "{service} {args:?}: {}", finished.err);
    }
    // A file that is not there is the machine's fault.
    let mut unread =
        command("127.0.0.1:1", &["--write", "x", "--format", "template", "--template", "/nowhere/template"]);
    assert_eq!(run_with(&mut unread, "").code, 1);
    #[cfg(feature = "tls")]
    assert_eq!(run_with(&mut command("127.0.0.1:1", &["--tls-ca", "/nowhere/ca.crt"]), "").code, 1);
}

/// While its hook runs, `--once` hears signals as it does without: the first waits for the hook, the second for nothing.
#[test]
fn once_is_told_to_end_while_its_hook_runs() {
    let cluster = Cluster::new(1, PUSH);
    let (begun, go) = (cluster.path("begun"), cluster.path("go"));
    let line =
        format!("touch {}; until [ -e {} ]; do sleep 0.02; done; exit 7", begun.display(), go.display());
    let start = || {
        let args = ["--once", "--timeout", "200s", "-o", "none", "--on-start", &line];
        let process = Process::spawn(&mut command(&cluster.server(), &args), std::process::Stdio::null());
        eventually("a hook that runs", || if begun.exists() { Ok(()) } else { Err("none".to_owned()) });
        process
    };
    let mut process = start();
    process.signal("TERM");
    process.wait_for_words(&["told to end"]);
    assert!(process.is_running(), "its hook is waited for");
    process.signal("INT");
    assert_eq!(process.end(PATIENCE).0, 1);
    std::fs::remove_file(&begun).unwrap();
    let mut process = start();
    process.signal("INT");
    process.wait_for_words(&["told to end"]);
    std::fs::write(&go, "").unwrap();
    assert_eq!(process.end(PATIENCE).0, 7, "its hook's code");
}

#[test]
fn hooks_run_for_the_start_and_for_each_change() {
    let cluster = Cluster::new(1, PUSH);
    let out = cluster.path("out");
    let line =
        |word: &str| format!("echo {word} $ROLLCALL_EVENT $ROLLCALL_ADDED >> {0}; cat >> {0}", out.display());
    let (start, change) = (line("a"), format!(r#"["sh", "-c", "{}"]"#, line("b")));
    let follower = Follower::start(&cluster.server(), &["--on-start", &start, "--on-change", &change]);
    let first = format!("a start web-0.nginx.default.svc.cluster.local\n{}", names(1));
    until(&out, &first);
    cluster.scale(2);
    until(&out, &format!("{first}b change web-1.nginx.default.svc.cluster.local\n{}", names(2)));
    assert_eq!(follower.terminate(), 0);
}

#[test]
fn a_hook_that_runs_is_waited_for_at_the_end() {
    let cluster = Cluster::new(1, PUSH);
    let (begun, go, done) = (cluster.path("begun"), cluster.path("go"), cluster.path("done"));
    let line = format!(
        "touch {}; until [ -e {} ]; do sleep 0.02; done; echo done > {}",
        begun.display(),
        go.display(),
        done.display()
    );
    let follower = Follower::start(&cluster.server(), &["--on-change", &line]);
    eventually("a hook that runs", || if begun.exists() { Ok(()) } else { Err("none".to_owned()) });
    let waiter = std::thread::spawn(move || {
        // Once it is told to end.
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::fs::write(go, "").unwrap();
    });
    assert_eq!(follower.terminate(), 0);
    waiter.join().unwrap();
    assert_eq!(read_to_string(done).unwrap(), "done\n");
}

#[test]
fn a_file_is_kept_and_its_reader_told() {
    let cluster = Cluster::new(2, PUSH);
    let (file, out, template) = (cluster.path("peers"), cluster.path("out"), cluster.path("template"));
    std::fs::write(&template, "{{#peers}}{{host}}{{^last}},{{/last}}{{/peers}} {{self}}\n").unwrap();
    // Its reader is a shell that says when it is told.
    let trap = format!("trap 'echo told >> {}' USR1; while :; do sleep 0.02; done", out.display());
    let mut reader = std::process::Command::new("sh").args(["-c", &trap]).spawn().unwrap();
    let pidfile = cluster.path("pid");
    std::fs::write(&pidfile, reader.id().to_string()).unwrap();
    // The trap has to stand before the first signal.
    eventually("a trap", || {
        let status = read_to_string(format!("/proc/{}/status", reader.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
        let caught = u64::from_str_radix(caught, 16).unwrap();
        if caught & 1 << 9 == 0 { Err(status) } else { Ok(()) }
    });
    let signal = format!("{}:USR1", pidfile.display());
    let args =
        ["--write", text(&file), "--format", "template", "--template", text(&template), "--signal", &signal];
    let follower = Follower::start(&cluster.server(), &args);
    until(&out, "told\n");
    assert_eq!(read_to_string(&file).unwrap(), "web-0,web-1 web-0\n");
    cluster.scale(3);
    until(&out, "told\ntold\n");
    assert_eq!(read_to_string(&file).unwrap(), "web-0,web-1,web-2 web-0\n");
    assert_eq!(follower.terminate(), 0);
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn half_a_cluster_is_held_back() {
    let cluster = Cluster::new(1, PUSH);
    let args = ["--min-peers", "2", "--require-self", "--self", "web-1"];
    let mut follower = Follower::start(&cluster.server(), &args);
    follower.hears_nothing();
    cluster.scale(3);
    assert_eq!(follower.next()["event"], "start");
    // Fewer again is not told either.
    cluster.scale(1);
    follower.hears_nothing();
    cluster.scale(2);
    assert_eq!(super::words(&follower.next(), "removed"), ["web-2"]);
}

#[test]
fn a_burst_is_one_change_with_a_debounce() {
    let cluster = Cluster::new(1, PUSH);
    // Long enough that a machine that has no time for us does not make two bursts of one.
    let mut follower = Follower::start(&cluster.server(), &["--debounce", "6s"]);
    follower.next();
    for replicas in [2, 3, 4, 5] {
        cluster.scale(replicas);
        until_addresses(cluster.address, NGINX, replicas as usize);
    }
    let change = follower.next();
    assert_eq!(super::words(&change, "added"), ["web-1", "web-2", "web-3", "web-4"], "{change:#?}");
    follower.hears_nothing();
}

#[test]
fn wrong_command_lines_are_said() {
    let cluster = Cluster::new(1, PUSH);
    for (args, word) in [
        (&["--server", "dns.example"][..], "is no server"),
        (&["--on-start", "[x]"], "no JSON array"),
        (&["--min-peers", "most"], "`all` or `quorum`"),
        (&["--debounce", "1d"], "500ms"),
        (&["--signal", "1:HUP"], "--write"),
        (&["--write", "x", "--format", "template"], "--template"),
        (&["--write", "x", "--signal", "x:NONE"], "one of HUP"),
        (&["--all", "--ready-only"], "cannot be used with"),
    ] {
        let finished = run_with(&mut command(&cluster.server(), args), "");
        assert!(finished.code == 2 && finished.err.contains(word), "{args:?}: {}", finished.err);
    }
    let template = cluster.path("template");
    std::fs::write(&template, "\n{{nonsense}}").unwrap();
    let args = ["--write", "x", "--format", "template", "--template", text(&template)];
    let finished = run_with(&mut command(&cluster.server(), &args), "");
    assert!(finished.code == 1 && finished.err.contains("line 2: `{{nonsense}}`"), "{}", finished.err);
}
