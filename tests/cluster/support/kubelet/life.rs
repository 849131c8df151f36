//! One pod's life: volumes, containers in their order, probes, and the end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::processes::Process;
use super::super::programs::{repository, rollcall_program, work_folder};
use super::Shared;
use super::network::Plug;
use super::spec::{Action, ContainerSpec, PodSpec, Stage, Volume};

/// Between two looks at a pod's processes.
const LOOK: Duration = Duration::from_millis(50);
/// Before what has ended is started again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long processes have after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);
/// So many probes in a row take a ready pod's readiness away.
const FAILURES: u32 = 3;

/// A pod whose containers run.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) name: String,
    pub(super) node: String,
    ends: Arc<AtomicBool>,
    is_lost: AtomicBool,
    house: Arc<House>,
    thread: Option<JoinHandle<()>>,
}

/// What a pod's containers share.
#[derive(Debug)]
struct House {
    shared: Arc<Shared>,
    spec: PodSpec,
    folder: PathBuf,
    plug: Plug,
    running: Mutex<BTreeMap<String, Arc<Process>>>,
    /// What each container has printed last, its log.
    logs: Mutex<BTreeMap<String, PathBuf>>,
}

impl Life {
    pub(super) fn begin(shared: Arc<Shared>, spec: PodSpec, node: &str) -> Self {
        let folder = work_folder().join(format!("pod-{}-{}", spec.name, spec.uid));
        let plug = shared.network.plug(spec.address);
        let (name, ends) = (spec.name.clone(), Arc::new(AtomicBool::new(false)));
        let house = House { shared, spec, folder, plug, running: Mutex::default(), logs: Mutex::default() };
        let house = Arc::new(house);
        let (its, its_end) = (Arc::clone(&house), Arc::clone(&ends));
        let thread = thread::spawn(move || its.live(&its_end));
        Self {
            name,
            node: node.to_owned(),
            ends,
            is_lost: AtomicBool::new(false),
            house,
            thread: Some(thread),
        }
    }

    /// Ends it in order: SIGTERM, patience, SIGKILL; then the pod is let go. Not waited for.
    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// SIGKILL for all, now.
    pub(super) fn kill(&self) {
        self.end();
        self.house.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }

    /// Its network is gone, and it runs on.
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
        self.pull();
    }

    /// Its network is gone alone.
    pub(super) fn pull(&self) {
        self.house.plug.pull();
    }

    pub(super) fn is_running(&self) -> bool {
        !self.is_lost.load(Ordering::Relaxed) && !self.ends.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub(super) fn printed(&self, container: &str) -> String {
        let log = self.house.logs.lock().unwrap().get(container).cloned();
        let text = log.and_then(|log| fs::read(log).ok()).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    pub(super) fn exec(&self, container: &str, command: &[&str]) -> Result<Command, String> {
        let spec = self.house.spec.containers.iter().find(|spec| spec.name == container);
        self.house.enter(spec.ok_or_else(|| format!("no container {container}"))?, command)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl House {
    fn live(&self, ends: &AtomicBool) {
        self.furnish();
        let is_over = || ends.load(Ordering::Relaxed);
        let mut ready = Readiness::default();
        let mut kept: Vec<&ContainerSpec> = Vec::new();
        for container in &self.spec.containers {
            if container.stage == Stage::Init {
                while !is_over() && !self.run_to_its_end(container, &kept, ends) {
                    self.rest(AGAIN, ends);
                }
            } else {
                self.start(container);
                kept.push(container);
            }
            if is_over() {
                break;
            }
        }
        while !is_over() {
            self.keep(&kept);
            ready.look(self);
            self.rest(LOOK, ends);
        }
        kept.sort_by_key(|container| container.stage == Stage::Sidecar);
        for container in kept {
            self.stop(&container.name);
        }
        self.shared.let_go(&self.spec.name);
    }

    /// Whether an init container did well. Sidecars before it are kept meanwhile.
    fn run_to_its_end(&self, container: &ContainerSpec, kept: &[&ContainerSpec], ends: &AtomicBool) -> bool {
        self.start(container);
        loop {
            let process = self.running.lock().unwrap().get(&container.name).cloned();
            let Some(status) = process.as_ref().map(|process| process.ended()) else { return false };
            if let Some(status) = status {
                self.running.lock().unwrap().remove(&container.name);
                return status.success();
            }
            self.keep(kept);
            self.rest(LOOK, ends);
            if ends.load(Ordering::Relaxed) {
                self.stop(&container.name);
                return false;
            }
        }
    }

    /// Starts again what has ended.
    fn keep(&self, containers: &[&ContainerSpec]) {
        for container in containers {
            let process = self.running.lock().unwrap().get(&container.name).cloned();
            if process.is_some_and(|process| process.ended().is_some()) {
                thread::sleep(AGAIN);
                self.start(container);
            }
        }
    }

    fn rest(&self, time: Duration, ends: &AtomicBool) {
        let until = Instant::now() + time;
        while Instant::now() < until && !ends.load(Ordering::Relaxed) {
            thread::sleep(LOOK.min(time));
        }
    }

    /// Files and volumes.
    fn furnish(&self) {
        let (spec, folder) = (&self.spec, &self.folder);
        for inner in ["root", "etc", "account", "volumes"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        let search = format!("search {}.svc.cluster.local svc.cluster.local cluster.local", spec.namespace);
        let resolv = format!("{search}\nnameserver {}\noptions ndots:5\n", self.shared.network.stub().ip());
        let hosts = format!("127.0.0.1 localhost\n{} {}\n", spec.address, spec.name);
        for (file, text) in [
            ("hostname", spec.name.as_str()),
            ("etc/resolv.conf", &resolv),
            ("etc/nsswitch.conf", "hosts: files dns\n"),
            ("etc/hosts", &hosts),
            ("account/namespace", &spec.namespace),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
        fs::copy(&self.shared.authority, folder.join("account/ca.crt")).unwrap();
        for container in &spec.containers {
            let line = |(volume, target): &(String, String)| {
                format!("{}\t{target}\n", self.volume(volume).display())
            };
            let lines: String = container.mounts.iter().map(line).collect();
            fs::write(folder.join(format!("{}.mounts", container.name)), lines).unwrap();
        }
    }

    /// The folder of a volume, which is made where it is not there.
    fn volume(&self, name: &str) -> PathBuf {
        let own = self.folder.join("volumes").join(name);
        let folder = match self.spec.volumes.get(name).unwrap_or_else(|| panic!("no volume {name}")) {
            Volume::Host(path) => return path.clone(),
            Volume::Empty => own,
            // What is in it outlives the pod, and is gone with the claim.
            Volume::Claim(claim) => {
                let claim = self.shared.object("persistentvolumeclaim", claim);
                let uid = claim["metadata"]["uid"].as_str().unwrap().to_owned();
                work_folder().join(format!("claim-{uid}"))
            }
            Volume::ConfigMap(map, is_optional) => {
                if !own.exists() {
                    fs::create_dir(&own).unwrap();
                    if *is_optional && !self.shared.has_config_map(map) {
                        return own;
                    }
                    let map = self.shared.object("configmap", map);
                    for (file, text) in map["data"].as_object().into_iter().flatten() {
                        let file = own.join(file);
                        fs::write(&file, text.as_str().unwrap()).unwrap();
                        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
                    }
                }
                return own;
            }
        };
        if !folder.exists() {
            fs::create_dir(&folder).unwrap();
            let (user, group) = self.spec.user;
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        folder
    }

    fn start(&self, container: &ContainerSpec) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (user, group) = self.spec.user;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.plug.name()]);
        command.arg(repository("tests/cluster/support/kubelet/container.sh")).arg(&self.folder);
        command.args([container.kind, &format!("{user}:{group}")]);
        command.arg(self.folder.join(format!("{}.mounts", container.name))).arg(rollcall_program());
        command.args(container.environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg("--").args(&container.command);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (namespace, pod) = (&self.spec.namespace, &self.spec.name);
        let name = format!("{namespace}-{pod}-{}-{number}", container.name);
        let log = work_folder().join(format!("{name}.log"));
        let process = Process::start(&name, &command, &log);
        self.logs.lock().unwrap().insert(container.name.clone(), log);
        self.running.lock().unwrap().insert(container.name.clone(), Arc::new(process));
    }

    fn stop(&self, container: &str) {
        let Some(process) = self.running.lock().unwrap().remove(container) else { return };
        // The first of the process namespace passes it on.
        if let Some(first) = child_of(process.id()) {
            let _ = Pid::from_raw(first).map(|pid| kill_process(pid, Signal::TERM));
        }
        let begun = Instant::now();
        while process.ended().is_none() && begun.elapsed() < GRACE {
            thread::sleep(LOOK);
        }
    }

    /// A command inside a container that runs.
    fn enter(&self, container: &ContainerSpec, command: &[&str]) -> Result<Command, String> {
        let process = self.running.lock().unwrap().get(&container.name).cloned();
        let inner = process.and_then(|process| child_of(process.id())).and_then(child_of);
        let inner = inner.ok_or_else(|| format!("{} of {} does not run", container.name, self.spec.name))?;
        let (user, group) = self.spec.user;
        let mut entered = Command::new("nsenter");
        entered.args([
            "--target",
            &inner.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
            "--wd",
        ]);
        entered.args(["--setuid", &user.to_string(), "--setgid", &group.to_string(), "--", "env", "-i"]);
        entered
            .args(container.environment.iter().map(|(name, value)| format!("{name}={value}")))
            .args(command);
        Ok(entered)
    }

    fn does_well(&self, container: &ContainerSpec, action: &Action) -> bool {
        let command = match action {
            Action::Get(url) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", self.plug.name(), "curl", "-fsS", "--max-time", "5", url]);
                Ok(command)
            }
            Action::Exec(words) => {
                self.enter(container, &words.iter().map(String::as_str).collect::<Vec<_>>())
            }
        };
        command
            .and_then(|mut command| command.output().map_err(|e| e.to_string()))
            .is_ok_and(|run| run.status.success())
    }
}

/// The first child of a process.
fn child_of(process: i32) -> Option<i32> {
    let path = Path::new("/proc").join(format!("{process}/task/{process}/children"));
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

/// What the probes say, and what was told of it.
#[derive(Debug, Default)]
struct Readiness {
    asked: Option<Instant>,
    is_ready: bool,
    failures: u32,
}

impl Readiness {
    /// Asks the probes when they are due; a pod without one is ready.
    fn look(&mut self, house: &House) {
        let probes = house
            .spec
            .containers
            .iter()
            .filter_map(|container| Some((container, container.readiness.as_ref()?)));
        let period = probes.clone().map(|(_, probe)| probe.period).min().unwrap_or_default();
        if self.asked.is_some_and(|asked| asked.elapsed() < period || period.is_zero()) {
            return;
        }
        let all = probes.clone().all(|(container, probe)| house.does_well(container, &probe.action));
        self.asked = Some(Instant::now());
        self.failures = if all { 0 } else { self.failures + 1 };
        if all != self.is_ready && (all || self.failures >= FAILURES) {
            self.is_ready = all;
            house.shared.annotate(&house.spec.name, &format!("rollcall.test/ready={all}"));
        }
    }
}
