//! The octets of a snapshot, format 1. Numbers are little-endian.
//!
//! ```text
//! 8  `rollcall`
//! 2  format            another one is refused, whatever follows
//! 2  addition          of format 1: a greater one has sections that are not known here, which are passed over
//! 8  octets of all sections
//! …  sections: u8 which, u32 octets, octets
//! 4  CRC-32 (IEEE 802.3) of everything before it
//! ```
//!
//! These lines hold for every format, so that a newer file is told from a damaged one. Within a format a section never
//! changes; what is new comes in a section of its own, whose absence means that there is none of it. So a newer
//! rollcall reads what an older one wrote, and the other way round, as long as the format is the same.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::cluster::{Import, Index, Kind, Part, PartError};

/// The format that is written, and read.
pub(super) const VERSION: u16 = 1;
/// Its additions so far: 1 is the serial, 2 the zone and which sets are parallel, 3 of which revision sets are, 4 what
/// Services say of holding.
const ADDITION: u16 = 4;
const MAGIC: [u8; 8] = *b"rollcall";
/// Magic, format, addition, length.
const FRONT: usize = 8 + 2 + 2 + 8;
const CHECKSUM: usize = 4;
/// The head's section; the parts have those behind it.
const HEAD: u8 = 1;
const SERIAL: u8 = 6;
/// The cluster's zone as it was served: `zone` knows what its octets mean, and when they are of no use.
const ZONE: u8 = 7;

fn number_of(part: Part) -> u8 {
    match part {
        Part::Services => 2,
        Part::Namespaces => 3,
        Part::SetsOfNone => 4,
        Part::Pods => 5,
        Part::Parallel => 8,
        Part::Revisions => 9,
        Part::Holds => 10,
    }
}

/// What a snapshot is of: one of anything else is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The API server's URL.
    pub server: String,
    /// The only namespaces that are followed, sorted; None is all.
    pub namespaces: Option<Vec<String>>,
    /// The label selector of Services.
    pub selector: String,
    /// Whether pods are followed.
    pub pods: bool,
}

impl Identity {
    /// What differs, and how both say it; None where nothing does.
    pub(super) fn differs(&self, ours: &Self) -> Option<(&'static str, String, String)> {
        let namespaces = |identity: &Self| match &identity.namespaces {
            None => "all".to_owned(),
            Some(names) => names.join(","),
        };
        let selector = |identity: &Self| format!("`{}`", identity.selector);
        let pods = |identity: &Self| if identity.pods { "followed" } else { "not followed" }.to_owned();
        let said = |what, of: &dyn Fn(&Self) -> String| Some((what, of(self), of(ours)));
        if self.server != ours.server {
            said("API server", &|identity| identity.server.clone())
        } else if self.namespaces != ours.namespaces {
            said("list of namespaces", &namespaces)
        } else if self.selector != ours.selector {
            said("label selector", &selector)
        } else if self.pods != ours.pods {
            said("word on pods", &pods)
        } else {
            None
        }
    }
}

/// What stands in a snapshot beside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// When it was written, in seconds since 1970.
    pub written: u64,
    /// Until when it was known to be what the API server says.
    pub fresh: u64,
    /// The namespaces of which everything is known; None is all.
    pub complete: Option<Vec<String>>,
    /// Whether every pod is known.
    pub pods_known: bool,
    /// The zone's serial; 0 where it is not known. A section of its own: the first snapshots had none.
    #[serde(skip)]
    pub serial: u32,
}

#[derive(Serialize, Deserialize)]
struct Head {
    identity: Identity,
    state: State,
    /// Objects of each kind, in the order of [`Kind::ALL`].
    counts: [u64; 5],
}

/// A snapshot, read.
pub struct Kept {
    /// What it is of.
    pub identity: Identity,
    /// What stands beside the cluster.
    pub state: State,
    /// The cluster, all of it dirty.
    pub index: Index,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cluster is too much for a line.
        f.debug_struct("Kept").field("identity", &self.identity).field("state", &self.state).finish()
    }
}

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It begins as something else.
    #[error("it does not begin as a snapshot")]
    NoSnapshot,
    /// It has not the length that it says.
    #[error("it has {found} octets and should have {expected}")]
    Length {
        /// Octets that are there.
        found: u64,
        /// Octets that it says it has.
        expected: u64,
    },
    /// Larger than any that is written.
    #[error("it has {0} octets, more than any snapshot has")]
    TooLong(u64),
    /// Its octets are not those that were written.
    #[error("its checksum is wrong")]
    Checksum,
    /// Written by something else than rollcall: the checksum is right.
    #[error("its sections do not fit together")]
    Sections,
    /// The same.
    #[error("its head cannot be read")]
    Head,
    /// The same.
    #[error("its part {0:?} cannot be read")]
    Part(Part, #[source] PartError),
    /// The same.
    #[error("it does not hold the objects that it says it holds")]
    Counts,
}

/// Why octets are no snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Damaged(Damage),
    Version(u16),
}

impl From<Damage> for Refused {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// A snapshot as it is written, but for its length and checksum.
pub struct Image(Vec<u8>);

impl Image {
    /// Copies a cluster. `room` is how many octets to take at once: those of the last one.
    #[must_use]
    pub fn new(identity: &Identity, state: &State, index: &Index, room: usize) -> Self {
        let counts = Kind::ALL.map(|kind| index.count(kind) as u64);
        let head = Head { identity: identity.clone(), state: state.clone(), counts };
        let mut octets = Vec::with_capacity(room + room / 16);
        octets.extend(MAGIC);
        octets.extend(VERSION.to_le_bytes());
        octets.extend(ADDITION.to_le_bytes());
        octets.extend([0; 8]);
        // Into memory: there is nothing that could fail.
        section(&mut octets, HEAD, |octets| octets.extend(postcard::to_allocvec(&head).unwrap_or_default()));
        section(&mut octets, SERIAL, |octets| octets.extend(state.serial.to_le_bytes()));
        for part in Part::ALL {
            section(&mut octets, number_of(part), |octets| index.export(part, octets));
        }
        Self(octets)
    }

    /// With the cluster's zone, which `zone` appends.
    #[must_use]
    pub fn with_zone(mut self, zone: impl FnOnce(&mut Vec<u8>)) -> Self {
        section(&mut self.0, ZONE, zone);
        self
    }

    /// All octets of the file.
    #[must_use]
    pub fn sealed(self) -> Vec<u8> {
        let mut octets = self.0;
        let length = (octets.len() - FRONT) as u64;
        octets[FRONT - 8..FRONT].copy_from_slice(&length.to_le_bytes());
        octets.extend(crc32fast::hash(&octets).to_le_bytes());
        octets
    }
}

fn section(octets: &mut Vec<u8>, number: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    octets.push(number);
    let at = octets.len();
    octets.extend([0; 4]);
    fill(octets);
    // The whole file is bounded far below (`read::MAX`), and one that is too long is not written.
    let length = u32::try_from(octets.len() - at - 4).unwrap_or(u32::MAX);
    octets[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Where what stands in a file.
pub(super) struct Sections {
    pub(super) identity: Identity,
    pub(super) state: State,
    pub(super) zone: Range<usize>,
    parts: Vec<(Part, Range<usize>)>,
    counts: [u64; 5],
}

/// Looks through all octets of a file. Nothing is made of any of them before their checksum was found right.
pub(super) fn sections(octets: &[u8]) -> Result<Sections, Refused> {
    if !octets.starts_with(&MAGIC) {
        return Err(Damage::NoSnapshot.into());
    }
    let found = octets.len() as u64;
    let short = Damage::Length { found, expected: (FRONT + CHECKSUM) as u64 };
    let front: &[u8; FRONT] = octets.first_chunk().ok_or(short)?;
    let [.., a, b, c, d, e, f, g, h] = *front;
    let expected = u64::from_le_bytes([a, b, c, d, e, f, g, h]).saturating_add((FRONT + CHECKSUM) as u64);
    if found != expected {
        return Err(Damage::Length { found, expected }.into());
    }
    let (summed, checksum) = octets.split_last_chunk::<CHECKSUM>().ok_or(short)?;
    if crc32fast::hash(summed).to_le_bytes() != *checksum {
        return Err(Damage::Checksum.into());
    }
    let [_, _, _, _, _, _, _, _, low, high, ..] = *front;
    match u16::from_le_bytes([low, high]) {
        VERSION => Ok(version_1(summed)?),
        // When there is a format 2, format 1 is read here as it was written, and made into what it means now.
        other => Err(Refused::Version(other)),
    }
}

/// The sections of format 1, whatever its addition.
fn version_1(octets: &[u8]) -> Result<Sections, Damage> {
    let mut head: Option<Head> = None;
    let (mut parts, mut zone, mut serial) = (Vec::new(), 0..0, 0);
    let mut seen = [false; 256];
    let mut at = FRONT;
    while let Some((number, rest)) = octets[at..].split_first() {
        let length = rest.first_chunk().ok_or(Damage::Sections)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damage::Sections)?;
        let start = at + 5;
        let section = octets.get(start..start + length).ok_or(Damage::Sections)?;
        at = start + length;
        if std::mem::replace(&mut seen[usize::from(*number)], true) {
            return Err(Damage::Sections);
        }
        if *number == HEAD {
            head = Some(postcard::from_bytes(section).map_err(|_| Damage::Head)?);
        } else if *number == SERIAL {
            serial = u32::from_le_bytes(section.try_into().map_err(|_| Damage::Sections)?);
        } else if *number == ZONE {
            zone = start..at;
        } else if let Some(part) = Part::ALL.into_iter().find(|part| number_of(*part) == *number) {
            parts.push((part, start..at));
        }
    }
    let Head { identity, state, counts } = head.ok_or(Damage::Head)?;
    Ok(Sections { identity, state: State { serial, ..state }, zone, parts, counts })
}

impl Sections {
    /// The cluster, all of it dirty, from the octets that these are the sections of.
    pub(super) fn index(&self, octets: &[u8]) -> Result<Index, Damage> {
        let mut import = Import::default();
        for (part, place) in &self.parts {
            let section = octets.get(place.clone()).ok_or(Damage::Sections)?;
            import.part(*part, section).map_err(|error| Damage::Part(*part, error))?;
        }
        let index = import.finish();
        let is_whole = Kind::ALL.map(|kind| index.count(kind) as u64) == self.counts;
        is_whole.then_some(index).ok_or(Damage::Counts)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{
        Endpoint, EndpointSlice, Label, Namespace, Object, Pod, Service, ServiceKey, ServiceShape,
        StatefulSet, TtlOverrides,
    };

    pub(in super::super) fn mk_identity() -> Identity {
        Identity { server: "https://k".into(), namespaces: None, selector: String::new(), pods: true }
    }

    pub(in super::super) fn mk_state() -> State {
        State {
            written: 1_800_000_010,
            fresh: 1_800_000_000,
            complete: None,
            pods_known: true,
            serial: 1_800_000_005,
        }
    }

    pub(in super::super) fn mk_index() -> Index {
        let label = |text: &str| Label::new(text).unwrap();
        let key = ServiceKey { namespace: label("default"), name: label("nginx") };
        let (shape, ttl) = (ServiceShape::Headless, TtlOverrides::default());
        let endpoint = Endpoint {
            addresses: vec!["10.0.0.1".parse().unwrap()],
            hostname: Some(label("web-0")),
            pod: None,
            ready: true,
            terminating: false,
        };
        let (namespace, service) = (label("default"), Some(label("nginx")));
        let set = |name: &str, service| StatefulSet {
            namespace: namespace.clone(),
            name: name.into(),
            service,
            start: 0,
            replicas: 2,
            parallel: false,
            revision: None,
        };
        let addresses = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let mut index = Index::new();
        for object in [
            Object::Namespace(Namespace { name: namespace.clone() }),
            Object::Service(Service { key: key.clone(), shape, ports: Vec::new(), ttl }),
            Object::EndpointSlice(EndpointSlice {
                service: key,
                name: "nginx-x".into(),
                ports: Vec::new(),
                endpoints: vec![endpoint],
            }),
            Object::StatefulSet(set("web", service)),
            Object::StatefulSet(set("lone", None)),
            Object::Pod(Pod { namespace: namespace.clone(), name: "web-0".into(), addresses }),
        ] {
            index.apply(object);
        }
        index
    }

    pub(in super::super) fn mk_octets() -> Vec<u8> {
        Image::new(&mk_identity(), &mk_state(), &mk_index(), 0).sealed()
    }

    /// Other octets, with the length and the checksum that fit them.
    fn resealed(mut octets: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        octets.truncate(octets.len() - CHECKSUM);
        change(&mut octets);
        Image(octets).sealed()
    }

    fn parse(octets: &[u8]) -> Result<Kept, Refused> {
        let sections = sections(octets)?;
        let index = sections.index(octets)?;
        Ok(Kept { identity: sections.identity, state: sections.state, index })
    }

    fn refused(octets: &[u8]) -> Refused {
        parse(octets).err().unwrap_or_else(|| panic!("it was read"))
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let kept = parse(&mk_octets()).unwrap();
        assert_eq!((kept.identity, kept.state), (mk_identity(), mk_state()));
        let (mut before, mut after) = (mk_index(), kept.index);
        assert_eq!(after.take_dirty(), before.take_dirty());
        assert_eq!(Kind::ALL.map(|kind| after.count(kind)), [1, 1, 2, 1, 1]);
    }

    #[test]
    fn every_truncation_is_refused() {
        let octets = mk_octets();
        for length in 0..octets.len() {
            let Refused::Damaged(damage) = refused(&octets[..length]) else { panic!("{length} octets") };
            assert!(matches!(damage, Damage::NoSnapshot | Damage::Length { .. }), "{length}: {damage}");
        }
        let longer = [&*octets, b"x"].concat();
        assert!(matches!(refused(&longer), Refused::Damaged(Damage::Length { .. })));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let octets = mk_octets();
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(refused(&flipped), Refused::Damaged(_)), "bit {bit}");
        }
    }

    #[test]
    fn another_format_is_told_from_damage() {
        for format in [0_u16, 2, u16::MAX] {
            let set = |octets: &mut Vec<u8>| octets[8..10].copy_from_slice(&format.to_le_bytes());
            assert_eq!(refused(&resealed(mk_octets(), set)), Refused::Version(format));
        }
        // As it may be one day: nothing behind the first lines is as it is here.
        let other = resealed(mk_octets(), |octets| {
            octets[8] = 2;
            octets.truncate(FRONT);
            octets.extend(b"anything");
        });
        assert_eq!(refused(&other), Refused::Version(2));
    }

    #[test]
    fn an_addition_to_the_format_is_passed_over() {
        let newer = resealed(mk_octets(), |octets| {
            octets[10..12].copy_from_slice(&7_u16.to_le_bytes());
            section(octets, 200, |octets| octets.extend(b"what nobody knows here"));
        });
        assert_eq!(parse(&newer).unwrap().index.count(Kind::Service), 1);
    }

    #[test]
    fn what_an_older_addition_lacks_is_not_there() {
        let mut index = mk_index();
        index.retain(|name| !matches!(name.kind, Kind::Pod | Kind::Namespace) && &*name.name != "lone");
        let whole = Image::new(&mk_identity(), &mk_state(), &index, 0).sealed();
        let fewer = resealed(whole, |octets| {
            // The last four sections, which are empty.
            octets.truncate(octets.len() - 4 * 5);
        });
        let kept = parse(&fewer).unwrap();
        assert_eq!(Kind::ALL.map(|kind| kept.index.count(kind)), [0, 1, 1, 1, 0]);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let damage = |change: &dyn Fn(&mut Vec<u8>)| refused(&resealed(mk_octets(), change));
        assert_eq!(damage(&|octets| octets.truncate(FRONT)), Refused::Damaged(Damage::Head));
        assert_eq!(damage(&|octets| octets.push(200)), Refused::Damaged(Damage::Sections));
        assert_eq!(
            damage(&|octets| section(octets, HEAD, |_| ())),
            Refused::Damaged(Damage::Sections),
            "a section is there twice"
        );
        let serial = |octets: &mut Vec<u8>| {
            octets.truncate(FRONT);
            section(octets, SERIAL, |octets| octets.extend([0; 5]));
        };
        assert_eq!(damage(&serial), Refused::Damaged(Damage::Sections));
        let end = |octets: &mut Vec<u8>| octets.truncate(octets.len() - 1);
        assert_eq!(damage(&end), Refused::Damaged(Damage::Sections));
        let without_services = |octets: &mut Vec<u8>| {
            let head = u32::from_le_bytes(*octets[FRONT + 1..].first_chunk().unwrap()) as usize;
            octets.truncate(FRONT + 5 + head);
        };
        assert_eq!(damage(&without_services), Refused::Damaged(Damage::Counts));
    }

    /// Written by the first release; it is read for as long as there is a format 1.
    #[test]
    fn the_first_one_ever_written_is_read() {
        let kept = parse(include_bytes!("golden/format-1")).unwrap();
        assert_eq!((kept.identity, kept.state), (mk_identity(), State { serial: 0, ..mk_state() }));
        assert_eq!(kept.index.count(Kind::EndpointSlice), 1);
        let key = mk_index().take_dirty().into_iter().find_map(|dirty| match dirty {
            crate::cluster::Dirty::Service(key) => Some(key),
            _ => None,
        });
        let key = key.unwrap();
        assert_eq!(kept.index.service(&key), mk_index().service(&key));
    }

    #[test]
    fn what_differs_is_named() {
        let ours = mk_identity();
        let said = |theirs: Identity| {
            theirs.differs(&ours).map(|(what, theirs, ours)| [what.to_owned(), theirs, ours])
        };
        assert_eq!(said(mk_identity()), None);
        let server = Identity { server: "https://other".into(), ..mk_identity() };
        assert_eq!(said(server).unwrap(), ["API server", "https://other", "https://k"]);
        let namespaces = Identity { namespaces: Some(vec!["a".into(), "b".into()]), ..mk_identity() };
        assert_eq!(said(namespaces).unwrap(), ["list of namespaces", "a,b", "all"]);
        let selector = Identity { selector: "app=a".into(), ..mk_identity() };
        assert_eq!(said(selector).unwrap(), ["label selector", "`app=a`", "``"]);
        let pods = Identity { pods: false, ..mk_identity() };
        assert_eq!(said(pods).unwrap(), ["word on pods", "not followed", "followed"]);
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets: Vec<u8>) {
            let _ = parse(&octets);
        }

        /// With the right length and checksum, as only one who means harm writes them: no panic, no part of it.
        #[test]
        fn any_octets_in_a_whole_envelope_are_read_or_refused(
            at in 0..400_usize, with: Vec<u8>, cut in 0..40_usize,
        ) {
            let changed = resealed(mk_octets(), |octets| {
                let at = FRONT + at % (octets.len() - FRONT);
                let end = (at + cut).min(octets.len());
                octets.splice(at..end, with);
            });
            if let Ok(kept) = parse(&changed) {
                let index = &kept.index;
                // Whatever is taken to be there can be unpacked.
                for dirty in parse(&changed).unwrap().index.take_dirty() {
                    if let crate::cluster::Dirty::Service(key) = dirty {
                        let objects = index.service(&key);
                        let count = usize::from(objects.service.is_some()) + objects.slices.len() + objects.sets.len();
                        proptest::prop_assert!(count > 0);
                    }
                }
            }
        }
    }
}
