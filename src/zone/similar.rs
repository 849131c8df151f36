//! Did you mean: the Services of a namespace whose name is one slip of the keys away.
//!
//! Looked for while an answer is written, so it is bounded on each side: the names of a namespace lie in one piece, only
//! so many of them, and each is compared in one pass. Two slips are not looked for: that takes a table for each name.

use std::sync::Arc;

use super::store::{NamespaceState, View};
use crate::reasons::Reason;
use crate::wire::ParsedName;

/// So many octets of a namespace's names are looked through, some 150 names. A namespace with more has the first ones that
/// came.
const MOST: usize = 2048;

/// Labels, each behind its length. Shared, for whatever else changes of a namespace copies them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Names(Arc<[u8]>);

impl Names {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, after) = rest.split_first()?;
            let (name, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            Some(name)
        })
    }

    /// With one more, if there is room.
    pub(crate) fn with(self, label: &str) -> Self {
        let Ok(length) = u8::try_from(label.len()) else { return self };
        if self.0.len() + 1 + label.len() > MOST {
            return self;
        }
        Self([&*self.0, &[length], label.as_bytes()].concat().into())
    }

    /// Without one.
    pub(crate) fn without(self, label: &str) -> Self {
        let mut octets = Vec::with_capacity(self.0.len());
        for name in self.iter().filter(|name| *name != label.as_bytes()) {
            octets.extend(u8::try_from(name.len()));
            octets.extend(name);
        }
        Self(octets.into())
    }

    fn near(&self, asked: &[u8]) -> Option<&[u8]> {
        self.iter().find(|name| is_near(name, asked))
    }
}

/// Whether two names differ by one octet, one octet more, or two neighbours that changed places.
fn is_near(one: &[u8], other: &[u8]) -> bool {
    if one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let front = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[front..], &other[front..]);
    let back = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    match (&one[..one.len() - back], &other[..other.len() - back]) {
        ([_], [_] | []) | ([], [_]) => true,
        ([a, b], [c, d]) => (a, b) == (d, c),
        _ => false,
    }
}

/// Shorter names are a slip away from too many others.
const LEAST: usize = 4;

/// The service that may be meant by a name whose own one does not exist. `namespaces` is of the view.
pub(super) fn similar<'a>(
    view: &View<'_>,
    namespace: impl FnOnce(&[u8]) -> Option<&'a NamespaceState>,
    name: &'a ParsedName,
) -> Option<Reason<'a>> {
    let prepared = &view.prepared;
    let apex = name.labels_before(&prepared.zone, prepared.zone_labels)?;
    let service = apex.checked_sub(3).filter(|service| name.label(service + 2) == b"svc")?;
    // A replica, at most: what has more in front is the search path at work, and nobody's slip.
    let is_replica = |label: &[u8]| label.last().is_some_and(u8::is_ascii_digit) && label.contains(&b'-');
    let asked = name.label(service);
    if service > 1 || (service == 1 && !is_replica(name.label(0))) || asked.len() < LEAST {
        return None;
    }
    if view.service(name.labels(service, service + 2)).is_some() {
        return None;
    }
    let similar = namespace(name.label(service + 1))?.names.near(asked)?;
    Some(Reason::SimilarService {
        asked: std::str::from_utf8(asked).ok()?,
        similar: std::str::from_utf8(similar).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_and_no_more() {
        for near in ["ngnix", "nginxx", "nginy", "ginx", "nnginx", "ngin", "nignx"] {
            assert!(is_near(b"nginx", near.as_bytes()), "{near}");
            assert!(is_near(near.as_bytes(), b"nginx"), "{near}");
        }
        for far in ["nginx", "xgniy", "ngni", "xnigng", "", "nginxyz", "gninx-0"] {
            assert!(!is_near(b"nginx", far.as_bytes()), "{far}");
        }
    }

    #[test]
    fn names_come_and_go() {
        let names = Names::default().with("nginx").with("mysql").with("redis");
        assert_eq!(names.near(b"myqsl"), Some(&b"mysql"[..]));
        let names = names.without("mysql").without("never");
        assert_eq!(names.near(b"myqsl"), None);
        assert_eq!(names.iter().collect::<Vec<_>>(), [b"nginx", b"redis"]);
        assert_eq!(names.without("nginx").without("redis"), Names::default());
        let many = (0..MOST + 9).fold(Names::default(), |names, n| names.with(&format!("service-{n}")));
        assert!(many.0.len() <= MOST && many.0.len() + 16 > MOST, "{}", many.0.len());
    }
}
