//! Tells when a file or a folder changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A change is told when nothing more came for this long …
const QUIET: Duration = Duration::from_millis(100);
/// … or at the latest after this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the files are read again where the system cannot tell.
const POLL: Duration = Duration::from_secs(5);

/// Waits for changes; dropped, it stops.
pub struct Follower {
    changed_rx: mpsc::Receiver<()>,
    watcher: Option<RecommendedWatcher>,
}

/// Follows a file or a folder, and says why when it has to poll.
#[must_use]
pub fn follow(path: &Path) -> (Follower, Option<notify::Error>) {
    // One slot: what matters is that something changed, not how often.
    let (changed_tx, changed_rx) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and the reader is us.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let _ = changed_tx.try_send(());
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher.watch(&folder_of(path), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watched {
        Ok(watcher) => (Follower { changed_rx, watcher: Some(watcher) }, None),
        Err(error) => (Follower { changed_rx, watcher: None }, Some(error)),
    }
}

/// A file is followed through its folder: editors replace files rather than write them.
fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => ".".into(),
    }
}

impl Follower {
    /// Waits for the next change and for the quiet behind it.
    pub async fn changed(&mut self) {
        if self.watcher.is_none() {
            tokio::time::sleep(POLL).await;
            return;
        }
        if self.changed_rx.recv().await.is_none() {
            // The watcher's thread is gone: poll from now on.
            self.watcher = None;
            return;
        }
        let latest = Instant::now() + PATIENCE;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            if !matches!(timeout_at(quiet, self.changed_rx.recv()).await, Ok(Some(()))) {
                return;
            }
            if Instant::now() >= latest {
                sleep_until(latest).await;
                return;
            }
        }
    }
}
