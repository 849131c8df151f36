//! Whether a question for a replica that is not ready yet waits for it: what an annotation can say.

/// The annotation `rollcall/hold` of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// `false`.
    Never,
    /// `true`: for as long as the configuration says.
    AsConfigured,
    /// So many milliseconds, [`Hold::LEAST`] to [`Hold::LONGEST`]; where the configuration says less, as long as that.
    For(u16),
}

impl Hold {
    /// Milliseconds. What is shorter is over before anything is published.
    pub const LEAST: u16 = 10;
    /// Milliseconds. CoreDNS's `forward` gives up a server that says nothing for 2 s, and asks it again.
    pub const LONGEST: u16 = 1800;

    /// What an annotation's text says; None where it is none of `true`, `false`, `300ms`, `1s` or `1.5s`, or out of
    /// bounds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "true" => return Some(Self::AsConfigured),
            "false" => return Some(Self::Never),
            _ => {}
        }
        let milliseconds = match text.strip_suffix("ms") {
            Some(number) => whole(number)?,
            None => {
                let seconds = text.strip_suffix('s')?;
                let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
                // Of the fraction three digits: "1.5" is 1500.
                let thousandths = (1..=3).contains(&fraction.len()).then(|| format!("{fraction:0<3}"))?;
                whole(seconds)?.checked_mul(1000)?.checked_add(whole(&thousandths)?)?
            }
        };
        (Self::LEAST..=Self::LONGEST).contains(&milliseconds).then_some(Self::For(milliseconds))
    }
}

/// Digits alone: a number's own parser would take a sign.
fn whole(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_or_a_time_within_the_bounds() {
        for (text, is) in [
            ("true", Hold::AsConfigured),
            ("false", Hold::Never),
            ("10ms", Hold::For(10)),
            ("1800ms", Hold::For(1800)),
            ("1s", Hold::For(1000)),
            ("1.5s", Hold::For(1500)),
            ("0.25s", Hold::For(250)),
            ("1.008s", Hold::For(1008)),
        ] {
            assert_eq!(Hold::parse(text), Some(is), "{text}");
        }
        for text in [
            "", "1", "yes", "True", "9ms", "1801ms", "2s", "1.801s", "1.5", "-1s", "+1s", "1.s", "1.0001s",
            ".s", "s", "ms", "99999ms", "1 s", "1.5ms", "1m", "1.5x0s",
        ] {
            assert_eq!(Hold::parse(text), None, "{text}");
        }
    }
}
