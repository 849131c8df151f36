//! A restart of two replicas, one after the other, behind what a Service is: no question is lost.
//!
//! The balancer asks `/readyz` as a kubelet does and sends new questions to those that are ready; a question that was on
//! its way, or a connection that is open, stays where it is. Two addresses rather than one port that two processes share:
//! the kernel spreads packets over all sockets of a port, those of a process that is about to end too, and what such a
//! socket holds when it is closed is lost; behind a Service each replica has an address of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use super::asking::{eventually, query};
use super::manifests::{NGINX, nginx, text};
use super::process::{Process, rollcall};
use super::steady::{Steady, Target};
use super::tcp::{Connection, framed};
use crate::support::reply::Reply;

/// How often the balancer looks; kubelets do each few seconds, and have lame ducks as much longer.
const LOOK: Duration = Duration::from_millis(50);

/// A replica: where it answers and where it tells its health.
struct Replica {
    process: Process,
    dns: SocketAddr,
    admin: SocketAddr,
}

fn start(folder: &Path, address: &str, lameduck: &str) -> Replica {
    let manifests: PathBuf = folder.join("web.yaml");
    let args = ["serve", "--listen", address, "--admin", "127.0.0.1:0", "--manifests", text(&manifests)];
    let mut process =
        Process::spawn(rollcall(&args).env("ROLLCALL_LIMITS_LAMEDUCK", lameduck), Stdio::null());
    let line = process.wait_for_words(&["listening admin"]);
    let admin = line.rsplit(' ').next().unwrap().parse().unwrap();
    process.wait_for_line("ready", |line| line == "ready");
    let dns = process.address();
    Replica { process, dns, admin }
}

/// Whether a replica says that it is ready; one that is gone is not.
fn is_ready(admin: SocketAddr) -> bool {
    use std::io::{Read, Write};
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect_timeout(&admin, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    ask().is_ok_and(|text| text.starts_with("HTTP/1.1 200"))
}

/// The ready ones of a list that a test changes.
struct Balancer {
    /// Addresses to answer and to tell health.
    all: RwLock<Vec<(SocketAddr, SocketAddr)>>,
    ready: RwLock<Vec<SocketAddr>>,
    stop: AtomicBool,
}

impl Balancer {
    fn start(replicas: &[Replica]) -> Arc<Self> {
        let all = replicas.iter().map(|replica| (replica.dns, replica.admin)).collect();
        let balancer =
            Arc::new(Self { all: RwLock::new(all), ready: RwLock::default(), stop: AtomicBool::new(false) });
        let looking = Arc::clone(&balancer);
        thread::spawn(move || {
            while !looking.stop.load(Ordering::Relaxed) {
                let all = looking.all.read().unwrap().clone();
                let ready =
                    all.into_iter().filter(|(_, admin)| is_ready(*admin)).map(|(dns, _)| dns).collect();
                *looking.ready.write().unwrap() = ready;
                thread::sleep(LOOK);
            }
        });
        balancer
    }

    fn ready(&self) -> Vec<SocketAddr> {
        self.ready.read().unwrap().clone()
    }

    fn until_ready(&self, count: usize) {
        eventually(&format!("{count} ready"), || {
            let ready = self.ready();
            if ready.len() == count { Ok(()) } else { Err(format!("{ready:?}")) }
        });
    }
}

fn judge(reply: &Reply) -> Result<(), String> {
    if reply.status == "NOERROR" && reply.sections[0].len() == 3 {
        Ok(())
    } else {
        Err(format!("wrong: {:?}", reply.lines()))
    }
}

fn mk_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("web.yaml"), nginx(3)).unwrap();
    folder
}

#[test]
fn two_replicas_are_restarted_without_a_lost_question() {
    let folder = mk_folder();
    let addresses = ["127.0.0.1:0", "127.0.0.2:0"];
    let mut replicas: Vec<Replica> =
        addresses.iter().map(|address| start(folder.path(), address, "1")).collect();
    let balancer = Balancer::start(&replicas);
    balancer.until_ready(2);
    let turn = AtomicUsize::new(0);
    let ready = Arc::clone(&balancer);
    // In turn over those that are ready.
    let target: Target = Arc::new(move || {
        let ready = ready.ready.read().unwrap();
        ready[turn.fetch_add(1, Ordering::Relaxed) % ready.len()]
    });
    let steady = Steady::start(&target, &[&format!("-t A {NGINX}")], judge, false);
    for (index, address) in addresses.iter().enumerate().cycle().take(4) {
        let old = &mut replicas[index];
        old.process.signal("TERM");
        // It answers on while the balancer learns of it.
        balancer.until_ready(1);
        let (code, _) = old.process.end(Duration::from_secs(20));
        assert_eq!(code, 0, "{}", old.process.printed());
        replicas[index] = start(folder.path(), address, "1");
        *balancer.all.write().unwrap() =
            replicas.iter().map(|replica| (replica.dns, replica.admin)).collect();
        balancer.until_ready(2);
    }
    let tally = steady.end();
    balancer.stop.store(true, Ordering::Relaxed);
    assert!(tally.faults.is_empty(), "{} of {tally:?}", tally.faults.len());
    assert!(tally.udp > 100 && tally.tcp > 100, "{tally:?}");
    println!("4 restarts: {} answers over UDP, {} over TCP, none lost", tally.udp, tally.tcp);
}

#[test]
fn a_lame_duck_answers_everybody_to_the_end() {
    let folder = mk_folder();
    let mut replica = start(folder.path(), "127.0.0.1:0", "2");
    let packet = query(&format!("-t A {NGINX}")).bytes;
    let mut open = Connection::open(replica.dns);
    let started = Instant::now();
    replica.process.signal("TERM");
    eventually("not ready", || if is_ready(replica.admin) { Err("ready".into()) } else { Ok(()) });
    // Well before the end: old and new connections, and datagrams.
    while started.elapsed() < Duration::from_millis(1500) {
        assert_eq!(open.ask(&packet).status, "NOERROR");
        assert_eq!(Connection::open(replica.dns).ask(&packet).status, "NOERROR");
        assert_eq!(super::asking::ask(replica.dns, &format!("+notcp -t A {NGINX}")).status, "NOERROR");
    }
    assert_eq!(replica.process.end(Duration::from_secs(20)).0, 0);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(open.is_closed());
}

#[test]
fn a_second_signal_ends_a_lame_duck_at_once() {
    let folder = mk_folder();
    let mut replica = start(folder.path(), "127.0.0.1:0", "30");
    replica.process.signal("TERM");
    eventually("not ready", || if is_ready(replica.admin) { Err("ready".into()) } else { Ok(()) });
    // SIGHUP does not wake one that is on its way out, nor end it.
    replica.process.signal("HUP");
    assert!(replica.process.is_running());
    replica.process.signal("INT");
    let (code, took) = replica.process.end(Duration::from_secs(20));
    assert!(code == 0 && took < Duration::from_secs(5), "{code} after {took:?}");
}

/// Without a lame duck: what arrived before the end is answered, over UDP, on an open connection and on one that was not
/// accepted yet.
#[test]
fn what_arrived_before_the_end_is_answered() {
    const EACH: usize = 30;
    let folder = mk_folder();
    for _ in 0..5 {
        let mut replica = start(folder.path(), "127.0.0.1:0", "0");
        let packet = query(&format!("-t A {NGINX}")).bytes;
        let datagrams: Vec<std::net::UdpSocket> = (0..EACH)
            .map(|_| {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(replica.dns).unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                socket
            })
            .collect();
        let mut open: Vec<Connection> = (0..EACH).map(|_| Connection::open(replica.dns)).collect();
        open.iter_mut().for_each(|connection| assert_eq!(connection.ask(&packet).status, "NOERROR"));
        // The process stands still: all of it is in the kernel's hands when the signal is, and nothing was read.
        replica.process.signal("STOP");
        datagrams.iter().for_each(|socket| assert_eq!(socket.send(&packet).unwrap(), packet.len()));
        open.iter_mut().for_each(|connection| connection.write(&framed(&packet)));
        let mut fresh: Vec<Connection> = (0..EACH).map(|_| Connection::open(replica.dns)).collect();
        fresh.iter_mut().for_each(|connection| connection.write(&framed(&packet)));
        replica.process.signal("TERM");
        replica.process.signal("CONT");
        assert_eq!(replica.process.end(Duration::from_secs(20)).0, 0);
        for socket in datagrams {
            let mut reply = [0; 512];
            let length = socket.recv(&mut reply).expect("a datagram that arrived is answered");
            judge(&Reply::read(&reply[..length]).unwrap()).unwrap();
        }
        for connection in open.iter_mut().chain(&mut fresh) {
            let reply = connection.read().expect("a question that arrived is answered");
            judge(&Reply::read(&reply).unwrap()).unwrap();
            assert!(connection.is_closed());
        }
    }
}
