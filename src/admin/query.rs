//! The query of a request's target: `name=web-0.nginx&type=A`.

/// Pairs of a query, decoded (WHATWG URL, section 5.1, application/x-www-form-urlencoded). As long as a request's head may
/// be, which is bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

/// A parameter that is not what it should be, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

impl Query {
    /// What is no UTF-8 becomes the replacement character, which is no name of anything.
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let parse = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        };
        Self(pairs.map(parse).collect())
    }

    /// The first value of a key that is not empty: forms send empty ones for what nobody typed.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let mut own = self.0.iter().filter(|(other, value)| other == key && !value.is_empty());
        own.next().map(|(_, value)| value.as_str())
    }

    /// All values of a key.
    pub(super) fn all<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        let own = self.0.iter().filter(move |(other, value)| other == key && !value.is_empty());
        own.map(|(_, value)| value.as_str())
    }

    /// A number from 1 to `most`, or where it is not there `default`.
    pub(super) fn number(&self, key: &str, default: usize, most: usize) -> Result<usize, Wrong> {
        let Some(text) = self.text(key) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| Wrong(format!("{key} is not a number from 1 to {most}")))
    }

    /// `namespace/name`.
    pub(super) fn pair(&self, key: &str) -> Result<Option<(String, String)>, Wrong> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let (namespace, name) =
            text.split_once('/').ok_or_else(|| Wrong(format!("{key} is not namespace/name")))?;
        Ok(Some((namespace.to_owned(), name.to_owned())))
    }
}

fn decode(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'+' => octets.push(b' '),
            b'%' => {
                let hex = |digit: u8| char::from(digit).to_digit(16);
                let escaped = match *rest {
                    [high, low, ..] => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
                    _ => None,
                };
                match escaped.and_then(|octet| u8::try_from(octet).ok()) {
                    Some(octet) => {
                        octets.push(octet);
                        rest = &rest[2..];
                    }
                    None => octets.push(b'%'),
                }
            }
            other => octets.push(other),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// A text as a part of a URL's path or query: what is not unreserved (RFC 3986, section 2.3) is escaped.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            // Into memory.
            let _ = write!(encoded, "%{octet:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_what_is_broken_stands_for_itself() {
        let query = Query::parse(Some("name=web-0%2Enginx+x&type=&set=a%2Fb&set=c/d&%zz=%e4&last=%4"));
        assert_eq!(query.text("name"), Some("web-0.nginx x"));
        assert_eq!((query.text("type"), query.text("no")), (None, None));
        assert_eq!(query.all("set").collect::<Vec<_>>(), ["a/b", "c/d"]);
        assert_eq!((query.text("%zz"), query.text("last")), (Some("\u{fffd}"), Some("%4")));
        assert_eq!(query.pair("set"), Ok(Some(("a".into(), "b".into()))));
        assert_eq!(query.pair("no"), Ok(None));
        assert!(query.pair("name").is_err());
        assert_eq!(Query::parse(None), Query::default());
    }

    #[test]
    fn numbers_are_bounded() {
        let number = |text: &str| Query::parse(Some(text)).number("limit", 7, 9);
        assert_eq!((number(""), number("limit=9")), (Ok(7), Ok(9)));
        for bad in ["limit=0", "limit=10", "limit=x", "limit=-1", "limit=99999999999999999999"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_to_itself() {
        let text = "a b+c/ä?&=%\"<'>.~_-";
        assert_eq!(decode(&encode(text)), text);
        assert!(encode(text).bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._~%".contains(&octet)));
    }
}
