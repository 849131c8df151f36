//! Time from the API server's acknowledgement of a change to the first right answer, for several servers
//! beside each other: the same changes, the same moments, idle and while other changes go on.
//!
//! A change is a patch of one hand-made EndpointSlice: the address of its one endpoint. The acknowledgement
//! is the response to it, read whole, on a connection that stays open. A thread for each server asks for the
//! endpoint's name until the new address is answered; any answer but the old address and the new one ends the
//! run.
//!
//! The API server tells its watchers and the one who asked for the change at about the same time, so an
//! answer may come before the acknowledgement, and a ratio of such times says nothing: ratios are of the time
//! from the sending.
//!
//! With `--replay` this program plays the API server itself, from memory: times are from the moment that the change was
//! written to the servers' watches, and other changes come at the rate that was wanted. `--floor` puts a server beside
//! them that does nothing but read the watch and answer.

mod api;
mod asking;
mod floor;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use rollcall_bench::cluster::{Cluster as MadeUp, Shape};
use rollcall_bench::replay::{self, Changes, Replay};
use rollcall_bench::{Random, median_and_range, percentile};

use api::{Cluster, OtherChanges};
use asking::{Job, Seen};

/// Between two changes, at least and at most, so that no clock of the servers keeps step with them.
const BETWEEN: (u64, u64) = (5, 25);
/// For the servers to come, and to know the cluster.
const START: Duration = Duration::from_secs(120);

/// Measure how long changes take to be answered, and print a table.
#[derive(Debug, Parser)]
struct Arguments {
    /// The API server's administrator; its objects are made in a namespace of their own
    #[arg(long, required_unless_present = "replay")]
    kubeconfig: Option<PathBuf>,
    /// Play the API server, here, and wait for the servers to come
    #[arg(long, value_name = "ADDRESS", conflicts_with = "kubeconfig")]
    replay: Option<SocketAddr>,
    /// The servers, the first one is what the others are compared with
    #[arg(long = "server", value_name = "NAME=ADDRESS", value_parser = server, required = true)]
    servers: Vec<(String, SocketAddr)>,
    /// Measure the floor beside them: what only reads the watch and answers
    #[arg(long, requires = "replay")]
    floor: bool,
    /// Other changes a second, in turn
    #[arg(long, value_delimiter = ',', default_value = "0,100,1000")]
    rates: Vec<u32>,
    /// How often each rate has its turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Changes measured in each turn
    #[arg(long, default_value_t = 200)]
    changes: usize,
    /// Services that the other changes are made to
    #[arg(long, default_value_t = 100)]
    services: usize,
    /// Endpoints of each of these, in slices of at most a hundred; of an API server that is not played always ten
    #[arg(long, default_value_t = 10, requires = "replay")]
    per_service: usize,
    /// Seconds that one change may take until it is answered
    #[arg(long, default_value_t = 30)]
    bound: u64,
}

fn server(text: &str) -> anyhow::Result<(String, SocketAddr)> {
    let (name, address) = text.split_once('=').context("NAME=ADDRESS")?;
    Ok((name.to_owned(), address.parse()?))
}

/// How long one change took to be answered by one server, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Latency {
    /// From the acknowledgement; less than nothing where the answer came before it.
    acknowledged: f64,
    /// From the sending of the change.
    sent: f64,
}

/// The changes of one turn.
struct Turn {
    rate: u32,
    /// Other changes a second that were acknowledged.
    reached: f64,
    /// A list for each server.
    latencies: Vec<Vec<Latency>>,
}

impl Turn {
    fn since_sending(&self, server: usize, percent: usize) -> f64 {
        percentile(self.latencies[server].iter().map(|latency| latency.sent), percent)
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    ensure!(arguments.rounds > 0 && arguments.changes > 0, "there is nothing to measure");
    ensure!(arguments.services > 0, "the other changes need a service");
    let api = Api::prepare(&arguments)?;
    if let (Api::Played(replay), true) = (&api, arguments.floor) {
        arguments.servers.push(("floor".to_owned(), floor::start(replay.address())?));
    }
    let mut probe = Probe::start(&arguments, api)?;
    let mut turns = Vec::new();
    for _ in 0..arguments.rounds {
        for &rate in &arguments.rates {
            turns.push(turn(&arguments, rate, &mut probe)?);
        }
    }
    report(&arguments, &turns);
    Ok(())
}

/// Who tells the servers of changes.
enum Api {
    /// An API server.
    Real(Cluster, PathBuf),
    /// This program.
    Played(Replay),
}

/// The changes that go on beside.
enum Others {
    Real(OtherChanges),
    Played(Changes),
}

impl Api {
    fn prepare(arguments: &Arguments) -> anyhow::Result<Self> {
        if let Some(listen) = arguments.replay {
            let per_service = arguments.per_service;
            let endpoints = arguments.services * per_service;
            let cluster = MadeUp { endpoints, per_service, seed: 1, shape: Shape::Headless };
            return Ok(Self::Played(Replay::start(listen, &cluster)?));
        }
        let kubeconfig = arguments.kubeconfig.clone().context("give --kubeconfig or --replay")?;
        Ok(Self::Real(Cluster::prepare(&kubeconfig, arguments.services)?, kubeconfig))
    }

    /// Gives the probe another address; the moment that times are counted from, and that of the acknowledgement.
    fn change_probe(&self, change: u32) -> anyhow::Result<(Instant, Instant)> {
        match self {
            Self::Real(cluster, _) => cluster.change_probe(replay::address(change)),
            Self::Played(replay) => {
                let (begin, _) = replay.change_probe(change);
                Ok((begin, begin))
            }
        }
    }

    fn start_others(&self, services: usize, rate: u32) -> anyhow::Result<Others> {
        Ok(match self {
            Self::Real(_, kubeconfig) => Others::Real(OtherChanges::start(kubeconfig, services, rate)?),
            Self::Played(replay) => Others::Played(Changes::start(replay, rate)),
        })
    }
}

impl Others {
    fn stop(self) -> anyhow::Result<f64> {
        match self {
            Self::Real(changes) => changes.stop(),
            Self::Played(changes) => Ok(changes.stop()),
        }
    }
}

/// The changed endpoint, and a thread for each server that asks for it.
struct Probe {
    api: Api,
    bound: Duration,
    random: Random,
    changes: u32,
    address: Ipv4Addr,
    askers: Vec<(Sender<Job>, Receiver<anyhow::Result<Seen>>)>,
}

impl Probe {
    fn start(arguments: &Arguments, api: Api) -> anyhow::Result<Self> {
        let mut askers = Vec::new();
        for (name, address) in arguments.servers.clone() {
            let (job_tx, job_rx) = channel();
            let (seen_tx, seen_rx) = channel();
            let name = name.clone();
            thread::spawn(move || asking::serve(&name, address, &job_rx, &seen_tx));
            askers.push((job_tx, seen_rx));
        }
        let bound = Duration::from_secs(arguments.bound);
        let address = replay::address(0);
        let probe = Self { api, bound, random: Random::new(1, 0), changes: 0, address, askers };
        // Both servers know the service before anything is measured: nothing else than its address is an
        // answer then.
        probe.ask(Job { previous: None, wanted: address, latest: Instant::now() + START })?;
        probe.seen()?;
        Ok(probe)
    }

    /// Makes a change, and waits until each server has answered it.
    fn change(&mut self) -> anyhow::Result<Vec<Latency>> {
        let pause = BETWEEN.0 + self.random.number() % (BETWEEN.1 - BETWEEN.0);
        thread::sleep(Duration::from_millis(pause));
        self.changes += 1;
        let wanted = replay::address(self.changes);
        let previous = Some(std::mem::replace(&mut self.address, wanted));
        self.ask(Job { previous, wanted, latest: Instant::now() + self.bound })?;
        let (sent, acknowledged) = self.api.change_probe(self.changes)?;
        let acknowledgement = acknowledged.duration_since(sent).as_secs_f64() * 1000.0;
        let latency = |seen: Seen| {
            let sent = seen.at.duration_since(sent).as_secs_f64() * 1000.0;
            Latency { acknowledged: sent - acknowledgement, sent }
        };
        Ok(self.seen()?.into_iter().map(latency).collect())
    }

    fn ask(&self, job: Job) -> anyhow::Result<()> {
        self.askers.iter().try_for_each(|(job_tx, _)| job_tx.send(job).context("an asking thread ended"))
    }

    fn seen(&self) -> anyhow::Result<Vec<Seen>> {
        self.askers.iter().map(|(_, seen_rx)| seen_rx.recv().context("an asking thread ended")?).collect()
    }
}

fn turn(arguments: &Arguments, rate: u32, probe: &mut Probe) -> anyhow::Result<Turn> {
    let others = probe.api.start_others(arguments.services, rate)?;
    let mut latencies = vec![Vec::new(); arguments.servers.len()];
    // One that is not counted: whatever the turn before left has been answered then.
    probe.change()?;
    for _ in 0..arguments.changes {
        for (latency, all) in probe.change()?.into_iter().zip(&mut latencies) {
            all.push(latency);
        }
    }
    let reached = others.stop()?;
    if rate > 0 && reached <= 0.0 {
        bail!("no other change was acknowledged");
    }
    Ok(Turn { rate, reached, latencies })
}

fn report(arguments: &Arguments, turns: &[Turn]) {
    let is_played = arguments.replay.is_some();
    let (more, rule) =
        if is_played { ("", "") } else { (" before it | from sending: p50 | p99 |", "---|---|---|") };
    println!("| other changes/s | reached | | changes | p50 | p90 | p99 | most |{more}");
    println!("|---|---|---|---|---|---|---|---|{rule}");
    let mut ratios = Vec::new();
    for &rate in &arguments.rates {
        let turns: Vec<&Turn> = turns.iter().filter(|turn| turn.rate == rate).collect();
        let reached = median_and_range(turns.iter().map(|turn| turn.reached).collect()).unwrap_or_default().0;
        for (index, (name, _)) in arguments.servers.iter().enumerate() {
            let all: Vec<Latency> = turns.iter().flat_map(|turn| turn.latencies[index].clone()).collect();
            let acknowledged = |percent| percentile(all.iter().map(|latency| latency.acknowledged), percent);
            let sent = |percent| percentile(all.iter().map(|latency| latency.sent), percent);
            print!(
                "| {rate}{} | {reached:.0} | {name} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
                if is_played { ", replayed" } else { "" },
                all.len(),
                acknowledged(50),
                acknowledged(90),
                acknowledged(99),
                acknowledged(100),
            );
            if !is_played {
                let before = all.iter().filter(|latency| latency.acknowledged < 0.0).count();
                print!(" {before} | {:.2} | {:.2} |", sent(50), sent(99));
            }
            println!();
            if index > 0 {
                // Of one turn, where both had the same changes and the machine was as busy for both.
                let ratio = |percent| {
                    let of =
                        |turn: &&Turn| turn.since_sending(index, percent) / turn.since_sending(0, percent);
                    let (middle, least, most) =
                        median_and_range(turns.iter().map(of).collect()).unwrap_or_default();
                    format!("{middle:.2} ({least:.2}–{most:.2})")
                };
                let first = &arguments.servers[0].0;
                let (median, most) = (ratio(50), ratio(99));
                ratios.push(format!("| {rate} | {name} / {first} | {median} | {most} |"));
            }
        }
    }
    let since =
        if is_played { "moment that it was written to the watches" } else { "acknowledgement of a change" };
    println!("\nMilliseconds from the {since} to its first right answer.");
    if !ratios.is_empty() {
        println!(
            "\n| other changes/s | ratio of the times{}, turn by turn | p50 | p99 |\n|---|---|---|---|",
            if is_played { "" } else { " from sending" }
        );
        println!("{}", ratios.join("\n"));
    }
}
