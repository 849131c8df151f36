//! For programs: one object. docs/lints/README.md documents it; fields are added, never changed.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::entry::Entry;
use crate::lints::Severity;
use crate::run::linting::Checked;

#[derive(Serialize)]
struct Finding<'e> {
    id: &'e str,
    severity: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Value>,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'e str,
    message: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    fix: &'e str,
}

pub(super) fn write(out: &mut impl Write, checked: &Checked, entries: &[Entry<'_>]) -> io::Result<()> {
    let findings: Vec<Finding<'_>> = entries.iter().map(finding).collect();
    let skipped: Vec<Value> = checked
        .skipped
        .iter()
        .map(|skipped| json!({"kind": skipped.kind, "reason": skipped.reason, "lints": skipped.lints}))
        .collect();
    let document = json!({
        "version": 1,
        "findings": findings,
        "skipped": skipped,
        "objects": checked.counts,
        "errors": checked.count(Severity::Error),
        "warnings": checked.count(Severity::Warning),
        "notes": checked.count(Severity::Note),
        "silenced": checked.silenced,
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn finding<'e>(entry: &'e Entry<'_>) -> Finding<'e> {
    Finding {
        id: entry.id,
        severity: entry.severity.as_str(),
        file: entry.file.map(|file| file.display().to_string()),
        document: entry.document,
        item: entry.item,
        line: entry.line,
        object: object(&entry.object),
        field: entry.field,
        message: entry.message,
        fix: entry.fix,
    }
}

/// The parts of `StatefulSet default/web`.
fn object(text: &str) -> Option<Value> {
    let (kind, rest) = text.split_once(' ')?;
    Some(match rest.split_once('/').filter(|_| kind != "Corefile") {
        Some((namespace, name)) => json!({"kind": kind, "namespace": namespace, "name": name}),
        None => json!({"kind": kind, "name": rest}),
    })
}
