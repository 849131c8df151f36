//! The line that a field stands in. Only what is to be pointed at is looked up, when it is known: to keep a line with
//! every value of every manifest would cost more than the values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use serde_saphyr::Spanned;

use super::read::{Document, documents, yaml_options};

/// A field of an object of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'f> {
    /// The document in the file, from 1.
    pub document: usize,
    /// The item of a List, from 1.
    pub item: Option<usize>,
    /// `spec.ports[0].name`; empty is the object.
    pub path: &'f str,
}

/// A step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']') {
            Some(inner) => inner.parse().map_or(Step::Key(inner), Step::Index),
            None => Step::Key(part),
        })
        .collect()
}

/// The line of each field, from 1: that of what holds it where it is missing, None where the object is.
#[must_use]
pub fn lines_of(text: &str, fields: &[Field<'_>]) -> Vec<Option<u64>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = vec![None; fields.len()];
    if text.trim_start().starts_with(['{', '[']) {
        let offsets = in_json(text, fields);
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|index| offsets[*index]);
        // One way through the text for all of them.
        let (mut at, mut line) = (0, 1);
        for index in order {
            let Some(offset) = offsets[index] else { continue };
            line += text.as_bytes()[at..offset].iter().map(|octet| u64::from(*octet == b'\n')).sum::<u64>();
            at = offset;
            lines[index] = Some(line);
        }
        return lines;
    }
    for (number, document) in (1..).zip(documents(text)) {
        let here: Vec<usize> = (0..fields.len()).filter(|index| fields[*index].document == number).collect();
        if here.is_empty() {
            continue;
        }
        let items = here.iter().filter_map(|index| fields[*index].item).collect();
        let Some(nodes) = in_yaml(&document, items) else { continue };
        for index in here {
            let node = nodes.get(&fields[index].item.unwrap_or_default());
            lines[index] = node.map(|node| node.follow(&steps(fields[index].path)) + document.line);
        }
    }
    lines
}

/// Where in the text each field begins.
fn in_json(text: &str, fields: &[Field<'_>]) -> Vec<Option<usize>> {
    let documents = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let documents: Vec<&RawValue> = documents.map_while(Result::ok).collect();
    let mut lists: BTreeMap<usize, Vec<&RawValue>> = BTreeMap::new();
    let mut offset = |field: &Field<'_>| {
        let mut value = *documents.get(field.document.checked_sub(1)?)?;
        if let Some(item) = field.item {
            let items = lists.entry(field.document).or_insert_with(|| items(value).unwrap_or_default());
            value = items.get(item.checked_sub(1)?)?;
        }
        for step in steps(field.path) {
            let Some(inner) = member(value, step) else { break };
            value = inner;
        }
        let offset = (value.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        (offset <= text.len()).then_some(offset)
    };
    fields.iter().map(&mut offset).collect()
}

/// The items of a List.
fn items(document: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(member(document, Step::Key("items"))?.get()).ok()
}

/// A part of a value, which is a part of its text.
fn member<'t>(value: &'t RawValue, step: Step<'_>) -> Option<&'t RawValue> {
    match step {
        Step::Key(key) => serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok()?.remove(key),
        Step::Index(index) => serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(index).copied(),
    }
}

/// A value's line in its document, and what is in it.
#[derive(Debug, Default)]
struct Node {
    line: u64,
    fields: Vec<(Spanned<String>, Node)>,
    items: Vec<Node>,
}

impl Node {
    fn follow(&self, steps: &[Step<'_>]) -> u64 {
        let Some((step, rest)) = steps.split_first() else { return self.line };
        match step {
            Step::Key(name) => {
                self.fields.iter().find(|(key, _)| key.value == *name).map_or(self.line, |(key, node)| {
                    // A key stands for its value, which may begin below it.
                    let line = key.referenced.line();
                    if rest.is_empty() && line > 0 { line } else { node.follow(rest) }
                })
            }
            Step::Index(index) => self.items.get(*index).map_or(self.line, |node| node.follow(rest)),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Inner>::deserialize(deserializer)?;
        let Inner { fields, items } = spanned.value;
        Ok(Self { line: spanned.referenced.line(), fields, items })
    }
}

/// A value without its line.
#[derive(Default)]
struct Inner {
    fields: Vec<(Spanned<String>, Node)>,
    items: Vec<Node>,
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Inner;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inner, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Inner { fields, items: Vec::new() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inner, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Inner { fields: Vec::new(), items })
            }

            fn visit_bool<E>(self, _: bool) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_unit<E>(self) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_none<E>(self) -> Result<Inner, E> {
                Ok(Inner::default())
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inner, D::Error> {
                deserializer.deserialize_any(self)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The items that are wanted, by number; the whole document under 0 where it is no List.
fn in_yaml(document: &Document<'_>, items: BTreeSet<usize>) -> Option<BTreeMap<usize, Node>> {
    let options = yaml_options(document.text.len());
    if items.is_empty() {
        let node = serde_saphyr::from_str_with_options::<Node>(document.text, options).ok()?;
        return Some(BTreeMap::from([(0, node)]));
    }
    let mut found = BTreeMap::new();
    // What is broken behind the items that are wanted does not matter.
    let _ = serde_saphyr::with_deserializer_from_str_with_options(document.text, options, |d| {
        List { wanted: &items, found: &mut found }.deserialize(d)
    });
    Some(found)
}

/// Reads the wanted items of a List.
struct List<'w> {
    wanted: &'w BTreeSet<usize>,
    found: &'w mut BTreeMap<usize, Node>,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a List or its items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                map.next_value_seed(List { wanted: self.wanted, found: self.found })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for number in 1.. {
            if self.wanted.contains(&number) {
                let Some(node) = seq.next_element()? else { break };
                self.found.insert(number, node);
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, document: usize, item: Option<usize>, path: &str) -> Option<u64> {
        lines_of(text, &[Field { document, item, path }])[0]
    }

    #[test]
    fn lines_of_yaml() {
        let text = "# head\n---\nkind: Service\nspec:\n  ports:\n  - name: a\n    port: 80\n  - port: 81\n  selector:\n    app: web\n---\n\n---\nkind: X\nspec: {a: [1,\n  2]}\n";
        for (document, path, expected) in [
            (1, "kind", 3),
            (1, "spec.ports[0].port", 7),
            (1, "spec.ports[1].port", 8),
            (1, "spec.ports[1]", 8),
            (1, "spec.selector", 9),
            (1, "spec.selector[app]", 10),
            // Missing: what holds it.
            (1, "spec.ports[1].name", 8),
            (2, "spec.a[1]", 16),
            (2, "", 14),
        ] {
            assert_eq!(line(text, document, None, path), Some(expected), "{document} {path}");
        }
        assert_eq!(line(text, 3, None, "kind"), None);
    }

    #[test]
    fn lines_of_items() {
        let yaml = "kind: List\nitems:\n- kind: A\n  x: 1\n- kind: B\n  x: 2\n";
        let json = "{\"kind\": \"List\",\n\"items\": [\n{\"kind\": \"A\"},\n{\"kind\": \"B\",\n\"x\": {\"y\": [1,\n2]}}]}";
        assert_eq!(line(yaml, 1, Some(2), "x"), Some(6));
        assert_eq!(line(yaml, 1, Some(3), "x"), None);
        assert_eq!(line(json, 1, Some(2), "x.y[1]"), Some(6));
        assert_eq!(line(json, 1, Some(2), "z"), Some(4));
        assert_eq!(line(json, 1, Some(3), "z"), None);
        assert_eq!(line("{\"a\":1}\n{\"b\":\n2}", 2, None, "b"), Some(3));
    }

    #[test]
    fn what_cannot_be_read_has_no_line() {
        for text in ["", "{", "a: [", "kind: [unclosed\n", "- - -"] {
            let _ = line(text, 1, None, "a.b");
            let _ = line(text, 1, Some(1), "a.b");
        }
    }
}
