//! Names as people type them, in their own spelling: any that a question may hold, for any of them is answered.

use std::fmt;

use crate::wire::NameError;

/// The most octets of a name, and of a label (RFC 1035, section 2.3.4).
const MOST_NAME: usize = 255;
const MOST_LABEL: usize = 63;

/// Labels of printable ASCII, which may be none: the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Typed(Vec<Box<str>>);

impl Typed {
    pub(super) fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let label = |label: &str| match label.len() {
            0 => Err(NameError::EmptyLabel),
            _ if !label.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\') => {
                Err(NameError::BadCharacter)
            }
            1..=MOST_LABEL => Ok(label.into()),
            _ => Err(NameError::LabelTooLong),
        };
        let name = Self(text.split('.').map(label).collect::<Result<_, _>>()?);
        if name.wire().len() > MOST_NAME { Err(NameError::TooLong) } else { Ok(name) }
    }

    /// The name below another one; None where that is too long.
    pub(super) fn under(&self, domain: &Self) -> Option<Self> {
        let name = Self([&*self.0, &*domain.0].concat());
        (name.wire().len() <= MOST_NAME).then_some(name)
    }

    pub(super) fn is_within(&self, zone: &Self) -> bool {
        let labels = self.0.len().checked_sub(zone.0.len()).map(|from| &self.0[from..]);
        labels.is_some_and(|labels| {
            labels.iter().zip(&zone.0).all(|(one, other)| one.eq_ignore_ascii_case(other))
        })
    }

    pub(super) fn is_reverse(&self) -> bool {
        ["in-addr.arpa", "ip6.arpa"]
            .iter()
            .filter_map(|arpa| Self::parse(arpa).ok())
            .any(|arpa| self.is_within(&arpa))
    }

    /// `_port._protocol` and more.
    pub(super) fn is_of_port(&self) -> bool {
        self.0.len() > 2 && self.0.iter().take(2).all(|label| label.starts_with('_'))
    }

    /// In wire form, root included.
    pub(super) fn wire(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(64);
        for label in &self.0 {
            octets.extend(u8::try_from(label.len()));
            octets.extend(label.as_bytes());
        }
        octets.push(0);
        octets
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("."),
            labels => labels.iter().try_for_each(|label| write!(f, "{label}.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_they_are_spelt() {
        let name = Typed::parse("--1.*._tcp.Web.K8s.example.org").unwrap();
        assert_eq!(name.to_string(), "--1.*._tcp.Web.K8s.example.org.");
        assert_eq!(&name.wire()[..6], b"\x03--1\x01*");
        assert!(name.is_within(&Typed::parse("k8s.EXAMPLE.org.").unwrap()));
        assert!(!name.is_within(&Typed::parse("s.example.org").unwrap()));
        assert!(!name.is_of_port() && Typed::parse("_a._tcp.b").unwrap().is_of_port());
        assert_eq!(Typed::parse(".").unwrap().wire(), [0]);
    }
}
