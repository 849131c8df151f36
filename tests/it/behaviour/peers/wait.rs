//! `rollcall wait`: when it ends, and what it says until then.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use super::relay::{Manner, Relay};
use super::{Cluster, PATIENCE, PUSH};
use crate::behaviour::asking::until_addresses;
use crate::behaviour::manifests::{documents, nginx, service_with, stateful};
use crate::behaviour::process::{Finished, Process, rollcall, run_with};

/// The command, in a pod that says nothing of itself but its host name.
fn command(service: &str, server: &str, args: &[&str]) -> Command {
    let first = ["wait", "--service", service, "--namespace", "default", "--server", server];
    let mut command = rollcall(&[&first[..], args].concat());
    for key in ["POD_NAME", "POD_NAMESPACE", "SERVICE_NAME", "POD_IP", "POD_IPS"] {
        command.env_remove(key);
    }
    command.env("HOSTNAME", "web-0");
    command
}

/// For as long as it takes.
fn start(server: &str, args: &[&str]) -> Process {
    Process::spawn(&mut command("nginx", server, &[args, &["--timeout", "0"]].concat()), Stdio::null())
}

fn run(server: &str, args: &[&str]) -> Finished {
    run_with(&mut command("nginx", server, args), "")
}

/// Within ever longer times, until it knows what to say at their end: that, and the time.
fn in_time(server: &str, args: &[&str], said: &str) -> (Finished, &'static str) {
    let run = |time: &&'static str| (run(server, &[args, &["--timeout", time]].concat()), *time);
    let mut all = ["2s", "8s", "60s"].iter().map(run);
    all.find(|(finished, _)| finished.err.contains(said)).unwrap_or_else(|| panic!("never: {said}"))
}

/// It ends well; all that it said.
fn ends_well(mut process: Process) -> String {
    let (code, _) = process.end(PATIENCE);
    // What is said last may be read after the end.
    if code == 0 {
        process.wait_for_words(&[" s: there"]);
    }
    assert_eq!(code, 0, "{}", process.printed());
    process.printed()
}

/// The set `web` of `replicas`, as an API server has it: ordinal, address and readiness of those that have endpoints.
fn live(replicas: u32, endpoints: &[(u32, &str, bool)]) -> String {
    let spec = "{clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}]}";
    let set = format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: web, uid: a}}\nspec: {{serviceName: nginx, replicas: \
         {replicas}, template: {{metadata: {{labels: {{app: nginx}}}}}}}}\n"
    );
    let mut all = vec![service_with("nginx", spec), set];
    for (family, is_ours) in [("IPv4", false), ("IPv6", true)] {
        let metadata = format!(
            "{{name: nginx-{}, uid: {family}, labels: {{kubernetes.io/service-name: nginx}}}}",
            family.to_lowercase()
        );
        let mut slice = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {metadata}\naddressType: {family}\n\
             ports: [{{name: web, port: 80}}]\nendpoints:\n"
        );
        let of_family = endpoints.iter().filter(|(_, address, _)| address.contains(':') == is_ours);
        for (ordinal, address, ready) in of_family {
            let _ = writeln!(
                slice,
                "- {{addresses: ['{address}'], hostname: web-{ordinal}, conditions: {{ready: {ready}}}}}"
            );
        }
        if slice.contains("- {") {
            all.push(slice);
        }
    }
    documents(&all)
}

fn ends_with_the_last_peer(cluster: &Cluster, server: &str) {
    let mut waiting = start(server, &["--min-peers", "3", "--interval", "100ms"]);
    waiting.wait_for_words(&["waiting for 3 peers: nginx.default.svc.cluster.local"]);
    waiting.wait_for_words(&["1 of 3 peers are there"]);
    assert!(waiting.is_running());
    cluster.scale(3);
    let said = ends_well(waiting);
    assert!(said.ends_with("there; the peers are web-0 web-1 web-2"), "{said}");
    // Who comes later waits for nothing.
    assert_eq!(run(server, &["--min-peers", "all", "--ordinal", "0,2", "--timeout", "0"]).code, 0);
}

#[test]
fn it_ends_with_the_last_peer_by_push() {
    let cluster = Cluster::new(1, PUSH);
    ends_with_the_last_peer(&cluster, &cluster.server());
}

#[test]
fn it_ends_with_the_last_peer_by_the_serial() {
    let cluster = Cluster::new(1, "");
    ends_with_the_last_peer(&cluster, &cluster.server());
}

#[test]
fn it_ends_with_the_last_peer_by_polling() {
    let cluster = Cluster::new(1, "");
    let relay = Relay::start(cluster.address);
    ends_with_the_last_peer(&cluster, &relay.address.to_string());
}

#[test]
fn who_is_missing_is_said_with_the_servers_reason() {
    let cluster = Cluster::new(0, PUSH);
    cluster.apply(&live(2, &[(0, "10.1.0.1", true), (1, "10.1.0.2", false)]));
    until_addresses(cluster.address, "web-0.nginx.default.svc.cluster.local", 1);
    let server = cluster.server();
    for args in [&["--min-peers", "all"][..], &["--min-peers", "quorum"], &["--ordinal", "1"]] {
        let mut waiting = start(&server, args);
        let line = waiting.wait_for_words(&["web-1: NXDOMAIN: web-1 is not ready"]);
        assert!(line.contains(" s: "), "{line}");
        assert!(waiting.is_running());
    }
    // The last line of all says the same, and it is the only one where nothing else is to be said.
    let missing = "1 of 2 peers are there; missing web-1: NXDOMAIN: web-1 is not ready";
    let (finished, time) = in_time(&server, &["--min-peers", "all", "--quiet"], missing);
    assert_eq!((finished.code, finished.out.as_str()), (1, ""), "{}", finished.err);
    let expected = format!("rollcall: not within {} s: {missing}", time.trim_end_matches('s'));
    assert!(finished.err.starts_with(&expected) && finished.err.lines().count() == 1, "{}", finished.err);
    let all = start(&server, &["--min-peers", "all"]);
    let ordinal = start(&server, &["--ordinal", "1", "--ordinal", "0"]);
    cluster.apply(&live(2, &[(0, "10.1.0.1", true), (1, "10.1.0.2", true)]));
    ends_well(all);
    ends_well(ordinal);
}

#[test]
fn what_is_said_is_said_again_and_at_the_end() {
    let cluster = Cluster::new(1, PUSH);
    let mut waiting = start(&cluster.server(), &["--min-peers", "2"]);
    waiting.wait_for_words(&[" s: 1 of 2 peers are there"]);
    // What comes next is that it still is so: nothing is said twice for nothing.
    let next = waiting.wait_for_words(&["1 of 2 peers are there"]);
    assert!(next.ends_with(" s: still 1 of 2 peers are there"), "{next}");
    let (finished, time) = in_time(&cluster.server(), &["--min-peers", "2"], "s: 1 of 2 peers are there");
    assert_eq!((finished.code, finished.out.as_str()), (1, ""));
    let seconds = time.trim_end_matches('s');
    let last = format!("rollcall: not within {seconds} s: 1 of 2 peers are there");
    assert_eq!(finished.err.lines().last(), Some(last.as_str()), "{}", finished.err);
}

#[test]
fn a_replica_of_a_service_with_an_address_of_its_own_answers() {
    let cluster = Cluster::new(1, PUSH);
    let redis = stateful("redis-svc", "redis-sts", 2).replace("clusterIP: None", "clusterIP: 10.96.0.9");
    let server = cluster.server();
    let mut command = command("redis-svc", &server, &["--ordinal", "1", "--timeout", "0"]);
    let waiting = Process::spawn(&mut command, Stdio::null());
    cluster.apply(&documents(&[nginx(1), redis]));
    ends_well(waiting);
}

fn ends_when_our_name_is_ours(config: &'static str) {
    let cluster = Cluster::new(0, config);
    let gives = |v4: &str, v6: &str| cluster.apply(&live(1, &[(0, v4, true), (0, v6, true)]));
    gives("10.1.0.1", "fd00::1");
    until_addresses(cluster.address, "web-0.nginx.default.svc.cluster.local", 1);
    let server = cluster.server();
    let mut command = command("nginx", &server, &["--self-address", "--interval", "100ms", "--timeout", "0"]);
    let mut waiting = Process::spawn(command.env("POD_IPS", "10.1.0.2,fd00::2"), Stdio::null());
    waiting.wait_for_words(&["waiting for web-0 to give 10.1.0.2 fd00::2"]);
    waiting.wait_for_words(&["web-0 gives 10.1.0.1 fd00::1 and should give 10.1.0.2 fd00::2"]);
    // One family is right and the other is still our predecessor's.
    gives("10.1.0.2", "fd00::1");
    waiting.wait_for_words(&["web-0 gives 10.1.0.2 fd00::1 and"]);
    // Ours, and our predecessor's beside it.
    cluster.apply(&live(1, &[(0, "10.1.0.2", true), (0, "10.1.0.1", true), (0, "fd00::2", true)]));
    waiting.wait_for_words(&["web-0 gives 10.1.0.1 10.1.0.2 fd00::2 and"]);
    assert!(waiting.is_running());
    gives("10.1.0.2", "fd00::2");
    ends_well(waiting);
    // A name that has one of our two families is ours.
    cluster.apply(&live(1, &[(0, "10.1.0.2", true)]));
    let addresses = ["--self-address", "--address", "10.1.0.2,fd00::2"];
    ends_well(start(&server, &addresses));
    assert_eq!(run(&server, &["--self-address", "--address", "10.1.0.3", "--timeout", "1s"]).code, 1);
}

#[test]
fn our_own_name_gives_our_own_address_by_push() {
    ends_when_our_name_is_ours(PUSH);
}

#[test]
fn our_own_name_gives_our_own_address_by_the_serial() {
    ends_when_our_name_is_ours("");
}

#[test]
fn a_service_that_comes_later_is_waited_for() {
    let cluster = Cluster::new(1, PUSH);
    let mut command = command("db", &cluster.server(), &["--timeout", "0"]);
    let mut waiting = Process::spawn(&mut command, Stdio::null());
    waiting.wait_for_words(&["0 of 1 peers are there; the service: NXDOMAIN"]);
    assert!(waiting.is_running());
    cluster.apply(&documents(&[nginx(1), stateful("db", "db", 1)]));
    ends_well(waiting);
}

#[test]
fn a_server_that_comes_later_is_waited_for() {
    let mut cluster = Cluster::new(2, PUSH);
    cluster.kill();
    let server = cluster.server();
    let mut waiting = start(&server, &["--min-peers", "2"]);
    waiting.wait_for_words(&[&server, "refused"]);
    cluster.start();
    ends_well(waiting);
    // The timeout's line says so as well; before anything is known, that nothing is.
    cluster.kill();
    let finished = run(&server, &["--quiet", "--timeout", "100ms"]);
    assert!(
        finished.code == 1 && finished.err.starts_with("rollcall: not within 0.1 s: "),
        "{}",
        finished.err
    );
}

#[test]
fn no_answer_of_an_outage_ends_it() {
    let cluster = Cluster::new(1, "");
    for (manner, why) in [
        (Manner::Failing, "answers SERVFAIL"),
        (Manner::Hearsay, "the service: NXDOMAIN without authority"),
        (Manner::Stale, "the service: NXDOMAIN from stale data: Extended DNS Error 19"),
        (Manner::Dark, "does not answer"),
    ] {
        let relay = Relay::start(cluster.address);
        relay.behave(manner);
        let server = relay.address.to_string();
        // None is little to ask for, and more than an outage says.
        let mut of_none = start(&server, &["--min-peers", "0", "--interval", "100ms"]);
        let mut of_one = start(&server, &["--interval", "100ms"]);
        for waiting in [&mut of_none, &mut of_one] {
            waiting.wait_for_words(&[why]);
            assert!(waiting.is_running(), "{manner:?}");
        }
        relay.behave(Manner::Honest);
        ends_well(of_none);
        ends_well(of_one);
    }
}

#[test]
fn what_was_known_before_an_outage_does_not_end_it() {
    let mut cluster = Cluster::new(1, PUSH);
    let server = cluster.server();
    let mut waiting = start(&server, &["--min-peers", "2"]);
    waiting.wait_for_words(&["1 of 2 peers are there"]);
    cluster.kill();
    waiting.wait_for_words(&["who the peers are is not known just now: ", &server]);
    cluster.scale(2);
    cluster.start();
    ends_well(waiting);
}

#[test]
fn a_signal_ends_it_with_its_number() {
    let cluster = Cluster::new(1, PUSH);
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let mut waiting = start(&cluster.server(), &["--min-peers", "2"]);
        waiting.wait_for_words(&["waiting for"]);
        waiting.signal(name);
        assert_eq!(waiting.end(PATIENCE).0, code, "{name}");
    }
}

#[test]
fn a_bad_command_line_is_one() {
    for args in [
        &["--min-peers", "some"][..],
        &["--ordinal", "-1"],
        &["--address", "10.0.0.1"],
        &["--self-address", "--address", "web-0"],
        &[
            "--self-address",
            "--self",
            "not.one.label.but-many-more-octets-than-a-label-has-which-is-sixty-three-of-them",
        ],
        &["--timeout", "soon"],
        &["--once"],
    ] {
        let finished = run("127.0.0.1:1", args);
        assert_eq!(finished.code, 2, "{args:?}: {}", finished.err);
    }
    let mut nameless = rollcall(&["wait", "--namespace", "default", "--server", "127.0.0.1:1"]);
    let finished = run_with(nameless.env_remove("SERVICE_NAME"), "");
    assert!(finished.code == 2 && finished.err.contains("which service?"), "{}", finished.err);
    // A file that is not there is the machine's fault.
    #[cfg(feature = "tls")]
    assert_eq!(run("127.0.0.1:1", &["--tls-ca", "/nowhere/ca.crt"]).code, 1);
}
