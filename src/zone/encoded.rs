//! A change as it is published: encoded, and compared with what is there. Made on any core, put in place by one.

use std::net::IpAddr;

use super::PtrNames;
use super::entry::{Entry, Key};
use super::publisher::Change;
use super::reverse::{Pointer, Prefix, Rank};
use super::settings::Prepared;
use super::store::Shared;
use crate::records::{Label, ServiceKey};

/// A change, encoded.
pub(super) enum Encoded {
    /// What is there already.
    Same,
    Service(Box<EncodedService>),
    Namespace(Label, bool),
    Pod(Label, IpAddr, bool),
}

/// Another entry for a service than the one that is there.
pub(super) struct EncodedService {
    pub(super) namespace: Label,
    pub(super) name: Label,
    /// Its labels as they stand in a question.
    pub(super) key: Vec<u8>,
    /// None where it goes.
    pub(super) entry: Option<Entry>,
    /// What reverse names say of it now.
    pub(super) names: Names,
}

/// A service's share of the names of addresses, by block, sorted; each once.
pub(super) type Names = Vec<(Prefix, Pointer)>;

/// Encodes a change. Nobody puts another one of the same service in place in the meantime.
pub(super) fn encode(shared: &Shared, prepared: &Prepared, change: &Change) -> Encoded {
    let (key, records, notes) = match change {
        Change::Service(key, records, notes) => (key, records.as_deref(), notes),
        Change::Namespace(label, present) => return Encoded::Namespace(label.clone(), *present),
        Change::Pod(namespace, address, present) => {
            return Encoded::Pod(namespace.clone(), *address, *present);
        }
    };
    let (namespace, name) = (key.namespace.clone(), key.name.clone());
    let key = wire_key(key);
    let services = shared.services.pin();
    let old = services.get(&*key).map(|stored| &stored.0);
    let entry = records.map(|records| {
        let key = old.map_or_else(|| Key::new(&key), |old| old.shared_key().clone());
        Entry::new(key, records, notes, prepared.settings.ttl)
    });
    if old == entry.as_ref() {
        return Encoded::Same;
    }
    let names = entry.as_ref().map_or_else(Vec::new, |entry| pointers(entry, prepared));
    Encoded::Service(Box::new(EncodedService { namespace, name, key, entry, names }))
}

fn wire_key(key: &ServiceKey) -> Vec<u8> {
    let mut wire = Vec::with_capacity(key.name.as_str().len() + key.namespace.as_str().len() + 2);
    for label in [key.name.as_str(), key.namespace.as_str()] {
        #[allow(clippy::cast_possible_truncation)] // a label, at most 63
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire
}

/// What the reverse names of a service's addresses say.
pub(super) fn pointers(entry: &Entry, prepared: &Prepared) -> Names {
    let governing_only = prepared.settings.ptr == PtrNames::Governing;
    let rank = |host: Option<usize>| match host {
        None => Rank::ClusterIp,
        Some(host) if entry.is_governing(host) => Rank::Governing,
        Some(_) => Rank::Other,
    };
    let all = entry.reverse().into_iter().map(|(address, host)| (address, host, rank(host)));
    let wanted = all.filter(|(_, _, rank)| !governing_only || *rank != Rank::Other);
    let mut names: Names = wanted
        .map(|(address, host, rank)| {
            let (block, last) = Prefix::block_of(address);
            let service = entry.shared_key().clone();
            (block, Pointer::new(last, rank, service, entry.ttl.positive, host))
        })
        .collect();
    names.sort();
    names.dedup_by(|(block, pointer), (other, first)| block == other && first.absorb(pointer));
    names
}
