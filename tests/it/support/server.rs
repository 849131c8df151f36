//! The built program as a child process, on ports that the kernel chooses.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a start may take: a debug build on a busy machine, with a cluster of a few hundred objects.
const START: Duration = Duration::from_secs(30);

/// A running `rollcall`; dropped, it is killed by its own handle and waited for.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    addresses: Vec<SocketAddr>,
    /// Of the encrypted transports, by their names.
    encrypted: Vec<(String, SocketAddr)>,
    /// Keeps the pipe's reader, so that a full pipe never stops the child.
    lines: Receiver<String>,
}

impl Server {
    /// Starts the program with these arguments and waits for its `ready` line.
    ///
    /// The environment's own `ROLLCALL_*` and `KUBECONFIG` are taken away: a test is what its arguments say.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time; what it printed is in the error.
    pub(crate) fn start<A: AsRef<OsStr>>(args: &[A]) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("ROLLCALL_") || key == "KUBECONFIG" {
                command.env_remove(key);
            }
        }
        // Its default is one port, and tests run beside each other.
        command.env("ROLLCALL_ADMIN", "off");
        let mut child = command.spawn().context("the built binary does not start")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let (sender, lines) = channel();
        thread::spawn(move || read_lines(stderr, &sender));
        let mut server = Self { child, addresses: Vec::new(), encrypted: Vec::new(), lines };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The addresses of `listening udp+tcp`, in the order they were printed; never empty.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of `listening tls`, `https` or `quic`.
    #[cfg_attr(not(feature = "encrypted"), allow(dead_code))]
    pub(crate) fn encrypted(&self, transport: &str) -> SocketAddr {
        let found = self.encrypted.iter().find(|(name, _)| name == transport);
        found.unwrap_or_else(|| panic!("no `listening {transport}`")).1
    }

    /// What the program printed since the last call.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        let mut printed = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(address) = line.strip_prefix("listening udp+tcp ") {
                        let address = address.trim().parse();
                        self.addresses.push(address.with_context(|| format!("not an address: {line}"))?);
                    }
                    for transport in ["tls", "https", "quic"] {
                        let address = line.strip_prefix(&format!("listening {transport} "));
                        if let Some(address) = address.and_then(|address| address.trim().parse().ok()) {
                            self.encrypted.push((transport.to_owned(), address));
                        }
                    }
                    let ready = line == "ready";
                    printed.push(line);
                    if ready {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("no `ready` within {START:?}; it printed:\n{}", printed.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("it ended before `ready`; it printed:\n{}", printed.join("\n"))
                }
            }
        }
        if self.addresses.is_empty() {
            bail!("`ready` without a `listening udp+tcp` line; it printed:\n{}", printed.join("\n"));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stderr: ChildStderr, sender: &Sender<String>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        if sender.send(line).is_err() {
            return;
        }
    }
}
