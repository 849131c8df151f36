//! Keeps a snapshot of what is served, and serves from it at a start.
//!
//! The cluster is copied where it is published, which takes a moment; its zone, checksum, write and fsync are another
//! thread's.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::served::{Known, Served};
use super::staleness::Since;
use crate::cluster::Index;
use crate::config::Snapshot;
use crate::source::chain;
use crate::source::kubernetes::{Access, Options};
use crate::source::snapshot::{Identity, Image, SnapshotCounters, SnapshotError, State, open, write};
use crate::zone::KeptError;

/// Without a change the file is written so often: it says until when the cluster was known to be like that.
const REFRESH: Duration = Duration::from_secs(300);
/// For the last write, at the end.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the snapshot.
pub(super) struct Keeper {
    server: String,
    counters: SnapshotCounters,
    /// The last write that was begun.
    last: Option<Last>,
    writing: Option<JoinHandle<Result<u64, SnapshotError>>>,
    /// When to write next.
    due: Option<Instant>,
    /// Why the last write failed: the same is said once.
    failed: Option<String>,
    /// Octets of the last one.
    room: usize,
    loading: Option<Loading>,
}

/// The cluster of a snapshot whose zone is served already.
enum Loading {
    Running(JoinHandle<Result<Index, SnapshotError>>),
    Ended(Box<Result<Index, String>>),
}

/// What became of a cluster's import, with the reason in words.
fn imported(ended: Result<Result<Index, SnapshotError>, JoinError>) -> Result<Index, String> {
    match ended {
        Ok(index) => index.map_err(|refused| chain(&refused)),
        Err(panicked) => Err(format!("reading it panicked: {panicked}")),
    }
}

struct Last {
    revision: u64,
    at: Instant,
}

/// The options as the snapshot's identity says them.
fn identity(server: &str, options: &Options) -> Identity {
    let namespaces = options.namespaces.clone().map(|mut names| {
        names.sort();
        names.dedup();
        names
    });
    Identity {
        server: server.to_owned(),
        namespaces,
        selector: options.selector.to_string(),
        pods: options.pods,
    }
}

/// Seconds since 1970; a clock before that counts as 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// As an operator reads it (RFC 3339).
fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{seconds} s after 1970"), |time| time.to_string())
}

impl Keeper {
    /// Of the API server that is followed; None where no snapshot is kept, or it cannot be told whose it would be.
    pub(super) async fn new(served: &Served, access: &Access, counters: SnapshotCounters) -> Option<Self> {
        let snapshot = served.config.snapshot.as_ref()?;
        match access.server().await {
            Ok(server) => {
                let (last, writing, due, failed, loading) = (None, None, None, None, None);
                Some(Self { server, counters, last, writing, due, failed, room: 0, loading })
            }
            Err(error) => {
                error!("no snapshot is kept in {}: {}", snapshot.path.display(), chain(&error));
                None
            }
        }
    }

    /// Serves from the snapshot where there is one. Gives since when that may be wrong, and the words for it.
    pub(super) async fn resume(&mut self, served: &mut Served) -> Option<(Since, String)> {
        let path = served.config.snapshot.as_ref()?.path.clone();
        let shown = path.display().to_string();
        let ours = identity(&self.server, &served.config.kubernetes);
        let began = Instant::now();
        // Read and checked on a thread that may take its time.
        let opened = tokio::task::spawn_blocking(move || open(&path, &ours)).await;
        let opened = match opened {
            Ok(Ok(Some(opened))) => Arc::new(opened),
            Ok(Ok(None)) => {
                info!(
                    "no snapshot {shown} yet: nothing is answered before the API server has listed everything"
                );
                return None;
            }
            Ok(Err(refused)) => {
                error!("not served: {}", chain(&refused));
                return None;
            }
            Err(panicked) => {
                error!("the snapshot {shown} is not served: reading it panicked: {panicked}");
                return None;
            }
        };
        let state = opened.state().clone();
        // However old: the numbers that were said are said.
        served.driver.resume_serial(state.serial);
        // Where the clock was set back the file is from the future: as fresh as can be.
        let age = Duration::from_secs(now().saturating_sub(state.fresh));
        if let Some(max_age) = served.config.stale.max_age.filter(|max_age| age >= *max_age) {
            let (fresh, max_age) = (time(state.fresh), max_age.as_secs());
            warn!(
                "the snapshot {shown} is not served: it was right at {fresh}, longer ago than stale.max_age ({max_age} s)"
            );
            return None;
        }
        self.room = usize::try_from(self.counters.counts().octets).unwrap_or_default();
        let of_index = Arc::clone(&opened);
        let importing = tokio::task::spawn_blocking(move || of_index.index());
        // The zone as it was is served at once; the cluster that it is of is at hand when something of it changes.
        match served.driver.take_up(opened.zone()) {
            Ok(()) => self.loading = Some(Loading::Running(importing)),
            Err(why) => {
                match why {
                    KeptError::Nothing => {}
                    KeptError::Others => info!("records are made of the snapshot's objects: {why}"),
                    _ => warn!("records are made of the snapshot's objects; of its zone, {why}"),
                }
                match imported(importing.await) {
                    Ok(index) => served.driver.load(index),
                    Err(why) => {
                        error!("not served: {why}");
                        return None;
                    }
                }
                served.publish_all();
                self.loaded(served);
            }
        }
        served.know(state.complete.map_or(Known::All, |names| Known::These(names.into_iter().collect())));
        served.driver.set_pods_known(state.pods_known);
        served.driver.synchronised();
        self.counters.loads();
        let text = format!("served from a snapshot of {}", time(state.fresh));
        info!(took = ?began.elapsed(), "{text} ({shown}), until the API server has listed everything");
        Some((Since::ago(age), text))
    }

    fn loaded(&mut self, served: &Served) {
        self.last = Some(Last { revision: served.driver.revision(), at: Instant::now() });
    }

    /// Whether the cluster of what is served is still being read.
    pub(super) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Waits until it is read; see [`Keeper::load`]. May be cancelled.
    pub(super) async fn read(&mut self) {
        if let Some(Loading::Running(running)) = &mut self.loading {
            let ended = imported(running.await);
            self.loading = Some(Loading::Ended(Box::new(ended)));
        }
    }

    /// Puts the cluster behind the zone that was made of it, once it is read. False where it is none: then that zone is
    /// not served any longer either.
    pub(super) async fn load(&mut self, served: &mut Served) -> bool {
        self.read().await;
        let Some(Loading::Ended(ended)) = self.loading.take() else { return true };
        match *ended {
            Ok(index) => {
                served.driver.load(index);
                let changed = served.publish();
                if changed > 0 && served.driver.has_incomplete() {
                    info!(changed, "what the snapshot's zone told of pods is asked for again");
                } else if changed > 0 {
                    warn!(changed, "the snapshot's zone was not quite what its objects say: it is now");
                }
                self.loaded(served);
                true
            }
            Err(why) => {
                error!("not served any longer: {why}");
                served.withdraw();
                false
            }
        }
    }

    /// Waits until there is something to do; see [`Keeper::tend`]. May be cancelled.
    pub(super) async fn changed(&mut self) {
        match (&mut self.writing, self.due) {
            (Some(writing), _) => {
                let ended = writing.await.map_err(|panicked| chain(&panicked));
                self.writing = None;
                self.ended(ended.and_then(|ended| ended.map_err(|error| chain(&error))));
            }
            (None, Some(due)) => tokio::time::sleep_until(due).await,
            (None, None) => std::future::pending().await,
        }
    }

    /// Begins a write where one is due. `stale` says since when what is served may be wrong.
    pub(super) fn tend(&mut self, served: &Served, stale: Option<Since>) {
        let Some(snapshot) = &served.config.snapshot else { return };
        self.due = self.next(snapshot, served, stale);
        if self.writing.is_none() && self.due.is_some_and(|due| due <= Instant::now()) {
            self.begin(snapshot, served, stale);
        }
    }

    /// Nothing is to be written just now.
    pub(super) fn rest(&mut self) {
        self.due = None;
    }

    fn next(&self, snapshot: &Snapshot, served: &Served, stale: Option<Since>) -> Option<Instant> {
        // Else a start from it would say that it is ready.
        if served.known().is_nothing() {
            return None;
        }
        match &self.last {
            None => Some(Instant::now()),
            Some(last) if last.revision != served.driver.revision() || self.failed.is_some() => {
                Some(last.at + snapshot.interval)
            }
            Some(last) if stale.is_none() => Some(last.at + snapshot.interval.max(REFRESH)),
            Some(_) => None,
        }
    }

    fn begin(&mut self, snapshot: &Snapshot, served: &Served, stale: Option<Since>) {
        let began = Instant::now();
        let written = now();
        let complete = match served.known() {
            Known::These(names) => Some(names.iter().cloned().collect()),
            Known::All | Known::Nothing => None,
        };
        let state = State {
            written,
            fresh: written.saturating_sub(stale.map_or(0, |since| since.age().as_secs())),
            complete,
            pods_known: served.driver.pods_known(),
            serial: served.driver.serial(),
        };
        let identity = identity(&self.server, &served.config.kubernetes);
        let image = Image::new(&identity, &state, served.driver.index(), self.room);
        let zone = served.driver.keep();
        let pause = began.elapsed();
        self.counters.pauses(pause);
        debug!(?pause, "copied the cluster for the snapshot");
        self.last = Some(Last { revision: served.driver.revision(), at: began });
        let (path, counters) = (snapshot.path.clone(), self.counters.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let ended = write(&path, image.with_zone(zone));
            match &ended {
                Ok(octets) => counters.succeeds(written, *octets),
                Err(_) => counters.fails(),
            }
            ended
        }));
    }

    fn ended(&mut self, ended: Result<u64, String>) {
        match ended {
            Ok(octets) => {
                self.room = usize::try_from(octets).unwrap_or_default();
                if self.failed.take().is_some() {
                    info!("the snapshot is written again");
                }
            }
            Err(why) => {
                if self.failed.as_deref() != Some(&why) {
                    warn!("{why}; what was written before stays, and it is tried again");
                }
                self.failed = Some(why);
            }
        }
    }

    /// Writes what was not yet, at the end.
    pub(super) async fn finish(&mut self, served: &Served, stale: Option<Since>) {
        // What is being read is still there.
        let Some(snapshot) = served.config.snapshot.as_ref().filter(|_| !self.is_loading()) else { return };
        let last = async {
            if self.writing.is_some() {
                self.changed().await;
            }
            if self.next(snapshot, served, stale).is_some() {
                self.begin(snapshot, served, stale);
                self.changed().await;
            }
        };
        if tokio::time::timeout(LAST_PATIENCE, last).await.is_err() {
            warn!(
                "the last snapshot is not written after {} s: the one before stays",
                LAST_PATIENCE.as_secs()
            );
        }
    }
}
