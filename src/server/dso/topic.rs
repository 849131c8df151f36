//! A name and a type that somebody waits for: what its subscribers were told, and what they are to be told next.

use std::cmp::Ordering;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use super::outbox::{Frame, Message, Outbox};
use crate::server::memory::{Held, StreamMemory};
use crate::wire::dso::Changes;
use crate::wire::rtype;
use crate::zone::StandingRecord;

/// The lengths that messages to clients that pad are padded to multiples of (RFC 8467, section 4.1).
pub(super) const PADDING_BLOCK: usize = 468;

/// What a name and a type that somebody waits for costs beside its records, and what each that waits for it does: entries
/// of maps, and the name. Measured of none in particular, and rather more than less.
const TOPIC: usize = 512;
const SUBSCRIBER: usize = 256;
/// Octets of records that are removed one by one, though all of a name or a type goes: about a message of them. The removal
/// of a set (RFC 8765, section 6.3.1) is shorter and nobody has to send it; mDNSResponder, which is what most clients are,
/// takes it for a record that is added (it caps that TTL before it looks at it), and would keep the old ones for ever.
const ONE_BY_ONE: usize = 16_000;

/// A name and a type, with those who wait for it.
pub(super) struct Topic {
    pub(super) rtype: u16,
    /// Of the memory of all connections.
    held: Held,
    /// What every subscriber knows.
    told: Vec<StandingRecord>,
    /// The same as messages, for who comes next.
    current: Encoded,
    pub(super) subscribers: HashMap<u64, Subscriber>,
}

/// A session that waits for a topic.
pub(super) struct Subscriber {
    pub(super) outbox: Arc<Outbox>,
    /// It pads.
    pub(super) pads: bool,
    /// By how many subscriptions: one for class IN and one for class ANY are two.
    pub(super) count: u32,
    /// It waits for type ANY of the name as well, and is told there: a change is told once (RFC 8765, section 6.3.1).
    pub(super) covered: bool,
    _held: Held,
}

impl Subscriber {
    pub(super) fn new(outbox: &Arc<Outbox>, pads: bool, memory: &StreamMemory) -> Self {
        Self { outbox: Arc::clone(outbox), pads, count: 0, covered: false, _held: memory.hold(SUBSCRIBER) }
    }
}

/// The same messages, as they are and padded; written when the first one wants them.
#[derive(Default)]
pub(super) struct Encoded {
    plain: Option<Arc<[Frame]>>,
    padded: Option<Arc<[Frame]>>,
}

impl Encoded {
    /// The messages; `encode` is called with the block to pad to, at most twice in all.
    pub(super) fn frames(
        &mut self,
        pads: bool,
        memory: &StreamMemory,
        encode: impl FnOnce(Option<usize>) -> Vec<Vec<u8>>,
    ) -> (Arc<[Frame]>, bool) {
        let slot = if pads { &mut self.padded } else { &mut self.plain };
        if let Some(frames) = slot {
            return (Arc::clone(frames), false);
        }
        let encoded = encode(pads.then_some(PADDING_BLOCK));
        let frames: Arc<[Frame]> = encoded.into_iter().map(|octets| Message::new(octets, memory)).collect();
        *slot = Some(Arc::clone(&frames));
        (frames, true)
    }
}

impl Topic {
    pub(super) fn new(rtype: u16, told: Vec<StandingRecord>, memory: &StreamMemory) -> Self {
        let held = memory.hold(cost(&told));
        Self { rtype, held, told, current: Encoded::default(), subscribers: HashMap::new() }
    }

    /// All that is there, as it is told to a new subscriber; none where there is nothing. And whether it was written
    /// just now.
    pub(super) fn current(
        &mut self,
        owner: &[u8],
        pads: bool,
        memory: &StreamMemory,
    ) -> (Arc<[Frame]>, bool) {
        let told = &self.told;
        self.current.frames(pads, memory, |block| {
            let mut changes = Changes::new(owner, block);
            told.iter().for_each(|record| changes.add(record.rtype, record.ttl.into(), &record.data));
            changes.finish()
        })
    }

    /// Takes over what is there now; gives what differs, which may be nothing.
    pub(super) fn replace(&mut self, now: Vec<StandingRecord>) -> Option<Difference> {
        if self.told == now {
            return None;
        }
        self.held.set(cost(&now));
        let before = std::mem::replace(&mut self.told, now);
        self.current = Encoded::default();
        Some(Difference::between(&before, &self.told, self.rtype))
    }
}

/// Octets that a topic of these records takes.
fn cost(records: &[StandingRecord]) -> usize {
    let data: usize = records.iter().map(|record| record.data.len()).sum();
    TOPIC + size_of_val(records) + data
}

/// What to tell who knows one state, so that they know another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    add: Vec<StandingRecord>,
    remove: Vec<StandingRecord>,
    /// Types of which everything is gone; ANY is all of them.
    remove_all: Vec<u16>,
}

impl Difference {
    /// Of sorted records. A record whose TTL alone differs is added again (RFC 8765, section 6.3.1: who has it takes the
    /// new one).
    fn between(before: &[StandingRecord], after: &[StandingRecord], rtype: u16) -> Self {
        let mut difference = Self::default();
        if after.is_empty() && length(before) > ONE_BY_ONE {
            // One removal for all of them. Of several types at once only to who waits for all types.
            let removal =
                if rtype == rtype::ANY { rtype::ANY } else { before.first().map_or(rtype, |r| r.rtype) };
            difference.remove_all.push(removal);
            return difference;
        }
        let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => (old.rtype, &old.data).cmp(&(new.rtype, &new.data)),
            };
            match order {
                Ordering::Less => difference.remove.extend(old.next().cloned()),
                Ordering::Greater => difference.add.extend(new.next().cloned()),
                Ordering::Equal => {
                    let (old, new) = (old.next(), new.next());
                    if old.map(|old| old.ttl) != new.map(|new| new.ttl) {
                        difference.add.extend(new.cloned());
                    }
                }
            }
        }
        if length(&difference.remove) <= ONE_BY_ONE {
            return difference;
        }
        // A set that is gone as a whole goes in one removal.
        let is_gone = |rtype: u16| after.iter().all(|record| record.rtype != rtype);
        let mut gone: Vec<u16> = difference.remove.iter().map(|record| record.rtype).collect();
        gone.dedup();
        gone.retain(|rtype| is_gone(*rtype));
        difference.remove.retain(|record| !gone.contains(&record.rtype));
        difference.remove_all = gone;
        difference
    }

    /// As messages. What is added comes first: nobody who takes each change by itself, or reads one message of several,
    /// sees fewer records than were there before or are there after.
    pub(super) fn encode(&self, owner: &[u8], block: Option<usize>) -> Vec<Vec<u8>> {
        let mut changes = Changes::new(owner, block);
        self.add.iter().for_each(|record| changes.add(record.rtype, record.ttl.into(), &record.data));
        self.remove.iter().for_each(|record| changes.remove(record.rtype, &record.data));
        self.remove_all.iter().for_each(|rtype| changes.remove_all(*rtype));
        changes.finish()
    }
}

/// Octets of records in a message, each behind a pointer to its owner.
fn length(records: &[StandingRecord]) -> usize {
    records.iter().map(|record| 12 + record.data.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(texts: &[&str]) -> Vec<StandingRecord> {
        let record = |text: &&str| {
            let (rtype, rest) = text.split_once(' ').unwrap();
            let (data, ttl) = rest.split_once(' ').unwrap();
            StandingRecord {
                rtype: rtype.parse().unwrap(),
                data: data.as_bytes().into(),
                ttl: ttl.parse().unwrap(),
            }
        };
        let mut records: Vec<_> = texts.iter().map(record).collect();
        records.sort();
        records
    }

    fn between(before: &[&str], after: &[&str], rtype: u16) -> Difference {
        Difference::between(&records(before), &records(after), rtype)
    }

    #[test]
    fn only_what_differs_is_told() {
        let expected =
            Difference { add: records(&["1 c 5"]), remove: records(&["1 a 5"]), ..Difference::default() };
        assert_eq!(between(&["1 a 5", "1 b 5"], &["1 b 5", "1 c 5"], 1), expected);
        let again = Difference { add: records(&["1 b 9"]), ..Difference::default() };
        assert_eq!(between(&["1 a 5", "1 b 5"], &["1 a 5", "1 b 9"], 1), again);
        let all = Difference { add: records(&["1 a 5", "1 b 5"]), ..Difference::default() };
        assert_eq!(between(&[], &["1 a 5", "1 b 5"], 1), all);
    }

    #[test]
    fn a_set_that_is_gone_goes_record_by_record() {
        let gone = |texts: &[&str]| Difference { remove: records(texts), ..Difference::default() };
        assert_eq!(between(&["1 a 5", "1 b 5"], &[], 1), gone(&["1 a 5", "1 b 5"]));
        assert_eq!(between(&["1 a 5", "28 b 5"], &[], rtype::ANY), gone(&["1 a 5", "28 b 5"]));
        assert_eq!(between(&["1 a 5", "28 b 5"], &["1 a 5"], rtype::ANY), gone(&["28 b 5"]));
    }

    #[test]
    fn a_large_set_that_is_gone_goes_in_one_removal() {
        let long = "b".repeat(ONE_BY_ONE);
        let long = [&format!("28 {long} 5")[..], "28 c 5"];
        let before = |first: &'static str| [first, long[0], long[1]];
        let gone = |rtype| Difference { remove_all: vec![rtype], ..Difference::default() };
        assert_eq!(between(&long, &[], 28), gone(28));
        assert_eq!(between(&before("1 a 5"), &[], rtype::ANY), gone(rtype::ANY));
        assert_eq!(between(&before("1 a 5"), &["1 a 5"], rtype::ANY), gone(28));
        let other = Difference { add: records(&["33 x 5"]), ..gone(28) };
        assert_eq!(between(&long, &["33 x 5"], rtype::ANY), other);
        // What goes of a set that stays goes by itself.
        let both = Difference { remove: records(&["1 a 5"]), ..gone(28) };
        assert_eq!(between(&[&before("1 a 5")[..], &["1 b 5"]].concat(), &["1 b 5"], rtype::ANY), both);
    }

    #[test]
    fn what_is_the_same_is_nothing_and_is_written_once() {
        let memory = StreamMemory::new(usize::MAX);
        let mut topic = Topic::new(1, records(&["1 aaaa 5"]), &memory);
        let without = memory.counts().0;
        assert_eq!(topic.replace(records(&["1 aaaa 5"])), None);
        let (first, fresh) = topic.current(b"\x00", false, &memory);
        assert!(fresh && first.len() == 1);
        let (second, fresh) = topic.current(b"\x00", false, &memory);
        assert!(!fresh && Arc::ptr_eq(&first, &second));
        assert!(topic.current(b"\x00", true, &memory).1, "padded it is another one");
        assert!(memory.counts().0 > without + 468);
        drop((first, second));
        assert!(topic.replace(records(&["1 bbbb 5"])).is_some());
        assert_eq!(memory.counts().0, without, "what nobody waits for is given back");
        assert!(topic.current(b"\x00", false, &memory).1);
        drop(topic);
        assert_eq!(memory.counts().0, 0);
    }
}
