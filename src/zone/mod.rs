//! The zone as it is served: one immutable, encoded value a service, found by one lookup without a lock.
//!
//! One [`Publisher`] writes, any number of [`Reader`]s read; neither knows the cluster or a socket. A service's
//! records are replaced in one insert, never removed and inserted again: a reader sees the old ones or the new
//! ones. Imports `records` and `wire`.

mod answer;
mod encoded;
mod entry;
mod lookup;
mod master;
mod order;
mod parallel;
mod ports;
mod publisher;
mod reverse;
mod serial;
mod settings;
mod store;

pub use answer::{Lookup, Outcome, Scratch, answer, look_up};
pub use lookup::ZoneKind;
pub use master::{MasterFile, Part};

pub use publisher::{Change, Publisher, zone};
pub use settings::{Freshness, Nameserver, Order, PodNames, PtrNames, Settings, Ttl};
pub use store::{Reader, View, ZoneSize};

// Of `Settings` and `Nameserver`.
pub use crate::wire::Name;
