//! A server of UDP alone in front of the real one, which can be away or say what no server should.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

/// What becomes of an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Manner {
    Honest,
    /// Nothing comes.
    Dark,
    /// SERVFAIL, with no record.
    Failing,
    /// NXDOMAIN, with no record and without authority.
    Hearsay,
    /// NXDOMAIN with authority, and the Extended DNS Error "Stale NXDOMAIN Answer".
    Stale,
}

pub(super) struct Relay {
    pub(super) address: SocketAddr,
    manner: Arc<AtomicU8>,
    asked: Arc<AtomicUsize>,
}

impl Relay {
    pub(super) fn start(server: SocketAddr) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        front.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let address = front.local_addr().unwrap();
        let manner = Arc::new(AtomicU8::new(Manner::Honest as u8));
        let asked = Arc::new(AtomicUsize::new(0));
        let (its, asked_there) = (Arc::downgrade(&manner), Arc::clone(&asked));
        std::thread::spawn(move || {
            let back = UdpSocket::bind("127.0.0.1:0").unwrap();
            back.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let (mut question, mut answer) = ([0; 512], [0; 4096]);
            // It ends with its owner.
            while let Some(manner) = its.upgrade() {
                let Ok((length, client)) = front.recv_from(&mut question) else { continue };
                asked_there.fetch_add(1, Ordering::Relaxed);
                back.send_to(&question[..length], server).unwrap();
                let Ok(length) = back.recv(&mut answer) else { continue };
                let manner = manner.load(Ordering::Relaxed);
                if manner != Manner::Dark as u8 {
                    front.send_to(&changed(&answer[..length], manner), client).unwrap();
                }
            }
        });
        Self { address, manner, asked }
    }

    pub(super) fn behave(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
    }

    /// How many questions came so far.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// In front of a server of TCP: each connection is cut soon.
pub(super) struct Cutting {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Cutting {
    pub(super) fn start(server: SocketAddr) -> Self {
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = front.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in front.incoming() {
                let (mut client, mut back) = (client.unwrap(), TcpStream::connect(server).unwrap());
                count.fetch_add(1, Ordering::Relaxed);
                let (mut from_client, mut to_back) = (client.try_clone().unwrap(), back.try_clone().unwrap());
                let (first, second) = (client.try_clone().unwrap(), back.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_back));
                std::thread::spawn(move || std::io::copy(&mut back, &mut client));
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(100));
                    for stream in [first, second] {
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Self { address, connections }
    }

    /// How many there were so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn changed(answer: &[u8], manner: u8) -> Vec<u8> {
    if manner == Manner::Honest as u8 {
        return answer.to_vec();
    }
    // The header and the question: a name ends with an octet of 0, behind it stand type and class.
    let name = answer[12..].iter().position(|octet| *octet == 0).unwrap();
    let mut octets = answer[..12 + name + 5].to_vec();
    octets[6..12].fill(0);
    let authority = 0x04;
    if manner == Manner::Failing as u8 {
        (octets[2], octets[3]) = (octets[2] & !authority, 2);
    } else if manner == Manner::Hearsay as u8 {
        (octets[2], octets[3]) = (octets[2] & !authority, 3);
    } else {
        (octets[2], octets[3], octets[11]) = (octets[2] | authority, 3, 1);
        octets.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x06\x00\x0f\x00\x02\x00\x13");
    }
    octets
}
