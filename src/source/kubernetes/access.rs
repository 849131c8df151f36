//! How the API server is reached: a kubeconfig or the pod's account, and connections whose death is noticed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder};

use crate::source::chain;

/// For reading credentials, and for the program that fetches them.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// No answer to a connection request for so long is no answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is asked whether its peer is still there after this long, and so often again: a node that
/// lost its network is noticed within 10 seconds, where Linux by itself takes two hours.
const KEEPALIVE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 3;
/// For how long what was sent may stay unacknowledged (RFC 5482).
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Who the API server is, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A kubeconfig.
    Kubeconfig {
        /// None: the files that `KUBECONFIG` names, else `~/.kube/config`.
        file: Option<PathBuf>,
        /// None: its current one.
        context: Option<String>,
    },
    /// The pod's service account: its token file is read again when it is rotated.
    InCluster,
}

/// Why the API server cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The kubeconfig cannot be read, or lacks something.
    #[error("cannot use the kubeconfig{}", of(.file.as_ref()))]
    Kubeconfig {
        /// Which; None is the default one.
        file: Option<PathBuf>,
        /// Why.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// There is no usable service account.
    #[error("cannot use the pod's service account")]
    InCluster(#[source] kube::config::InClusterError),
    /// Reading the credentials, or the program that fetches them, does not end.
    #[error("the credentials for the API server cannot be had: {0}")]
    Stuck(String),
    /// The credentials or certificates cannot be used.
    #[error("cannot use the credentials for the API server")]
    Client(#[source] kube::Error),
    /// What came of an attempt that somebody else had begun.
    #[error("{0}")]
    Shared(String),
}

fn of(file: Option<&PathBuf>) -> String {
    file.map_or_else(String::new, |file| format!(" {}", file.display()))
}

impl Access {
    /// Whether this process is in a pod with a service account.
    #[must_use]
    pub fn is_in_cluster() -> bool {
        std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// Makes a client. Nothing is asked yet; every file is read.
    fn attempt(&self) -> Attempt {
        let access = self.clone();
        let runtime = tokio::runtime::Handle::current();
        // Files are read, and a kubeconfig may name a program that fetches credentials: not on a thread that others
        // wait for.
        tokio::task::spawn_blocking(move || runtime.block_on(access.make()))
    }

    /// The API server's URL, as the kubeconfig or the pod's environment has it.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub async fn server(&self) -> Result<String, AccessError> {
        let access = self.clone();
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || runtime.block_on(access.config()));
        let config = read.await.map_err(|panicked| AccessError::Stuck(panicked.to_string()))??;
        Ok(config.cluster_url.to_string())
    }

    async fn make(&self) -> Result<Client, AccessError> {
        client(self.config().await?).map_err(AccessError::Client)
    }

    async fn config(&self) -> Result<Config, AccessError> {
        match self {
            Self::Kubeconfig { file, context } => {
                let bad = |source| AccessError::Kubeconfig { file: file.clone(), source };
                let kubeconfig = match file {
                    Some(file) => Kubeconfig::read_from(file),
                    None => Kubeconfig::from_env().and_then(|set| set.map_or_else(Kubeconfig::read, Ok)),
                };
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                Config::from_custom_kubeconfig(kubeconfig.map_err(bad)?, &options).await.map_err(bad)
            }
            Self::InCluster => Config::incluster().map_err(AccessError::InCluster),
        }
    }
}

type Attempt = JoinHandle<Result<Client, AccessError>>;

/// Makes clients for all who follow by one access, one at a time: a program that fetches the credentials and hangs holds
/// a thread for as long, and tokio's are used for files and names as well.
#[derive(Clone)]
pub struct Clients {
    access: Access,
    patience: Duration,
    attempts: Arc<Mutex<Attempts>>,
}

#[derive(Default)]
struct Attempts {
    /// One that has not ended: it is waited for, and none is begun beside it.
    running: Option<Attempt>,
    /// When somebody was done with one, and what came of it.
    last: Option<(Instant, Result<Client, String>)>,
}

impl Clients {
    /// By this access.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access, patience: CLIENT_TIMEOUT, attempts: Arc::default() }
    }

    /// One that has a client, for tests of those who ask over it.
    #[cfg(test)]
    pub(super) fn made(client: Client) -> Self {
        let long = Instant::now() + Duration::from_secs(86_400);
        let attempts = Attempts { running: None, last: Some((long, Ok(client))) };
        Self { access: Access::InCluster, patience: CLIENT_TIMEOUT, attempts: Arc::new(Mutex::new(attempts)) }
    }

    /// A client that was made since this was asked for: those who ask together share one.
    ///
    /// # Errors
    /// When a file cannot be used, or the program that fetches the credentials fails, or does not end in time.
    pub async fn client(&self) -> Result<Client, AccessError> {
        let asked = Instant::now();
        let mut attempts = self.attempts.lock().await;
        if let Some((_, made)) = attempts.last.as_ref().filter(|(at, _)| *at >= asked) {
            return made.clone().map_err(AccessError::Shared);
        }
        let running = attempts.running.get_or_insert_with(|| self.access.attempt());
        let ended = tokio::time::timeout(self.patience, running).await;
        let made = match ended {
            Ok(ended) => {
                attempts.running = None;
                ended.unwrap_or_else(|panicked| Err(AccessError::Stuck(panicked.to_string())))
            }
            Err(_) => Err(AccessError::Stuck(format!("nothing after {} s", self.patience.as_secs()))),
        };
        attempts.last = Some((Instant::now(), made.as_ref().cloned().map_err(|error| chain(error))));
        made
    }
}

fn client(config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        // kube makes the connection to the proxy; a dead one is noticed by the end of the watch.
        return Ok(ClientBuilder::try_from(config)?.build());
    }
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEPALIVE));
    http.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    http.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    http.set_tcp_user_timeout(Some(USER_TIMEOUT));
    let https = config.rustls_https_connector_with_connector(http)?;
    let connections: hyper_util::client::legacy::Client<_, Body> =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(config.extra_headers_layer()?)
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(connections);
    Ok(Client::new(service, config.default_namespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A kubeconfig whose program notes that it was called, and then does what the lines say.
    fn mk_clients(folder: &std::path::Path, lines: &str) -> Clients {
        let (program, file) = (folder.join("fetch"), folder.join("kubeconfig"));
        std::fs::write(&program, format!("#!/bin/sh\necho called >>{}/calls\n{lines}\n", folder.display()))
            .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let exec = format!(
            "{{apiVersion: client.authentication.k8s.io/v1, command: {}, interactiveMode: Never}}",
            program.display()
        );
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster: {{server: \"http://127.0.0.1:1\"}}\nusers:\n- name: u\n  user: {{exec: {exec}}}\ncontexts:\n- name: c\n  context: {{cluster: k, user: u}}\n"
        );
        std::fs::write(&file, text).unwrap();
        Clients::new(Access::Kubeconfig { file: Some(file), context: None })
    }

    fn calls(folder: &std::path::Path) -> usize {
        std::fs::read_to_string(folder.join("calls")).map_or(0, |text| text.lines().count())
    }

    /// kube calls the program for a certificate, and behind that for a token.
    const AN_ATTEMPT: usize = 2;

    #[tokio::test]
    async fn nothing_is_begun_beside_a_program_that_hangs() {
        let folder = tempfile::tempdir().unwrap();
        let mut clients = mk_clients(folder.path(), "while [ ! -e \"$0.over\" ]; do sleep 0.1; done; exit 1");
        clients.patience = Duration::from_millis(1500);
        for _ in 0..2 {
            let (one, other) = tokio::join!(clients.client(), clients.client());
            for made in [one, other] {
                let said = made.err().map(|error| error.to_string()).unwrap_or_default();
                assert!(said.contains("nothing after 1 s"), "{said}");
            }
        }
        assert_eq!(calls(folder.path()), 1);
        // It ends at last: the attempt behind it is another.
        std::fs::write(folder.path().join("fetch.over"), "").unwrap();
        clients.patience = CLIENT_TIMEOUT;
        assert!(matches!(clients.client().await, Err(AccessError::Client(_))));
        assert_eq!(calls(folder.path()), AN_ATTEMPT);
        assert!(matches!(clients.client().await, Err(AccessError::Client(_))));
        assert_eq!(calls(folder.path()), 2 * AN_ATTEMPT);
    }

    #[tokio::test]
    async fn who_asks_together_shares_what_comes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let clients = mk_clients(folder.path(), "sleep 0.3; exit 1");
        let (one, other) = tokio::join!(clients.client(), clients.client());
        let [one, other] = [one, other].map(|made| made.err().map(|error| chain(&error)));
        assert!(one.is_some() && one == other, "{one:?} {other:?}");
        assert_eq!(calls(folder.path()), AN_ATTEMPT);
        assert!(clients.client().await.is_err());
        assert_eq!(calls(folder.path()), 2 * AN_ATTEMPT, "asked for later");
    }
}
