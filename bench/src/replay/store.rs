//! The objects, each encoded for lists and for watches. Of a slice that changes, the digits of its version and of its
//! first address are put into what is encoded, which keeps its length.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::proto;
use crate::cluster::{Cluster, Kind};

/// The first version; later ones have as many digits.
const FIRST_VERSION: u64 = 4_000_000_000;

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Protobuf,
}

/// One encoded form of an object: a MODIFIED event as a chunk of HTTP, in which the object stands.
#[derive(Debug)]
struct Encoded {
    chunk: Vec<u8>,
    /// Where the object begins and ends, as it stands in a list.
    object: (usize, usize),
    version_at: usize,
    address_at: Option<usize>,
}

/// An object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) version: u64,
    kind: Kind,
    json: Encoded,
    /// None where nobody asks for it so.
    protobuf: Option<Encoded>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    namespaces: Vec<Object>,
    services: Vec<Object>,
    slices: Vec<Object>,
    sets: Vec<Object>,
}

impl Store {
    /// The slice of the probe.
    pub(super) const PROBE: usize = 0;

    pub(super) fn new(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut store = Self {
            version: FIRST_VERSION,
            namespaces: Vec::new(),
            services: Vec::new(),
            slices: Vec::new(),
            sets: Vec::new(),
        };
        for (kind, object) in probe() {
            store.add(kind, object)?;
        }
        for kind in Kind::ALL {
            for object in cluster.objects_of(kind, 0) {
                store.add(kind, object)?;
            }
        }
        Ok(store)
    }

    fn add(&mut self, kind: Kind, mut object: Value) -> anyhow::Result<()> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let mut address = None;
        if kind == Kind::EndpointSlice {
            let first = super::address(u32::try_from(self.slices.len())? % 500_000).to_string();
            object["endpoints"][0]["addresses"] = json!([first]);
            address = Some(first);
        }
        let object = Object::new(kind, &object, self.version, address.as_deref())?;
        self.of_mut(kind).push(object);
        Ok(())
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn slices(&self) -> usize {
        self.slices.len()
    }

    pub(super) fn slice(&self, number: usize) -> &Object {
        &self.slices[number % self.slices.len()]
    }

    pub(super) fn of(&self, kind: Kind) -> &[Object] {
        match kind {
            Kind::Namespace => &self.namespaces,
            Kind::Service => &self.services,
            Kind::EndpointSlice => &self.slices,
            Kind::StatefulSet => &self.sets,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Vec<Object> {
        match kind {
            Kind::Namespace => &mut self.namespaces,
            Kind::Service => &mut self.services,
            Kind::EndpointSlice => &mut self.slices,
            Kind::StatefulSet => &mut self.sets,
        }
    }

    /// Another address for the first endpoint of a slice, and the next version.
    pub(super) fn change(&mut self, slice: usize, address: Ipv4Addr) {
        self.version += 1;
        let count = self.slices.len();
        self.slices[slice % count].change(self.version, address);
    }
}

impl Object {
    fn new(kind: Kind, object: &Value, version: u64, address: Option<&str>) -> anyhow::Result<Self> {
        let text = serde_json::to_vec(object)?;
        let json = Encoded::new(json_event("MODIFIED", &text), &text, version, address)?;
        let protobuf = match proto::bare(object) {
            None => None,
            Some(bare) => {
                let (api_version, name) = typed(kind);
                let event = proto::event("MODIFIED", &proto::enveloped(api_version, name, &bare));
                Some(Encoded::new(event, &bare, version, address)?)
            }
        };
        Ok(Self { version, kind, json, protobuf })
    }

    fn change(&mut self, version: u64, address: Ipv4Addr) {
        self.version = version;
        self.json.put(version, address);
        if let Some(protobuf) = &mut self.protobuf {
            protobuf.put(version, address);
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// A MODIFIED event, as a chunk of HTTP.
    pub(super) fn modified(&self, format: Format) -> Option<&[u8]> {
        self.encoded(format).map(|encoded| &encoded.chunk[..])
    }

    /// An ADDED event, as a chunk of HTTP.
    pub(super) fn added(&self, format: Format) -> Option<Vec<u8>> {
        let object = self.item(format)?;
        Some(chunk(&match format {
            Format::Json => json_event("ADDED", object),
            Format::Protobuf => {
                let (api_version, name) = typed(self.kind);
                proto::event("ADDED", &proto::enveloped(api_version, name, object))
            }
        }))
    }

    /// As it stands in a list.
    pub(super) fn item(&self, format: Format) -> Option<&[u8]> {
        let encoded = self.encoded(format)?;
        Some(&encoded.chunk[encoded.object.0..encoded.object.1])
    }

    fn encoded(&self, format: Format) -> Option<&Encoded> {
        match format {
            Format::Json => Some(&self.json),
            Format::Protobuf => self.protobuf.as_ref(),
        }
    }
}

impl Encoded {
    fn new(event: Vec<u8>, object: &[u8], version: u64, address: Option<&str>) -> anyhow::Result<Self> {
        let chunk = chunk(&event);
        let begin = find(&chunk, object).context("an event without its object")?;
        let version_at = find(&chunk, version.to_string().as_bytes()).context("an object without version")?;
        let address_at = match address {
            None => None,
            Some(address) => Some(find(&chunk, address.as_bytes()).context("a slice without address")?),
        };
        ensure!(version_at >= begin, "the version stands before the object");
        Ok(Self { object: (begin, begin + object.len()), version_at, address_at, chunk })
    }

    fn put(&mut self, version: u64, address: Ipv4Addr) {
        // Both have as many digits as what stands there: writing to a slice of memory does not fail.
        let _ = write!(&mut self.chunk[self.version_at..], "{version}");
        if let Some(at) = self.address_at {
            let _ = write!(&mut self.chunk[at..], "{address}");
        }
    }
}

/// A bookmark, as a chunk of HTTP; the one that ends a streamed list says so.
pub(super) fn bookmark(kind: Kind, format: Format, version: u64, ends_list: bool) -> Vec<u8> {
    let (api_version, name) = typed(kind);
    let mut object = json!({
        "apiVersion": api_version, "kind": name, "metadata": { "resourceVersion": version.to_string() },
    });
    if ends_list {
        object["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
    }
    chunk(&match format {
        Format::Json => json_event("BOOKMARK", object.to_string().as_bytes()),
        Format::Protobuf => {
            let bare = proto::bare(&object).unwrap_or_default();
            proto::event("BOOKMARK", &proto::enveloped(api_version, name, &bare))
        }
    })
}

/// A page of a list.
pub(super) fn page(kind: Kind, format: Format, version: u64, token: &str, objects: &[Object]) -> Vec<u8> {
    let (api_version, name) = typed(kind);
    let items = objects.iter().filter_map(|object| object.item(format));
    match format {
        Format::Json => {
            let mut text = format!(
                r#"{{"kind":"{name}List","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{version}","continue":"{token}"}},"items":["#
            )
            .into_bytes();
            for (index, item) in items.enumerate() {
                text.extend(if index > 0 { &b","[..] } else { b"" });
                text.extend(item);
            }
            text.extend(b"]}");
            text
        }
        Format::Protobuf => {
            let list = proto::list(&version.to_string(), token, items);
            proto::enveloped(api_version, &format!("{name}List"), &list)
        }
    }
}

fn json_event(kind: &str, object: &[u8]) -> Vec<u8> {
    [br#"{"type":""#, kind.as_bytes(), br#"","object":"#, object, b"}\n"].concat()
}

fn chunk(octets: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", octets.len()).as_bytes(), octets, b"\r\n"].concat()
}

fn find(octets: &[u8], part: &[u8]) -> Option<usize> {
    octets.windows(part.len()).position(|window| window == part)
}

fn typed(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Namespace => ("v1", "Namespace"),
        Kind::Service => ("v1", "Service"),
        Kind::EndpointSlice => ("discovery.k8s.io/v1", "EndpointSlice"),
        Kind::StatefulSet => ("apps/v1", "StatefulSet"),
    }
}

/// A service with one endpoint, which is asked for.
fn probe() -> [(Kind, Value); 3] {
    let metadata =
        |name: &str| json!({ "name": name, "namespace": "bench-change", "uid": format!("uid-{name}") });
    let mut of_slice = metadata("probe");
    of_slice["labels"] = json!({ "kubernetes.io/service-name": "probe" });
    [
        (
            Kind::Namespace,
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": "bench-change", "uid": "uid-bench-change" },
            }),
        ),
        (
            Kind::Service,
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata("probe"),
                "spec": {
                    "clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP",
                    "ports": [{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": 80 }],
                },
            }),
        ),
        (
            Kind::EndpointSlice,
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": of_slice,
                "addressType": "IPv4",
                "endpoints": [{ "addresses": [""], "hostname": "probe-0", "conditions": { "ready": true } }],
                "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }],
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Shape;

    #[test]
    fn a_change_keeps_everything_but_the_digits() {
        let cluster = Cluster { endpoints: 30, per_service: 10, seed: 1, shape: Shape::Mixed };
        let mut store = Store::new(&cluster).unwrap();
        assert_eq!(
            (store.slices(), store.of(Kind::Service).len(), store.of(Kind::StatefulSet).len()),
            (4, 4, 2)
        );
        for slice in 0..4 {
            store.change(slice, super::super::address(777_777));
        }
        let version = store.version();
        let last = store.slice(3);
        let object: Value = serde_json::from_slice(last.item(Format::Json).unwrap()).unwrap();
        assert_eq!(object["metadata"]["resourceVersion"], version.to_string());
        assert_eq!(object["endpoints"][0]["addresses"], json!(["100.177.177.177"]));
        assert_eq!(object["endpoints"].as_array().unwrap().len(), 10);
        let bare = last.item(Format::Protobuf).unwrap();
        assert_eq!(proto::bare(&object).unwrap(), bare);
        let page: Value = serde_json::from_slice(&page(
            Kind::EndpointSlice,
            Format::Json,
            version,
            "",
            store.of(Kind::EndpointSlice),
        ))
        .unwrap();
        assert_eq!(page["items"][3], object);
    }
}
