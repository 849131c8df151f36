//! The cluster as rollcall knows it: a synchronous index from objects to services, and what became dirty.
//!
//! ```text
//! Namespace ──────────────┐
//! Service ────────────────┤
//! EndpointSlice ─(label kubernetes.io/service-name)─▶ ServiceKey ─▶ dirty
//! StatefulSet ───(spec.serviceName)────────────────▶
//! Pod (only for pods = "verified") ─▶ namespace and address
//! PodState, of sets that are not whole ─▶ the set's ServiceKey ─▶ dirty
//! ```
//!
//! `apply`, `delete` and `reset` return at once and are tested without a source. Imports `model` only; it knows
//! nothing of records, of DNS, or of who watches what.

mod export;
mod index;
mod packed;
mod pods;
mod relist;
mod roster;
mod services;
mod sheet;

pub use export::{Import, Part, PartError};
pub use index::{Dirty, Index, Kind, ObjectName, ServiceObjects};
pub use pods::PodCounts;
pub use relist::Relist;
pub use roster::{Cell, CellState, Difference, Most, Roster, Turn, difference, rosters};
pub use sheet::{Listed, ServiceChange, SetEntry, Sheet, Wanted};
