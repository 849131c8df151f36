//! Asks a DNS server over UDP as fast as it answers, from one core, and prints what came back.
//!
//! A window of questions is under way at all times: a reply makes room for the next one. So the server decides
//! the rate and nothing is lost unless it loses it. 32 packets go in and out with a system call, on connected
//! sockets, from packets encoded before the clock runs: `busy` tells how much of its own core the generator used,
//! and where that is near 100 % it is the generator that was measured.

mod histogram;
mod questions;
mod run;
mod socket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use questions::Questions;
use run::{Bound, Load};

/// Ask a DNS server over UDP as fast as it answers.
#[derive(Debug, Parser)]
struct Arguments {
    /// Whom to ask
    #[arg(long, required_unless_present = "write_questions")]
    server: Option<SocketAddr>,
    /// Questions, `NAME TYPE` a line, asked in turn
    #[arg(long, conflicts_with = "records")]
    questions: Option<PathBuf>,
    /// Questions made from what `rollcall records` printed; --mix says which
    #[arg(long, required_unless_present = "questions")]
    records: Option<PathBuf>,
    /// The share of each kind, in any unit: host, service (A), srv (of a port), aaaa (no data), missing (NXDOMAIN)
    #[arg(long, default_value = "host=60,service=10,srv=10,aaaa=10,missing=10")]
    mix: String,
    /// How many questions are made from the records
    #[arg(long, default_value_t = 200_000)]
    distinct: usize,
    /// The same seed makes the same questions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the questions to this file and end
    #[arg(long, requires = "records")]
    write_questions: Option<PathBuf>,
    /// How long to count
    #[arg(long, default_value_t = 3.0, conflicts_with = "count")]
    seconds: f64,
    /// Count this many replies instead
    #[arg(long)]
    count: Option<u64>,
    /// Ask so long before counting
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Questions under way at one time, over all sockets
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=16384))]
    window: u16,
    /// How many sockets, each with a port of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    sockets: u16,
    /// The size that the OPT record says; 0 for none
    #[arg(long, default_value_t = 1232)]
    edns: u16,
    /// The core to stay on
    #[arg(long)]
    cpu: Option<usize>,
    /// The server's process, for its processor time
    #[arg(long)]
    pid: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let edns = (arguments.edns > 0).then_some(arguments.edns);
    let questions = match (&arguments.questions, &arguments.records) {
        (Some(file), _) => Questions::from_file(file, edns)?,
        (None, Some(file)) => {
            let mix = arguments.mix.parse()?;
            let questions = questions::from_records(file, &mix, arguments.distinct, arguments.seed)?;
            if let Some(out) = &arguments.write_questions {
                return std::fs::write(out, questions).context("cannot write the questions");
            }
            Questions::from_text(&questions, edns)?
        }
        (None, None) => anyhow::bail!("give --questions or --records"),
    };
    ensure!(arguments.window >= arguments.sockets, "each socket needs a question in the window");
    if let Some(cpu) = arguments.cpu {
        let mut cpus = CpuSet::new();
        cpus.set(cpu).context("no such core")?;
        sched_setaffinity(Pid::from_raw(0), &cpus).context("cannot stay on the core")?;
    }
    let bound = match arguments.count {
        Some(count) => Bound::Count(count),
        None => Bound::Time(Duration::try_from_secs_f64(arguments.seconds)?),
    };
    let server = arguments.server.context("give --server")?;
    let mut load = Load::new(server, &questions, arguments.sockets.into(), arguments.window.into())?;
    load.run(Bound::Time(Duration::try_from_secs_f64(arguments.warm_up)?), None)?;
    let counts = load.run(bound, arguments.pid)?;
    println!("{counts}");
    Ok(())
}
