//! The zone's serial: the time, and never a step back (RFC 1982). 0 is none.

use std::time::{SystemTime, UNIX_EPOCH};

/// Publishes between two snapshots, at the most: hundreds a second for minutes.
const UNKEPT_SERIALS: u32 = 1 << 16;

/// The serial behind another, now.
pub(super) fn next(last: u32) -> u32 {
    // A clock before 1970 counts as 1970.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    #[allow(clippy::cast_possible_truncation)] // serials wrap (RFC 1982)
    next_at(last, seconds as u32)
}

/// The time where that is later, by serial number arithmetic (RFC 1982, section 3.2).
fn next_at(last: u32, seconds: u32) -> u32 {
    let next = last.wrapping_add(1);
    let is_later = last == 0 || seconds.wrapping_sub(next) < 1 << 31;
    if is_later { seconds } else { next }.max(1)
}

/// Above one that was kept some seconds before its process ended, and all that may have been said since.
pub(super) fn behind_kept(kept: u32) -> u32 {
    kept.wrapping_add(UNKEPT_SERIALS)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// RFC 1982, section 3.2.
    pub(in super::super) fn is_greater(serial: u32, other: u32) -> bool {
        serial != other && serial.wrapping_sub(other) < 1 << 31
    }

    #[test]
    fn a_serial_is_the_time_and_never_goes_back() {
        let now = 1_800_000_000;
        assert_eq!(next_at(0, now), now);
        assert_eq!(next_at(0, u32::MAX), u32::MAX, "the first one, whatever its half of the numbers");
        assert_eq!(next_at(now, now), now + 1);
        assert_eq!(next_at(now, now + 60), now + 60);
        // A clock that is set back by a second, a day, to 1970, or was decades ahead.
        for seconds in [now - 1, now - 86_400, 0] {
            assert_eq!(next_at(now, seconds), now + 1);
        }
        assert_eq!(next_at(3_000_000_000, now), 3_000_000_001);
        // By that arithmetic it is later than a number of the other half.
        assert_eq!(next_at(4_200_000_000, now), now);
        // The wrap, of the numbers and of the time, and a clock that leaps by more than a serial may.
        for (last, seconds) in [(u32::MAX, 5), (u32::MAX - 1, 5), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            let next = next_at(last, seconds);
            assert!(next > 0 && is_greater(next, last), "{last} at {seconds}: {next}");
        }
    }
}
