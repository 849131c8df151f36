//! Real stateful software, made into clusters by rollcall's names and `rollcall peers`: the manifests of deploy/examples as
//! they are, their scripts run by real processes in network namespaces at the pods' addresses, on the real control plane.
//!
//! What is written before a pod is recreated with another address is read after it, and the cluster is whole again, with
//! nobody's help.

mod etcd;
mod mariadb;
mod redis;

use std::process::Command;
use std::time::Duration;

use crate::support::{ControlPlane, Kubelet, NamedNetwork, Namespace, repository, wait_until, with_kubelet};

/// How long a step may take: databases start and elections are held, on a machine that does other things.
const STEP: Duration = Duration::from_secs(240);

/// An example of deploy/examples that runs.
struct Example {
    // Dropped in this order: the pods before what they ask.
    kubelet: Kubelet,
    _names: NamedNetwork,
    namespace: Namespace<'static>,
}

impl Example {
    /// Applies these files of `deploy/examples/FOLDER`, with volumes for these claims. None where a program is missing, which
    /// is said.
    fn start(folder: &str, files: &[&str], claims: &[String], programs: &[(&str, &str)]) -> Option<Self> {
        for (program, package) in programs {
            let found = Command::new("which").arg(program).output().is_ok_and(|run| run.status.success());
            if !found {
                println!("software: {folder}: SKIPPED, for there is no {program} (Debian package {package})");
                return None;
            }
        }
        let plane = ControlPlane::shared();
        let namespace = plane.namespace(folder);
        // As strict as a namespace can be: a pod that asks for more is not made.
        namespace.kubectl(&[
            "label",
            "namespace",
            namespace.name(),
            "pod-security.kubernetes.io/enforce=restricted",
        ]);
        for claim in claims {
            plane.apply(&volume(namespace.name(), claim));
        }
        let names = NamedNetwork::start(plane);
        let kubelet = names.kubelet(&namespace);
        for file in files {
            let path = repository(&format!("deploy/examples/{folder}/{file}"));
            let manifests =
                std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            namespace.apply_with(&manifests, with_kubelet);
        }
        Some(Self { kubelet, _names: names, namespace })
    }

    /// Waits until the pods of a set are ready, and returns the uids of these.
    fn wait_ready(&self, set: &str, replicas: usize) -> Vec<String> {
        let pods = (0..replicas).map(|ordinal| format!("{set}-{ordinal}"));
        pods.map(|name| {
            wait_until(&format!("{name} is ready"), STEP, || match self.namespace.pod(&name) {
                Some(pod) if pod.ready == "True" && !pod.deleted => Ok(pod.uid),
                other => Err(Box::new(other)),
            })
        })
        .collect()
    }

    /// Deletes a pod, does something while it is away, and waits until it is ready again, at another address.
    fn recreate(&self, pod: &str, meanwhile: impl FnOnce()) {
        let before = self.namespace.pod(pod).unwrap();
        self.namespace.kubectl(&["delete", "pod", pod, "--wait=false"]);
        meanwhile();
        let after =
            wait_until(&format!("{pod} is another one, and ready"), STEP, || match self.namespace.pod(pod) {
                Some(now) if now.uid != before.uid && now.ready == "True" => Ok(now),
                other => Err(Box::new(other)),
            });
        assert_ne!(after.addresses, before.addresses, "{pod} has another address");
        println!("software: {pod} was {:?} and is {:?}", before.addresses, after.addresses);
    }

    fn scale(&self, set: &str, replicas: usize) {
        self.namespace.kubectl(&["scale", "statefulset", set, &format!("--replicas={replicas}")]);
    }

    /// Runs a command in a container until it does well and prints what is wanted; returns what it prints.
    fn until(
        &self,
        what: &str,
        pod: &str,
        container: &str,
        command: &[&str],
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        wait_until(&format!("{what} ({pod}: {})", command.join(" ")), STEP, || {
            let printed = self.kubelet.exec(pod, container, command)?;
            if wanted(&printed) { Ok(printed) } else { Err(printed) }
        })
    }
}

/// A volume for one claim of one namespace: there is nobody here who makes them.
fn volume(namespace: &str, claim: &str) -> String {
    format!(
        "apiVersion: v1
kind: PersistentVolume
metadata: {{name: {namespace}-{claim}}}
spec:
  storageClassName: ''
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  claimRef: {{namespace: {namespace}, name: {claim}}}
  hostPath: {{path: /nowhere}}
"
    )
}
