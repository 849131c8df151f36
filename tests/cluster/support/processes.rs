//! The programs that a test starts: each is ended by its own id, and none outlives the test process.
//!
//! libtest never drops a static, and a panic may be an abort, so `Drop` alone cannot promise that. The kernel
//! can: a child is killed when the thread that started it ends (`setpriv --pdeathsig`). A test's own thread
//! ends too soon for what several tests share, so one thread that lives as long as the process starts them
//! all.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::{io, thread};

/// A child process and its log; ended and waited for when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts a program; its output goes to `log`, from the start of the file.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(name: &str, command: &Command, log: &Path) -> Self {
        let output = File::create(log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let mut bound = Command::new("setpriv");
        bound.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => bound.env(key, value),
                None => bound.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            bound.current_dir(folder);
        }
        bound.stdin(Stdio::null());
        bound.stdout(output.try_clone().unwrap()).stderr(output);
        let child = spawn(bound).unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        Self { name: name.to_owned(), child: Mutex::new(child), log: log.to_owned() }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> i32 {
        i32::try_from(self.child.lock().unwrap().id()).expect("a process's number")
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended; None while it runs.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    /// Panics with the log's tail when it has ended: what waits for it need not wait on.
    pub(crate) fn assert_running(&self) {
        if let Some(status) = self.ended() {
            panic!("{} has ended ({status}); its last lines:\n{}", self.name, tail(&self.log, 40));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The last lines of a file, for a failure's message.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

type Started = io::Result<Child>;
/// A command to start, and where to say how that went.
type Request = (Command, Sender<Started>);

/// Starts a child from the thread that lives as long as the process.
fn spawn(command: Command) -> Started {
    static SPAWNER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests_tx, requests_rx) = channel::<Request>();
        thread::spawn(move || {
            for (mut command, reply) in requests_rx {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(requests_tx)
    });
    let (reply_tx, reply_rx) = channel();
    spawner.lock().unwrap().send((command, reply_tx)).unwrap();
    reply_rx.recv().unwrap()
}

/// A command to run, words of which none needs quoting, once this process is gone, however it ended: network
/// namespaces and folders are not the kernel's to clean up. Later ones are run first.
pub(crate) fn after_the_end(command: &str) {
    static JANITOR: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let janitor = JANITOR.get_or_init(|| {
        // It reads until the pipe's other end is closed, which the kernel does. Signals to the whole
        // foreground group (Ctrl-C) must not take it along.
        let script =
            "trap '' INT TERM HUP; todo=(); while read -r line; do todo=(\"$line\" \"${todo[@]}\"); done
            for line in \"${todo[@]}\"; do $line; done";
        let mut command = Command::new("bash");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Mutex::new(command.spawn().expect("bash").stdin.take().unwrap())
    });
    writeln!(janitor.lock().unwrap(), "{command}").unwrap();
}

/// A port that is free over UDP and TCP on 127.0.0.1.
///
/// Below the range that the kernel gives to outgoing connections, so that none of these takes it before the
/// program it is meant for does; a counter keeps two tests of one process apart, the process id two
/// processes.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        let scattered = std::process::id().wrapping_mul(97) % u32::from(COUNT);
        AtomicU16::new(u16::try_from(scattered).unwrap())
    });
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1")
}
