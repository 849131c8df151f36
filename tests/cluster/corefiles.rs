//! The Corefiles of config/coredns as they are shipped, in the real CoreDNS: in front of a rollcall that is
//! up, was killed, is silent, is not synchronised, and is back.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::support::{
    Answer, ControlPlane, CoreDns, Namespace, Rollcall, ask, ask_tcp, free_port, reverse_name,
    shipped_corefile, wait_until, work_folder,
};

const STUB: &str = "Corefile.stub";

/// web-1 is the absent peer.
const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec:
  clusterIP: None
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports:
  - {name: web, port: 80}
  # For one question each.
  - {name: p1, port: 81}
  - {name: p2, port: 82}
  - {name: p3, port: 83}
  - {name: p4, port: 84}
  - {name: p5, port: 85}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: nginx
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {rollcall.test/families: 'IPv4,IPv6', rollcall.test/ready: 'false'}
    spec: {containers: [{name: web, image: nginx}]}
";

const FRONT: &str = "
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: web}, ports: [{name: web, port: 80}]}
";

/// The node's resolver: a name outside, and addresses that are not the cluster's, outside rollcall's reverse
/// ranges (REFUSED there) and inside them (NXDOMAIN there).
const RESOLVER: &str = ".:@PORT@ {
    bind @ADDRESS@
    hosts {
        192.0.2.80 www.example.test
        10.200.0.80 printer.example.test
        fd00:200::80 printer6.example.test
    }
}
";
const OTHER_ADDRESSES: [(&str, &str); 3] = [
    ("192.0.2.80", "www.example.test."),
    ("10.200.0.80", "printer.example.test."),
    ("fd00:200::80", "printer6.example.test."),
];

/// What waits for no time-out (2 s) takes less. CoreDNS before 1.14.7 asks a closed port for a second before
/// it gives up.
const AT_ONCE: Duration = Duration::from_millis(1500);
/// Two replies that do not come, each waited for 2 s, and half as much again for a busy machine.
const TWO_TIMEOUTS: Duration = Duration::from_secs(6);
/// How long CoreDNS may take to notice: its checks are 0.5 s apart, and a "no" of its own lives for 5 s.
const NOTICED: Duration = Duration::from_secs(15);

/// A Corefile in front of an address at which rollcall may be.
struct Front<'a> {
    file: &'static str,
    namespace: Namespace<'a>,
    coredns: CoreDns,
    resolver: CoreDns,
    /// Where CoreDNS expects rollcall.
    rollcall: SocketAddr,
    /// The addresses of web-0.
    pod: Vec<IpAddr>,
    fresh_name: Cell<u32>,
    fresh_port: Cell<u32>,
}

impl Front<'static> {
    /// With the objects above, web-0 ready and web-1 not. The kubeconfig is for the plugin `kubernetes` of a
    /// fallback.
    fn start(file: &'static str, test: &str, kubeconfig: &Path) -> Self {
        let namespace = ControlPlane::shared().namespace(test);
        namespace.apply(OBJECTS);
        namespace.apply(FRONT);
        for pod in ["web-0", "web-1"] {
            namespace.wait_running(pod);
        }
        namespace.set_ready("web-0", true);
        let pod = namespace.wait_ready("web-0");
        assert_eq!(pod.len(), 2, "both families");
        let rollcall = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let resolver = CoreDns::start(RESOLVER);
        let mut text = shipped_corefile(file, rollcall, resolver.dns);
        if file != STUB {
            let kubeconfig = format!("        kubeconfig {}\n        pods insecure\n", kubeconfig.display());
            let port = format!(":{}", free_port());
            for (shipped, here) in [(":10053", port), ("        pods insecure\n", kubeconfig)] {
                assert!(text.contains(shipped), "{file} has no {shipped:?} any more");
                text = text.replace(shipped, &here);
            }
        }
        let coredns = CoreDns::start(&text);
        Self {
            file,
            namespace,
            coredns,
            resolver,
            rollcall,
            pod,
            fresh_name: Cell::new(0),
            fresh_port: Cell::new(0),
        }
    }
}

impl Front<'_> {
    /// Starts rollcall where CoreDNS expects it.
    fn rollcall(&self, kubeconfig: &Path) -> Rollcall {
        Rollcall::start_unready(kubeconfig, &["--listen", &self.rollcall.to_string()])
    }

    /// The same, and waits until it knows web-0.
    fn ready_rollcall(&self) -> Rollcall {
        let rollcall = self.rollcall(ControlPlane::shared().kubeconfig());
        rollcall.ready();
        let name = self.namespace.full("web-0.nginx");
        wait_until("rollcall knows web-0", NOTICED, || {
            let seen = ask(rollcall.dns, &name, RecordType::A);
            if seen.addresses().contains(&self.pod[0]) { Ok(()) } else { Err(seen) }
        });
        rollcall
    }

    fn has_fallback(&self) -> bool {
        self.file != STUB
    }

    fn ask(&self, short: &str, record_type: RecordType) -> Answer {
        ask(self.coredns.dns, &self.namespace.full(short), record_type)
    }

    /// Asks for a name that no cache holds and nobody has, and how long the answer took.
    fn ask_fresh(&self) -> (ResponseCode, Duration) {
        self.fresh_name.set(self.fresh_name.get() + 1);
        let name = format!("nobody-{}.nginx", self.fresh_name.get());
        let begun = Instant::now();
        let answer = self.ask(&name, RecordType::A);
        (answer.rcode, begun.elapsed())
    }

    /// Asks three times for what nobody has: with a fallback it is denied, without one not known, and at
    /// once.
    fn is_without_rollcall(&self, when: &str) {
        for _ in 0..3 {
            let (rcode, took) = self.ask_fresh();
            let wanted = if self.has_fallback() { ResponseCode::NXDomain } else { ResponseCode::ServFail };
            assert_eq!(rcode, wanted, "{} while rollcall {when}", self.file);
            assert!(took < AT_ONCE, "{} while rollcall {when}: {took:?}", self.file);
        }
        self.knows_the_outside();
    }

    /// Waits until it is rollcall that answers, or is not: rollcall knows the port of a single replica, the
    /// plugin `kubernetes` denies it, and without either it is not known. A port of which no cache knows yet
    /// is asked for.
    fn waits_for(&self, wanted: ResponseCode) {
        self.fresh_port.set(self.fresh_port.get() + 1);
        let name = format!("_p{}._tcp.web-0.nginx", self.fresh_port.get());
        let begun = Instant::now();
        wait_until("CoreDNS has noticed", NOTICED, || match self.ask(&name, RecordType::SRV).rcode {
            seen if seen == wanted => Ok(()),
            other => Err(other),
        });
        println!("{}: {wanted} after {:.1?}", self.file, begun.elapsed());
    }

    /// Every kind of name of the cluster, over UDP and TCP, in both families, forward and reverse.
    fn knows_the_cluster(&self) {
        let (v4, v6) = (self.pod[0], self.pod[1]);
        let host = self.namespace.full("web-0.nginx");
        assert_eq!(self.ask("web-0.nginx", RecordType::A).addresses(), [v4].into());
        assert_eq!(self.ask("web-0.nginx", RecordType::AAAA).addresses(), [v6].into());
        assert_eq!(ask_tcp(self.coredns.dns, &host, RecordType::A).addresses(), [v4].into());
        assert!(self.ask("nginx", RecordType::A).addresses().contains(&v4));
        let services = self.ask("_web._tcp.nginx", RecordType::SRV).services();
        assert!(services.contains(&(host.clone(), 80)), "{services:?}");
        assert_eq!(self.ask("front", RecordType::A).addresses(), [self.namespace.cluster_ip("front")].into());
        assert_eq!(self.ask("front", RecordType::MX).rcode, ResponseCode::NoError);
        for address in &self.pod {
            let pointers = ask(self.coredns.dns, &reverse_name(*address), RecordType::PTR).pointers();
            assert!(pointers.contains(&host), "{address}: {pointers:?}");
        }
    }

    /// What no cache can know: a service that was not there before, and its address.
    fn knows_what_is_new(&self, service: &str) {
        self.namespace.apply(&FRONT.replace("front", service));
        let address = self.namespace.cluster_ip(service);
        wait_until("the new service is answered", NOTICED, || {
            let answer = self.ask(service, RecordType::A);
            if answer.addresses() == [address].into() { Ok(()) } else { Err(answer) }
        });
        let pointers = ask(self.coredns.dns, &reverse_name(address), RecordType::PTR).pointers();
        assert_eq!(pointers, [self.namespace.full(service)].into());
    }

    /// Names that are not the cluster's are the node's resolver's, whatever rollcall does.
    fn knows_the_outside(&self) {
        let www = ask(self.coredns.dns, "www.example.test.", RecordType::A);
        assert_eq!(www.addresses(), [IpAddr::from([192, 0, 2, 80])].into());
    }

    /// So are addresses.
    fn knows_other_addresses(&self) {
        for (address, name) in OTHER_ADDRESSES {
            let reverse = reverse_name(address.parse().unwrap());
            let pointers = |server| ask(server, &reverse, RecordType::PTR).pointers();
            assert_eq!(pointers(self.resolver.dns), [name.to_owned()].into(), "the node's resolver itself");
            assert_eq!(pointers(self.coredns.dns), [name.to_owned()].into(), "{address}");
        }
    }

    /// A peer that was asked for too early is there as soon as rollcall says so.
    fn forgets_an_absence(&self, rollcall: &Rollcall) {
        let name = self.namespace.full("web-1.nginx");
        assert_eq!(ask(self.coredns.dns, &name, RecordType::A).rcode, ResponseCode::NXDomain);
        self.namespace.set_ready("web-1", true);
        wait_until("rollcall knows web-1", NOTICED, || match ask(rollcall.dns, &name, RecordType::A).rcode {
            ResponseCode::NoError => Ok(()),
            other => Err(other),
        });
        // One question, not a wait.
        assert_eq!(ask(self.coredns.dns, &name, RecordType::A).rcode, ResponseCode::NoError);
    }
}

/// A kubeconfig that names an API server which is not there.
fn nobodys_kubeconfig(name: &str) -> PathBuf {
    let file = work_folder().join(format!("{name}.kubeconfig"));
    ControlPlane::shared().kubeconfig_for(&file, (Ipv4Addr::LOCALHOST, free_port()).into(), "nobody");
    file
}

/// One Corefile through everything that may happen to rollcall.
fn play(file: &'static str, test: &str) {
    let front = Front::start(file, test, ControlPlane::shared().kubeconfig());

    let rollcall = front.ready_rollcall();
    front.knows_the_cluster();
    front.knows_the_outside();
    front.knows_other_addresses();
    front.forgets_an_absence(&rollcall);
    front.waits_for(ResponseCode::NoError);

    // Another one in its place, before CoreDNS can notice: there, but it has never reached its API server.
    drop(rollcall);
    let rollcall = front.rollcall(&nobodys_kubeconfig(test));
    assert_eq!(ask(rollcall.dns, "nobody.svc.cluster.local.", RecordType::A).rcode, ResponseCode::ServFail);
    front.is_without_rollcall("is not synchronised");
    let early = front.ask("early", RecordType::A).rcode;
    assert_ne!(early, ResponseCode::NoError);
    drop(rollcall);
    front.namespace.apply(&FRONT.replace("front", "early"));
    let rollcall = front.ready_rollcall();
    if !front.has_fallback() {
        // SERVFAIL is not remembered: one question, not a wait.
        assert_eq!(front.ask("early", RecordType::A).rcode, ResponseCode::NoError);
    }
    front.waits_for(ResponseCode::NoError);

    // Killed: its port is closed, as that of a Service without a ready replica is (kube-proxy rejects).
    drop(rollcall);
    front.is_without_rollcall("is down");
    if front.has_fallback() {
        front.waits_for(ResponseCode::NXDomain);
        front.knows_what_is_new("late");
        front.knows_the_cluster();
        front.knows_other_addresses();
    }

    let rollcall = front.ready_rollcall();
    front.waits_for(ResponseCode::NoError);
    front.knows_the_cluster();

    // Silent, as a node that is gone: somebody has the port, and does not reply.
    drop(rollcall);
    let silent = (UdpSocket::bind(front.rollcall).unwrap(), TcpListener::bind(front.rollcall).unwrap());
    let (rcode, took) = front.ask_fresh();
    println!("{file}: the first question to a silent rollcall: {rcode} after {took:.1?}");
    assert!(took < TWO_TIMEOUTS, "{took:?}");
    wait_until("CoreDNS has noticed the silence", NOTICED, || match front.ask_fresh() {
        (_, took) if took < AT_ONCE => Ok(()),
        other => Err(other),
    });
    front.is_without_rollcall("is silent");

    drop(silent);
    let _rollcall = front.ready_rollcall();
    front.waits_for(ResponseCode::NoError);
    front.knows_the_cluster();
}

/// Neither side knows the cluster: said at once, not looked for in turns.
fn play_nobody_knows(file: &'static str, test: &str) {
    let nobodys = nobodys_kubeconfig(test);
    let front = Front::start(file, test, &nobodys);
    let _rollcall = front.rollcall(&nobodys);
    for _ in 0..3 {
        let (rcode, took) = front.ask_fresh();
        assert_eq!(rcode, ResponseCode::ServFail);
        assert!(took < AT_ONCE, "{file}: {took:?}");
    }
    front.knows_the_outside();
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn the_stub() {
    play(STUB, "stub");
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn the_fallback() {
    play("Corefile.fallback", "fallback");
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn the_fallback_of_older_versions() {
    play("Corefile.fallback-next", "fallback-next");
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn nobody_knows_behind_the_fallback() {
    play_nobody_knows("Corefile.fallback", "nobody-knows");
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn nobody_knows_behind_the_fallback_of_older_versions() {
    play_nobody_knows("Corefile.fallback-next", "nobody-knows-next");
}
