//! What was asked and how it was answered: by zone, type and code, how long it took and how large it was.
//!
//! Whoever answers has a cell of its own and adds to it without a lock or a locked instruction; the cells are summed
//! when somebody asks. Nothing here allocates after a cell is made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::histogram::{
    DURATIONS, Histogram, HistogramCounts, SIZES, add_alone, add_shared, nanoseconds, place_of_size,
};
use crate::wire::{rcode, rtype};
use crate::zone::ZoneKind;

/// What a question is counted under, beside the code of its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    zone: ZoneKind,
    /// Its place in [`TYPES`].
    rtype: u8,
    /// The code does not fit in the reply's header (RFC 6891, section 6.1.3).
    bad_version: bool,
}

/// Types that are counted by name.
const TYPES: [&str; 10] = ["A", "AAAA", "SRV", "PTR", "TXT", "NS", "SOA", "ANY", "HTTPS", "other"];
const OTHER_TYPE: u8 = 9;
const ZONES: [ZoneKind; 3] = [ZoneKind::Cluster, ZoneKind::Reverse, ZoneKind::Outside];
/// Codes that are counted by name: those of a header by their number.
const CODES: [&str; 8] =
    ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS", "other"];
const BADVERS: usize = 6;
const OTHER_CODE: usize = 7;
/// NOERROR without a record: what it is counted as is a column behind those of the codes.
const NODATA: usize = CODES.len();

impl Asked {
    /// A packet that is no question, and the code that says so.
    pub(super) fn nothing(code: u16) -> Self {
        Self { zone: ZoneKind::Outside, rtype: OTHER_TYPE, bad_version: code == rcode::BADVERS }
    }

    /// A question of a type.
    pub(super) fn question(zone: ZoneKind, rtype: u16) -> Self {
        let rtype = match rtype {
            rtype::A => 0,
            rtype::AAAA => 1,
            rtype::SRV => 2,
            rtype::PTR => 3,
            rtype::TXT => 4,
            rtype::NS => 5,
            rtype::SOA => 6,
            rtype::ANY => 7,
            rtype::HTTPS => 8,
            _ => OTHER_TYPE,
        };
        Self { zone, rtype, bad_version: false }
    }
}

/// Where one thread counts, or whoever has it just now. Two cache lines: the processor fetches them in pairs, and no thread
/// shall wait for another's.
#[derive(Debug)]
#[repr(align(128))]
pub struct QueryCell {
    replies: [[[AtomicU64; CODES.len() + 1]; TYPES.len()]; ZONES.len()],
    truncated: AtomicU64,
    requests: Histogram<{ SIZES.len() }>,
    responses: Histogram<{ SIZES.len() }>,
    durations: Histogram<{ DURATIONS.len() }>,
}

impl Default for QueryCell {
    fn default() -> Self {
        Self {
            replies: [const { [const { [const { AtomicU64::new(0) }; CODES.len() + 1] }; TYPES.len()] };
                ZONES.len()],
            truncated: AtomicU64::new(0),
            requests: Histogram::new(&SIZES),
            responses: Histogram::new(&SIZES),
            durations: Histogram::new(&DURATIONS),
        }
    }
}

impl QueryCell {
    /// Counts a reply: the octets that were asked, and those of the answer, or of a buffer that it stands in with its
    /// length.
    pub fn count(&self, asked: Asked, request: usize, reply: &[u8], length: usize) {
        self.add(asked, request, reply, length, add_alone);
    }

    /// Counts how long replies took that were made together.
    pub fn took(&self, began: Instant, replies: u64) {
        if replies > 0 {
            self.durations.add(nanoseconds(began.elapsed()), replies, add_alone);
        }
    }

    /// The same of one reply; any task may.
    pub(super) fn count_late(&self, asked: Asked, request: usize, reply: &[u8], began: Instant) {
        self.add(asked, request, reply, reply.len(), add_shared);
        self.durations.add(nanoseconds(began.elapsed()), 1, add_shared);
    }

    /// The same of one that was kept open on purpose: how long says nothing of the server.
    pub(super) fn count_held(&self, asked: Asked, request: usize, reply: &[u8]) {
        self.add(asked, request, reply, reply.len(), add_shared);
    }

    fn add(
        &self,
        asked: Asked,
        request: usize,
        reply: &[u8],
        length: usize,
        add: impl Fn(&AtomicU64, u64) + Copy,
    ) {
        // ID, flags, QDCOUNT, ANCOUNT (RFC 1035, section 4.1.1).
        let Some(&[_, _, high, low, _, _, answers_high, answers_low]) = reply.first_chunk::<8>() else {
            return;
        };
        let is_truncated = high & 0b10 != 0;
        let code = match usize::from(low & 15) {
            0 if asked.bad_version => BADVERS,
            0 if (answers_high | answers_low) == 0 && !is_truncated => NODATA,
            code @ 0..BADVERS => code,
            _ => OTHER_CODE,
        };
        add(&self.replies[asked.zone as usize][usize::from(asked.rtype)][code], 1);
        if is_truncated {
            add(&self.truncated, 1);
        }
        self.requests.add_at(place_of_size(request), request as u64, 1, add);
        self.responses.add_at(place_of_size(length), length as u64, 1, add);
    }
}

#[derive(Debug, Default)]
struct Cells {
    /// Of the replies that waited.
    late: QueryCell,
    /// Never less: what somebody counted stays counted when they end.
    cells: Mutex<Vec<Arc<QueryCell>>>,
}

/// Reads what is counted of one transport, at any time and from anywhere; its clones are one.
#[derive(Debug, Clone, Default)]
pub struct QueryCounters(Arc<Cells>);

/// What was counted of one transport since the start.
#[derive(Debug, Clone, Default)]
pub struct QueryCounts {
    /// By zone, type and code; only those that there were, and SERVFAIL.
    pub replies: Vec<Replies>,
    /// Replies with TC.
    pub truncated: u64,
    /// Octets of the questions that were answered.
    pub requests: HistogramCounts,
    /// Octets of the answers.
    pub responses: HistogramCounts,
    /// Seconds from the receipt of a question to its answer being handed to the kernel.
    pub durations: HistogramCounts,
}

/// Replies that have all of this in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replies {
    /// The zone.
    pub zone: ZoneKind,
    /// A type's name, or `other`.
    pub rtype: &'static str,
    /// A code's name, or `other`.
    pub rcode: &'static str,
    /// How many.
    pub count: u64,
    /// How many of them are NOERROR without a record in the answer.
    pub without_records: u64,
}

impl QueryCounters {
    /// A cell for one more writer.
    #[must_use]
    pub fn cell(&self) -> Arc<QueryCell> {
        let cell = Arc::new(QueryCell::default());
        self.0.cells.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cell));
        cell
    }

    /// The cell of replies that waited.
    pub(super) fn late(&self) -> &QueryCell {
        &self.0.late
    }

    /// How many replies had TC.
    pub(super) fn truncated(&self) -> u64 {
        self.with(|cells| cells.iter().map(|cell| cell.truncated.load(Ordering::Relaxed)).sum())
    }

    /// The sums just now.
    #[must_use]
    pub fn counts(&self) -> QueryCounts {
        self.with(|cells| {
            let mut replies = Vec::new();
            for zone in ZONES {
                for (place, rtype) in TYPES.into_iter().enumerate() {
                    let count = |code: usize| -> u64 {
                        let of_cell = |cell: &&QueryCell| {
                            cell.replies[zone as usize][place][code].load(Ordering::Relaxed)
                        };
                        cells.iter().map(of_cell).sum()
                    };
                    for (code, rcode) in CODES.into_iter().enumerate() {
                        let without_records = if code == 0 { count(NODATA) } else { 0 };
                        let count = count(code) + without_records;
                        // Before the first one: a rate over a series that begins with it would not see it.
                        let is_alerted = rcode == "SERVFAIL" && zone != ZoneKind::Outside;
                        if count > 0 || is_alerted {
                            replies.push(Replies { zone, rtype, rcode, count, without_records });
                        }
                    }
                }
            }
            QueryCounts {
                replies,
                truncated: cells.iter().map(|cell| cell.truncated.load(Ordering::Relaxed)).sum(),
                requests: HistogramCounts::sum_of(cells.iter().map(|cell| &cell.requests), 1.0),
                responses: HistogramCounts::sum_of(cells.iter().map(|cell| &cell.responses), 1.0),
                durations: HistogramCounts::sum_of(cells.iter().map(|cell| &cell.durations), 1e9),
            }
        })
    }

    fn with<R>(&self, read: impl FnOnce(&[&QueryCell]) -> R) -> R {
        let cells = self.0.cells.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cells: Vec<&QueryCell> = cells.iter().map(|cell| &**cell).chain([&self.0.late]).collect();
        read(&cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these flags and so many answers.
    fn mk_reply(flags: u16, answers: u8) -> Vec<u8> {
        let [high, low] = flags.to_be_bytes();
        vec![0, 1, high, low, 0, 1, 0, answers, 0, 0, 0, 0]
    }

    /// Less the SERVFAILs that there were none of.
    fn counted(counts: &QueryCounts) -> Vec<Replies> {
        counts.replies.iter().filter(|replies| replies.count > 0).copied().collect()
    }

    #[test]
    fn failures_are_told_before_the_first_one() {
        let counts = QueryCounters::default().counts();
        assert_eq!(counts.replies.len(), 2 * TYPES.len());
        let is_none = |replies: &Replies| replies.rcode == "SERVFAIL" && replies.count == 0;
        assert!(counts.replies.iter().all(is_none), "{:?}", counts.replies);
    }

    #[test]
    fn replies_are_told_apart_by_what_their_header_says() {
        let counters = QueryCounters::default();
        let cell = counters.cell();
        let a = Asked::question(ZoneKind::Cluster, rtype::A);
        let odd = Asked::question(ZoneKind::Reverse, 4711);
        cell.count(a, 30, &mk_reply(0x8000, 1), 100);
        cell.count(a, 30, &mk_reply(0x8000, 0), 100);
        // Cut short: there are records, if not here.
        cell.count(a, 30, &mk_reply(0x8200, 0), 100);
        cell.count(odd, 30, &mk_reply(0x8003, 0), 100);
        cell.count(odd, 30, &mk_reply(0x8009, 0), 100);
        cell.count(Asked::nothing(rcode::BADVERS), 30, &mk_reply(0x8000, 0), 100);
        cell.count(Asked::nothing(rcode::FORMERR), 30, &mk_reply(0x8001, 0), 100);
        let mut counts = counters.counts();
        counts.replies = counted(&counts);
        let of = |zone, rtype, rcode, count, without_records| Replies {
            zone,
            rtype,
            rcode,
            count,
            without_records,
        };
        assert_eq!(
            counts.replies,
            [
                of(ZoneKind::Cluster, "A", "NOERROR", 3, 1),
                of(ZoneKind::Reverse, "other", "NXDOMAIN", 1, 0),
                of(ZoneKind::Reverse, "other", "other", 1, 0),
                of(ZoneKind::Outside, "other", "FORMERR", 1, 0),
                of(ZoneKind::Outside, "other", "BADVERS", 1, 0),
            ]
        );
        assert_eq!((counts.truncated, counters.truncated()), (1, 1));
        assert_eq!((counts.requests.sum, counts.responses.sum), (210.0, 700.0));
        assert_eq!((counts.requests.count(), counts.responses.count()), (7, 7));
    }

    #[test]
    fn every_writer_counts_and_stays_counted() {
        let counters = QueryCounters::default();
        let asked = Asked::question(ZoneKind::Cluster, rtype::HTTPS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let counters = counters.clone();
                scope.spawn(move || {
                    let cell = counters.cell();
                    for _ in 0..1000 {
                        cell.count(asked, 40, &mk_reply(0x8000, 1), 60);
                        counters.late().count_late(asked, 40, &mk_reply(0x8000, 1), Instant::now());
                    }
                    cell.took(Instant::now(), 1000);
                    cell.took(Instant::now(), 0);
                });
            }
        });
        let counts = counters.counts();
        let replies = counted(&counts);
        assert_eq!(replies.len(), 1);
        assert_eq!((replies[0].rtype, replies[0].count), ("HTTPS", 8000));
        assert_eq!(counts.durations.count(), 8000);
    }

    #[test]
    fn each_type_of_the_table_is_counted_under_its_name() {
        let numbers = [1, 28, 33, 12, 16, 2, 6, 255, 65, 257];
        for (name, number) in TYPES.into_iter().zip(numbers) {
            let asked = Asked::question(ZoneKind::Cluster, number);
            assert_eq!(TYPES[usize::from(asked.rtype)], name);
        }
    }
}
