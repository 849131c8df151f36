//! Tells when a file or a folder changed.
//!
//! The system's notifications make it quick; a look at the files' times and sizes every two seconds makes it
//! sure: a watch dies with the folder it was set on, and does not see behind symbolic links.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::files::is_manifest;

/// A change is told when nothing more came for this long …
const QUIET: Duration = Duration::from_millis(100);
/// … or at the latest after this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the files are looked at beside the notifications.
const LOOK: Duration = Duration::from_secs(2);

/// Waits for changes; dropped, it stops.
pub struct Follower {
    path: PathBuf,
    changed_tx: mpsc::Sender<()>,
    changed_rx: mpsc::Receiver<()>,
    /// None where the system cannot tell: then the looks do it alone.
    watcher: Option<RecommendedWatcher>,
    seen: Fingerprint,
    /// Something changed, and more may.
    quiet: Option<Quiet>,
    /// When the files are looked at though nothing was told.
    look_at: Instant,
}

/// The time behind a change in which others belong to it.
struct Quiet {
    until: Instant,
    latest: Instant,
}

/// What changes when a file or the manifests of a folder do: inode, time of change, size. Links are followed.
type Fingerprint = Vec<(PathBuf, u64, Option<(i64, i64, u64)>)>;

/// Follows a file or a folder, and says why when the system cannot tell of changes.
#[must_use]
pub fn follow(path: &Path) -> (Follower, Option<notify::Error>) {
    // One slot: what matters is that something changed, not how often.
    let (changed_tx, changed_rx) = mpsc::channel(1);
    let mut follower = Follower {
        path: path.to_owned(),
        changed_tx,
        changed_rx,
        watcher: None,
        seen: fingerprint(path),
        quiet: None,
        look_at: Instant::now() + LOOK,
    };
    let error = follower.watch().err();
    (follower, error)
}

impl Follower {
    /// Waits for the next change and for the quiet behind it. What is no manifest may change as it likes. Dropped before
    /// it is done it loses nothing: who waits for other things too, and more often, is told all the same.
    pub async fn changed(&mut self) {
        loop {
            let told = match &mut self.quiet {
                None => tokio::select! {
                    Some(()) = self.changed_rx.recv() => {
                        self.quiet = Some(Quiet::begins());
                        continue;
                    }
                    () = sleep_until(self.look_at) => false,
                },
                Some(quiet) => {
                    if let Ok(Some(())) = timeout_at(quiet.until, self.changed_rx.recv()).await
                        && quiet.goes_on()
                    {
                        continue;
                    }
                    self.quiet = None;
                    true
                }
            };
            self.look_at = Instant::now() + LOOK;
            let now = fingerprint(&self.path);
            if now == self.seen {
                continue;
            }
            self.seen = now;
            if !told {
                // What no watch told of: it may be on a folder that is gone.
                let _ = self.watch();
            }
            return;
        }
    }

    fn watch(&mut self) -> notify::Result<()> {
        let changed_tx = self.changed_tx.clone();
        self.watcher = None;
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and the reader is us.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = changed_tx.try_send(());
            }
        })?;
        watcher.watch(&folder_of(&self.path), RecursiveMode::NonRecursive)?;
        self.watcher = Some(watcher);
        Ok(())
    }
}

impl Quiet {
    fn begins() -> Self {
        let now = Instant::now();
        Self { until: now + QUIET, latest: now + PATIENCE }
    }

    /// Something came: the quiet begins anew, where there is time for another one.
    fn goes_on(&mut self) -> bool {
        let now = Instant::now();
        self.until = (now + QUIET).min(self.latest);
        now < self.latest
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

fn fingerprint(path: &Path) -> Fingerprint {
    use std::os::unix::fs::MetadataExt as _;
    let of = |path: PathBuf| {
        let metadata = path.metadata().ok()?;
        // A folder's own times change with every file in it, manifest or not.
        let changed = (!metadata.is_dir()).then(|| (metadata.ctime(), metadata.ctime_nsec(), metadata.len()));
        Some((path, metadata.ino(), changed))
    };
    let entries = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let manifests = entries.filter(|entry| is_manifest(entry));
    let mut all: Fingerprint = manifests.chain([path.to_owned()]).filter_map(of).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    async fn told(follower: &mut Follower) -> bool {
        tokio::time::timeout(Duration::from_secs(10), follower.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_folder_that_is_made_again_is_followed_again() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("manifests");
        std::fs::create_dir(&folder).unwrap();
        let (mut follower, error) = follow(&folder);
        assert!(error.is_none());
        std::fs::remove_dir(&folder).unwrap();
        assert!(told(&mut follower).await);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), "").unwrap();
        assert!(told(&mut follower).await);
        std::fs::write(folder.join("b.yaml"), "").unwrap();
        assert!(told(&mut follower).await);
    }

    #[tokio::test]
    async fn what_is_no_manifest_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "").unwrap();
        let (mut follower, _) = follow(&folder.path().join("a.yaml"));
        let noise = folder.path().join("other.log");
        let wait = tokio::time::timeout(Duration::from_millis(600), follower.changed());
        let write = async {
            for line in 0..5 {
                std::fs::write(&noise, line.to_string()).unwrap();
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::join!(wait, write).0.is_err());
        std::fs::write(folder.path().join("a.yaml"), "x").unwrap();
        assert!(told(&mut follower).await);
    }

    #[tokio::test]
    async fn a_change_behind_a_link_is_seen_without_a_notification() {
        let outer = tempfile::tempdir().unwrap();
        let at = |name: &str| outer.path().join(name);
        std::fs::create_dir(at("one")).unwrap();
        std::fs::create_dir(at("two")).unwrap();
        std::os::unix::fs::symlink(at("one"), at("current")).unwrap();
        let (mut follower, _) = follow(&at("current"));
        std::os::unix::fs::symlink(at("two"), at("next")).unwrap();
        std::fs::rename(at("next"), at("current")).unwrap();
        assert!(told(&mut follower).await);
    }

    #[tokio::test]
    async fn who_has_other_things_to_do_meanwhile_is_told() {
        let outer = tempfile::tempdir().unwrap();
        let at = |name: &str| outer.path().join(name);
        std::fs::create_dir(at("one")).unwrap();
        std::os::unix::fs::symlink(at("one"), at("current")).unwrap();
        let (mut follower, _) = follow(&at("current"));
        // Told of by the system, and found by a look alone: each takes longer than one waits at a time.
        for watched in [true, false] {
            if !watched {
                follower.watcher = None;
            }
            std::fs::write(at("one").join(format!("{watched}.yaml")), "x").unwrap();
            let waits = async { while tokio::time::timeout(QUIET / 5, follower.changed()).await.is_err() {} };
            assert!(tokio::time::timeout(Duration::from_secs(30), waits).await.is_ok(), "{watched}");
        }
    }
}
