//! DNS over UDP under bursts: batches of any size, what the kernel drops, and what is counted.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::asking::query;
use super::manifests::{NGINX, documents, endpoints, nginx, text};
use super::process::Process;
use crate::support::reply::Reply;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server of [`nginx`] and of a service with more addresses than a reply holds, with these `[limits]`.
fn limited(limits: &str) -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, config) = (folder.path().join("web.yaml"), folder.path().join("rollcall.toml"));
    std::fs::write(&manifests, documents(&[nginx(3), endpoints("many", 200)])).unwrap();
    std::fs::write(&config, format!("[limits]\n{limits}\n")).unwrap();
    let process = Process::serve(&["--config", text(&config), "--manifests", text(&manifests)]);
    (folder, process)
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn question(id: u16) -> Vec<u8> {
    query(&format!("+qid={id} -t A web-{}.{NGINX}", id % 3)).bytes
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut octets = vec![0; 4096];
    let length = socket.recv(&mut octets).expect("an answer");
    octets.truncate(length);
    octets
}

/// A number of the line that the program ends with.
fn count(line: &str, key: &str) -> u64 {
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(&format!("{key}=")));
    value.unwrap_or_else(|| panic!("no {key} in {line}")).parse().unwrap()
}

/// Ends the program; the line with what it counted.
fn counted(process: &mut Process) -> String {
    process.signal("TERM");
    let line = process.wait_for_words(&["UDP packets", "received="]);
    assert_eq!(process.end(PATIENCE).0, 0);
    line
}

#[test]
fn batches_of_1_7_and_64_on_pinned_threads() {
    for batch in [1, 7, 64] {
        let (_folder, mut process) =
            limited(&format!("udp_batch = {batch}\nudp_pin = true\nudp_threads = 2"));
        let clients: Vec<UdpSocket> = (0..4).map(|_| client(process.address())).collect();
        for round in 0..5_u16 {
            let ids = round * 100..round * 100 + 100;
            for client in &clients {
                ids.clone().for_each(|id| assert!(client.send(&question(id)).unwrap() > 0));
            }
            for client in &clients {
                let replies = ids.clone().map(|_| Reply::read(&receive(client)).unwrap());
                let answered: BTreeSet<u16> = replies
                    .map(|reply| {
                        assert_eq!((reply.status.as_str(), reply.sections[0].len()), ("NOERROR", 1));
                        reply.id
                    })
                    .collect();
                assert_eq!(answered, ids.clone().collect(), "batches of {batch}");
            }
        }
        let line = counted(&mut process);
        assert_eq!((count(&line, "received"), count(&line, "answered")), (2000, 2000), "{line}");
    }
}

#[test]
fn what_was_received_is_counted_by_what_became_of_it() {
    let (_folder, mut process) = limited("udp_threads = 2");
    for id in 0..3 {
        let client = client(process.address());
        client.send(&question(id)).unwrap();
        receive(&client);
    }
    let client = client(process.address());
    client.send(&query("+noedns -t A many.default.svc.cluster.local").bytes).unwrap();
    assert_eq!(receive(&client)[2] & 2, 2, "TC");
    // An answer is not answered, and half a header neither.
    let mut answer = question(0);
    answer[2] |= 0x80;
    client.send(&answer).unwrap();
    client.send(&answer[..5]).unwrap();
    client.send(&question(0)).unwrap();
    receive(&client);
    let line = counted(&mut process);
    let counts = ["received", "answered", "silent", "forwarded", "truncated", "failed", "dropped"];
    assert_eq!(counts.map(|key| count(&line, key)), [7, 5, 2, 0, 1, 0, 0], "{line}");
}

#[test]
fn packets_that_find_no_room_are_counted_and_said_with_the_key_to_turn() {
    // The kernel has a least size of its own, of a few packets.
    let (_folder, mut process) = limited("udp_receive_buffer = 1\nudp_threads = 1");
    let client = client(process.address());
    process.signal("STOP");
    (0..500).for_each(|id| assert!(client.send(&question(id)).unwrap() > 0));
    process.signal("CONT");
    receive(&client);
    let line = process.wait_for_words(&["WARN", "limits.udp_receive_buffer"]);
    assert!(count(&line, "dropped") > 300, "{line}");
    // It is none the worse for it.
    client.send(&question(1000)).unwrap();
    while receive(&client)[..2] != 1000_u16.to_be_bytes() {}
    let line = counted(&mut process);
    assert_eq!(count(&line, "dropped") + count(&line, "received"), 501, "{line}");
}
