//! The sockets and the transports on them.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tracing::{debug, info, warn};

use super::encrypted::{EncryptedListeners, EncryptedServers};
use super::metrics::{Transports, tell_hold, tell_push, tell_transports};
use crate::admin::{AdminServer, Metrics, Pages};
use crate::config::{Admin, Config};
use crate::server::{
    BindError, HoldLimits, Listener, StreamMemory, Tap, TcpLimits, TcpServer, UdpCounters, UdpServer,
    Upstream, UpstreamSlot, WaitingRoom, bind,
};
use crate::zone::Reader;

/// How often the kernel is asked for what it dropped.
const LOOK: Duration = Duration::from_secs(1);
/// How long after a word about drops there is none.
const SILENCE: Duration = Duration::from_secs(60);
/// Open files beside the connections: sockets, the API server, manifests, the runtime.
const OTHER_FILES: u64 = 128;

/// Binds every address to answer on.
pub(super) fn bind_all(config: &Config) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        match bind(*address, &config.udp) {
            Ok(listener) => listeners.push(listener),
            // Only by default: what the operator named is meant.
            Err(error) if !config.listen_is_given && is_no_such_family(&error.source) => {
                warn!(
                    "not listening on {address}: this machine has no IPv{}",
                    if address.is_ipv6() { 6 } else { 4 }
                );
            }
            Err(error) => return Err(cannot_start(error)),
        }
    }
    let only_encrypted = config.listen.is_empty() && !config.encrypted.listen.is_empty();
    anyhow::ensure!(only_encrypted || !listeners.is_empty(), "none of the addresses can be listened on");
    Ok(listeners)
}

/// Why an address cannot be listened on, with what helps.
pub(super) fn cannot_start(error: BindError) -> anyhow::Error {
    let denied = error.source.kind() == std::io::ErrorKind::PermissionDenied;
    let hint = if denied {
        " (ports below 1024 need CAP_NET_BIND_SERVICE; try --listen 127.0.0.1:5300)"
    } else {
        ""
    };
    anyhow::Error::new(error).context(format!("cannot start{hint}"))
}

fn is_no_such_family(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// The admin address; None where it is off, or where the default one is taken.
pub(super) fn start_admin(config: &Config, pages: &Pages) -> anyhow::Result<Option<AdminServer>> {
    let limit = config.admin_connections;
    let started = match config.admin {
        Admin::Off => return Ok(None),
        Admin::At(address) => AdminServer::start(address, limit, pages.clone()),
        Admin::Everywhere(port) => AdminServer::start_everywhere(port, limit, pages.clone()),
    };
    match started {
        Ok(admin) => Ok(Some(admin)),
        // Another rollcall, or a CoreDNS, on this machine: no reason not to answer.
        Err(error) if !config.admin_is_given => {
            warn!(
                "neither health nor metrics are told, for {error}; --admin names another address, or is off"
            );
            Ok(None)
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the admin address")),
    }
}

/// What a reload will change in running servers.
pub(super) struct Prepared {
    /// None: it stays as it is.
    upstream: Option<Option<Upstream>>,
    limits: TcpLimits,
    hold: HoldLimits,
    stream_memory: usize,
    /// Open files that may be needed.
    files: u64,
}

/// Open files that a configuration may need. QUIC has one for all of its connections.
fn files(config: &Config) -> u64 {
    let https =
        if config.encrypted.listen.is_empty() { 0 } else { config.encrypted.limits.https.connections };
    (config.tcp.connections + https) as u64 + OTHER_FILES
}

fn new_upstream(config: &Config) -> anyhow::Result<Option<Upstream>> {
    let upstream = (!config.upstream.is_empty())
        .then(|| Upstream::new(&config.upstream, &config.zone, config.upstream_limits));
    Ok(upstream.transpose()?)
}

/// Who serves what; the cluster has the one that all others are started from.
pub(super) struct Runtimes {
    pub(super) connections: Handle,
    /// Replies over UDP that wait for the upstream or a replica.
    pub(super) late: Handle,
}

/// The transports, running.
pub(super) struct Servers {
    udp: UdpServer,
    tcp: TcpServer,
    memory: StreamMemory,
    upstream: UpstreamSlot,
    room: WaitingRoom,
    encrypted: EncryptedServers,
    drops: tokio::task::JoinHandle<()>,
}

impl Servers {
    pub(super) fn start(
        config: &Config,
        listeners: Vec<Listener>,
        encrypted: EncryptedListeners,
        runtimes: &Runtimes,
        reader: &Reader,
        metrics: &Metrics,
        tap: &Tap,
    ) -> anyhow::Result<Self> {
        let upstream = UpstreamSlot::default();
        upstream.set(new_upstream(config)?);
        let (mut udp, mut tcp) = (Vec::new(), Vec::new());
        for listener in listeners {
            udp.extend(listener.udp);
            tcp.push(listener.tcp);
        }
        // Sockets and tasks are of the runtime that is entered.
        let entered = runtimes.late.enter();
        let room = WaitingRoom::open(reader, config.hold);
        let udp = UdpServer::start(udp, &config.udp, reader, Some(&upstream), Some(&room), tap)
            .context("cannot start a UDP thread")?;
        drop(entered);
        allow_files(files(config));
        let memory = StreamMemory::new(config.stream_memory);
        let entered = runtimes.connections.enter();
        let mut tcp = TcpServer::start(tcp, reader, &upstream, Some(&room), config.tcp, tap, &memory)
            .context("cannot serve TCP")?;
        let encrypted =
            EncryptedServers::start(config, encrypted, &mut tcp, reader, &upstream, tap, &memory)?;
        drop(entered);
        let mut connections = vec![("tcp", tcp.counters())];
        connections.extend(encrypted.counters().iter().cloned());
        let of_udp = udp.counters();
        let mut queries = vec![("udp", of_udp.queries().clone())];
        queries.extend(connections.iter().map(|(name, of)| (*name, of.queries().clone())));
        tell_transports(
            metrics,
            reader,
            Transports {
                queries,
                connections,
                udp: of_udp,
                memory: memory.clone(),
                upstream: upstream.clone(),
            },
        );
        encrypted.tell_certificate(metrics);
        tell_push(metrics, tcp.push_counters());
        tell_hold(metrics, room.clone());
        let drops = tokio::spawn(say_drops(udp.counters()));
        Ok(Self { udp, tcp, memory, upstream, room, encrypted, drops })
    }

    /// Makes ready what a new configuration needs and may not get; changes nothing that is served yet.
    pub(super) fn prepare(&self, old: &Config, new: &Config) -> anyhow::Result<Prepared> {
        let differs = (&old.upstream, old.upstream_limits) != (&new.upstream, new.upstream_limits);
        let mut upstream = if differs { Some(new_upstream(new)?) } else { None };
        // The first one is there before the zone sends anything to it.
        if old.upstream.is_empty() {
            upstream.take().into_iter().for_each(|upstream| self.upstream.set(upstream));
        }
        let (limits, hold, stream_memory) = (new.tcp, new.hold, new.stream_memory);
        Ok(Prepared { upstream, limits, hold, stream_memory, files: files(new) })
    }

    /// Takes it over, once the zone goes by the new configuration.
    pub(super) fn set(&self, prepared: Prepared) {
        prepared.upstream.into_iter().for_each(|upstream| self.upstream.set(upstream));
        allow_files(prepared.files);
        self.tcp.set_limits(prepared.limits);
        self.room.set_limits(prepared.hold);
        self.memory.set(prepared.stream_memory);
    }

    /// Answers what is kept open, and keeps nothing open any more: who is told to ask another server is told so now.
    pub(super) fn hold_nothing(&self) {
        self.room.close();
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.hold_nothing();
        tokio::join!(self.tcp.stop(), self.encrypted.stop());
        self.drops.abort();
        let counters = self.udp.counters();
        tokio::task::spawn_blocking(|| self.udp.stop()).await.context("a UDP thread did not end")?;
        self.room.end().await;
        let udp = counters.counts();
        info!(
            received = udp.received,
            answered = udp.answered,
            silent = udp.silent,
            forwarded = udp.forwarded,
            held = udp.held,
            truncated = udp.truncated,
            failed = udp.failed,
            dropped = udp.dropped,
            "ended; UDP packets"
        );
        Ok(())
    }
}

/// Says that packets found no room, at once and then at most once a minute.
async fn say_drops(counters: UdpCounters) {
    let mut said = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let dropped = counters.counts().dropped;
        if dropped > said {
            warn!(
                dropped,
                more = dropped - said,
                "UDP packets were dropped, most often because they found the receive buffer full: raise limits.udp_receive_buffer, or limits.udp_threads where cores are idle"
            );
            said = dropped;
            tokio::time::sleep(SILENCE).await;
        }
    }
}

/// Takes as many open files as may be needed, where the limit can be raised: shells and containers often give 1024,
/// and let have more.
fn allow_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else { return };
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if allowed > current
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), ..limit })
    {
        debug!(%error, "the limit of open files stays");
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    if allowed < wanted {
        info!(allowed, wanted, "fewer open files than limits.tcp_connections may need (ulimit -n)");
    }
}
