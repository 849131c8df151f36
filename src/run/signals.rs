//! The signals that end a program.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A process that a signal ends has this and the signal's number as its code, as shells have it.
const SIGNALLED: u8 = 128;

/// The exit code of a process that a signal ended before it had done what it was for: 143, 130.
#[must_use]
pub fn signalled(kind: SignalKind) -> ExitCode {
    let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
    ExitCode::from(SIGNALLED.saturating_add(number))
}

/// SIGTERM and SIGINT, heard from the moment that this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Hears them from now on, within a runtime.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for one of them, the next each time.
    pub async fn received(&mut self) {
        self.kind().await;
    }

    /// The same, and which it is.
    pub async fn kind(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }
}
