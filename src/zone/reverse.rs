//! The reverse side: who an address is, which reverse names exist, and where the reverse zones begin.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::wire::ReverseName;

/// The names of one address, in wire form, in the order they are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) names: Box<[PointerName]>,
}

/// One PTR record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PointerName {
    pub(crate) rank: Rank,
    /// Down to the root.
    pub(crate) name: Box<[u8]>,
    /// Of the service that the name is in.
    pub(crate) ttl: u16,
}

impl Pointer {
    /// Records of one set have one time to live (RFC 2181, section 5.2): the least that a service of theirs says.
    pub(crate) fn ttl(&self) -> u16 {
        self.names.iter().map(|name| name.ttl).min().unwrap_or_default()
    }
}

impl PointerName {
    /// Sorts before every name.
    pub(crate) fn least() -> Self {
        Self { rank: Rank::ClusterIp, name: Box::default(), ttl: 0 }
    }
}

/// What makes one name of an address come before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rank {
    /// The address is a Service's own.
    ClusterIp,
    /// A slice gives the endpoint this name.
    Governing,
    /// Any other endpoint.
    Other,
}

/// The first labels of a reverse name, as bits: the key of what exists below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Prefix {
    v6: bool,
    depth: u8,
    bits: u128,
}

impl Prefix {
    /// A whole address.
    pub(crate) fn of(address: IpAddr) -> Self {
        let (v6, depth, bits) = match address {
            IpAddr::V4(v4) => (false, 4, u128::from(v4.to_bits()) << 96),
            IpAddr::V6(v6) => (true, 32, v6.to_bits()),
        };
        Self { v6, depth, bits }
    }

    /// What a question's labels name.
    pub(crate) fn asked(name: &ReverseName) -> Self {
        #[allow(clippy::cast_possible_truncation)] // at most 32
        let depth = name.depth as u8;
        Self { v6: name.v6, depth, bits: name.bits }
    }

    /// One label fewer; None at the top.
    pub(crate) fn parent(self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        let kept = u32::from(depth) * if self.v6 { 4 } else { 8 };
        let mask = u128::MAX.checked_shl(128 - kept).unwrap_or(0);
        Some(Self { depth, bits: self.bits & mask, ..self })
    }
}

/// A configured prefix: its zones begin at the first label boundary at or below it (172.16.0.0/12 is the
/// sixteen zones 16.172.in-addr.arpa to 31.172.in-addr.arpa).
pub(crate) struct ReversePrefix {
    v6: bool,
    bits: u128,
    mask: u128,
    /// Labels before `in-addr.arpa` or `ip6.arpa` that make an apex.
    depth: usize,
}

impl ReversePrefix {
    pub(crate) fn new(net: IpNet) -> Self {
        let (v6, bits, label_bits) = match net.network() {
            IpAddr::V4(v4) => (false, u128::from(v4.to_bits()) << 96, 8),
            IpAddr::V6(v6) => (true, v6.to_bits(), 4),
        };
        let length = usize::from(net.prefix_len());
        let mask = u128::MAX.checked_shl(128 - u32::from(net.prefix_len())).unwrap_or(0);
        Self { v6, bits, mask, depth: length.div_ceil(label_bits) }
    }

    /// How many labels the apex has before the tree's own two, when the name is at or below one of this
    /// prefix's zones.
    pub(crate) fn apex(&self, name: &ReverseName) -> Option<usize> {
        let within = self.v6 == name.v6 && name.depth >= self.depth && name.bits & self.mask == self.bits;
        within.then_some(self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(net: &str) -> ReversePrefix {
        ReversePrefix::new(net.parse().unwrap())
    }

    fn name(address: &str, depth: usize) -> ReverseName {
        let mut prefix = Prefix::of(address.parse().unwrap());
        while usize::from(prefix.depth) > depth {
            prefix = prefix.parent().unwrap();
        }
        ReverseName { v6: prefix.v6, bits: prefix.bits, depth, extra: 0 }
    }

    #[test]
    fn apexes_are_label_boundaries() {
        assert_eq!(prefix("10.0.0.0/8").apex(&name("10.244.0.2", 4)), Some(1));
        assert_eq!(prefix("10.0.0.0/8").apex(&name("10.244.0.2", 1)), Some(1));
        assert_eq!(prefix("10.0.0.0/8").apex(&name("10.244.0.2", 0)), None);
        assert_eq!(prefix("172.16.0.0/12").apex(&name("172.31.0.2", 2)), Some(2));
        assert_eq!(prefix("172.16.0.0/12").apex(&name("172.31.0.2", 1)), None);
        assert_eq!(prefix("172.16.0.0/12").apex(&name("172.32.0.2", 4)), None);
        assert_eq!(prefix("fd00::/8").apex(&name("fd00::1", 2)), Some(2));
        assert_eq!(prefix("fd00::/8").apex(&name("10.0.0.1", 4)), None);
    }

    #[test]
    fn parents_lose_a_label_each() {
        let mut prefix = Some(Prefix::of("fd00::ff".parse().unwrap()));
        let mut count = 0;
        while let Some(here) = prefix {
            assert_eq!(usize::from(here.depth), 32 - count);
            prefix = here.parent();
            count += 1;
        }
        assert_eq!(count, 33);
    }
}
