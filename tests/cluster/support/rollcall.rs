//! The server under test as a child process, following a control plane.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::control_plane::ControlPlane;
use super::coredns::shared_upstream;
use super::pod_network::PodNetwork;
use super::processes::Process;
use super::programs::{rollcall_command, rollcall_program, work_folder};
use super::wait::wait_for;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A running `rollcall serve`; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Rollcall {
    /// The first address it answers at.
    pub(crate) dns: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub(crate) admin: SocketAddr,
    process: Process,
}

/// The one of this process: it follows the shared control plane, answers in the pods' network as well, gives
/// pods names as kubeadm's CoreDNS does, and asks the shared upstream for external names.
pub(crate) fn shared_rollcall() -> &'static Rollcall {
    static SHARED: OnceLock<Rollcall> = OnceLock::new();
    SHARED.get_or_init(|| {
        let listen = PodNetwork::shared().direct.server().to_string();
        let mut command = Rollcall::command(ControlPlane::shared().kubeconfig(), &["--listen", &listen]);
        command.env("ROLLCALL_PODS", "insecure");
        command.env("ROLLCALL_UPSTREAM_SERVERS", shared_upstream().dns.to_string());
        let rollcall = Rollcall::launch(&command);
        rollcall.ready();
        rollcall
    })
}

impl Rollcall {
    /// Starts it with this kubeconfig and further flags, and waits for `ready`.
    pub(crate) fn start(kubeconfig: &Path, flags: &[&str]) -> Self {
        let rollcall = Self::start_unready(kubeconfig, flags);
        rollcall.ready();
        rollcall
    }

    /// Starts it, and waits only until it is bound.
    pub(crate) fn start_unready(kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::launch(&Self::command(kubeconfig, flags))
    }

    /// The command line that `start` runs, on ports that the kernel chooses, for a test that adds to it.
    pub(crate) fn command(kubeconfig: &Path, flags: &[&str]) -> Command {
        Self::command_at("127.0.0.1:0", kubeconfig, flags)
    }

    /// The same at an address of the test's.
    pub(crate) fn command_at(listen: &str, kubeconfig: &Path, flags: &[&str]) -> Command {
        Self::command_of(&rollcall_program(), listen, kubeconfig, flags)
    }

    /// The same of another build.
    pub(crate) fn command_of(program: &Path, listen: &str, kubeconfig: &Path, flags: &[&str]) -> Command {
        let mut command = rollcall_command(program);
        command.arg("serve").arg("--kubeconfig").arg(kubeconfig);
        command.args(["--listen", listen, "--admin", "127.0.0.1:0"]).args(flags);
        command
    }

    /// Runs a command that becomes `rollcall serve`, and waits until it is bound.
    pub(crate) fn launch(command: &Command) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = work_folder().join(format!("rollcall-{number}.log"));
        let process = Process::start("rollcall", command, &log);
        let (dns, admin) = wait_for("rollcall says where it listens", START, || {
            process.assert_running();
            let printed = process.printed();
            Some((address(&printed, "listening udp+tcp ")?, address(&printed, "listening admin ")?))
        });
        Self { dns, admin, process }
    }

    /// Waits for the line `ready`.
    pub(crate) fn ready(&self) {
        wait_for("rollcall is ready", START, || {
            self.process.assert_running();
            self.stderr().lines().any(|line| line == "ready").then_some(())
        });
    }

    /// What it has printed so far.
    pub(crate) fn stderr(&self) -> String {
        self.process.printed()
    }

    /// `GET path` of the admin address: status code and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http_get(self.admin, path)
    }
}

/// The address of the first line that begins so; None before the whole line is there.
fn address(printed: &str, start: &str) -> Option<SocketAddr> {
    let line = printed.split_inclusive('\n').find(|line| line.starts_with(start) && line.ends_with('\n'))?;
    Some(line[start.len()..].trim().parse().unwrap())
}

/// `GET` over plain HTTP: status code and body.
///
/// # Panics
/// When there is no answer within 5 s.
pub(crate) fn http_get(server: SocketAddr, path: &str) -> (u16, String) {
    let limit = Duration::from_secs(5);
    let begun = Instant::now();
    let mut stream = TcpStream::connect_timeout(&server, limit).unwrap();
    stream.set_read_timeout(Some(limit)).unwrap();
    // HTTP/1.0: the answer ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap_or_else(|e| panic!("{path}: {e} after {:?}", begun.elapsed()));
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{path}: no status in {text:?}")), body.to_owned())
}
