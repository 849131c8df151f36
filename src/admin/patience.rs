//! How long a connection may last: a probe's a moment, a page's longer, a stream's as long as its client reads.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::events::BEAT;

/// A connection is for one request, and over after this: those that wait, a probe among them, get their turn.
const PROBE: Duration = Duration::from_secs(5);
/// The same of the page and the API, whose answers are some ten megabytes at most and may pass through a slow forward.
const PAGE: Duration = Duration::from_secs(30);
/// A stream whose client has not taken what was written for it for so long is over.
const DEAF: Duration = Duration::from_secs(3 * BEAT.as_secs());

const OF_PROBE: u8 = 0;
const OF_PAGE: u8 = 1;
const OF_STREAM: u8 = 2;

/// A connection's, shared by the task that ends it and by what answers on it.
pub(crate) struct Patience {
    began: Instant,
    kind: AtomicU8,
    /// When a stream was asked for more last, in milliseconds since the beginning.
    heard: AtomicU64,
    /// The place among the connections, which a stream gives back: it has one of its own.
    place: Mutex<Option<Box<dyn Send>>>,
}

impl Patience {
    /// Of a connection that has a place.
    pub(crate) fn new(place: impl Send + 'static) -> Self {
        let place: Box<dyn Send> = Box::new(place);
        Self {
            began: Instant::now(),
            kind: AtomicU8::new(OF_PROBE),
            heard: AtomicU64::new(0),
            place: Mutex::new(Some(place)),
        }
    }

    /// It is asked for a page.
    pub(crate) fn pages(&self) {
        self.kind.fetch_max(OF_PAGE, Ordering::Relaxed);
    }

    /// It has become a stream.
    pub(crate) fn streams(&self) {
        self.kind.store(OF_STREAM, Ordering::Relaxed);
        self.hears();
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The client took what was written so far, or there is room for more.
    pub(crate) fn hears(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    fn ends(&self) -> Instant {
        match self.kind.load(Ordering::Relaxed) {
            OF_PROBE => self.began + PROBE,
            OF_PAGE => self.began + PAGE,
            _ => self.began + Duration::from_millis(self.heard.load(Ordering::Relaxed)) + DEAF,
        }
    }

    /// Gives what the connection ended with, or None where its time is over.
    pub(crate) async fn outlast<T>(&self, connection: impl Future<Output = T>) -> Option<T> {
        let mut connection = std::pin::pin!(connection);
        loop {
            let ends = self.ends();
            tokio::select! {
                ended = &mut connection => return Some(ended),
                () = tokio::time::sleep_until(ends) => {
                    if self.ends() <= ends {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn lasts(patience: &Patience) -> Duration {
        let start = Instant::now();
        assert!(patience.outlast(std::future::pending::<()>()).await.is_none());
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_has_its_time() {
        let secs = |time: Duration| time.as_secs();
        assert_eq!(secs(lasts(&Patience::new(())).await), 5);
        let page = Patience::new(());
        page.pages();
        assert_eq!(secs(lasts(&page).await), 30);
        assert_eq!(Patience::new(()).outlast(async { 7 }).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_lasts_as_long_as_it_is_read_and_gives_its_place_back() {
        let place = Arc::new(());
        let patience = Arc::new(Patience::new(Arc::clone(&place)));
        patience.streams();
        assert_eq!(Arc::strong_count(&place), 1);
        let reading = Arc::clone(&patience);
        tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(BEAT).await;
                reading.hears();
            }
        });
        assert_eq!(lasts(&patience).await.as_secs(), 100 + DEAF.as_secs());
    }
}
