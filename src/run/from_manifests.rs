//! Feeds what is served from manifests: loads them, and again when they change.

use std::time::Instant;

use anyhow::Context as _;
use tracing::{error, info, warn};

use super::board::Times;
use super::loading;
use super::served::Served;
use crate::config::Config;
use crate::source::manifests::{Follower, Input, Manifests, Witness, follow};

/// The manifests, and who tells that they changed.
pub(super) struct FromManifests {
    input: Input,
    /// None while a load has it, and behind one that panicked.
    manifests: Option<Manifests>,
    follower: Option<Follower>,
    loaded: bool,
}

impl FromManifests {
    pub(super) fn new(path: &str, config: &Config) -> Self {
        let input = Input::from(path);
        // Followed before it is read: a change between the two is told, not lost.
        let follower = followed(&input);
        let manifests = Some(Manifests::new(input.clone(), config.source.clone()));
        Self { input, manifests, follower, loaded: false }
    }

    /// Shows what is read to somebody.
    pub(super) fn before(mut self, witness: Box<dyn Witness>) -> Self {
        if let Some(manifests) = &mut self.manifests {
            manifests.set_witness(witness);
        }
        self
    }

    /// Waits until there is something to take.
    pub(super) async fn changed(&mut self) {
        match &mut self.follower {
            _ if !self.loaded => {}
            Some(follower) => follower.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Reads, then takes over a new configuration if there is one, and publishes.
    ///
    /// # Errors
    /// When the first load fails. A later one leaves the last known state.
    pub(super) async fn take(&mut self, served: &mut Served, new: Option<Config>) -> anyhow::Result<()> {
        let first = !self.loaded;
        match self.load(served, new).await {
            Err(error) if first => return Err(error),
            Err(error) => error!("the last known state stays: {error:#}"),
            Ok(()) => self.loaded = true,
        }
        Ok(())
    }

    /// On another thread, for a large file must not keep a signal waiting.
    async fn load(&mut self, served: &mut Served, new: Option<Config>) -> anyhow::Result<()> {
        if new.is_some() {
            info!("reading the manifests again");
        }
        served.came_about(Times { arrived: Some(Instant::now()), triggered: Vec::new() });
        let old = served.config.source.clone();
        let mut manifests = self.manifests.take().unwrap_or_else(|| Manifests::new(self.input.clone(), old));
        manifests.set_options(new.as_ref().unwrap_or(&served.config).source.clone());
        let load = tokio::task::spawn_blocking(move || {
            let loaded = loading::load(&mut manifests);
            (manifests, loaded)
        });
        let (manifests, loaded) = load.await.context("the load ended in a panic")?;
        self.manifests = Some(manifests);
        let loaded = loaded?;
        if let Some(new) = new {
            served.reconfigure(new);
        }
        served.take_whole(loaded);
        Ok(())
    }
}

fn followed(input: &Input) -> Option<Follower> {
    let Input::Path(path) = input else { return None };
    let (follower, error) = follow(path);
    if let Some(error) = error {
        warn!(%error, "cannot follow {}: reading it again every 2 s", path.display());
    }
    Some(follower)
}
