//! A second API server over the etcd of a control plane: the one that the server under test follows, and that
//! fails. Changes are made through the other one meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{ControlPlane, Process, free_port, wait_until};

const START: Duration = Duration::from_secs(90);

/// An API server that may run or not.
#[derive(Debug)]
pub(super) struct SecondApi<'a> {
    plane: &'a ControlPlane,
    address: SocketAddr,
    kubeconfig: PathBuf,
    /// The test's own, which trusts any certificate.
    probe: PathBuf,
    process: Option<Process>,
}

impl<'a> SecondApi<'a> {
    /// Has an address and a kubeconfig, and does not run yet.
    pub(super) fn new(plane: &'a ControlPlane) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let kubeconfig = plane.folder().join("second-kubeconfig");
        plane.kubeconfig_for(&kubeconfig, address, &admin_token(plane));
        let probe = plane.folder().join("second-probe");
        let cluster = format!("server: \"https://{address}\", insecure-skip-tls-verify: true");
        write_kubeconfig(&probe, &cluster, &format!("token: {}", admin_token(plane)));
        Self { plane, address, kubeconfig, probe, process: None }
    }

    /// Where it listens, or will.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the server under test is given.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Starts it where it was; the moment when its `/readyz` was seen to say so.
    pub(super) fn start(&mut self) -> Instant {
        self.start_with(&[])
    }

    /// The same with further flags: a later one wins.
    pub(super) fn start_with(&mut self, flags: &[String]) -> Instant {
        let mut command = self.plane.api_command(self.address.port());
        command.args(flags);
        let log = self.plane.folder().join("second-kube-apiserver.log");
        let process = Process::start("second-kube-apiserver", &command, &log);
        wait_until("the second API server is ready", START, || {
            process.assert_running();
            self.raw("/readyz").and_then(|body| if body == "ok" { Ok(()) } else { Err(body) })
        });
        self.process = Some(process);
        Instant::now()
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// What it answers to a GET.
    pub(super) fn raw(&self, path: &str) -> Result<String, String> {
        let kubeconfig = self.probe.display().to_string();
        // The last of two such flags counts.
        self.plane.try_kubectl(&["--kubeconfig", &kubeconfig, "get", "--raw", path])
    }
}

/// The administrator's token, for kubeconfigs with another address.
pub(super) fn admin_token(plane: &ControlPlane) -> String {
    let tokens = std::fs::read_to_string(plane.folder().join("tokens.csv")).unwrap();
    tokens.split(',').next().unwrap().to_owned()
}

/// Writes a kubeconfig of these words for cluster and user.
pub(super) fn write_kubeconfig(file: &Path, cluster: &str, user: &str) {
    let text = format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{{cluster}}}}}]
users: [{{name: user, user: {{{user}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: user}}}}]
current-context: test
"
    );
    std::fs::write(file, text).unwrap();
}
