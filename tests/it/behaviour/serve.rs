//! The life of a server: its lines, its signals, its end.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::asking::{addresses, ask, query};
use super::manifests::{NGINX, nginx, text};
use super::process::Process;
use super::tcp::{Connection, framed};

/// With nothing to wait for: the longest that an end may take on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(15);

fn served(replicas: u32, toml: &str) -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let [manifests, config]: [PathBuf; 2] =
        ["web.yaml", "rollcall.toml"].map(|name| folder.path().join(name));
    std::fs::write(&manifests, nginx(replicas)).unwrap();
    std::fs::write(&config, toml).unwrap();
    let process = Process::serve(&["--manifests", text(&manifests), "--config", text(&config)]);
    (folder, process)
}

#[test]
fn the_lines_to_try_are_answered() {
    let (_folder, mut process) = served(3, "");
    let server = process.address();
    let at = format!("try: dig @{} -p {} ", server.ip(), server.port());
    let mut lines = Vec::new();
    while lines.len() < 4 {
        lines.push(process.wait_for_line("try:", |line| line.starts_with("try:")));
    }
    for line in lines {
        let rest = line.strip_prefix(&at).unwrap_or_else(|| panic!("{line}"));
        let words: Vec<&str> = rest.split(' ').collect();
        let line = match words.as_slice() {
            ["-x", address] => format!("-x {address}"),
            [name, rtype] => format!("-t {rtype} {name}"),
            _ => format!("-t A {rest}"),
        };
        let reply = ask(server, &line);
        assert!(reply.status == "NOERROR" && !reply.sections[0].is_empty(), "{line}: {:?}", reply.lines());
    }
}

/// Niceness of a thread (proc(5): the 19th field, the third is the first one behind the name).
fn niceness(process: &Process, name: &str) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    // One that ends meanwhile has none any more.
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok());
    let of = |stat: String| {
        let (before, fields) = stat.rsplit_once(')')?;
        let (_, thread) = before.split_once('(')?;
        thread.starts_with(name).then(|| fields.split_whitespace().nth(16)?.parse().ok())?
    };
    stats.filter_map(of).collect()
}

#[test]
fn threads_of_connections_let_those_of_udp_go_first() {
    let (_folder, process) = served(2, "");
    assert_eq!(addresses(process.address(), NGINX).len(), 2);
    let udp = niceness(&process, "udp-");
    let first = udp[0];
    assert!(udp.iter().all(|niceness| *niceness == first), "{udp:?}");
    for (name, behind) in [("connections", 10), ("late replies", 0), ("cluster", 0)] {
        let all = niceness(&process, name);
        let expected = (first + behind).min(19);
        assert!(!all.is_empty() && all.iter().all(|niceness| *niceness == expected), "{name}: {all:?}");
    }
}

#[test]
fn sigterm_and_sigint_end_it_with_code_0() {
    for signal in ["TERM", "INT"] {
        let (_folder, mut process) = served(2, "");
        let server = process.address();
        assert_eq!(addresses(server, NGINX).len(), 2);
        process.signal(signal);
        let (code, took) = process.end(PATIENCE);
        assert_eq!(code, 0, "{signal}: {}", process.printed());
        assert!(took < AT_ONCE, "{signal}: {took:?}");
    }
}

#[test]
fn a_signal_right_behind_the_first_line_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("web.yaml");
    std::fs::write(&manifests, nginx(500)).unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--manifests", text(&manifests)];
    let mut process = Process::spawn(&mut super::process::rollcall(&args), std::process::Stdio::null());
    process.wait_for_words(&["listening"]);
    process.signal("TERM");
    assert_eq!(process.end(PATIENCE).0, 0, "{}", process.printed());
}

/// Asks without a pause, from many ports so that every thread of the server has its share, until it is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Busy {
    fn start(server: std::net::SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let packet = query(&format!("-t A {NGINX}")).bytes;
        let sockets: Vec<UdpSocket> = (0..32)
            .map(|_| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(server).unwrap();
                socket
            })
            .collect();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // A server that is gone refuses, which is what is waited for.
                sockets.iter().for_each(|socket| drop(socket.send(&packet)));
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_server_that_is_being_asked_ends_too() {
    let (_folder, mut process) = served(2, "");
    let busy = Busy::start(process.address());
    assert_eq!(addresses(process.address(), NGINX).len(), 2);
    process.signal("TERM");
    let (code, took) = process.end(PATIENCE);
    drop(busy);
    assert_eq!(code, 0);
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_the_end() {
    let (_folder, mut process) = served(2000, "");
    let mut deaf = TcpStream::connect(process.address()).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    // Some 30 kB an answer: until the kernel keeps no more of them, and the server therefore reads no more.
    while deaf.write_all(&framed(&query(&format!("-t A {NGINX}")).bytes).repeat(100)).is_ok() {}
    process.signal("TERM");
    let (code, took) = process.end(Duration::from_secs(40));
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let (_folder, mut process) = served(2, "");
    let mut connection = Connection::open(process.address());
    connection.ask(&query(&format!("-t A {NGINX}")).bytes);
    // Half a message as well.
    let mut half = Connection::open(process.address());
    half.write(&[0, 40, 1]);
    process.signal("TERM");
    let (code, took) = process.end(PATIENCE);
    assert_eq!(code, 0);
    assert!(took < AT_ONCE, "{took:?}");
    assert!(connection.is_closed() && half.is_closed());
}

#[test]
fn lameduck_answers_on_before_the_end() {
    let (_folder, mut process) = served(2, "[limits]\nlameduck = 1\n");
    let server = process.address();
    process.signal("TERM");
    process.wait_for_words(&["draining"]);
    for transport in ["+notcp", "+tcp"] {
        let reply = ask(server, &format!("{transport} -t A {NGINX}"));
        assert_eq!((reply.status.as_str(), reply.sections[0].len()), ("NOERROR", 2), "{transport}");
    }
    let (code, took) = process.end(PATIENCE);
    assert_eq!(code, 0);
    // The line, two asks and the second itself: not at once, and not much later.
    assert!(took > Duration::from_millis(400) && took < Duration::from_secs(1) + AT_ONCE, "{took:?}");
}

#[test]
fn a_second_signal_ends_the_lameduck() {
    let (_folder, mut process) = served(2, "[limits]\nlameduck = 600\n");
    process.signal("TERM");
    process.wait_for_words(&["draining"]);
    assert_eq!(addresses(process.address(), NGINX).len(), 2);
    process.signal("TERM");
    let (code, took) = process.end(PATIENCE);
    assert_eq!(code, 0);
    assert!(took < AT_ONCE, "{took:?}");
}
