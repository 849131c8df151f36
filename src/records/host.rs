//! What an endpoint is called, and in which order names stand.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::model::{self, Endpoint, Label};

/// How an endpoint got its name; the order of the variants is the order of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Origin {
    /// `hostname`, or the pod's name.
    Named,
    /// The address with dashes.
    Dashed,
}

/// The label of one address of an endpoint (names.md, "`<host>` is").
#[must_use]
pub fn endpoint_label(endpoint: &Endpoint, address: IpAddr, pod_names: bool) -> Cow<'_, str> {
    label(endpoint, address, pod_names).0
}

/// The same, and where it comes from.
pub(super) fn label(endpoint: &Endpoint, address: IpAddr, pod_names: bool) -> (Cow<'_, str>, Origin) {
    if let Some(hostname) = &endpoint.hostname {
        return (hostname.as_str().into(), Origin::Named);
    }
    let pod = endpoint.pod.as_ref().filter(|_| pod_names);
    if let Some(pod) = pod.filter(|pod| Label::new(&pod.name).is_ok()) {
        return (Cow::Borrowed(&pod.name), Origin::Named);
    }
    (dashed(address).into(), Origin::Dashed)
}

/// An address as a label: `10-244-0-2`, `fd00-10-244--2` (IPv6 in the text form of RFC 5952).
///
/// A label may not end in a hyphen (RFC 1123, section 2.1): `fd00::` becomes `fd00--0`.
#[must_use]
pub fn dashed(address: IpAddr) -> String {
    Dashed(address).to_string()
}

/// [`dashed`] without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dashed(pub IpAddr);

impl fmt::Display for Dashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hyphens = Hyphens { to: f, last: '0' };
        write!(hyphens, "{}", self.0)?;
        if hyphens.last == '-' { f.write_char('0') } else { Ok(()) }
    }
}

/// Writes hyphens for dots and colons.
struct Hyphens<'f, 'o> {
    to: &'f mut fmt::Formatter<'o>,
    last: char,
}

impl fmt::Write for Hyphens<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            self.last = if matches!(c, '.' | ':') { '-' } else { c };
            self.to.write_char(self.last)
        })
    }
}

/// The ordinal of a name of a set: `7` of `web-7`.
#[must_use]
pub fn ordinal_of(label: &[u8], set: &[u8]) -> Option<u64> {
    model::ordinal(label.strip_prefix(set)?.strip_prefix(b"-")?)
}

/// Sorts `web-2` before `web-10`, ordinals before other names, names before addresses.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrderKey<'l> {
    origin: Origin,
    without_ordinal: bool,
    ordinal: u64,
    dashed: Option<IpAddr>,
    label: &'l str,
    address: IpAddr,
}

pub(super) fn order_key(label: &str, origin: Origin, address: IpAddr) -> OrderKey<'_> {
    let ordinal = match origin {
        Origin::Named => ordinal(label),
        Origin::Dashed => None,
    };
    OrderKey {
        origin,
        without_ordinal: ordinal.is_none(),
        ordinal: ordinal.unwrap_or_default(),
        dashed: (origin == Origin::Dashed).then_some(address),
        label,
        address,
    }
}

fn ordinal(label: &str) -> Option<u64> {
    let (_, digits) = label.rsplit_once('-')?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashed_addresses() {
        for (address, label) in [
            ("10.244.0.2", "10-244-0-2"),
            ("fd00:10:244::2", "fd00-10-244--2"),
            ("fd00::", "fd00--0"),
            ("::", "--0"),
            ("FD00:0:0:0:0:0:0:A", "fd00--a"),
            ("::ffff:10.0.0.1", "--ffff-10-0-0-1"),
        ] {
            assert_eq!(dashed(address.parse().unwrap()), label);
        }
    }

    #[test]
    fn order_goes_by_number() {
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let mut labels = ["web", "web-10", "10-0-0-1", "web-2", "api-2", "web-x"].map(|l| {
            let origin = if l.starts_with('1') { Origin::Dashed } else { Origin::Named };
            (order_key(l, origin, address), l)
        });
        labels.sort();
        assert_eq!(labels.map(|(_, l)| l), ["api-2", "web-2", "web-10", "web", "web-x", "10-0-0-1"]);
    }
}
