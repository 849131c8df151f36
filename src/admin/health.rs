//! What `/livez` and `/readyz` say.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::http::StatusCode;

use crate::zone::Reader;

/// The health of the process; its clones are one.
#[derive(Clone)]
pub struct Health {
    reader: Reader,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    draining: AtomicBool,
    told: ArcSwap<Told>,
    /// For how long what is served had been stale at a moment.
    stale: ArcSwapOption<(Instant, Duration)>,
}

/// The health at a moment.
#[derive(Debug, Clone)]
pub(super) struct HealthTold {
    pub(super) ready: bool,
    pub(super) word: &'static str,
    pub(super) stale: Option<Duration>,
    pub(super) degraded: Vec<String>,
    pub(super) notes: Vec<String>,
}

#[derive(Default)]
struct Told {
    degraded: Vec<String>,
    notes: Vec<String>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("word", &self.word().1).finish_non_exhaustive()
    }
}

impl Health {
    /// Of a server that answers from this zone.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self { reader, shared: Arc::default() }
    }

    /// Says that the process is being stopped: it is not ready from now on.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
    }

    /// Says why what is served may be stale (nothing is no longer so), and what else an operator may want to know.
    pub fn tell(&self, degraded: Vec<String>, notes: Vec<String>) {
        self.shared.told.store(Arc::new(Told { degraded, notes }));
    }

    /// Says for how long nothing of what is served has been known to be fresh; None is that it is.
    pub fn tell_stale(&self, age: Option<Duration>) {
        self.shared.stale.store(age.map(|age| Arc::new((Instant::now(), age))));
    }

    /// For how long what is served has been stale; None is not at all.
    #[must_use]
    pub fn stale(&self) -> Option<Duration> {
        let stale = self.shared.stale.load();
        stale.as_ref().map(|stale| stale.1.saturating_add(stale.0.elapsed()))
    }

    /// Whether what is served may be stale.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        !self.shared.told.load().degraded.is_empty()
    }

    /// All of it in one line.
    #[must_use]
    pub fn reasons(&self) -> String {
        let told = self.shared.told.load();
        [&*told.degraded, &*told.notes].concat().join("; ")
    }

    /// All of it, to be shown.
    pub(super) fn told(&self) -> HealthTold {
        let (code, word) = self.word();
        let Told { degraded, notes } = &**self.shared.told.load();
        let (degraded, notes) = (degraded.clone(), notes.clone());
        HealthTold { ready: code == StatusCode::OK, word, stale: self.stale(), degraded, notes }
    }

    /// `/readyz`: a code, and a line for each thing there is to say.
    pub(super) fn ready(&self) -> (StatusCode, String) {
        let told = self.shared.told.load();
        let (code, word) = self.word();
        let mut body = format!("{word}\n");
        if let Some(age) = self.stale() {
            let _ = writeln!(body, "known to be right {} s ago", age.as_secs());
        }
        for line in told.degraded.iter().chain(&told.notes) {
            let _ = writeln!(body, "{line}");
        }
        (code, body)
    }

    fn word(&self) -> (StatusCode, &'static str) {
        let told = self.shared.told.load();
        if self.shared.draining.load(Ordering::Acquire) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if !self.reader.is_synchronised() {
            (StatusCode::SERVICE_UNAVAILABLE, "not synchronised")
        } else if self.reader.is_expired() {
            (StatusCode::SERVICE_UNAVAILABLE, "expired: what was known last is older than stale.max_age")
        } else if told.degraded.is_empty() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::OK, "degraded: answering from what was known last")
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::zone::{Explain, Freshness, Name, Order, PodNames, PtrNames, Publisher, Settings, Ttl, zone};

    pub(in crate::admin) fn mk_zone() -> (Publisher, Reader) {
        zone(Settings {
            zone: Name::from_text("cluster.local").unwrap(),
            ttl: Ttl { positive: 5, negative: 5, expected: 0 },
            order: Order::Rotate,
            pods: PodNames::Disabled,
            ptr: PtrNames::All,
            reverse: Vec::new(),
            nameservers: Vec::new(),
            identity: None,
            namespaces: None,
            upstream: false,
            explain: Explain::default(),
            discovery: None,
            holding: crate::zone::Holding::default(),
        })
    }

    #[test]
    fn ready_once_synchronised_until_draining() {
        let (mut publisher, reader) = mk_zone();
        let health = Health::new(reader);
        health.tell(vec!["Services: connection refused".to_owned()], Vec::new());
        assert_eq!(
            health.ready(),
            (StatusCode::SERVICE_UNAVAILABLE, "not synchronised\nServices: connection refused\n".to_owned())
        );
        publisher.synchronised();
        let (code, body) = health.ready();
        assert!(code == StatusCode::OK && body.starts_with("degraded"), "{body}");
        health.tell(Vec::new(), vec!["StatefulSets: 403".to_owned()]);
        assert_eq!(health.ready(), (StatusCode::OK, "ok\nStatefulSets: 403\n".to_owned()));
        health.tell_stale(Some(Duration::from_secs(90)));
        assert_eq!(
            health.ready(),
            (StatusCode::OK, "ok\nknown to be right 90 s ago\nStatefulSets: 403\n".to_owned())
        );
        publisher.set_freshness(Freshness::Expired);
        let (code, body) = health.ready();
        assert!(code == StatusCode::SERVICE_UNAVAILABLE && body.starts_with("expired"), "{body}");
        publisher.set_freshness(Freshness::Fresh);
        health.tell_stale(None);
        assert_eq!(health.ready().0, StatusCode::OK);
        health.drain();
        assert_eq!(health.ready().0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
