//! SARIF 2.1.0 (OASIS), which code scanning and editors take.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::entry::{Entry, INPUT};
use crate::lints::{LINTS, Severity};
use crate::run::linting::Checked;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn write(out: &mut impl Write, checked: &Checked, entries: &[Entry<'_>]) -> io::Result<()> {
    let results: Vec<Value> = entries.iter().map(result).collect();
    let skipped: Vec<Value> = checked
        .skipped
        .iter()
        .map(|skipped| {
            let text = format!(
                "{} cannot be listed ({}); not looked for: {}",
                skipped.kind,
                skipped.reason,
                skipped.lints.join(", ")
            );
            json!({"level": "warning", "message": {"text": text}})
        })
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "rollcall",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(),
            }},
            "columnKind": "utf16CodeUnits",
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": skipped}],
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

/// SARIF's words for a level are ours (section 3.27.10).
fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

/// Every rule, found or not, in the order that results name them by.
fn rules() -> Vec<Value> {
    let input = json!({
        "id": INPUT,
        "shortDescription": {"text": "an object, a file or an annotation that cannot be used as it is"},
        "defaultConfiguration": {"level": "error"},
    });
    let lints = LINTS.iter().map(|lint| {
        json!({
            "id": lint.id,
            "shortDescription": {"text": lint.summary},
            "help": {"text": lint.page, "markdown": lint.page},
            "defaultConfiguration": {"level": level(lint.severity)},
        })
    });
    std::iter::once(input).chain(lints).collect()
}

fn result(entry: &Entry<'_>) -> Value {
    let index = LINTS.iter().position(|lint| lint.id == entry.id).map_or(0, |index| index + 1);
    let mut location = json!({});
    if let Some(file) = entry.file.filter(|file| *file != Path::new("-")) {
        location["physicalLocation"] = json!({"artifactLocation": {"uri": uri(file)}});
        if let Some(line) = entry.line {
            location["physicalLocation"]["region"] = json!({"startLine": line});
        }
    }
    if !entry.object.is_empty() {
        let name = entry.object.rsplit(['/', ' ']).next().unwrap_or_default();
        location["logicalLocations"] =
            json!([{"name": name, "fullyQualifiedName": entry.object, "kind": "object"}]);
    }
    let text = match (entry.field, entry.fix) {
        ("", "") => entry.message.to_owned(),
        (field, "") => format!("{field}: {}", entry.message),
        ("", fix) => format!("{}\n\n{fix}", entry.message),
        (field, fix) => format!("{field}: {}\n\n{fix}", entry.message),
    };
    json!({
        "ruleId": entry.id,
        "ruleIndex": index,
        "level": level(entry.severity),
        "message": {"text": text},
        "locations": [location],
        // What stays the same while lines move.
        "partialFingerprints": {"object/v1": format!("{} {} {}", entry.id, entry.object, entry.field)},
    })
}

/// A path as a URI (RFC 3986): relative ones stay relative, for they are of the repository.
fn uri(file: &Path) -> String {
    let text = file.to_string_lossy();
    let text = text.strip_prefix("./").unwrap_or(&text);
    let mut uri = String::from(if text.starts_with('/') { "file://" } else { "" });
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(octet));
            }
            octet => uri.push_str(&format!("%{octet:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        for (path, expected) in [
            ("deploy/web.yaml", "deploy/web.yaml"),
            ("./web.yaml", "web.yaml"),
            ("/srv/a b.yaml", "file:///srv/a%20b.yaml"),
            ("ä#.yaml", "%C3%A4%23.yaml"),
        ] {
            assert_eq!(uri(Path::new(path)), expected);
        }
    }
}
