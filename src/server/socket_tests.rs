//! Batches over loopback: every way to receive and send, both families.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::datagram::{UdpSettings, bind_all};
use super::socket::{Batch, Calls, Sent, dropped};

const PATIENCE: Duration = Duration::from_secs(10);
const WAYS: [Calls; 4] = [
    Calls::ALL,
    Calls::ONE_AT_A_TIME,
    Calls { receive_many: true, send_many: false },
    Calls { receive_many: false, send_many: true },
];

/// A server's socket at a free port.
fn mk_server(ip: impl Into<std::net::IpAddr>, settings: &UdpSettings) -> (UdpSocket, u16) {
    let ip = ip.into();
    let of_family: SocketAddr =
        if ip.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    // Held while the server binds elsewhere: `bind_all` takes any address of this port.
    let port = UdpSocket::bind(of_family).unwrap().local_addr().unwrap().port();
    let socket = bind_all((ip, port).into(), settings).unwrap().remove(0);
    (socket, port)
}

/// A client that hears only this address.
fn mk_client(ip: impl Into<std::net::IpAddr>, port: u16) -> UdpSocket {
    let ip = ip.into();
    let any: SocketAddr =
        if ip.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let client = UdpSocket::bind(any).unwrap();
    client.connect((ip, port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Receives until so many packets have come, and sends each back, turned round.
fn turn_round(batch: &mut Batch, server: &UdpSocket, packets: usize) -> usize {
    let (mut left, mut largest) = (packets, 0);
    while left > 0 {
        batch.receive(server).unwrap();
        left -= batch.received();
        largest = largest.max(batch.received());
        batch.respond(|_, packet, reply, _| {
            let turned = packet.iter().rev();
            reply.iter_mut().zip(turned).for_each(|(to, from)| *to = *from);
            packet.len()
        });
        assert_eq!(batch.send(server).failed, 0);
    }
    largest
}

#[test]
fn batches_of_every_size_and_way_answer_every_packet() {
    for calls in WAYS {
        for size in [1, 7, 64] {
            let (server, port) = mk_server(Ipv4Addr::LOCALHOST, &UdpSettings::default());
            let clients = [mk_client(Ipv4Addr::LOCALHOST, port), mk_client(Ipv4Addr::LOCALHOST, port)];
            let mut batch = Batch::new(size, calls);
            // More than two batches, longer and shorter ones, in turn from two clients.
            for round in 0..3_u8 {
                for packet in 0..150_u8 {
                    let octets = vec![packet; usize::from(round * 40 + packet % 50) + 1];
                    clients[usize::from(packet % 2)].send(&[&[round, packet][..], &octets].concat()).unwrap();
                }
                assert_eq!(turn_round(&mut batch, &server, 150), size, "{calls:?}");
                for packet in 0..150_u8 {
                    let mut octets = [0; 512];
                    let length = clients[usize::from(packet % 2)].recv(&mut octets).unwrap();
                    assert_eq!(length, usize::from(round * 40 + packet % 50) + 3, "{calls:?} {size}");
                    assert_eq!(octets[length - 2..length], [packet, round], "{calls:?} {size}");
                }
            }
        }
    }
}

#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    for calls in WAYS {
        let (server, port) = mk_server(Ipv4Addr::UNSPECIFIED, &UdpSettings::default());
        let clients = [1, 3, 77].map(|last| mk_client(Ipv4Addr::new(127, 0, 0, last), port));
        let mut batch = Batch::new(32, calls);
        clients.iter().for_each(|client| assert_eq!(client.send(b"abc").unwrap(), 3));
        turn_round(&mut batch, &server, clients.len());
        for client in &clients {
            let mut octets = [0; 16];
            assert_eq!(client.recv(&mut octets).unwrap(), 3, "{calls:?}");
            assert_eq!(&octets[..3], b"cba");
        }
    }
}

#[test]
fn an_ipv6_wildcard_too() {
    if let Err(error) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        let _ = writeln!(std::io::stderr(), "skipped: this machine has no ::1 ({error})");
        return;
    }
    // Every address of the machine: more than one, where it has a network.
    let own = if_addrs::get_if_addrs().unwrap().into_iter().map(|interface| interface.ip());
    let own = own.filter_map(|ip| match ip {
        std::net::IpAddr::V6(v6) if !v6.is_unicast_link_local() => Some(v6),
        _ => None,
    });
    let own: Vec<Ipv6Addr> = own.collect();
    for calls in WAYS {
        let (server, port) = mk_server(Ipv6Addr::UNSPECIFIED, &UdpSettings::default());
        let mut batch = Batch::new(32, calls);
        let clients: Vec<_> = own.iter().map(|ip| mk_client(*ip, port)).collect();
        clients.iter().for_each(|client| assert_eq!(client.send(b"abc").unwrap(), 3));
        turn_round(&mut batch, &server, clients.len());
        for client in &clients {
            assert_eq!(client.recv(&mut [0; 16]).unwrap(), 3, "{calls:?}");
        }
    }
}

#[test]
fn a_late_reply_comes_from_the_address_that_was_asked() {
    let (server, port) = mk_server(Ipv4Addr::UNSPECIFIED, &UdpSettings::default());
    let client = mk_client(Ipv4Addr::new(127, 0, 0, 9), port);
    client.send(b"abc").unwrap();
    let mut batch = Batch::new(32, Calls::ALL);
    batch.receive(&server).unwrap();
    let mut kept = None;
    batch.respond(|_, _, _, envelope| {
        kept = Some(*envelope);
        0
    });
    assert_eq!(batch.send(&server), Sent { sent: 0, failed: 0 });
    kept.unwrap().send(&server, &mut b"late".to_vec()).unwrap();
    let mut octets = [0; 16];
    assert_eq!(client.recv(&mut octets).unwrap(), 4);
}

#[test]
fn a_reply_that_cannot_be_sent_keeps_none_of_the_others() {
    for calls in WAYS {
        let (server, port) = mk_server(Ipv4Addr::LOCALHOST, &UdpSettings::default());
        let client = mk_client(Ipv4Addr::LOCALHOST, port);
        (0..5_u8).for_each(|packet| assert_eq!(client.send(&[packet]).unwrap(), 1));
        // Loopback delivers within the send: they are all there.
        let mut batch = Batch::new(32, calls);
        batch.receive(&server).unwrap();
        assert_eq!(batch.received(), 5);
        batch.respond(|_, packet, reply, _| {
            reply[0] = packet[0];
            usize::from(packet[0] != 1)
        });
        batch.spoil(3);
        let sent = batch.send(&server);
        assert_eq!(sent, Sent { sent: 3, failed: 1 }, "{calls:?}");
        for expected in [0, 2, 4] {
            let mut octets = [9; 4];
            assert_eq!(client.recv(&mut octets).unwrap(), 1);
            assert_eq!(octets[0], expected);
        }
    }
}

#[test]
fn packets_that_find_no_room_are_counted() {
    let settings = UdpSettings { receive_buffer: 4 << 10, ..UdpSettings::default() };
    let (server, port) = mk_server(Ipv4Addr::LOCALHOST, &settings);
    if dropped(&server).is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: this kernel does not tell what a socket dropped");
        return;
    }
    assert_eq!(dropped(&server), Some(0));
    let client = mk_client(Ipv4Addr::LOCALHOST, port);
    (0..500).for_each(|_| assert_eq!(client.send(&[7; 100]).unwrap(), 100));
    let mut batch = Batch::new(64, Calls::ALL);
    server.set_nonblocking(true).unwrap();
    let mut received = 0;
    while batch.receive(&server).is_ok() {
        received += batch.received();
    }
    assert!(received > 0 && received < 500, "{received}");
    assert_eq!(dropped(&server).map(|dropped| dropped as usize + received), Some(500));
}

#[test]
fn the_probe_finds_what_a_kernel_of_today_has() {
    let (server, _) = mk_server(Ipv4Addr::LOCALHOST, &UdpSettings::default());
    assert_eq!(Calls::probe(&server), Calls::ALL);
}
