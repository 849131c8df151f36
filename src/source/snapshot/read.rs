//! From a file to a cluster, or to the reason why not.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::SnapshotError;
use super::format::{Damage, Identity, Kept, Refused, Sections, State, sections};
use crate::cluster::Index;

/// The most octets of a snapshot: those of some ten million endpoints.
pub(super) const MAX: u64 = 1 << 30;

/// A snapshot that is whole and of what is followed.
pub struct Opened {
    path: PathBuf,
    octets: Vec<u8>,
    sections: Sections,
}

impl Opened {
    /// What stands beside the cluster.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.sections.state
    }

    /// The zone as it was served; empty where it was not kept.
    #[must_use]
    pub fn zone(&self) -> &[u8] {
        self.octets.get(self.sections.zone.clone()).unwrap_or_default()
    }

    /// The cluster, all of it dirty: all of it checked before it is given.
    ///
    /// # Errors
    /// When it is not what was written, though the checksum says so.
    pub fn index(&self) -> Result<Index, SnapshotError> {
        let damaged = |source| SnapshotError::Damaged { path: self.path.clone(), source };
        self.sections.index(&self.octets).map_err(damaged)
    }
}

/// Opens the snapshot of what is followed; None where there is no file.
///
/// # Errors
/// When it cannot be read, is damaged, of another format, or of anything else than what is followed.
pub fn open(path: &Path, ours: &Identity) -> Result<Option<Opened>, SnapshotError> {
    let damaged = |source| SnapshotError::Damaged { path: path.into(), source };
    let octets = match octets(path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SnapshotError::Read { path: path.into(), source }),
    };
    if octets.len() as u64 > MAX {
        return Err(damaged(Damage::TooLong(octets.len() as u64)));
    }
    let sections = sections(&octets).map_err(|refused| match refused {
        Refused::Damaged(source) => damaged(source),
        Refused::Version(found) => SnapshotError::Version { path: path.into(), found },
    })?;
    match sections.identity.differs(ours) {
        None => Ok(Some(Opened { path: path.into(), octets, sections })),
        Some((what, theirs, ours)) => Err(SnapshotError::Foreign { path: path.into(), what, theirs, ours }),
    }
}

/// Opens a snapshot and reads all of it; None where there is no file.
///
/// # Errors
/// Those of both. Nothing of it has been used then.
pub fn read(path: &Path, ours: &Identity) -> Result<Option<Kept>, SnapshotError> {
    let Some(opened) = open(path, ours)? else { return Ok(None) };
    let index = opened.index()?;
    let Sections { identity, state, .. } = opened.sections;
    Ok(Some(Kept { identity, state, index }))
}

fn octets(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe without a writer would be waited for by its opening already.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    // A device may never end.
    if !about.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut octets = Vec::with_capacity(usize::try_from(about.len().min(MAX)).unwrap_or_default());
    file.take(MAX + 1).read_to_end(&mut octets)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::{mk_identity, mk_octets};
    use super::*;
    use crate::source::chain;

    #[test]
    fn errors_name_the_file_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        assert!(read(&path, &mk_identity()).unwrap().is_none(), "no file is no error");
        std::fs::write(&path, mk_octets()).unwrap();
        assert!(read(&path, &mk_identity()).unwrap().is_some());
        let said = |ours: &Identity| chain(&read(&path, ours).err().unwrap());
        let named = |text: String, words: &[&str]| {
            let words = words.iter().chain(["kept"].iter());
            words.for_each(|word| assert!(text.contains(word), "{word} is not in: {text}"));
        };
        named(said(&Identity { server: "https://x".into(), ..mk_identity() }), &["API server", "https://x"]);
        std::fs::write(&path, "apiVersion: v1").unwrap();
        named(said(&mk_identity()), &["damaged", "does not begin"]);
        std::fs::write(&path, &mk_octets()[1..]).unwrap();
        named(said(&mk_identity()), &["damaged"]);
        assert!(chain(&read(folder.path(), &mk_identity()).unwrap_err()).contains("cannot read"));
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(chain(&read(&pipe, &mk_identity()).unwrap_err()).contains("it is no file"));
    }
}
