//! Which lists are told: not half of one at the start, and not each step of a burst.

use std::str::FromStr;
use std::time::Duration;

use crate::peers::List;

/// How many peers have to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum MinPeers {
    Count(usize),
    /// As many as the service's StatefulSets should have.
    All,
    /// More than half of them.
    Quorum,
}

impl FromStr for MinPeers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "quorum" => Ok(Self::Quorum),
            number => {
                let count = number.parse().map(Self::Count);
                count.map_err(|_| "a number, `all` or `quorum`".to_owned())
            }
        }
    }
}

/// What a list has to have to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Gate {
    pub(in crate::cli) min_peers: MinPeers,
    /// This host has to be among them.
    pub(in crate::cli) own: Option<String>,
}

impl Gate {
    /// Why a list is held back; None where it is not.
    pub(in crate::cli) fn holds(&self, list: &List) -> Option<String> {
        let there = list.peers.len();
        let wanted = match (self.min_peers, list.expected) {
            (MinPeers::Count(count), _) => count,
            (MinPeers::All | MinPeers::Quorum, None) => {
                return Some(format!(
                    "{there} peers, and the server does not say how many there should be (docs/peers.md)"
                ));
            }
            (MinPeers::All, Some(expected)) => usize::try_from(expected).unwrap_or(usize::MAX),
            (MinPeers::Quorum, Some(_)) => list.quorum(),
        };
        let is_short = there < wanted || (self.min_peers == MinPeers::All && !list.missing.is_empty());
        if is_short {
            return Some(format!("{there} of {wanted} peers are there"));
        }
        let own = self.own.as_ref().filter(|own| !list.has_host(own));
        own.map(|own| format!("{own} is not among the {there} peers yet"))
    }
}

/// How long `text` is: a number and `ms`, `s`, `m` or `h`; seconds without.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time as 500ms, 2s, 1m or 1h".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let milliseconds = milliseconds.and_then(|unit| number.checked_mul(unit)).ok_or_else(wrong)?;
    Ok(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Peer, Way};

    /// A list of the set `web`: these are there, and these are not.
    pub(crate) fn mk_list(there: &[u64], missing: &[u64], expected: Option<u64>) -> List {
        let peer = |ordinal: &u64, ready: bool| Peer {
            name: format!("web-{ordinal}.nginx.default.svc.cluster.local"),
            host: format!("web-{ordinal}"),
            addresses: Vec::new(),
            ports: vec![80],
            ready,
            ordinal: Some(*ordinal),
        };
        List {
            peers: there.iter().map(|ordinal| peer(ordinal, true)).collect(),
            missing: missing.iter().map(|ordinal| peer(ordinal, false)).collect(),
            expected,
            stale: None,
            way: Way::Push,
            server: "server".to_owned(),
        }
    }

    fn passes(min_peers: &str, list: &List) -> bool {
        Gate { min_peers: min_peers.parse().unwrap(), own: None }.holds(list).is_none()
    }

    #[test]
    fn a_list_has_so_many_or_is_held_back() {
        let (one, two) = (mk_list(&[0], &[1, 2], Some(3)), mk_list(&[0, 2], &[1], Some(3)));
        let three = mk_list(&[0, 1, 2], &[], Some(3));
        for (min_peers, expected) in [
            ("0", [true, true, true]),
            ("2", [false, true, true]),
            ("quorum", [false, true, true]),
            ("all", [false, false, true]),
            ("4", [false, false, false]),
        ] {
            assert_eq!([&one, &two, &three].map(|list| passes(min_peers, list)), expected, "{min_peers}");
        }
        // A replica too many, for it is about to go, makes up for none that is missing.
        assert!(!passes("all", &mk_list(&[1, 2, 3], &[0], Some(3))));
        assert!(passes("all", &mk_list(&[0, 1, 2, 3], &[], Some(3))));
        assert!(passes("all", &mk_list(&[], &[], Some(0))));
        // Four have a quorum of three, as etcd has it.
        assert!(!passes("quorum", &mk_list(&[0, 1], &[2, 3], Some(4))));
    }

    /// `name=my.db`, or a `start` beyond all numbers: nobody can be named as missing, and nobody is there.
    #[test]
    fn replicas_that_can_have_no_names_are_missing_all_the_same() {
        assert!(!passes("all", &mk_list(&[], &[], Some(3))));
        assert!(!passes("all", &mk_list(&[0, 1], &[], Some(3))));
        assert!(!passes("quorum", &mk_list(&[0], &[], Some(3))));
    }

    #[test]
    fn without_a_word_of_how_many_only_numbers_count() {
        let list = mk_list(&[0, 1, 2], &[], None);
        assert!(passes("3", &list) && !passes("all", &list) && !passes("quorum", &list));
    }

    #[test]
    fn its_own_name_has_to_be_among_them() {
        let gate = |own: &str| Gate { min_peers: MinPeers::Count(0), own: Some(own.to_owned()) };
        let list = mk_list(&[0, 1], &[2], Some(3));
        assert_eq!(gate("web-1").holds(&list), None);
        assert!(gate("web-2").holds(&list).unwrap().contains("web-2"));
    }

    #[test]
    fn times_have_units() {
        let ms = |text: &str| duration(text).map(|duration| duration.as_millis());
        assert_eq!([ms("500ms"), ms("2s"), ms("2"), ms("1m")], [Ok(500), Ok(2000), Ok(2000), Ok(60_000)]);
        for text in ["", "s", "-1s", "1.5s", "1d", "99999999999999999999h", "9999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!("none".parse::<MinPeers>().is_err());
    }
}
