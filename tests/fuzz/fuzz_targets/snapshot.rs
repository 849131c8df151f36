//! Any octets as a snapshot: refused with a reason, or a whole cluster that is written and read again as the same. What
//! begins as a snapshot is a file as it is; of all else five counts and sections are made one, with the length and the
//! checksum that fit it, for no fuzzer finds those.

#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use rollcall::cluster::{Dirty, Index, Kind};
use rollcall::source::snapshot::{Identity, Image, State, read, write};
use rollcall_fuzz::folder;

/// Magic, format, addition, length.
const FRONT: usize = 20;
/// A section's number and length.
const SECTION: usize = 5;
const COUNTS: usize = Kind::ALL.len();

struct Place {
    identity: Identity,
    file: PathBuf,
    again: PathBuf,
    /// The front and the head's section, which ends with a count of each kind.
    head: Vec<u8>,
}

thread_local! {
    static PLACE: Place = {
        let identity =
            Identity { server: "https://k".into(), namespaces: None, selector: String::new(), pods: true };
        let state = State { written: 2, fresh: 1, complete: None, pods_known: true, serial: 0 };
        let mut head = Image::new(&identity, &state, &Index::new(), 0).sealed();
        let length = u32::from_le_bytes(*head[FRONT + 1..].first_chunk().expect("a head"));
        head.truncate(FRONT + SECTION + length as usize);
        let folder = folder();
        Place { identity, file: folder.join("fuzzed"), again: folder.join("again"), head }
    };
}

fuzz_target!(|octets: &[u8]| PLACE.with(|place| {
    if octets.starts_with(b"rollcall") {
        std::fs::write(&place.file, octets).expect("the file is written");
    } else {
        let Some((counts, sections)) = octets.split_first_chunk::<COUNTS>() else { return };
        std::fs::write(&place.file, place.enveloped(counts, sections)).expect("the file is written");
    }
    let mut kept = match read(&place.file, &place.identity) {
        Ok(kept) => kept.expect("the file is there"),
        Err(refused) => return assert!(!refused.to_string().is_empty()),
    };
    write(&place.again, Image::new(&kept.identity, &kept.state, &kept.index, 0)).expect("it is written");
    let again = read(&place.again, &place.identity).expect("what was read is read again");
    let mut again = again.expect("the file is there");
    assert_eq!((&kept.identity, &kept.state), (&again.identity, &again.state));
    assert_eq!(Kind::ALL.map(|kind| kept.index.count(kind)), Kind::ALL.map(|kind| again.index.count(kind)));
    let dirty = kept.index.take_dirty();
    assert_eq!(dirty, again.index.take_dirty());
    for dirty in dirty {
        if let Dirty::Service(key) = dirty {
            assert_eq!(kept.index.service(&key), again.index.service(&key));
        }
    }
}));

impl Place {
    fn enveloped(&self, counts: &[u8; COUNTS], sections: &[u8]) -> Vec<u8> {
        let mut octets = self.head.clone();
        octets.truncate(octets.len() - COUNTS);
        // A count below 128 is one octet.
        octets.extend(counts.map(|count| count & 127));
        octets.extend(sections);
        let length = (octets.len() - FRONT) as u64;
        octets[FRONT - 8..FRONT].copy_from_slice(&length.to_le_bytes());
        octets.extend(crc32fast::hash(&octets).to_le_bytes());
        octets
    }
}
