//! The reasons of one service, packed: what lies behind its records and costs nothing where nothing is amiss.

use super::Reason;
use crate::records::ordinal_of;

/// What is to be said of a service's absent names. Empty where every name that should be there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes(Box<[u8]>);

/// A reason of some ordinals of a set: `from` up to, and without, `to`.
pub(super) struct Range<'a> {
    pub(super) set: &'a str,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) reason: Reason<'a>,
}

impl Notes {
    /// Packs reasons: of the service's own name, of ranges, of single hosts (sorted by label, each once). The names in
    /// those of ranges and hosts are empty: a question fills them in.
    pub(super) fn pack(
        service: Option<Reason<'_>>,
        ranges: &[Range<'_>],
        hosts: &[(&str, Reason<'_>)],
    ) -> Self {
        if service.is_none() && ranges.is_empty() && hosts.is_empty() {
            return Self::default();
        }
        let mut octets = Vec::new();
        push(&mut octets, &service.as_ref().map(pack).unwrap_or_default());
        octets.extend(small(ranges.len()).to_le_bytes());
        for Range { set, from, to, reason } in ranges {
            push(&mut octets, set.as_bytes());
            octets.extend(from.to_le_bytes());
            octets.extend(to.to_le_bytes());
            push(&mut octets, &pack(reason));
        }
        let mut places = Vec::with_capacity(hosts.len() * 4);
        let mut packed = Vec::new();
        for (label, reason) in hosts {
            places.extend(place(packed.len()).to_le_bytes());
            push(&mut packed, label.as_bytes());
            push(&mut packed, &pack(reason));
        }
        octets.extend(place(hosts.len()).to_le_bytes());
        octets.extend(places);
        octets.extend(packed);
        Self(octets.into())
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// To be kept elsewhere, and read by [`Notes::service`] and [`Notes::host`].
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Why the service's own name is absent.
    #[must_use]
    pub fn service(octets: &[u8]) -> Option<Reason<'_>> {
        let (packed, _) = pull(octets)?;
        unpack(packed)
    }

    /// Why the name of a host, or of one that should be, is absent; `label` is lower case.
    #[must_use]
    pub fn host<'a>(octets: &'a [u8], label: &'a [u8]) -> Option<Reason<'a>> {
        let (_, rest) = pull(octets)?;
        let (ranges, mut rest) = count(rest)?;
        let mut of_range = None;
        for _ in 0..ranges {
            let (set, after) = pull(rest)?;
            let (from, after) = after.split_first_chunk::<8>()?;
            let (to, after) = after.split_first_chunk::<8>()?;
            let (packed, after) = pull(after)?;
            rest = after;
            let ordinals = u64::from_le_bytes(*from)..u64::from_le_bytes(*to);
            if of_range.is_none() && ordinal_of(label, set).is_some_and(|n| ordinals.contains(&n)) {
                of_range = unpack(packed);
            }
        }
        let reason = of_host(rest, label).or(of_range)?;
        // It was found by its octets, which are text.
        Some(reason.about(std::str::from_utf8(label).ok()?))
    }
}

fn of_host<'a>(octets: &'a [u8], label: &[u8]) -> Option<Reason<'a>> {
    let (hosts, rest) = octets.split_first_chunk::<4>()?;
    let (places, packed) = rest.split_at_checked(u32::from_le_bytes(*hosts) as usize * 4)?;
    let (places, _) = places.as_chunks::<4>();
    let at = |place: &[u8; 4]| packed.get(u32::from_le_bytes(*place) as usize..).and_then(pull);
    let found = places.binary_search_by(|place| at(place).map_or(&[][..], |(other, _)| other).cmp(label));
    let (_, rest) = at(places.get(found.ok()?)?)?;
    let (packed, _) = pull(rest)?;
    unpack(packed)
}

fn pack(reason: &Reason<'_>) -> Vec<u8> {
    // Into memory: there is nothing that could fail.
    postcard::to_allocvec(reason).unwrap_or_default()
}

/// Without an allocation: texts are slices of the octets.
fn unpack(octets: &[u8]) -> Option<Reason<'_>> {
    postcard::from_bytes(octets).ok()
}

#[allow(clippy::cast_possible_truncation)] // a service of 2^32 octets would not fit in memory
fn place(at: usize) -> u32 {
    at as u32
}

fn small(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// Behind its length; names and reasons have some hundred octets.
fn push(octets: &mut Vec<u8>, part: &[u8]) {
    let length = small(part.len());
    octets.extend(length.to_le_bytes());
    octets.extend(&part[..usize::from(length)]);
}

fn pull(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = count(octets)?;
    rest.split_at_checked(length)
}

fn count(octets: &[u8]) -> Option<(usize, &[u8])> {
    let (count, rest) = octets.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_le_bytes(*count)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_not_ready(name: &str) -> Reason<'_> {
        Reason::NotReady { name, slice: "nginx-x7", address: "10.244.0.7".parse().unwrap() }
    }

    #[test]
    fn every_host_is_found_and_no_other() {
        let mut labels: Vec<String> = (0..300).map(|n| format!("web-{n}")).collect();
        labels.sort();
        let hosts: Vec<_> = labels.iter().map(|label| (label.as_str(), mk_not_ready(""))).collect();
        let service = Reason::NoEndpoints { service: "nginx" };
        let notes = Notes::pack(Some(service), &[], &hosts);
        for label in &labels {
            assert_eq!(Notes::host(notes.octets(), label.as_bytes()), Some(mk_not_ready(label)));
        }
        for other in ["web-300", "web", "", "a", "zzz", "web-00"] {
            assert_eq!(Notes::host(notes.octets(), other.as_bytes()), None, "{other}");
        }
        assert_eq!(Notes::service(notes.octets()), Some(service));
    }

    #[test]
    fn what_is_said_of_a_range_is_said_of_each_and_a_host_comes_first() {
        let awaited = |name| Reason::Awaited { name, set: "web", replicas: 9, waits_for: 1 };
        let range = Range { set: "web", from: 2, to: 9, reason: awaited("") };
        let notes = Notes::pack(None, &[range], &[("web-3", mk_not_ready(""))]);
        let said = |label: &'static str| Notes::host(notes.octets(), label.as_bytes());
        assert_eq!(said("web-2"), Some(awaited("web-2")));
        assert_eq!(said("web-8"), Some(awaited("web-8")));
        assert_eq!(said("web-3"), Some(mk_not_ready("web-3")));
        for other in ["web-1", "web-9", "web-02", "db-2"] {
            assert_eq!(said(other), None, "{other}");
        }
        assert_eq!(Notes::service(notes.octets()), None);
    }

    #[test]
    fn nothing_to_say_takes_nothing_and_a_host_some_thirty_octets() {
        assert!(Notes::pack(None, &[], &[]).is_empty());
        assert_eq!((Notes::service(&[]), Notes::host(&[], b"web-0")), (None, None));
        let size = |count: usize| {
            let labels: Vec<String> = (100..100 + count).map(|n| format!("web-{n}")).collect();
            let hosts: Vec<_> = labels.iter().map(|label| (label.as_str(), mk_not_ready(""))).collect();
            Notes::pack(None, &[], &hosts).octets().len()
        };
        assert_eq!((size(800) - size(300)) / 500, 31);
    }

    #[test]
    fn octets_that_are_no_notes_are_no_reason() {
        let notes = Notes::pack(None, &[], &[("web-3", mk_not_ready(""))]);
        for cut in 0..notes.octets().len() {
            let cut = &notes.octets()[..cut];
            assert_eq!((Notes::service(cut), Notes::host(cut, b"web-3")), (None, None));
        }
    }

    /// Snapshots hold these octets: where this fails, another release would read what is written here as something else,
    /// and `FORM` of `zone::kept` goes up by one.
    #[test]
    fn what_is_kept_has_a_form() {
        let (name, set, service, since, message) = ("", "web", "nginx", "2026-11-21T14:02:00Z", "no volume");
        let address = "10.244.0.7".parse().unwrap();
        let kept = [
            Reason::Awaited { name, set, replicas: 3, waits_for: 1 },
            Reason::NoAddress { name, service, set, replicas: 3 },
            mk_not_ready(name),
            Reason::Terminating { name, slice: "nginx-x7", address },
            Reason::PodPending { name, message },
            Reason::PodUnscheduled { name },
            Reason::ClaimNotBound { name, claim: "www-web-1", class: "fast", message },
            Reason::PodWaiting { name, reason: "ImagePullBackOff", detail: message },
            Reason::PodNotReady { name, since, message },
            Reason::NodeSilent { name, since, node: "node-2" },
            Reason::PodTerminating { name, since, finalizer: "", node: "node-2", silent: true },
            Reason::CalledByAddress { name, service, subdomain: "kubia", address },
            Reason::NoneReady { service, endpoints: 2, slice: "nginx-x7", address },
            Reason::NoEndpoints { service },
            Reason::ScaledToZero { service, set },
            Reason::GoverningServiceMissing { service, namespace: "default", set },
            Reason::BadExternalName { service, target: "-" },
        ];
        let hosts: Vec<(&str, Reason<'_>)> = [("web-1", kept[2]), ("web-2", kept[3])].into();
        let range = Range { set, from: 3, to: 9, reason: kept[0] };
        let notes = Notes::pack(Some(kept[13]), &[range], &hosts);
        let octets: Vec<u8> = kept.iter().flat_map(pack).chain(notes.octets().iter().copied()).collect();
        assert_eq!((octets.len(), crc32fast::hash(&octets)), (409, 3_803_902_222));
    }
}
