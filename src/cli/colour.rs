//! Colour for people at a terminal, and nothing that somebody else's text would do there.

use std::io::{self, IsTerminal as _};

/// What paints, or leaves as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(bool);

impl Colour {
    /// For a terminal that can show it, whose user did not turn it off (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb)
    }

    /// Whether it paints.
    pub(super) fn is_on(self) -> bool {
        self.0
    }

    /// A text in a colour, by its code of ECMA-48 (SGR).
    pub(super) fn paint(self, text: &str, code: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// For tests: always, or never.
    #[cfg(test)]
    pub(super) fn new(is_on: bool) -> Self {
        Self(is_on)
    }
}

/// The screen's own filter, for every text.
pub(super) use crate::watch::plain;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_painted_ends_its_colour() {
        assert_eq!(Colour::new(true).paint("x", "1"), "\u{1b}[1mx\u{1b}[0m");
        assert_eq!(Colour::new(false).paint("x", "1"), "x");
    }

    #[test]
    fn foreign_text_does_nothing_to_a_terminal() {
        assert_eq!(
            plain("a\u{1b}[2Jb\nc\rd\u{9b}e\u{202e}f\u{7f}"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}"
        );
        assert_eq!(plain("web-0 ä 名"), "web-0 ä 名");
    }
}
