//! The configuration file is followed: a change of it is a reload, and the log says what differs.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::asking::{ask, eventually};
use super::manifests::{NGINX, nginx, replace, text};
use super::process::Process;

/// Serves [`nginx`] with the configuration file at a path.
fn serve(folder: &Path, config: &Path) -> Process {
    let manifests = folder.join("web.yaml");
    std::fs::write(&manifests, nginx(2)).unwrap();
    Process::serve(&["--config", text(config), "--manifests", text(&manifests)])
}

fn ttl(process: &Process) -> String {
    let reply = ask(process.address(), &format!("-t A {NGINX}"));
    reply.sections[0][0].split(' ').nth(1).unwrap().to_owned()
}

fn until_ttl(process: &Process, wanted: &str) {
    eventually(&format!("a TTL of {wanted}"), || {
        let now = ttl(process);
        if now == wanted { Ok(()) } else { Err(now) }
    });
}

#[test]
fn a_change_is_taken_over_and_said_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("rollcall.toml");
    std::fs::write(&config, "[ttl]\npositive = 11\nnegative = 12\n").unwrap();
    let mut process = serve(folder.path(), &config);
    replace(&config, "zone = 'k8s.test'\n[ttl]\npositive = 21\nnegative = 12\nexpected = 3\n");
    let said = process.wait_for_words(&["the configuration changed", "ttl.expected"]);
    assert!(said.contains("the default, 0") && said.contains("\"3\""), "{said}");
    let said = process.wait_for_words(&["the configuration changed", "ttl.positive"]);
    assert!(said.contains("\"11\"") && said.contains("\"21\""), "{said}");
    process.wait_for_words(&["WARN", "zone", "k8s.test", "restart"]);
    process.wait_for_words(&["the configuration is taken over", "3"]);
    until_ttl(&process, "21");
    assert!(!process.printed().contains("ttl.negative"), "what did not change is not said");
    // A bad one keeps it, and says everything that is wrong.
    replace(&config, "order = 'up'\n[ttl]\npositive = 3601\n");
    process.wait_for_words(&["ERROR", "not taken over"]);
    eventually("both errors", || {
        let printed = process.printed();
        let all = ["order: `up`", "ttl.positive: 3601"].iter().all(|words| printed.contains(words));
        if all { Ok(()) } else { Err(printed) }
    });
    assert_eq!(ttl(&process), "21");
    // Written in place, as some editors do, and the same once more, which is no change.
    std::fs::write(&config, "[ttl]\npositive = 31\n").unwrap();
    until_ttl(&process, "31");
    process.wait_for_words(&["the configuration is taken over"]);
    std::fs::write(&config, "# Another word.\n[ttl]\npositive = 31\n").unwrap();
    std::fs::write(folder.path().join("beside.toml"), "x").unwrap();
    replace(&config, "[ttl]\npositive = 41\n");
    process.wait_for_words(&["the configuration changed", "ttl.positive", "41"]);
    process.wait_for_words(&["the configuration is taken over", "1"]);
    until_ttl(&process, "41");
}

#[test]
fn a_config_map_is_followed_through_its_swaps() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    let swap = |version: &str, ttl: u32| {
        std::fs::create_dir(volume.join(version)).unwrap();
        std::fs::write(volume.join(version).join("rollcall.toml"), format!("[ttl]\npositive = {ttl}\n"))
            .unwrap();
        let (link, beside) = (volume.join("..data"), volume.join("..data_tmp"));
        let old = std::fs::read_link(&link).ok();
        symlink(version, &beside).unwrap();
        std::fs::rename(&beside, &link).unwrap();
        old.into_iter().for_each(|old| std::fs::remove_dir_all(volume.join(old)).unwrap());
    };
    swap("..2026_01", 11);
    symlink("..data/rollcall.toml", volume.join("rollcall.toml")).unwrap();
    let process = serve(folder.path(), &volume.join("rollcall.toml"));
    for (version, ttl) in [("..2026_02", 12), ("..2026_03", 13), ("..2026_04", 14)] {
        swap(version, ttl);
        until_ttl(&process, &ttl.to_string());
    }
}

#[test]
fn not_followed_it_waits_for_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("rollcall.toml");
    let written = |follow: bool, ttl: u32| {
        replace(&config, &format!("[ttl]\npositive = {ttl}\n[reload]\nfollow = {follow}\n"));
    };
    written(false, 11);
    let mut process = serve(folder.path(), &config);
    written(false, 12);
    // Longer than a follower takes to look by itself.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(ttl(&process), "11");
    written(true, 13);
    process.signal("HUP");
    until_ttl(&process, "13");
    // From then on it is.
    process.wait_for_words(&["is taken over"]);
    written(true, 14);
    until_ttl(&process, "14");
}

#[test]
fn flags_and_environment_win_at_a_reload_too() {
    let folder = tempfile::tempdir().unwrap();
    let [config, manifests] = ["rollcall.toml", "web.yaml"].map(|name| folder.path().join(name));
    std::fs::write(&manifests, nginx(2)).unwrap();
    std::fs::write(&config, "[ttl]\npositive = 11\n").unwrap();
    let args =
        ["serve", "--listen", "127.0.0.1:0", "--config", text(&config), "--manifests", text(&manifests)];
    let mut command = super::process::rollcall(&args);
    command.env("ROLLCALL_TTL_POSITIVE", "7");
    let mut process = Process::spawn(&mut command, std::process::Stdio::null());
    process.wait_for_line("ready", |line| line == "ready");
    // Nothing could be listened on there: the flag wins, and no restart is asked for.
    replace(&config, "listen = ['192.0.2.1:53']\norder = 'ordinal'\n[ttl]\npositive = 21\n");
    process.wait_for_words(&["the configuration is taken over"]);
    assert_eq!(ttl(&process), "7");
    let printed = process.printed();
    assert!(!printed.contains("restart") && !printed.contains("ttl.positive"), "{printed}");
}
