//! The program before the fake, and what is asked of it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::fake::Api;
use super::http::probe;
use crate::support::exchange::Client;
use crate::support::query::Query;
use crate::support::reply::Reply;
use crate::support::wait::eventually;

/// How long what must come may take: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(10);

/// Waits until this is so.
pub(super) fn until(what: &str, mut is_it: impl FnMut() -> bool) {
    eventually(what, || if is_it() { Ok(()) } else { Err("it is not".into()) });
}

/// Waits until a path was asked for as often; how.
pub(super) fn until_asked(api: &Api, path: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} requests for {path}"), || {
        let asked = api.asked(path);
        if asked.len() >= count { Ok(asked) } else { Err(format!("{asked:?}")) }
    })
}

/// Writes a kubeconfig for a server, with a token.
pub(super) fn write_kubeconfig(path: &Path, server: SocketAddr, token: &str) {
    write_kubeconfig_of(path, server, &format!("{{token: {token}}}"));
}

/// The same, of a user who has other credentials.
pub(super) fn write_kubeconfig_of(path: &Path, server: SocketAddr, user: &str) {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster: {{server: \"http://{server}\"}}\nusers:\n- name: u\n  user: {user}\ncontexts:\n- name: c\n  context: {{cluster: k, user: u}}\n"
    );
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// The program with these arguments, none of the environment's own `ROLLCALL_*`.
pub(super) fn rollcall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(args).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("ROLLCALL_") || name == "KUBECONFIG" || name.to_lowercase().ends_with("_proxy") {
            command.env_remove(key);
        }
    }
    command
}

/// `serve --kubeconfig`; dropped, it is killed by its own handle and waited for.
pub(super) struct Program {
    child: Child,
    lines: Receiver<String>,
    printed: Vec<String>,
    pub(super) dns: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) folder: tempfile::TempDir,
    server: SocketAddr,
}

impl Program {
    /// Starts it before a server; it listens, and need not be ready.
    pub(super) fn start(api: &Api, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_before(api.address, args, variables)
    }

    /// The same before an address.
    pub(super) fn start_before(server: SocketAddr, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_as("{token: t}", server, args, variables)
    }

    /// The same as a user of a kubeconfig.
    pub(super) fn start_as(
        user: &str,
        server: SocketAddr,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        write_kubeconfig_of(&kubeconfig, server, user);
        let config = folder.path().join("rollcall.toml");
        let mut command = rollcall(&["serve", "--listen", "127.0.0.1:0", "--kubeconfig"]);
        command.arg(&kubeconfig).args(args).env("ROLLCALL_ADMIN", "127.0.0.1:0");
        command.envs(variables.iter().copied().filter(|(key, _)| *key != "config"));
        if let Some((_, text)) = variables.iter().find(|(key, _)| *key == "config") {
            std::fs::write(&config, text).unwrap();
            command.arg("--config").arg(&config);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines_tx, lines) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines_tx.send(line)));
        let nowhere = "127.0.0.1:0".parse().unwrap();
        let (dns, admin, printed) = (nowhere, nowhere, Vec::new());
        let mut program = Self { child, lines, printed, dns, admin, folder, server };
        let address = |line: String| line.rsplit(' ').next().unwrap().parse().unwrap();
        program.dns = address(program.wait_for(&["listening udp+tcp"]));
        program.admin = address(program.wait_for(&["listening admin"]));
        program
    }

    /// The same, ready.
    pub(super) fn ready(api: &Api, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut program = Self::start(api, args, variables);
        program.wait_until_ready();
        program
    }

    pub(super) fn wait_until_ready(&mut self) {
        self.wait_for_line("ready", |line| line == "ready");
    }

    fn wait_for_line(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {what}; it printed:\n{}", self.printed.join("\n"));
            };
            self.printed.push(line.clone());
            if is_it(&line) {
                return line;
            }
        }
    }

    /// The next line on standard error with all of these words.
    pub(super) fn wait_for(&mut self, words: &[&str]) -> String {
        self.wait_for_line(&format!("{words:?}"), |line| words.iter().all(|word| line.contains(word)))
    }

    /// All that it printed so far.
    pub(super) fn printed(&mut self) -> String {
        self.printed.extend(self.lines.try_iter());
        self.printed.join("\n")
    }

    /// Another token in its kubeconfig.
    pub(super) fn write_token(&self, token: &str) {
        write_kubeconfig(&self.folder.path().join("kubeconfig"), self.server, token);
    }

    /// Sends `TERM` or `HUP` to this very process.
    pub(super) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }

    /// The most octets of memory that it ever had (`VmHWM`).
    pub(super) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Waits for its end: its exit code.
    pub(super) fn end(&mut self) -> i32 {
        let child = &mut self.child;
        eventually("its end", || {
            let status = child.try_wait().unwrap().ok_or("it runs")?;
            Ok(status.code().unwrap_or(-1))
        })
    }

    /// Nothing panicked, and it runs.
    pub(super) fn is_well(&mut self) {
        let printed = self.printed();
        assert!(!printed.contains("panic"), "{printed}");
        assert!(self.child.try_wait().unwrap().is_none(), "it ended:\n{printed}");
    }

    pub(super) fn readyz(&self) -> (u16, String) {
        probe(self.admin, "/readyz")
    }

    /// Waits until `/readyz` says so, with these words.
    pub(super) fn until_readyz(&self, code: u16, words: &[&str]) -> String {
        eventually(&format!("/readyz {code} with {words:?}"), || {
            let (now, body) = self.readyz();
            let all = now == code && words.iter().all(|word| body.contains(word));
            if all { Ok(body) } else { Err(format!("{now} {body}")) }
        })
    }

    pub(super) fn ask(&self, line: &str) -> Reply {
        ask(self.dns, line)
    }

    pub(super) fn status(&self, name: &str) -> String {
        self.ask(&format!("-t A {name}")).status
    }

    /// The IPv4 addresses of a name, sorted; its status where it has none.
    pub(super) fn addresses(&self, name: &str) -> String {
        addresses(self.dns, name)
    }

    pub(super) fn until_addresses(&self, name: &str, wanted: &str) {
        eventually(&format!("{wanted} for {name}"), || {
            let now = self.addresses(name);
            if now == wanted { Ok(()) } else { Err(now) }
        });
    }

    /// The serial of the zone.
    pub(super) fn serial(&self) -> u32 {
        let reply = self.ask("-t SOA cluster.local");
        let soa = reply.sections[0].first().unwrap_or_else(|| panic!("{:?}", reply.status));
        soa.split(' ').nth(6).unwrap().parse().unwrap_or_else(|_| panic!("no serial: {soa}"))
    }

    /// Asks for a name's addresses again and again from now on.
    pub(super) fn steady(&self, name: &str, wanted: &str) -> Steady {
        let (dns, name, wanted) = (self.dns, name.to_owned(), wanted.to_owned());
        assert_eq!(addresses(dns, &name), wanted, "{name}");
        let over = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&over);
        let asking = thread::spawn(move || {
            let mut count = 0;
            while count < 20 || !of_thread.load(Ordering::Relaxed) {
                assert_eq!(addresses(dns, &name), wanted, "{name}, after {count} right answers");
                count += 1;
                thread::sleep(Duration::from_millis(1));
            }
        });
        Steady { over, asking }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who asks for one name all the time.
pub(super) struct Steady {
    over: Arc<AtomicBool>,
    asking: JoinHandle<()>,
}

impl Steady {
    /// Every answer so far was the same.
    pub(super) fn held(self) {
        self.over.store(true, Ordering::Relaxed);
        if let Err(panic) = self.asking.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn ask(server: SocketAddr, line: &str) -> Reply {
    let query = Query::parse(&format!("dig {line}")).unwrap();
    let answer = Client::udp(server).and_then(|mut client| Reply::read(&client.ask(&query)?));
    answer.unwrap_or_else(|error| panic!("dig @{server} {line}: {error:#}"))
}

fn addresses(server: SocketAddr, name: &str) -> String {
    let reply = ask(server, &format!("-t A {name}"));
    let of = |record: &String| record.split_once(" IN A ").map(|(_, address)| address.to_owned());
    let mut found: Vec<String> = reply.sections[0].iter().filter_map(of).collect();
    found.sort();
    if found.is_empty() { reply.status } else { found.join(" ") }
}

/// What a command that ends by itself printed, its code, and how long it took.
pub(super) fn finished(command: &mut Command) -> (i32, String, String, Duration) {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text_of = |mut pipe: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        })
    };
    let out = text_of(Box::new(child.stdout.take().unwrap()));
    let err = text_of(Box::new(child.stderr.take().unwrap()));
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(90) {
            child.kill().unwrap();
        }
        thread::sleep(STEP);
    }
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (code, out.join().unwrap().unwrap(), err.join().unwrap().unwrap(), started.elapsed())
}
