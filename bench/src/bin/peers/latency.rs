//! From the API server's acknowledgement of a change to the start of what each sidecar runs for it.
//!
//! A change is the last peer's coming or going: the names differ, for peer-finder looks at nothing else. The ways have turns,
//! in which only their sidecars are there: one that is pushed to, for on a machine of its own it waits for no other; then
//! several, which share their core. Between two changes passes a time by chance; before those that a loop is to
//! find, a whole second of it at most, so that a change falls anywhere between two lookups.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use rollcall_bench::clock;
use rollcall_bench::metrics::Metrics;
use rollcall_bench::{Random, processor_seconds};

use super::sets::Sets;
use super::sidecars::{POLL, Programs, Sidecars, Way};

/// Between two changes of which sidecars are told, at least, and up to so much more, in milliseconds.
const BETWEEN: (u64, u64) = (20, 100);

#[derive(Debug, Args)]
pub(super) struct Latency {
    /// The API server's administrator, where `prepare` has made the StatefulSets
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Those that are followed
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<usize>,
    /// Who follows them, in turn
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tls,finder,tcp")]
    ways: Vec<Way>,
    /// How many that are pushed to are there at one time, in turn
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    together: Vec<u8>,
    /// How often each has its turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Changes in each turn, an even number; twice as many are not counted before the first
    #[arg(long, default_value_t = 100)]
    changes: usize,
    /// The same for the loop, each of which takes a second and more
    #[arg(long, default_value_t = 40)]
    polled_changes: usize,
    /// Where the server is asked over UDP and TCP
    #[arg(long)]
    server: SocketAddr,
    /// Where it listens for TLS
    #[arg(long)]
    tls: SocketAddr,
    /// Where it tells what it counted
    #[arg(long)]
    admin: SocketAddr,
    /// Its process
    #[arg(long)]
    pid: u32,
    #[command(flatten)]
    programs: Programs,
}

impl Latency {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        ensure!(
            self.changes.is_multiple_of(2) && self.polled_changes.is_multiple_of(2),
            "who goes is to come again"
        );
        ensure!(self.changes > 0 && self.polled_changes > 0, "there is nothing to measure");
        let sets = Sets::open(&self.kubeconfig)?;
        let mut random = Random::new(1, 0);
        for round in 1..=self.rounds {
            for &size in &self.sizes {
                for &way in &self.ways {
                    let loops = [self.programs.sidecars];
                    let counts = if way == Way::Finder { &loops[..] } else { &self.together[..] };
                    for &count in counts {
                        self.turn(&sets, &mut random, (round, size), (way, count))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One turn; prints its line.
    fn turn(
        &self,
        sets: &Sets,
        random: &mut Random,
        (round, size): (usize, usize),
        (way, count): (Way, u8),
    ) -> anyhow::Result<()> {
        let server = if way == Way::Tls { self.tls } else { self.server };
        let changes = if way == Way::Finder { self.polled_changes } else { self.changes };
        let mut sidecars = Sidecars::start(&self.programs, (way, count), server, size)?;
        // What a connection, a cache or a program does for the first time is not counted.
        for change in 0..2 {
            change_once(sets, random, &mut sidecars, (size, way), change)?;
        }
        let used = |sidecars: &Sidecars| -> anyhow::Result<[f64; 2]> {
            Ok([processor_seconds(self.pid)?, sidecars.processor_seconds()?])
        };
        let (metrics, before, begin) = (Metrics::of(self.admin)?, used(&sidecars)?, Instant::now());
        let mut figures = Vec::new();
        for change in 0..changes {
            figures.extend(change_once(sets, random, &mut sidecars, (size, way), change)?);
        }
        let (seconds, now, after) =
            (begin.elapsed().as_secs_f64(), Metrics::of(self.admin)?, used(&sidecars)?);
        let grown = |name: &str| now.sum(name, &[]) - metrics.sum(name, &[]);
        let figures: Vec<String> = figures.iter().map(|figure| format!("{figure:.2}")).collect();
        println!(
            "turn size={size} way={way} round={round} sidecars={count} changes={changes} seconds={seconds:.1} questions={} pushes={} \
             server_s={:.2} sidecars_s={:.2} others={} ms={}",
            grown("rollcall_dns_queries_total"),
            grown("rollcall_push_messages_total"),
            after[0] - before[0],
            after[1] - before[1],
            sidecars.others()?,
            figures.join(","),
        );
        Ok(())
    }
}

/// Makes a change, and waits for all hooks; milliseconds from the acknowledgement to each.
fn change_once(
    sets: &Sets,
    random: &mut Random,
    sidecars: &mut Sidecars,
    (size, way): (usize, Way),
    change: usize,
) -> anyhow::Result<Vec<f64>> {
    let pause = match way {
        Way::Finder => Duration::from_micros(random.number() % 1_000_000).mul_f64(POLL.as_secs_f64()),
        Way::Tls | Way::Tcp => Duration::from_millis(BETWEEN.0 + random.number() % BETWEEN.1),
    };
    thread::sleep(pause);
    let comes = change % 2 == 1;
    let acknowledged = sets.set_last(size, comes)?;
    let began = sidecars.wait(if comes { size } else { size - 1 })?;
    Ok(began.into_iter().map(|began| clock::milliseconds(acknowledged, began)).collect())
}
