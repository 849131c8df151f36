//! Who sees what is read as it was written: `check` looks at templates and probes, which nothing is served from and
//! which are therefore not kept.

use std::fmt;
use std::path::Path;

use serde_json::Value;

/// Where an object stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    /// The file; `-` is standard input.
    pub file: &'p Path,
    /// The document in the file, from 1.
    pub document: usize,
    /// The item of a List, from 1.
    pub item: Option<usize>,
}

/// Sees each text and each object once, in order.
pub trait Witness: Send + fmt::Debug {
    /// A file's text, before its objects.
    fn text(&mut self, file: &Path, text: &str);
    /// An object, or whatever stands where one should.
    fn object(&mut self, value: &Value, place: Place<'_>);
}
