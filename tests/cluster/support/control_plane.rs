//! A real control plane on loopback: etcd, API server, controller manager, scheduler, and kwok for the
//! kubelets.
//!
//! Every address is 127.0.0.1 with a port of its own, every file is in the folder of the test process, so
//! that several may run beside each other.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, io::Write as _};

use super::credentials;
use super::namespace::Namespace;
use super::processes::{Process, free_port};
use super::programs::{program, repository, work_folder};
use super::wait::{wait_for, wait_until};

/// How long a part may take to start on two cores that others use too.
const START: Duration = Duration::from_secs(90);
/// The kubelets' heartbeat is a lease of this many seconds, which kwok renews in a quarter of them.
const NODE_LEASE: u32 = 8;
/// The label of the nodes that kwok manages. A node without it is lost.
const MANAGED: &str = "rollcall.test/managed";
/// Pods' addresses come from here, each used once.
pub(crate) const POD_CIDR: &str = "10.244.0.1/16";

/// What a test may want otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// More flags for the API server, behind ours: a later one wins.
    pub(crate) api_flags: Vec<String>,
    /// Controller manager, scheduler and kwok; without them there are only the objects that a test writes.
    pub(crate) controllers: bool,
    /// How many nodes, `node-0` and on.
    pub(crate) nodes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { api_flags: Vec::new(), controllers: true, nodes: 3 }
    }
}

/// A running control plane; its processes are ended when it is dropped.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    folder: PathBuf,
    kubeconfig: PathBuf,
    api_flags: Vec<String>,
    api_address: SocketAddr,
    etcd_ports: [u16; 2],
    namespaces: AtomicU32,
    // Dropped, and so ended, in this order: clients before servers.
    controllers: Mutex<Vec<Process>>,
    api: Mutex<Option<Process>>,
    etcd: Mutex<Option<Process>>,
}

impl ControlPlane {
    /// The one that the tests of this process share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared", Options::default()))
    }

    /// One of a test's own: for what would disturb others.
    pub(crate) fn start(name: &str, options: Options) -> Self {
        let begun = Instant::now();
        let folder = work_folder().join(name);
        fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        credentials::make(&folder);
        let api_address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let kubeconfig = folder.join("kubeconfig");
        let authority = folder.join("ca.crt");
        credentials::write_kubeconfig(&kubeconfig, api_address, &authority, credentials::ADMIN_TOKEN);
        let plane = Self {
            kubeconfig,
            api_flags: options.api_flags,
            api_address,
            etcd_ports: [free_port(), free_port()],
            namespaces: AtomicU32::new(0),
            controllers: Mutex::default(),
            api: Mutex::default(),
            etcd: Mutex::default(),
            folder,
        };
        plane.start_etcd();
        plane.start_api();
        if options.controllers {
            plane.start_controllers();
        }
        for node in 0..options.nodes {
            plane.add_node(&format!("node-{node}"), None);
        }
        println!("control plane {name}: {:.1} s to start", begun.elapsed().as_secs_f32());
        plane
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder with `ca.crt`, `sa.pub` and the logs.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the API server listens (HTTPS).
    pub(crate) fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Where etcd listens for clients (HTTP, gRPC and its JSON gateway).
    pub(crate) fn etcd_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.etcd_ports[0]).into()
    }

    /// Writes a kubeconfig for another token, another address (a proxy's), or both.
    pub(crate) fn kubeconfig_for(&self, file: &Path, server: SocketAddr, token: &str) {
        credentials::write_kubeconfig(file, server, &self.folder.join("ca.crt"), token);
    }

    /// The log of `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` or `kwok`.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.log"))
    }

    /// What kubectl prints.
    ///
    /// # Panics
    /// With its standard error when it fails.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args).unwrap_or_else(|error| panic!("kubectl {}: {error}", args.join(" ")))
    }

    /// What kubectl prints, or its standard error.
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        self.kubectl_with_input(args, "")
    }

    /// The same with something on standard input.
    pub(crate) fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(program("kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        // Its cache of what the API server offers belongs to this control plane.
        command.env("HOME", &self.folder).env_remove("KUBECONFIG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl");
        let mut stdin = child.stdin.take().unwrap();
        // One that fails at once has closed it, and says why on standard error.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let run = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if run.status.success() { Ok(text(&run.stdout)) } else { Err(text(&run.stderr)) }
    }

    /// `kubectl apply --server-side`.
    pub(crate) fn apply(&self, yaml: &str) {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        if let Err(error) = self.kubectl_with_input(&args, yaml) {
            panic!("kubectl apply: {error}\n{yaml}");
        }
    }

    /// A fresh namespace for a test. What is in it is dumped when the test fails; it is deleted behind the
    /// test.
    pub(crate) fn namespace(&self, test: &str) -> Namespace<'_> {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        Namespace::new(self, format!("{test}-{number}"))
    }

    /// Adds a node. `only_for` keeps it for the pods that select the label `rollcall.test/only-for` and
    /// tolerate the taint of that name.
    pub(crate) fn add_node(&self, name: &str, only_for: Option<&str>) {
        let taints = only_for
            .map(|only| format!("[{{key: rollcall.test/only-for, value: {only}, effect: NoSchedule}}]"))
            .unwrap_or_else(|| "[]".to_owned());
        self.apply(&format!(
            "apiVersion: v1
kind: Node
metadata:
  name: {name}
  annotations: {{kwok.x-k8s.io/node: fake}}
  labels:
    kubernetes.io/hostname: {name}
    {MANAGED}: 'true'
    rollcall.test/only-for: '{}'
# Not the range that pods' addresses come from: what a pod gives back is not handed out again.
spec: {{podCIDR: 192.0.2.0/24, podCIDRs: [192.0.2.0/24], taints: {taints}}}
",
            only_for.unwrap_or_default()
        ));
        if !self.controllers.lock().unwrap().is_empty() {
            self.wait_for_node(name, "True");
        }
    }

    /// The node's kubelet stops reporting, and does nothing more for its pods.
    pub(crate) fn lose_node(&self, name: &str) {
        self.kubectl(&["label", "node", name, &format!("{MANAGED}-")]);
    }

    /// The lost node's kubelet is back.
    pub(crate) fn find_node(&self, name: &str) {
        self.kubectl(&["label", "node", name, &format!("{MANAGED}=true")]);
    }

    /// Waits until the node's Ready condition is `True`, `False` or `Unknown`.
    pub(crate) fn wait_for_node(&self, name: &str, status: &str) {
        let path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        wait_until(&format!("node {name} has Ready={status}"), START, || {
            let seen = self.kubectl(&["get", "node", name, "-o", path]);
            if seen == status { Ok(()) } else { Err(seen) }
        });
    }

    /// SIGKILL for the API server.
    pub(crate) fn kill_api(&self) {
        *self.api.lock().unwrap() = None;
    }

    /// Starts the API server on the port it had, and waits until it is ready.
    pub(crate) fn start_api(&self) {
        let mut api = self.api.lock().unwrap();
        assert!(api.is_none(), "the API server runs already");
        let command = self.api_command(self.api_address.port());
        let process = Process::start("kube-apiserver", &command, &self.next_log("kube-apiserver"));
        wait_until("the API server is ready", START, || {
            process.assert_running();
            self.try_kubectl(&["get", "--raw", "/readyz"])
                .and_then(|body| if body == "ok" { Ok(()) } else { Err(body) })
        });
        *api = Some(process);
    }

    /// An API server over this one's etcd, with its credentials, on a port.
    pub(crate) fn api_command(&self, port: u16) -> Command {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new(program("kube-apiserver"));
        command.current_dir(&self.folder).args([
            format!("--etcd-servers=http://{}", self.etcd_address()),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            // Nobody connects to it; without, it looks for a default route.
            "--advertise-address=10.255.255.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--tls-cert-file={}", file("apiserver.crt")),
            format!("--tls-private-key-file={}", file("apiserver.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/112".to_owned(),
            // A pod would have to wait for its namespace's account, and no pod here uses one.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--default-unreachable-toleration-seconds=5".to_owned(),
            "--default-not-ready-toleration-seconds=5".to_owned(),
            "--allow-privileged".to_owned(),
            "--max-requests-inflight=2000".to_owned(),
            "--max-mutating-requests-inflight=1000".to_owned(),
        ]);
        command.args(&self.api_flags);
        command
    }

    /// SIGKILL for etcd.
    pub(crate) fn kill_etcd(&self) {
        *self.etcd.lock().unwrap() = None;
    }

    /// Starts etcd on the ports and with the data it had, and waits until it answers.
    pub(crate) fn start_etcd(&self) {
        let mut etcd = self.etcd.lock().unwrap();
        assert!(etcd.is_none(), "etcd runs already");
        let [clients, peers] = self.etcd_ports.map(|port| format!("http://127.0.0.1:{port}"));
        let mut command = Command::new(program("etcd"));
        command.arg("--data-dir").arg(self.folder.join("etcd-data"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("default={peers}")]);
        // Its data need not survive the machine.
        command.args(["--unsafe-no-fsync", "--log-level", "warn"]);
        let process = Process::start("etcd", &command, &self.next_log("etcd"));
        wait_for("etcd takes connections", START, || {
            process.assert_running();
            std::net::TcpStream::connect(self.etcd_address()).ok()
        });
        *etcd = Some(process);
    }

    fn start_controllers(&self) {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        let mut manager = Command::new(program("kube-controller-manager"));
        manager.arg(&kubeconfig).args([
            format!("--service-account-private-key-file={}", file("sa.key")),
            format!("--root-ca-file={}", file("ca.crt")),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            "--concurrent-service-endpoint-syncs=20".to_owned(),
            "--concurrent-statefulset-syncs=20".to_owned(),
            "--node-monitor-period=1s".to_owned(),
            format!("--node-monitor-grace-period={}s", NODE_LEASE + NODE_LEASE / 2),
            // A new volume finds its claim at the next look.
            "--pvclaimbinder-sync-period=1s".to_owned(),
        ]);
        let mut scheduler = Command::new(program("kube-scheduler"));
        scheduler.arg(&kubeconfig).args(["--leader-elect=false", "--secure-port=0"]);
        scheduler.args(["--kube-api-qps=500", "--kube-api-burst=1000"]);
        let mut stages = String::new();
        for name in ["node", "pod"] {
            stages += &fs::read_to_string(repository(&format!("tests/cluster/stages/{name}.yaml"))).unwrap();
            stages += "---\n";
        }
        fs::write(self.folder.join("stages.yaml"), stages).unwrap();
        let mut kwok = Command::new(program("kwok"));
        kwok.arg(&kubeconfig).args([
            format!("--config={}", file("stages.yaml")),
            format!("--manage-nodes-with-label-selector={MANAGED}=true"),
            format!("--node-lease-duration-seconds={NODE_LEASE}"),
            format!("--cidr={POD_CIDR}"),
            "--node-ip=10.255.0.1".to_owned(),
            format!("--server-address=127.0.0.1:{}", free_port()),
        ]);
        let mut controllers = self.controllers.lock().unwrap();
        for (name, mut command) in
            [("kwok", kwok), ("kube-scheduler", scheduler), ("kube-controller-manager", manager)]
        {
            command.current_dir(&self.folder).env("HOME", &self.folder);
            controllers.push(Process::start(name, &command, &self.next_log(name)));
        }
    }

    /// The program's log file; what an earlier run of it wrote is kept beside it.
    fn next_log(&self, name: &str) -> PathBuf {
        let log = self.log(name);
        let earlier = (1..).map(|n| self.folder.join(format!("{name}.{n}.log"))).find(|file| !file.exists());
        if log.exists() {
            fs::rename(&log, earlier.unwrap()).unwrap();
        }
        log
    }
}
