//! How often each latency was seen: 64 steps for each doubling, so that a percentile is right within 1.6 %.

const STEPS: u32 = 6;

pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; (64 << STEPS) as usize], total: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, nanoseconds: u64, times: u64) {
        self.counts[place(nanoseconds)] += times;
        self.total += times;
    }

    /// The latency that this part of all is at or below, in nanoseconds.
    pub(crate) fn quantile(&self, part: f64) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let wanted = (self.total as f64 * part).ceil() as u64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        place.map_or(0, value)
    }
}

fn place(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(STEPS + 1);
    #[allow(clippy::cast_possible_truncation)] // below 128
    let within = (value >> shift) as usize;
    ((shift as usize) << STEPS) + within
}

/// The least value at a place.
fn value(place: usize) -> u64 {
    let steps = 1_usize << STEPS;
    let shift = (place / steps).saturating_sub(1);
    ((place - (shift << STEPS)) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_values_within_two_percent() {
        for exact in (0..3000).chain([65_535, 1_000_000, 123_456_789, u64::MAX]) {
            let least = value(place(exact));
            assert!(least <= exact && exact - least <= exact / 64, "{exact}: {least}");
        }
    }

    #[test]
    fn quantiles() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|n| histogram.add(n, 1));
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.99)), (50, 99));
    }
}
