//! docs/lints: a page a lint, a row a lint, and examples that are found, or not, as they say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rollcall::lints::LINTS;

use super::{checked_text, found};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lints")
}

#[test]
fn ids_are_of_one_kind_and_no_two_alike() {
    for (index, lint) in LINTS.iter().enumerate() {
        assert!(lint.id.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-'), "{}", lint.id);
        assert!(LINTS[..index].iter().all(|other| other.id != lint.id), "{} twice", lint.id);
    }
}

#[test]
fn each_lint_has_its_page_and_each_page_its_lint() {
    let mut pages = BTreeSet::new();
    for entry in folder().read_dir().unwrap() {
        pages.insert(entry.unwrap().file_name().into_string().unwrap());
    }
    let mut wanted: BTreeSet<String> = LINTS.iter().map(|lint| format!("{}.md", lint.id)).collect();
    wanted.insert("README.md".to_owned());
    assert_eq!(pages, wanted);
}

#[test]
fn each_lint_has_its_row_and_each_row_its_lint() {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| [")).collect();
    let wanted: Vec<String> = LINTS
        .iter()
        .map(|lint| format!("| [{0}]({0}.md) | {1} | {2} |", lint.id, lint.severity.as_str(), lint.summary))
        .collect();
    assert_eq!(rows, wanted, "docs/lints/README.md, in the order of src/lints/mod.rs");
}

/// The first block under a heading, and its language.
fn block<'p>(page: &'p str, heading: &str) -> (&'p str, &'p str) {
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let (language, rest) = section.split_once("```").unwrap().1.split_once('\n').unwrap();
    (language, rest.split("```").next().unwrap())
}

#[test]
fn each_page_has_its_parts_and_its_severity() {
    for lint in LINTS {
        let parts: Vec<&str> = lint.page.lines().filter(|line| line.starts_with('#')).collect();
        let wanted = [&format!("# {}", lint.id), "## Found here", "## Not here", "## Fix", "## Silence"];
        assert_eq!(parts, wanted, "{}", lint.id);
        let severity = format!("\n\n{}: ", lint.severity.as_str());
        assert!(lint.page.contains(&severity), "{}: not {severity:?}", lint.id);
        let silence = lint.page.split("\n## Silence\n").nth(1).unwrap();
        assert!(silence.contains(&format!("--allow {}`", lint.id)), "{}", lint.id);
    }
}

#[test]
fn each_example_is_found_or_not_as_its_page_says() {
    let mut wrong = Vec::new();
    for lint in LINTS {
        for (heading, expected) in [("Found here", vec![lint.id]), ("Not here", vec![])] {
            let (language, text) = block(lint.page, heading);
            let checked = match language {
                "yaml" => checked_text(text, None),
                "corefile" => checked_text("", Some(text)),
                other => panic!("{}: a block of {other}", lint.id),
            };
            let mut ids: Vec<&str> = found(&checked).into_iter().map(|(id, _)| id).collect();
            ids.dedup();
            if ids != expected {
                wrong.push(format!("{}, {heading}: {:?}", lint.id, found(&checked)));
            }
            let lines = checked.findings.iter().all(|finding| finding.line.is_some());
            assert!(lines, "{}: a finding without a line", lint.id);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The annotation that the pages show does what they say, on every object of the example.
#[test]
fn each_lint_is_silenced_on_its_object() {
    for lint in LINTS.iter().filter(|lint| !lint.id.starts_with("corefile-")) {
        let (_, text) = block(lint.page, "Found here");
        let ignore = format!("    rollcall/ignore: 'replicas-zero, {}'\n", lint.id);
        let silenced = match text.split_once("  annotations:\n") {
            Some((before, after)) => format!("{before}  annotations:\n{ignore}{after}"),
            None => text.replace("\nmetadata:\n", &format!("\nmetadata:\n  annotations:\n{ignore}")),
        };
        assert_ne!(silenced, text, "{}", lint.id);
        let checked = checked_text(&silenced, None);
        assert_eq!(found(&checked), [], "{}", lint.id);
        assert!(checked.problems.iter().all(|problem| !problem.message.contains("no lint")), "{}", lint.id);
    }
}
