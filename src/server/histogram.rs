//! A histogram of atomics: cheap to add to, summed when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The bounds of durations, in nanoseconds: 5 µs, which is a batch of one, to the 5 s that an upstream may take.
pub const DURATIONS: [u64; 19] = {
    let mut bounds = [0; 19];
    let mut decade = 1_000;
    let mut at = 0;
    while at < bounds.len() {
        // 5, 10, 20, 50, 100, …
        bounds[at] = match at % 3 {
            0 => 5 * decade,
            1 => 10 * decade,
            _ => 20 * decade,
        };
        if at % 3 == 2 {
            decade *= 10;
        }
        at += 1;
    }
    bounds
};

/// The bounds of messages' sizes, in octets: 2⁵ to 2¹⁶.
pub(super) const SIZES: [u64; 12] = {
    let mut bounds = [0; 12];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = 1 << (at + SMALLEST);
        at += 1;
    }
    bounds
};
/// The logarithm of the first of them.
const SMALLEST: usize = 5;

/// Values by upper bound, each bound included. Values and bounds are whole numbers: nanoseconds, octets.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    buckets: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

/// What a histogram holds: a bound and how many values are at or below it, but not at or below the one before. The last
/// bound is infinite.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)]
pub struct HistogramCounts {
    pub buckets: Vec<(f64, u64)>,
    pub sum: f64,
}

impl<const N: usize> Histogram<N> {
    /// An empty one. The bounds ascend.
    #[must_use]
    pub const fn new(bounds: &'static [u64; N]) -> Self {
        let (above, sum) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { bounds, buckets: [const { AtomicU64::new(0) }; N], above, sum }
    }

    /// Adds a duration; any thread may.
    pub fn add_duration(&self, duration: Duration) {
        self.add(nanoseconds(duration), 1, add_shared);
    }

    /// Adds a value as often as told.
    pub(super) fn add(&self, value: u64, times: u64, add: impl Fn(&AtomicU64, u64)) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.add_at(at, value.saturating_mul(times), times, add);
    }

    /// Adds values whose place among the bounds is known, and their sum.
    pub(super) fn add_at(&self, at: usize, sum: u64, times: u64, add: impl Fn(&AtomicU64, u64)) {
        add(self.buckets.get(at).unwrap_or(&self.above), times);
        add(&self.sum, sum);
    }

    /// What it holds, each value and bound divided by `scale`.
    #[must_use]
    pub fn counts(&self, scale: f64) -> HistogramCounts {
        HistogramCounts::sum_of([self], scale)
    }
}

impl HistogramCounts {
    /// The sum of several histograms with the same bounds. A float counts 2⁵³ nanoseconds, which are 104 days, without a
    /// loss, and what it loses later is less than a microsecond.
    pub(super) fn sum_of<'h, const N: usize>(
        histograms: impl IntoIterator<Item = &'h Histogram<N>>,
        scale: f64,
    ) -> Self {
        let mut counts = Self::default();
        for histogram in histograms {
            if counts.buckets.is_empty() {
                let bounds = histogram.bounds.iter().map(|bound| *bound as f64 / scale);
                counts.buckets = bounds.chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
            }
            let all = histogram.buckets.iter().chain([&histogram.above]);
            for ((_, sum), bucket) in counts.buckets.iter_mut().zip(all) {
                *sum += bucket.load(Ordering::Relaxed);
            }
            counts.sum += histogram.sum.load(Ordering::Relaxed) as f64 / scale;
        }
        counts
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// For cells with one writer: plain loads and stores will do, which cost no locked instruction.
pub(super) fn add_alone(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// For cells that any task writes.
pub(super) fn add_shared(cell: &AtomicU64, more: u64) {
    cell.fetch_add(more, Ordering::Relaxed);
}

/// The place of a size among [`SIZES`], without a search.
pub(super) fn place_of_size(octets: usize) -> usize {
    let bits = usize::BITS - octets.saturating_sub(1).leading_zeros();
    (bits as usize).saturating_sub(SMALLEST)
}

/// The most that a counter has room for is some 584 years.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_what_people_read() {
        assert_eq!(DURATIONS[..6], [5_000, 10_000, 20_000, 50_000, 100_000, 200_000]);
        assert_eq!(DURATIONS[18], 5_000_000_000);
        let counts = Histogram::new(&DURATIONS).counts(1e9);
        assert_eq!((counts.buckets[0].0, counts.buckets[17].0, counts.buckets[18].0), (5e-6, 2.0, 5.0));
        assert_eq!((SIZES[0], SIZES[11]), (32, 65536));
    }

    #[test]
    fn a_value_is_at_or_below_its_bound() {
        let histogram = Histogram::new(&DURATIONS);
        for nanoseconds in [0, 5_000, 5_001, 10_000, 5_000_000_001] {
            histogram.add_duration(Duration::from_nanos(nanoseconds));
        }
        let counts = histogram.counts(1.0);
        let filled: Vec<(f64, u64)> =
            counts.buckets.iter().copied().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(5_000.0, 2), (10_000.0, 2), (f64::INFINITY, 1)]);
        assert_eq!((counts.count(), counts.sum), (5, 5_000_020_002.0));
    }

    #[test]
    fn a_size_has_the_place_that_a_search_would_find() {
        for octets in (0..=70).chain([511, 512, 513, 1232, 4095, 4096, 4097, 65535, 65536, 65537]) {
            let searched = SIZES.partition_point(|bound| *bound < octets as u64);
            assert_eq!(place_of_size(octets), searched, "{octets}");
        }
    }
}
