//! What is printed of a problem and of a finding alike.

use std::path::Path;

use crate::lints::Severity;
use crate::run::linting::{Checked, severity_of};

/// The id of what is wrong with the input itself.
pub(super) const INPUT: &str = "input";

/// A line of what is said.
pub(super) struct Entry<'c> {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    pub(super) file: Option<&'c Path>,
    pub(super) document: Option<usize>,
    pub(super) item: Option<usize>,
    pub(super) line: Option<u64>,
    /// `StatefulSet default/web`; empty where it is not known.
    pub(super) object: String,
    pub(super) field: &'c str,
    pub(super) message: &'c str,
    /// Empty for a problem, which says itself what is asked for.
    pub(super) fix: &'c str,
}

/// Problems first: what is wrong with an object comes before what is wrong with several.
pub(super) fn of(checked: &Checked) -> Vec<Entry<'_>> {
    let problems = checked.problems.iter().map(|problem| Entry {
        id: INPUT,
        severity: severity_of(problem),
        file: problem.file.as_deref(),
        document: problem.document,
        item: problem.item,
        line: problem.line,
        object: problem.object.clone().unwrap_or_default(),
        field: problem.field.as_deref().unwrap_or_default(),
        message: &problem.message,
        fix: "",
    });
    let findings = checked.findings.iter().map(|finding| Entry {
        id: finding.lint.id,
        severity: finding.lint.severity,
        file: finding.origin.file.as_deref(),
        document: finding.origin.document,
        item: finding.origin.item,
        line: finding.line,
        object: finding.object.to_string(),
        field: &finding.field,
        message: &finding.message,
        fix: &finding.fix,
    });
    problems.chain(findings).collect()
}
