//! As peer-finder: its name, its flags, its order, its end.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Cluster, PUSH};
use crate::behaviour::asking::eventually;
use crate::behaviour::process::{Finished, rollcall, run_with};

/// The program under the name that charts call, in the pod `web-0`.
fn peer_finder(cluster: &Cluster, args: &[&str]) -> Command {
    let path = cluster.path("peer-finder");
    if !path.exists() {
        symlink(env!("CARGO_BIN_EXE_rollcall"), &path).unwrap();
    }
    in_pod(Command::new(path).args(args), cluster)
}

fn in_pod(command: &mut Command, cluster: &Cluster) -> Command {
    let mut other = Command::new(command.get_program());
    other.args(command.get_args()).stdin(Stdio::null());
    for key in ["POD_NAME", "SERVICE_NAME"] {
        other.env_remove(key);
    }
    // It has no flag for a server: the pod's resolv.conf says who is asked, or this.
    other.env("ROLLCALL_SERVER", cluster.server()).env("HOSTNAME", "web-0").env("POD_NAMESPACE", "default");
    other
}

fn sorted(count: u32) -> String {
    let mut names: Vec<String> =
        (0..count).map(|ordinal| format!("web-{ordinal}.nginx.default.svc.cluster.local\n")).collect();
    names.sort();
    names.concat()
}

fn until(path: &Path, wanted: &str) {
    eventually(&format!("{wanted:?}"), || {
        let read = std::fs::read_to_string(path).unwrap_or_default();
        if read == wanted { Ok(()) } else { Err(read) }
    });
}

#[test]
fn on_start_alone_runs_once_and_ends() {
    let cluster = Cluster::new(12, PUSH);
    let (script, out) = (cluster.path("start.sh"), cluster.path("out"));
    std::fs::write(
        &script,
        format!("while read -ra peer; do echo \"${{peer[0]}}\" >> {}; done", out.display()),
    )
    .unwrap();
    // As charts write it; scripts are bash's.
    let line = format!("-on-start=bash {}", script.display());
    let args = [line.as_str(), "-service=nginx", "-domain", "cluster.local"];
    let Finished { code, out: printed, err } = run_with(&mut peer_finder(&cluster, &args), "");
    assert_eq!((code, printed.as_str()), (0, ""), "{err}");
    // In the order of their characters: web-1, web-10, web-11, web-2.
    assert_eq!(std::fs::read_to_string(&out).unwrap(), sorted(12));
    // A script that fails ends it, so that the pod's container is started again.
    let args = ["-service", "nginx", "-ns", "default", "-on-start", "cat > /dev/null; exit 3"];
    let finished = run_with(&mut peer_finder(&cluster, &args), "");
    assert!(finished.code == 1 && finished.err.contains("exit status: 3"), "{finished:?}");
}

#[test]
fn on_change_runs_at_the_start_and_from_then_on() {
    let cluster = Cluster::new(1, PUSH);
    let out = cluster.path("out");
    let line = format!("-on-change=cat >> {0}; echo . >> {0}", out.display());
    // By the subcommand, with flags of one dash.
    let mut command = rollcall(&["peers", "-service=nginx", line.as_str()]);
    let mut child = in_pod(&mut command, &cluster).spawn().unwrap();
    let first = format!("{}.\n", sorted(1));
    until(&out, &first);
    cluster.scale(2);
    until(&out, &format!("{first}{}.\n", sorted(2)));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nothing_runs_before_its_own_name_is_there() {
    let cluster = Cluster::new(1, PUSH);
    let out = cluster.path("out");
    let line = format!("cat > {}", out.display());
    let mut command = peer_finder(&cluster, &["--service=nginx", "--on-start", &line]);
    let mut child = command.env("HOSTNAME", "web-1").spawn().unwrap();
    std::thread::sleep(super::SILENCE);
    assert!(!out.exists() && child.try_wait().unwrap().is_none());
    cluster.scale(2);
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), sorted(2));
}

#[test]
fn a_wrong_command_line_says_what_there_is() {
    let cluster = Cluster::new(1, PUSH);
    let finished = run_with(&mut peer_finder(&cluster, &["-service=nginx"]), "");
    assert!(finished.code == 2 && finished.err.contains("usage: peer-finder"), "{finished:?}");
}
