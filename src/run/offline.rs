//! The whole way from a cluster to a zone, without a socket: for `check` and `records`.

use std::time::Duration;

use anyhow::Context as _;

use super::Driver;
use super::feed::Feed;
use super::from_cluster::Counting;
use super::from_manifests::FromManifests;
use super::served::Served;
use super::settings::{for_zone, own_addresses};
use crate::admin::Health;
use crate::config::{Cluster, Config, Looks};
use crate::source::Problem;
use crate::source::kubernetes::Rate;
use crate::source::manifests::Witness;
use crate::zone::{Reader, zone};

/// A command that somebody waits for does not wait for longer for an API server to say something.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster that was loaded and published.
pub struct Offline {
    /// Holds the index.
    pub driver: Driver,
    /// Reads what was published.
    pub reader: Reader,
    /// Everything that is wrong, in the input's order.
    pub problems: Vec<Problem>,
}

/// Says what is missing when there is no source.
pub(super) const NO_SOURCE: &str = "no cluster to serve: give --manifests PATH (a file, a folder, or - for standard input) \
or --kubeconfig FILE, or run in a pod with a service account. \
To try it on the demo cluster: rollcall serve --config config/demo.toml";

/// Loads the configuration's cluster: manifests, or what an API server lists.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn load(config: &Config) -> anyhow::Result<Offline> {
    load_before(config, None)
}

/// The same, before somebody who looks at more of the manifests than their names.
pub(super) fn load_before(config: &Config, witness: Option<Box<dyn Witness>>) -> anyhow::Result<Offline> {
    wait_for(load_once(config, witness))
}

/// Runs what a command waits for.
pub(super) fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start tokio")?;
    let done = runtime.block_on(work);
    // A read of standard input, or a connection, that never ends must not keep the process.
    runtime.shutdown_background();
    done
}

async fn load_once(config: &Config, witness: Option<Box<dyn Witness>>) -> anyhow::Result<Offline> {
    let cluster = config.cluster.as_ref().context(NO_SOURCE)?;
    let own = own_addresses(&config.listen)?;
    let (publisher, reader) = zone(for_zone(config, &own));
    let health = Health::new(reader.clone());
    // A snapshot is what `serve` keeps: here the API server itself is asked.
    // Nor is anything asked for that comes behind the first answers.
    let looks = Looks { rate: Rate { sets: 0, ..config.looks.rate }, ..config.looks };
    let config = Config { snapshot: None, looks, ..config.clone() };
    let mut served = Served::new(publisher, config, &own).collecting();
    // Who asks a command is told, whatever servers tell their clients.
    served.driver.set_explains(true);
    let mut feed = match (cluster, witness) {
        (Cluster::Manifests(path), Some(witness)) => {
            Feed::Manifests(Box::new(FromManifests::new(path, &served.config).before(witness)))
        }
        _ => Feed::start(cluster, &mut served, &health, &Counting::default()).await?,
    };
    // Reading manifests may take as long as it takes.
    let patience = if matches!(feed, Feed::Manifests(_)) { Duration::MAX } else { PATIENCE };
    while !reader.is_synchronised() {
        if tokio::time::timeout(patience, feed.changed()).await.is_err() {
            let reasons = Some(health.reasons()).filter(|reasons| !reasons.is_empty());
            let why = reasons.unwrap_or_else(|| "it does not answer".to_owned());
            anyhow::bail!("the cluster cannot be listed, nothing new for {} s: {why}", PATIENCE.as_secs());
        }
        feed.take(&mut served, None).await?;
    }
    let problems = served.problems();
    Ok(Offline { driver: served.driver, reader, problems })
}
