//! Ten thousand subscribers of one service: what each costs the server, and how long one change takes to reach the last of
//! them, with an API server that this program plays.
//!
//! The change is an address of the service's one endpoint. Its push is written once and shared; over TLS it is encrypted
//! for each. Times are from the moment that the API server's event was written, so that taking it in and publishing it are
//! in them, and end where this program, which has one thread for all subscribers, has read it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rollcall_bench::cluster::{Cluster, Shape};
use rollcall_bench::metrics::Metrics;
use rollcall_bench::replay::{self, PROBE_NAME, Replay};
use rollcall_bench::{first_answer, percentile, processor_seconds, status_kib};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::subscriber::{Shared, connector, follow, secure};

/// The rest of the cluster.
const CLUSTER: Cluster = Cluster { endpoints: 1000, per_service: 10, seed: 1, shape: Shape::Headless };
/// For the server to come.
const START: Duration = Duration::from_secs(60);
/// Until its memory is looked at.
const SETTLE: Duration = Duration::from_secs(3);
/// For all subscribers to come.
const OPENING: Duration = Duration::from_secs(300);
/// Connections that are made at one time: more would overflow the backlog of any server.
const AT_ONCE: usize = 64;
/// For a change to reach all of them.
const PATIENCE: Duration = Duration::from_secs(60);
/// From the end of one change to the next.
const BETWEEN: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(super) struct Subscribers {
    /// Over what they come
    #[arg(value_enum)]
    over: Over,
    /// How many
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// How many changes they are told of
    #[arg(long, default_value_t = 20)]
    changes: u32,
    /// For how long questions are asked over UDP, first while nothing changes, then while changes are pushed; 0 is not at all
    #[arg(long, default_value_t = 10)]
    asking: u64,
    /// Where the API server is played
    #[arg(long)]
    replay: SocketAddr,
    /// Where the server answers over UDP and TCP
    #[arg(long)]
    server: SocketAddr,
    /// Where it listens for TLS
    #[arg(long)]
    tls: SocketAddr,
    /// Where it tells what it counted
    #[arg(long)]
    admin: SocketAddr,
    /// The authority of its certificate
    #[arg(long)]
    authority: PathBuf,
    /// Where its output goes
    #[arg(long)]
    log: PathBuf,
    /// The server and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Over {
    Tls,
    Tcp,
}

/// A child that does not outlive us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Subscribers {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        ensure!(most > self.count as u64 + 100, "{most} open files are too few for {}", self.count);
        let replay = Replay::start(self.replay, &CLUSTER)?;
        let mut server = self.start()?;
        let is_over = || !matches!(server.0.try_wait(), Ok(None));
        first_answer(self.server, PROBE_NAME, replay::address(0), Instant::now() + START, is_over)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, self.measure(&replay, server.0.id()))
    }

    fn start(&self) -> anyhow::Result<Server> {
        let log = File::create(&self.log).with_context(|| format!("cannot write {}", self.log.display()))?;
        let [program, arguments @ ..] = &self.command[..] else { bail!("there is nothing to start") };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Server(command.spawn().with_context(|| format!("cannot start {program}"))?))
    }

    async fn measure(&self, replay: &Replay, pid: u32) -> anyhow::Result<()> {
        let over = self.over.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        sleep(SETTLE).await;
        let empty = status_kib(pid, "VmRSS")?;
        let (begin, used) = (Instant::now(), processor_seconds(pid)?);
        let shared = Rc::new(Shared::new(self.count, replay::address(0)));
        self.open(&shared)?;
        shared.all_opened(OPENING).await.context("subscribers")?;
        let (opened, used) = (begin.elapsed().as_secs_f64(), processor_seconds(pid)? - used);
        sleep(SETTLE).await;
        let (rss, most) = (status_kib(pid, "VmRSS")?, status_kib(pid, "VmHWM")?);
        print!(
            "subscribers over={over} count={} opened_s={opened:.2} opening_server_s={used:.2} empty_kib={empty} \
             rss_kib={rss} hwm_kib={most}",
            self.count
        );

        let (before, used) = (Metrics::of(self.admin)?, processor_seconds(pid)?);
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for change in 1..=self.changes {
            let times = change_once(replay, &shared, change).await?;
            for (figures, percent) in figures.iter_mut().zip([0, 50, 100]) {
                figures.push(format!("{:.2}", percentile(times.iter().copied(), percent)));
            }
            sleep(BETWEEN).await;
        }
        let (after, used) = (Metrics::of(self.admin)?, processor_seconds(pid)? - used);
        let grown = |name: &str| after.sum(name, &[]) - before.sum(name, &[]);
        println!(
            " changes={} encoded={} messages={} octets={} server_s={used:.2} wrong={} first_ms={} half_ms={} last_ms={}",
            self.changes,
            grown("rollcall_push_encoded_total"),
            grown("rollcall_push_messages_total"),
            grown("rollcall_push_bytes_total"),
            shared.wrong.get(),
            figures[0].join(","),
            figures[1].join(","),
            figures[2].join(","),
        );
        if self.asking > 0 {
            self.ask(replay, &shared, &over).await?;
        }
        Ok(())
    }

    /// Has them come, a few at a time.
    fn open(&self, shared: &Rc<Shared>) -> anyhow::Result<()> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let connector = Rc::new(connector(&self.authority)?);
        let (over, address) = (self.over, if self.over == Over::Tls { self.tls } else { self.server });
        for _ in 0..self.count {
            let (shared, connector) = (Rc::clone(shared), Rc::clone(&connector));
            let places = Arc::clone(&places);
            spawn_local(async move {
                let followed = async {
                    let place = places.acquire_owned().await?;
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    match over {
                        Over::Tcp => {
                            drop(place);
                            follow(stream, &shared).await
                        }
                        Over::Tls => {
                            let stream = secure(&connector, stream).await?;
                            drop(place);
                            follow(stream, &shared).await
                        }
                    }
                };
                if let Err(error) = followed.await {
                    shared.fail(error);
                }
            });
        }
        Ok(())
    }

    /// Questions over UDP while nothing changes, and while one change after the other is pushed.
    async fn ask(&self, replay: &Replay, shared: &Shared, over: &str) -> anyhow::Result<()> {
        let mut change = self.changes;
        for phase in ["quiet", "pushing"] {
            let mut asker = self.start_asker()?;
            let mut pushed = 0;
            while asker.try_wait()?.is_none() {
                if phase == "pushing" {
                    change += 1;
                    change_once(replay, shared, change).await?;
                    pushed += 1;
                }
                sleep(BETWEEN).await;
            }
            let output = asker.wait_with_output()?;
            ensure!(output.status.success(), "the questions ended with {}", output.status);
            let text = String::from_utf8(output.stdout)?;
            println!("questions over={over} phase={phase} pushed={pushed} {}", text.trim());
        }
        Ok(())
    }

    /// Ahead of the subscribers on the core that they share, where that may be: it is the server that is measured.
    fn start_asker(&self) -> anyhow::Result<Child> {
        let own = std::env::current_exe()?;
        let first = ["-f", "10"];
        let may = Command::new("chrt").args(first).arg("true").stderr(Stdio::null()).status();
        let mut command = if may.is_ok_and(|status| status.success()) {
            let mut command = Command::new("chrt");
            command.args(first).arg(own);
            command
        } else {
            Command::new(own)
        };
        command.args(["ask", "--server", &self.server.to_string(), "--name", PROBE_NAME]);
        command.args(["--seconds", &self.asking.to_string()]);
        command.stdout(Stdio::piped()).spawn().context("cannot start the questions")
    }
}

/// Changes the address; milliseconds until each had it.
async fn change_once(replay: &Replay, shared: &Shared, change: u32) -> anyhow::Result<Vec<f64>> {
    shared.want(replay::address(change));
    let (begin, _) = replay.change_probe(change);
    let had = shared.all_had(PATIENCE).await.with_context(|| format!("change {change}"))?;
    Ok(had.into_iter().map(|at| at.saturating_duration_since(begin).as_secs_f64() * 1000.0).collect())
}
