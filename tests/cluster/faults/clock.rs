//! The wall clock jumps: by hours when a virtual machine is resumed, by years where a board's battery is empty.
//!
//! libfaketime stands between the server and the C library's clock, so that only the server's clock jumps; waits
//! are by the monotonic clock, which does not. It can do so to a program that is linked dynamically: the host's
//! own build, and not the static one of the release.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::asker::Asker;
use super::gateway::{Deed, Gateway};
use super::gone::serial;
use super::http::kubeconfig_for;
use super::scene::Scene;
use super::{RIGHT, bare};
use crate::support::{Rollcall, wait_until};

/// Between two jumps, for what would go by the clock to go wrong.
const SETTLES: Duration = Duration::from_secs(3);

/// Debian's package `faketime`.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let mut found =
        folders.map(|folder| folder.join("faketime/libfaketime.so.1")).filter(|file| file.exists());
    found.next().expect("libfaketime: apt-get install faketime")
}

/// From now on the server's clock is off by this, as libfaketime says it: `+10d`, `-3h`.
fn jump(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    fs::write(&new, offset).unwrap();
    fs::rename(&new, file).unwrap();
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn wall_clock_jumps() {
    let plane = bare("clock", &[]);
    // Certificates have their own idea of the time: they are not what is tried here.
    let gateway = Gateway::of(&plane);
    let kubeconfig = plane.folder().join("clock-kubeconfig");
    kubeconfig_for(&kubeconfig, &gateway, "token: any");
    let scene = Scene::new(&plane, "clock");
    let offset = plane.folder().join("offset");
    jump(&offset, "+0");
    let program = Path::new(env!("CARGO_BIN_EXE_rollcall"));
    let snapshot = plane.folder().join("snapshot");
    let command = || {
        let flags = ["--snapshot", snapshot.to_str().unwrap()];
        let mut command = Rollcall::command_of(program, "127.0.0.1:0", &kubeconfig, &flags);
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", &offset);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("DONT_FAKE_MONOTONIC", "1").env("ROLLCALL_SNAPSHOT_INTERVAL", "1");
        command
    };
    let rollcall = Rollcall::launch(&command());
    rollcall.ready();
    scene.settle(rollcall.dns);

    let mut generation = 0;
    for to in ["+3h", "-3h", "+30d", "-30d", "+9y", "-20y", "+0"] {
        let before = serial(&rollcall);
        let asker = Asker::start(rollcall.dns, scene.expectations(&[generation, generation + 1]));
        jump(&offset, to);
        std::thread::sleep(SETTLES);
        // Time alone makes nothing stale, and nothing old.
        asker.assert_unchanged();
        assert_eq!(rollcall.get("/readyz"), (200, "ok\n".to_owned()), "the clock at {to}");
        scene.turn(generation + 1);
        let changed = Instant::now();
        let right = asker.right_within(RIGHT).saturating_duration_since(changed);
        // Serials go forward, whatever the clock says (RFC 1982, section 3.2).
        let step = serial(&rollcall).wrapping_sub(before);
        assert!((1..1 << 31).contains(&step), "the clock at {to}: the serial moved by {step}");
        println!("the clock at {to}: right {:.2} s after a change; {}", right.as_secs_f32(), asker.finish());
        generation += 1;
    }

    drop(rollcall);

    // A snapshot from the future and one from long ago are good for as long as nothing better is known.
    for (written, read) in [("+30d", "+0"), ("+0", "+3h")] {
        jump(&offset, written);
        let length = fs::metadata(&snapshot).and_then(|file| file.modified()).unwrap();
        let rollcall = Rollcall::launch(&command());
        rollcall.ready();
        scene.turn(generation + 1);
        generation += 1;
        let asker = Asker::start(rollcall.dns, scene.expectations(&[generation - 1, generation]));
        asker.right_within(RIGHT);
        wait_until("the snapshot is written", RIGHT + SETTLES, || {
            let now = fs::metadata(&snapshot).and_then(|file| file.modified()).unwrap();
            if now > length { Ok(()) } else { Err("it is the old one") }
        });
        std::thread::sleep(SETTLES);
        asker.finish();
        drop(rollcall);
        gateway.always(Deed::Hang);
        gateway.cut();
        jump(&offset, read);
        let rollcall = Rollcall::launch(&command());
        rollcall.ready();
        scene.settle_in(rollcall.dns, generation);
        gateway.always(Deed::Pass);
        wait_until("/readyz says nothing of degraded", RIGHT, || match rollcall.get("/readyz") {
            (200, body) if !body.contains("degraded") => Ok(()),
            other => Err(other),
        });
    }
}
