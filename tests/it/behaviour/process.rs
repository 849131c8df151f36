//! The program as a child process that a test feeds, signals, and waits for.
//!
//! `support::server::Server` is for tests that only ask; this one is for those that look at the process itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A debug build on a machine that has no time for it.
const PATIENCE: Duration = Duration::from_secs(240);
const STEP: Duration = Duration::from_millis(10);

/// The program with these arguments, none of the environment's own `ROLLCALL_*`, nothing on standard input.
pub(super) fn rollcall<A: AsRef<str>>(args: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(args.iter().map(AsRef::as_ref)).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("ROLLCALL_") || key == "KUBECONFIG" {
            command.env_remove(key);
        }
    }
    // Its default is one port, and tests run beside each other.
    command.env("ROLLCALL_ADMIN", "off");
    command
}

/// What a command that ends by itself left.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs a command to its end, with this on its standard input.
pub(super) fn run_with(command: &mut Command, input: &str) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the built binary starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A command that does not read it closes the pipe: no fault of this side.
    thread::spawn(move || stdin.write_all(input.as_bytes()));
    let (out, err) = (text_of(child.stdout.take().unwrap()), text_of(child.stderr.take().unwrap()));
    let status = end_of(&mut child, PATIENCE);
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    let status = status.unwrap_or_else(|| panic!("it does not end; it printed:\n{out}{err}"));
    Finished { code: status.code().unwrap_or(-1), out, err }
}

/// Runs a command to its end.
pub(super) fn run<A: AsRef<str>>(args: &[A]) -> Finished {
    run_with(&mut rollcall(args), "")
}

fn text_of(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("what it prints is UTF-8");
        text
    })
}

/// None when it has not ended in time; then it is killed.
fn end_of(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        thread::sleep(STEP);
    }
}

/// A program that goes on; dropped, it is killed by its own handle and waited for.
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
    printed: Vec<String>,
    addresses: Vec<SocketAddr>,
}

impl Process {
    /// Starts it, with a pipe as its standard input where `stdin` says so.
    pub(super) fn spawn(command: &mut Command, stdin: Stdio) -> Self {
        command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the built binary starts");
        let stderr = child.stderr.take().unwrap();
        let (lines_tx, lines) = channel();
        thread::spawn(move || read_lines(stderr, &lines_tx));
        Self { child, lines, printed: Vec::new(), addresses: Vec::new() }
    }

    /// `serve` on a free port of 127.0.0.1 with these arguments, ready.
    pub(super) fn serve(args: &[&str]) -> Self {
        let args: Vec<&str> =
            ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(args.iter().copied()).collect();
        let mut process = Self::spawn(&mut rollcall(&args), Stdio::null());
        process.wait_for_line("ready", |line| line == "ready");
        process
    }

    /// `serve` behind `2>&1 | grep -m1 ready`: once it is ready nobody reads its standard error, and the pipe is
    /// closed.
    pub(super) fn serve_deaf(args: &[&str]) -> Self {
        let args: Vec<&str> =
            ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(args.iter().copied()).collect();
        let mut command = rollcall(&args);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut process = Self { child, lines: channel().1, printed: Vec::new(), addresses: Vec::new() };
        for line in stderr.lines().map_while(Result::ok) {
            if process.take(line) == "ready" {
                return process;
            }
        }
        panic!("it ended before `ready`; it printed:\n{}", process.printed.join("\n"));
    }

    /// Remembers a line.
    fn take(&mut self, line: String) -> &str {
        let address = line.strip_prefix("listening udp+tcp ");
        self.addresses.extend(address.map(|address| address.parse::<SocketAddr>().unwrap()));
        self.printed.push(line);
        self.printed.last().unwrap()
    }

    /// Its standard input, once.
    pub(super) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a piped standard input, taken once")
    }

    /// The next line on standard error that is as wished.
    pub(super) fn wait_for_line(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {what}; it printed:\n{}", self.printed.join("\n"));
            };
            if is_it(self.take(line)) {
                return self.printed.last().unwrap().clone();
            }
        }
    }

    /// The next line with all of these words.
    pub(super) fn wait_for_words(&mut self, words: &[&str]) -> String {
        self.wait_for_line(&format!("{words:?}"), |line| words.iter().all(|word| line.contains(word)))
    }

    /// Takes the lines that are there; all that was printed so far.
    pub(super) fn printed(&mut self) -> String {
        self.printed.extend(self.lines.try_iter());
        self.printed.join("\n")
    }

    /// The addresses of the lines `listening udp+tcp` that were waited for.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The first of them.
    pub(super) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The number of this very process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `TERM`, `HUP` or the like to this very process.
    pub(super) fn signal(&self, name: &str) {
        // A builtin of every shell; without it the signal would take unsafe code.
        let line = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }

    /// Waits for its end: its exit code, and how long that took.
    pub(super) fn end(&mut self, patience: Duration) -> (i32, Duration) {
        let start = Instant::now();
        let Some(status) = end_of(&mut self.child, patience) else {
            panic!("it has not ended within {patience:?}; it printed:\n{}", self.printed());
        };
        (status.code().unwrap_or(-1), start.elapsed())
    }

    /// Whether it still runs.
    pub(super) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stderr: ChildStderr, lines_tx: &std::sync::mpsc::Sender<String>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        if lines_tx.send(line).is_err() {
            return;
        }
    }
}
