//! DNS over TLS, HTTPS and QUIC: the answers of TCP, what a client may hold, certificates that change.
//!
//! The clients are rustls, hyper and quinn, with certificates made here; those of others are in tests/encrypted.sh.

pub(super) mod certificates;
mod clients;
mod counted;
mod hostile;
mod http;
mod limits;
mod octets;
mod push;
mod quic;
mod stop;
mod swap;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::manifests::{documents, nginx, stateful, text};
use crate::behaviour::process::Process;
use crate::support::query::Query;
use crate::support::server::Server;
use certificates::Authority;

/// How long one test may take: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of all transports.
struct Served {
    folder: tempfile::TempDir,
    server: Server,
    authority: Authority,
}

impl Served {
    /// With these sections in its configuration.
    fn with(toml: &str) -> Self {
        Self::with_all(toml, "")
    }

    /// With these lines in its section `[tls]`.
    fn with_tls(tls: &str) -> Self {
        Self::with_all("", tls)
    }

    fn with_all(toml: &str, tls: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue(1).write(folder.path());
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("web.yaml"), documents(&[nginx(3), stateful("big", "big", 400)])).unwrap();
        let config = format!(
            "listen = ['127.0.0.1:0', 'tls://127.0.0.1:0', 'https://127.0.0.1:0/dns-query', 'quic://127.0.0.1:0']\n\
             order = 'ordinal'\n{toml}\n[tls]\ncertificate = 'tls.crt'\nkey = 'tls.key'\nreload = 1\n{tls}\n"
        );
        std::fs::write(path("rollcall.toml"), config).unwrap();
        let (config, manifests) = (path("rollcall.toml"), path("web.yaml"));
        let server =
            Server::start(&["serve", "--config", text(&config), "--manifests", text(&manifests)]).unwrap();
        Self { folder, server, authority }
    }

    fn new() -> Self {
        Self::with("")
    }

    fn plain(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    /// Where a transport is listened on.
    fn at(&self, transport: &str) -> SocketAddr {
        self.server.encrypted(transport)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A server of all transports, as a process of its own.
struct Started {
    process: Process,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Started {
    /// With these flags as well.
    fn with(flags: &[&str]) -> Self {
        Self::serving(&nginx(3), flags)
    }

    fn serving(manifests: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue(1).write(folder.path());
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("web.yaml"), manifests).unwrap();
        let (manifests, certificate, key) = (path("web.yaml"), path("tls.crt"), path("tls.key"));
        let mut args = vec!["--manifests", text(&manifests)];
        for listen in ["tls://127.0.0.1:0", "https://127.0.0.1:0", "quic://127.0.0.1:0"] {
            args.extend(["--listen", listen]);
        }
        args.extend(["--tls-certificate", text(&certificate), "--tls-key", text(&key)]);
        args.extend(flags);
        Self { process: Process::serve(&args), authority, _folder: folder }
    }
}

/// The address of a line `listening`.
fn listening(printed: &str, what: &str) -> SocketAddr {
    let line = printed.lines().find_map(|line| line.strip_prefix(&format!("listening {what} ")));
    line.unwrap_or_else(|| panic!("no {what} in {printed}")).parse().unwrap()
}

/// The packet of a dig line, with an ID of 0 as QUIC wants it.
fn question(line: &str) -> Vec<u8> {
    Query::parse(&format!("dig +qid=0 {line}")).unwrap().bytes
}

/// Runs a test's client side, which must end.
fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, client).await.expect("an end in time") })
}
