//! The addresses it listens on, and the address that an answer comes from.

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Stdio;

use super::asking::ask;
use super::manifests::{NGINX, nginx, text};
use super::process::{Process, rollcall};

/// Serves on these addresses.
fn listening(addresses: &[&str]) -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(2)).unwrap();
    let mut args = vec!["serve", "--manifests", text(&path)];
    args.extend(addresses.iter().flat_map(|address| ["--listen", address]));
    let mut process = Process::spawn(&mut rollcall(&args), Stdio::null());
    process.wait_for_line("ready", |line| line == "ready");
    assert_eq!(process.addresses().len(), addresses.len(), "{}", process.printed());
    (folder, process)
}

/// Asks over both transports. The sockets are connected: an answer from another address is none.
fn assert_answers(server: SocketAddr) {
    for transport in ["+notcp", "+tcp"] {
        let reply = ask(server, &format!("{transport} -t A {NGINX}"));
        assert_eq!((reply.status.as_str(), reply.sections[0].len()), ("NOERROR", 2), "{transport} {server}");
    }
}

/// False, and said past the test harness, on a machine without IPv6.
fn has_ipv6(test: &str) -> bool {
    let there = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0));
    if let Err(error) = &there {
        let _ = writeln!(std::io::stderr(), "skipped {test}: this machine has no ::1 ({error})");
    }
    there.is_ok()
}

/// The same port at another address of the machine.
fn at(address: &str, server: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), server.port())
}

#[test]
fn port_0_is_one_port_for_udp_and_tcp() {
    let (_folder, process) = listening(&["127.0.0.1:0"]);
    assert_ne!(process.address().port(), 0);
    assert_answers(process.address());
}

#[test]
fn several_addresses_each_with_a_line() {
    let (_folder, process) = listening(&["127.0.0.1:0", "127.0.0.2:0", "127.0.0.1:0"]);
    let ips: Vec<String> = process.addresses().iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2", "127.0.0.1"], "in the order they were given");
    process.addresses().iter().copied().for_each(assert_answers);
}

#[test]
fn both_families() {
    if !has_ipv6("both_families") {
        return;
    }
    let (_folder, process) = listening(&["127.0.0.1:0", "[::1]:0"]);
    process.addresses().iter().copied().for_each(assert_answers);
    assert!(process.addresses()[1].is_ipv6());
}

#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    let (_folder, process) = listening(&["0.0.0.0:0"]);
    for asked in ["127.0.0.1", "127.0.0.3", "127.99.0.7"] {
        assert_answers(at(asked, process.address()));
    }
}

#[test]
fn an_ipv6_wildcard_answers_from_the_address_that_was_asked() {
    if !has_ipv6("an_ipv6_wildcard…") {
        return;
    }
    let (_folder, process) = listening(&["[::]:0"]);
    assert_answers(at("::1", process.address()));
}

#[test]
fn both_wildcards_on_one_port_as_by_default() {
    if !has_ipv6("both_wildcards_on_one_port…") {
        return;
    }
    // A port that is free for both families now; another test may take it before the server does.
    for _ in 0..10 {
        let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yaml");
        std::fs::write(&path, nginx(2)).unwrap();
        let (v4, v6) = (format!("0.0.0.0:{port}"), format!("[::]:{port}"));
        let args = ["serve", "--manifests", text(&path), "--listen", &v4, "--listen", &v6];
        let mut process = Process::spawn(&mut rollcall(&args), Stdio::null());
        let line = process.wait_for_line("its start", |line| line == "ready" || line.contains("in use"));
        if line == "ready" {
            assert_answers(at("127.0.0.1", process.address()));
            assert_answers(at("::1", process.address()));
            return;
        }
    }
    panic!("no port that is free in both families");
}

#[test]
fn the_name_server_is_at_the_address_that_is_listened_on() {
    let (_folder, process) = listening(&["127.0.0.2:0"]);
    let reply = ask(process.address(), "-t NS cluster.local");
    assert_eq!(reply.sections[0], ["cluster.local. 5 IN NS ns.dns.cluster.local."]);
    assert_eq!(reply.sections[2], ["ns.dns.cluster.local. 5 IN A 127.0.0.2"]);
}

#[test]
fn questions_of_many_clients_at_once_are_each_answered() {
    let (_folder, process) = listening(&["127.0.0.1:0", "127.0.0.2:0"]);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let server = process.addresses()[client % 2];
            scope.spawn(move || (0..50).for_each(|_| assert_answers(server)));
        }
    });
}
