//! The zone as it is served: one immutable, encoded value a service, found by one lookup without a lock.
//!
//! One [`Publisher`] writes, any number of [`Reader`]s read; neither knows the cluster or a socket. A service's
//! records are replaced in one insert, never removed and inserted again: a reader sees the old ones or the new
//! ones. Imports `reasons`, `records` and `wire`.

mod answer;
mod encoded;
mod entry;
mod kept;
mod lookup;
mod master;
mod notices;
mod order;
mod parallel;
mod ports;
mod publisher;
mod reverse;
#[cfg(test)]
mod sample;
mod serial;
mod settings;
mod similar;
mod standing;
mod store;
mod why;

pub use answer::{Lookup, Outcome, Scratch, answer, look_up};
pub use kept::KeptError;
pub use lookup::ZoneKind;
pub(crate) use lookup::undashed;
pub use master::{MasterFile, Part};

pub use notices::{Changed, Dependence, Follower};
pub use publisher::{Change, Publisher, zone};
#[cfg(test)]
pub(crate) use sample::{mk_settings, nginx};
pub use settings::{
    Answers, Discovery, Explain, Freshness, Holding, Nameserver, Order, PodNames, PtrNames, Settings, Ttl,
};
pub use standing::{Standing, StandingRecord, refusal, standing, standing_of_known};
pub use store::{Reader, View, ZoneSize};
pub use why::{Explained, explain, explain_reply, finish, told};

// Of `Settings` and `Nameserver`.
pub use crate::wire::Name;
