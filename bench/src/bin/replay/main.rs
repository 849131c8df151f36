//! An API server that plays a made-up cluster from memory, whose slices change at a rate; see `rollcall_bench::replay`.
//!
//! Says `listening ADDRESS`, and runs until it is ended. Lines `rate N` of its control file, which is a named pipe, make
//! so many changes a second from then on; each is answered with what was reached before.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use rollcall_bench::cluster::{Cluster, Shape};
use rollcall_bench::replay::{Changes, Replay};

/// Play an API server from memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen: plain HTTP
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many endpoints there are in all
    #[arg(long, default_value_t = 10_000)]
    endpoints: usize,
    /// How many endpoints a service has
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_service: u32,
    /// What the services are
    #[arg(long, value_enum, default_value_t = Shape::Mixed)]
    shape: Shape,
    /// The same seed makes the same cluster
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Changes a second from the start on
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// A named pipe of lines `rate N`
    #[arg(long)]
    control: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let cluster = Cluster {
        endpoints: arguments.endpoints,
        per_service: arguments.per_service as usize,
        seed: arguments.seed,
        shape: arguments.shape,
    };
    let replay = Replay::start(arguments.listen, &cluster)?;
    println!("listening {}", replay.address());
    let mut rate = arguments.rate;
    let mut changes = Changes::start(&replay, rate);
    let Some(control) = &arguments.control else {
        loop {
            std::thread::park();
        }
    };
    let control = File::open(control).with_context(|| format!("cannot read {}", control.display()))?;
    for line in BufReader::new(control).lines() {
        let line = line?;
        let next = line.trim().strip_prefix("rate ").and_then(|rate| rate.parse().ok());
        let next: u32 = next.with_context(|| format!("not `rate N`: {line}"))?;
        let reached = changes.stop();
        println!("rate={rate} reached={reached:.0} watches={}", replay.slice_watches());
        rate = next;
        changes = Changes::start(&replay, rate);
    }
    Ok(())
}
