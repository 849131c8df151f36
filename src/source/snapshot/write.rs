//! From octets to a file that is there as a whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::read::MAX;
use super::{Image, SnapshotError};

/// Nobody else need know what is in the cluster.
const MODE: u32 = 0o600;

/// Writes a snapshot: beside the file, then in its place. Gives its octets. Takes as long as the disk does.
///
/// # Errors
/// When it cannot be written: the file that was there is as it was.
pub fn write(path: &Path, image: Image) -> Result<u64, SnapshotError> {
    let failed = |doing| move |source| SnapshotError::Write { path: path.into(), doing, source };
    let octets = image.sealed();
    if octets.len() as u64 > MAX {
        let source = io::Error::from(io::ErrorKind::FileTooLarge);
        return Err(failed("it has more octets than would be read")(source));
    }
    // Two of us, as in a rolling update over one volume, must not write into each other's file. The lock is of a file
    // that stays: one that is renamed is locked by nobody who opens its name.
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(beside(path, "lock"));
    let lock = lock.map_err(failed("its lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(SnapshotError::Busy { path: path.into() }),
        // A file system without locks: there it is as before there was one.
        Err(TryLockError::Error(_)) => {}
    }
    let new = beside(path, "new");
    let written = write_new(&new, &octets).map_err(|(doing, source)| failed(doing)(source));
    let written = written.and_then(|()| fs::rename(&new, path).map_err(failed("the rename")));
    if let Err(error) = written {
        // On a full disk it would hold what others need.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    // The rename is on disk when its folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("its folder"))?;
    Ok(octets.len() as u64)
}

fn write_new(new: &Path, octets: &[u8]) -> Result<(), (&'static str, io::Error)> {
    // What is left of one that was killed; a link that somebody put there is not followed.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(("the file of a write before", error));
        }
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(new);
    let mut file = file.map_err(|error| ("the new file", error))?;
    file.write_all(octets).map_err(|error| ("its octets", error))?;
    file.sync_all().map_err(|error| ("its octets to the disk", error))
}

/// `kept` and `new`: `kept.new`, in the same folder, for a rename does not leave its file system.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::format::tests::{mk_identity, mk_index, mk_octets, mk_state};
    use super::*;

    fn mk_image() -> Image {
        Image::new(&mk_identity(), &mk_state(), &mk_index(), 0)
    }

    #[test]
    fn it_is_there_as_a_whole_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        std::fs::write(&path, "old").unwrap();
        std::fs::write(beside(&path, "new"), "left behind").unwrap();
        let octets = write(&path, mk_image()).unwrap();
        assert_eq!(octets, mk_octets().len() as u64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!beside(&path, "new").exists());
        assert!(super::super::read(&path, &mk_identity()).unwrap().is_some());
    }

    #[test]
    fn a_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("kept"), folder.path().join("other"));
        std::fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, beside(&path, "new")).unwrap();
        write(&path, mk_image()).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        write(&path, mk_image()).unwrap();
        // Where its new file should be is a folder, which root cannot write over either.
        fs::create_dir(beside(&path, "new")).unwrap();
        let error = write(&path, mk_image()).unwrap_err();
        assert!(matches!(error, SnapshotError::Write { .. }), "{error}");
        assert!(super::super::read(&path, &mk_identity()).unwrap().is_some());
        let nowhere = folder.path().join("no/such/folder/kept");
        assert!(matches!(write(&nowhere, mk_image()), Err(SnapshotError::Write { .. })));
    }

    #[test]
    fn two_do_not_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let other = File::create(beside(&path, "lock")).unwrap();
        other.lock().unwrap();
        assert!(matches!(write(&path, mk_image()), Err(SnapshotError::Busy { .. })));
        other.unlock().unwrap();
        assert!(write(&path, mk_image()).is_ok());
    }
}
