//! Reverse names: `4.3.2.1.in-addr.arpa` (RFC 1035, section 3.5) and nibbles under `ip6.arpa` (RFC 3596, section 2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::ParsedName;

/// A name below `in-addr.arpa` or `ip6.arpa`, as far as its labels are octets or nibbles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReverseName {
    /// IPv6 (nibbles) or IPv4 (octets).
    pub v6: bool,
    /// The bits that the labels give, at the top of the number; the rest 0.
    pub bits: u128,
    /// How many labels, from the right, are octets or nibbles: up to 4 or 32.
    pub depth: usize,
    /// Labels before those: garbage, or one label too many.
    pub extra: usize,
}

impl ReverseName {
    /// Reads a name; None when it is not below the two reverse trees.
    #[must_use]
    pub fn read(name: &ParsedName) -> Option<Self> {
        if name.label_from_right(0) != b"arpa" {
            return None;
        }
        let v6 = match name.label_from_right(1) {
            b"in-addr" => false,
            b"ip6" => true,
            _ => return None,
        };
        let (most, width) = if v6 { (32, 4) } else { (4, 8) };
        let parse = if v6 { nibble } else { octet };
        let below = name.label_count() - 2;
        let (mut bits, mut depth) = (0_u128, 0);
        while depth < most.min(below) {
            let Some(value) = parse(name.label_from_right(2 + depth)) else { break };
            bits |= u128::from(value) << (128 - width * (depth + 1));
            depth += 1;
        }
        Some(Self { v6, bits, depth, extra: below - depth })
    }

    /// The address, when the name is a whole one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match (self.v6, self.depth, self.extra) {
            #[allow(clippy::cast_possible_truncation)] // the top 32 bits, shifted down
            (false, 4, 0) => Some(Ipv4Addr::from((self.bits >> 96) as u32).into()),
            (true, 32, 0) => Some(Ipv6Addr::from(self.bits).into()),
            _ => None,
        }
    }

    /// Bits a label: 8 or 4.
    #[must_use]
    pub fn label_bits(&self) -> usize {
        if self.v6 { 4 } else { 8 }
    }
}

fn octet(label: &[u8]) -> Option<u8> {
    // "010" and "256" are not octets: such a name can never be published.
    if label.len() > 3 || (label.len() > 1 && label[0] == b'0') {
        return None;
    }
    // A sign would parse too.
    let digits = std::str::from_utf8(label).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits?.parse().ok()
}

fn nibble(label: &[u8]) -> Option<u8> {
    match *label {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        [letter @ b'a'..=b'f'] => Some(letter - b'a' + 10),
        _ => None,
    }
}

/// The reverse name of an address, in presentation form with the final dot.
#[must_use]
pub fn reverse_name(address: IpAddr) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(73);
    match address {
        IpAddr::V4(v4) => {
            for octet in v4.octets().iter().rev() {
                let _ = write!(text, "{octet}.");
            }
            text.push_str("in-addr.arpa.");
        }
        IpAddr::V6(v6) => {
            for octet in v6.octets().iter().rev() {
                let _ = write!(text, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            text.push_str("ip6.arpa.");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    fn read(text: &str) -> Option<ReverseName> {
        let mut name = ParsedName::default();
        name.parse(Name::from_text(text).unwrap().as_wire()).unwrap();
        ReverseName::read(&name)
    }

    #[test]
    fn whole_names_are_addresses() {
        for address in ["10.244.0.2", "0.0.0.0", "255.255.255.255", "fd00:10:244::2", "::1"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(read(&reverse_name(address)).unwrap().address(), Some(address));
        }
    }

    #[test]
    fn partial_and_odd_names() {
        let part = read("244.10.in-addr.arpa").unwrap();
        assert_eq!((part.depth, part.extra, part.bits >> 112), (2, 0, 0x0af4));
        assert_eq!(part.address(), None);
        for odd in ["010.10.in-addr.arpa", "256.10.in-addr.arpa", "x.10.in-addr.arpa", "-1.10.in-addr.arpa"] {
            let odd = read(odd).unwrap();
            assert_eq!((odd.depth, odd.extra), (1, 1));
        }
        assert_eq!(read("1.2.3.4.5.in-addr.arpa").unwrap().extra, 1);
        assert_eq!(read("in-addr.arpa").unwrap().depth, 0);
        assert_eq!(read("g.ip6.arpa").unwrap().extra, 1);
        assert_eq!(read("arpa"), None);
        assert_eq!(read("10.in-addr.example"), None);
    }
}
