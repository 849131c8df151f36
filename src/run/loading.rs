//! Loads manifests, and says on standard error how far it is while that takes long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::logging::say;
use crate::source::manifests::{Loaded, Manifests, Progress, SourceError};

/// Silence up to this long is no reason to wonder.
const PATIENCE: Duration = Duration::from_secs(1);

/// Loads, telling its progress once a second.
pub(super) fn load(manifests: &mut Manifests) -> Result<Loaded, SourceError> {
    let progress = Arc::new(Progress::default());
    let (done_tx, done_rx) = std::sync::mpsc::channel::<()>();
    let teller = {
        let progress = Arc::clone(&progress);
        std::thread::Builder::new().name("progress".into()).spawn(move || {
            let start = Instant::now();
            while done_rx.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                say(&format!(
                    "loading: {} objects so far, of {} MiB, after {} s",
                    progress.objects.load(Ordering::Relaxed),
                    progress.octets.load(Ordering::Relaxed) >> 20,
                    start.elapsed().as_secs(),
                ));
            }
        })
    };
    let loaded = manifests.load(&progress);
    drop(done_tx);
    // Without a thread nobody told anything; the load is the same.
    if let Ok(teller) = teller {
        let _ = teller.join();
    }
    loaded
}
