//! The configuration: all its errors at once, and who wins.

use std::path::Path;

use super::asking::ask;
use super::manifests::{NGINX, nginx, text};
use super::process::{Finished, Process, rollcall, run, run_with};

fn check(folder: &Path, toml: &str) -> Finished {
    let config = folder.join("rollcall.toml");
    std::fs::write(&config, toml).unwrap();
    run(&["check", "--config", text(&config)])
}

#[test]
fn a_bad_configuration_lists_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let finished = check(
        folder.path(),
        "zone = 'a..b'\nlisten = ['x']\norder = 'up'\npods = 'some'\nptr = 'none'\nreverse = ['10.0.0.0/25']\n\
         [ttl]\npositive = 3601\nnegative = 4000\n[source]\npod_cidr = ['10.0.0.0']\nnamespaces = ['UP']\n\
         [upstream]\nservers = ['resolver.example.org']\n[limits]\ntcp_idle = 0\nupstream_timeout = 10\n",
    );
    assert_eq!(finished.code, 1);
    let keys = [
        "zone",
        "listen",
        "order",
        "pods",
        "ptr",
        "reverse",
        "ttl.positive",
        "ttl.negative",
        "source.pod_cidr",
        "source.namespaces",
        "upstream.servers",
        "limits.tcp_idle",
        "limits.upstream_timeout",
    ];
    assert!(finished.err.contains(&format!("{} error", keys.len())), "{}", finished.err);
    for key in keys {
        let named = finished.err.lines().any(|line| line.trim().starts_with(&format!("{key}: ")));
        assert!(named, "{key} in:\n{}", finished.err);
    }
    // `serve` says the same and does not start.
    let config = folder.path().join("rollcall.toml");
    let serve = run(&["serve", "--listen", "127.0.0.1:0", "--config", text(&config)]);
    assert_eq!(serve.code, 1);
    assert!(serve.err.contains("ttl.positive") && !serve.err.contains("listening"), "{}", serve.err);
}

#[test]
fn a_number_out_of_range_says_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let finished = check(folder.path(), "[limits]\ntcp_idle = 3601\n");
    assert!(finished.err.contains("limits.tcp_idle: 3601 is not from 1 to 3600 s"), "{}", finished.err);
}

#[test]
fn an_unknown_key_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (toml, key, line) in [
        ("zones = 'a'\n", "zones", "line 1"),
        ("[ttl]\npositiv = 3\n", "positiv", "line 2"),
        ("[limit]\n", "limit", "line 1"),
    ] {
        let finished = check(folder.path(), toml);
        assert_eq!(finished.code, 1, "{toml}");
        for word in ["rollcall.toml", key, line] {
            assert!(finished.err.contains(word), "{word} in: {}", finished.err);
        }
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let finished = run(&["check", "--config", "not-there.toml"]);
    assert_eq!(finished.code, 1);
    assert!(
        finished.err.contains("not-there.toml") && finished.err.contains("No such file"),
        "{}",
        finished.err
    );
}

#[test]
fn a_configuration_without_manifests_is_checked_alone() {
    let folder = tempfile::tempdir().unwrap();
    let finished = check(folder.path(), "zone = 'k8s.test'\n");
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{}", finished.out);
}

#[test]
fn paths_of_the_file_start_at_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("manifests")).unwrap();
    std::fs::write(folder.path().join("manifests/web.yaml"), nginx(1)).unwrap();
    let finished = check(folder.path(), "[source]\nmanifests = 'manifests'\n");
    assert_eq!(finished.code, 0, "{}", finished.err);
    assert!(finished.out.contains("1 Services"), "{}", finished.out);
}

/// The TTL of the first A record that `records` prints.
fn printed_ttl(args: &[&str], env: &[(&str, &str)]) -> String {
    let mut command = rollcall(args);
    command.envs(env.iter().copied());
    let finished = run_with(&mut command, "");
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{env:?}");
    let line = finished.out.lines().find(|line| line.contains("\tA\t")).unwrap();
    line.split('\t').nth(1).unwrap().to_owned()
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (config, manifests) = (folder.path().join("rollcall.toml"), folder.path().join("web.yaml"));
    std::fs::write(&manifests, nginx(1)).unwrap();
    std::fs::write(&config, "zone = 'file.test'\n[ttl]\npositive = 11\n[source]\nmanifests = 'web.yaml'\n")
        .unwrap();
    let from_file = ["records", "--config", text(&config)];
    let with_flag = ["records", "--config", text(&config), "--zone", "flag.test"];
    assert_eq!(printed_ttl(&from_file, &[]), "11");
    assert_eq!(printed_ttl(&from_file, &[("ROLLCALL_TTL_POSITIVE", "12")]), "12");

    let env = [("ROLLCALL_ZONE", "env.test")];
    for (args, env, zone) in [
        (from_file.as_slice(), [].as_slice(), "file.test."),
        (&from_file, &env, "env.test."),
        (&with_flag, &env, "flag.test."),
    ] {
        let finished = run_with(rollcall(args).envs(env.iter().copied()), "");
        assert!(finished.out.starts_with(zone), "{args:?} {env:?}: {}{}", finished.out, finished.err);
    }

    // The manifests of the environment, too, and --manifests over them.
    let env = [("ROLLCALL_SOURCE_MANIFESTS", "not-there.yaml")];
    assert_eq!(run_with(rollcall(&from_file).envs(env), "").code, 1);
    let args = [from_file.as_slice(), &["--manifests", text(&manifests)]].concat();
    assert_eq!(run_with(rollcall(&args).envs(env), "").code, 0);
}

#[test]
fn listen_of_the_command_line_replaces_that_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (config, manifests) = (folder.path().join("rollcall.toml"), folder.path().join("web.yaml"));
    std::fs::write(&manifests, nginx(1)).unwrap();
    // Nothing could be bound there: were it tried, the start would fail.
    std::fs::write(&config, "listen = ['192.0.2.1:53']\n").unwrap();
    let process = Process::serve(&["--config", text(&config), "--manifests", text(&manifests)]);
    assert_eq!(process.addresses().len(), 1);
    assert_eq!(ask(process.address(), &format!("-t A {NGINX}")).status, "NOERROR");
}

#[test]
fn a_wrong_value_in_the_environment_names_its_variable() {
    let finished = run_with(rollcall(&["check"]).envs([("ROLLCALL_TTL_POSITIVE", "5s")]), "");
    assert_eq!(finished.code, 1);
    assert!(
        finished.err.contains("ROLLCALL_TTL_POSITIVE") && finished.err.contains("5s"),
        "{}",
        finished.err
    );
    let finished = run_with(rollcall(&["check"]).envs([("ROLLCALL_TTL_POSITIVE", "3601")]), "");
    assert_eq!(finished.code, 1);
    assert!(finished.err.contains("ttl.positive"), "{}", finished.err);
}

#[test]
fn what_kubernetes_sets_beside_a_service_of_our_name_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("web.yaml");
    std::fs::write(&manifests, nginx(1)).unwrap();
    let env = [
        ("ROLLCALL_SERVICE_HOST", "10.96.0.5"),
        ("ROLLCALL_SERVICE_PORT", "53"),
        ("ROLLCALL_SERVICE_PORT_DNS", "53"),
        ("ROLLCALL_PORT", "udp://10.96.0.5:53"),
        ("ROLLCALL_PORT_53_UDP", "udp://10.96.0.5:53"),
        ("ROLLCALL_PORT_53_UDP_ADDR", "10.96.0.5"),
        ("ROLLCALL_PORT_53_UDP_PORT", "53"),
        ("ROLLCALL_PORT_53_UDP_PROTO", "udp"),
    ];
    let mut command = rollcall(&["check", "--manifests", text(&manifests)]);
    let finished = run_with(command.envs(env), "");
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{}", finished.out);
}
