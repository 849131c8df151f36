//! The disk of the snapshot is full: it serves on, the older snapshot stays whole, and is written anew when there
//! is room again.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::api::admin_token;
use super::asker::Asker;
use super::proxy::{Cut, Proxy};
use super::scene::Scene;
use super::{RIGHT, bare};
use crate::support::{ControlPlane, Rollcall, after_the_end, wait_until};

/// For a snapshot to be written, or not: its interval is a second here, and after a failure it may be longer.
const WRITTEN: Duration = Duration::from_secs(40);

/// A file system of its own, of some pages.
struct Disk(PathBuf);

impl Disk {
    fn mount(plane: &ControlPlane) -> Self {
        let folder = plane.folder().join("disk");
        fs::create_dir(&folder).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=64k", "rollcall-test", folder.to_str().unwrap()]);
        after_the_end(&format!("umount -l {}", folder.display()));
        Self(folder)
    }

    /// Not one octet more.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let full = (0..).find_map(|_| file.write_all(&[7; 512]).err()).unwrap();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    fn clear(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(program: &str, args: &[&str]) {
    let run = Command::new(program).args(args).output().unwrap();
    assert!(run.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&run.stderr));
}

fn start(kubeconfig: &Path, snapshot: &Path) -> Rollcall {
    let flags = ["--snapshot", snapshot.to_str().unwrap()];
    let mut command = Rollcall::command(kubeconfig, &flags);
    command.env("ROLLCALL_SNAPSHOT_INTERVAL", "1");
    let rollcall = Rollcall::launch(&command);
    rollcall.ready();
    rollcall
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn disk_is_full() {
    let plane = bare("disk", &[]);
    let disk = Disk::mount(&plane);
    let proxy = Proxy::start(plane.api_address());
    let kubeconfig = plane.folder().join("disk-kubeconfig");
    plane.kubeconfig_for(&kubeconfig, proxy.address, &admin_token(&plane));
    let scene = Scene::new(&plane, "disk");
    let snapshot = disk.0.join("snapshot");
    let rollcall = start(&kubeconfig, &snapshot);
    scene.settle(rollcall.dns);
    let kept = settled(&snapshot, &[]);

    disk.fill();
    let asker = Asker::start(rollcall.dns, scene.expectations(&[0, 1]));
    scene.turn(1);
    asker.right_within(RIGHT);
    wait_until("the log says that the snapshot cannot be written", WRITTEN, || {
        let printed = rollcall.stderr();
        if printed.contains("No space left") { Ok(()) } else { Err(printed) }
    });
    assert_eq!(fs::read(&snapshot).unwrap(), kept, "the older snapshot");
    let mut names: Vec<_> = fs::read_dir(&disk.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["filler", "snapshot", "snapshot.lock"], "something was left behind");
    assert_eq!(rollcall.get("/livez").0, 200);
    assert_eq!(rollcall.get("/readyz").0, 200);
    let answers = asker.finish();
    let lines = rollcall.stderr().lines().filter(|line| line.contains("No space left")).count();
    assert!(lines <= 3, "{lines} lines about one full disk:\n{}", rollcall.stderr());

    // Killed, and started alone: what it has is the older one, whole.
    drop(rollcall);
    proxy.refuse(Cut::Reset);
    let rollcall = start(&kubeconfig, &snapshot);
    scene.settle_in(rollcall.dns, 0);
    let asker = Asker::start(rollcall.dns, scene.expectations(&[0, 1]));
    asker.assert_unchanged();
    proxy.pass();
    asker.right_within(RIGHT);
    println!("{} answers on a full disk, {} after a start from what was kept", answers, asker.finish());

    disk.clear();
    scene.turn(2);
    settled(&snapshot, &kept);
    drop(rollcall);
    proxy.refuse(Cut::Reset);
    let rollcall = start(&kubeconfig, &snapshot);
    scene.settle_in(rollcall.dns, 2);
}

/// The snapshot's octets, once they are others than these and stay as they are.
fn settled(snapshot: &Path, other_than: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    wait_until("a snapshot that stays as it is", WRITTEN, || {
        let before = std::mem::replace(&mut kept, fs::read(snapshot).unwrap_or_default());
        // Three times its interval.
        std::thread::sleep(Duration::from_secs(3));
        if !kept.is_empty() && kept != other_than && before == kept { Ok(()) } else { Err(kept.len()) }
    });
    kept
}
