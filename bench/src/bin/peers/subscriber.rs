//! One subscriber, as small as it can be: it reads what it is pushed and says when.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rollcall::wire::dso::{Change, Keepalive, Said, ask_keepalive, subscribe};
use rollcall::wire::record::Data;
use rollcall::wire::{Name, rtype};
use rollcall_bench::replay::PROBE_NAME;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom the server's certificate is for.
const NAME: &str = "ns.dns.cluster.local";
/// Nothing is said in a session for longer than the benchmark lasts.
const TIMES: Keepalive = Keepalive { inactivity: u32::MAX, interval: 3_600_000 };
/// What is read at one time: a push of one change, and more.
const PIECE: usize = 1024;

/// What all subscribers know together.
pub(super) struct Shared {
    /// How many there are to be.
    count: usize,
    wanted: Cell<Ipv4Addr>,
    /// When each had what is wanted.
    had: RefCell<Vec<Instant>>,
    opened: Cell<usize>,
    /// Pushes that held something else.
    pub(super) wrong: Cell<u64>,
    failure: RefCell<Option<anyhow::Error>>,
    progress: Notify,
}

impl Shared {
    pub(super) fn new(count: usize, address: Ipv4Addr) -> Self {
        Self {
            count,
            wanted: Cell::new(address),
            had: RefCell::default(),
            opened: Cell::new(0),
            wrong: Cell::new(0),
            failure: RefCell::default(),
            progress: Notify::new(),
        }
    }

    /// From now on this address is waited for.
    pub(super) fn want(&self, address: Ipv4Addr) {
        self.wanted.set(address);
        self.had.borrow_mut().clear();
    }

    /// Waits until all are subscribed.
    pub(super) async fn all_opened(&self, patience: Duration) -> anyhow::Result<()> {
        self.until(patience, |shared| shared.opened.get()).await
    }

    /// Waits until all have what is wanted; when each had it, the first one first.
    pub(super) async fn all_had(&self, patience: Duration) -> anyhow::Result<Vec<Instant>> {
        self.until(patience, |shared| shared.had.borrow().len()).await?;
        Ok(self.had.take())
    }

    async fn until(&self, patience: Duration, number: impl Fn(&Self) -> usize) -> anyhow::Result<()> {
        let all = async {
            loop {
                if let Some(error) = self.failure.take() {
                    return Err(error);
                }
                if number(self) >= self.count {
                    return Ok(());
                }
                self.progress.notified().await;
            }
        };
        match timeout(patience, all).await {
            Ok(result) => result,
            Err(_) => bail!("{} of {} after {patience:?}", number(self), self.count),
        }
    }

    pub(super) fn fail(&self, error: anyhow::Error) {
        self.failure.replace(Some(error));
        self.progress.notify_one();
    }

    fn took(&self, changes: &[Change]) {
        let wanted = Data::Address(IpAddr::V4(self.wanted.get()));
        let is_wanted =
            |change: &Change| matches!(change, Change::Add(record) if record.data.as_ref() == Some(&wanted));
        if !changes.iter().any(is_wanted) {
            self.wrong.set(self.wrong.get() + 1);
            return;
        }
        let mut had = self.had.borrow_mut();
        had.push(Instant::now());
        if had.len() == self.count {
            self.progress.notify_one();
        }
    }

    fn opened(&self) {
        self.opened.set(self.opened.get() + 1);
        if self.opened.get() == self.count {
            self.progress.notify_one();
        }
    }
}

/// Who trusts this authority.
pub(super) fn connector(authority: &Path) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).context("the authority")? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"dot".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Shakes hands.
pub(super) async fn secure(
    connector: &TlsConnector,
    stream: TcpStream,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(NAME).context("the server's name")?;
    connector.connect(name, stream).await.context("no handshake")
}

/// Subscribes to the probe's service, and reads what is pushed until the connection ends, which is an error.
pub(super) async fn follow(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Shared,
) -> anyhow::Result<()> {
    let mut stream = BufReader::with_capacity(PIECE, stream);
    // The service, of whose one endpoint the probe is the name.
    let service = PROBE_NAME.split_once('.').map_or(PROBE_NAME, |(_, service)| service);
    stream.write_all(&subscribe(1, &Name::from_text(service)?, rtype::ANY)).await?;
    stream.flush().await?;
    let said = next(&mut stream).await?;
    ensure!(matches!(said, Said::Response { id: 1, rcode: 0, .. }), "SUBSCRIBE was answered with {said:?}");
    let said = next(&mut stream).await?;
    ensure!(matches!(said, Said::Push(_)), "nothing is pushed but {said:?}");
    stream.write_all(&ask_keepalive(2, TIMES)).await?;
    stream.flush().await?;
    let said = next(&mut stream).await?;
    ensure!(matches!(said, Said::Response { id: 2, rcode: 0, .. }), "Keepalive was answered with {said:?}");
    shared.opened();
    loop {
        match next(&mut stream).await? {
            Said::Push(changes) => shared.took(&changes),
            said => bail!("not a push: {said:?}"),
        }
    }
}

async fn next(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Said> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Said::parse(&message)?.context("a message that is not known")
}
