//! What is wrong with headless services before anybody asks for a name: the linter of `rollcall check`.
//!
//! ```text
//! raw: an object as the API writes it ──▶ input: what lints look at (objects), each with its origin
//! one file a group of lints: input ──▶ findings       text: the names that commands and variables speak of
//! corefile: what CoreDNS is told to remember
//! ```
//!
//! Pure: it reads no file and asks no server, so that manifests and a live cluster are judged alike. It decides nothing by
//! guessing: where the input cannot show that something is wrong, it is silent. Its objects are its own, richer than the
//! server's slim ones, for those have no templates and no probes. Imports nothing but what it is made of.

mod corefile;
mod families;
mod finding;
mod governing;
mod hostnames;
mod input;
mod names;
mod objects;
mod peers;
mod ports;
mod raw;
mod selectors;
mod sets;
mod slices;
mod text;

pub use corefile::{Corefile, CorefileError};
pub use finding::{Finding, Findings, Found, ObjectName, Origin, Severity, Silenced};
pub use input::{Cluster, Kind};

/// One thing that can be wrong.
#[derive(Debug)]
pub struct Lint {
    /// Stable: people silence it by this name. The page is `docs/lints/<id>.md`.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence: what is wrong where it is found.
    pub summary: &'static str,
    /// What has to be known whole for its absence to be told.
    pub needs: &'static [Kind],
    /// The page, as it stands in docs/lints.
    pub page: &'static str,
    check: fn(&Cluster, &mut Findings<'_>),
}

/// A lint with its page.
macro_rules! lint {
    ($id:literal, $severity:ident, $summary:literal, $needs:expr, $check:expr) => {
        $crate::lints::Lint {
            id: $id,
            severity: $crate::lints::Severity::$severity,
            summary: $summary,
            needs: $needs,
            page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lints/", $id, ".md")),
            check: $check,
        }
    };
}
use lint;

/// Every lint, as docs/lints/README.md lists them.
pub static LINTS: &[Lint] = &[
    governing::MISSING,
    governing::UNNAMED,
    governing::NOT_HEADLESS,
    governing::SELECTS_OTHERS,
    governing::MIXED,
    selectors::NOTHING,
    hostnames::SUBDOMAIN_UNMATCHED,
    hostnames::SUBDOMAIN_ALONE,
    hostnames::SHARED,
    hostnames::CLASH,
    hostnames::TEMPLATE_IGNORED,
    peers::READINESS,
    peers::NOT_READY,
    peers::OUT_OF_RANGE,
    peers::ANNOTATION,
    ports::SRV_MISSING,
    ports::WITHOUT_NAMES,
    ports::UNNAMED,
    ports::REMAPPED,
    ports::TARGET_MISSING,
    names::SET_TOO_LONG,
    names::SET_NOT_A_LABEL,
    names::TOO_LONG,
    sets::REPLICAS_ZERO,
    families::INCONSISTENT,
    families::WITHOUT_ENDPOINTS,
    slices::PORT_NAME,
    slices::DUPLICATE,
    corefile::DENIAL,
    corefile::TTL,
    corefile::SERVE_STALE,
    corefile::SERVFAIL,
];

/// The lint of this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Lint> {
    LINTS.iter().find(|lint| lint.id == id)
}

impl Lint {
    /// What it would have to know and does not; then it is skipped.
    pub fn lacks<'l>(&'l self, cluster: &'l Cluster) -> impl Iterator<Item = Kind> + 'l {
        self.needs.iter().copied().filter(|kind| !cluster.knows(*kind))
    }
}

/// Looks for everything but what is allowed, in the order of the input.
#[must_use]
pub fn run(cluster: &Cluster, allowed: &[String]) -> Found {
    let mut found = Found::default();
    for lint in LINTS.iter().filter(|lint| !allowed.iter().any(|id| id == lint.id)) {
        if lint.lacks(cluster).next().is_none() {
            (lint.check)(cluster, &mut Findings::new(lint, &mut found));
        }
    }
    found.findings.sort_by(|a, b| (&a.origin, a.line, &a.object).cmp(&(&b.origin, b.line, &b.object)));
    found
}

#[cfg(test)]
mod support;
