//! A moment that two processes of one machine mean the same by; `Instant` says nothing to another process.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC, which no correction of the time of day moves.
///
/// # Errors
/// The kernel's.
pub fn now() -> std::io::Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    u64::try_from(now.as_nanos()).map_err(std::io::Error::other)
}

/// Milliseconds from one moment to another, less than nothing where that was before.
#[must_use]
#[allow(clippy::cast_precision_loss)] // hours
pub fn milliseconds(from: u64, to: u64) -> f64 {
    (i128::from(to) - i128::from(from)) as f64 / 1e6
}
