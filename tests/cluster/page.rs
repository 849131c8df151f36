//! The page in a real browser, while kubectl scales a set of the real control plane: `tests/page/cluster.mjs` looks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::scenarios::s2_volumes::{add_volume, nginx, volume};
use crate::support::{
    ControlPlane, Process, Rollcall, pictures_folder, program, repository, wait_until, work_folder,
};

/// For all of it; each step has a bound of its own.
const LOOK: Duration = Duration::from_secs(500);

/// What there is no looking without, and is not there.
fn missing() -> Option<String> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !Path::new(&chromium).is_file() {
        return Some(format!("{chromium} (Debian package chromium; CHROMIUM names another)"));
    }
    let runs = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let program = ["node", "npm"].into_iter().find(|program| !runs(program))?;
    Some(format!("{program} (Debian packages nodejs and npm)"))
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn what_kubectl_does_is_seen_live() {
    if let Some(missing) = missing() {
        println!("skipped, nobody looks at the page: there is no {missing}");
        return;
    }
    let installed = Command::new(repository("tests/page/install.sh")).output().unwrap();
    assert!(installed.status.success(), "npm: {}", String::from_utf8_lossy(&installed.stderr));

    let plane = ControlPlane::shared();
    let namespace = plane.namespace("page");
    for number in [0, 1] {
        add_volume(&namespace, number);
    }
    namespace.apply(&nginx(&namespace));
    let third = work_folder().join("page-volume.yaml");
    std::fs::write(&third, volume(&namespace, 2)).unwrap();
    // Of this namespace alone: what other tests do meanwhile is not on its page.
    let rollcall = Rollcall::start(plane.kubeconfig(), &["--namespace", namespace.name()]);
    let pictures = pictures_folder();

    let mut command = Command::new("node");
    command.arg(repository("tests/page/cluster.mjs")).arg(rollcall.admin.to_string()).arg(&pictures);
    command.arg(namespace.name()).arg(program("kubectl")).arg(plane.kubeconfig()).arg(&third);
    let looking = Process::start("node", &command, &work_folder().join("page.log"));
    let lines = || looking.printed().lines().map(str::to_owned).collect::<Vec<_>>();
    let ended = wait_until("the browser has looked", LOOK, || looking.ended().ok_or_else(lines));
    println!("{}pictures are in {}", looking.printed(), pictures.display());
    assert!(ended.success(), "the page: {ended}");
}
