//! What no server can beat here: one that reads the watch and answers, and knows nothing else.
//!
//! It decodes no object, keeps no cluster and makes no records: of each event it looks whether it is about the probe,
//! and takes the address out of it. What is left is the kernel's part: two sockets, two threads woken, and the cores
//! that everything here shares.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, ensure};

/// In every event of the probe's slice, and in no other's.
const PROBE: &[u8] = b"probe-0";
/// How an address begins that a change gave (`replay::address`), and its length.
const ADDRESS: (&[u8], usize) = (b"100.1", 15);

/// Starts it, on loopback, until the process ends; gives where it answers.
pub(super) fn start(api: SocketAddr) -> anyhow::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = socket.local_addr()?;
    let watch = watch(api)?;
    let known = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&known);
    thread::spawn(move || follow(watch, &told));
    thread::spawn(move || answer(&socket, &known));
    Ok(at)
}

fn watch(api: SocketAddr) -> anyhow::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(api)?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "GET /apis/discovery.k8s.io/v1/endpointslices?watch=true&sendInitialEvents=true&timeoutSeconds=86400 HTTP/1.1\r\n\
         Host: floor\r\nAccept: application/vnd.kubernetes.protobuf;stream=watch\r\n\r\n"
    )?;
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    ensure!(line.contains(" 200 "), "the floor's watch is refused: {line}");
    while line != "\r\n" {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the floor's watch ended in its head");
    }
    Ok(stream)
}

/// An event is a chunk.
fn follow(mut stream: BufReader<TcpStream>, known: &AtomicU32) {
    let (mut line, mut chunk) = (String::new(), Vec::new());
    while let Ok(()) = next(&mut stream, &mut line, &mut chunk) {
        let find = |part: &[u8]| chunk.windows(part.len()).position(|window| window == part);
        let Some(at) = find(PROBE).and_then(|_| find(ADDRESS.0)) else { continue };
        let text = chunk.get(at..at + ADDRESS.1).and_then(|text| std::str::from_utf8(text).ok());
        if let Some(address) = text.and_then(|text| text.parse::<Ipv4Addr>().ok()) {
            known.store(address.to_bits(), Ordering::Relaxed);
        }
    }
}

fn next(stream: &mut BufReader<TcpStream>, line: &mut String, chunk: &mut Vec<u8>) -> anyhow::Result<()> {
    line.clear();
    ensure!(stream.read_line(line)? > 0, "ended");
    let length = usize::from_str_radix(line.trim_end(), 16).context("no chunk")?;
    ensure!(length > 0, "ended");
    chunk.resize(length + 2, 0);
    Ok(stream.read_exact(chunk)?)
}

/// Whatever is asked, the address is the answer.
fn answer(socket: &UdpSocket, known: &AtomicU32) {
    let mut packet = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut packet[..256]) {
        packet[2..8].copy_from_slice(&[0x85, 0x80, 0, 1, 0, 1]);
        let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4];
        packet[length..length + 12].copy_from_slice(&record);
        packet[length + 12..length + 16].copy_from_slice(&known.load(Ordering::Relaxed).to_be_bytes());
        // A client that has gone asks no more.
        let _ = socket.send_to(&packet[..length + 16], client);
    }
}
