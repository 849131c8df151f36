//! docs/differences.md as the suite reads it: the table whose rows begin with an identifier.

use std::fs;
use std::path::Path;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) reason: String,
}

/// The rows of the document.
pub(super) fn listed() -> Vec<Listed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    read(&fs::read_to_string(path).unwrap())
}

/// Rows look like `` | `id` | question | CoreDNS | rollcall | reason | ``.
fn read(text: &str) -> Vec<Listed> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect();
        let [id, _question, _theirs, _ours, reason] = cells.as_slice() else {
            panic!("docs/differences.md: five columns are wanted: {line}");
        };
        let id = id.strip_suffix('`').unwrap_or_else(|| panic!("docs/differences.md: no identifier: {line}"));
        Some(Listed { id: id.to_string(), reason: (*reason).to_string() })
    };
    text.lines().filter_map(row).collect()
}

/// Whether a reason names what it stands on: an RFC, a section of the specification, or names.md.
fn stands_on_something(reason: &str) -> bool {
    ["RFC ", "specification, section", "names.md"].iter().any(|source| reason.contains(source))
}

mod tests {
    use std::collections::BTreeSet;

    use super::super::rows::rows;
    use super::{listed, read, stands_on_something};

    #[test]
    fn the_document_lists_what_the_suite_knows_and_nothing_else() {
        let known: Vec<&str> = rows().map(|row| row.id).collect();
        let listed: Vec<String> = listed().into_iter().map(|row| row.id).collect();
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_string()).collect::<BTreeSet<_>>();
        assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), set(&known));
        assert_eq!(
            (listed.len(), known.len()),
            (set(&known).len(), set(&known).len()),
            "an identifier twice"
        );
    }

    #[test]
    fn every_row_has_a_reason_that_stands_on_something() {
        for row in listed() {
            assert!(stands_on_something(&row.reason), "{}: {}", row.id, row.reason);
        }
        assert!(!stands_on_something("it is better so"));
    }

    #[test]
    fn rows_are_read_and_prose_is_not() {
        let rows = read("| id | q |\n|---|---|\n| `a-b` | q | t | o | RFC 1, section 2 |\ntext `c` | d |\n");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].id.as_str(), rows[0].reason.as_str()), ("a-b", "RFC 1, section 2"));
    }
}
