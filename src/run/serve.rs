//! `serve`: sockets first, then the cluster, then `ready`; reloads; drains.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tracing::{error, info, warn};

use super::encrypted::EncryptedListeners;
use super::feed::Feed;
use super::from_cluster::Counting;
use super::logging::{self, say};
use super::metrics::{tell_cluster, tell_operations, tell_outages, tell_pods, tell_process};
use super::reload::{Cause, Reloader};
use super::served::Served;
use super::servers::{Runtimes, Servers, bind_all, start_admin};
use super::settings::{for_zone, own_addresses};
use super::signals::Signals;
use super::tapping::Tapping;
use super::{board, hints, offline};
use crate::admin::{Health, Metrics, Pages};
use crate::config::{Cluster, Config, Page};
use crate::server::{Listener, let_udp_go_first};
use crate::zone::{Reader, zone};

/// Serves until SIGTERM or SIGINT. `configure` is called at the start and at each reload; `file` is the one that it reads,
/// to be followed.
///
/// # Errors
/// When the configuration cannot be used, there is no cluster to serve, or a socket cannot be bound.
pub fn serve(
    configure: impl Fn() -> anyhow::Result<Config> + Send + Sync + 'static,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let config = configure()?;
    logging::apply(&config.log);
    let file = file.map(Path::to_owned);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = |threads: usize, name: &str| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads).thread_name(name).enable_all();
        builder
    };
    let start = |builder: &mut tokio::runtime::Builder| builder.build().context("cannot start tokio");
    // Connections have threads of their own, no more than there are cores: who floods them keeps no change waiting, and
    // of two threads on one core each would wait for the other's turn.
    let once = Once::new();
    let connections = start(threads(cores, "connections").on_thread_start(move || {
        if let Err(error) = let_udp_go_first() {
            once.call_once(|| warn!(%error, "threads of connections have the priority of UDP's, for the kernel does not let them step back"));
        }
    }))?;
    // So have replies over UDP that wait for somebody, which are UDP's equals.
    let late = start(&mut threads(cores, "late replies"))?;
    // Two at least: while one publishes a large cluster, the other tells health.
    let runtime = start(&mut threads(cores.max(2), "cluster"))?;
    let handles = Runtimes { connections: connections.handle().clone(), late: late.handle().clone() };
    // A task, not the future of `block_on`: that one has a thread of its own, which a watch's event would have to
    // wake first.
    let ended = runtime.block_on(async { tokio::spawn(run(config, configure, file, handles)).await });
    let ended = ended.context("serving ended in a panic").and_then(|ended| ended);
    // A read of standard input that never ends must not keep the process.
    [runtime, connections, late].into_iter().for_each(Runtime::shutdown_background);
    ended
}

async fn run(
    config: Config,
    configure: impl Fn() -> anyhow::Result<Config> + Send + Sync,
    file: Option<PathBuf>,
    runtimes: Runtimes,
) -> anyhow::Result<()> {
    let cluster = config.cluster.clone().context(offline::NO_SOURCE)?;
    // Before anything is printed: a script that waits for a line may send a signal right behind it.
    let mut terminate = Signals::new()?;
    let mut reloader = Reloader::new(configure, file.as_deref(), &config)?;

    let listeners = bind_all(&config)?;
    let addresses: Vec<SocketAddr> = listeners.iter().map(|listener: &Listener| listener.address).collect();
    let encrypted = EncryptedListeners::bind(&config)?;
    let bound: Vec<_> = encrypted.addresses().collect();
    let all: Vec<SocketAddr> =
        addresses.iter().copied().chain(bound.iter().map(|(_, address)| *address)).collect();
    let own = own_addresses(&all)?;
    let (publisher, reader) = zone(for_zone(&config, &own));
    let health = Health::new(reader.clone());
    let metrics = Metrics::default();
    tell_process(&metrics);
    let counting = Counting::default();
    let from_manifests = matches!(cluster, Cluster::Manifests(_));
    let mut served = Served::new(publisher, config, &own);
    let (changes, observed) = (served.config.page.changes, &served.observed);
    let (board, end) =
        board::start(changes, &reader, &health, observed, &counting, &served.records, from_manifests);
    let Page { streams, access, .. } = served.config.page.clone();
    let pages = Pages { health: health.clone(), metrics: metrics.clone(), board, access, streams };
    let admin = start_admin(&served.config, &pages)?;
    if admin.is_some() {
        served.set_board(end, reader.clone());
    }
    let mut tapping = Tapping::new();
    tapping.apply(&served.config);
    tell_cluster(&metrics, &reader, &health, &served.observed);
    tell_outages(&metrics, &reader, &health, &counting);
    tell_pods(&metrics, &served.observed, &counting.looks);
    tell_operations(&metrics, reloader.counter(), tapping.counters());
    // Before the sockets are read: who asks meanwhile is answered from it.
    let mut feed = Feed::start(&cluster, &mut served, &health, &counting).await?;
    let servers =
        Servers::start(&served.config, listeners, encrypted, &runtimes, &reader, &metrics, tapping.tap())?;
    for address in &addresses {
        say(&format!("listening udp+tcp {address}"));
    }
    for (transport, address) in bound {
        say(&format!("listening {transport} {address}"));
    }
    if let Some(admin) = &admin {
        say(&format!("listening admin {}", admin.address()));
    }

    let mut ready = false;
    loop {
        if !ready && reader.is_synchronised() {
            ready = true;
            say("ready");
            say_hints(&reader, &addresses);
        }
        let mut new = None;
        tokio::select! {
            biased;
            () = terminate.received() => break,
            cause = reloader.wanted() => {
                new = reloader.read(cause, &served);
                if new.is_none() && cause == Cause::File {
                    continue;
                }
            }
            () = feed.changed() => {}
            // Of a kept zone whose objects are still read there is nothing to look at yet.
            question = served.asked(), if !feed.is_loading() => {
                question(served.driver.index());
                continue;
            }
        }
        let mut change = None;
        if let Some(config) = new {
            match servers.prepare(&served.config, &config) {
                Ok(prepared) => change = Some((config, prepared, served.config.typed.clone())),
                Err(error) => reloader.refuse(&error),
            }
        }
        tokio::select! {
            biased;
            () = terminate.received() => break,
            taken = feed.take(&mut served, change.as_ref().map(|(config, ..)| config.clone())) => taken?,
        }
        served.answer_one();
        if let Some((config, prepared, before)) = change
            && reloader.is_served(&config, &before, &served)
        {
            servers.set(prepared);
            tapping.apply(&config);
            reloader.finish(&config, &before);
            // Last: a level that hides it must not hide that it was taken over.
            logging::apply(&config.log);
        }
    }
    health.drain();
    served.end_streams();
    servers.hold_nothing();
    if ready {
        drain(&mut terminate, &mut feed, &mut served).await;
    }
    feed.finish(&served).await;
    let kept = counting.snapshot.counts();
    if kept.successes + kept.failures > 0 {
        let (successes, failures, octets) = (kept.successes, kept.failures, kept.octets);
        info!(successes, failures, octets, longest_pause = ?kept.longest_pause, "ended; snapshots");
    }
    let stopped = servers.stop().await;
    tapping.stop().await;
    reloader.end();
    stopped
}

/// Answers on for a while, from the cluster as it changes: clients and load balancers learn by and by.
async fn drain(terminate: &mut Signals, feed: &mut Feed, served: &mut Served) {
    let lameduck = served.config.lameduck;
    info!(seconds = lameduck.as_secs(), "draining");
    let following = async {
        loop {
            tokio::select! {
                biased;
                () = feed.changed() => {}
                question = served.asked() => {
                    question(served.driver.index());
                    continue;
                }
            }
            if let Err(error) = feed.take(served, None).await {
                error!("the last known state stays: {error:#}");
            }
            served.answer_one();
        }
    };
    tokio::select! {
        biased;
        () = tokio::time::sleep(lameduck) => {}
        // A second signal has no patience.
        () = terminate.received() => {}
        () = following => {}
    }
}

fn say_hints(reader: &Reader, addresses: &[SocketAddr]) {
    if let Some(address) = addresses.first() {
        hints::dig_lines(reader, local(*address)).iter().for_each(|line| say(&format!("try: {line}")));
    }
}

/// Where this machine reaches a bound address.
fn local(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        std::net::IpAddr::V4(_) => (std::net::Ipv4Addr::LOCALHOST, address.port()).into(),
        std::net::IpAddr::V6(_) => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
    }
}
