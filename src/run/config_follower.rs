//! Follows the configuration file, as manifests are followed: edits, replacements, a ConfigMap's swaps.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use crate::source::manifests::follow;

/// Tells when the file changed. Dropped, it stops.
pub(super) struct ConfigFollower {
    file: Option<PathBuf>,
    changed_rx: Option<mpsc::Receiver<()>>,
    /// A task, not a future that is waited for beside others: what interrupts it would lose it the time that it waits for
    /// quiet, and a busy cluster interrupts it a thousand times a second.
    task: JoinSet<()>,
}

impl ConfigFollower {
    /// Of a file, if there is one; see [`ConfigFollower::set`].
    pub(super) fn new(file: Option<&Path>) -> Self {
        Self { file: file.map(Path::to_owned), changed_rx: None, task: JoinSet::new() }
    }

    /// Begins to follow, or ends.
    pub(super) fn set(&mut self, follow_it: bool) {
        let Some(file) = self.file.as_ref().filter(|_| follow_it) else {
            self.task.abort_all();
            self.changed_rx = None;
            return;
        };
        if self.changed_rx.is_some() {
            return;
        }
        let (mut follower, error) = follow(file);
        if let Some(error) = error {
            warn!(%error, "cannot follow {}: looking at it every 2 s", file.display());
        }
        // One slot: what matters is that it changed, not how often.
        let (changed_tx, changed_rx) = mpsc::channel(1);
        self.changed_rx = Some(changed_rx);
        self.task.spawn(async move {
            // It was read before it was followed: a change in between is told by nobody else.
            while !matches!(changed_tx.try_send(()), Err(mpsc::error::TrySendError::Closed(()))) {
                follower.changed().await;
            }
        });
    }

    /// Waits for the next change; for ever where nothing is followed. May be cancelled.
    pub(super) async fn changed(&mut self) {
        let told = match &mut self.changed_rx {
            Some(changed_rx) => changed_rx.recv().await,
            None => None,
        };
        // A task that panicked tells nothing more: a SIGHUP still does.
        if told.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
