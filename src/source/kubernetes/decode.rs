//! A message of a watch, or an item of a list, to a slim object. Imports no kube: what comes in is octets.
//!
//! Here is what is said ([`Said`], [`Decoded`]) and how JSON says it; [`super::proto`] is how protobuf does.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::proto;
use crate::cluster::{Kind, ObjectName};
use crate::model::Object;
use crate::source::Problem;
use crate::source::raw::{FieldError, Metadata, RawNamespace, RawPod, RawService, RawSet, RawSlice};

/// The annotation of the bookmark that ends the initial events of a streamed list (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// A line of JSON an event.
    Json,
    /// A frame of protobuf an event.
    Protobuf,
}

impl Encoding {
    /// Reads an event of a watch.
    ///
    /// # Errors
    /// When it is not one, or its object has no usable name: there is nothing then that it could be about.
    pub(super) fn event(self, kind: Kind, octets: &[u8]) -> Result<Said, Box<Problem>> {
        match self {
            Self::Json => line(kind, octets),
            Self::Protobuf => proto::event(kind, octets),
        }
    }

    /// Reads a page of a list.
    ///
    /// # Errors
    /// When it is none: why.
    pub(super) fn page(self, kind: Kind, octets: &[u8]) -> Result<Page<'_>, String> {
        match self {
            Self::Json => page(octets).map_err(|error| error.to_string()),
            Self::Protobuf => proto::page(kind, octets).map_err(|error| error.to_string()),
        }
    }

    /// Reads the Status that an answer has for a body; None where it is none.
    pub(super) fn status(self, octets: &[u8]) -> Option<Status> {
        match self {
            Self::Json => serde_json::from_slice(octets).ok(),
            Self::Protobuf => proto::status(octets).ok(),
        }
    }
}

/// What a message of a watch says.
#[derive(Debug)]
pub(super) enum Said {
    /// ADDED or MODIFIED; both are "this is what it is now".
    Is(Decoded),
    /// DELETED.
    Gone(ObjectName, Version),
    /// The watch has come so far.
    Bookmark(Version, EndOfInitialEvents),
    /// ERROR.
    Error(Status),
}

/// `metadata.resourceVersion`: opaque, and where the next watch goes on.
pub(super) type Version = Box<str>;
/// Whether a bookmark ends a streamed list.
pub(super) type EndOfInitialEvents = bool;

/// An object, and how it was read.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) name: ObjectName,
    pub(super) version: Version,
    /// None: it has nothing to do with names (a slice of no service).
    pub(super) object: Result<Option<Object>, Box<Problem>>,
    /// What is wrong beside it, without making it useless.
    pub(super) beside: Vec<Problem>,
    /// When what it tells of happened, where it says so.
    pub(super) triggered: Option<SystemTime>,
}

/// The API's `Status` (of an ERROR event, or the body of a refusal), as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) reason: String,
    pub(super) details: Option<StatusDetails>,
}

/// Its `details`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StatusDetails {
    pub(super) retry_after_seconds: u32,
}

#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    r#type: Cow<'l, str>,
    #[serde(borrow)]
    object: &'l RawValue,
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page<'p> {
    pub(super) version: Version,
    /// Where the next one begins; empty on the last.
    pub(super) token: String,
    pub(super) items: Vec<Item<'p>>,
}

/// An object as it stands in a page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'p> {
    Json(&'p RawValue),
    Protobuf(&'p [u8]),
}

impl Item<'_> {
    /// Octets.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Json(raw) => raw.get().len(),
            Self::Protobuf(octets) => octets.len(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it has no usable name.
    pub(super) fn read(self, kind: Kind) -> Result<Decoded, Box<Problem>> {
        match self {
            Self::Json(raw) => item(kind, raw),
            Self::Protobuf(octets) => proto::item(kind, octets),
        }
    }
}

#[derive(Deserialize)]
struct JsonPage<'p> {
    metadata: JsonPageMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'p RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonPageMetadata {
    resource_version: Version,
    #[serde(default)]
    r#continue: Option<String>,
}

fn page(octets: &[u8]) -> Result<Page<'_>, serde_json::Error> {
    let JsonPage { metadata, items } = serde_json::from_slice(octets)?;
    let items = items.unwrap_or_default().into_iter().map(Item::Json).collect();
    Ok(Page { version: metadata.resource_version, token: metadata.r#continue.unwrap_or_default(), items })
}

/// Only what names an object.
#[derive(Deserialize)]
struct Bare {
    metadata: Metadata,
}

fn line(kind: Kind, octets: &[u8]) -> Result<Said, Box<Problem>> {
    let not_one =
        |error: serde_json::Error| Problem::error(format!("not a watch event: {error}")).of(called(kind));
    let line: Line<'_> = serde_json::from_slice(octets).map_err(not_one)?;
    match &*line.r#type {
        "ADDED" | "MODIFIED" => item(kind, line.object).map(Said::Is),
        "DELETED" => {
            let (name, version) = name(kind, line.object)?;
            Ok(Said::Gone(name, version))
        }
        "BOOKMARK" => {
            let Bare { metadata } = serde_json::from_str(line.object.get()).map_err(not_one)?;
            Ok(bookmark(metadata))
        }
        "ERROR" => Ok(Said::Error(serde_json::from_str(line.object.get()).map_err(not_one)?)),
        other => {
            Err(Box::new(Problem::error(format!("`{other}` is not a type of watch event")).of(called(kind))))
        }
    }
}

pub(super) fn bookmark(metadata: Metadata) -> Said {
    let end = metadata.annotations.get(INITIAL_EVENTS_END).is_some_and(|value| value == "true");
    Said::Bookmark(metadata.resource_version.into(), end)
}

fn item(kind: Kind, raw: &RawValue) -> Result<Decoded, Box<Problem>> {
    let slim = match kind {
        Kind::Namespace => read::<RawNamespace>(raw),
        Kind::Service => read::<RawService>(raw),
        Kind::EndpointSlice => read::<RawSlice>(raw),
        Kind::StatefulSet => read::<RawSet>(raw),
        Kind::Pod => read::<RawPod>(raw),
    };
    match slim {
        Ok(slim) => slim.decoded(kind),
        // Its shape is not the API's, but it may have a name: what was known of it stays.
        Err(error) => name(kind, raw).map(|named| unusable(named, error)),
    }
}

/// An object whose name could be read, and nothing else.
pub(super) fn unusable((name, version): (ObjectName, Version), error: FieldError) -> Decoded {
    let object = Err(Box::new(about(&name, error)));
    Decoded { name, version, object, beside: Vec::new(), triggered: None }
}

/// An object of the API made slim, however it was written.
pub(super) struct Slim {
    object: Result<Option<Object>, FieldError>,
    beside: Vec<FieldError>,
    triggered: Option<SystemTime>,
    metadata: Metadata,
}

impl Slim {
    pub(super) fn decoded(self, kind: Kind) -> Result<Decoded, Box<Problem>> {
        let (name, version) = named(kind, self.metadata)?;
        let beside = self.beside.into_iter().map(|error| about(&name, error)).collect();
        let object = self.object.map_err(|error| Box::new(about(&name, error)));
        Ok(Decoded { version, object, beside, name, triggered: self.triggered })
    }
}

impl From<RawNamespace> for Slim {
    fn from(raw: RawNamespace) -> Self {
        let object = raw.slim().map(|namespace| Some(Object::Namespace(namespace)));
        Self { object, beside: Vec::new(), triggered: None, metadata: raw.metadata }
    }
}

impl From<RawService> for Slim {
    fn from(raw: RawService) -> Self {
        let (object, beside) = match raw.slim() {
            Ok((service, beside)) => (Ok(Some(Object::Service(service))), beside),
            Err(error) => (Err(error), Vec::new()),
        };
        Self { object, beside, triggered: None, metadata: raw.metadata }
    }
}

impl From<RawSlice> for Slim {
    fn from(mut raw: RawSlice) -> Self {
        let object = raw.slim().map(|slice| slice.map(Object::EndpointSlice));
        Self { object, beside: Vec::new(), triggered: raw.triggered(), metadata: raw.metadata }
    }
}

impl From<RawSet> for Slim {
    fn from(raw: RawSet) -> Self {
        let object = raw.slim().map(|set| Some(Object::StatefulSet(set)));
        Self { object, beside: Vec::new(), triggered: None, metadata: raw.metadata }
    }
}

impl From<RawPod> for Slim {
    fn from(raw: RawPod) -> Self {
        let object = raw.slim().map(|pod| Some(Object::Pod(pod)));
        Self { object, beside: Vec::new(), triggered: None, metadata: raw.metadata }
    }
}

fn read<T: DeserializeOwned + Into<Slim>>(raw: &RawValue) -> Result<Slim, FieldError> {
    serde_json::from_str::<T>(raw.get()).map(T::into).map_err(|error| {
        // Read again for the path: only of what is wrong, which is seldom.
        let mut again = serde_json::Deserializer::from_str(raw.get());
        let located = serde_path_to_error::deserialize::<_, T>(&mut again).err();
        FieldError {
            path: located.map(|located| located.path().to_string()).unwrap_or_default(),
            message: error.to_string(),
        }
    })
}

fn name(kind: Kind, raw: &RawValue) -> Result<(ObjectName, Version), Box<Problem>> {
    let Bare { metadata } = serde_json::from_str(raw.get())
        .map_err(|error| Problem::error(format!("has no name: {error}")).of(called(kind)))?;
    named(kind, metadata)
}

/// What an object is called, and its version.
///
/// # Errors
/// When its name is none.
pub(super) fn named(kind: Kind, metadata: Metadata) -> Result<(ObjectName, Version), Box<Problem>> {
    let bad = |error: FieldError| {
        let object = format!("{} {}/{}", called(kind), metadata.namespace, metadata.name);
        Box::new(Problem::error(error.message).at(error.path).of(object))
    };
    let namespace = match kind {
        Kind::Namespace => metadata.label(),
        _ => metadata.namespace(),
    };
    let name = ObjectName { kind, namespace: namespace.map_err(bad)?, name: metadata.name().map_err(bad)? };
    Ok((name, metadata.resource_version.into()))
}

fn about(name: &ObjectName, error: FieldError) -> Problem {
    let object = match name.kind {
        Kind::Namespace => format!("{} {}", called(name.kind), name.name),
        _ => format!("{} {}/{}", called(name.kind), name.namespace, name.name),
    };
    Problem::error(error.message).at(error.path).of(object)
}

/// A kind as the API calls it.
pub(super) fn called(kind: Kind) -> &'static str {
    match kind {
        Kind::Namespace => "Namespace",
        Kind::Service => "Service",
        Kind::EndpointSlice => "EndpointSlice",
        Kind::StatefulSet => "StatefulSet",
        Kind::Pod => "Pod",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Kind, text: &str) -> Said {
        line(kind, text.as_bytes()).unwrap()
    }

    const SLICE: &str = r#"{"metadata":{"name":"nginx-x7","namespace":"a","resourceVersion":"12","labels":{"kubernetes.io/service-name":"nginx"},"managedFields":[{"x":1}]},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true,"serving":true},"hostname":"web-0","nodeName":"n"}],"ports":null}"#;

    #[test]
    fn an_object_as_it_is_now() {
        for kind in ["ADDED", "MODIFIED"] {
            let Said::Is(decoded) =
                said(Kind::EndpointSlice, &format!(r#"{{"type":"{kind}","object":{SLICE}}}"#))
            else {
                panic!("{kind}");
            };
            assert_eq!((&*decoded.version, &*decoded.name.name), ("12", "nginx-x7"));
            let Ok(Some(Object::EndpointSlice(slice))) = decoded.object else { panic!("no slice") };
            assert_eq!(slice.service.to_string(), "a/nginx");
            assert_eq!(slice.endpoints[0].hostname.as_ref().unwrap().as_str(), "web-0");
            assert_eq!(decoded.triggered, None);
        }
    }

    #[test]
    fn when_a_change_happened_is_told_beside_the_slice() {
        let triggered = |text: &str| {
            let annotation = format!(
                r#""annotations":{{"endpoints.kubernetes.io/last-change-trigger-time":"{text}"}},"labels""#
            );
            let slice = SLICE.replacen(r#""labels""#, &annotation, 1);
            let Said::Is(decoded) =
                said(Kind::EndpointSlice, &format!(r#"{{"type":"ADDED","object":{slice}}}"#))
            else {
                panic!("{text}")
            };
            assert!(decoded.object.is_ok_and(|object| object.is_some()), "{text}");
            decoded.triggered.map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos())
        };
        assert_eq!(triggered("2026-11-21T13:00:00Z"), Some(1_795_266_000_000_000_000));
        assert_eq!(triggered("2026-11-21T13:00:00.123456789Z"), Some(1_795_266_000_123_456_789));
        assert_eq!(triggered("2026-11-21T15:00:00+02:00"), Some(1_795_266_000_000_000_000));
        for text in ["", "yesterday", "2026-11-21", "1795266000", "2026-13-21T13:00:00Z"] {
            assert_eq!(triggered(text), None, "{text}");
        }
    }

    #[test]
    fn deleted_bookmarks_and_errors() {
        let Said::Gone(name, version) =
            said(Kind::EndpointSlice, &format!(r#"{{"type":"DELETED","object":{SLICE}}}"#))
        else {
            panic!("not gone")
        };
        assert_eq!((&*name.name, name.namespace.as_str(), &*version), ("nginx-x7", "a", "12"));
        let bookmark = |annotations: &str| {
            let text = format!(
                r#"{{"type":"BOOKMARK","object":{{"kind":"Service","metadata":{{"resourceVersion":"7"{annotations}}}}}}}"#
            );
            let Said::Bookmark(version, end) = said(Kind::Service, &text) else { panic!("{text}") };
            (version, end)
        };
        assert_eq!(bookmark(""), ("7".into(), false));
        assert_eq!(bookmark(r#","annotations":{"k8s.io/initial-events-end":"true"}"#), ("7".into(), true));
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"too old resource version: 1 (9)","reason":"Expired","code":410}}"#;
        let Said::Error(status) = said(Kind::Service, gone) else { panic!("no error") };
        assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    }

    #[test]
    fn a_bad_object_is_named_with_its_field() {
        let text = r#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"default","resourceVersion":"1"},"spec":{"type":"ExternalName","externalName":"10.0.0.1"}}}"#;
        let Said::Is(decoded) = said(Kind::Service, text) else { panic!("no object") };
        let problem = decoded.object.unwrap_err().to_string();
        assert!(
            problem.starts_with("Service default/a: spec.externalName: `10.0.0.1` is an address"),
            "{problem}"
        );
        let text = r#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"default","resourceVersion":"1"},"spec":{"ports":[{"port":"x"}]}}}"#;
        let Said::Is(decoded) = said(Kind::Service, text) else { panic!("no object") };
        assert_eq!(&*decoded.version, "1");
        let problem = decoded.object.unwrap_err().to_string();
        assert!(problem.starts_with("Service default/a: spec.ports[0].port: invalid type"), "{problem}");
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for text in [
            "",
            "{",
            "null",
            "[]",
            r#"{"type":"ADDED"}"#,
            r#"{"type":"CHANGED","object":{}}"#,
            r#"{"type":"ADDED","object":{}}"#,
            r#"{"type":"ADDED","object":{"metadata":{"name":"","namespace":"a"}}}"#,
            r#"{"type":"DELETED","object":{"metadata":{"name":"a","namespace":"A B"}}}"#,
            "\u{0}",
        ] {
            assert!(line(Kind::Service, text.as_bytes()).is_err(), "{text}");
        }
    }
}
