//! Words and numbers as answers and pages write them.

use std::time::SystemTime;

use jiff::Timestamp;

use crate::cluster::CellState;

/// A replica's state, as a person reads it.
pub(super) fn state_word(state: CellState) -> &'static str {
    match state {
        CellState::Ready => "ready",
        CellState::NotReady => "not ready",
        CellState::Terminating => "terminating",
        CellState::Missing => "missing",
    }
}

/// A moment in RFC 3339, in UTC, with milliseconds.
pub(super) fn time_text(time: SystemTime) -> String {
    // What is beyond the years that can be written is told as the end of them.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

/// The time of day of such a moment, to the second.
pub(super) fn time_of_day(text: &str) -> &str {
    text.get(11..19).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_has_one_form() {
        let text = |millis| time_text(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_763_745_731_042), "2025-11-21T17:22:11.042Z");
        assert_eq!(time_of_day(&text(1_763_745_731_042)), "17:22:11");
    }
}
