//! The API's answers, as far as they are shown. docs/openapi.json says what each field is.

use serde::Deserialize;

/// A part of the sets.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // docs/openapi.json
pub struct Sets {
    pub total: usize,
    pub next: Option<String>,
    pub sets: Vec<Set>,
}

/// A StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Set {
    pub namespace: String,
    pub name: String,
    pub service: Option<String>,
    pub replicas: Option<u64>,
    pub ready: u64,
    pub cells: Vec<Cell>,
    pub more: u64,
}

/// A replica.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Cell {
    pub name: String,
    pub ordinal: u64,
    pub state: String,
    pub expected: bool,
    pub addresses: Vec<String>,
    pub dns: Option<String>,
    pub since: Option<String>,
    pub reason: Option<String>,
}

/// The last changes, the oldest first.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Changes {
    pub last: String,
    pub changes: Vec<Change>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Change {
    pub id: String,
    pub namespace: Option<String>,
    pub service: Option<String>,
    pub set: Option<String>,
    pub text: String,
    pub published_at: String,
    pub took_ms: Option<f64>,
}

/// Health and what it is made of.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Health {
    pub ready: bool,
    pub status: String,
    pub stale_seconds: Option<u64>,
    pub degraded: Vec<String>,
    pub source: String,
    pub watches: Vec<Watch>,
}

/// A watch of the API server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Watch {
    pub age_seconds: Option<f64>,
}

/// The zone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct Zone {
    pub zone: String,
    pub serial: u32,
}

/// What the server has told, as it comes in.
#[derive(Debug, Clone)]
pub enum News {
    /// All sets of a namespace, or of all.
    Sets {
        /// Which was asked for.
        namespace: Option<String>,
        /// As many as were asked for.
        sets: Vec<Set>,
        /// How many there are, which may be more.
        total: usize,
    },
    /// A set, new or otherwise than before.
    Set(Box<Set>),
    /// A set that is there no longer, by namespace and name.
    Gone(String, String),
    /// Health and zone.
    Health(Health, Zone),
    /// The last changes, instead of those before.
    Changes(Vec<Change>),
    /// One more.
    Change(Box<Change>),
    /// It is followed.
    Live,
    /// It is not: why, and in how many seconds it is tried again.
    Lost(String, u64),
}

impl Set {
    /// Whether all replicas that are wanted are ready. They are counted, for the cells may be the first of many; of a set
    /// that names no Service none are known, and nothing lacks.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.replicas.is_none_or(|wanted| self.ready >= wanted)
    }
}

impl Change {
    /// Whether it is of this namespace; None is all.
    #[must_use]
    pub fn is_of(&self, namespace: Option<&str>) -> bool {
        namespace.is_none() || self.namespace.as_deref() == namespace
    }
}

impl Cell {
    /// What stands for it: legible without colour.
    #[must_use]
    pub fn letter(&self) -> char {
        match self.state.as_str() {
            "ready" => 'R',
            "not ready" => 'n',
            "terminating" => 'T',
            _ => '-',
        }
    }
}
