//! HTML that cannot hold what somebody else wrote as anything but text.
//!
//! Literals of this program are written as they are; everything else is escaped, for there is no other way to write it. A
//! template engine would do the same with a compiler of its own among the dependencies; there are two pages here.

/// A document, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Writes markup, which is this program's own.
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Writes text, in an element or between the quotation marks of an attribute.
    pub(super) fn text(&mut self, text: impl std::fmt::Display) -> &mut Self {
        use std::fmt::Write as _;

        // Into memory.
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// Writes a part of a URL, between the quotation marks of an attribute.
    pub(super) fn url(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&super::query::encode(text));
        self
    }

    /// The text of it.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

struct Escaped<'t>(&'t mut String);

impl std::fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Nothing that a page should hold: bidirectional overrides and the like make a name look like another.
                c if c.is_control() && c != '\n' && c != '\t' => self.0.push('\u{fffd}'),
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let mut html = Html::default();
        html.markup("<a title=\"").text("\"><script>'&").markup("\" href=\"/x?name=").url("\"&a=b c<");
        html.markup("\">").text("a\u{202e}b\0c\nd").text(7).markup("</a>");
        assert_eq!(
            html.finish(),
            "<a title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\" href=\"/x?name=%22%26a%3Db%20c%3C\">\
             a\u{fffd}b\u{fffd}c\nd7</a>"
        );
    }
}
