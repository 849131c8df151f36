//! The sockets and the transports on them.

use std::sync::Arc;

use anyhow::Context as _;
use tracing::{info, warn};

use crate::admin::{AdminServer, Health};
use crate::config::{Admin, Config};
use crate::server::{Listener, TcpServer, UdpServer, Upstream, bind};
use crate::zone::Reader;

/// Binds every address to answer on.
pub(super) fn bind_all(config: &Config) -> anyhow::Result<Vec<Listener>> {
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

/// The admin address; None where it is off, or where the default one is taken.
pub(super) fn start_admin(config: &Config, health: &Health) -> anyhow::Result<Option<AdminServer>> {
    let limit = config.admin_connections;
    let started = match config.admin {
        Admin::Off => return Ok(None),
        Admin::At(address) => AdminServer::start(address, limit, health.clone()),
        Admin::Everywhere(port) => AdminServer::start_everywhere(port, limit, health.clone()),
    };
    match started {
        Ok(admin) => Ok(Some(admin)),
        // Another rollcall, or a CoreDNS, on this machine: no reason not to answer.
        Err(error) if !config.admin_is_given => {
            warn!("no health is told, for {error}; --admin names another address, or is off");
            Ok(None)
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the admin address")),
    }
}

/// The transports, running.
pub(super) struct Servers {
    udp: UdpServer,
    tcp: TcpServer,
}

impl Servers {
    pub(super) fn start(config: &Config, listeners: Vec<Listener>, reader: &Reader) -> anyhow::Result<Self> {
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

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.tcp.stop().await;
        tokio::task::spawn_blocking(|| self.udp.stop()).await.context("a UDP thread did not end")?;
        info!("ended");
        Ok(())
    }
}
