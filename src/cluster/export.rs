//! The cluster as octets and back: what a snapshot on disk is made of.
//!
//! A [`Part`] is a run of records without a head or a checksum: those, and which parts there are, are the snapshot's.
//! Numbers are little-endian; a text is its length in 16 bits and itself.
//!
//! ```text
//! Services     text `namespace/name`, u32 objects, each u32 octets and as the index packs it
//! Namespaces   text
//! SetsOfNone   text namespace, text name
//! Pods         text namespace, text name, u16 addresses, each u8 4 or 6 and as many octets as that family has
//! Parallel     text namespace, text name, of StatefulSets that are there
//! Revisions    text namespace, text name, text revision, of StatefulSets that are there
//! Holds        text namespace, text name, u16 (0 never, 65535 as configured, else milliseconds), of Services that are there
//! ```

use std::net::IpAddr;

use super::packed::{Packed, hold_of};
use super::{Index, Kind};
use crate::model::{Label, Namespace, Object, Pod, StatefulSet};

/// A part of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Services, EndpointSlices and StatefulSets by the service that they belong to.
    Services,
    /// Namespaces.
    Namespaces,
    /// StatefulSets without a `serviceName`.
    SetsOfNone,
    /// Pods.
    Pods,
    /// Which of the StatefulSets make their replicas without waiting for one another. Behind the services.
    Parallel,
    /// Of which revision StatefulSets are. Behind the services.
    Revisions,
    /// What Services say of holding questions. Behind the services.
    Holds,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Services,
        Self::Namespaces,
        Self::SetsOfNone,
        Self::Pods,
        Self::Parallel,
        Self::Revisions,
        Self::Holds,
    ];
}

/// Why octets are no part of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// They end within a record.
    #[error("a record is cut off")]
    Cut,
    /// A name is none that Kubernetes allows.
    #[error("a name is none of Kubernetes")]
    Name,
    /// An object cannot be unpacked, or is not of its place.
    #[error("an object cannot be unpacked")]
    Object,
    /// An object stands in it twice.
    #[error("an object is there twice")]
    Twice,
}

impl Index {
    /// Appends a part. It copies what is packed already: some 40 octets an endpoint, at the speed of memory.
    pub fn export(&self, part: Part, out: &mut Vec<u8>) {
        match part {
            Part::Services => {
                for (key, objects) in self.services.entries() {
                    put_text(out, key);
                    put_u32(out, objects.len());
                    for object in objects {
                        put_u32(out, object.octets().len());
                        out.extend_from_slice(object.octets());
                    }
                }
            }
            Part::Namespaces => self.namespaces.iter().for_each(|name| put_text(out, name.as_str())),
            Part::SetsOfNone => {
                for (namespace, name) in &self.sets_of_none {
                    put_text(out, namespace.as_str());
                    put_text(out, name);
                }
            }
            Part::Parallel => {
                for (namespace, set) in self.sets().filter(|(_, set)| set.is_parallel()) {
                    put_text(out, namespace);
                    put_text(out, set.name());
                }
            }
            Part::Revisions => {
                for (namespace, set) in self.sets().filter(|(_, set)| !set.revision().is_empty()) {
                    put_text(out, namespace);
                    put_text(out, set.name());
                    put_text(out, set.revision());
                }
            }
            Part::Holds => {
                for (namespace, service) in self.packed(Kind::Service) {
                    if let Some(hold) = service.hold_octets() {
                        put_text(out, namespace);
                        put_text(out, service.name());
                        out.extend(hold);
                    }
                }
            }
            Part::Pods => {
                for ((namespace, name), addresses) in &self.pods {
                    put_text(out, namespace.as_str());
                    put_text(out, name);
                    // A pod has one address a family.
                    let count = u16::try_from(addresses.len()).unwrap_or(u16::MAX);
                    out.extend(count.to_le_bytes());
                    for address in addresses.iter().take(usize::from(count)) {
                        match address {
                            IpAddr::V4(v4) => {
                                out.push(4);
                                out.extend(v4.octets());
                            }
                            IpAddr::V6(v6) => {
                                out.push(6);
                                out.extend(v6.octets());
                            }
                        }
                    }
                }
            }
        }
    }

    /// The StatefulSets that have a governing Service, with their namespaces.
    fn sets(&self) -> impl Iterator<Item = (&str, &Packed)> {
        self.packed(Kind::StatefulSet)
    }

    /// The objects of a kind that belong to services, with their namespaces.
    fn packed(&self, kind: Kind) -> impl Iterator<Item = (&str, &Packed)> {
        self.services.entries().flat_map(move |(key, objects)| {
            let namespace = key.split_once('/').map_or("", |(namespace, _)| namespace);
            let of_kind = objects.iter().filter(move |object| object.is_a(kind));
            of_kind.map(move |object| (namespace, object))
        })
    }
}

fn put_u32(out: &mut Vec<u8>, number: usize) {
    // Four billion objects, or an object of four gigabytes, would not have been taken in.
    out.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // At most two names of 253 octets.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend(length.to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

/// A cluster that is being read: apart from the one that is served, until all of it is.
#[derive(Default)]
pub struct Import(Index);

impl Import {
    /// Takes up a part.
    ///
    /// # Errors
    /// When it is none; what was taken up is of no use then.
    pub fn part(&mut self, part: Part, octets: &[u8]) -> Result<(), PartError> {
        let mut records = Records(octets);
        while !records.0.is_empty() {
            match part {
                Part::Services => self.service(&mut records)?,
                Part::Namespaces => {
                    let name = records.label()?;
                    self.once(Kind::Namespace, |index| {
                        index.apply(Object::Namespace(Namespace { name }));
                    })?;
                }
                Part::SetsOfNone => {
                    let (namespace, name) = (records.label()?, records.name()?);
                    let set = StatefulSet {
                        namespace,
                        name,
                        service: None,
                        start: 0,
                        replicas: 0,
                        parallel: false,
                        revision: None,
                    };
                    let before = self.0.sets_of_none.len();
                    self.0.apply(Object::StatefulSet(set));
                    if self.0.sets_of_none.len() == before {
                        return Err(PartError::Twice);
                    }
                }
                Part::Parallel => {
                    let (namespace, name) = (records.label()?, records.name()?);
                    if !self.0.services.set_parallel(namespace.as_str(), &name) {
                        return Err(PartError::Object);
                    }
                }
                Part::Revisions => {
                    let (namespace, name) = (records.label()?, records.name()?);
                    // Text of the API: nothing that stands in front of one begins it.
                    let revision =
                        Some(records.name()?).filter(|text| text.bytes().all(|b| b.is_ascii_graphic()));
                    let revision = revision.ok_or(PartError::Name)?;
                    if !self.0.services.set_revision(namespace.as_str(), &name, &revision) {
                        return Err(PartError::Object);
                    }
                }
                Part::Holds => {
                    let (namespace, name) = (records.label()?, records.name()?);
                    let hold = hold_of(records.array()?);
                    if !self.0.services.set_hold(namespace.as_str(), &name, hold) {
                        return Err(PartError::Object);
                    }
                }
                Part::Pods => {
                    let (namespace, name) = (records.label()?, records.name()?);
                    let count = u16::from_le_bytes(records.array()?);
                    let addresses = (0..count).map(|_| records.address()).collect::<Result<_, _>>()?;
                    self.once(Kind::Pod, |index| {
                        index.apply(Object::Pod(Pod { namespace, name, addresses }));
                    })?;
                }
            }
        }
        Ok(())
    }

    /// The cluster, all of it dirty.
    #[must_use]
    pub fn finish(self) -> Index {
        let mut index = self.0;
        index.take_dirty();
        index.touch_all();
        index
    }

    fn service(&mut self, records: &mut Records<'_>) -> Result<(), PartError> {
        let key = records.text()?;
        let (namespace, name) = key.split_once('/').ok_or(PartError::Name)?;
        Label::check(namespace).and_then(|()| Label::check(name)).map_err(|_| PartError::Name)?;
        let count = records.length()?;
        // An object has four octets of length at least: no count makes us reserve more than the file is long.
        let mut objects: Vec<Packed> = Vec::with_capacity(count.min(records.0.len() / 4));
        for _ in 0..count {
            let length = records.length()?;
            let object = Packed::from_octets(records.take(length)?).ok_or(PartError::Object)?;
            if object.is_a(Kind::Service) && object.name() != name {
                return Err(PartError::Object);
            }
            if objects.iter().any(|other| other.is(object.kind(), object.name())) {
                return Err(PartError::Twice);
            }
            objects.push(object);
        }
        if self.0.services.insert(key, objects) { Ok(()) } else { Err(PartError::Twice) }
    }

    fn once(&mut self, kind: Kind, apply: impl FnOnce(&mut Index)) -> Result<(), PartError> {
        let before = self.0.count(kind);
        apply(&mut self.0);
        if self.0.count(kind) > before { Ok(()) } else { Err(PartError::Twice) }
    }
}

/// Octets that are read from the front.
struct Records<'o>(&'o [u8]);

impl<'o> Records<'o> {
    fn take(&mut self, count: usize) -> Result<&'o [u8], PartError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PartError::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PartError> {
        self.take(N)?.try_into().map_err(|_| PartError::Cut)
    }

    fn length(&mut self) -> Result<usize, PartError> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| PartError::Cut)
    }

    fn text(&mut self) -> Result<&'o str, PartError> {
        let length = u16::from_le_bytes(self.array()?);
        std::str::from_utf8(self.take(length.into())?).map_err(|_| PartError::Name)
    }

    fn label(&mut self) -> Result<Label, PartError> {
        Label::new(self.text()?).map_err(|_| PartError::Name)
    }

    fn name(&mut self) -> Result<Box<str>, PartError> {
        Some(self.text()?).filter(|text| !text.is_empty()).map(Into::into).ok_or(PartError::Name)
    }

    fn address(&mut self) -> Result<IpAddr, PartError> {
        match self.array()? {
            [4] => Ok(IpAddr::from(self.array::<4>()?)),
            [6] => Ok(IpAddr::from(self.array::<16>()?)),
            _ => Err(PartError::Object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectName;
    use crate::model::{Endpoint, EndpointSlice, Hold, Service, ServiceKey, ServiceShape, TtlOverrides};

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn mk_index() -> Index {
        let mut index = Index::new();
        let key = |name: &str| ServiceKey { namespace: label("default"), name: label(name) };
        for name in ["a", "b"] {
            let hold = (name == "a").then_some(Hold::For(500));
            let (shape, ttl) = (ServiceShape::Headless, TtlOverrides { hold, ..TtlOverrides::default() });
            index.apply(Object::Service(Service { key: key(name), shape, ports: Vec::new(), ttl }));
            for slice in ["y", "x"] {
                let endpoint = Endpoint {
                    addresses: vec!["fd00::1".parse().unwrap()],
                    hostname: Some(label("web-0")),
                    pod: None,
                    ready: true,
                    terminating: false,
                };
                let name = format!("{name}-{slice}").into();
                let (service, ports, endpoints) = (key("a"), Vec::new(), vec![endpoint]);
                index.apply(Object::EndpointSlice(EndpointSlice { service, name, ports, endpoints }));
            }
        }
        for (name, service) in [("s", Some(label("a"))), ("t", None)] {
            let (namespace, name) = (label("default"), name.into());
            index.apply(Object::StatefulSet(StatefulSet {
                namespace,
                name,
                service,
                start: 1,
                replicas: 2,
                parallel: true,
                revision: Some("rev".into()),
            }));
        }
        index.apply(Object::Namespace(Namespace { name: label("default") }));
        for (name, addresses) in [("p", &["10.0.0.1", "fd00::1"][..]), ("q", &["10.0.0.1"])] {
            let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
            index.apply(Object::Pod(Pod { namespace: label("default"), name: name.into(), addresses }));
        }
        index
    }

    fn exported(index: &Index, part: Part) -> Vec<u8> {
        let mut out = Vec::new();
        index.export(part, &mut out);
        out
    }

    /// What stands before a part: the sets are there before it is said of them that they are parallel.
    fn mk_import(index: &Index, part: Part) -> Import {
        let mut import = Import::default();
        if matches!(part, Part::Parallel | Part::Revisions | Part::Holds) {
            import.part(Part::Services, &exported(index, Part::Services)).unwrap();
        }
        import
    }

    /// What a release before them made of a set, it makes of one now.
    #[test]
    fn a_parallel_set_or_one_of_a_revision_is_a_set_to_those_who_know_nothing_of_it() {
        let index = mk_index();
        let plain = {
            let (namespace, name) = (label("default"), "s".into());
            let (service, revision) = (Some(label("a")), None);
            let mut index = mk_index();
            let set =
                StatefulSet { namespace, name, service, start: 1, replicas: 2, parallel: false, revision };
            index.apply(Object::StatefulSet(set));
            index
        };
        let services = |index: &Index| exported(index, Part::Services).len();
        assert_eq!(services(&index), services(&plain));
        for part in [Part::Parallel, Part::Revisions] {
            assert!(exported(&plain, part).is_empty() && !exported(&index, part).is_empty(), "{part:?}");
        }
    }

    #[test]
    fn a_cluster_comes_back_as_it_was() {
        let mut before = mk_index();
        let mut import = Import::default();
        for part in Part::ALL {
            import.part(part, &exported(&before, part)).unwrap();
        }
        let mut after = import.finish();
        assert_eq!(after.take_dirty(), before.take_dirty());
        for kind in Kind::ALL {
            assert_eq!(after.count(kind), before.count(kind), "{kind:?}");
        }
        for name in ["a", "b"] {
            let key = ServiceKey { namespace: label("default"), name: label(name) };
            // The order of the slices with it.
            assert_eq!(after.service(&key), before.service(&key), "{name}");
        }
        let address = "10.0.0.1".parse().unwrap();
        after.delete(&ObjectName { kind: Kind::Pod, namespace: label("default"), name: "p".into() });
        assert!(after.has_pod(&label("default"), address), "q has it too");
        // It is an index like any other: a slice that moves to another service leaves the one it was of.
        let moved = EndpointSlice {
            service: ServiceKey { namespace: label("default"), name: label("b") },
            name: "a-x".into(),
            ports: Vec::new(),
            endpoints: Vec::new(),
        };
        after.apply(Object::EndpointSlice(moved));
        let slices =
            |name| after.service(&ServiceKey { namespace: label("default"), name: label(name) }).slices.len();
        assert_eq!((slices("a"), slices("b")), (3, 1));
    }

    #[test]
    fn a_part_that_is_cut_is_refused_or_ends_between_records() {
        let index = mk_index();
        for part in Part::ALL {
            let octets = exported(&index, part);
            let whole =
                (0..octets.len()).filter(|end| mk_import(&index, part).part(part, &octets[..*end]).is_ok());
            // Nothing at all, and behind each record but the last.
            let records = match part {
                Part::Services | Part::Pods => 2,
                Part::Namespaces | Part::SetsOfNone | Part::Parallel | Part::Revisions | Part::Holds => 1,
            };
            assert_eq!(whole.count(), records, "{part:?}");
        }
    }

    #[test]
    fn what_is_there_twice_is_refused() {
        let index = mk_index();
        for part in Part::ALL {
            let octets = exported(&index, part).repeat(2);
            let is_said_of = matches!(part, Part::Parallel | Part::Revisions | Part::Holds);
            let error = if is_said_of { PartError::Object } else { PartError::Twice };
            assert_eq!(mk_import(&index, part).part(part, &octets), Err(error), "{part:?}");
        }
    }

    #[test]
    fn an_object_in_a_wrong_place_is_refused() {
        let mut index = Index::new();
        let key = ServiceKey { namespace: label("default"), name: label("a") };
        let (shape, ttl) = (ServiceShape::Headless, TtlOverrides::default());
        index.apply(Object::Service(Service { key, shape, ports: Vec::new(), ttl }));
        let octets = exported(&index, Part::Services);
        let read = |octets: &[u8]| Import::default().part(Part::Services, octets);
        assert_eq!(read(&octets), Ok(()));
        let changed = |at: usize, to: u8| {
            let mut octets = octets.clone();
            octets[at] = to;
            octets
        };
        // Behind the length of `default/a`, nine octets, the count and the object's length: its kind and its name.
        let kind = 2 + 9 + 4 + 4;
        assert_eq!(octets[kind], Kind::Service as u8);
        assert_eq!(read(&changed(kind, Kind::Pod as u8)), Err(PartError::Object));
        assert_eq!(read(&changed(kind + 2, b'b')), Err(PartError::Object), "a Service of another name");
        assert_eq!(read(&changed(kind + 1, 0)), Err(PartError::Object), "no name");
        assert_eq!(read(&changed(2, b'_')), Err(PartError::Name));
        assert_eq!(read(&changed(9, b'-')), Err(PartError::Name), "no slash");
    }
}
