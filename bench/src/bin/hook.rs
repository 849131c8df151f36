//! What a sidecar runs when its list has changed, of `src/bin/peers`: says in a datagram when it began, how many names it was
//! given, and how the sidecar has learned of them, and ends. A program of its own, for a small one starts soon, and as soon for whoever starts it.
//!
//! Usage: hook ADDRESS WHO, and names on standard input, a line each.

use std::io::BufRead as _;
use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Context as _;
use rollcall_bench::clock;

fn main() -> anyhow::Result<()> {
    let began = clock::now()?;
    let mut arguments = std::env::args().skip(1);
    let (address, who) = arguments.next().zip(arguments.next()).context("usage: hook ADDRESS WHO")?;
    let names = std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()?;
    let count = names.iter().filter(|name| !name.is_empty()).count();
    let way = std::env::var("ROLLCALL_WAY").unwrap_or_else(|_| "-".to_owned());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.send_to(format!("{who} {began} {count} {way}").as_bytes(), address)?;
    Ok(())
}
