//! Clients of an API server.

use std::path::Path;

use anyhow::Context as _;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use serde_json::Value;
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

/// Makes an object, below the path of its kind.
///
/// # Errors
/// When the API server does not take it.
pub async fn create(client: &Client, path: &str, object: &Value) -> anyhow::Result<()> {
    let request = Request::new(path).create(&PostParams::default(), serde_json::to_vec(object)?)?;
    client.request_text(request).await.with_context(|| format!("{path}: {object}"))?;
    Ok(())
}
