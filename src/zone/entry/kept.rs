//! An entry as octets that another process reads back: as it lies in memory, but for the table of names, whose hashes
//! are seeded anew by each process.

use std::sync::Arc;

use super::{Entry, Key, NARROW, Parts, Place, Span, WIDE, empty_slot, slots, small, table};
use crate::records::{Label, Shape};
use crate::zone::kept::{KeptError, Octets};
use crate::zone::ports::Ports;
use crate::zone::{Name, Ttl};

const CLUSTER_IP: u8 = 0;
const HEADLESS: u8 = 1;
const EXTERNAL: u8 = 2;
const ABSENT: u8 = 3;

impl Entry {
    /// Appends the entry; `ports` is which of the ports that are kept it has.
    pub(in crate::zone) fn keep(&self, ports: u32, out: &mut Vec<u8>) {
        match &self.shape {
            Shape::ClusterIp => out.push(CLUSTER_IP),
            Shape::Headless => out.push(HEADLESS),
            Shape::Absent => out.push(ABSENT),
            Shape::External(target) => {
                out.push(EXTERNAL);
                let text = target.to_string();
                out.extend(small(text.len()).to_le_bytes());
                out.extend(text.as_bytes());
            }
        }
        let Ttl { positive, negative, expected } = self.ttl;
        [positive, negative, expected, self.hold].iter().for_each(|time| out.extend(time.to_le_bytes()));
        out.extend(ports.to_le_bytes());
        let Parts { key, slot, wide, service_a, service_aaaa, .. } = self.parts;
        out.extend([key, slot, u8::from(wide)]);
        let Parts { aaaa_at, table_at, hosts_at, labels_at, expected_at, .. } = self.parts;
        let numbers = [service_a, service_aaaa, aaaa_at, table_at, hosts_at, labels_at, expected_at];
        numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        out.extend(small(self.octets.len()).to_le_bytes());
        let begin = out.len();
        out.extend(&self.octets);
        // Of no use to another process.
        out[begin + table_at as usize..begin + hosts_at as usize].fill(0);
    }

    /// An entry that was kept: one that no lookup can fail at, or none.
    pub(in crate::zone) fn kept(octets: &mut Octets<'_>, ports: &[Arc<Ports>]) -> Result<Self, KeptError> {
        let shape = match octets.u8()? {
            CLUSTER_IP => Shape::ClusterIp,
            HEADLESS => Shape::Headless,
            ABSENT => Shape::Absent,
            EXTERNAL => {
                let length = octets.length()?;
                let text = std::str::from_utf8(octets.take(length)?).map_err(|_| KeptError::Service)?;
                Shape::External(Box::new(Name::from_text(text).map_err(|_| KeptError::Service)?))
            }
            _ => return Err(KeptError::Service),
        };
        let ttl = Ttl { positive: octets.u16()?, negative: octets.u16()?, expected: octets.u16()? };
        let hold = octets.u16()?;
        let ports = Arc::clone(ports.get(octets.length()?).ok_or(KeptError::Ports)?);
        let (key, slot, wide) = (octets.u8()?, octets.u8()?, octets.u8()?);
        let parts = Parts {
            key,
            slot,
            wide: wide == 1,
            service_a: octets.u32()?,
            service_aaaa: octets.u32()?,
            aaaa_at: octets.u32()?,
            table_at: octets.u32()?,
            hosts_at: octets.u32()?,
            labels_at: octets.u32()?,
            expected_at: octets.u32()?,
        };
        let length = octets.length()?;
        let octets = octets.take(length)?;
        let labels = octets.get(..usize::from(key)).filter(|labels| is_key(labels));
        let key = Key::new(labels.ok_or(KeptError::Service)?);
        let mut entry = Self { octets: octets.into(), parts, ttl, hold, shape, ports, key };
        if !entry.is_sound() {
            return Err(KeptError::Service);
        }
        entry.hash_anew();
        Ok(entry)
    }

    /// Whether every place in the octets is one: the same as what `encode` makes, for whoever looks in relies on it.
    fn is_sound(&self) -> bool {
        let Parts { key, slot, wide, service_a, service_aaaa, .. } = self.parts;
        let Parts { aaaa_at, table_at, hosts_at, labels_at, expected_at, .. } = self.parts;
        let begins = [key.into(), aaaa_at, table_at, hosts_at, labels_at, expected_at];
        let is_sorted = begins.is_sorted() && expected_at as usize <= self.octets.len();
        if !is_sorted || ![1, 2, 4].contains(&slot) {
            return false;
        }
        let parted = |from: u32, to: u32, size: usize| {
            let octets = (to - from) as usize;
            octets.is_multiple_of(size).then_some(octets / size)
        };
        let host_size = if wide { WIDE } else { NARROW };
        let (Some(a), Some(aaaa), Some(of_table), Some(hosts)) = (
            parted(key.into(), aaaa_at, 4),
            parted(aaaa_at, table_at, 16),
            parted(table_at, hosts_at, slot.into()),
            parted(hosts_at, labels_at, host_size),
        ) else {
            return false;
        };
        let labels = &self.octets[labels_at as usize..expected_at as usize];
        let is_host = |place: &Place| {
            let within = |span: Span, count: usize| {
                span.start.checked_add(span.count).is_some_and(|end| end as usize <= count)
            };
            let label = labels.get(place.label as usize..).and_then(|labels| {
                let (length, rest) = labels.split_first()?;
                rest.get(..usize::from(*length)).filter(|label| (1..64).contains(&label.len()))
            });
            // A label in lower case, as they are compared; whether Kubernetes would allow it makes no lookup fail.
            let is_label = |label: &[u8]| {
                label.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            };
            label.is_some_and(is_label)
                && within(place.a, a)
                && within(place.aaaa, aaaa)
                && self.ports.has_set(place.ports as usize)
        };
        service_a as usize <= a
            && service_aaaa as usize <= aaaa
            && of_table == slots(hosts)
            && small(hosts) < empty_slot(slot.into())
            && self.ports.is_sound(small(hosts))
            && (0..hosts).all(|host| is_host(&self.place(host)))
    }

    /// Fills the table of names by this process's hashes.
    fn hash_anew(&mut self) {
        let table = table((0..self.host_count()).map(|host| &self.host_label(host)[1..]));
        let (from, width) = (self.parts.table_at as usize, usize::from(self.parts.slot));
        let slots = self.octets[from..self.parts.hosts_at as usize].chunks_exact_mut(width);
        for (slot, index) in slots.zip(table) {
            slot.copy_from_slice(&index.to_le_bytes()[..width]);
        }
    }
}

/// Whether octets are two labels and nothing else.
fn is_key(octets: &[u8]) -> bool {
    let label = |octets: &[u8]| -> Option<usize> {
        let (length, rest) = octets.split_first()?;
        let text = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
        Label::check(text).ok().map(|()| 1 + text.len())
    };
    let first = label(octets);
    first.is_some_and(|first| label(&octets[first..]).is_some_and(|second| first + second == octets.len()))
}
