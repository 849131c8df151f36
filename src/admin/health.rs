//! What `/livez` and `/readyz` say.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
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
    degraded: ArcSwap<Vec<String>>,
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

    /// Says why what is served may be stale; nothing is no longer so.
    pub fn set_degraded(&self, reasons: Vec<String>) {
        self.shared.degraded.store(Arc::new(reasons));
    }

    /// Why what is served may be stale, in one line.
    #[must_use]
    pub fn reasons(&self) -> String {
        self.shared.degraded.load().join("; ")
    }

    /// `/readyz`: a code, and a line for each thing there is to say.
    pub(super) fn ready(&self) -> (StatusCode, String) {
        let reasons = self.shared.degraded.load();
        let (code, word) = if self.shared.draining.load(Ordering::Acquire) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else if !self.reader.is_synchronised() {
            (StatusCode::SERVICE_UNAVAILABLE, "not synchronised")
        } else if reasons.is_empty() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::OK, "degraded: answering from what was known last")
        };
        let mut body = format!("{word}\n");
        for reason in reasons.iter() {
            let _ = writeln!(body, "{reason}");
        }
        (code, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Name, Order, PodNames, PtrNames, Settings, Ttl, zone};

    #[test]
    fn ready_once_synchronised_until_draining() {
        let (mut publisher, reader) = zone(Settings {
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
        });
        let health = Health::new(reader);
        health.set_degraded(vec!["Services: connection refused".to_owned()]);
        assert_eq!(
            health.ready(),
            (StatusCode::SERVICE_UNAVAILABLE, "not synchronised\nServices: connection refused\n".to_owned())
        );
        publisher.synchronised();
        let (code, body) = health.ready();
        assert!(code == StatusCode::OK && body.starts_with("degraded"), "{body}");
        health.set_degraded(Vec::new());
        assert_eq!(health.ready(), (StatusCode::OK, "ok\n".to_owned()));
        health.drain();
        assert_eq!(health.ready().0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
