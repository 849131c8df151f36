//! Where the programs and the folders of a run are: `run.sh` says so in the environment.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::processes::after_the_end;

/// A program of the control plane, CoreDNS or kubectl, as `build.sh` built it.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = Path::new(&variable("ROLLCALL_CLUSTER_BIN")).join(name);
    assert!(path.is_file(), "{} is missing: run tests/cluster/build.sh", path.display());
    path
}

/// The `rollcall` under test.
pub(crate) fn rollcall_program() -> PathBuf {
    let path = PathBuf::from(variable("ROLLCALL_BIN"));
    assert!(path.is_file(), "ROLLCALL_BIN names no file: {}", path.display());
    path
}

/// A command of a `rollcall`; what the environment says to one is taken away, for a test is what it says.
pub(super) fn rollcall_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("ROLLCALL_") || key == "KUBECONFIG" {
            command.env_remove(key);
        }
    }
    command
}

/// Where pictures of the page are kept.
pub(crate) fn pictures_folder() -> PathBuf {
    let folder = PathBuf::from(variable("ROLLCALL_CLUSTER_PICTURES"));
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: start these tests by tests/cluster/run.sh"))
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folder of this test process, for logs, keys and sockets; gone when the process is.
pub(crate) fn work_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("rollcall-cluster-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        after_the_end(&format!("rm -rf {}", folder.display()));
        folder
    })
}

/// Where a failed test leaves what it saw. It stays.
pub(crate) fn failures_folder(test: &str) -> PathBuf {
    let all = std::env::var_os("ROLLCALL_CLUSTER_FAILURES")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster-failures"), PathBuf::from);
    let folder = all.join(test);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
