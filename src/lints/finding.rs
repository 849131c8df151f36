//! What a lint has to say, and of which object.

use std::fmt;
use std::path::PathBuf;

use super::Lint;
use super::objects::Meta;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; may well be meant.
    Note,
    /// A trap: it works until something else happens.
    Warning,
    /// A name that somebody counts on is not there.
    Error,
}

impl Severity {
    /// The word, as it is printed and typed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where an object was read. All of it is None for one of an API server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Origin {
    /// The file; `-` is standard input.
    pub file: Option<PathBuf>,
    /// The document in the file, from 1.
    pub document: Option<usize>,
    /// The item of a List, from 1.
    pub item: Option<usize>,
}

/// An object by its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// `StatefulSet`.
    pub kind: Box<str>,
    /// Empty for what is in none.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        if namespace.is_empty() { write!(f, "{kind} {name}") } else { write!(f, "{kind} {namespace}/{name}") }
    }
}

/// One thing that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was looked for.
    pub lint: &'static Lint,
    /// Where it was found.
    pub object: ObjectName,
    /// Where that was read.
    pub origin: Origin,
    /// `spec.serviceName`.
    pub field: String,
    /// The line, from 1: known here for a Corefile only; whoever has the manifests' texts finds the others.
    pub line: Option<u64>,
    /// One sentence, or two.
    pub message: String,
    /// What to do: a command, or the lines to write.
    pub fix: String,
}

/// A name in an annotation that is no lint's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silenced {
    /// Whose annotation it is.
    pub object: ObjectName,
    /// Where that was read.
    pub origin: Origin,
    /// What it says.
    pub id: Box<str>,
}

/// What was looked for, and found.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the input.
    pub findings: Vec<Finding>,
    /// How many more there are that their objects' own annotations silence.
    pub silenced: usize,
}

/// Takes what one lint finds, but for what an object's own annotation silences.
pub struct Findings<'f> {
    lint: &'static Lint,
    found: &'f mut Found,
}

impl<'f> Findings<'f> {
    pub(super) fn new(lint: &'static Lint, found: &'f mut Found) -> Self {
        Self { lint, found }
    }

    /// Something is wrong with a field of an object.
    pub(super) fn push(
        &mut self,
        meta: &Meta,
        field: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if meta.ignored.iter().any(|id| **id == *self.lint.id) {
            self.found.silenced += 1;
            return;
        }
        self.found.findings.push(Finding {
            lint: self.lint,
            object: meta.object.clone(),
            origin: meta.origin.clone(),
            field: field.into(),
            line: None,
            message: message.into(),
            fix: fix.into(),
        });
    }

    /// Something is wrong with a line of a Corefile.
    pub(super) fn push_line(
        &mut self,
        file: &str,
        line: u64,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.found.findings.push(Finding {
            lint: self.lint,
            object: ObjectName { kind: "Corefile".into(), namespace: "".into(), name: file.into() },
            origin: Origin { file: Some(file.into()), ..Origin::default() },
            field: String::new(),
            line: Some(line),
            message: message.into(),
            fix: fix.into(),
        });
    }
}
