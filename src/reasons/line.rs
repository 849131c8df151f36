//! A sentence without an allocation.

use std::fmt;

/// Room for one sentence: of ASCII, so that it is UTF-8 wherever it is cut (RFC 8914, section 2), and short, so that it
/// leaves room in a datagram. Names of a cluster are as long as 253 octets, so what is too long is cut with an ellipsis.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    octets: [u8; Self::MOST],
    length: usize,
}

impl Line {
    /// The longest sentence, in octets.
    pub const MOST: usize = 200;

    /// Writes something as a line.
    #[must_use]
    pub fn of(what: impl fmt::Display) -> Self {
        let mut line = Self { octets: [0; Self::MOST], length: 0 };
        // It fails where it is full, and is cut there.
        if fmt::write(&mut line, format_args!("{what}")).is_err() {
            line.octets[Self::MOST - 3..].copy_from_slice(b"...");
        }
        line
    }

    /// What was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.octets[self.length..];
        let octets = text.as_bytes();
        for (to, from) in room.iter_mut().zip(octets) {
            // Names of objects are ASCII; what a hand-written manifest has instead does not reach a terminal.
            *to = if *from == b' ' || from.is_ascii_graphic() { *from } else { b'?' };
        }
        let written = octets.len().min(room.len());
        self.length += written;
        if written < octets.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let just = "x".repeat(Line::MOST);
        assert_eq!(Line::of(&just).as_str(), just);
        let cut = Line::of(format_args!("{}{}", just, "y"));
        assert_eq!(cut.as_str(), format!("{}...", &just[3..]));
    }

    #[test]
    fn a_line_is_one_line_of_ascii() {
        assert_eq!(Line::of("a\nb\x1b[31m\u{e4}").as_str(), "a?b?[31m??");
    }
}
