//! A program that fetches the credentials, as a kubeconfig may name one, and that does not succeed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::fake::Api;
use super::objects::name;
use super::program::{Program, finished, rollcall, until, write_kubeconfig_of};
use super::snapshot::{flag, mk_place, mk_snapshot};

/// Fails after half a second until there is a file `works`; `calls` has a line for each beginning and each end.
struct Fetcher {
    folder: PathBuf,
}

impl Fetcher {
    fn new(folder: &Path) -> Self {
        let path = folder.join("fetch");
        let text = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho begin >>calls\nif [ -e works ]; then\n\
             echo '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \
             \"status\": {\"token\": \"t\"}}'\nelse\nsleep 0.5\nfi\necho end >>calls\n[ -e works ]\n";
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder: folder.to_owned() }
    }

    /// The user of a kubeconfig.
    fn user(&self) -> String {
        let command = self.folder.join("fetch");
        format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {}, interactiveMode: Never}}}}",
            command.display()
        )
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn works(&self) {
        fs::write(self.folder.join("works"), "").unwrap();
    }
}

#[test]
fn a_snapshot_is_served_without_them_and_one_at_a_time_tries_again() {
    let (folder, path) = mk_place();
    let address = mk_snapshot(&path);
    let fetcher = Fetcher::new(folder.path());
    let mut program = Program::start_as(&fetcher.user(), address, &flag(&path), &[]);
    program.wait_until_ready();
    let a = name("default", "a");
    assert_eq!(program.addresses(&a), "10.0.0.1");
    program.until_readyz(200, &["degraded", "served from a snapshot of 20", "Services", "credentials"]);
    // All kinds want them at once, and again.
    until("a few tries", || fetcher.calls().len() >= 10);
    for pair in fetcher.calls().chunks_exact(2) {
        assert_eq!(pair, ["begin", "end"], "two at a time: {:?}", fetcher.calls());
    }
    let api = Api::start_at(address);
    api.put_service("a", &["10.0.0.2"]);
    fetcher.works();
    program.until_addresses(&a, "10.0.0.2");
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn without_a_snapshot_they_are_needed_to_start() {
    let (folder, path) = mk_place();
    let fetcher = Fetcher::new(folder.path());
    let kubeconfig = folder.path().join("kubeconfig");
    write_kubeconfig_of(&kubeconfig, "127.0.0.1:1".parse().unwrap(), &fetcher.user());
    for args in [Vec::new(), flag(&path).to_vec()] {
        let mut command = rollcall(&["serve", "--listen", "127.0.0.1:0", "--kubeconfig"]);
        command.arg(&kubeconfig).args(args).env("ROLLCALL_ADMIN", "127.0.0.1:0");
        let (code, _, err, _) = finished(&mut command);
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("cannot use the credentials for the API server"), "{err}");
    }
}
