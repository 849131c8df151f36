//! What goes wrong between the server and the API server, and what is answered meanwhile: the last known
//! answers until it is over, and the right ones within seconds of that, never anything in between.
//!
//! The API server that fails is a second one over the same etcd (`api.rs`), so that there are changes while
//! it is away; networks fail in a proxy (`proxy.rs`). A client asks all the while (`asker.rs`). Where
//! changes do not stop, `oracle/` holds every answer against the record of what was true.

mod api;
mod asker;
mod away;
mod beside;
mod certificates;
mod client;
mod clock;
mod cut;
mod disk;
mod gateway;
mod gone;
mod http;
mod kill;
mod oracle;
mod paged;
mod peers;
mod proxy;
mod rollout;
mod scene;

use std::time::Duration;

use crate::support::{ControlPlane, Options};

/// How soon after a fault is over every answer is right.
const RIGHT: Duration = Duration::from_secs(5);

/// Whether there is time for the long forms: `tests/long.sh` sets `ROLLCALL_LONG`.
fn is_long() -> bool {
    std::env::var_os("ROLLCALL_LONG").is_some()
}

/// A control plane without controllers: there are only the objects that a test writes.
fn bare(name: &str, api_flags: &[&str]) -> ControlPlane {
    let api_flags = api_flags.iter().map(|flag| (*flag).to_owned()).collect();
    ControlPlane::start(name, Options { api_flags, controllers: false, nodes: 0 })
}
