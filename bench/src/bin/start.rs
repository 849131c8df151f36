//! Starts a server on a dump or a snapshot again and again: seconds from exec to `ready` and to the first right answer, and the
//! memory that it takes then. Ends only the processes that it started.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use rollcall_bench::{first_answer, median_and_range, status_kib};

/// Between the first answer and the look at the memory: what was only for the load is given back by then.
const SETTLE: Duration = Duration::from_millis(500);

/// Start a server, and print how long it took and how much memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// The rollcall to start
    #[arg(long)]
    server: PathBuf,
    /// What stands before the figures
    #[arg(long)]
    label: String,
    /// A name of the cluster that has one address, and the address; none for one without endpoints
    #[arg(long, num_args = 2, value_names = ["NAME", "ADDRESS"])]
    question: Option<Vec<String>>,
    /// Endpoints of the cluster
    #[arg(long, default_value_t = 0)]
    endpoints: u64,
    /// KiB of a server without endpoints, which are not the endpoints'
    #[arg(long, default_value_t = 0)]
    baseline: u64,
    /// Starts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds that one start may take
    #[arg(long, default_value_t = 120)]
    bound: u64,
    /// Print the median of VmRSS in KiB and nothing else
    #[arg(long)]
    memory_only: bool,
    /// Arguments of `serve` that say where its cluster is
    #[arg(last = true, required = true)]
    cluster: Vec<OsString>,
}

/// What one start took.
struct Figures {
    ready: f64,
    answered: f64,
    /// KiB.
    most: u64,
    now: u64,
}

/// A child that does not outlive us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.runs > 0, "there is nothing to run");
    let runs = (0..arguments.runs).map(|_| start(&arguments)).collect::<anyhow::Result<Vec<_>>>()?;
    let column =
        |of: fn(&Figures) -> f64| median_and_range(runs.iter().map(of).collect()).unwrap_or_default();
    let kib = |kib: u64| f64::from(u32::try_from(kib).unwrap_or(u32::MAX));
    let now = median_and_range(runs.iter().map(|run| kib(run.now)).collect()).unwrap_or_default();
    if arguments.memory_only {
        println!("{:.0}", now.0);
        return Ok(());
    }
    let most = median_and_range(runs.iter().map(|run| kib(run.most)).collect()).unwrap_or_default();
    let (ready, answered) = (column(|run| run.ready), column(|run| run.answered));
    let seconds = |(median, least, most): (f64, f64, f64)| {
        let digits = if most < 1.0 { 3 } else { 2 };
        format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
    };
    let mib = |(median, least, most): (f64, f64, f64)| {
        format!("{:.0} ({:.0}–{:.0})", median / 1024.0, least / 1024.0, most / 1024.0)
    };
    let endpoints = kib(arguments.endpoints).max(1.0);
    println!(
        "| {} | {} | {} | {} | {} | {:.0} |",
        arguments.label,
        seconds(ready),
        seconds(answered),
        mib(most),
        mib(now),
        (now.0 - kib(arguments.baseline)) * 1024.0 / endpoints,
    );
    Ok(())
}

fn start(arguments: &Arguments) -> anyhow::Result<Figures> {
    let latest = Instant::now() + Duration::from_secs(arguments.bound);
    let begin = Instant::now();
    let child = Command::new(&arguments.server)
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "off"])
        .args(&arguments.cluster)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the server")?;
    let mut server = Server(child);
    let pid = server.0.id();
    let stderr = server.0.stderr.take().context("no standard error")?;
    let (line_tx, line_rx) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line_tx.send((Instant::now(), line)).is_err() {
                break;
            }
        }
    });
    let (_, address) = wait_for(&line_rx, "listening udp+tcp ", latest)?;
    let address: SocketAddr = address.parse().context("the address that it listens on")?;
    // It is asked all the while: the first right answer is not to wait for the word.
    let asked = arguments.question.clone().map(|question| {
        std::thread::spawn(move || {
            let wanted: Ipv4Addr = question[1].parse().context("the address of the question")?;
            first_answer(address, &question[0], wanted, latest, || false)
        })
    });
    let (ready, _) = wait_for(&line_rx, "ready", latest)?;
    let answered = match asked.map(std::thread::JoinHandle::join) {
        None => ready,
        Some(Ok(answered)) => answered?,
        Some(Err(_)) => bail!("the asking thread panicked"),
    };
    std::thread::sleep(SETTLE);
    Ok(Figures {
        ready: (ready - begin).as_secs_f64(),
        answered: (answered - begin).as_secs_f64(),
        most: status_kib(pid, "VmHWM")?,
        now: status_kib(pid, "VmRSS")?,
    })
}

/// When a line came that begins so, and the rest of it.
fn wait_for(
    line_rx: &Receiver<(Instant, String)>,
    beginning: &str,
    latest: Instant,
) -> anyhow::Result<(Instant, String)> {
    loop {
        let left = latest.saturating_duration_since(Instant::now());
        match line_rx.recv_timeout(left) {
            Ok((at, line)) => {
                if let Some(rest) = line.strip_prefix(beginning) {
                    return Ok((at, rest.to_owned()));
                }
            }
            Err(RecvTimeoutError::Timeout) => bail!("no line `{beginning}` in time"),
            Err(RecvTimeoutError::Disconnected) => bail!("the server ended before `{beginning}`"),
        }
    }
}
