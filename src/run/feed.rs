//! Where what is served comes from: one of the sources.

use super::from_cluster::{Counting, FromCluster};
use super::from_manifests::FromManifests;
use super::served::Served;
use crate::admin::Health;
use crate::config::{Cluster, Config};

/// One of the sources.
pub(super) enum Feed {
    Manifests(Box<FromManifests>),
    Cluster(Box<FromCluster>),
}

impl Feed {
    /// Begins; serves from the snapshot where there is one.
    ///
    /// # Errors
    /// When there is none, and the API server cannot even be asked: no kubeconfig, no account.
    pub(super) async fn start(
        cluster: &Cluster,
        served: &mut Served,
        health: &Health,
        counting: &Counting,
    ) -> anyhow::Result<Self> {
        Ok(match cluster {
            Cluster::Manifests(path) => Self::Manifests(Box::new(FromManifests::new(path, &served.config))),
            Cluster::Kubernetes(access) => {
                let feed = FromCluster::start(access, served, health.clone(), counting.clone()).await?;
                Self::Cluster(Box::new(feed))
            }
        })
    }

    /// Keeps what is to be kept, at the end.
    pub(super) async fn finish(&mut self, served: &Served) {
        if let Self::Cluster(feed) = self {
            feed.finish(served).await;
        }
    }

    /// Whether the objects of what is served are still being read.
    pub(super) fn is_loading(&self) -> bool {
        match self {
            Self::Manifests(_) => false,
            Self::Cluster(feed) => feed.is_loading(),
        }
    }

    /// Waits until there is something to take. May be cancelled.
    pub(super) async fn changed(&mut self) {
        match self {
            Self::Manifests(feed) => feed.changed().await,
            Self::Cluster(feed) => feed.changed().await,
        }
    }

    /// Takes what there is, and a new configuration, and publishes.
    ///
    /// # Errors
    /// When there is nothing that could be served.
    pub(super) async fn take(&mut self, served: &mut Served, new: Option<Config>) -> anyhow::Result<()> {
        match self {
            Self::Manifests(feed) => feed.take(served, new).await,
            Self::Cluster(feed) => {
                feed.take(served, new).await;
                Ok(())
            }
        }
    }
}
