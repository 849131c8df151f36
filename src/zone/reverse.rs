//! The reverse side: who an address is, which reverse names exist, and where the reverse zones begin.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::entry::Key;
use super::kept::{KeptError, Octets};
use crate::wire::ReverseName;

/// Who the addresses of a block are: 256 neighbours, which stand together because nearly every one of them is
/// somebody's, and a map's entry for each would cost more than what it says. Sorted.
pub(crate) type Block = Box<[Pointer]>;

/// One service that gives an address a name. The name itself is read from the service's entry: it is the
/// service's own for a clusterIP, else that of the host, or of each of the hosts, that has the address.
#[derive(Debug, Clone)]
pub(crate) struct Pointer {
    pub(crate) service: Key,
    /// Where the first of the hosts stood when this was written, and whether there are several of this rank.
    host: u32,
    /// Of the service.
    pub(crate) ttl: u16,
    /// The address's last octet.
    pub(crate) last: u8,
    pub(crate) rank: Rank,
}

/// The bit above the host's place.
const SEVERAL: u32 = 1 << 31;

impl Pointer {
    pub(crate) fn new(last: u8, rank: Rank, service: Key, ttl: u16, host: Option<usize>) -> Self {
        let host = host.and_then(|host| u32::try_from(host).ok()).unwrap_or(0) & !SEVERAL;
        Self { service, host, ttl, last, rank }
    }

    /// Whether a pointer says the same but for the host: then this one is for both.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        let same = self.is_the_same_name(other) && self.ttl == other.ttl;
        if same {
            self.host = self.host.min(other.host) | SEVERAL;
        }
        same
    }

    /// Whether both stand for the same names, of one moment and of another: while a service changes, both are there.
    pub(crate) fn is_the_same_name(&self, other: &Self) -> bool {
        (self.last, self.rank, &self.service) == (other.last, other.rank, &other.service)
    }

    /// Where to look for the host first: it may have moved since.
    pub(crate) fn hint(&self) -> usize {
        (self.host & !SEVERAL) as usize
    }

    /// The host as another process reads it back.
    pub(super) fn kept_host(&self) -> u32 {
        self.host
    }

    /// One that was kept; `of` gives the key of a service, and how long its records live.
    pub(super) fn kept(
        octets: &mut Octets<'_>,
        of: impl Fn(usize) -> Option<(Key, u16)>,
    ) -> Result<Self, KeptError> {
        let (service, ttl) = of(octets.length()?).ok_or(KeptError::Addresses)?;
        let (host, last, rank) = (octets.u32()?, octets.u8()?, octets.u8()?);
        let rank = [Rank::ClusterIp, Rank::Governing, Rank::Other].into_iter().find(|one| *one as u8 == rank);
        Ok(Self { service, host, ttl, last, rank: rank.ok_or(KeptError::Addresses)? })
    }

    pub(crate) fn is_of_several(&self) -> bool {
        self.host & SEVERAL > 0
    }

    fn key(&self) -> (u8, Rank, &Key, u16, bool) {
        (self.last, self.rank, &self.service, self.ttl, self.is_of_several())
    }
}

// The host's place is a hint, and no block is written anew because hosts moved up by one.
impl PartialEq for Pointer {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Pointer {}

impl PartialOrd for Pointer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pointer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Those of one address, in the order they are answered.
pub(crate) fn of_address(block: &[Pointer], last: u8) -> &[Pointer] {
    of_addresses(block, last..=last)
}

fn of_addresses(block: &[Pointer], last: RangeInclusive<u8>) -> &[Pointer] {
    let from = block.partition_point(|pointer| pointer.last < *last.start());
    let to = block.partition_point(|pointer| pointer.last <= *last.end());
    &block[from..to]
}

/// Whether any address below a prefix that is within a block is somebody's.
pub(crate) fn any_below(block: &[Pointer], last: RangeInclusive<u8>) -> bool {
    !of_addresses(block, last).is_empty()
}

/// Records of one set have one time to live (RFC 2181, section 5.2): the least that a service of theirs says.
pub(crate) fn ttl(pointers: &[Pointer]) -> u16 {
    pointers.iter().map(|pointer| pointer.ttl).min().unwrap_or_default()
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// The block of an address, and its place there.
    pub(crate) fn block_of(address: IpAddr) -> (Self, u8) {
        let whole = Self::of(address);
        let last = match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15],
        };
        let mut block = whole;
        while let Some(parent) = block.parent().filter(|_| block.depth > block.block_depth()) {
            block = parent;
        }
        (block, last)
    }

    /// Appends a block's, to be read by another process.
    pub(super) fn keep(self, out: &mut Vec<u8>) {
        out.push(u8::from(self.v6));
        out.extend(self.bits.to_le_bytes());
    }

    /// A block's that was kept.
    pub(super) fn kept(octets: &mut Octets<'_>) -> Result<Self, KeptError> {
        let v6 = octets.u8()? == 1;
        let bits = octets.take(16)?.try_into().map(u128::from_le_bytes).map_err(|_| KeptError::Cut)?;
        let whole = Self { v6, depth: if v6 { 32 } else { 4 }, bits };
        let (block, last) = Self::block_of(whole.address(0));
        (block.bits == bits && last == 0).then_some(block).ok_or(KeptError::Addresses)
    }

    /// Labels of a block: all but the last 8 bits.
    fn block_depth(self) -> u8 {
        if self.v6 { 30 } else { 3 }
    }

    /// The block that a prefix of that many labels or more is in, and the last octets that it covers.
    pub(crate) fn within_block(self) -> Option<(Self, RangeInclusive<u8>)> {
        let below = self.depth.checked_sub(self.block_depth())?;
        let mut block = self;
        for _ in 0..below {
            block = block.parent()?;
        }
        #[allow(clippy::cast_possible_truncation)] // the last octet
        let first = if self.v6 { self.bits as u8 } else { (self.bits >> 96) as u8 };
        let free = if self.v6 { 8 - 4 * below } else { 8 - 8 * below };
        let covered = u8::MAX.checked_shr(u32::from(8 - free)).unwrap_or(0);
        Some((block, first..=first | covered))
    }

    /// The address of a place of this block.
    pub(crate) fn address(self, last: u8) -> IpAddr {
        #[allow(clippy::cast_possible_truncation)] // the top 32 bits, shifted down
        if self.v6 {
            Ipv6Addr::from_bits(self.bits | u128::from(last)).into()
        } else {
            Ipv4Addr::from_bits((self.bits >> 96) as u32 | u32::from(last)).into()
        }
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
    fn an_address_is_in_its_block() {
        for address in ["10.244.3.7", "10.244.3.255", "fd00::1:ab", "fd00::ff"] {
            let address: IpAddr = address.parse().unwrap();
            let (block, last) = Prefix::block_of(address);
            assert_eq!(block.address(last), address);
            assert_eq!(Prefix::of(address).within_block(), Some((block, last..=last)));
            assert_eq!(block.within_block(), Some((block, 0..=255)));
        }
        let nibble = Prefix::of("fd00::a7".parse().unwrap()).parent().unwrap();
        assert_eq!(nibble.within_block().unwrap().1, 0xa0..=0xaf);
        assert_eq!(nibble.parent().unwrap().parent().unwrap().within_block(), None);
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
