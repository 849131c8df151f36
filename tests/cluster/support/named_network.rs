//! A network of pods with processes, and the servers that these ask: CoreDNS with the shipped stub, and behind it
//! rollcall, which pushes over TLS and over plain TCP.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::control_plane::ControlPlane;
use super::coredns::{CoreDns, shared_upstream, shipped_corefile};
use super::credentials::{make_authority, make_named};
use super::kubelet::{Kubelet, Network};
use super::namespace::Namespace;
use super::programs::work_folder;
use super::rollcall::Rollcall;

/// The name server's own name, which `_dns-push-tls._tcp.cluster.local` names.
pub(crate) const NAME_SERVER: &str = "ns.dns.cluster.local";
/// DNS over TLS, and push (RFC 7858, section 3.1; RFC 8765, section 6.1).
const TLS_PORT: u16 = 853;

/// The network and its servers.
#[derive(Debug)]
pub(crate) struct NamedNetwork {
    network: Arc<Network>,
    authority: PathBuf,
    plane: &'static ControlPlane,
    _stub: CoreDns,
    _rollcall: Rollcall,
}

impl NamedNetwork {
    /// Starts them over a control plane.
    pub(crate) fn start(plane: &'static ControlPlane) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let network = Arc::new(Network::start());
        let folder = work_folder().join(format!("names-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder).unwrap();
        make_authority(&folder, "names-ca");
        let address = network.direct().ip();
        make_named(&folder, "names-ca", "names", &format!("DNS:{NAME_SERVER},IP:{address}"));
        let (plain, tls) =
            (network.direct().to_string(), format!("tls://{}", SocketAddr::from((address, TLS_PORT))));
        let mut command = Rollcall::command(plane.kubeconfig(), &["--listen", &plain, "--listen", &tls]);
        command.env("ROLLCALL_PUSH_TCP", "true");
        command.env("ROLLCALL_TLS_CERTIFICATE", folder.join("names.crt"));
        command.env("ROLLCALL_TLS_KEY", folder.join("names.key"));
        let rollcall = Rollcall::launch(&command);
        rollcall.ready();
        let corefile = shipped_corefile("Corefile.stub", rollcall.dns, shared_upstream().dns);
        let stub = CoreDns::start_at(&corefile, network.stub());
        Self { network, authority: folder.join("names-ca.crt"), plane, _stub: stub, _rollcall: rollcall }
    }

    /// Where rollcall answers, also over TLS at port 853.
    pub(crate) fn direct(&self) -> SocketAddr {
        self.network.direct()
    }

    /// Runs the pods of a namespace of this control plane, as processes.
    pub(crate) fn kubelet(&self, namespace: &Namespace<'_>) -> Kubelet {
        Kubelet::start(self.plane, namespace.name(), &self.network, self.authority.clone())
    }
}
