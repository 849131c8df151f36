//! YAML as kubectl writes it: keys in order, items of a list at the column of its key, strings quoted only where
//! they would be read as something else.

use serde_json::{Map, Value};

/// Appends an object as an item of a list at the left margin.
pub(crate) fn item(object: &Value, text: &mut String) {
    text.push_str("- ");
    inline(object, 2, text);
}

/// What stands behind `- ` or, on lines of its own, behind `key:`; the first line is already indented.
fn inline(value: &Value, column: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => self::fields(fields, column, text),
        other => {
            text.push_str(&scalar(other));
            text.push('\n');
        }
    }
}

fn fields(fields: &Map<String, Value>, column: usize, text: &mut String) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            push_spaces(column, text);
        }
        text.push_str(&plain_or_quoted(key));
        text.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push('\n');
                push_spaces(column + 2, text);
                self::fields(inner, column + 2, text);
            }
            Value::Array(items) if !items.is_empty() => {
                text.push('\n');
                for item in items {
                    push_spaces(column, text);
                    text.push_str("- ");
                    inline(item, column + 2, text);
                }
            }
            other => {
                text.push(' ');
                text.push_str(&scalar(other));
                text.push('\n');
            }
        }
    }
}

fn push_spaces(count: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', count));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => plain_or_quoted(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

fn plain_or_quoted(text: &str) -> String {
    let reads_as_text = text.starts_with(|first: char| first.is_ascii_alphabetic())
        || text.split('.').count() == 4 && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let ordinary = text.chars().all(|c| c.is_ascii_alphanumeric() || "-./_%".contains(c));
    let other_type = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if reads_as_text && ordinary && !other_type.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
