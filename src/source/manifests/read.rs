//! Text to items: YAML documents, JSON documents, Lists; each bad one a [`Problem`], the good ones kept.
//!
//! The items of a List are made slim one by one as they are parsed: a dump of a whole cluster is one document,
//! and its tree would take ten times its text.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::item::{Item, Read, item};
use super::witness::{Place, Witness};
use crate::source::{Problem, Severity};

/// How far the reading is, for whoever waits.
#[derive(Debug, Default)]
pub struct Progress {
    /// Octets of all files that were taken up.
    pub octets: AtomicUsize,
    /// Objects that were parsed.
    pub objects: AtomicUsize,
}

/// What a text holds, in order.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) items: Vec<Located>,
    pub(super) problems: Vec<Problem>,
    /// Documents with anything in them.
    pub(super) documents: usize,
}

/// An item and where it stood.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) item: Item,
    pub(super) document: usize,
    pub(super) place: Option<usize>,
}

impl Parsed {
    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// A file that is read, and who looks on.
struct Reading<'r> {
    file: &'r Path,
    progress: &'r Progress,
    witness: Option<&'r mut (dyn Witness + 'static)>,
}

impl Reading<'_> {
    /// Of the document of this number.
    fn content(&mut self, number: usize) -> Content<'_> {
        Content {
            fields: Map::new(),
            items: None,
            other: None,
            number,
            file: self.file,
            progress: self.progress,
            witness: self.witness.as_deref_mut(),
        }
    }
}

/// Parses a file's text, before a witness where there is one.
pub(super) fn parse(
    text: &str,
    file: &Path,
    progress: &Progress,
    mut witness: Option<&mut (dyn Witness + 'static)>,
) -> Parsed {
    let mut parsed = Parsed::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(witness) = witness.as_deref_mut() {
        witness.text(file, text);
    }
    progress.octets.fetch_add(text.len(), Ordering::Relaxed);
    let mut reading = Reading { file, progress, witness };
    if text.trim_start().starts_with(['{', '[']) {
        json(text, &mut parsed, &mut reading);
    } else {
        for document in documents(text) {
            yaml(&document, &mut parsed, &mut reading);
        }
    }
    for problem in &mut parsed.problems {
        problem.file = Some(file.to_owned());
    }
    parsed
}

/// A document of a file.
pub(super) struct Document<'t> {
    pub(super) text: &'t str,
    /// The line in the file before its first.
    pub(super) line: u64,
}

/// Splits at the lines that are `---` (YAML 1.2, section 9.1.2), so that one bad document spoils only itself.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let (mut at, mut line) = (0, 0);
    for full in text.split_inclusive('\n') {
        let marker = full
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && at > start {
            documents.push(Document { text: &text[start..at], line: start_line });
            (start, start_line) = (at, line);
        }
        at += full.len();
        line += 1;
    }
    documents.push(Document { text: &text[start..], line: start_line });
    documents.retain(|document| !is_blank(document.text));
    documents
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        let line = line.strip_prefix("---").map_or(line, str::trim);
        line.is_empty() || line.starts_with('#') || line.starts_with('%') || line == "..."
    })
}

fn yaml(document: &Document<'_>, parsed: &mut Parsed, reading: &mut Reading<'_>) {
    parsed.documents += 1;
    let mut content = reading.content(parsed.documents);
    let result = serde_saphyr::with_deserializer_from_str_with_options(
        document.text,
        yaml_options(document.text.len()),
        |d| DocumentSeed(&mut content).deserialize(d),
    );
    match result {
        Ok(()) => content.finish(parsed),
        Err(error) => {
            let mut problem = Problem::error(without_place(&one_line(&error.without_snippet().to_string())));
            problem.document = Some(parsed.documents);
            problem.line = error.location().map(|location| location.line() + document.line);
            // What stood before the error in a List is good: each item is a document of its own there.
            content.keep_items(parsed);
            parsed.problems.push(problem);
        }
    }
}

/// The parser counts the lines of the document; the problem says that of the file.
fn without_place(text: &str) -> String {
    match text.rsplit_once(" at line ") {
        Some((before, place)) => {
            let column = place.split_once("column ").map_or("", |(_, column)| column);
            let digits = column.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            if digits.is_empty() { before.to_owned() } else { format!("{before} (column {digits})") }
        }
        None => text.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a document may make the parser do, by its length: a dump may be long, but never larger than its text.
pub(super) fn yaml_options(octets: usize) -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    if let Some(budget) = &mut options.budget {
        budget.max_events = budget.max_events.max(octets);
        budget.max_nodes = budget.max_nodes.max(octets);
        budget.max_total_scalar_bytes = budget.max_total_scalar_bytes.max(octets * 2);
        budget.max_reader_input_bytes = None;
    }
    options
}

fn json(text: &str, parsed: &mut Parsed, reading: &mut Reading<'_>) {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    loop {
        parsed.documents += 1;
        let mut content = reading.content(parsed.documents);
        match DocumentSeed(&mut content).deserialize(&mut deserializer) {
            Ok(()) => content.finish(parsed),
            Err(error) => {
                let mut problem = Problem::error(error.to_string());
                problem.document = Some(parsed.documents);
                problem.line = u64::try_from(error.line()).ok();
                content.keep_items(parsed);
                parsed.problems.push(problem);
                return;
            }
        }
        if deserializer.end().is_ok() {
            return;
        }
    }
}

/// An item of a List.
enum Pending {
    Read(Read),
    /// Of a typed list whose own kind comes behind its items.
    Untyped(Value),
}

/// What a document holds: fields, and where it is a List the items, already made slim.
struct Content<'p> {
    fields: Map<String, Value>,
    /// None while no `items` were met.
    items: Option<Vec<Pending>>,
    other: Option<Value>,
    number: usize,
    file: &'p Path,
    progress: &'p Progress,
    witness: Option<&'p mut (dyn Witness + 'static)>,
}

impl<'p> Content<'p> {
    /// Makes an object slim, shown to the witness before.
    fn read(&mut self, value: Value, place: Option<usize>) -> Read {
        if let Some(witness) = &mut self.witness {
            witness.object(&value, Place { file: self.file, document: self.number, item: place });
        }
        item(value)
    }

    /// The kind and version that the items of a typed list (`ServiceList`) go without.
    fn item_type(&self) -> Option<(Value, Value)> {
        let kind = self.fields.get("kind")?.as_str()?.strip_suffix("List").filter(|kind| !kind.is_empty())?;
        Some((self.fields.get("apiVersion")?.clone(), kind.into()))
    }

    /// Gives an item of a typed list the kind that it goes without.
    fn complete(&self, value: &mut Value) {
        if let (Some(fields), Some((version, kind))) = (value.as_object_mut(), self.item_type()) {
            fields.entry("apiVersion").or_insert(version);
            fields.entry("kind").or_insert(kind);
        }
    }

    fn add_item(&mut self, mut value: Value) {
        self.complete(&mut value);
        self.progress.objects.fetch_add(1, Ordering::Relaxed);
        let untyped = value.get("kind").is_none() && !self.fields.contains_key("kind");
        let place = self.items.as_ref().map_or(0, Vec::len) + 1;
        let pending =
            if untyped { Pending::Untyped(value) } else { Pending::Read(self.read(value, Some(place))) };
        self.items.get_or_insert_default().push(pending);
    }

    fn finish(mut self, parsed: &mut Parsed) {
        let is_list =
            self.fields.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        if let Some(value) = self.other.take() {
            // A document of `null` is as blank as one of comments.
            if !value.is_null() {
                keep(item(value), parsed, None);
            }
        } else if is_list {
            self.keep_items(parsed);
        } else {
            self.progress.objects.fetch_add(1, Ordering::Relaxed);
            let value = Value::Object(std::mem::take(&mut self.fields));
            keep(self.read(value, None), parsed, None);
        }
    }

    fn keep_items(&mut self, parsed: &mut Parsed) {
        for (place, pending) in (1..).zip(self.items.take().unwrap_or_default()) {
            let read = match pending {
                Pending::Read(read) => read,
                Pending::Untyped(mut value) => {
                    self.complete(&mut value);
                    self.read(value, Some(place))
                }
            };
            keep(read, parsed, Some(place));
        }
    }
}

fn keep(item: Read, parsed: &mut Parsed, place: Option<usize>) {
    let document = parsed.documents;
    let problems = match item {
        Ok((item, beside)) => {
            parsed.items.extend(item.map(|item| Located { item, document, place }));
            beside
        }
        Err(problem) => vec![*problem],
    };
    let located =
        problems.into_iter().map(|problem| Problem { document: Some(document), item: place, ..problem });
    parsed.problems.extend(located);
}

/// Reads one document into a [`Content`].
struct DocumentSeed<'c, 'p>(&'c mut Content<'p>);

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with apiVersion and kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                map.next_value_seed(ItemsSeed(self.0))?;
            } else {
                let value = map.next_value()?;
                self.0.fields.insert(key, value);
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.other = Some(Value::Null);
        Ok(())
    }
}

/// Reads the `items` of a List.
struct ItemsSeed<'c, 'p>(&'c mut Content<'p>);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(value) = items.next_element::<Value>()? {
            self.0.add_item(value);
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parsed {
        parse(text, Path::new("f.yaml"), &Progress::default(), None)
    }

    fn said(text: &str) -> Vec<String> {
        parsed(text).problems.iter().map(ToString::to_string).collect()
    }

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: None}\n";

    #[test]
    fn documents_are_split_and_counted() {
        let text = format!("# only a comment\n---\n{SERVICE}---\n\n---\n{SERVICE}...\n");
        let parsed = parsed(&text);
        assert_eq!((parsed.items.len(), parsed.documents, parsed.problems.len()), (2, 2, 0));
    }

    #[test]
    fn a_bad_document_spoils_only_itself() {
        let text = format!("{SERVICE}---\nkind: [unclosed\n---\n{SERVICE}");
        let parsed = parsed(&text);
        assert_eq!(parsed.items.len(), 2);
        let problem = &parsed.problems[0];
        assert_eq!(problem.document, Some(2));
        assert!(problem.to_string().starts_with("f.yaml:"), "{problem}");
    }

    #[test]
    fn a_bad_field_is_named() {
        let text =
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}, {port: x}]}\n";
        let said = said(text);
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("f.yaml: document 1: Service default/a: spec.ports[1].port: invalid type"),
            "{said:?}"
        );
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 70000}]}\n";
        assert_eq!(
            self::said(text),
            ["f.yaml: document 1: Service default/a: spec.ports[0].port: is not a port from 1 to 65535"]
        );
    }

    #[test]
    fn lists_in_yaml_and_json_with_items_first_or_last() {
        let item =
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"None"}}"#;
        let bare = r#"{"metadata":{"name":"b"},"spec":{"clusterIP":"None"}}"#;
        for text in [
            format!(r#"{{"apiVersion":"v1","items":[{item},{item}],"kind":"List"}}"#),
            format!("apiVersion: v1\nitems:\n- {item}\n- {item}\nkind: List\n"),
            format!(r#"{{"kind":"ServiceList","apiVersion":"v1","items":[{bare},{bare}]}}"#),
            format!(r#"{{"apiVersion":"v1","items":[{bare},{bare}],"kind":"ServiceList"}}"#),
            format!("{item}\n{item}"),
        ] {
            let parsed = parsed(&text);
            assert_eq!((parsed.items.len(), parsed.problems.len()), (2, 0), "{text}: {:?}", parsed.problems);
        }
    }

    #[test]
    fn items_are_located() {
        let text = "kind: List\napiVersion: v1\nitems:\n- {kind: Service, apiVersion: v1, metadata: {name: UP}}\n- 3\n";
        assert_eq!(
            said(text),
            [
                "f.yaml: document 1, item 1: Service default/UP: metadata.name: may only hold a-z, 0-9 and '-', and must start and end with a letter or digit",
                "f.yaml: document 1, item 2: is not an object with apiVersion and kind",
            ]
        );
    }

    #[test]
    fn kinds_without_names_are_passed_over() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {spec: 3}\n---\napiVersion: example.org/v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: 3}\n";
        let parsed = parsed(text);
        assert_eq!((parsed.items.len(), parsed.problems.len()), (0, 0), "{:?}", parsed.problems);
    }

    #[test]
    fn truncated_json_keeps_what_came_before() {
        let item =
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"None"}}"#;
        let parsed = parsed(&format!(r#"{{"apiVersion":"v1","kind":"List","items":[{item},{{"api"#));
        assert_eq!((parsed.items.len(), parsed.problems.len()), (1, 1));
    }

    #[test]
    fn nulls_count_as_missing() {
        let text = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints: null\nports: null\nmetadata: {name: a, annotations: null, labels: {kubernetes.io/service-name: a}}\n";
        let parsed = parsed(text);
        assert_eq!((parsed.items.len(), parsed.problems.len()), (1, 0), "{:?}", parsed.problems);
    }

    #[test]
    fn no_text_panics() {
        for text in [
            "",
            "{",
            "[",
            "]",
            "---",
            "--- x",
            "\u{feff}",
            "null",
            "3",
            "a: &a [*a]",
            "? {}",
            "{}{}",
            "[1]",
            "!!x y",
            "\0",
        ] {
            let _ = parsed(text);
        }
    }
}
