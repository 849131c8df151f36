//! What the benchmarks share: seeded numbers, a made-up cluster, a first answer, what a process took and counted.

pub mod api;
pub mod clock;
pub mod cluster;
pub mod datagrams;
mod first_answer;
pub mod lines;
pub mod metrics;
pub mod plot;
pub mod replay;

use std::fs;
use std::io;

pub use first_answer::first_answer;

/// A seeded sequence (SplitMix64): the same input gives the same dump and the same questions everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each pair: the parts of a dump do not depend on what was made before them.
    #[must_use]
    pub fn new(seed: u64, part: u64) -> Self {
        let mut random = Self(seed ^ part.wrapping_mul(0xd134_2543_de82_ef95));
        random.number();
        random
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        #[allow(clippy::cast_possible_truncation)] // below a usize
        let below = (self.number() % bound as u64) as usize;
        below
    }
}

/// Seconds of processor time that a process took so far, in its own code and in the kernel for it (fields 14 and
/// 15 of `/proc/PID/stat`, in hundredths of a second on every Linux).
///
/// # Errors
/// When there is no such process.
pub fn processor_seconds(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses, and may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / 100.0)
}

/// A line of `/proc/PID/status` such as `VmRSS`, in KiB.
///
/// # Errors
/// When there is no such process or line.
pub fn status_kib(pid: u32, key: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    number.ok_or_else(|| io::Error::other(format!("no {key} in /proc/{pid}/status")))
}

/// The middle of some figures (the lower one of two), and the least and the greatest.
#[must_use]
pub fn median_and_range(mut figures: Vec<f64>) -> Option<(f64, f64, f64)> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.get(figures.len().checked_sub(1)? / 2)?;
    Some((*middle, *figures.first()?, *figures.last()?))
}

/// The least figure that so many of a hundred are not above (nearest rank).
#[must_use]
pub fn percentile(figures: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let figures = || (1..=200).rev().map(f64::from);
        assert_eq!(
            [50, 90, 99, 100].map(|percent| percentile(figures(), percent)),
            [100.0, 180.0, 198.0, 200.0]
        );
        assert_eq!(percentile([3.0].into_iter(), 50), 3.0);
    }
}
