//! What is logged, and in which form.

use tracing_subscriber::EnvFilter;

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A filter: a level, `target=level`, several with commas. It was read once, so that it can be read.
    pub level: String,
    /// One in so many questions has a line; 0 is none.
    pub queries: u64,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a filter. `EnvFilter` takes any word without `=` for the name of a module, of which it then logs everything,
/// and of all others nothing: `inof` would make the log fall silent. Here such a word is a level, or wrong.
pub(super) fn filter(text: &str) -> Result<String, String> {
    for word in text.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', '{', '}', ']', '"'])) {
        if !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) {
            return Err(format!("`{word}` is not a level ({}), nor `target=level`", LEVELS.join(", ")));
        }
    }
    // Blanks behind commas are fine with people and not with EnvFilter.
    let plain = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    EnvFilter::try_new(&plain).map_err(|error| format!("`{text}`: {error}"))?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_targets_with_levels() {
        for good in ["info", "WARN", "off", "rollcall::server=debug,info"] {
            assert_eq!(filter(good).as_deref(), Ok(good));
        }
        assert_eq!(filter(" info, rollcall::query=off").as_deref(), Ok("info,rollcall::query=off"));
        for (bad, word) in
            [("inof", "inof"), ("", ""), ("info,", ""), ("a=b", "a=b"), ("rollcall", "rollcall")]
        {
            let error = filter(bad).unwrap_err();
            assert!(error.contains(&format!("`{word}`")), "{bad}: {error}");
        }
    }
}
