//! The StatefulSets that are rolled, each behind a headless service of its name.

use std::time::{Duration, Instant};

use super::super::oracle::Services;
use crate::support::{Namespace, wait_until};

/// How long all pods may take to be made, or made anew, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);

/// Some sets of the same size, in a namespace of theirs.
#[derive(Debug)]
pub(super) struct Sets<'a> {
    namespace: Namespace<'a>,
    count: usize,
    replicas: usize,
}

impl<'a> Sets<'a> {
    /// Makes them, and waits until every pod is ready.
    pub(super) fn create(namespace: Namespace<'a>, count: usize, replicas: usize) -> Self {
        let begin = Instant::now();
        namespace.apply(&(0..count).map(|set| manifest(&name(set), replicas)).collect::<String>());
        let sets = Self { namespace, count, replicas };
        sets.wait(&mut || (), "{.status.readyReplicas}");
        println!("{} pods made in {:.1} s", count * replicas, begin.elapsed().as_secs_f32());
        sets
    }

    /// What is asked about.
    pub(super) fn services(&self) -> Services<'_> {
        let hosts = |set| (0..self.replicas).map(move |host| format!("{}-{host}", name(set)));
        Services::new(&self.namespace, (0..self.count).map(name).collect(), hosts)
    }

    /// Every pod is made anew, in each set one after the other; calls `meanwhile` again and again until all
    /// are ready.
    pub(super) fn restart(&self, meanwhile: &mut impl FnMut()) {
        self.namespace.kubectl(&["rollout", "restart", "statefulset"]);
        self.wait(meanwhile, "{.status.updatedReplicas}");
        self.wait(meanwhile, "{.status.readyReplicas}");
    }

    /// Waits until this field of the status counts all replicas in each set, as the controller saw it last.
    fn wait(&self, meanwhile: &mut impl FnMut(), field: &str) {
        let template = format!(
            "jsonpath={{range .items[*]}}{{.metadata.generation}},{{.status.observedGeneration}},{field} {{end}}"
        );
        let wanted = self.replicas.to_string();
        wait_until(&format!("{field} of every set is {wanted}"), PATIENCE, || {
            meanwhile();
            let text = self.namespace.kubectl(&["get", "statefulsets", "-o", &template]);
            let is_done = |set: &&str| match set.split(',').collect::<Vec<_>>()[..] {
                [generation, seen, count] => generation == seen && count == wanted,
                _ => false,
            };
            if text.split_whitespace().filter(is_done).count() == self.count { Ok(()) } else { Err(text) }
        });
    }
}

/// The name of a set, and of its service.
fn name(set: usize) -> String {
    format!("set-{set}")
}

/// Parallel, so that the pods are there soon; a rolling update goes one by one all the same.
fn manifest(name: &str, replicas: usize) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  serviceName: {name}
  replicas: {replicas}
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, image: none}}]}}
---
"
    )
}
