//! Memory and start of a DNS server by the size of its cluster: one start and its figures (`run`), and the tables and
//! the plot of many (`report`). Ends only the process that it started.

mod report;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use rollcall_bench::{first_answer, processor_seconds, status_kib};

/// Measure memory and start of a DNS server by the size of its cluster.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start a server, wait for its first right answer, and print one line of figures
    Run(Run),
    /// Make tables and a plot from such lines
    Report(report::Report),
}

#[derive(Debug, Args)]
struct Run {
    /// Which server it is
    #[arg(long)]
    name: String,
    /// Endpoints of the cluster
    #[arg(long)]
    size: u64,
    /// Where it will answer
    #[arg(long)]
    server: SocketAddr,
    /// A name that has one address in the end, and the address; none: its memory after the settling is all there is
    #[arg(long, num_args = 2, value_names = ["NAME", "ADDRESS"])]
    question: Option<Vec<String>>,
    /// Seconds from the first right answer to the look at its memory
    #[arg(long, default_value_t = 10)]
    settle: u64,
    /// Seconds to another look, for what is given back late; 0 for none
    #[arg(long, default_value_t = 0)]
    later: u64,
    /// Seconds that the start may take
    #[arg(long, default_value_t = 300)]
    bound: u64,
    /// Where its output goes
    #[arg(long)]
    log: PathBuf,
    /// The server and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        What::Run(run) => measure(&run),
        What::Report(report) => report.write(),
    }
}

/// A child that does not outlive us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure(run: &Run) -> anyhow::Result<()> {
    let log = File::create(&run.log).with_context(|| format!("cannot write {}", run.log.display()))?;
    let [program, arguments @ ..] = &run.command[..] else { bail!("there is nothing to start") };
    let begin = Instant::now();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let mut server = Server(child);
    let pid = server.0.id();
    let mut answered = 0.0;
    if let Some([name, address]) = run.question.as_deref() {
        let address: Ipv4Addr = address.parse().context("the address of the question")?;
        let latest = begin + Duration::from_secs(run.bound);
        let is_over = || !matches!(server.0.try_wait(), Ok(None));
        answered = (first_answer(run.server, name, address, latest, is_over)? - begin).as_secs_f64();
    }
    let processor = processor_seconds(pid)?;
    std::thread::sleep(Duration::from_secs(run.settle));
    let (most, now) = (status_kib(pid, "VmHWM")?, status_kib(pid, "VmRSS")?);
    print!(
        "start server={} size={} answered_s={answered:.3} processor_s={processor:.2} rss_kib={now} hwm_kib={most}",
        run.name, run.size,
    );
    if run.later > 0 {
        std::thread::sleep(Duration::from_secs(run.later));
        print!(" later_s={} later_kib={}", run.settle + run.later, status_kib(pid, "VmRSS")?);
    }
    println!();
    Ok(())
}
