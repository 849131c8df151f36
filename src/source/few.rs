//! Lists of which only so many items are kept, whatever is sent: `[{},{}]` of 16 MiB makes gigabytes of objects.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};

/// Kept of a list within an object; no pod has as many containers, volumes or conditions.
const MOST_WITHIN: usize = 64;

/// The first items of a list within an object, for `deserialize_with`; null is none.
pub(super) fn first<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Few { most: MOST_WITHIN, keep: |_: &T| true, item: PhantomData }.deserialize(deserializer)
}

/// The first `most` items of a list of the API that are to be kept, in JSON. The others are passed over while it is read.
///
/// # Errors
/// When it is no list, or one of those is none of these objects.
pub(super) fn of_list<T: DeserializeOwned>(
    octets: &[u8],
    most: usize,
    keep: impl Fn(&T) -> bool,
) -> Result<Vec<T>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(octets);
    let items = deserializer.deserialize_map(List(Few { most, keep, item: PhantomData }))?;
    deserializer.end()?;
    Ok(items)
}

struct Few<T, K> {
    most: usize,
    keep: K,
    item: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, K: Fn(&T) -> bool> DeserializeSeed<'de> for Few<T, K> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Deserialize<'de>, K: Fn(&T) -> bool> Visitor<'de> for Few<T, K> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or null")
    }

    fn visit_none<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.most {
            let Some(item) = items.next_element()? else { return Ok(kept) };
            if (self.keep)(&item) {
                kept.push(item);
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

/// The object around the items.
struct List<T, K>(Few<T, K>);

impl<'de, T: Deserialize<'de>, K: Fn(&T) -> bool> Visitor<'de> for List<T, K> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of the API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Vec<T>, A::Error> {
        let mut items = None;
        let mut few = Some(self.0);
        while let Some(field) = fields.next_key::<Cow<'de, str>>()? {
            match few.take_if(|_| field == "items") {
                Some(few) => items = Some(fields.next_value_seed(few)?),
                None => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(items.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn numbers(text: &str, most: usize, keep: impl Fn(&u32) -> bool) -> Option<Vec<u32>> {
        of_list(text.as_bytes(), most, keep).ok()
    }

    #[test]
    fn only_what_is_to_be_kept_is_and_no_more_of_it() {
        let text = r#"{"kind": "List", "items": [1, 2, 3, 4, 5, 6], "metadata": {"items": [7]}}"#;
        assert_eq!(numbers(text, 9, |_| true).unwrap(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(numbers(text, 2, |number| number % 2 == 0).unwrap(), [2, 4]);
        assert!(numbers(text, 0, |_| true).unwrap().is_empty());
        assert_eq!(numbers(r#"{"items": [1], "items": [2]}"#, 9, |_| true).unwrap(), [1]);
    }

    #[test]
    fn what_is_passed_over_is_not_even_made() {
        let made = Cell::new(0);
        let text = format!("{{\"items\": [{}1]}}", "1,".repeat(100_000));
        let keep = |_: &u32| {
            made.set(made.get() + 1);
            true
        };
        let kept = numbers(&text, 32, keep).unwrap();
        assert_eq!((kept.len(), made.get()), (32, 32));
        assert!(kept.capacity() <= 64);
    }

    #[test]
    fn what_is_no_list_is_none() {
        for text in [r#"{"items": null}"#, "{}", r#"{"kind": "Status"}"#] {
            assert!(numbers(text, 9, |_| true).unwrap().is_empty(), "{text}");
        }
        for text in
            ["", "<html>", "[1]", "null", r#"{"items": {}}"#, r#"{"items": ["x"]}"#, r#"{"items": [1]} x"#]
        {
            assert_eq!(numbers(text, 9, |_| true), None, "{text}");
        }
        // Cut off behind what is kept.
        assert_eq!(numbers(r#"{"items": [1, 2"#, 1, |_| true), None);
    }
}
