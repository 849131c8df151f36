//! `rollcall peers` beside the server: what it tells of each change, by each way, through outages; its hooks.
//!
//! The cluster is manifests in a folder that is followed; both programs are the built one.

mod finder;
mod hooks;
mod listen;
mod outages;
mod relay;
mod wait;
mod ways;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::manifests::{nginx, replace, text};
use super::process::{Finished, Process, rollcall, run_with};

/// How long something that must come may take: debug builds of both programs on a machine that has no time for them.
const PATIENCE: Duration = Duration::from_secs(240);
/// For how long `--once` may wait where it has to tell why: the shorter ones come first, so that they are all it takes.
const TIMES: [&str; 4] = ["300ms", "3s", "15s", "60s"];
/// For how long nothing is to come.
const SILENCE: Duration = Duration::from_millis(1500);

/// A server of the Service and StatefulSet of `nginx`, whose manifests change.
struct Cluster {
    folder: tempfile::TempDir,
    process: Option<Process>,
    address: SocketAddr,
    config: &'static str,
}

/// Push over TCP, on loopback.
const PUSH: &str = "[push]\ntcp = true\n";

impl Cluster {
    fn new(replicas: u32, config: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rollcall.toml"), config).unwrap();
        std::fs::create_dir(folder.path().join("manifests")).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let mut cluster = Self { folder, process: None, address, config };
        cluster.scale(replicas);
        cluster.start();
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the manifests.
    fn scale(&self, replicas: u32) {
        self.apply(&nginx(replicas));
    }

    fn apply(&self, manifests: &str) {
        replace(&self.path("manifests/web.yaml"), manifests);
    }

    /// Starts the server, where it listened before.
    fn start(&mut self) {
        let (config, manifests, listen) =
            (self.path("rollcall.toml"), self.path("manifests"), self.address.to_string());
        let args = ["serve", "--config", text(&config), "--manifests", text(&manifests), "--listen", &listen];
        let mut process = Process::spawn(&mut rollcall(&args), Stdio::null());
        process.wait_for_line("ready", |line| line == "ready");
        self.address = process.address();
        self.process = Some(process);
    }

    /// Ends it at once.
    fn kill(&mut self) {
        self.process = None;
    }

    /// Its address by which push is to be had, where there is any.
    fn server(&self) -> String {
        let scheme = if self.config == PUSH { "push+tcp://" } else { "" };
        format!("{scheme}{}", self.address)
    }
}

/// The command `rollcall peers` of the service `nginx`.
fn command(server: &str, args: &[&str]) -> Command {
    of_service("nginx", server, args)
}

/// Of a service in the namespace `default`, with a host name of its own.
fn of_service(service: &str, server: &str, args: &[&str]) -> Command {
    let first = ["peers", "--service", service, "--namespace", "default", "--server", server];
    let mut command = rollcall(&[&first[..], args].concat());
    for key in ["POD_NAME", "POD_NAMESPACE", "SERVICE_NAME"] {
        command.env_remove(key);
    }
    command.env("HOSTNAME", "web-0");
    command
}

/// A `rollcall peers` that goes on; dropped, it is killed by its own handle.
struct Follower {
    child: Child,
    events_rx: Receiver<Value>,
    seen: Vec<Value>,
}

impl Follower {
    fn start(server: &str, args: &[&str]) -> Self {
        Self::spawn(&mut command(server, args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (events, events_rx) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if events.send(serde_json::from_str(&line).expect("an event a line")).is_err() {
                    return;
                }
            }
        });
        Self { child, events_rx, seen: Vec::new() }
    }

    /// The next event, of whatever kind.
    fn next(&mut self) -> Value {
        let event = self.events_rx.recv_timeout(PATIENCE);
        let event = event.unwrap_or_else(|_| panic!("no event; before there were: {:#?}", self.seen));
        self.seen.push(event.clone());
        event
    }

    /// The next event that is as wished.
    fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let event = self.next();
            if is_it(&event) {
                return event;
            }
        }
        panic!("no such event: {:#?}", self.seen);
    }

    /// The next event that lists these, whether it was whole steps until there.
    fn until_hosts(&mut self, hosts: &[&str]) -> Value {
        self.until(|event| self::hosts(event) == hosts)
    }

    /// Nothing is told for a while.
    fn hears_nothing(&mut self) {
        let event = self.events_rx.recv_timeout(SILENCE);
        assert!(event.is_err(), "{event:#?}");
    }

    /// No list so far, nor any that is there by now, was empty.
    fn never_empty(&mut self) {
        self.seen.extend(self.events_rx.try_iter());
        let empty = self.seen.iter().find(|event| hosts(event).is_empty());
        assert!(empty.is_none(), "{empty:#?}");
    }

    /// Ends by a signal: its exit code.
    fn terminate(mut self) -> i32 {
        signal(&self.child, "TERM");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to this very process.
fn signal(child: &Child, name: &str) {
    let line = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
}

/// Runs a command with ever longer `--timeout`s, until it ends as wished; the last end.
fn in_time(command: impl Fn() -> Command, is_it: impl Fn(&Finished) -> bool) -> Finished {
    let mut last = None;
    for time in TIMES {
        let finished = run_with(command().args(["--once", "--timeout", time]), "");
        if is_it(&finished) {
            return finished;
        }
        last = Some(finished);
    }
    last.unwrap()
}

/// The hosts that an event lists.
fn hosts(event: &Value) -> Vec<&str> {
    event["peers"].as_array().unwrap().iter().map(|peer| peer["host"].as_str().unwrap()).collect()
}

fn words(event: &Value, key: &str) -> Vec<String> {
    let short = |name: &Value| name.as_str().unwrap().split('.').next().unwrap().to_owned();
    event[key].as_array().unwrap().iter().map(short).collect()
}
