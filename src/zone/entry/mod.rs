//! One service, encoded: what a reader finds by one lookup and writes answers from.
//!
//! Everything that differs from service to service lies in one piece of memory, in the order in which a lookup
//! reads it: the key, the addresses, the table of the hosts' names, the hosts, their labels. A host is 8 octets
//! there beside its label and its addresses, and its addresses are a range of the service's own wherever they can
//! be. What many services have alike, their ports, is shared between them ([`Ports`]).

mod kept;

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::ops::{Deref, Range};
use std::sync::{Arc, LazyLock};

use super::lookup::undashed;
use super::ports::{PortSet, Ports, SrvSet};
use super::settings::{Holding, Ttl};
use crate::reasons::{Notes, Reason};
use crate::records::{Expected, Hold, Host, ServiceRecords, Shape, ordinal_of};

/// Seeded at start: labels come from whoever may create objects.
static HASHER: LazyLock<foldhash::fast::RandomState> = LazyLock::new(Default::default);

/// `5nginx7default`: the labels of service and namespace as they stand in a question. Shared by the entry and the
/// pointers to it, of which there is one an address: so it is one word wide, which an `Arc<[u8]>` is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Arc<Labels>);

type Labels = Box<[u8]>;

impl Key {
    pub(crate) fn new(labels: &[u8]) -> Self {
        Self(Arc::new(labels.into()))
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// All records of one service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    octets: Box<[u8]>,
    parts: Parts,
    pub(crate) ttl: Ttl,
    /// What the Service says of holding questions, as [`hold_number`] has it.
    hold: u16,
    pub(crate) shape: Shape,
    ports: Arc<Ports>,
    key: Key,
}

/// What a Service says of holding questions, in the two octets that an [`Entry`] has to spare.
fn hold_number(said: Option<Hold>) -> u16 {
    match said {
        Some(Hold::Never) => 0,
        Some(Hold::For(milliseconds)) => milliseconds,
        Some(Hold::AsConfigured) => HOLD_AS_CONFIGURED,
        None => HOLD_UNSAID,
    }
}

const HOLD_AS_CONFIGURED: u16 = u16::MAX - 1;
const HOLD_UNSAID: u16 = u16::MAX;

/// Where the parts of the octets begin; each ends where the next one begins. The key is at the front. With the rest of
/// [`Entry`] it is 88 octets, which with the allocator's 8 fill three halves of a cache line.
#[derive(Debug, PartialEq, Eq, Default)]
struct Parts {
    key: u8,
    /// Octets of a slot of the table: 1, 2 or 4.
    slot: u8,
    /// Hosts are [`WIDE`] octets instead of [`NARROW`].
    wide: bool,
    /// Of the addresses, those of the service's own name; they are the first ones.
    service_a: u32,
    service_aaaa: u32,
    aaaa_at: u32,
    table_at: u32,
    hosts_at: u32,
    labels_at: u32,
    expected_at: u32,
}

/// A host in the octets: its label's place (16 bits), the first of its A records (16), the first of its AAAA
/// records (16), how many it has of both (4 and 4), its set of ports (7), whether a slice gives it this name (1).
const NARROW: usize = 8;
/// The same with 32 bits for each: label, first A, A records, first AAAA, AAAA records, ports and name.
const WIDE: usize = 24;

/// A host, as it was read from the octets or is to be written to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    label: u32,
    a: Span,
    aaaa: Span,
    ports: u32,
    governing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    start: u32,
    count: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.count as usize
    }
}

#[allow(clippy::cast_possible_truncation)] // a service of 2^32 octets would not fit in memory
fn small(index: usize) -> u32 {
    index as u32
}

impl Place {
    fn is_narrow(&self) -> bool {
        let fits = |n: u32| n <= u32::from(u16::MAX);
        let few = self.a.count < 16 && self.aaaa.count < 16 && self.ports < 128;
        few && fits(self.label) && fits(self.a.start) && fits(self.aaaa.start)
    }

    #[allow(clippy::cast_possible_truncation)] // narrow: see `is_narrow`
    fn write(&self, wide: bool, octets: &mut Vec<u8>) {
        let governing = u32::from(self.governing);
        if wide {
            let ports = self.ports << 1 | governing;
            let words = [self.label, self.a.start, self.a.count, self.aaaa.start, self.aaaa.count, ports];
            words.iter().for_each(|word| octets.extend(word.to_le_bytes()));
        } else {
            let words = [self.label, self.a.start, self.aaaa.start];
            words.iter().for_each(|word| octets.extend((*word as u16).to_le_bytes()));
            octets.push((self.a.count << 4 | self.aaaa.count) as u8);
            octets.push((self.ports << 1 | governing) as u8);
        }
    }

    fn read(octets: &[u8], wide: bool, index: usize) -> Self {
        if wide {
            let words = octets[index * WIDE..].first_chunk::<WIDE>().map_or(&[][..], |words| words);
            let word = |i: usize| number(&words[i * 4..i * 4 + 4]);
            let (a, aaaa) =
                (Span { start: word(1), count: word(2) }, Span { start: word(3), count: word(4) });
            return Self { label: word(0), a, aaaa, ports: word(5) >> 1, governing: word(5) & 1 > 0 };
        }
        let Some(&[l0, l1, a0, a1, q0, q1, counts, ports]) = octets[index * NARROW..].first_chunk::<NARROW>()
        else {
            return Self::default();
        };
        let word = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]));
        Self {
            label: word(l0, l1),
            a: Span { start: word(a0, a1), count: u32::from(counts >> 4) },
            aaaa: Span { start: word(q0, q1), count: u32::from(counts & 15) },
            ports: u32::from(ports >> 1),
            governing: ports & 1 > 0,
        }
    }
}

/// [`Expected`] in the octets: the length of the set's name, which is not 0, its name, its first ordinal, and its end;
/// then the length in 16 bits of what is told of it, and that.
struct ExpectedSet<'a> {
    name: &'a [u8],
    first: u32,
    end: u64,
    /// The data of a TXT record.
    told: &'a [u8],
}

impl<'a> ExpectedSet<'a> {
    fn read(octets: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&length, after) = octets.split_first().filter(|(length, _)| **length > 0)?;
        let (name, after) = after.split_at_checked(usize::from(length))?;
        let (first, after) = after.split_first_chunk::<4>()?;
        let (end, after) = after.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<2>()?;
        let (told, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (first, end) = (u32::from_le_bytes(*first), u64::from_le_bytes(*end));
        Some((Self { name, first, end, told }, after))
    }
}

/// Little-endian, of 1, 2 or 4 octets.
fn number(octets: &[u8]) -> u32 {
    match *octets {
        [a] => u32::from(a),
        [a, b] => u32::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

impl Entry {
    /// Encodes a service's records, and why names of it are absent.
    pub(crate) fn new(key: Key, records: &ServiceRecords, notes: &Notes, defaults: Ttl) -> Self {
        let ttl = Ttl {
            positive: records.ttl.positive.unwrap_or(defaults.positive),
            negative: records.ttl.negative.unwrap_or(defaults.negative),
            expected: records.ttl.expected.unwrap_or(defaults.expected),
        };
        let (ports, sets) = Ports::new(records);
        let (octets, parts) = encode(&key, records, notes, &sets);
        let hold = hold_number(records.ttl.hold);
        Self { octets, parts, ttl, hold, shape: records.shape.clone(), ports: Arc::new(ports), key }
    }

    /// Takes ports that are equal and in use already, where there are such.
    pub(crate) fn share_ports(&mut self, share: impl FnOnce(&Arc<Ports>) -> Arc<Ports>) {
        self.ports = share(&self.ports);
    }

    /// The key, to be shared.
    pub(crate) fn shared_key(&self) -> &Key {
        &self.key
    }

    /// The same, from where a lookup reads it.
    pub(crate) fn key(&self) -> &[u8] {
        &self.octets[..usize::from(self.parts.key)]
    }

    /// A host by its label, lower case.
    pub(crate) fn host(&self, label: &[u8]) -> Option<usize> {
        let table = &self.octets[self.parts.table_at as usize..self.parts.hosts_at as usize];
        let width = usize::from(self.parts.slot);
        let mask = (table.len() / width.max(1)).checked_sub(1)?;
        let mut slot = hash(label) & mask;
        loop {
            let index = number(&table[slot * width..(slot + 1) * width]);
            // The hosts are fewer than the largest number of the width: it is never an index.
            if index == empty_slot(width) {
                return None;
            }
            let index = index as usize;
            if self.host_label(index).get(1..) == Some(label) {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn place(&self, host: usize) -> Place {
        Place::read(&self.octets[self.parts.hosts_at as usize..], self.parts.wide, host)
    }

    /// A host's label behind its length octet: the front of an SRV target.
    pub(crate) fn host_label(&self, host: usize) -> &[u8] {
        let start = (self.parts.labels_at + self.place(host).label) as usize;
        &self.octets[start..=start + usize::from(self.octets[start])]
    }

    pub(crate) fn host_count(&self) -> usize {
        let size = if self.parts.wide { WIDE } else { NARROW };
        (self.parts.labels_at - self.parts.hosts_at) as usize / size
    }

    /// A headless service without a ready endpoint does not exist (specification, section 2.4.1).
    pub(crate) fn has_addresses(&self) -> bool {
        self.parts.service_a + self.parts.service_aaaa > 0
    }

    fn a(&self) -> &[[u8; 4]] {
        self.octets[usize::from(self.parts.key)..self.parts.aaaa_at as usize].as_chunks().0
    }

    fn aaaa(&self) -> &[[u8; 16]] {
        self.octets[self.parts.aaaa_at as usize..self.parts.table_at as usize].as_chunks().0
    }

    pub(crate) fn service_a(&self) -> &[[u8; 4]] {
        &self.a()[..self.parts.service_a as usize]
    }

    pub(crate) fn service_aaaa(&self) -> &[[u8; 16]] {
        &self.aaaa()[..self.parts.service_aaaa as usize]
    }

    pub(crate) fn host_a(&self, host: usize) -> &[[u8; 4]] {
        &self.a()[self.place(host).a.range()]
    }

    pub(crate) fn host_aaaa(&self, host: usize) -> &[[u8; 16]] {
        &self.aaaa()[self.place(host).aaaa.range()]
    }

    pub(crate) fn host_ports(&self, host: usize) -> &PortSet {
        self.ports.of_hosts(self.place(host).ports as usize)
    }

    pub(crate) fn is_governing(&self, host: usize) -> bool {
        self.place(host).governing
    }

    /// The ports, shared with services that have the same ones.
    pub(crate) fn ports(&self) -> &Arc<Ports> {
        &self.ports
    }

    pub(crate) fn service_srv(&self) -> SrvSet<'_> {
        self.ports.at_service(small(self.host_count()))
    }

    pub(crate) fn port_srv(&self, name: &[u8], protocol: &[u8]) -> Option<SrvSet<'_>> {
        self.ports.at_port(small(self.host_count()), name, protocol)
    }

    /// Whether a StatefulSet says that this name should be there.
    pub(crate) fn expects(&self, label: &[u8]) -> bool {
        let is_own = |set: &ExpectedSet<'_>| {
            ordinal_of(label, set.name).is_some_and(|ordinal| (set.first.into()..set.end).contains(&ordinal))
        };
        self.expected().any(|set| is_own(&set))
    }

    /// For how many milliseconds a question for the addresses of a host waits: of one that is not there and that a
    /// StatefulSet says should be. Of a Service that is not there itself nothing is to be expected within seconds.
    pub(crate) fn holds(&self, label: &[u8], holding: Holding) -> Option<u16> {
        let said = match self.hold {
            HOLD_UNSAID => None,
            HOLD_AS_CONFIGURED => Some(Hold::AsConfigured),
            0 => Some(Hold::Never),
            milliseconds => Some(Hold::For(milliseconds)),
        };
        let milliseconds = holding.of(said)?;
        let has_hosts = matches!(self.shape, Shape::Headless | Shape::ClusterIp);
        (has_hosts && self.expects(label) && self.host(label).is_none()).then_some(milliseconds)
    }

    /// Why a name of a host is absent, as far as something is known of just this name; it is.
    pub(crate) fn why_no_host<'a>(&'a self, label: &'a [u8]) -> Option<Reason<'a>> {
        Notes::host(self.notes(), label).or_else(|| {
            // Of a set that is scaled to zero there is more to say than that.
            let is_its_own = |set: &ExpectedSet<'_>| {
                u64::from(set.first) < set.end && ordinal_of(label, set.name).is_some()
            };
            let set = self.expected().find(is_its_own)?;
            let (name, set_name) = (std::str::from_utf8(label).ok()?, std::str::from_utf8(set.name).ok()?);
            let is_beyond = !self.expects(label);
            let (first, end) = (set.first, set.end);
            is_beyond.then_some(Reason::BeyondReplicas { name, set: set_name, first, end })
        })
    }

    /// Why the service's own name is absent; it is.
    pub(crate) fn why_absent(&self) -> Option<Reason<'_>> {
        Notes::service(self.notes())
    }

    /// Whether the last of the hosts, which those with names of their own stand before, is called by its address.
    pub(crate) fn has_dashed_hosts(&self) -> bool {
        let last = self.host_count().checked_sub(1);
        last.is_some_and(|last| !self.is_governing(last) && undashed(&self.host_label(last)[1..]).is_some())
    }

    fn expected(&self) -> impl Iterator<Item = ExpectedSet<'_>> {
        let mut rest = &self.octets[self.parts.expected_at as usize..];
        std::iter::from_fn(move || {
            let (set, after) = ExpectedSet::read(rest)?;
            rest = after;
            Some(set)
        })
    }

    /// Behind the sets, and an empty one that ends them; nothing where there is nothing to say.
    fn notes(&self) -> &[u8] {
        let mut rest = &self.octets[self.parts.expected_at as usize..];
        while let Some((_, after)) = ExpectedSet::read(rest) {
            rest = after;
        }
        rest.get(1..).unwrap_or_default()
    }

    /// What is told of each of its StatefulSets, as the data of a TXT record.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &[u8]> {
        self.expected().map(|set| set.told)
    }

    pub(crate) fn has_sets(&self) -> bool {
        self.sets().next().is_some()
    }

    /// The addresses of the service's own name where it has one of its own, and those of its hosts with the host's
    /// index.
    pub(crate) fn reverse(&self) -> Vec<(IpAddr, Option<usize>)> {
        let mut reverse = Vec::with_capacity(self.host_count() + 1);
        if self.shape == Shape::ClusterIp {
            reverse.extend(self.service_a().iter().map(|a| ((*a).into(), None)));
            reverse.extend(self.service_aaaa().iter().map(|aaaa| ((*aaaa).into(), None)));
        }
        for host in 0..self.host_count() {
            let place = self.place(host);
            reverse.extend(self.a()[place.a.range()].iter().map(|a| ((*a).into(), Some(host))));
            reverse.extend(self.aaaa()[place.aaaa.range()].iter().map(|aaaa| ((*aaaa).into(), Some(host))));
        }
        reverse
    }

    /// Whether the service's own name has the address.
    pub(crate) fn is_at(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.service_a().contains(&v4.octets()),
            IpAddr::V6(v6) => self.service_aaaa().contains(&v6.octets()),
        }
    }

    /// The hosts that have the address, in order.
    pub(crate) fn hosts_at(&self, address: IpAddr) -> impl Iterator<Item = usize> + '_ {
        (0..self.host_count()).filter(move |host| self.host_is_at(*host, address))
    }

    /// A host that has the address and that `wanted` says yes to, nearest to where it was: hosts move by as many as
    /// came or went before them.
    pub(crate) fn host_near(
        &self,
        hint: usize,
        address: IpAddr,
        wanted: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let count = self.host_count();
        let hint = hint.min(count);
        let is = |host: &usize| self.host_is_at(*host, address) && wanted(*host);
        let mut outwards = (0..count).flat_map(|step| {
            let above = Some(hint + step).filter(|host| *host < count);
            let below = hint.checked_sub(step + 1);
            [above, below].into_iter().flatten()
        });
        outwards.find(is)
    }

    fn host_is_at(&self, host: usize, address: IpAddr) -> bool {
        let place = self.place(host);
        match address {
            IpAddr::V4(v4) => self.a()[place.a.range()].contains(&v4.octets()),
            IpAddr::V6(v6) => self.aaaa()[place.aaaa.range()].contains(&v6.octets()),
        }
    }
}

fn encode(key: &[u8], records: &ServiceRecords, notes: &Notes, sets: &[usize]) -> (Box<[u8]>, Parts) {
    let mut a: Vec<[u8; 4]> = records.addresses.v4.iter().map(|v4| v4.octets()).collect();
    let mut aaaa: Vec<[u8; 16]> = records.addresses.v6.iter().map(|v6| v6.octets()).collect();
    let (service_a, service_aaaa) = (small(a.len()), small(aaaa.len()));
    let (mut places, mut labels) = (Vec::with_capacity(records.hosts.len()), Vec::new());
    // Hosts stand in the order of the service's own addresses: the next range is nearly always the one behind
    // the last.
    let (mut next_a, mut next_aaaa) = (0, 0);
    for (Host { label, addresses, governing, .. }, set) in records.hosts.iter().zip(sets) {
        let v4 = addresses.v4.iter().map(|v4| v4.octets());
        let v6 = addresses.v6.iter().map(|v6| v6.octets());
        places.push(Place {
            label: small(labels.len()),
            a: span(&mut a, &mut next_a, v4),
            aaaa: span(&mut aaaa, &mut next_aaaa, v6),
            ports: small(*set),
            governing: *governing,
        });
        push_text(&mut labels, label);
    }
    let wide = !places.iter().all(Place::is_narrow);
    let slot = [1, 2, 4].into_iter().find(|width| small(places.len()) < empty_slot(*width)).unwrap_or(4);
    let mut octets = key.to_vec();
    #[allow(clippy::cast_possible_truncation)] // two labels; 1, 2 or 4
    let (key_length, slot_length) = (key.len() as u8, slot as u8);
    let mut parts = Parts { wide, service_a, service_aaaa, ..Parts::default() };
    (parts.key, parts.slot) = (key_length, slot_length);
    a.iter().for_each(|a| octets.extend(a));
    parts.aaaa_at = small(octets.len());
    aaaa.iter().for_each(|aaaa| octets.extend(aaaa));
    parts.table_at = small(octets.len());
    let labels_of = records.hosts.iter().map(|host| host.label.as_bytes());
    table(labels_of).iter().for_each(|index| octets.extend(&index.to_le_bytes()[..slot]));
    parts.hosts_at = small(octets.len());
    places.iter().for_each(|place| place.write(wide, &mut octets));
    parts.labels_at = small(octets.len());
    octets.extend(labels);
    parts.expected_at = small(octets.len());
    for expected in records.expected.iter().filter(|expected| expected.set.len() <= 63) {
        push_text(&mut octets, &expected.set);
        octets.extend(expected.first.to_le_bytes());
        octets.extend(expected.end.to_le_bytes());
        let strings = strings(expected);
        octets.extend(u16::try_from(strings.len()).unwrap_or(0).to_le_bytes());
        octets.extend(strings);
    }
    if !notes.is_empty() {
        octets.push(0);
        octets.extend(notes.octets());
    }
    (octets.into(), parts)
}

/// What is told of a set (RFC 6763, section 6.3: a key, `=` and a value a string), each string behind its length. The
/// text of a revision that is too long for a string is left out.
fn strings(expected: &Expected) -> Vec<u8> {
    let Expected { set, first, end, ready, revision } = expected;
    let replicas = end.saturating_sub(u64::from(*first));
    let mut strings = Vec::new();
    let mut push = |text: String| {
        if let Ok(length) = u8::try_from(text.len()) {
            strings.push(length);
            strings.extend(text.as_bytes());
        }
    };
    push(format!("name={set}"));
    push(format!("replicas={replicas}"));
    push(format!("start={first}"));
    push(format!("ready={ready}"));
    revision.iter().for_each(|revision| push(format!("revision={revision}")));
    strings
}

/// Of at most 63 octets, behind its length.
#[allow(clippy::cast_possible_truncation)]
fn push_text(octets: &mut Vec<u8>, text: &str) {
    octets.push(text.len() as u8);
    octets.extend(text.as_bytes());
}

/// Open addressing over the labels' hashes, half full at most; an index of four octets is cut to a slot's.
fn table<'l>(labels: impl ExactSizeIterator<Item = &'l [u8]>) -> Vec<u32> {
    let mut table = vec![u32::MAX; slots(labels.len())];
    let mask = table.len().wrapping_sub(1);
    for (index, label) in labels.enumerate() {
        let mut slot = hash(label) & mask;
        while table[slot] != u32::MAX {
            slot = (slot + 1) & mask;
        }
        table[slot] = small(index);
    }
    table
}

/// Slots of the table of so many hosts.
fn slots(hosts: usize) -> usize {
    if hosts == 0 { 0 } else { (hosts * 2).next_power_of_two() }
}

/// What stands in a slot of so many octets when no host does.
fn empty_slot(width: usize) -> u32 {
    u32::MAX >> (32 - 8 * width.clamp(1, 4))
}

fn hash(label: &[u8]) -> usize {
    #[allow(clippy::cast_possible_truncation)] // a hash: any of its bits will do
    let hash = HASHER.hash_one(label) as usize;
    hash
}

/// Where `wanted` stands in `all`, behind the last range found; appended when it does not.
fn span<T: Copy + PartialEq>(
    all: &mut Vec<T>,
    next: &mut usize,
    wanted: impl ExactSizeIterator<Item = T> + Clone,
) -> Span {
    let count = small(wanted.len());
    let end = *next + wanted.len();
    if all.get(*next..end).is_some_and(|there| there.iter().copied().eq(wanted.clone())) {
        let span = Span { start: small(*next), count };
        *next = end;
        return span;
    }
    let span = Span { start: small(all.len()), count };
    all.extend(wanted);
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Addresses, Label, ServiceKey, TtlOverrides};

    const DEFAULTS: Ttl = Ttl { positive: 5, negative: 5, expected: 0 };

    /// Hosts `h-0` … with `each` addresses of their own, all of them the service's as well.
    fn mk_records(hosts: u32, each: u32) -> ServiceRecords {
        let label = |text: &str| Label::new(text).unwrap();
        let address = |n: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
        let host = |index: u32| Host {
            label: format!("h-{index}").into(),
            addresses: Addresses {
                v4: (index * each..(index + 1) * each).map(address).collect(),
                v6: vec![std::net::Ipv6Addr::from_bits(u128::from(index))],
            },
            ports: [].into(),
            governing: index.is_multiple_of(2),
        };
        let hosts: Vec<Host> = (0..hosts).map(host).collect();
        let addresses = Addresses {
            v4: hosts.iter().flat_map(|host| host.addresses.v4.clone()).collect(),
            v6: hosts.iter().flat_map(|host| host.addresses.v6.clone()).collect(),
        };
        let expected =
            vec![Expected { set: "h".into(), first: 3, end: 7, ready: 1, revision: Some("h-5d".into()) }];
        ServiceRecords {
            key: ServiceKey { namespace: label("default"), name: label("nginx") },
            shape: Shape::Headless,
            ttl: TtlOverrides::default(),
            addresses,
            hosts,
            srv: Vec::new(),
            ports: Vec::new(),
            expected,
        }
    }

    fn mk_entry(records: &ServiceRecords) -> Entry {
        Entry::new(Key::new(b"\x05nginx\x07default"), records, &Notes::default(), DEFAULTS)
    }

    #[test]
    fn every_host_is_found_at_each_width() {
        // Slots of 1, 2 and 4 octets, and both sides of each border; narrow hosts and wide ones.
        for (hosts, each) in
            [(0, 1), (1, 1), (254, 1), (255, 1), (256, 1), (3, 15), (3, 16), (65_534, 1), (65_536, 1)]
        {
            let records = mk_records(hosts, each);
            let entry = mk_entry(&records);
            assert_eq!(entry.key(), b"\x05nginx\x07default");
            assert_eq!(entry.host_count(), records.hosts.len());
            for (index, host) in records.hosts.iter().enumerate().step_by(if hosts > 1000 { 9973 } else { 1 })
            {
                assert_eq!(entry.host(host.label.as_bytes()), Some(index));
                assert_eq!(&entry.host_label(index)[1..], host.label.as_bytes());
                let octets: Vec<[u8; 4]> = host.addresses.v4.iter().map(|v4| v4.octets()).collect();
                assert_eq!(entry.host_a(index), octets);
                assert_eq!(entry.host_aaaa(index), [host.addresses.v6[0].octets()]);
                assert_eq!(entry.is_governing(index), host.governing);
                let found: Vec<usize> = entry.hosts_at(host.addresses.v4[0].into()).collect();
                assert_eq!(found, [index]);
                for hint in [0, index, index + 1, usize::MAX] {
                    let near = entry.host_near(hint, host.addresses.v6[0].into(), |_| true);
                    assert_eq!(near, Some(index));
                }
            }
            assert_eq!(entry.host(b"h-none"), None);
            assert_eq!(entry.host(b""), None);
            assert_eq!(entry.service_a().len(), records.addresses.v4.len());
        }
    }

    #[test]
    fn what_is_expected_is_a_canonical_ordinal_of_the_set() {
        let entry = mk_entry(&mk_records(1, 1));
        for (label, is) in
            [("h-3", true), ("h-6", true), ("h-2", false), ("h-7", false), ("h-03", false), ("h", false)]
        {
            assert_eq!(entry.expects(label.as_bytes()), is, "{label}");
        }
    }

    #[test]
    fn what_is_held_is_expected_not_there_and_wanted() {
        let records = |hold, shape| {
            let ttl = TtlOverrides { hold, ..TtlOverrides::default() };
            ServiceRecords { ttl, shape, ..mk_records(4, 1) }
        };
        let of = |hold, shape, label: &str, all, longest| {
            mk_entry(&records(hold, shape)).holds(label.as_bytes(), Holding { all, longest })
        };
        let yes = Some(Hold::AsConfigured);
        // Of the ordinals 3 to 6 the first one is there.
        assert_eq!(of(yes, Shape::Headless, "h-4", false, 1000), Some(1000));
        assert_eq!(of(yes, Shape::ClusterIp, "h-6", false, 1000), Some(1000));
        for label in ["h-3", "h-7", "h-2", "h", "_tcp", "other-4", "h-04"] {
            assert_eq!(of(yes, Shape::Headless, label, true, 1000), None, "{label}");
        }
        let said = |hold, all, longest| of(hold, Shape::Headless, "h-4", all, longest);
        assert_eq!((said(None, false, 1000), said(None, true, 700)), (None, Some(700)));
        assert_eq!(said(Some(Hold::Never), true, 1000), None);
        assert_eq!(said(Some(Hold::For(300)), false, 1000), Some(300));
        assert_eq!(said(Some(Hold::For(1800)), true, 1000), Some(1000), "the operator's bound");
        assert_eq!((said(yes, true, 0), said(Some(Hold::For(300)), true, 0)), (None, None));
        assert_eq!(of(yes, Shape::Absent, "h-4", true, 1000), None);
    }

    #[test]
    fn memory_of_an_entry_and_of_a_pointer() {
        assert_eq!(size_of::<Entry>(), 88);
        assert_eq!(size_of::<crate::zone::reverse::Pointer>(), 16);
        let octets = |hosts| mk_entry(&mk_records(hosts, 1)).octets.len();
        // Label, IPv4 and IPv6 address, host, two to four slots.
        assert!(octets(200) - octets(100) <= 100 * (6 + 4 + 16 + 8 + 4), "{}", octets(200) - octets(100));
    }
}
