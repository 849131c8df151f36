//! What one TCP client may hold: time, connections, answers that it does not read.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::asking::{ask, eventually, query};
use super::manifests::{NGINX, nginx, text};
use super::tcp::{Connection, framed};
use crate::support::server::Server;

/// A server of [`nginx`] with these `[limits]`.
fn limited(replicas: u32, limits: &str) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, config) = (folder.path().join("web.yaml"), folder.path().join("rollcall.toml"));
    std::fs::write(&manifests, nginx(replicas)).unwrap();
    std::fs::write(&config, format!("[limits]\n{limits}\n")).unwrap();
    let args =
        ["serve", "--listen", "127.0.0.1:0", "--config", text(&config), "--manifests", text(&manifests)];
    (folder, Server::start(&args).unwrap())
}

fn question() -> Vec<u8> {
    query(&format!("-t A {NGINX}")).bytes
}

/// A connection that has its place: it was answered.
fn held(server: SocketAddr) -> Connection {
    let mut connection = Connection::open(server);
    assert_eq!(connection.ask(&question()).status, "NOERROR");
    connection
}

/// A connection from another address of loopback.
fn from(client: &str, server: SocketAddr) -> Connection {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(client.parse().unwrap(), 0).into()).unwrap();
    socket.connect_timeout(&server.into(), Duration::from_secs(5)).unwrap();
    Connection::of(TcpStream::from(socket))
}

#[test]
fn a_silent_connection_is_closed_and_one_that_asks_is_kept() {
    let (_folder, server) = limited(2, "tcp_idle = 1");
    let server = server.addresses()[0];
    let (mut silent, mut half) = (held(server), Connection::open(server));
    // A message that is never finished is as silent as none.
    half.write(&framed(&question())[..20]);
    let start = Instant::now();
    let asking = thread::spawn(move || {
        let mut connection = held(server);
        while start.elapsed() < Duration::from_millis(2500) {
            thread::sleep(Duration::from_millis(250));
            assert_eq!(connection.ask(&question()).status, "NOERROR");
        }
    });
    assert!(silent.is_closed() && half.is_closed());
    let took = start.elapsed();
    assert!(took > Duration::from_millis(700) && took < Duration::from_secs(5), "closed after {took:?}");
    asking.join().unwrap();
}

#[test]
fn an_octet_a_moment_does_not_keep_a_connection() {
    let (_folder, server) = limited(2, "tcp_idle = 1");
    let start = Instant::now();
    let mut slow = TcpStream::connect(server.addresses()[0]).unwrap();
    // 200 ms each: the question would take 8 s.
    for octet in framed(&question()) {
        if slow.write_all(&[octet]).is_err() || start.elapsed() > Duration::from_secs(6) {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "still open after {:?}", start.elapsed());
}

#[test]
fn one_client_has_so_many_connections_and_others_have_theirs() {
    let (_folder, server) = limited(2, "tcp_connections_per_client = 2");
    let server = server.addresses()[0];
    let (first, mut second) = (held(server), held(server));
    for _ in 0..3 {
        assert!(Connection::open(server).is_closed(), "the third");
    }
    // Those that were there, another client, and UDP go on.
    assert_eq!(second.ask(&question()).status, "NOERROR");
    assert_eq!(from("127.0.0.2", server).ask(&question()).status, "NOERROR");
    assert_eq!(ask(server, &format!("-t A {NGINX}")).status, "NOERROR");
    drop(first);
    let mut third = eventually("a place for a new connection", || {
        let mut connection = Connection::open(server);
        connection.write(&framed(&question()));
        connection.read().map(|_| connection).ok_or_else(|| "closed".to_owned())
    });
    assert_eq!(third.ask(&question()).status, "NOERROR");
    assert!(Connection::open(server).is_closed(), "the third again");
}

#[test]
fn all_clients_have_so_many_connections() {
    let (_folder, server) = limited(2, "tcp_connections = 3");
    let server = server.addresses()[0];
    let mut held = [from("127.0.0.1", server), from("127.0.0.2", server), from("127.0.0.3", server)];
    held.iter_mut().for_each(|connection| assert_eq!(connection.ask(&question()).status, "NOERROR"));
    assert!(from("127.0.0.4", server).is_closed() && from("127.0.0.1", server).is_closed());
    held.iter_mut().for_each(|connection| assert_eq!(connection.ask(&question()).status, "NOERROR"));
    assert_eq!(ask(server, &format!("-t A {NGINX}")).status, "NOERROR");
    drop(held);
    eventually("a place for a new connection", || {
        let mut connection = from("127.0.0.4", server);
        connection.write(&framed(&question()));
        connection.read().map(drop).ok_or_else(|| "closed".to_owned())
    });
}

#[test]
fn a_client_that_never_reads_stops_nobody_and_is_closed() {
    let (_folder, server) = limited(2000, "tcp_idle = 2");
    let server = server.addresses()[0];
    let deaf: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(server).unwrap();
            stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            // Until the server takes no more: it does not read on for one whose answers are stuck.
            while stream.write_all(&framed(&question()).repeat(100)).is_ok() {}
            stream
        })
        .collect();
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(held(server).ask(&question()).sections[0].len(), 2000);
        assert_eq!(ask(server, &format!("-t A web-7.{NGINX}")).status, "NOERROR");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "40 answers took {:?}", start.elapsed());
    // Closed with answers unsent: what a write meets then is a reset.
    for mut stream in deaf {
        eventually("the end of the client that does not read", || match stream.write_all(&[0]) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}
