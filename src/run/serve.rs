//! `serve`: sockets first, then the cluster, then `ready`; reloads; drains.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::logging::say;
use super::settings::{for_records, for_zone, own_addresses};
use super::{Driver, hints, loading, offline};
use crate::cluster::Kind;
use crate::config::Config;
use crate::server::{Listener, TcpServer, UdpServer, Upstream, bind};
use crate::source::manifests::{self, Follower, Input, Loaded, Manifests, follow};
use crate::source::{Problem, Severity};
use crate::zone::{Reader, zone};

/// More problems of one load than this are counted, not listed: `check` lists them all.
const LISTED: usize = 50;

/// Serves until SIGTERM or SIGINT. `configure` is called at the start and at each reload.
///
/// # Errors
/// When the configuration cannot be used, there is no cluster to serve, or a socket cannot be bound.
pub fn serve(configure: impl Fn() -> anyhow::Result<Config>) -> anyhow::Result<()> {
    let config = configure()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start tokio")?;
    let ended = runtime.block_on(run(config, configure));
    // A read of standard input that never ends must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn run(config: Config, configure: impl Fn() -> anyhow::Result<Config>) -> anyhow::Result<()> {
    let path = config.manifests.clone().context(offline::NO_SOURCE)?;
    // Before anything is printed: a script that waits for a line may send a signal right behind it.
    let mut terminate = Signals::new()?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;

    let listeners = bind_all(&config)?;
    let addresses: Vec<SocketAddr> = listeners.iter().map(|listener| listener.address).collect();
    let own = own_addresses(&addresses)?;
    let (publisher, reader) = zone(for_zone(&config, &own));
    let servers = Servers::start(&config, listeners, &reader)?;
    for address in &addresses {
        say(&format!("listening udp+tcp {address}"));
    }

    let input = Input::from(path.as_str());
    // Followed before it is read: a change between the two is told, not lost.
    let mut follower = followed(&input);
    let mut cluster = Cluster {
        manifests: Some(Manifests::new(input.clone(), config.source.clone())),
        input,
        driver: Driver::new(publisher, for_records(&config)),
        config,
        own,
    };
    tokio::select! {
        loaded = cluster.load(None) => loaded?,
        () = terminate.received() => return servers.stop().await,
    }
    cluster.driver.synchronised();
    say("ready");
    if let Some(address) = addresses.first() {
        let lines = hints::dig_lines(&reader, local(*address));
        lines.iter().for_each(|line| say(&format!("try: {line}")));
    }

    loop {
        let mut config = None;
        tokio::select! {
            () = terminate.received() => break,
            _ = hangup.recv() => {
                info!("SIGHUP: reading the configuration and the manifests again");
                match configure() {
                    Ok(new) => config = Some(cluster.reloadable(new)),
                    Err(error) => error!("the configuration is not taken over, the one before stays: {error:#}"),
                }
            }
            () = changed(&mut follower) => {}
        }
        tokio::select! {
            () = terminate.received() => break,
            () = cluster.reload(config) => {}
        }
    }
    let lameduck = cluster.config.lameduck;
    info!(seconds = lameduck.as_secs(), "draining");
    tokio::select! {
        () = tokio::time::sleep(lameduck) => {}
        // A second signal has no patience.
        () = terminate.received() => {}
    }
    servers.stop().await
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn bind_all(config: &Config) -> anyhow::Result<Vec<Listener>> {
    let threads = match config.udp_threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let mut listeners = Vec::new();
    for address in &config.listen {
        match bind(*address, threads) {
            Ok(listener) => listeners.push(listener),
            // Only by default: what the operator named is meant.
            Err(error) if !config.listen_is_given && is_no_such_family(&error.source) => {
                warn!(
                    "not listening on {address}: this machine has no IPv{}",
                    if address.is_ipv6() { 6 } else { 4 }
                );
            }
            Err(error) => {
                let denied = error.source.kind() == std::io::ErrorKind::PermissionDenied;
                let hint = if denied {
                    " (ports below 1024 need CAP_NET_BIND_SERVICE; try --listen 127.0.0.1:5300)"
                } else {
                    ""
                };
                return Err(anyhow::Error::new(error).context(format!("cannot start{hint}")));
            }
        }
    }
    anyhow::ensure!(!listeners.is_empty(), "none of the addresses can be listened on");
    Ok(listeners)
}

fn is_no_such_family(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// Where this machine reaches a bound address.
fn local(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        std::net::IpAddr::V4(_) => (std::net::Ipv4Addr::LOCALHOST, address.port()).into(),
        std::net::IpAddr::V6(_) => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
    }
}

/// The transports, running.
struct Servers {
    udp: UdpServer,
    tcp: TcpServer,
}

impl Servers {
    fn start(config: &Config, listeners: Vec<Listener>, reader: &Reader) -> anyhow::Result<Self> {
        let upstream = (!config.upstream.is_empty())
            .then(|| Upstream::new(&config.upstream, &config.zone, config.upstream_limits))
            .transpose()?
            .map(Arc::new);
        let (mut udp, mut tcp) = (Vec::new(), Vec::new());
        for listener in listeners {
            udp.extend(listener.udp);
            tcp.push(listener.tcp);
        }
        let udp = UdpServer::start(udp, reader, upstream.clone()).context("cannot start a UDP thread")?;
        let tcp = TcpServer::start(tcp, reader, upstream, config.tcp).context("cannot serve TCP")?;
        Ok(Self { udp, tcp })
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.tcp.stop().await;
        tokio::task::spawn_blocking(|| self.udp.stop()).await.context("a UDP thread did not end")?;
        info!("ended");
        Ok(())
    }
}

fn followed(input: &Input) -> Option<Follower> {
    let Input::Path(path) = input else { return None };
    let (follower, error) = follow(path);
    if let Some(error) = error {
        warn!(%error, "cannot follow {}: reading it again every 5 s", path.display());
    }
    Some(follower)
}

/// Never, where there is nothing to follow.
async fn changed(follower: &mut Option<Follower>) {
    match follower {
        Some(follower) => follower.changed().await,
        None => std::future::pending().await,
    }
}

/// The source, and what it drives.
struct Cluster {
    input: Input,
    /// None while a load has it, and behind one that panicked.
    manifests: Option<Manifests>,
    driver: Driver,
    config: Config,
    own: Vec<std::net::IpAddr>,
}

impl Cluster {
    /// Reads, then takes over a new configuration if there is one, and publishes. On another thread, for a large
    /// file must not keep a signal waiting.
    async fn load(&mut self, new: Option<Config>) -> anyhow::Result<()> {
        let options = |config: &Config| config.source.clone();
        let manifests = self.manifests.take();
        let mut manifests =
            manifests.unwrap_or_else(|| Manifests::new(self.input.clone(), options(&self.config)));
        manifests.set_options(options(new.as_ref().unwrap_or(&self.config)));
        let load = tokio::task::spawn_blocking(move || {
            let loaded = loading::load(&mut manifests);
            (manifests, loaded)
        });
        let (manifests, loaded) = load.await.context("the load ended in a panic")?;
        self.manifests = Some(manifests);
        let loaded = loaded?;
        let Some(new) = new else {
            self.take(loaded);
            return Ok(());
        };
        // While records come and go, only namespaces that both filters admit are answered: a name of another one
        // is never denied for want of its records.
        let mut between = for_zone(&new, &self.own);
        between.namespaces =
            common(self.config.source.namespaces.as_deref(), new.source.namespaces.as_deref());
        self.driver.set_settings(for_records(&new), between);
        self.config = new;
        self.take(loaded);
        self.driver.set_zone_settings(for_zone(&self.config, &self.own));
        Ok(())
    }

    fn take(&mut self, loaded: Loaded) {
        self.driver.reset(loaded.objects);
        let (changed, of_records) = self.driver.publish();
        report(&loaded.problems);
        report(
            &of_records.into_iter().map(|problem| Problem::error(problem.to_string())).collect::<Vec<_>>(),
        );
        let index = self.driver.index();
        info!(
            changed,
            services = index.count(Kind::Service),
            slices = index.count(Kind::EndpointSlice),
            statefulsets = index.count(Kind::StatefulSet),
            "published"
        );
    }

    async fn reload(&mut self, new: Option<Config>) {
        if let Err(error) = self.load(new).await {
            error!("the last known state stays: {error:#}");
        }
    }

    /// What of a new configuration can be taken over by a running server; says what cannot.
    fn reloadable(&self, new: Config) -> Config {
        let old = &self.config;
        let fixed = [
            ("zone", old.zone != new.zone),
            ("listen", old.listen != new.listen),
            ("source.manifests", old.manifests != new.manifests),
            ("source.pod_cidr", old.source.pod_cidr != new.source.pod_cidr),
            ("source.service_cidr", old.source.service_cidr != new.source.service_cidr),
            ("upstream", (&old.upstream, old.upstream_limits) != (&new.upstream, new.upstream_limits)),
            ("limits", (old.udp_threads, old.tcp) != (new.udp_threads, new.tcp)),
        ];
        for (key, _) in fixed.iter().filter(|(_, differs)| *differs) {
            warn!("{key} changed: it is taken over at the next start");
        }
        let kept = old.clone();
        Config {
            zone: kept.zone,
            listen: kept.listen,
            manifests: kept.manifests,
            source: manifests::Options {
                pod_cidr: kept.source.pod_cidr,
                service_cidr: kept.source.service_cidr,
                ..new.source
            },
            upstream: kept.upstream,
            upstream_limits: kept.upstream_limits,
            udp_threads: kept.udp_threads,
            tcp: kept.tcp,
            ..new
        }
    }
}

/// The namespaces that two filters admit; None is all.
fn common(one: Option<&[String]>, other: Option<&[String]>) -> Option<Vec<Box<str>>> {
    let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    match (one, other) {
        (None, None) => None,
        (Some(names), None) | (None, Some(names)) => Some(boxed(names)),
        (Some(one), Some(other)) => {
            let both = one.iter().filter(|name| other.contains(name));
            Some(both.map(|name| name.as_str().into()).collect())
        }
    }
}

fn report(problems: &[Problem]) {
    for problem in problems.iter().take(LISTED) {
        match problem.severity {
            Severity::Error => error!("{problem}"),
            Severity::Note => info!("{problem}"),
        }
    }
    if let Some(more) = problems.len().checked_sub(LISTED).filter(|more| *more > 0) {
        error!("… and {more} more problems; `rollcall check` lists them all");
    }
}
