//! A domain name as a list of labels, nothing clever.

use std::fmt;

/// Labels from left to right, without the root. Any octets; compared as they are, so lower them first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(pub(crate) Vec<Vec<u8>>);

impl Name {
    /// Reads dotted text; a trailing dot changes nothing, for every name here is absolute.
    pub(crate) fn from_text(text: &str) -> Self {
        let labels = text.split('.').filter(|label| !label.is_empty());
        Self(labels.map(|label| label.as_bytes().to_vec()).collect())
    }

    /// This name with the dotted `labels` in front.
    pub(crate) fn below(&self, labels: &str) -> Self {
        let mut name = Self::from_text(labels);
        name.0.extend(self.0.iter().cloned());
        name
    }

    /// Lower case (RFC 4343: ASCII only).
    pub(crate) fn lower(&self) -> Self {
        Self(self.0.iter().map(|label| label.to_ascii_lowercase()).collect())
    }

    /// Whether this name is `apex` or lies below it. Both in lower case.
    pub(crate) fn is_within(&self, apex: &Self) -> bool {
        self.0.ends_with(&apex.0)
    }

    /// Whether this name lies below `other`, not at it. Both in lower case.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.is_within(other)
    }

    /// Octets on the wire, uncompressed (RFC 1035, section 3.1).
    pub(crate) fn wire_length(&self) -> usize {
        1 + self.0.iter().map(|label| 1 + label.len()).sum::<usize>()
    }

    /// Whether RFC 1035, section 2.3.4 allows it: labels of 1 to 63 octets, 255 in all.
    pub(crate) fn is_legal(&self) -> bool {
        self.wire_length() <= 255 && self.0.iter().all(|label| (1..=63).contains(&label.len()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in &self.0 {
            write!(f, "{}.", label.escape_ascii())?;
        }
        if self.0.is_empty() { f.write_str(".") } else { Ok(()) }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
