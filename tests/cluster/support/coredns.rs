//! The real CoreDNS: in front of rollcall with the stub that is shipped, and as kubeadm installs it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::ask::{try_ask, try_ask_within};
use super::control_plane::ControlPlane;
use super::pod_network::PodNetwork;
use super::processes::{Process, free_port};
use super::programs::{program, repository, work_folder};
use super::rollcall::shared_rollcall;
use super::wait::{wait_for, wait_until};

const START: Duration = Duration::from_secs(60);

/// The Corefile that kubeadm 1.34 installs; what a test must replace is written in capitals.
const KUBEADM: &str = ".:@PORT@ {
    bind @ADDRESS@
    errors
    health 127.0.0.1:@FREE@ {
       lameduck 5s
    }
    ready 127.0.0.1:@FREE@
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       kubeconfig @KUBECONFIG@
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus 127.0.0.1:@FREE@
    forward . @UPSTREAM@ {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
";

/// A running CoreDNS; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct CoreDns {
    /// Where it answers.
    pub(crate) dns: SocketAddr,
    process: Process,
}

impl CoreDns {
    /// Starts it on a free port of 127.0.0.1, and waits until it replies to anything.
    ///
    /// Of the Corefile `@ADDRESS@` and `@PORT@` are replaced by where it is to listen, and each `@FREE@` by a
    /// free port of its own.
    pub(crate) fn start(corefile: &str) -> Self {
        Self::start_at(corefile, (Ipv4Addr::LOCALHOST, free_port()).into())
    }

    /// The same at this address.
    pub(crate) fn start_at(corefile: &str, dns: SocketAddr) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut text = corefile.replace("@ADDRESS@", &dns.ip().to_string());
        text = text.replace("@PORT@", &dns.port().to_string());
        while text.contains("@FREE@") {
            text = text.replacen("@FREE@", &free_port().to_string(), 1);
        }
        let file = work_folder().join(format!("Corefile-{number}"));
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program("coredns"));
        command.arg("-conf").arg(&file).current_dir(work_folder());
        let process =
            Process::start("coredns", &command, &work_folder().join(format!("coredns-{number}.log")));
        wait_for("CoreDNS replies", START, || {
            process.assert_running();
            try_ask_within(dns, "replies.invalid.", RecordType::A, Duration::from_millis(500)).ok()
        });
        Self { dns, process }
    }
}

/// A resolver for external names that knows one, `www.example.test`, and denies every other.
pub(crate) fn shared_upstream() -> &'static CoreDns {
    static SHARED: OnceLock<CoreDns> = OnceLock::new();
    SHARED.get_or_init(|| {
        CoreDns::start(
            ".:@PORT@ {
    bind @ADDRESS@
    hosts {
        192.0.2.80 www.example.test
        2001:db8::80 www.example.test
        fallthrough
    }
    template ANY ANY {
        rcode NXDOMAIN
        authority \". 60 IN SOA a.invalid. b.invalid. 1 60 60 60 60\"
    }
}
",
        )
    })
}

/// The shipped stub in front of the shared rollcall, at the address that its pods ask.
pub(crate) fn shared_stub() -> &'static CoreDns {
    static SHARED: OnceLock<CoreDns> = OnceLock::new();
    SHARED.get_or_init(|| {
        let corefile = shipped_corefile("Corefile.stub", shared_rollcall().dns, shared_upstream().dns);
        let stub = CoreDns::start_at(&corefile, PodNetwork::shared().stub.server());
        answers_for_kubernetes(&stub);
        stub
    })
}

/// kubeadm's Corefile for this control plane and this upstream, to start CoreDNS with.
pub(crate) fn kubeadm_corefile(plane: &ControlPlane, upstream: SocketAddr) -> String {
    let kubeconfig = plane.kubeconfig().display().to_string();
    KUBEADM.replace("@KUBECONFIG@", &kubeconfig).replace("@UPSTREAM@", &upstream.to_string())
}

/// A Corefile of config/coredns as it is shipped, but for the addresses: rollcall's, the node's resolver's,
/// and those that CoreDNS itself listens at.
pub(crate) fn shipped_corefile(name: &str, rollcall: SocketAddr, upstream: SocketAddr) -> String {
    let text = fs::read_to_string(repository(&format!("config/coredns/{name}"))).unwrap();
    let mut replaced = text;
    for (shipped, here) in [
        (":53 {\n", ":@PORT@ {\n    bind @ADDRESS@\n"),
        (":53 ", ":@PORT@ "),
        ("10.96.0.53", &rollcall.to_string()),
        (":9153", "127.0.0.1:@FREE@"),
        ("    health {", "    health 127.0.0.1:@FREE@ {"),
        ("    ready\n", "    ready 127.0.0.1:@FREE@\n"),
        ("/etc/resolv.conf", &upstream.to_string()),
    ] {
        assert!(replaced.contains(shipped), "{name} has no {shipped:?} any more");
        replaced = replaced.replace(shipped, here);
    }
    replaced
}

fn answers_for_kubernetes(server: &CoreDns) {
    wait_until("CoreDNS knows the cluster", START, || {
        server.process.assert_running();
        match try_ask(server.dns, "kubernetes.default.svc.cluster.local.", RecordType::A) {
            Ok(answer) if answer.rcode == ResponseCode::NoError => Ok(()),
            other => Err(other.map(|answer| answer.rcode)),
        }
    });
}
