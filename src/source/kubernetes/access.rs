//! How the API server is reached: a kubeconfig or the pod's account, and connections whose death is noticed.

use std::path::PathBuf;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

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
    ///
    /// # Errors
    /// When a file cannot be used.
    pub async fn client(&self) -> Result<Client, AccessError> {
        let access = self.clone();
        let runtime = tokio::runtime::Handle::current();
        // Files are read, and a kubeconfig may name a program that fetches credentials: not on a thread that others
        // wait for.
        let made = tokio::task::spawn_blocking(move || runtime.block_on(access.make()));
        match tokio::time::timeout(CLIENT_TIMEOUT, made).await {
            Ok(Ok(client)) => client,
            Ok(Err(panicked)) => Err(AccessError::Stuck(panicked.to_string())),
            Err(_) => Err(AccessError::Stuck(format!("nothing after {} s", CLIENT_TIMEOUT.as_secs()))),
        }
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
