//! Reads the configuration again: at SIGHUP, and when its file changed. One that cannot be used changes nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::config_follower::ConfigFollower;
use super::served::Served;
use crate::config::{Config, Typed, changes};

/// Why the configuration is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// SIGHUP: manifests are read again as well, whether or not anything differs.
    Hangup,
    /// Its file changed.
    File,
}

/// Reloads so far, for whoever wants to know.
#[derive(Debug, Default)]
pub(super) struct ReloadCounter {
    succeeded: AtomicU64,
    failed: AtomicU64,
    last_success: AtomicU64,
}

/// [`ReloadCounter`] at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReloadCounts {
    /// The configuration was taken over.
    pub(super) succeeded: u64,
    /// It could not be used; the one before stayed.
    pub(super) failed: u64,
    /// Seconds since 1970; the start counts as one.
    pub(super) last_success: u64,
}

impl ReloadCounter {
    /// The counts just now.
    pub(super) fn counts(&self) -> ReloadCounts {
        ReloadCounts {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            last_success: self.last_success.load(Ordering::Relaxed),
        }
    }

    fn succeed_now(&self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.last_success.store(since.unwrap_or_default().as_secs(), Ordering::Relaxed);
    }
}

/// Knows when to read, how, and what was read.
pub(super) struct Reloader<C> {
    configure: C,
    hangup: Signal,
    follower: ConfigFollower,
    /// What the process was started with: what a running server does not take over stays as it is there.
    started_with: Typed,
    /// What the last try read, or why it could not be read: a file that was touched, or that SIGHUP told of already, is
    /// no second try.
    last: Result<Typed, String>,
    counter: Arc<ReloadCounter>,
}

impl<C: Fn() -> anyhow::Result<Config>> Reloader<C> {
    /// Listens for SIGHUP from here on, and follows `file`, as the configuration that the process starts with says.
    ///
    /// # Errors
    /// When there is no listening for signals.
    pub(super) fn new(configure: C, file: Option<&Path>, config: &Config) -> anyhow::Result<Self> {
        let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let mut follower = ConfigFollower::new(file);
        follower.set(config.follow);
        let counter = ReloadCounter::default();
        counter.succeed_now();
        let typed = (*config.typed).clone();
        let last = Ok(typed.clone());
        Ok(Self { configure, hangup, follower, started_with: typed, last, counter: Arc::new(counter) })
    }

    /// What is counted.
    pub(super) fn counter(&self) -> &Arc<ReloadCounter> {
        &self.counter
    }

    /// Waits until there is something to read. May be cancelled.
    pub(super) async fn wanted(&mut self) -> Cause {
        tokio::select! {
            _ = self.hangup.recv() => Cause::Hangup,
            () = self.follower.changed() => Cause::File,
        }
    }

    /// Reads. None when there is nothing to take over; why is said.
    pub(super) fn read(&mut self, cause: Cause, served: &Served) -> Option<Config> {
        let read = (self.configure)();
        let now = match &read {
            Ok(config) => Ok((*config.typed).clone()),
            Err(error) => Err(format!("{error:#}")),
        };
        let is_new = self.last != now;
        self.last = now;
        if cause == Cause::Hangup {
            info!("SIGHUP: reading the configuration again");
        } else if !is_new {
            return None;
        } else {
            info!("the configuration file changed: reading it");
        }
        match read {
            Ok(config) => Some(served.reloadable(config)),
            Err(error) => {
                self.refuse(&error);
                None
            }
        }
    }

    /// Says why a configuration is not taken over.
    pub(super) fn refuse(&mut self, error: &anyhow::Error) {
        self.counter.failed.fetch_add(1, Ordering::Relaxed);
        error!("the configuration is not taken over, the one before stays: {error:#}");
    }

    /// Says what there was, at the end; nothing where there was nothing.
    pub(super) fn end(&self) {
        let ReloadCounts { succeeded, failed, last_success } = self.counter().counts();
        if succeeded + failed > 0 {
            info!(succeeded, failed, last_success, "reloads of the configuration");
        }
    }

    /// Whether what was read is what the zone goes by now. What went wrong on the way was said.
    pub(super) fn is_served(&mut self, wanted: &Config, before: &Typed, served: &Served) -> bool {
        let is_served = served.config.typed == wanted.typed;
        if !is_served {
            self.counter.failed.fetch_add(1, Ordering::Relaxed);
            error!("the configuration is not taken over, the one before stays");
            // So that the same file is no repetition: SIGHUP, or touching it, tries it again.
            self.last = Ok(before.clone());
        }
        is_served
    }

    /// Says what differs from `before`, once everything goes by it.
    pub(super) fn finish(&mut self, wanted: &Config, before: &Typed) {
        let changed = changes(before, &wanted.typed);
        for change in &changed {
            info!(key = change.key, from = change.from, to = change.to, "the configuration changed");
        }
        for change in changes(&self.started_with, &wanted.typed).iter().filter(|change| change.waits()) {
            warn!(
                key = change.key,
                from = change.from,
                to = change.to,
                "this key needs a restart: it is taken over at the next start"
            );
        }
        self.follower.set(wanted.follow);
        self.counter.succeeded.fetch_add(1, Ordering::Relaxed);
        self.counter.succeed_now();
        info!(changed = changed.len(), "the configuration is taken over");
    }
}
