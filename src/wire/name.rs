//! Domain names in wire form (RFC 1035, section 3.1): length octet, label, …, root.

use std::fmt;

/// The most octets of a name, length octets and root included (RFC 1035, section 2.3.4).
pub(crate) const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;
/// The most compression pointers of a name: one in front of each label that 255 octets hold. A message can have thousands
/// of them that lead from one to the next, and a thousand names that begin with the first.
const MAX_POINTERS: usize = 127;

/// An owned name: wire form, lower case, root included.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// Why a text or some octets are not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// RFC 1035, section 2.3.4.
    #[error("a label is longer than 63 octets")]
    LabelTooLong,
    /// RFC 1035, section 2.3.4.
    #[error("is longer than 255 octets")]
    TooLong,
    /// Two dots in a row, or a leading one.
    #[error("has an empty label")]
    EmptyLabel,
    /// Characters that need escapes are not host names' (RFC 1123, section 2.1).
    #[error("may only hold letters, digits, '-', '_' and dots")]
    BadCharacter,
    /// The octets end inside the name, or hold a compression pointer where none is allowed.
    #[error("is cut short or compressed")]
    Malformed,
}

impl Name {
    /// Reads a host name as people type it; the final dot may be missing, and every name is absolute.
    ///
    /// # Errors
    /// When a label is empty or too long, the whole is too long, or a character would need an escape.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut wire = Vec::with_capacity(text.len() + 2);
        if !text.is_empty() {
            for label in text.split('.') {
                push_label(&mut wire, label.as_bytes())?;
            }
        }
        finish(wire)
    }

    /// Joins labels (not empty, in any case) in front of a name.
    ///
    /// # Errors
    /// When a label is empty or too long or the whole is too long.
    pub fn under(labels: &[&[u8]], parent: &Self) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(labels.iter().map(|l| l.len() + 1).sum::<usize>() + parent.0.len());
        for label in labels {
            push_label(&mut wire, label)?;
        }
        wire.extend_from_slice(&parent.0[..parent.0.len() - 1]);
        finish(wire)
    }

    /// Reads a name that stands at `at` in a message, compressed or not (RFC 1035, section 4.1.4), in any octets; gives what
    /// stands behind it, too. A pointer leads backwards only, so that no message makes a loop.
    ///
    /// # Errors
    /// When it is cut short, points forwards or from pointer to pointer, or is too long.
    pub fn from_message(message: &[u8], at: usize) -> Result<(Self, usize), NameError> {
        let mut wire = Vec::new();
        let (mut here, mut first, mut behind) = (at, at, None);
        let mut pointers = 0;
        loop {
            let length = usize::from(*message.get(here).ok_or(NameError::Malformed)?);
            if length >= 0xc0 {
                let low = *message.get(here + 1).ok_or(NameError::Malformed)?;
                let target = (length & 0x3f) << 8 | usize::from(low);
                pointers += 1;
                if target >= first || pointers > MAX_POINTERS {
                    return Err(NameError::Malformed);
                }
                behind.get_or_insert(here + 2);
                (here, first) = (target, target);
                continue;
            }
            if length > MAX_LABEL {
                return Err(NameError::Malformed);
            }
            let label = message.get(here..here + 1 + length).ok_or(NameError::Malformed)?;
            if wire.len() + label.len() > MAX_NAME {
                return Err(NameError::TooLong);
            }
            // A length octet is at most 63, below 'A': lower-casing leaves it alone.
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
            here += 1 + length;
            if length == 0 {
                return Ok((Self(wire.into()), behind.unwrap_or(here)));
            }
        }
    }

    /// The octets, root included.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The first label, lower case; empty for the root.
    #[must_use]
    pub fn first_label(&self) -> &[u8] {
        labels(&self.0).next().unwrap_or_default()
    }

    /// How many labels, the root not counted.
    #[must_use]
    pub fn label_count(&self) -> usize {
        labels(&self.0).count()
    }

    /// Whether this name is `zone` or below it.
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        let (own, of_zone) = (self.label_count(), zone.label_count());
        own >= of_zone && tail(&self.0, own - of_zone) == &*zone.0
    }
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    let length = u8::try_from(label.len()).ok().filter(|n| usize::from(*n) <= MAX_LABEL);
    wire.push(length.ok_or(NameError::LabelTooLong)?);
    for byte in label {
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(NameError::BadCharacter);
        }
        wire.push(byte.to_ascii_lowercase());
    }
    Ok(())
}

fn finish(mut wire: Vec<u8>) -> Result<Name, NameError> {
    wire.push(0);
    if wire.len() > MAX_NAME { Err(NameError::TooLong) } else { Ok(Name(wire.into())) }
}

/// The labels of valid wire octets, without length octets and root.
fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, after) = rest.split_first()?;
        let (label, next) = after.split_at_checked(usize::from(length)).filter(|_| length > 0)?;
        rest = next;
        Some(label)
    })
}

fn tail(wire: &[u8], skip: usize) -> &[u8] {
    let skipped: usize = labels(wire).take(skip).map(|l| l.len() + 1).sum();
    &wire[skipped..]
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(&self.0, f)
    }
}

/// Presentation form (RFC 1035, section 5.1) of valid wire octets, with the final dot.
fn write_text(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if wire.len() <= 1 {
        return f.write_str(".");
    }
    for label in labels(wire) {
        for &byte in label {
            match byte {
                b'.' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b'!'..=b'~' => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_str(".")?;
    }
    Ok(())
}

/// A question's name, lower case, with the place of each label: a buffer to parse into again and again.
///
/// It is 400 octets that are never cleared, so that a query costs only the octets of its own name.
pub struct ParsedName {
    lower: [u8; MAX_NAME],
    length: usize,
    starts: [u8; 128],
    count: usize,
}

impl Default for ParsedName {
    fn default() -> Self {
        Self { lower: [0; MAX_NAME], length: 1, starts: [0; 128], count: 0 }
    }
}

impl ParsedName {
    /// Parses an uncompressed name at the front of `octets`; gives its length, root included.
    ///
    /// # Errors
    /// When the octets end too soon, a label type other than "plain" stands there (RFC 1035, section 4.1.4
    /// allows no pointer in a message's first name, for there is nothing to point to), or the name is too long.
    pub fn parse(&mut self, octets: &[u8]) -> Result<usize, NameError> {
        let mut at = 0;
        self.count = 0;
        loop {
            let length = usize::from(*octets.get(at).ok_or(NameError::Malformed)?);
            if length > MAX_LABEL {
                return Err(NameError::Malformed);
            }
            let end = at + 1 + length;
            if end > MAX_NAME {
                return Err(NameError::TooLong);
            }
            let label = octets.get(at..end).ok_or(NameError::Malformed)?;
            // A length octet is at most 63, below 'A': lower-casing leaves it alone.
            for (to, from) in self.lower[at..end].iter_mut().zip(label) {
                *to = from.to_ascii_lowercase();
            }
            if length == 0 {
                self.length = end;
                return Ok(end);
            }
            #[allow(clippy::cast_possible_truncation)] // at < 255
            let start = at as u8;
            self.starts[self.count] = start;
            self.count += 1;
            at = end;
        }
    }

    /// How many labels, the root not counted.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.count
    }

    /// A label from the left, lower case; empty where there is none.
    #[must_use]
    pub fn label(&self, index: usize) -> &[u8] {
        let tail = self.from_label(index);
        tail.split_first().map_or(&[], |(&length, rest)| &rest[..usize::from(length)])
    }

    /// A label counted from the right: 0 is the one before the root.
    #[must_use]
    pub fn label_from_right(&self, index: usize) -> &[u8] {
        self.count.checked_sub(index + 1).map_or(&[], |i| self.label(i))
    }

    /// Where a label starts in the name; its end for the index past the last (the root).
    #[must_use]
    pub fn start(&self, index: usize) -> usize {
        if index < self.count { usize::from(self.starts[index]) } else { self.length - 1 }
    }

    /// The octets from a label to the root.
    #[must_use]
    pub fn from_label(&self, index: usize) -> &[u8] {
        &self.lower[self.start(index)..self.length]
    }

    /// The octets of labels `from..to`, length octets included: the form that the record cache is keyed by.
    #[must_use]
    pub fn labels(&self, from: usize, to: usize) -> &[u8] {
        &self.lower[self.start(from)..self.start(to)]
    }

    /// The whole name, lower case.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.lower[..self.length]
    }

    /// How many labels stand before `zone`; None when the name is not within it.
    #[must_use]
    pub fn labels_before(&self, zone: &[u8], zone_labels: usize) -> Option<usize> {
        let before = self.count.checked_sub(zone_labels)?;
        (self.from_label(before) == zone).then_some(before)
    }
}

impl fmt::Display for ParsedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(self.as_wire(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire() {
        let name = Name::from_text("Web-0.nginx.default").unwrap();
        assert_eq!(name.as_wire(), b"\x05web-0\x05nginx\x07default\x00");
        assert_eq!(name.to_string(), "web-0.nginx.default.");
        assert_eq!(Name::from_text("a.").unwrap(), Name::from_text("a").unwrap());
        assert_eq!(Name::from_text(".").unwrap().to_string(), ".");
    }

    #[test]
    fn limits_of_rfc_1035() {
        assert_eq!(Name::from_text(&"x".repeat(64)), Err(NameError::LabelTooLong));
        let label = "x".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "x".repeat(61));
        assert_eq!(Name::from_text(&longest).unwrap().as_wire().len(), 255);
        assert_eq!(Name::from_text(&format!("{longest}x")), Err(NameError::TooLong));
        assert_eq!(Name::from_text("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(Name::from_text("a b"), Err(NameError::BadCharacter));
    }

    #[test]
    fn a_name_of_a_message_may_be_compressed() {
        let message = b"\x03WEB\x05nginx\x00\x02a.\xc0\x00\xc0\x0b!";
        let name = Name::from_message(message, 0).unwrap();
        assert_eq!((name.0.to_string(), name.1), ("web.nginx.".to_owned(), 11));
        let (name, behind) = Name::from_message(message, 11).unwrap();
        assert_eq!((name.to_string().as_str(), behind), ("a\\..web.nginx.", 16));
        assert_eq!((name.first_label(), name.label_count()), (&b"a."[..], 3));
        assert_eq!(Name::from_message(message, 16).unwrap(), (name, 18));
        // Cut short, a loop, forwards, a label type that there is not.
        for (octets, at) in [
            (&b"\x03we"[..], 0),
            (b"\xc0\x00", 0),
            (b"\x01a\xc0\x00", 0),
            (b"\xc0\x02\x00", 0),
            (b"\x41", 0),
            (b"", 0),
            (b"\xc0", 0),
        ] {
            assert_eq!(Name::from_message(octets, at), Err(NameError::Malformed), "{octets:?}");
        }
        // From pointer to pointer, as many as a message has room for.
        let mut chain = b"\x01a\x00".to_vec();
        let mut before = 0_u16;
        for count in 1..1000 {
            let at = chain.len();
            chain.extend((0xc000 | before).to_be_bytes());
            before = u16::try_from(at).unwrap();
            assert_eq!(Name::from_message(&chain, at).is_ok(), count <= MAX_POINTERS, "{count}");
        }
        let long = [&[63; 64][..], &[63; 64], &[63; 64], &[63; 64], &[0]].concat();
        assert_eq!(Name::from_message(&long, 0), Err(NameError::TooLong));
    }

    #[test]
    fn within_goes_by_labels() {
        let zone = Name::from_text("cluster.local").unwrap();
        assert!(Name::from_text("a.cluster.local").unwrap().is_within(&zone));
        assert!(zone.is_within(&zone));
        assert!(!Name::from_text("acluster.local").unwrap().is_within(&zone));
        assert!(!Name::from_text("local").unwrap().is_within(&zone));
    }

    #[test]
    fn parsed_name_is_lower_case_and_reusable() {
        let mut name = ParsedName::default();
        assert_eq!(name.parse(b"\x03WEB\x05nGinx\x00rest"), Ok(11));
        assert_eq!((name.label(0), name.label(1), name.label(2)), (&b"web"[..], &b"nginx"[..], &b""[..]));
        assert_eq!(name.label_from_right(0), b"nginx");
        assert_eq!(name.labels(0, 1), b"\x03web");
        assert_eq!(name.parse(b"\x00"), Ok(1));
        assert_eq!((name.label_count(), name.as_wire()), (0, &b"\x00"[..]));
    }

    #[test]
    fn parse_refuses_what_is_no_plain_name() {
        let mut name = ParsedName::default();
        assert_eq!(name.parse(b""), Err(NameError::Malformed));
        assert_eq!(name.parse(b"\x03ab"), Err(NameError::Malformed));
        assert_eq!(name.parse(b"\xc0\x0c"), Err(NameError::Malformed));
        assert_eq!(name.parse(b"\x41a\x00"), Err(NameError::Malformed));
        let long = [&[63; 64][..], &[63; 64], &[63; 64], &[63; 64]].concat();
        assert_eq!(name.parse(&long), Err(NameError::TooLong));
    }

    #[test]
    fn labels_before_a_zone() {
        let mut name = ParsedName::default();
        name.parse(b"\x01a\x07cluster\x05local\x00").unwrap();
        assert_eq!(name.labels_before(b"\x07cluster\x05local\x00", 2), Some(1));
        assert_eq!(name.labels_before(b"\x05other\x05local\x00", 2), None);
        assert_eq!(name.labels_before(b"\x01b\x01a\x07cluster\x05local\x00", 4), None);
    }
}
