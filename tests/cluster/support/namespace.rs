//! A namespace of a test's own: its objects, its pods' readiness, and what it looked like when the test
//! failed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use super::processes::tail;
use super::programs::{failures_folder, work_folder};
use super::wait::wait_until;

/// How long the controllers may take for one step.
const STEP: Duration = Duration::from_secs(60);

/// A namespace; dumped when the test panics, deleted behind it in any case.
#[derive(Debug)]
pub(crate) struct Namespace<'a> {
    plane: &'a ControlPlane,
    name: String,
}

impl<'a> Namespace<'a> {
    pub(super) fn new(plane: &'a ControlPlane, name: String) -> Self {
        plane.kubectl(&["create", "namespace", &name]);
        Self { plane, name }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The control plane it is in.
    pub(crate) fn plane(&self) -> &'a ControlPlane {
        self.plane
    }

    /// `web-0.nginx` → `web-0.nginx.<namespace>.svc.cluster.local.`
    pub(crate) fn full(&self, short: &str) -> String {
        format!("{short}.{}.svc.cluster.local.", self.name)
    }

    /// kubectl in this namespace; panics with its standard error.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.plane.kubectl(&self.within(args))
    }

    /// kubectl in this namespace; what it prints, or its standard error.
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        self.plane.try_kubectl(&self.within(args))
    }

    fn within<'b>(&'b self, args: &[&'b str]) -> Vec<&'b str> {
        [&["-n", self.name.as_str()], args].concat()
    }

    /// `kubectl apply --server-side` in this namespace.
    pub(crate) fn apply(&self, yaml: &str) {
        let args = self.within(&["apply", "--server-side", "--force-conflicts", "-f", "-"]);
        if let Err(error) = self.plane.kubectl_with_input(&args, yaml) {
            panic!("kubectl apply: {error}\n{yaml}");
        }
    }

    /// The same with something changed in each object.
    pub(crate) fn apply_with(&self, yaml: &str, change: impl Fn(&mut Value)) {
        let args = self.within(&["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"]);
        let text = self.plane.kubectl_with_input(&args, yaml);
        let text = text.unwrap_or_else(|error| panic!("kubectl create --dry-run: {error}\n{yaml}"));
        let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let documents: Vec<Value> = documents.map(|document| document.expect("JSON of kubectl")).collect();
        let lists = documents.iter().filter_map(|document| document["items"].as_array()).flatten();
        let single = documents.iter().filter(|document| document["items"].is_null());
        let mut objects: Vec<Value> = lists.chain(single).cloned().collect();
        objects.iter_mut().for_each(change);
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string());
    }

    /// Decides whether a pod is ready, as its readiness probe would.
    pub(crate) fn set_ready(&self, pod: &str, ready: bool) {
        self.annotate_pod(pod, "rollcall.test/ready", if ready { "true" } else { "false" });
    }

    /// Annotates a pod; tests/cluster/stages/pod.yaml says which annotations the kubelets heed.
    pub(crate) fn annotate_pod(&self, pod: &str, key: &str, value: &str) {
        self.kubectl(&["annotate", "--overwrite", "pod", pod, &format!("{key}={value}")]);
    }

    /// Waits until the pod runs, and returns its addresses; whether it is ready does not matter.
    pub(crate) fn wait_running(&self, pod: &str) -> Vec<IpAddr> {
        self.wait_for_pod(pod, "runs", |state| state.phase == "Running" && !state.deleted)
    }

    /// Waits until the pod is ready, and returns its addresses.
    pub(crate) fn wait_ready(&self, pod: &str) -> Vec<IpAddr> {
        self.wait_for_pod(pod, "is ready", |state| state.ready == "True" && !state.deleted)
    }

    /// Waits until the pod is not ready any more, and returns its addresses.
    pub(crate) fn wait_not_ready(&self, pod: &str) -> Vec<IpAddr> {
        self.wait_for_pod(pod, "is not ready", |state| state.ready == "False" && !state.deleted)
    }

    fn wait_for_pod(&self, pod: &str, what: &str, accept: impl Fn(&Pod) -> bool) -> Vec<IpAddr> {
        wait_until(&format!("pod {}/{pod} {what}", self.name), STEP, || match self.pod(pod) {
            Some(state) if accept(&state) => Ok(state.addresses),
            other => Err(other.map(Box::new)),
        })
    }

    /// Waits until the pod is Terminating, and returns its uid.
    pub(crate) fn wait_deleted(&self, pod: &str) -> String {
        wait_until(&format!("pod {}/{pod} is Terminating", self.name), STEP, || match self.pod(pod) {
            Some(state) if state.deleted => Ok(state.uid),
            other => Err(other.map(Box::new)),
        })
    }

    /// Waits until the pod of this uid is gone; another of the same name may be there.
    pub(crate) fn wait_gone(&self, pod: &str, uid: &str) {
        wait_until(&format!("pod {}/{pod} is gone", self.name), STEP, || match self.pod(pod) {
            Some(state) if state.uid == uid => Err(Box::new(state)),
            _ => Ok(()),
        });
    }

    /// The pod as it is; None where there is none.
    pub(crate) fn pod(&self, pod: &str) -> Option<Pod> {
        let fields = "jsonpath={.metadata.uid}|{.metadata.deletionTimestamp}|{.status.phase}|\
            {.status.conditions[?(@.type=='Ready')].status}|{.spec.nodeName}|{.status.podIPs[*].ip}";
        let text = match self.try_kubectl(&["get", "pod", pod, "-o", fields]) {
            Ok(text) => text,
            Err(error) if error.contains("NotFound") => return None,
            Err(error) => panic!("kubectl get pod {pod}: {error}"),
        };
        let fields: Vec<&str> = text.split('|').collect();
        let [uid, deleted, phase, ready, node, addresses] = fields.as_slice() else {
            panic!("kubectl get pod {pod}: {text}");
        };
        Some(Pod {
            uid: (*uid).to_owned(),
            deleted: !deleted.is_empty(),
            phase: (*phase).to_owned(),
            ready: (*ready).to_owned(),
            node: (*node).to_owned(),
            addresses: addresses.split_whitespace().map(|address| address.parse().unwrap()).collect(),
        })
    }

    /// The names of the pods there are, in order.
    pub(crate) fn pods(&self) -> Vec<String> {
        let names = self.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"]);
        let mut names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The name of the one EndpointSlice of a Service.
    pub(crate) fn slice_of(&self, service: &str) -> String {
        let of = format!("kubernetes.io/service-name={service}");
        let names = "jsonpath={.items[*].metadata.name}";
        let name = self.kubectl(&["get", "endpointslices", "-l", &of, "-o", names]);
        assert!(!name.is_empty() && !name.contains(' '), "one slice of {service}: {name:?}");
        name
    }

    /// The IPv4 clusterIP of a Service.
    pub(crate) fn cluster_ip(&self, service: &str) -> IpAddr {
        self.kubectl(&["get", "service", service, "-o", "jsonpath={.spec.clusterIP}"]).parse().unwrap()
    }

    /// A kubeconfig of a new account, which may do with these kinds of this namespace what these verbs say; lists of
    /// either, with commas. It may take a moment until that counts.
    pub(crate) fn account(&self, name: &str, verbs: &str, kinds: &str) -> PathBuf {
        self.kubectl(&["create", "serviceaccount", name]);
        let (verbs, kinds) = (format!("--verb={verbs}"), format!("--resource={kinds}"));
        self.kubectl(&["create", "role", name, &verbs, &kinds]);
        let account = format!("--serviceaccount={}:{name}", self.name);
        self.kubectl(&["create", "rolebinding", name, &format!("--role={name}"), &account]);
        let token = self.kubectl(&["create", "token", name]);
        let file = work_folder().join(format!("{}-{name}.kubeconfig", self.name));
        self.plane.kubeconfig_for(&file, self.plane.api_address(), token.trim());
        file
    }

    fn dump(&self) {
        let folder = failures_folder(&self.name);
        let kinds = "services,endpointslices,statefulsets,pods,persistentvolumeclaims";
        let questions: [(&str, &[&str]); 4] = [
            ("objects.yaml", &["get", kinds, "-o", "yaml", "--show-managed-fields=false"]),
            ("pods.txt", &["get", "pods", "-o", "wide"]),
            ("events.txt", &["get", "events", "--sort-by=.metadata.creationTimestamp"]),
            ("cluster.yaml", &["get", "nodes,persistentvolumes", "-o", "yaml"]),
        ];
        for (file, args) in questions {
            let text = self.try_kubectl(args).unwrap_or_else(|error| error);
            let _ = fs::write(folder.join(file), text);
        }
        // The control plane's, and those of rollcall and CoreDNS.
        for logs in [self.plane.folder(), work_folder()] {
            for (file, text) in log_tails(logs) {
                let _ = fs::write(folder.join(file), text);
            }
        }
        eprintln!("the state of namespace {} is in {}", self.name, folder.display());
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.dump();
        }
        // Not waited for; a control plane that is gone already has no namespace either.
        let args = ["delete", "namespace", &self.name, "--wait=false", "--request-timeout=5s"];
        let _ = self.plane.try_kubectl(&args);
    }
}

/// The last lines of the logs in a folder, by file name.
fn log_tails(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|log| (log.file_name().unwrap().to_string_lossy().into_owned(), tail(&log, 400))).collect()
}

/// What tests ask about a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Another pod of the same name has another.
    pub(crate) uid: String,
    /// Has a deletion timestamp: Terminating.
    pub(crate) deleted: bool,
    /// `Pending`, `Running`, …
    pub(crate) phase: String,
    /// The Ready condition: `True`, `False` or empty.
    pub(crate) ready: String,
    /// The node it is on; empty before it is scheduled.
    pub(crate) node: String,
    /// Its addresses, its own family first.
    pub(crate) addresses: Vec<IpAddr>,
}
