//! A kubelet for the pods of one namespace, of which kwok only says that they run: their containers are real processes,
//! at the pods' addresses, in network namespaces.
//!
//! It runs init containers in their order, sidecars among them, then the others; starts again what ends; asks readiness
//! probes; keeps claims' folders; ends a deleted pod's processes in order, and then lets the pod go. The pods'
//! template needs the annotations that `with_kubelet` adds, for it decides on readiness and on the end.
//! Images are not unpacked: a container has this machine's programs, or rollcall's alone (container.sh).

mod life;
mod network;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use life::Life;
pub(crate) use network::Network;
use spec::PodSpec;

/// Between two looks at the pods.
const LOOK: Duration = Duration::from_millis(200);

/// A running kubelet; ends every process of its pods when it is dropped.
#[derive(Debug)]
pub(crate) struct Kubelet {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    plane: &'static ControlPlane,
    namespace: String,
    network: Arc<Network>,
    /// What clients of TLS trust: as `ca.crt` of a service account.
    authority: PathBuf,
    ends: AtomicBool,
    lost: Mutex<BTreeSet<String>>,
    by_uid: Mutex<BTreeMap<String, Life>>,
}

impl Kubelet {
    /// Runs the pods of this namespace.
    pub(crate) fn start(
        plane: &'static ControlPlane,
        namespace: &str,
        network: &Arc<Network>,
        authority: PathBuf,
    ) -> Self {
        let shared = Arc::new(Shared {
            plane,
            namespace: namespace.to_owned(),
            network: Arc::clone(network),
            authority,
            ends: AtomicBool::new(false),
            lost: Mutex::default(),
            by_uid: Mutex::default(),
        });
        let looking = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !looking.ends.load(Ordering::Relaxed) {
                looking.look();
                thread::sleep(LOOK);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// The network cable of a node is pulled, and its kubelet does nothing more: its processes go on, heard by nobody.
    pub(crate) fn lose_node(&self, node: &str) {
        self.shared.lost.lock().unwrap().insert(node.to_owned());
        for life in self.shared.by_uid.lock().unwrap().values().filter(|life| life.node == node) {
            life.lose();
        }
    }

    /// The network cable of a pod is pulled, and everything in it goes on.
    pub(crate) fn unplug(&self, pod: &str) {
        let by_uid = self.shared.by_uid.lock().unwrap();
        by_uid
            .values()
            .find(|life| life.name == pod && life.is_running())
            .expect("a pod of that name")
            .pull();
    }

    /// What a command prints in a container of a pod, as by `kubectl exec`; or its standard error.
    pub(crate) fn exec(&self, pod: &str, container: &str, command: &[&str]) -> Result<String, String> {
        let mut command = {
            let by_uid = self.shared.by_uid.lock().unwrap();
            let life = by_uid.values().find(|life| life.name == pod && life.is_running());
            life.ok_or_else(|| format!("{pod} does not run"))?.exec(container, command)?
        };
        let run = command.output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if run.status.success() { Ok(text(&run.stdout)) } else { Err(text(&run.stderr) + &text(&run.stdout)) }
    }

    /// What a container of the pod of this name has printed.
    pub(crate) fn printed(&self, pod: &str, container: &str) -> String {
        let by_uid = self.shared.by_uid.lock().unwrap();
        let life = by_uid.values().find(|life| life.name == pod && life.is_running());
        life.map(|life| life.printed(container)).unwrap_or_default()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut by_uid = self.shared.by_uid.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        by_uid.values().for_each(Life::kill);
        by_uid.clear();
    }
}

impl Shared {
    /// One look: pods that are new start, pods that are to go end.
    fn look(self: &Arc<Self>) {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        // An API server that is away changes nothing.
        let Ok(text) = self.plane.try_kubectl(&["get", "--raw", &path]) else { return };
        let Ok(list) = serde_json::from_str::<Value>(&text) else { return };
        let (lost, mut by_uid) = (self.lost.lock().unwrap().clone(), self.by_uid.lock().unwrap());
        let is_lost = |node: &str| lost.contains(node);
        let mut seen = BTreeSet::new();
        for pod in list["items"].as_array().into_iter().flatten() {
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
            let is_deleted = !pod["metadata"]["deletionTimestamp"].is_null();
            match by_uid.get(&uid) {
                Some(life) if is_deleted && !is_lost(node) => life.end(),
                None if !is_deleted && !is_lost(node) => {
                    if let Some(spec) = PodSpec::of(pod, &|name, key| self.secret(name, key)) {
                        by_uid.insert(uid.clone(), Life::begin(Arc::clone(self), spec, node));
                    }
                }
                // Deleted before it had a process: nothing holds it.
                None if is_deleted && !is_lost(node) => {
                    self.let_go(pod["metadata"]["name"].as_str().unwrap_or_default());
                }
                _ => {}
            }
            seen.insert(uid);
        }
        for (uid, life) in by_uid.iter() {
            if !seen.contains(uid) && !is_lost(&life.node) {
                life.end();
            }
        }
        by_uid.retain(|uid, life| seen.contains(uid) || !life.is_over());
    }

    /// A pod's processes have ended: kwok may delete it.
    fn let_go(&self, pod: &str) {
        self.annotate(pod, "rollcall.test/terminating=done");
    }

    fn annotate(&self, pod: &str, annotation: &str) {
        // A pod that is gone needs none.
        let _ = self.plane.try_kubectl(&[
            "-n",
            &self.namespace,
            "annotate",
            "--overwrite",
            "pod",
            pod,
            annotation,
        ]);
    }

    fn object(&self, kind: &str, name: &str) -> Value {
        let text = self.plane.kubectl(&["-n", &self.namespace, "get", kind, name, "-o", "json"]);
        serde_json::from_str(&text).unwrap()
    }

    fn has_config_map(&self, name: &str) -> bool {
        let field = format!("--field-selector=metadata.name={name}");
        !self.plane.kubectl(&["-n", &self.namespace, "get", "configmap", &field, "-o", "name"]).is_empty()
    }

    fn secret(&self, name: &str, key: &str) -> String {
        let template = format!("go-template={{{{index .data {key:?} | base64decode}}}}");
        self.plane.kubectl(&["-n", &self.namespace, "get", "secret", name, "-o", &template])
    }
}

/// Adds to each pod template of these manifests (JSON documents) what this kubelet needs: the pods are ready when it says
/// so, and gone when it lets them go.
pub(crate) fn with_kubelet(object: &mut Value) {
    if let Some(template) = object.pointer_mut("/spec/template") {
        let annotations = json!({"rollcall.test/ready": "false", "rollcall.test/terminating": "hold"});
        let metadata = &mut template["metadata"];
        if metadata["annotations"].is_null() {
            metadata["annotations"] = json!({});
        }
        for (name, value) in annotations.as_object().into_iter().flatten() {
            metadata["annotations"][name] = value.clone();
        }
    }
}
