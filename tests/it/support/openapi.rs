//! Holds answers of the API against docs/openapi.json: an answer has the fields that are described, with the types that
//! are described, and no other ones.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// The description.
pub(crate) struct OpenApi {
    document: Value,
    /// `Schema.field` of everything that was seen with a value that is not null.
    seen: BTreeSet<String>,
}

impl OpenApi {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let document = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        Self { document, seen: BTreeSet::new() }
    }

    /// The description as it is.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// The paths that are described.
    pub(crate) fn paths(&self) -> BTreeSet<String> {
        self.document["paths"].as_object().unwrap().keys().cloned().collect()
    }

    /// Holds an answer against the schema that a path's response of this code has.
    pub(crate) fn check(&mut self, path: &str, code: u16, answer: &str) -> Value {
        let pointer =
            format!("/paths/{}/get/responses/{code}/content/application~1json/schema", escaped(path));
        let schema = self.document.pointer(&pointer).cloned();
        let schema = schema.unwrap_or_else(|| panic!("{code} of {path} is not described"));
        let answer: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        self.hold(&schema, &answer, path, None);
        answer
    }

    /// The same for a schema by its name.
    pub(crate) fn check_named(&mut self, name: &str, answer: &Value) {
        let schema = serde_json::json!({ "$ref": format!("#/components/schemas/{name}") });
        self.hold(&schema, answer, name, None);
    }

    /// The fields of these schemas that no answer had a value in.
    pub(crate) fn unseen(&self, schemas: &[&str]) -> Vec<String> {
        let fields = schemas.iter().flat_map(|name| {
            let properties = self.document["components"]["schemas"][name]["properties"].as_object();
            let properties = properties.unwrap_or_else(|| panic!("no schema {name}"));
            properties.keys().map(move |field| format!("{name}.{field}"))
        });
        fields.filter(|field| !self.seen.contains(field)).collect()
    }

    fn hold(&mut self, schema: &Value, value: &Value, at: &str, name: Option<&str>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            let schema = self.document["components"]["schemas"][name].clone();
            assert!(schema.is_object(), "no schema {name}");
            return self.hold(&schema, value, at, Some(name));
        }
        // A schema by its name, or null.
        if let Some(choices) = schema["oneOf"].as_array() {
            let wanted = |choice: &&Value| (choice["type"] == "null") == value.is_null();
            let choice =
                choices.iter().find(wanted).unwrap_or_else(|| panic!("{at}: {value} is none of {choices:?}"));
            return self.hold(choice, value, at, name);
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
            other => panic!("{at}: no type but {other}"),
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_one = types.contains(&is) || (is == "integer" && types.contains(&"number"));
        assert!(is_one, "{at}: {value} is no {types:?}");
        if let Some(choices) = schema["enum"].as_array() {
            assert!(choices.contains(value), "{at}: {value} is none of {choices:?}");
        }
        if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64()) {
            assert!(number >= least, "{at}: {number}");
        }
        if schema["format"] == "date-time"
            && let Some(text) = value.as_str()
        {
            text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{at}: {text}: {error}"));
        }
        match value {
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, item)| self.hold(&schema["items"], item, &format!("{at}[{i}]"), None));
            }
            Value::Object(fields) if schema["properties"].is_object() => {
                let described = schema["properties"].as_object().unwrap().clone();
                let of = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<String>>();
                assert_eq!(of(fields.keys().collect()), of(described.keys().collect()), "{at}: its fields");
                for (field, value) in fields {
                    if let Some(name) = name.filter(|_| !value.is_null()) {
                        self.seen.insert(format!("{name}.{field}"));
                    }
                    self.hold(&described[field], value, &format!("{at}.{field}"), None);
                }
            }
            _ => {}
        }
    }
}

fn escaped(path: &str) -> String {
    path.replace('~', "~0").replace('/', "~1")
}
