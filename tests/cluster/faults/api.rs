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
    process: Option<Process>,
}

impl<'a> SecondApi<'a> {
    /// Has an address and a kubeconfig, and does not run yet.
    pub(super) fn new(plane: &'a ControlPlane) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let kubeconfig = plane.folder().join("second-kubeconfig");
        plane.kubeconfig_for(&kubeconfig, address, &admin_token(plane));
        Self { plane, address, kubeconfig, process: None }
    }

    /// What the server under test is given.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Starts it where it was; the moment when its `/readyz` was seen to say so.
    pub(super) fn start(&mut self) -> Instant {
        let command = self.plane.api_command(self.address.port());
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
        let kubeconfig = self.kubeconfig.display().to_string();
        // The last of two such flags counts.
        self.plane.try_kubectl(&["--kubeconfig", &kubeconfig, "get", "--raw", path])
    }
}

/// The administrator's token, for kubeconfigs with another address.
pub(super) fn admin_token(plane: &ControlPlane) -> String {
    let tokens = std::fs::read_to_string(plane.folder().join("tokens.csv")).unwrap();
    tokens.split(',').next().unwrap().to_owned()
}
