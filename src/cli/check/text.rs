//! For people: a line a finding, what to do about it below, and the counts.

use std::io::{self, Write};

use super::entry::{Entry, INPUT};
use crate::cli::colour::{Colour, plain};
use crate::lints::Severity;
use crate::run::linting::Checked;

pub(super) fn write(
    out: &mut impl Write,
    checked: &Checked,
    entries: &[Entry<'_>],
    colour: Colour,
) -> io::Result<()> {
    for entry in entries {
        let code = match entry.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Note => "1;36",
        };
        write!(out, "{}: {}", colour.paint(entry.severity.as_str(), code), plain(&place(entry)))?;
        let message = plain(entry.message);
        if entry.id == INPUT {
            writeln!(out, "{message}")?;
        } else {
            writeln!(out, "{message} {}", colour.paint(&format!("[{}]", entry.id), "2"))?;
        }
        for line in entry.fix.lines() {
            writeln!(out, "    {}", plain(line))?;
        }
    }
    for skipped in &checked.skipped {
        let lints = match skipped.lints.as_slice() {
            [] => "no lint needs them".to_owned(),
            lints => format!("not looked for: {}", lints.join(", ")),
        };
        writeln!(out, "skipped: {} cannot be listed ({}); {lints}", skipped.kind, plain(&skipped.reason))?;
    }
    let counts: Vec<String> = ["Services", "EndpointSlices", "StatefulSets", "Pods", "Namespaces"]
        .into_iter()
        .map(|name| format!("{} {name}", checked.counts.get(name).copied().unwrap_or_default()))
        .collect();
    let silenced = match checked.silenced {
        0 => String::new(),
        silenced => format!(", {silenced} silenced"),
    };
    writeln!(
        out,
        "{}: {} errors, {} warnings, {} notes{silenced}",
        counts.join(", "),
        checked.count(Severity::Error),
        checked.count(Severity::Warning),
        checked.count(Severity::Note),
    )
}

/// `web.yaml:12: document 1: StatefulSet default/web: spec.serviceName: `.
fn place(entry: &Entry<'_>) -> String {
    let mut place = String::new();
    let is_corefile = entry.document.is_none() && entry.object.starts_with("Corefile ");
    if let Some(file) = entry.file {
        place += &file.display().to_string();
        if let Some(line) = entry.line {
            place += &format!(":{line}");
        }
        place += ": ";
    }
    if let Some(document) = entry.document {
        place += &format!("document {document}");
        if let Some(item) = entry.item {
            place += &format!(", item {item}");
        }
        place += ": ";
    }
    for part in [entry.object.as_str(), entry.field] {
        if !part.is_empty() && !is_corefile {
            place += part;
            place += ": ";
        }
    }
    place
}
