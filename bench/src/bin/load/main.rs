//! Asks a DNS server as fast as it answers, or at a rate, from one core, and prints what came back.
//!
//! A window of questions is under way at all times: a reply makes room for the next one. So the server decides
//! the rate and nothing is lost unless it loses it. 32 packets go in and out with a system call, on connected
//! sockets, from packets encoded before the clock runs: `busy` tells how much of its own core the generator used,
//! and where that is near 100 % it is the generator that was measured.

mod counts;
mod histogram;
mod mix;
mod pace;
mod questions;
mod tcp;
mod udp;
mod window;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use counts::Measured;
use pace::Bound;
use questions::{Form, Questions};

/// Ask a DNS server as fast as it answers, or at a rate.
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
    /// The share of each kind, in any unit: host, service (A), srv (of a port), aaaa (no data), missing (a
    /// pod that is not there), search (what a search path makes)
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
    /// Questions a second, each counted from when it is due; without it, as many as are answered
    #[arg(long, value_parser = a_rate)]
    rate: Option<f64>,
    /// Over TCP, pipelined on so many connections as there are sockets
    #[arg(long, conflicts_with = "rate")]
    tcp: bool,
    /// How many sockets, each with a port of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    sockets: u16,
    /// The size that the OPT record says; 0 for none
    #[arg(long, default_value_t = 1232)]
    edns: u16,
    /// A client cookie in each question, for --edns
    #[arg(long)]
    cookie: bool,
    /// Letters of names in either case by chance
    #[arg(long)]
    mixed_case: bool,
    /// The core to stay on
    #[arg(long)]
    cpu: Option<usize>,
    /// The server's process, for its processor time; again for each where there are several
    #[arg(long)]
    pid: Vec<u32>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(out) = &arguments.write_questions {
        return std::fs::write(out, text_of(&arguments)?).context("cannot write the questions");
    }
    let questions = Questions::from_text(&text_of(&arguments)?, form(&arguments))?;
    ensure!(arguments.window >= arguments.sockets, "each socket needs a question in the window");
    if let Some(cpu) = arguments.cpu {
        let mut cpus = CpuSet::new();
        cpus.set(cpu).context("no such core")?;
        sched_setaffinity(Pid::from_raw(0), &cpus).context("cannot stay on the core")?;
    }
    println!("{}", ask(&arguments, &questions)?);
    Ok(())
}

/// The questions, `NAME TYPE` a line.
fn text_of(arguments: &Arguments) -> anyhow::Result<String> {
    match (&arguments.questions, &arguments.records) {
        (Some(file), _) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
        }
        (None, Some(file)) => {
            mix::from_records(file, &arguments.mix.parse()?, arguments.distinct, arguments.seed)
        }
        (None, None) => anyhow::bail!("give --questions or --records"),
    }
}

fn form(arguments: &Arguments) -> Form {
    Form {
        edns: (arguments.edns > 0).then_some(arguments.edns),
        cookie: arguments.cookie,
        mixed_case: arguments.mixed_case,
    }
}

fn ask(arguments: &Arguments, questions: &Questions) -> anyhow::Result<Measured> {
    let server = arguments.server.context("give --server")?;
    let bound = match arguments.count {
        Some(count) => Bound::Count(count),
        None => Bound::Time(Duration::try_from_secs_f64(arguments.seconds)?),
    };
    let warm_up = Bound::Time(Duration::try_from_secs_f64(arguments.warm_up)?);
    if arguments.tcp {
        let mut load = tcp::Load::new(server, questions, arguments.sockets, arguments.window)?;
        load.run(warm_up, &[])?;
        return load.run(bound, &arguments.pid);
    }
    let mut load = udp::Load::new(server, questions, arguments.sockets, arguments.window)?;
    load.run(warm_up, arguments.rate, &[])?;
    load.run(bound, arguments.rate, &arguments.pid)
}

fn a_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=1e9).contains(&rate) => Ok(rate),
        _ => Err("not a number of questions a second".to_owned()),
    }
}
