//! Folders that are not edited but replaced: ConfigMap volumes, `git checkout`, git-sync, symlinks.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::asking::{addresses, until_addresses};
use super::manifests::{NGINX, nginx, stateful, text};
use super::process::Process;

const DB: &str = "db.default.svc.cluster.local";

/// Points a symlink elsewhere in one step, as kubelet and git-sync do.
fn point(link: &Path, target: &str) {
    let mut beside = link.as_os_str().to_owned();
    beside.push("_tmp");
    symlink(target, &beside).unwrap();
    std::fs::rename(&beside, link).unwrap();
}

/// A ConfigMap volume: `web.yaml -> ..data/web.yaml`, `..data -> ..2024`, and files in that.
fn config_map(folder: &Path, version: &str, replicas: u32) {
    std::fs::create_dir(folder.join(version)).unwrap();
    std::fs::write(folder.join(version).join("web.yaml"), nginx(replicas)).unwrap();
    point(&folder.join("..data"), version);
}

#[test]
fn a_config_map_volume_is_followed_through_its_swaps() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    config_map(folder, "..2026_01", 2);
    symlink("..data/web.yaml", folder.join("web.yaml")).unwrap();
    let mut process = Process::serve(&["--manifests", text(folder)]);
    let server = process.address();
    let before = addresses(server, NGINX);
    assert_eq!(before.len(), 2);
    for (version, replicas) in [("..2026_02", 3), ("..2026_03", 5), ("..2026_04", 2)] {
        let old = std::fs::read_link(folder.join("..data")).unwrap();
        config_map(folder, version, replicas);
        // kubelet removes what was there before.
        std::fs::remove_dir_all(folder.join(old)).unwrap();
        until_addresses(server, NGINX, replicas as usize);
    }
    assert_eq!(addresses(server, NGINX), before);

    // A bad version keeps the good one, and a key that is new is a file that is new.
    std::fs::create_dir(folder.join("..2026_05")).unwrap();
    std::fs::write(folder.join("..2026_05/web.yaml"), "kind: [unclosed\n").unwrap();
    std::fs::write(folder.join("..2026_05/db.yaml"), stateful("db", "db", 1)).unwrap();
    point(&folder.join("..data"), "..2026_05");
    symlink("..data/db.yaml", folder.join("db.yaml")).unwrap();
    process.wait_for_words(&["web.yaml", "document 1", "unclosed"]);
    until_addresses(server, DB, 1);
    assert_eq!(addresses(server, NGINX), before);
}

#[test]
fn a_file_of_a_config_map_volume_is_followed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    config_map(folder, "..2026_01", 2);
    symlink("..data/web.yaml", folder.join("web.yaml")).unwrap();
    let process = Process::serve(&["--manifests", text(&folder.join("web.yaml"))]);
    for (version, replicas) in [("..2026_02", 3), ("..2026_03", 1)] {
        config_map(folder, version, replicas);
        until_addresses(process.address(), NGINX, replicas as usize);
    }
}

#[test]
fn a_folder_that_is_removed_and_made_again_is_followed_on() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("manifests");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("web.yaml"), nginx(2)).unwrap();
    let mut process = Process::serve(&["--manifests", text(&folder)]);
    let server = process.address();
    for replicas in [3, 4] {
        std::fs::remove_dir_all(&folder).unwrap();
        // The last known state stays, and that is said.
        process.wait_for_words(&["ERROR", "manifests", "No such file"]);
        assert!(!addresses(server, NGINX).is_empty());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("web.yaml"), nginx(replicas)).unwrap();
        until_addresses(server, NGINX, replicas as usize);
    }
}

#[test]
fn a_folder_behind_a_symlink_is_followed_through_its_swaps() {
    let parent = tempfile::tempdir().unwrap();
    for (revision, replicas) in [("rev1", 2), ("rev2", 3), ("rev3", 4)] {
        std::fs::create_dir(parent.path().join(revision)).unwrap();
        std::fs::write(parent.path().join(revision).join("web.yaml"), nginx(replicas)).unwrap();
    }
    let current = parent.path().join("current");
    symlink("rev1", &current).unwrap();
    let process = Process::serve(&["--manifests", text(&current)]);
    for (revision, replicas) in [("rev2", 3), ("rev3", 4)] {
        point(&current, revision);
        until_addresses(process.address(), NGINX, replicas);
    }
}

#[test]
fn a_symlinked_file_is_followed_where_it_leads() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let real = elsewhere.path().join("real.yaml");
    std::fs::write(&real, nginx(2)).unwrap();
    symlink(&real, folder.path().join("web.yaml")).unwrap();
    let process = Process::serve(&["--manifests", text(folder.path())]);
    std::fs::write(&real, nginx(3)).unwrap();
    until_addresses(process.address(), NGINX, 3);
}
