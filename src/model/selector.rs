//! Label selectors in the text form of `kubectl -l`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A label selector: every requirement must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: Box<str>,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<Box<str>>),
    NotIn(Vec<Box<str>>),
    Exists,
    Missing,
}

/// Why a text is not a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{part}` is not a label requirement; write key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
)]
pub struct SelectorError {
    part: Box<str>,
}

impl Selector {
    /// Whether the labels fulfil every requirement; an empty selector holds for all.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.get(&*requirement.key).map(String::as_str);
            let among = |values: &[Box<str>]| value.is_some_and(|v| values.iter().any(|w| **w == *v));
            match &requirement.test {
                Test::In(values) => among(values),
                // As Kubernetes: an object without the key is not in the list.
                Test::NotIn(values) => !among(values),
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
            }
        })
    }
}

/// As the API server reads it.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Requirement { key, test }) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match test {
                // A list that holds only an empty value is none to the API server.
                Test::In(values) if values.len() == 1 => write!(f, "{comma}{key}={}", values[0])?,
                Test::NotIn(values) if values.len() == 1 => write!(f, "{comma}{key}!={}", values[0])?,
                Test::In(values) => write!(f, "{comma}{key} in ({})", values.join(","))?,
                Test::NotIn(values) => write!(f, "{comma}{key} notin ({})", values.join(","))?,
                Test::Exists => write!(f, "{comma}{key}")?,
                Test::Missing => write!(f, "{comma}!{key}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let requirements = split_outside_brackets(text).map(str::trim).filter(|part| !part.is_empty());
        requirements.map(requirement).collect::<Result<_, _>>().map(Self)
    }
}

/// Splits at the commas that are not between brackets.
fn split_outside_brackets(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// A label's value, or the name in its key: what the API server would refuse is refused here, where it is typed.
fn is_value(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63 && text.chars().all(inner) && outer(text.chars().next()) && outer(text.chars().last())
}

/// `name` or `prefix/name`.
fn is_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |prefix: &str| prefix.len() <= 253 && prefix.split('.').all(is_value);
    prefix.is_none_or(is_prefix) && is_value(name)
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    let error = || SelectorError { part: part.into() };
    let made = |key: &str, test| {
        let key = key.trim();
        let (Test::In(values) | Test::NotIn(values)) = &test else {
            return if is_key(key) { Ok(Requirement { key: key.into(), test }) } else { Err(error()) };
        };
        if !is_key(key) || !values.iter().all(|value| value.is_empty() || is_value(value)) {
            return Err(error());
        }
        Ok(Requirement { key: key.into(), test })
    };
    let list = |rest: &str| -> Result<Vec<Box<str>>, SelectorError> {
        let inner = rest.trim().strip_prefix('(').and_then(|r| r.strip_suffix(')')).ok_or_else(error)?;
        Ok(inner.split(',').map(|v| v.trim().into()).collect())
    };
    // `key word (a,b)`, the space before the bracket as one likes.
    let before_list = |word: &str| {
        let (key, values) = part.split_at(part.find('(')?);
        let key = key.trim_end().strip_suffix(word)?;
        key.ends_with(' ').then_some((key, values))
    };
    if let Some((key, values)) = before_list("notin") {
        return made(key, Test::NotIn(list(values)?));
    }
    if let Some((key, values)) = before_list("in") {
        return made(key, Test::In(list(values)?));
    }
    if let Some((key, value)) = part.split_once("!=") {
        return made(key, Test::NotIn(vec![value.trim().into()]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return made(key, Test::In(vec![value.trim().into()]));
    }
    if let Some(key) = part.strip_prefix('!') {
        return made(key, Test::Missing);
    }
    made(part, Test::Exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        selector.parse::<Selector>().unwrap().matches(&labels)
    }

    #[test]
    fn each_form_holds_where_kubectl_says_so() {
        let web = [("app", "web"), ("tier", "front")];
        for yes in [
            "",
            "app=web",
            "app==web",
            "app!=db",
            "app in (db, web)",
            "app notin (db)",
            "app",
            "!zone",
            "app=web,tier in (front,back),!x",
            "zone!=a",
            "zone notin (a,b)",
            "app in(web)",
            "app notin(db)",
        ] {
            assert!(holds(yes, &web), "{yes}");
        }
        for no in
            ["app=db", "app!=web", "app in (db)", "app notin (web,db)", "zone", "!app", "app=web,tier=back"]
        {
            assert!(!holds(no, &web), "{no}");
        }
    }

    #[test]
    fn as_the_api_server_reads_it() {
        for (typed, written) in [
            ("app=web", "app=web"),
            ("app=", "app="),
            ("app!=", "app!="),
            ("app in (a, b) , !c,d", "app in (a,b),!c,d"),
            ("example.org/app notin (a,b)", "example.org/app notin (a,b)"),
            ("", ""),
        ] {
            let selector: Selector = typed.parse().unwrap();
            assert_eq!(selector.to_string(), written);
            assert_eq!(written.parse::<Selector>().unwrap(), selector);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "app in web",
            "=x",
            "a b",
            "!",
            "in (a)",
            "app in (a",
            "{}",
            "app=we b",
            "app=a_",
            "a/b/c=d",
            "/b=c",
            "app in (a,b c)",
        ] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }
}
