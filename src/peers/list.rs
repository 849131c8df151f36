//! A list of peers, and what differs between two.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::Trouble;
use super::way::Way;

/// A member of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its whole name without the final dot: `web-0.nginx.default.svc.cluster.local`.
    pub name: String,
    /// The first label of it: `web-0`.
    pub host: String,
    /// Every address of the name, IPv4 first; empty where it is not ready.
    pub addresses: Vec<IpAddr>,
    /// The ports of its SRV records, ascending; empty for a service without ports.
    pub ports: Vec<u16>,
    /// It answers to its name: it is ready, or its service publishes those that are not.
    pub ready: bool,
    /// The number at the end of a StatefulSet's replica.
    pub ordinal: Option<u64>,
}

impl Peer {
    /// Of a StatefulSet's replicas the ninth before the tenth.
    fn rank(&self) -> (&str, Option<u64>, &str) {
        let set = self.host.rsplit_once('-').filter(|_| self.ordinal.is_some()).map(|(set, _)| set);
        (set.unwrap_or(&self.host), self.ordinal, &self.name)
    }
}

/// The set and the number of a host that is named as a replica is: not `web-07`.
pub(super) fn numbered(host: &str) -> Option<(&str, u64)> {
    let (set, digits) = host.rsplit_once('-')?;
    Some((set, crate::model::ordinal(digits.as_bytes())?))
}

/// The ordinal at the end of a host name; `web-07` is no replica's, nor is `10-244-0-7`, an endpoint without a host name.
#[must_use]
pub(super) fn ordinal(host: &str) -> Option<u64> {
    numbered(host).map(|(_, number)| number).filter(|_| !is_address(host))
}

fn is_address(host: &str) -> bool {
    // Of few names this has to be asked.
    host.bytes().all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b'-' | b'.'))
        && (host.replace('-', ".").parse::<Ipv4Addr>().is_ok()
            || host.replace('-', ":").parse::<Ipv6Addr>().is_ok())
}

/// Puts peers into their order.
pub(super) fn sort(peers: &mut [Peer]) {
    peers.sort_by(|one, other| one.rank().cmp(&other.rank()));
}

/// What is known of a service's peers at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Those that are there, by set and ordinal.
    pub peers: Vec<Peer>,
    /// Replicas of the service's StatefulSets that should be there and are not.
    pub missing: Vec<Peer>,
    /// How many replicas there should be. None where nobody says: the service is no StatefulSet's, or the server knows
    /// none of these (docs/names.md, "How many peers there should be").
    pub expected: Option<u64>,
    /// Why this is what was known last and not what is known now; None while it is followed.
    pub stale: Option<Arc<Trouble>>,
    /// How it was learned.
    pub way: Way,
    /// Of whom.
    pub server: String,
}

impl List {
    /// More than half of those expected; of those there where nobody says how many are expected.
    #[must_use]
    pub fn quorum(&self) -> usize {
        let all = self.expected.and_then(|count| usize::try_from(count).ok()).unwrap_or(self.peers.len());
        all / 2 + 1
    }

    /// The peers that are there, and with `all` those that should be, in one order.
    #[must_use]
    pub fn listed(&self, all: bool) -> Vec<Peer> {
        let mut peers = self.peers.clone();
        if all {
            peers.extend_from_slice(&self.missing);
            sort(&mut peers);
        }
        peers
    }

    /// Whether a host of this name is there.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        self.peers.iter().any(|peer| peer.host.eq_ignore_ascii_case(host))
    }
}

/// What differs between two lists, in whole peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// There now.
    pub added: Vec<Peer>,
    /// There no longer; as they were.
    pub removed: Vec<Peer>,
    /// With other addresses or ports, or ready or not; as they are.
    pub changed: Vec<Peer>,
}

impl Difference {
    /// From one list to another, in each of which a name stands once.
    #[must_use]
    pub fn between(before: &[Peer], after: &[Peer]) -> Self {
        // Most peers are the same, at the front and at the back: who is between is looked up by name.
        let front = before.iter().zip(after).take_while(|(one, other)| one == other).count();
        let (before, after) = (&before[front..], &after[front..]);
        let is_same = |(one, other): &(&Peer, &Peer)| one == other;
        let back = before.iter().rev().zip(after.iter().rev()).take_while(is_same).count();
        let (before, after) = (&before[..before.len() - back], &after[..after.len() - back]);
        let (old, new) = (by_name(before), by_name(after));
        let is_changed = |peer: &&Peer| old.get(peer.name.as_str()).is_some_and(|before| before != peer);
        Self {
            added: only(after, &old),
            removed: only(before, &new),
            changed: after.iter().filter(is_changed).cloned().collect(),
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

fn by_name(peers: &[Peer]) -> BTreeMap<&str, &Peer> {
    peers.iter().map(|peer| (peer.name.as_str(), peer)).collect()
}

/// Those that are not among the others.
fn only(peers: &[Peer], others: &BTreeMap<&str, &Peer>) -> Vec<Peer> {
    peers.iter().filter(|peer| !others.contains_key(peer.name.as_str())).cloned().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn mk_peer(host: &str, address: [u8; 4]) -> Peer {
        Peer {
            name: format!("{host}.nginx.default.svc.cluster.local"),
            host: host.to_owned(),
            addresses: vec![address.into()],
            ports: vec![80],
            ready: true,
            ordinal: ordinal(host),
        }
    }

    #[test]
    fn the_ninth_stands_before_the_tenth() {
        let mut peers: Vec<Peer> =
            ["web-10", "db-2", "web-9", "other", "web-07"].map(|host| mk_peer(host, [10, 0, 0, 1])).into();
        sort(&mut peers);
        let hosts: Vec<&str> = peers.iter().map(|peer| peer.host.as_str()).collect();
        assert_eq!(hosts, ["db-2", "other", "web-9", "web-10", "web-07"]);
    }

    #[test]
    fn addresses_have_no_ordinals() {
        for (host, expected) in [
            ("web-0", Some(0)),
            ("my-db-12", Some(12)),
            ("web-07", None),
            ("web", None),
            ("web-x", None),
            ("10-244-0-7", None),
            ("fd00--7", None),
        ] {
            assert_eq!(ordinal(host), expected, "{host}");
        }
    }

    #[test]
    fn what_differs_is_told_by_name() {
        let one = [mk_peer("web-0", [10, 0, 0, 1]), mk_peer("web-1", [10, 0, 0, 2])];
        let other = [mk_peer("web-1", [10, 0, 0, 9]), mk_peer("web-2", [10, 0, 0, 3])];
        let difference = Difference::between(&one, &other);
        assert_eq!(difference.added, other[1..]);
        assert_eq!(difference.removed, one[..1]);
        assert_eq!(difference.changed, other[..1]);
        assert!(Difference::between(&one, &one).is_empty());
    }

    /// Wherever it is in a list, beside whatever is the same.
    #[test]
    fn what_differs_is_found_everywhere() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut mk_list = || {
                let mut peers: Vec<Peer> = Vec::new();
                for ordinal in 0..12 {
                    if random.u8(..4) > 0 {
                        let address = [10, 0, 0, u8::from(random.u8(..4) == 0)];
                        peers.push(mk_peer(&format!("web-{ordinal}"), address));
                    }
                }
                peers
            };
            let (before, after) = (mk_list(), mk_list());
            let find = |peers: &[Peer], name: &str| peers.iter().find(|peer| peer.name == name).cloned();
            let of = |peers: &[Peer], is: &dyn Fn(&Peer) -> bool| -> Vec<Peer> {
                peers.iter().filter(|peer| is(peer)).cloned().collect()
            };
            let expected = Difference {
                added: of(&after, &|peer| find(&before, &peer.name).is_none()),
                removed: of(&before, &|peer| find(&after, &peer.name).is_none()),
                changed: of(&after, &|peer| find(&before, &peer.name).is_some_and(|old| old != *peer)),
            };
            assert_eq!(Difference::between(&before, &after), expected, "seed {seed}");
        }
    }
}
