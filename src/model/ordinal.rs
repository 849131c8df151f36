//! The number of a replica.

/// The ordinal that digits are: a canonical decimal number, for `web-07` is no replica of `web`.
#[must_use]
pub fn ordinal(digits: &[u8]) -> Option<u64> {
    let canonical = digits == b"0" || digits.first().is_some_and(|first| *first != b'0');
    let is_one = canonical && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_one)?.parse().ok()
}
