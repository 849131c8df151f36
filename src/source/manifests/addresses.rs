//! Addresses for what a real cluster would have given one: played pods and Services without a clusterIP.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

use ipnet::IpNet;

/// Hands out the addresses of a prefix and keeps them with their owners.
#[derive(Debug)]
pub(super) struct Pool<K> {
    net: IpNet,
    by_owner: HashMap<K, IpAddr>,
    taken: BTreeSet<IpAddr>,
    /// The offset that is tried next: an address that was given back is not the next one handed out.
    next: u128,
    /// No address was left at the last look: none is looked for until some are given back.
    full: bool,
}

/// The network's own address and the one that is the bridge's or the API server's by custom.
const FIRST: u128 = 2;

impl<K: Hash + Eq + Clone> Pool<K> {
    pub(super) fn new(net: IpNet) -> Self {
        Self { net: net.trunc(), by_owner: HashMap::new(), taken: BTreeSet::new(), next: FIRST, full: false }
    }

    /// Gives back the addresses of owners that are gone, and of those whose address is `reserved`: the input
    /// gives it to something else.
    pub(super) fn keep(&mut self, mut is_there: impl FnMut(&K) -> bool, reserved: &BTreeSet<IpAddr>) {
        self.by_owner.retain(|owner, address| is_there(owner) && !reserved.contains(address));
        self.taken = self.by_owner.values().copied().collect();
        self.full = false;
    }

    /// The owner's address; None when the prefix has no more.
    pub(super) fn address(&mut self, owner: &K, reserved: &BTreeSet<IpAddr>) -> Option<IpAddr> {
        if let Some(address) = self.by_owner.get(owner) {
            return Some(*address);
        }
        if self.full {
            return None;
        }
        let size = self.size();
        // Everything that can be in the way is counted: one more step finds a free one or there is none.
        let steps = u128::try_from(self.taken.len() + reserved.len()).unwrap_or(u128::MAX).saturating_add(1);
        let room = size.saturating_sub(FIRST);
        for _ in 0..steps.min(room) {
            let offset = self.next;
            self.next = if offset + 1 < size { offset + 1 } else { FIRST };
            let address = self.at(offset);
            if !self.taken.contains(&address) && !reserved.contains(&address) {
                self.taken.insert(address);
                self.by_owner.insert(owner.clone(), address);
                return Some(address);
            }
        }
        self.full = true;
        None
    }

    pub(super) fn is_v6(&self) -> bool {
        self.net.addr().is_ipv6()
    }

    /// How many offsets there are; the IPv4 broadcast address is not one.
    fn size(&self) -> u128 {
        let bits = u32::from(self.net.max_prefix_len() - self.net.prefix_len());
        let all = 1_u128.checked_shl(bits).unwrap_or(u128::MAX);
        if self.is_v6() { all } else { all.saturating_sub(1) }
    }

    fn at(&self, offset: u128) -> IpAddr {
        match self.net.network() {
            // The offset is below the prefix's size: 32 bits hold it.
            IpAddr::V4(base) => {
                IpAddr::V4(base.to_bits().wrapping_add(u32::try_from(offset).unwrap_or(0)).into())
            }
            IpAddr::V6(base) => IpAddr::V6(base.to_bits().wrapping_add(offset).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(net: &str) -> Pool<u32> {
        Pool::new(net.parse().unwrap())
    }

    #[test]
    fn addresses_are_kept_and_not_reused_at_once() {
        let (mut pool, none) = (pool("10.0.0.0/29"), BTreeSet::new());
        let text = |a: Option<IpAddr>| a.map(|a| a.to_string());
        assert_eq!(text(pool.address(&0, &none)).as_deref(), Some("10.0.0.2"));
        assert_eq!(text(pool.address(&1, &none)).as_deref(), Some("10.0.0.3"));
        assert_eq!(text(pool.address(&0, &none)).as_deref(), Some("10.0.0.2"));
        pool.keep(|owner| *owner != 0, &none);
        assert_eq!(text(pool.address(&2, &none)).as_deref(), Some("10.0.0.4"));
        let rest: Vec<_> = (3..7).map(|owner| text(pool.address(&owner, &none))).collect();
        let some = |a: &str| Some(a.to_string());
        assert_eq!(rest, [some("10.0.0.5"), some("10.0.0.6"), some("10.0.0.2"), None]);
    }

    #[test]
    fn reserved_addresses_are_passed_over_and_taken_back() {
        let mut pool = pool("fd00::/64");
        let reserved = BTreeSet::from(["fd00::2".parse().unwrap()]);
        assert_eq!(pool.address(&0, &reserved).unwrap().to_string(), "fd00::3");
        let reserved = BTreeSet::from(["fd00::3".parse().unwrap()]);
        pool.keep(|_| true, &reserved);
        assert_eq!(pool.address(&0, &reserved).unwrap().to_string(), "fd00::4");
    }

    #[test]
    fn a_prefix_without_room_gives_none() {
        for net in ["10.0.0.1/32", "10.0.0.0/31", "fd00::/127"] {
            assert_eq!(pool(net).address(&0, &BTreeSet::new()), None, "{net}");
        }
        assert!(pool("::/0").address(&0, &BTreeSet::new()).is_some());
    }
}
