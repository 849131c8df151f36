//! Kubernetes' protobuf, of what a DNS server asks for: objects are written from their JSON by a table of fields. The
//! numbers are those of the API's own `generated.proto` files; times are left out.

use serde_json::Value;

/// What stands before each object (`k8s.io/apimachinery/pkg/runtime/serializer/protobuf`).
const MAGIC: &[u8] = b"k8s\0";

/// A field: its name in JSON, its number, and what it is.
type Field = (&'static str, u32, Form);

#[derive(Clone, Copy)]
pub(super) enum Form {
    Text,
    /// Also of booleans.
    Number,
    /// Of texts.
    Map,
    /// A number, as `intstr.IntOrString`.
    IntOrString,
    Message(&'static [Field]),
}

use Form::{IntOrString, Map, Message, Number, Text};

const OWNER: &[Field] = &[
    ("kind", 1, Text),
    ("name", 3, Text),
    ("uid", 4, Text),
    ("apiVersion", 5, Text),
    ("controller", 6, Number),
    ("blockOwnerDeletion", 7, Number),
];
const METADATA: &[Field] = &[
    ("name", 1, Text),
    ("generateName", 2, Text),
    ("namespace", 3, Text),
    ("uid", 5, Text),
    ("resourceVersion", 6, Text),
    ("generation", 7, Number),
    ("labels", 11, Map),
    ("annotations", 12, Map),
    ("ownerReferences", 13, Message(OWNER)),
];
const NAMESPACE: &[Field] = &[
    ("metadata", 1, Message(METADATA)),
    ("spec", 2, Message(&[("finalizers", 1, Text)])),
    ("status", 3, Message(&[("phase", 1, Text)])),
];
const SERVICE_PORT: &[Field] =
    &[("name", 1, Text), ("protocol", 2, Text), ("port", 3, Number), ("targetPort", 4, IntOrString)];
const SERVICE_SPEC: &[Field] = &[
    ("ports", 1, Message(SERVICE_PORT)),
    ("selector", 2, Map),
    ("clusterIP", 3, Text),
    ("type", 4, Text),
    ("sessionAffinity", 7, Text),
    ("ipFamilyPolicy", 17, Text),
    ("clusterIPs", 18, Text),
    ("ipFamilies", 19, Text),
    ("internalTrafficPolicy", 22, Text),
];
const SERVICE: &[Field] = &[("metadata", 1, Message(METADATA)), ("spec", 2, Message(SERVICE_SPEC))];
const CONDITIONS: &[Field] = &[("ready", 1, Number), ("serving", 2, Number), ("terminating", 3, Number)];
const TARGET: &[Field] = &[("kind", 1, Text), ("namespace", 2, Text), ("name", 3, Text), ("uid", 4, Text)];
const ENDPOINT: &[Field] = &[
    ("addresses", 1, Text),
    ("conditions", 2, Message(CONDITIONS)),
    ("hostname", 3, Text),
    ("targetRef", 4, Message(TARGET)),
    ("nodeName", 6, Text),
    ("zone", 7, Text),
];
const ENDPOINT_PORT: &[Field] = &[("name", 1, Text), ("protocol", 2, Text), ("port", 3, Number)];
const SLICE: &[Field] = &[
    ("metadata", 1, Message(METADATA)),
    ("endpoints", 2, Message(ENDPOINT)),
    ("ports", 3, Message(ENDPOINT_PORT)),
    ("addressType", 4, Text),
];

/// The fields of a kind; none where it is not written as protobuf.
fn fields(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "Namespace" => NAMESPACE,
        "Service" => SERVICE,
        "EndpointSlice" => SLICE,
        _ => return None,
    })
}

/// An object without what says its kind, as it stands in a list.
pub(super) fn bare(object: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    message(object, fields(object["kind"].as_str()?)?, &mut out);
    Some(out)
}

/// With what says its kind (`runtime.Unknown`).
pub(super) fn enveloped(api_version: &str, kind: &str, bare: &[u8]) -> Vec<u8> {
    let mut meta = Vec::new();
    delimited(1, api_version.as_bytes(), &mut meta);
    delimited(2, kind.as_bytes(), &mut meta);
    let mut out = MAGIC.to_vec();
    delimited(1, &meta, &mut out);
    delimited(2, bare, &mut out);
    out
}

/// An event of a watch, behind its length; the object is an enveloped one.
pub(super) fn event(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut extension = Vec::new();
    delimited(1, object, &mut extension);
    let mut event = Vec::new();
    delimited(1, kind.as_bytes(), &mut event);
    delimited(2, &extension, &mut event);
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &event].concat()
}

/// A list's own metadata and bare objects.
pub(super) fn list<'o>(version: &str, token: &str, items: impl Iterator<Item = &'o [u8]>) -> Vec<u8> {
    let mut metadata = Vec::new();
    delimited(2, version.as_bytes(), &mut metadata);
    delimited(3, token.as_bytes(), &mut metadata);
    let mut out = Vec::new();
    delimited(1, &metadata, &mut out);
    items.for_each(|item| delimited(2, item, &mut out));
    out
}

fn message(value: &Value, fields: &[Field], out: &mut Vec<u8>) {
    for (key, number, form) in fields {
        match &value[key] {
            Value::Null => {}
            // A repeated field is written once for each.
            Value::Array(items) => items.iter().for_each(|item| field(item, *number, *form, out)),
            one => field(one, *number, *form, out),
        }
    }
}

fn field(value: &Value, number: u32, form: Form, out: &mut Vec<u8>) {
    match form {
        Text => delimited(number, value.as_str().unwrap_or_default().as_bytes(), out),
        Number => varint_field(number, number_of(value), out),
        Map => {
            for (key, value) in value.as_object().into_iter().flatten() {
                let mut entry = Vec::new();
                delimited(1, key.as_bytes(), &mut entry);
                delimited(2, value.as_str().unwrap_or_default().as_bytes(), &mut entry);
                delimited(number, &entry, out);
            }
        }
        IntOrString => {
            let mut inner = Vec::new();
            varint_field(1, 0, &mut inner);
            varint_field(2, number_of(value), &mut inner);
            delimited(number, &inner, out);
        }
        Message(fields) => {
            let mut inner = Vec::new();
            message(value, fields, &mut inner);
            delimited(number, &inner, out);
        }
    }
}

fn number_of(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_bool().map(u64::from)).unwrap_or_default()
}

fn varint_field(number: u32, value: u64, out: &mut Vec<u8>) {
    varint(u64::from(number << 3), out);
    varint(value, out);
}

fn delimited(number: u32, octets: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(number << 3 | 2), out);
    varint(octets.len() as u64, out);
    out.extend(octets);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        #[allow(clippy::cast_possible_truncation)] // seven bits
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_field_by_field() {
        let object = json!({
            "kind": "Namespace",
            "metadata": { "name": "a", "labels": { "k": "v" } },
            "spec": { "finalizers": ["f", "g"] },
        });
        let wanted = [
            b"\x0a\x0b\x0a\x01a\x5a\x06\x0a\x01k\x12\x01v".as_slice(),
            b"\x12\x06\x0a\x01f\x0a\x01g".as_slice(),
        ];
        assert_eq!(bare(&object).unwrap(), wanted.concat());
        assert_eq!(enveloped("v1", "N", b"x"), b"k8s\0\x0a\x07\x0a\x02v1\x12\x01N\x12\x01x");
    }

    #[test]
    fn numbers_and_lengths() {
        let mut out = Vec::new();
        varint(300, &mut out);
        assert_eq!(out, [0xac, 2]);
        assert_eq!(event("A", b"x"), b"\0\0\0\x08\x0a\x01A\x12\x03\x0a\x01x");
    }
}
