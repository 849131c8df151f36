//! What is told of a list: that it differs from the one before, and in what.

use std::sync::Arc;

use super::list::{Difference, List};

/// Why an event came: what differs most from what was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first list.
    Start,
    /// Other peers than before, or other addresses or ports.
    Change,
    /// The same peers, but other replicas are expected.
    Expected,
    /// The list is no longer followed, and stays as it is.
    Stale,
    /// It is followed again, and nothing was missed.
    Fresh,
    /// It is learned in another way, or of another server.
    Way,
}

impl Kind {
    /// One word, as in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Change => "change",
            Self::Expected => "expected",
            Self::Stale => "stale",
            Self::Fresh => "fresh",
            Self::Way => "way",
        }
    }
}

/// A list that differs from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Why it is told.
    pub kind: Kind,
    /// All of it.
    pub list: Arc<List>,
    /// From the list that was told before to this one; at the start everybody is added.
    pub difference: Difference,
}

impl Event {
    /// What there is to tell of a list to whom another one was told; None where they are the same.
    #[must_use]
    pub fn between(before: Option<&List>, list: Arc<List>) -> Option<Self> {
        let old = before.map(|before| before.peers.as_slice()).unwrap_or_default();
        let difference = Difference::between(old, &list.peers);
        let kind = match before {
            None => Kind::Start,
            Some(_) if !difference.is_empty() => Kind::Change,
            Some(before) if before.stale.is_some() != list.stale.is_some() => {
                if list.stale.is_some() {
                    Kind::Stale
                } else {
                    Kind::Fresh
                }
            }
            Some(before) if before.missing != list.missing || before.expected != list.expected => {
                Kind::Expected
            }
            Some(before) if before.way != list.way || before.server != list.server => Kind::Way,
            Some(_) => return None,
        };
        Some(Self { kind, list, difference })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::list::tests::mk_peer;
    use crate::peers::trouble::Trouble;
    use crate::peers::way::Way;

    fn mk_list(hosts: &[&str]) -> List {
        let peers = hosts.iter().map(|host| mk_peer(host, [10, 0, 0, 1])).collect();
        let server = "server".to_owned();
        List { peers, missing: Vec::new(), expected: None, stale: None, way: Way::Push, server }
    }

    #[test]
    fn an_event_says_what_differs_most() {
        let kind = |before: &List, after: List| {
            Event::between(Some(before), Arc::new(after)).map(|event| event.kind.as_str())
        };
        let one = mk_list(&["web-0"]);
        let stale = List { stale: Some(Arc::new(Trouble::NoPush("is away"))), ..one.clone() };
        assert_eq!(kind(&one, one.clone()), None);
        assert_eq!(kind(&one, mk_list(&["web-0", "web-1"])), Some("change"));
        assert_eq!(kind(&stale, mk_list(&["web-1"])), Some("change"));
        assert_eq!((kind(&one, stale.clone()), kind(&stale, one.clone())), (Some("stale"), Some("fresh")));
        assert_eq!(kind(&one, List { expected: Some(3), ..one.clone() }), Some("expected"));
        assert_eq!(kind(&one, List { way: Way::Poll, ..one.clone() }), Some("way"));
        let first = Event::between(None, Arc::new(one.clone())).unwrap();
        assert_eq!((first.kind, first.difference.added), (Kind::Start, one.peers));
        let first = Event::between(None, Arc::new(mk_list(&[]))).unwrap();
        assert_eq!((first.kind, first.difference.is_empty()), (Kind::Start, true));
    }
}
