//! An API server that plays a made-up cluster from memory: lists, streamed lists and watches, as JSON and as protobuf, of
//! objects of which one slice after the other changes.
//!
//! A real API server on a small machine is busy with itself long before its watchers are. This one has every event
//! encoded beforehand: a change is a few digits put into it, and a write to each watcher. Who asks for protobuf, as
//! CoreDNS does, gets it, so that no one has to read what it would not read from a real one. There is no TLS.
//!
//! ```text
//! http: requests ──▶ store: the objects, encoded ──▶ watchers: who is told
//! changes: at a rate ──▶ store ──▶ watchers
//! ```

mod changes;
mod http;
mod proto;
mod store;
mod watchers;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::cluster::Cluster;
pub use changes::Changes;
use store::Store;
use watchers::Watchers;

/// How often what could not be written at once is tried again, and watches whose time is over are ended.
const TICK: Duration = Duration::from_millis(1);

/// The name of the endpoint that [`Replay::change_probe`] changes.
pub const PROBE_NAME: &str = "probe-0.probe.bench-change.svc.cluster.local";

/// The address that a change gives an endpoint: another one for each of a million, of as many digits each.
#[must_use]
pub fn address(change: u32) -> Ipv4Addr {
    let part = |above: u32| u8::try_from(100 + change / above % 100).unwrap_or(100);
    Ipv4Addr::new(100, part(10_000), part(100), part(1))
}

/// The server, on loopback, until the process ends.
#[derive(Debug, Clone)]
pub struct Replay {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

#[derive(Debug)]
struct State {
    store: Store,
    watchers: Watchers,
}

impl Replay {
    /// Makes the cluster, and a service of its own for the probe, and listens.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start(listen: SocketAddr, cluster: &Cluster) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen at {listen}"))?;
        let address = listener.local_addr()?;
        let state = State { store: Store::new(cluster)?, watchers: Watchers::default() };
        let replay = Self { state: Arc::new(Mutex::new(state)), address };
        let serving = replay.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let replay = serving.clone();
                thread::spawn(move || http::serve(&replay, stream));
            }
        });
        let ticking = replay.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(TICK);
                let State { store, watchers } = &mut *ticking.state();
                watchers.tick(Instant::now(), store);
            }
        });
        Ok(replay)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many watches there are of slices.
    #[must_use]
    pub fn slice_watches(&self) -> usize {
        self.state().watchers.count(crate::cluster::Kind::EndpointSlice)
    }

    /// Gives the probe's endpoint this change's address; when that was written, and when the writing was over.
    #[must_use]
    pub fn change_probe(&self, change: u32) -> (Instant, Instant) {
        self.change(Store::PROBE, change)
    }

    /// Gives the first endpoint of a slice this change's address. Slices are counted round.
    fn change(&self, slice: usize, change: u32) -> (Instant, Instant) {
        let State { store, watchers } = &mut *self.state();
        store.change(slice, address(change));
        let begin = Instant::now();
        watchers.tell(store.slice(slice));
        (begin, Instant::now())
    }

    fn others(&self) -> usize {
        self.state().store.slices() - 1
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_as_many_digits_each() {
        assert_eq!(address(0), Ipv4Addr::new(100, 100, 100, 100));
        assert_eq!(address(999_999), Ipv4Addr::new(100, 199, 199, 199));
        assert_eq!(address(10_203), Ipv4Addr::new(100, 101, 102, 103));
    }
}
