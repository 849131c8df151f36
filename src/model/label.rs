//! A DNS label as Kubernetes allows it in names.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// An RFC 1123 label: 1 to 63 octets of `a-z`, `0-9` and `-`, neither first nor last a `-`.
///
/// Kubernetes demands lower case, so a label is already in the canonical form of RFC 4034, section 6.2.
/// Cloning is a reference count, for the same namespace stands in every object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

/// Why a text is not a [`Label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// No octet at all.
    #[error("is empty")]
    Empty,
    /// RFC 1035, section 2.3.4.
    #[error("is longer than 63 octets")]
    TooLong,
    /// RFC 1123, section 2.1, lower case as Kubernetes asks.
    #[error("may only hold a-z, 0-9 and '-', and must start and end with a letter or digit")]
    BadCharacter,
}

impl Label {
    /// Checks and keeps a label.
    ///
    /// # Errors
    /// When the text is empty, longer than 63 octets, or not made of lower case letters, digits and inner hyphens.
    pub fn new(text: &str) -> Result<Self, LabelError> {
        Self::check(text).map(|()| Self(text.into()))
    }

    /// Checks one that is not to be kept.
    ///
    /// # Errors
    /// The same.
    pub fn check(text: &str) -> Result<(), LabelError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(LabelError::Empty);
        }
        if bytes.len() > 63 {
            return Err(LabelError::TooLong);
        }
        if is_label(bytes) { Ok(()) } else { Err(LabelError::BadCharacter) }
    }

    /// The label's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower case letters, digits and inner hyphens, however many.
fn is_label(bytes: &[u8]) -> bool {
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let edge_is_hyphen = bytes.first() == Some(&b'-') || bytes.last() == Some(&b'-');
    !bytes.is_empty() && !edge_is_hyphen && bytes.iter().all(inner)
}

/// Whether a pod, a claim, a set or a node may have the name: an RFC 1123 subdomain of at most 253 octets. What points at
/// an object may hold any text in its place: a path or a command is made of none but these.
#[must_use]
pub fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| is_label(label.as_bytes()))
}

impl AsRef<str> for Label {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_kubernetes_accepts() {
        for good in ["a", "web-0", "0", "10-244-0-2", &"x".repeat(63)] {
            assert_eq!(Label::new(good).map(|l| l.to_string()), Ok(good.to_string()));
        }
    }

    #[test]
    fn objects_have_names_of_labels() {
        for good in ["web-0", "0", "node-1.example.org", &"x".repeat(253)] {
            assert!(is_object_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "a.",
            "-A",
            "--all",
            "a/proxy",
            "a?watch=1",
            "a;b",
            "a b",
            "Web-0",
            "\u{1b}",
            "ä",
            &"x".repeat(254),
        ] {
            assert!(!is_object_name(bad), "{bad}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        assert_eq!(Label::new(""), Err(LabelError::Empty));
        assert_eq!(Label::new(&"x".repeat(64)), Err(LabelError::TooLong));
        for bad in ["-a", "a-", "A", "a.b", "a_b", "ä"] {
            assert_eq!(Label::new(bad), Err(LabelError::BadCharacter), "{bad}");
        }
    }
}
