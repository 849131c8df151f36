//! Clients of an API server.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::runtime::Runtime;

/// A client of its own, with connections of its own, that lives on this runtime.
///
/// # Errors
/// When the kubeconfig cannot be used.
pub fn connect(kubeconfig: &Path, runtime: &Runtime) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    runtime.block_on(async {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    })
}
