//! The floor of kernel sockets: returns each datagram with the QR bit set, and does nothing else.
//!
//! One thread, one socket with the options that rollcall's have (SO_REUSEPORT, IP_PKTINFO), 32 packets a `recvmmsg`
//! and a `sendmmsg`, so that what a server takes beyond this is its own. A reply is the question as it came, made as
//! long as that server's replies are. With `--tcp` a second thread does as little for connections (`stream`).

mod stream;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use anyhow::{Context as _, ensure};
use clap::Parser;
use rollcall_bench::datagrams::{ROOM, Returned, tell_local_address};
use socket2::{Domain, Protocol, Socket, Type};

/// Return every datagram.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; the address is printed
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Octets of a reply; a longer question is returned whole
    #[arg(long, default_value_t = 0)]
    length: usize,
    /// Answer connections at the same address too
    #[arg(long)]
    tcp: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.length <= ROOM, "replies have {ROOM} octets at most");
    let socket = bind(arguments.listen).context("cannot listen")?;
    let address = socket.local_addr()?;
    if arguments.tcp {
        thread::spawn(move || {
            if let Err(error) = stream::serve(address) {
                eprintln!("{error:#}");
                std::process::exit(1);
            }
        });
    }
    println!("listening {address}");
    let mut batch = Returned::new();
    loop {
        match batch.receive(&socket) {
            Ok(count) => give_back(&mut batch, &socket, count, arguments.length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot receive"),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    tell_local_address(&socket)?;
    Ok(socket)
}

fn give_back(batch: &mut Returned, socket: &UdpSocket, count: usize, length: usize) {
    for place in 0..count {
        let length = length.max(batch.length(place));
        if let Some(flags) = batch.reply(place, length).get_mut(2) {
            *flags |= 0x80;
        }
    }
    // What cannot be sent is lost, and the generator says so.
    let _ = batch.send(socket, count);
}
