//! Figures as lines of text: a word that says what they are, then `key=value` pairs.

use std::str::FromStr;

use anyhow::Context as _;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Line<'l>(&'l str);

impl<'l> Line<'l> {
    /// Any line is one; what it lacks is said when it is asked for.
    #[must_use]
    pub fn new(text: &'l str) -> Self {
        Self(text.trim())
    }

    /// What stands before the pairs.
    #[must_use]
    pub fn kind(self) -> &'l str {
        self.0.split_whitespace().next().unwrap_or_default()
    }

    /// What stands behind the kind.
    #[must_use]
    pub fn rest(self) -> &'l str {
        self.0.split_once(' ').map_or("", |(_, rest)| rest)
    }

    /// The value of a key.
    #[must_use]
    pub fn text(self, key: &str) -> Option<&'l str> {
        self.0.split_whitespace().find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }

    /// The same, as a number.
    ///
    /// # Errors
    /// When it is not there, or is none.
    pub fn number<N: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        self,
        key: &str,
    ) -> anyhow::Result<N> {
        let value = self.text(key).with_context(|| format!("no {key}= in: {}", self.0))?;
        value.parse().with_context(|| format!("{key}={value} in: {}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_and_pairs() {
        let line = Line::new("start server=a size=10 answered_s=0.5");
        assert_eq!((line.kind(), line.text("server")), ("start", Some("a")));
        assert_eq!(line.number::<u64>("size").unwrap(), 10);
        assert!(line.number::<u64>("answered_s").is_err() && line.number::<u64>("siz").is_err());
    }
}
