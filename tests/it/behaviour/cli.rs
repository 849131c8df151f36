//! The command line itself: help, completions, the manual, closed pipes, errors at the start.

use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;

use super::asking::{ask, until_addresses};
use super::manifests::{NGINX, nginx, replace, stateful, text};
use super::process::{Process, rollcall, run, run_with};

const SOURCE_FLAGS: [&str; 9] = [
    "--config",
    "--manifests",
    "--kubeconfig",
    "--context",
    "--namespace",
    "--label-selector",
    "--pod-cidr",
    "--service-cidr",
    "--zone",
];

/// What is no text is said as any other wrong word is.
#[test]
fn arguments_that_are_no_text_are_errors_of_the_command_line() {
    use std::os::unix::ffi::OsStrExt as _;
    let word = std::ffi::OsStr::from_bytes(b"web-\xff");
    for line in [
        &[][..],
        &["serve", "--context"],
        &["check", "--context"],
        &["records", "--zone"],
        &["explain"],
        &["watch", "--namespace"],
        &["peers", "--service"],
        &["peers", "--service", "web", "--on-change"],
        &["peers", "-service", "web", "-on-change"],
        &["peers", "-service=web", "-on-change=true"],
        &["completions"],
    ] {
        let finished = run_with(rollcall(line).arg(word), "");
        assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{line:?}: {}", finished.err);
        assert!(!finished.err.contains("panicked") && !finished.err.is_empty(), "{line:?}: {}", finished.err);
    }
    let finished = run_with(rollcall(&["peers", "-service=web"]).arg(word), "");
    assert!(
        finished.err.starts_with("invalid UTF-8 in an argument: \"web-\\xFF\"\nusage:"),
        "{}",
        finished.err
    );
}

#[test]
fn every_help_names_its_flags() {
    let top = run(&["--help"]);
    assert_eq!((top.code, top.err.as_str()), (0, ""));
    for word in [
        "serve",
        "check",
        "records",
        "explain",
        "peers",
        "wait",
        "completions",
        "man",
        "demo.toml",
        "ROLLCALL_LOG",
    ] {
        assert!(top.out.contains(word), "{word} in:\n{}", top.out);
    }
    for (command, own) in [
        ("serve", [&["--listen", "--admin", "SIGTERM", "SIGHUP"], SOURCE_FLAGS.as_slice()].concat()),
        ("check", [&["Exit codes"], SOURCE_FLAGS.as_slice()].concat()),
        ("records", [&["--reverse"], SOURCE_FLAGS.as_slice()].concat()),
        (
            "explain",
            [&["--server", "--token-file", "--output", "Exit codes"], SOURCE_FLAGS.as_slice()].concat(),
        ),
        ("watch", vec!["--server", "--token-file", "--namespace", "--once", "Exit codes"]),
        ("peers", vec!["--service", "--server", "--on-change", "--listen", "--self", "Exit codes"]),
        (
            "wait",
            vec![
                "--service",
                "--server",
                "--min-peers",
                "--ordinal",
                "--self-address",
                "--timeout",
                "Exit codes",
            ],
        ),
        ("completions", vec!["bash", "zsh", "fish"]),
        ("man", vec!["--dir"]),
    ] {
        for help in ["--help", "-h"] {
            let finished = run(&[command, help]);
            assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{command}");
            let flags = own.iter().filter(|flag| help == "--help" || flag.starts_with("--"));
            for flag in flags {
                assert!(
                    finished.out.contains(flag),
                    "{command} {help} does not say {flag}:\n{}",
                    finished.out
                );
            }
        }
        // No flag goes without a word about it.
        let long = run(&[command, "--help"]).out;
        let lines: Vec<&str> = long.lines().collect();
        for (index, flag) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("--"))
        {
            let about = lines.get(index + 1).map_or("", |line| line.trim());
            assert!(!about.is_empty() || flag.trim().contains("  "), "{command}: {flag} is not explained");
        }
    }
}

/// The flags of a source are those of `serve`, and mean something else where a server is asked.
#[test]
fn the_help_of_explain_says_whom_it_asks() {
    let help = run(&["explain", "--help"]).out.split_whitespace().collect::<Vec<_>>().join(" ");
    for says in [
        "Without --manifests, --kubeconfig, --context and --config no cluster is read and a running server is asked",
        "-n, --namespace <NAME> The namespace of the pod that asks: its search path completes short names",
        "--label-selector <SELECTOR> Only Services with these labels, as in `kubectl -l`; not with a running server",
        "--zone <ZONE> The cluster domain [default: cluster.local]; not with a running server",
        "Where neither it nor a flag names a cluster: that of the files that KUBECONFIG names",
    ] {
        assert!(help.contains(says), "it does not say `{says}`:\n{help}");
    }
    for of_serve in ["Without any source", "is followed while it changes"] {
        assert!(!help.contains(of_serve), "{help}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let finished = run(&["--version"]);
    assert_eq!((finished.code, finished.out.trim()), (0, concat!("rollcall ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn completions_know_every_subcommand_and_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let finished = run(&["completions", shell]);
        assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{shell}");
        for word in [
            "serve",
            "check",
            "records",
            "wait",
            "completions",
            "man",
            "manifests",
            "self-address",
            "reverse",
            "label-selector",
        ] {
            assert!(finished.out.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "unheard"]).code, 2);
}

#[test]
fn the_manual_is_printed_and_written() {
    let finished = run(&["man"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""));
    assert!(finished.out.contains(".TH rollcall 1"), "{}", finished.out);
    let folder = tempfile::tempdir().unwrap();
    let finished = run(&["man", "--dir", text(folder.path())]);
    assert_eq!(finished.code, 0, "{}", finished.err);
    for page in [
        "rollcall",
        "rollcall-serve",
        "rollcall-check",
        "rollcall-records",
        "rollcall-explain",
        "rollcall-watch",
        "rollcall-peers",
        "rollcall-wait",
    ] {
        let written = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        // The first lists commands, the last three take no configuration.
        let is_bare = ["rollcall", "rollcall-watch", "rollcall-peers", "rollcall-wait"].contains(&page);
        assert!(written.contains(".TH") && (written.contains("config") || is_bare), "{page}: {written}");
    }
    let missing = run(&["man", "--dir", text(&folder.path().join("missing"))]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("missing"), "{}", missing.err);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    // More than the pipe takes in.
    std::fs::write(&path, nginx(2000)).unwrap();
    for args in [
        ["records", "--manifests", text(&path)].as_slice(),
        &["records", "--reverse", "--manifests", text(&path)],
        &["check", "--manifests", text(&path)],
        &["man"],
        &["completions", "zsh"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = rollcall(args);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        // It holds a writer of the pipe, too.
        drop(command);
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_server_outlives_the_reader_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(2)).unwrap();
    let mut process = Process::serve_deaf(&["--manifests", text(folder.path())]);
    until_addresses(process.address(), NGINX, 2);
    for replicas in [3, 4] {
        replace(&path, &nginx(replicas));
        until_addresses(process.address(), NGINX, replicas as usize);
    }
    process.signal("TERM");
    assert_eq!(process.end(std::time::Duration::from_secs(5)).0, 0);
}

#[test]
fn serve_without_a_source_says_so_and_names_the_demo() {
    let finished = run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(finished.code, 1);
    assert!(finished.err.contains("--manifests"), "{}", finished.err);
    assert!(finished.err.contains("rollcall serve --config config/demo.toml"), "{}", finished.err);
    assert!(!finished.err.contains("listening"), "{}", finished.err);
}

#[test]
fn serve_with_manifests_that_are_not_there_ends() {
    let finished = run(&["serve", "--listen", "127.0.0.1:0", "--manifests", "not-there.yaml"]);
    assert_eq!(finished.code, 1);
    assert!(finished.err.contains("not-there.yaml") && !finished.err.contains("ready"), "{}", finished.err);
}

#[test]
fn a_port_in_use_is_named_with_its_transport() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(2)).unwrap();
    let start = |address: &str| run(&["serve", "--manifests", text(&path), "--listen", address]);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    // The TCP port of the same number may be another test's by now: then one more.
    let mut of_udp = (0..10).map(|_| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap().to_string();
        (start(&address), address)
    });
    let of_udp = of_udp.find(|(finished, _)| !finished.err.contains("tcp")).unwrap();
    let of_tcp = tcp.local_addr().unwrap().to_string();
    for (transport, (finished, address)) in [("udp", of_udp), ("tcp", (start(&of_tcp), of_tcp))] {
        assert_eq!(finished.code, 1);
        for word in [address.as_str(), transport, "in use"] {
            assert!(finished.err.contains(word), "{word} in: {}", finished.err);
        }
    }
}

#[test]
fn a_second_server_on_the_same_port_ends_and_the_first_answers_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("web.yaml"), folder.path().join("other.yaml"));
    std::fs::write(&path, nginx(2)).unwrap();
    std::fs::write(&other, stateful("other", "x", 1)).unwrap();
    let first = Process::serve(&["--manifests", text(&path)]);
    let address = first.address().to_string();
    let server = first.address();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| run(&["serve", "--manifests", text(&other), "--listen", &address]));
        // From a port of its own each: the kernel gives the second none of them, not for a moment.
        while !second.is_finished() {
            assert_eq!(ask(server, &format!("-t A {NGINX}")).sections[0].len(), 2);
        }
        let second = second.join().unwrap();
        assert_eq!(second.code, 1);
        assert!(second.err.contains(&address) && second.err.contains("in use"), "{}", second.err);
    });
    assert_eq!(ask(server, &format!("-t A {NGINX}")).sections[0].len(), 2);
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(2)).unwrap();
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    let finished = run(&["serve", "--manifests", text(&path), "--listen", "192.0.2.1:0"]);
    assert_eq!(finished.code, 1);
    assert!(finished.err.contains("192.0.2.1"), "{}", finished.err);
}
