//! `rollcall peers` while what it is told by, or what that is told by, is away: the server restarted, the API server
//! killed, the network between sidecar and server cut. Nobody is said to have left, and no change is missed at the end.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::api::SecondApi;
use super::bare;
use super::proxy::{Cut, Proxy};
use super::scene::{service, slice};
use crate::support::{
    ControlPlane, Namespace, Process, Rollcall, free_port, rollcall_program, wait_until, work_folder,
};

/// How long a sidecar may take to know again: it asks at most 5 s apart, on a machine that does other things.
const KNOWN: Duration = Duration::from_secs(60);
/// How soon it says that it knows nothing just now.
const STALE: Duration = Duration::from_secs(30);

/// A `rollcall peers` of the service `db`, and all that it told.
struct Sidecar {
    name: &'static str,
    process: Process,
}

impl Sidecar {
    fn start(name: &'static str, namespace: &Namespace<'_>, server: &str) -> Self {
        let mut command = Command::new(rollcall_program());
        command.args(["peers", "--service", "db", "--namespace", namespace.name(), "--server", server]);
        let log = work_folder().join(format!("peers-{name}-{}.log", namespace.name()));
        Self { name, process: Process::start("peers", &command, &log) }
    }

    fn events(&self) -> Vec<Value> {
        self.process.assert_running();
        let printed = self.process.printed();
        // The log is beside the events; a line that is half written is not one yet.
        let lines =
            printed.split_inclusive('\n').filter(|line| line.starts_with('{') && line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The newest list.
    fn list(&self) -> Option<(BTreeSet<String>, bool)> {
        let events = self.events();
        let last = events.last()?;
        let peers = last["peers"].as_array().unwrap().iter();
        let addresses = peers.flat_map(|peer| peer["addresses"].as_array().unwrap());
        let addresses = addresses.map(|address| address.as_str().unwrap().to_owned()).collect();
        Some((addresses, !last["stale"].is_null()))
    }

    fn knows(&self, what: &str, addresses: &[Ipv4Addr]) {
        let wanted = addresses.iter().map(Ipv4Addr::to_string).collect();
        wait_until(&format!("{what}: {} knows {wanted:?}", self.name), KNOWN, || match self.list() {
            Some((addresses, false)) if addresses == wanted => Ok(()),
            other => Err((other, self.process.printed())),
        });
    }

    /// It says that its list is stale, and keeps it.
    fn is_stale_with(&self, what: &str, addresses: &[Ipv4Addr]) {
        let wanted: BTreeSet<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
        wait_until(&format!("{what}: {} is stale", self.name), STALE, || match self.list() {
            Some((addresses, true)) if addresses == wanted => Ok(()),
            other => Err(other),
        });
    }

    /// What was never told at all.
    fn never_empty(&self) {
        let events = self.events();
        let is_empty = |event: &&Value| event["peers"].as_array().unwrap().is_empty();
        assert_eq!(events.iter().find(is_empty), None, "{}: everybody left?", self.name);
        println!("{}: {} events, never an empty list", self.name, events.len());
    }

    fn told(&self) -> usize {
        self.events().iter().filter(|event| event["event"] == "change").count()
    }
}

/// The addresses of each generation: one comes, one goes, one moves.
fn addresses(generation: u8) -> Vec<Ipv4Addr> {
    let count = if generation.is_multiple_of(2) { 3 } else { 2 };
    let at = |host: u8| Ipv4Addr::new(10, 9, if host == 1 { generation } else { 0 }, host + 1);
    (0..count).map(at).collect()
}

fn turn(namespace: &Namespace<'_>, generation: u8) -> Vec<Ipv4Addr> {
    let addresses = addresses(generation);
    namespace.apply(&(service("db") + &slice("db", &addresses, addresses.len())));
    addresses
}

/// A server at an address that it has again after a restart.
fn start(kubeconfig: &std::path::Path, listen: SocketAddr) -> Rollcall {
    let mut command = Rollcall::command_at(&listen.to_string(), kubeconfig, &[]);
    command.env("ROLLCALL_PUSH_TCP", "true");
    let rollcall = Rollcall::launch(&command);
    rollcall.ready();
    rollcall
}

fn listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn peers_are_kept_while_the_server_is_restarted() {
    let plane = bare("peers-server", &[]);
    let namespace = plane.namespace("peers-server");
    let mut known = turn(&namespace, 0);
    let address = listen();
    let mut rollcall = Some(start(plane.kubeconfig(), address));
    let sidecars = [
        Sidecar::start("push", &namespace, &format!("push+tcp://{address}")),
        Sidecar::start("serial", &namespace, &address.to_string()),
    ];
    sidecars.iter().for_each(|sidecar| sidecar.knows("the start", &known));
    for generation in 1..=3 {
        drop(rollcall.take());
        sidecars.iter().for_each(|sidecar| sidecar.is_stale_with("the server is away", &known));
        known = turn(&namespace, generation);
        // Its own cluster is not known yet when it listens: that nobody is there it must not say.
        rollcall = Some(start(plane.kubeconfig(), address));
        sidecars.iter().for_each(|sidecar| sidecar.knows("the server is back", &known));
    }
    drop(rollcall);
    sidecars.iter().for_each(Sidecar::never_empty);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn peers_are_kept_while_the_api_server_is_restarted() {
    let plane: ControlPlane = bare("peers-api", &[]);
    let mut api = SecondApi::new(&plane);
    api.start();
    let namespace = plane.namespace("peers-api");
    let known = turn(&namespace, 0);
    let rollcall = start(api.kubeconfig(), listen());
    let sidecars = [
        Sidecar::start("push", &namespace, &format!("push+tcp://{}", rollcall.dns)),
        Sidecar::start("serial", &namespace, &rollcall.dns.to_string()),
    ];
    sidecars.iter().for_each(|sidecar| sidecar.knows("the start", &known));
    let told = sidecars.each_ref().map(Sidecar::told);
    api.kill();
    let next = turn(&namespace, 1);
    wait_until("/readyz says degraded", STALE, || match rollcall.get("/readyz") {
        (200, body) if body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    // Nobody could have told them, and nobody has.
    assert_eq!(sidecars.each_ref().map(Sidecar::told), told, "a change that the server did not know");
    api.start();
    sidecars.iter().for_each(|sidecar| sidecar.knows("the API server is back", &next));
    sidecars.iter().for_each(Sidecar::never_empty);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn peers_are_kept_while_the_network_is_cut() {
    let plane = bare("peers-cut", &[]);
    let namespace = plane.namespace("peers-cut");
    let known = turn(&namespace, 0);
    let rollcall = start(plane.kubeconfig(), listen());
    let proxy = Proxy::start(rollcall.dns);
    let sidecar = Sidecar::start("push", &namespace, &format!("push+tcp://{}", proxy.address));
    sidecar.knows("the start", &known);
    let mut generation = 0;
    let mut next = |namespace: &Namespace<'_>| {
        generation += 1;
        turn(namespace, generation)
    };
    for cut in [Cut::Reset, Cut::Close] {
        proxy.cut(cut);
        let known = next(&namespace);
        sidecar.knows(&format!("cut ({cut:?}), then a change"), &known);
        proxy.refuse(cut);
        sidecar.is_stale_with(&format!("cut ({cut:?}) and refused"), &known);
        let known = next(&namespace);
        proxy.pass();
        sidecar.knows(&format!("cut ({cut:?}) and refused during a change"), &known);
    }
    // Everything is on its way, and nothing comes: once it does, it is the newest.
    let told = sidecar.told();
    proxy.stall();
    next(&namespace);
    let known = next(&namespace);
    assert_eq!(sidecar.told(), told, "nothing came through");
    proxy.pass();
    sidecar.knows("stalled during two changes", &known);
    sidecar.never_empty();
}
