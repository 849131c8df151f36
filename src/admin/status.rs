//! What others tell of the process when somebody looks, as the API answers it. docs/openapi.json says what each field is.

use std::net::IpAddr;

use serde::Serialize;

/// Of watches, snapshots and objects.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)] // docs/openapi.json
pub struct Status {
    /// `kubernetes` or `manifests`.
    pub source: &'static str,
    pub objects: Objects,
    /// None from manifests.
    pub watches: Vec<Watch>,
    pub snapshot: Snapshot,
}

/// Objects that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Objects {
    pub namespaces: u64,
    pub services: u64,
    pub endpoint_slices: u64,
    pub stateful_sets: u64,
    pub pods: u64,
}

/// A watch of the API server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Watch {
    pub kind: String,
    /// None is of all namespaces.
    pub namespace: Option<String>,
    /// Since the last event or bookmark.
    pub age_seconds: Option<f64>,
    pub lists: u64,
    pub restarts: u64,
    pub failures: u64,
    pub relists: u64,
    pub differences: u64,
}

/// The snapshot on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Snapshot {
    /// This process began by serving it.
    pub loaded: bool,
    /// Seconds since 1970; None is never by this process.
    pub written_at: Option<u64>,
    pub writes: u64,
    pub failures: u64,
    pub octets: u64,
}

/// Health and what it is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct HealthAnswer {
    pub(super) ready: bool,
    pub(super) status: String,
    pub(super) stale_seconds: Option<u64>,
    pub(super) degraded: Vec<String>,
    pub(super) notes: Vec<String>,
    #[serde(flatten)]
    pub(super) status_of: StatusRest,
}

/// Of a [`Status`], what is not the zone's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct StatusRest {
    pub(super) source: &'static str,
    pub(super) watches: Vec<Watch>,
    pub(super) snapshot: Snapshot,
}

/// The zone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ZoneAnswer {
    pub(super) zone: String,
    pub(super) serial: u32,
    pub(super) synchronised: bool,
    pub(super) expired: bool,
    pub(super) services: usize,
    pub(super) names: usize,
    pub(super) objects: Objects,
}

/// A replica.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct CellAnswer {
    pub(super) name: String,
    pub(super) ordinal: u64,
    pub(super) state: &'static str,
    pub(super) expected: bool,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) slices: Vec<String>,
    /// The name to ask for; None where there is none.
    pub(super) dns: Option<String>,
    /// When this process saw it turn, where it remembers.
    pub(super) since: Option<String>,
    pub(super) reason: Option<String>,
}

/// A StatefulSet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SetAnswer {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) service: Option<String>,
    pub(super) service_kind: Option<&'static str>,
    pub(super) start: u32,
    pub(super) replicas: Option<u32>,
    pub(super) ready: usize,
    pub(super) cells: Vec<CellAnswer>,
    /// Replicas that are wanted and not among `cells`.
    pub(super) more: u64,
}

/// A part of the sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SetsAnswer {
    pub(super) serial: u32,
    pub(super) total: usize,
    pub(super) next: Option<String>,
    pub(super) sets: Vec<SetAnswer>,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PortAnswer {
    pub(super) name: Option<String>,
    pub(super) protocol: &'static str,
    pub(super) number: u16,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ServiceAnswer {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) dns: Option<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) external_name: Option<String>,
    pub(super) ports: Vec<PortAnswer>,
    pub(super) ready: usize,
    pub(super) not_ready: usize,
    pub(super) terminating: usize,
    pub(super) slices: usize,
    pub(super) sets: Vec<String>,
}

/// A part of the Services.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ServicesAnswer {
    pub(super) serial: u32,
    pub(super) total: usize,
    pub(super) next: Option<String>,
    pub(super) services: Vec<ServiceAnswer>,
}

/// A part of the changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ChangesAnswer {
    /// What to give as `after` next.
    pub(super) last: String,
    /// Changes behind the one that was named are forgotten.
    pub(super) gap: bool,
    pub(super) changes: Vec<super::ring::ChangeAnswer>,
}

/// Why there is nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ErrorAnswer {
    pub(super) error: String,
}
