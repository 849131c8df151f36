//! Time that passed for this machine: what a host took from all of it, for seconds at times, is nobody's fault here.

use std::fs;
use std::time::{Duration, Instant};

/// As `Instant`, but for time that the host took (`steal` of proc(5), in hundredths of a second, of the processor that
/// lost most of it).
#[derive(Debug)]
pub(crate) struct Stopwatch {
    start: Instant,
    stolen: Vec<u64>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { stolen: stolen(&statistics()), start: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        let lost =
            stolen(&statistics()).iter().zip(&self.stolen).map(|(now, then)| now.saturating_sub(*then)).max();
        self.start.elapsed().saturating_sub(Duration::from_millis(10 * lost.unwrap_or(0)))
    }
}

/// Nothing where there is no such file: then nothing was stolen.
fn statistics() -> String {
    fs::read_to_string("/proc/stat").unwrap_or_default()
}

/// Of each processor: `cpu0 user nice system idle iowait irq softirq steal …`.
fn stolen(statistics: &str) -> Vec<u64> {
    let processors = statistics.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    processors.map(|line| line.split(' ').nth(8).and_then(|word| word.parse().ok()).unwrap_or(0)).collect()
}

#[test]
fn what_was_stolen_is_read_for_each_processor() {
    let text =
        "cpu  8 0 5 9 1 0 2 1660 0 0\ncpu0 4 0 3 4 1 0 1 830 0 0\ncpu1 4 0 2 5 0 0 1 829 0 0\nintr 7 0\n";
    assert_eq!(stolen(text), [830, 829]);
    assert_eq!(stolen(""), [0; 0]);
}
