//! `records` and `check` of a live cluster: once, and within a minute.

use std::net::SocketAddr;
use std::thread;

use serde_json::json;

use super::fake::{Answer, Api};
use super::objects::{NAMESPACES, SERVICES, SETS, SLICES, service};
use super::program::{finished, rollcall, write_kubeconfig};

/// Runs a command on a server's cluster: its code, standard output and error, and seconds.
fn run(command: &str, server: SocketAddr) -> (i32, String, String, f32) {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    write_kubeconfig(&kubeconfig, server, "t");
    let (code, out, err, took) = finished(rollcall(&[command, "--kubeconfig"]).arg(&kubeconfig));
    (code, out, err, took.as_secs_f32())
}

#[test]
fn they_print_what_is_there_and_end() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1", "10.0.0.2"]);
    api.put(
        SERVICES,
        service("default", "alias", json!({"type": "ExternalName", "externalName": "example.org"})),
    );
    let (code, out, err, _) = run("records", api.address);
    assert_eq!(code, 0, "{err}");
    for (owner, data) in
        [("web-0.a.default", "10.0.0.1"), ("web-1.a.default", "10.0.0.2"), ("alias", "example.org.")]
    {
        assert!(out.lines().any(|line| line.starts_with(owner) && line.ends_with(data)), "{owner}\n{out}");
    }
    let (code, out, err, _) = run("check", api.address);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("2 Services, 1 EndpointSlices"), "{out}");
    assert!(out.contains("0 errors"), "{out}");
}

#[test]
fn check_names_what_is_wrong() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.put(
        SERVICES,
        service("default", "alias", json!({"type": "ExternalName", "externalName": "10.0.0.9"})),
    );
    let (code, out, err, _) = run("check", api.address);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("error: Service default/alias: spec.externalName"), "{out}");
    let (code, out, err, _) = run("records", api.address);
    assert!(code == 0 && out.contains("10.0.0.1") && err.contains("default/alias"), "{out}{err}");
}

/// What may not be listed is said with what is not looked for; nothing is said to be missing for want of it.
#[test]
fn check_says_what_it_may_not_list() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let set = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"serviceName": "b",
        "template": {"metadata": {"labels": {"app": "a"}}}}});
    api.put(SETS, set);
    let (code, out, err, _) = run("check", api.address);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("error: StatefulSet default/web: spec.serviceName: no Service b"), "{out}");

    api.always(SLICES, Answer::status(403, "Forbidden"));
    let (_, out, _, _) = run("check", api.address);
    let skipped = out.lines().find(|line| line.starts_with("skipped: EndpointSlices cannot be listed"));
    assert!(skipped.is_some_and(|line| line.contains("family-without-endpoints")), "{out}");

    // Without Services nothing can be said at all.
    api.always(SERVICES, Answer::status(403, "Forbidden"));
    let (code, out, err, _) = run("check", api.address);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("Services: ") && err.contains("cannot be listed"), "{err}");
}

/// What the commands wait is a minute.
#[test]
#[ignore = "takes a minute: cargo test --test it api::commands -- --ignored"]
fn a_server_that_cannot_list_is_named_within_a_minute() {
    let silent = Api::start();
    let forbidden = Api::start();
    let gone = Api::start().address;
    for path in [SERVICES, SLICES, SETS, NAMESPACES] {
        silent.always(path, Answer::Never);
    }
    forbidden.always(SERVICES, Answer::status(403, "Forbidden"));
    let runs = [
        ("records", silent.address, "no answer within"),
        ("check", silent.address, "no answer within"),
        ("records", gone, "refused"),
        ("records", forbidden.address, "403"),
    ];
    let runs = runs.map(|(command, server, why)| {
        thread::spawn(move || {
            let (code, out, err, seconds) = run(command, server);
            assert_eq!(code, 1, "{command} {why}: {out}{err}");
            assert!(seconds < 65.0, "{command} {why}: {seconds} s");
            assert!(err.contains(why) && err.contains("Services"), "{command} {why}: {err}");
            assert!(out.is_empty(), "{command} {why}: {out}");
        })
    });
    runs.into_iter().for_each(|run| run.join().unwrap());
}
