//! What strangers may do to a DNS server on loopback, without end: garbage, connections that say nothing, clients that
//! never read what they asked for. `tests/flood.sh` asks good questions beside it.
//!
//! Says `flooding` once all of its connections were tried, then runs until its time is over or it is ended, and prints
//! what it did in one line of `key=value`. One thread; its files are bounded by its connections.

mod connections;
mod garbage;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

/// Flood a DNS server.
#[derive(Debug, Parser)]
struct Arguments {
    /// Whom
    #[arg(long)]
    server: SocketAddr,
    /// With what
    #[arg(value_enum)]
    kind: Kind,
    /// How many connections are held at one time
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=19_000))]
    connections: u16,
    /// From how many addresses of 127.0.0.0/8 they come, in turn
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=250))]
    sources: u8,
    /// Datagrams a second, at most
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: u32,
    /// A name whose SRV records are many, for those that do not read them
    #[arg(long, default_value = "kubernetes.default.svc.cluster.local")]
    large: String,
    /// How long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed makes the same garbage
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What strangers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Datagrams of chance: any octets, headers with any counts, questions that were cut or bent
    Datagrams,
    /// The same over TCP, with any length in front; a closed connection is opened anew
    Garbage,
    /// One piece of such garbage a connection, which its client cuts at once, and opens the next one without a pause
    Passing,
    /// Connections without an octet, opened anew when they are closed
    Silent,
    /// Connections that have asked one question each, were answered, and stay
    Held,
    /// Large answers asked for as fast as it goes, and none read
    Slow,
    /// The first octets of a TLS handshake, and no more
    Handshakes,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let time = Duration::from_secs(arguments.seconds);
    if arguments.kind == Kind::Datagrams {
        let done = garbage::datagrams(arguments.server, arguments.rate, arguments.seed, time)?;
        println!("{done}");
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let done = runtime.block_on(connections::flood(&arguments, time))?;
    println!("{done}");
    Ok(())
}
