//! Sidecars of one kind that follow one service, each with a hook that says when it began.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use rollcall_bench::processor_seconds;

use super::sets::{SERVICE, ZONE, namespace};

/// Whom the server's certificate is for.
const NAME: &str = "ns.dns.cluster.local";
/// For all hooks of one change.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether the sidecars are still there.
const LOOK: Duration = Duration::from_secs(1);
/// Between the lookups of peer-finder.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// Who is started.
#[derive(Debug, Args)]
pub(super) struct Programs {
    /// The program that is measured
    #[arg(long)]
    rollcall: PathBuf,
    /// The loop that does what peer-finder does
    #[arg(long)]
    finder: PathBuf,
    /// What both run for a change
    #[arg(long)]
    hook: PathBuf,
    /// Whom `rollcall peers` trusts over TLS
    #[arg(long)]
    authority: PathBuf,
    /// A folder for what they say
    #[arg(long)]
    logs: PathBuf,
    /// How many loops follow a service at one time; and how many of the others, where nothing changes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(super) sidecars: u8,
}

/// How a sidecar learns of peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub(super) enum Way {
    /// `rollcall peers`, push over TLS
    Tls,
    /// The same over TCP
    Tcp,
    /// One SRV lookup a second
    Finder,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Finder => "finder",
        })
    }
}

/// They end with this.
pub(super) struct Sidecars {
    way: Way,
    children: Vec<Child>,
    socket: UdpSocket,
    /// Hooks that ran for another list than the one that was waited for.
    other: u64,
}

impl Sidecars {
    /// Starts so many, and waits until each has run its hook for all peers.
    pub(super) fn start(
        programs: &Programs,
        (way, count): (Way, u8),
        server: SocketAddr,
        size: usize,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(LOOK))?;
        let to = socket.local_addr()?.to_string();
        let mut sidecars = Self { way, children: Vec::new(), socket, other: 0 };
        for who in 0..count {
            let log = programs.logs.join(format!("{way}-{size}-{who}.log"));
            let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
            let hook = [programs.hook.to_string_lossy().into_owned(), to.clone(), who.to_string()];
            let child = command(programs, way, server, size, &hook)?
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .with_context(|| format!("cannot start a sidecar of way {way}"))?;
            sidecars.children.push(child);
            if way == Way::Finder {
                // Their lookups are not to fall together: each is a sample of its own.
                thread::sleep(POLL / u32::from(count));
            }
        }
        sidecars.wait(size).with_context(|| format!("the first hooks of way {way} at {size} peers"))?;
        sidecars.other = 0;
        Ok(sidecars)
    }

    pub(super) fn count(&self) -> usize {
        self.children.len()
    }

    /// Their processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Seconds of processor time that they took so far, what they ran not included.
    pub(super) fn processor_seconds(&self) -> anyhow::Result<f64> {
        let each = self.pids().into_iter().map(processor_seconds);
        each.sum::<std::io::Result<f64>>().context("a sidecar has ended")
    }

    /// Waits until each has run its hook for so many peers; when each hook began, as `clock` has it.
    pub(super) fn wait(&mut self, peers: usize) -> anyhow::Result<Vec<u64>> {
        let latest = Instant::now() + PATIENCE;
        let mut began: Vec<Option<u64>> = vec![None; self.children.len()];
        while began.iter().any(Option::is_none) {
            if Instant::now() >= latest {
                bail!("not every sidecar has run its hook for {peers} peers: {began:?}");
            }
            let Some(hook) = self.hear()? else { continue };
            match began.get_mut(hook.who) {
                Some(slot @ None) if hook.count == peers => *slot = Some(hook.began),
                _ => self.other += 1,
            }
        }
        Ok(began.into_iter().flatten().collect())
    }

    /// How many hooks ran that nobody waited for, those included that are there by now.
    pub(super) fn others(&mut self) -> anyhow::Result<u64> {
        self.socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        while self.hear()?.is_some() {
            self.other += 1;
        }
        self.socket.set_read_timeout(Some(LOOK))?;
        Ok(self.other)
    }

    fn hear(&mut self) -> anyhow::Result<Option<Hook>> {
        let mut octets = [0; 256];
        match self.socket.recv(&mut octets) {
            Ok(length) => {
                let text = std::str::from_utf8(&octets[..length])?;
                let hook = Hook::read(text).with_context(|| format!("not of a hook: {text}"))?;
                // A sidecar that is not pushed to falls back to asking: that would be measured, and taken for push.
                if self.way != Way::Finder && !hook.is_pushed {
                    bail!("a sidecar has not learned of its peers by push: {text}");
                }
                Ok(Some(hook))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                for child in &mut self.children {
                    if let Some(status) = child.try_wait()? {
                        bail!("a sidecar has ended: {status}");
                    }
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Sidecars {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a hook said: `WHO BEGAN COUNT WAY`.
struct Hook {
    who: usize,
    began: u64,
    count: usize,
    is_pushed: bool,
}

impl Hook {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut next = || words.next();
        Some(Self {
            who: next()?.parse().ok()?,
            began: next()?.parse().ok()?,
            count: next()?.parse().ok()?,
            is_pushed: next()? == "push",
        })
    }
}

fn command(
    programs: &Programs,
    way: Way,
    server: SocketAddr,
    size: usize,
    hook: &[String],
) -> anyhow::Result<Command> {
    let namespace = namespace(size);
    if way == Way::Finder {
        let mut command = Command::new(&programs.finder);
        command.args(["-server", &server.to_string()]);
        command.args(["-service", &format!("{SERVICE}.{namespace}.svc.{ZONE}.")]).args(hook);
        return Ok(command);
    }
    let server = match way {
        Way::Tls => format!("tls://{server}#{NAME}"),
        _ => format!("push+tcp://{server}"),
    };
    let mut command = Command::new(&programs.rollcall);
    command.args(["peers", "--service", SERVICE, "--namespace", &namespace, "--zone", ZONE]);
    command.args(["--server", &server, "--output", "none"]).arg("--tls-ca").arg(&programs.authority);
    command.args(["--on-change", &serde_json::to_string(hook)?]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_says_who_when_and_how_many() {
        let hook = Hook::read("2 123456789 1000 push").unwrap();
        assert_eq!((hook.who, hook.began, hook.count, hook.is_pushed), (2, 123_456_789, 1000, true));
        assert!(!Hook::read("2 123456789 1000 serial").unwrap().is_pushed);
        assert!(Hook::read("2 x 3 push").is_none() && Hook::read("2 3").is_none());
    }
}
