//! Who a headless service's peers are, and each change of it, told as it happens: the sidecar's side.
//!
//! [`Peers::follow`] subscribes at the server (DNS Push Notifications, RFC 8765), or where that is not to be had asks for
//! the zone's serial over a connection that stays, or by single questions. However it is learned, it is the same
//! [`List`]: whole, in order, with addresses of both families. An outage never empties it: the last list stays and is
//! marked stale. That nobody is there is told only where a server with authority says so twice.
//!
//! ```no_run
//! # async fn example() -> Result<(), rollcall::peers::OptionsError> {
//! use rollcall::peers::{Options, Peers, Surroundings};
//!
//! let options = Options::of_service("nginx").complete(&Surroundings::of_this_pod());
//! let mut peers = Peers::follow(options)?;
//! while let Some(event) = peers.next().await {
//!     for peer in &event.list.peers {
//!         println!("{} {:?}", peer.name, peer.addresses);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Who is slow is told the newest list and skips those between: [`Event::difference`] is from what was told last.
//! Imports `wire` and `model` alone: it is a client, and knows nothing of the server's insides.

mod backoff;
mod bounds;
mod datagram;
mod event;
mod follow;
#[cfg(test)]
mod follow_tests;
#[cfg(test)]
mod hostile_tests;
mod inquiry;
mod list;
mod options;
mod place;
mod push;
mod reading;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod tracker;
mod trouble;
mod view;
#[cfg(test)]
mod view_tests;
mod way;

use std::sync::Arc;

use tokio::task::JoinHandle;

pub use backoff::Backoff;
pub use event::{Event, Kind};
pub use inquiry::{Answer, Answers, Inquiry};
pub use list::{Difference, List, Peer};
pub use options::{Options, OptionsError};
pub use place::Surroundings;
pub use trouble::Trouble;
pub use way::{Server, ServerError, Transport, Way};

/// The peers of a service, followed until this is dropped.
#[derive(Debug)]
pub struct Peers {
    newest_rx: tracker::Newest,
    troubled_rx: tracker::Troubled,
    told: Option<Arc<List>>,
    task: JoinHandle<()>,
}

impl Peers {
    /// Follows a service from now on, on the runtime that this is called in.
    ///
    /// # Errors
    /// When a name or a server is missing or wrong. A server that is away is no error: it is asked again and again.
    pub fn follow(options: Options) -> Result<Self, OptionsError> {
        let (follower, newest_rx) = follow::Follower::new(options)?;
        let troubled_rx = follower.troubled();
        Ok(Self { newest_rx, troubled_rx, told: None, task: tokio::spawn(follower.run()) })
    }

    /// The next event. Waits for as long as nothing changes; dropped while it waits, it loses nothing. None is the end,
    /// which comes with the runtime's only.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            self.newest_rx.changed().await.ok()?;
            let newest = self.newest_rx.borrow_and_update().clone();
            if let Some(event) = newest.and_then(|list| Event::between(self.told.as_deref(), list)) {
                self.told = Some(Arc::clone(&event.list));
                return Some(event);
            }
        }
    }

    /// The newest list, where there is one.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<List>> {
        self.newest_rx.borrow().clone()
    }

    /// Why nothing is known just now, where that is so. Of a list it is [`List::stale`]; before the first there is only this.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<Trouble>> {
        self.troubled_rx.borrow().clone()
    }

    /// The same, followed by who cannot hold the peers themselves.
    pub(crate) fn troubled(&self) -> tokio::sync::watch::Receiver<Option<Arc<Trouble>>> {
        self.troubled_rx.clone()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.task.abort();
    }
}
