//! Thousands of TCP connections that say nothing: what they hold, and that they are in nobody's way.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use super::asking::query;
use super::manifests::{NGINX, nginx, text};
use super::process::{Process, rollcall};
use super::tcp::Connection;

const IDLE: u64 = 2000;
/// What each may hold of the server's memory: a debug build's.
const OCTETS_EACH: u64 = 3072;

/// As many open files as the test wants; false where the machine gives fewer.
fn files(wanted: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let has = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if !has(limit.current) && has(limit.maximum) {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    }
    has(getrlimit(Resource::Nofile).current)
}

/// Its resident memory, in octets.
fn resident(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// The program under a limit of 256 open files that it may raise, as shells and containers start it.
fn served(folder: &std::path::Path) -> Process {
    let (manifests, config) = (folder.join("web.yaml"), folder.join("rollcall.toml"));
    std::fs::write(&manifests, nginx(3)).unwrap();
    std::fs::write(&config, "[limits]\ntcp_connections = 2500\ntcp_idle = 600\n").unwrap();
    let plain = rollcall(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--config",
        text(&config),
        "--manifests",
        text(&manifests),
    ]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 256 && exec \"$0\" \"$@\""]).arg(plain.get_program());
    command.args(plain.get_args());
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let mut process = Process::spawn(&mut command, Stdio::null());
    process.wait_for_line("ready", |line| line == "ready");
    process
}

/// A connection from one of a few addresses: one alone may not have as many.
fn from(number: u64, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let client = [127, 0, 0, u8::try_from(2 + number % 4).unwrap()];
    socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
    socket.connect_timeout(&server.into(), Duration::from_secs(5)).unwrap();
    socket.into()
}

#[test]
fn two_thousand_idle_connections_hold_little_and_one_that_asks_is_answered_at_once() {
    if !files(IDLE + 500) {
        let _ = writeln!(std::io::stderr(), "skipped: fewer than {} open files are allowed", IDLE + 500);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let process = served(folder.path());
    let question = query(&format!("-t A {NGINX}")).bytes;
    let ask = |connection: &mut Connection| {
        assert_eq!(connection.ask(&question).sections[0].len(), 3);
    };
    // What every worker of the server takes for itself is there before it is measured.
    let mut warm: Vec<Connection> =
        (0..32).map(|number| Connection::of(from(number, process.address()))).collect();
    (0..3).for_each(|_| warm.iter_mut().for_each(&ask));
    let before = resident(&process);

    let mut idle: Vec<Connection> =
        (0..IDLE).map(|number| Connection::of(from(number, process.address()))).collect();
    // Half of them have asked: silent since, they hold no more than those that never did.
    idle.iter_mut().step_by(2).for_each(&ask);
    let mut last = Connection::of(from(0, process.address()));
    ask(&mut last);
    let each = resident(&process).saturating_sub(before) / IDLE;
    assert!(each < OCTETS_EACH, "{each} octets a connection");

    let mut times: Vec<Duration> = (0..20)
        .map(|number| {
            let start = Instant::now();
            ask(&mut idle[number * 99]);
            start.elapsed()
        })
        .collect();
    times.sort();
    // A debug build on a busy machine; it takes a fraction of a millisecond.
    assert!(times[10] < Duration::from_millis(200), "{times:?}");
}
