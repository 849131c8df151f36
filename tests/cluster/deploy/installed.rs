//! deploy/base on a control plane, and what its account may do there.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::STEP;
use crate::support::{ControlPlane, repository, wait_until, work_folder};

/// deploy/base applied, as it is or under other names beside it; deleted when it is dropped.
pub(super) struct Installed<'a> {
    pub(super) plane: &'a ControlPlane,
    pub(super) folder: PathBuf,
    namespace: String,
    pub(super) name: String,
}

impl<'a> Installed<'a> {
    /// As it is shipped.
    pub(super) fn base(plane: &'a ControlPlane) -> Self {
        Self::apply(plane, repository("deploy/base"), "rollcall", "rollcall")
    }

    /// An overlay as docs/deploy.md shows it: a namespace, a clusterIP and names of its own, and some
    /// components.
    pub(super) fn overlay(
        plane: &'a ControlPlane,
        name: &str,
        cluster_ip: &str,
        components: &[&str],
    ) -> Self {
        let folder = work_folder().join(format!("overlay-{name}"));
        fs::create_dir(&folder).unwrap();
        // Kustomize takes no absolute paths.
        let up = "../".repeat(folder.components().count() - 1);
        let path = |path: &str| format!("{up}{}", repository(path).strip_prefix("/").unwrap().display());
        let components: Vec<String> =
            components.iter().map(|name| path(&format!("deploy/components/{name}"))).collect();
        let text = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{}]
components: [{}]
namespace: {name}
nameSuffix: -{name}
images: [{{name: rollcall, newName: registry.example.com/rollcall, newTag: test}}]
patches:
  - target: {{kind: Service, name: rollcall}}
    patch: |-
      - {{op: replace, path: /spec/clusterIP, value: {cluster_ip}}}
",
            path("deploy/base"),
            components.join(", "),
        );
        fs::write(folder.join("kustomization.yaml"), text).unwrap();
        Self::apply(plane, folder, name, &format!("rollcall-{name}"))
    }

    fn apply(plane: &'a ControlPlane, folder: PathBuf, namespace: &str, name: &str) -> Self {
        let installed = Self { plane, folder, namespace: namespace.to_owned(), name: name.to_owned() };
        installed.plane.kubectl(&["apply", "--server-side", "-k", installed.folder.to_str().unwrap()]);
        installed
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> String {
        self.plane.kubectl(&[&["-n", self.namespace.as_str()], args].concat())
    }

    /// A token of its account.
    pub(super) fn token(&self, flags: &[&str]) -> String {
        self.kubectl(&[&["create", "token", &self.name], flags].concat()).trim().to_owned()
    }

    /// A kubeconfig of its account.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        let file = work_folder().join(format!("{}.kubeconfig", self.name));
        self.plane.kubeconfig_for(&file, self.plane.api_address(), &self.token(&[]));
        file
    }

    /// All that its account may do: resource and verbs, what everyone may ask about oneself left out.
    pub(super) fn grants(&self) -> BTreeSet<(String, String)> {
        let file = self.kubeconfig();
        let list = self.plane.kubectl(&["--kubeconfig", file.to_str().unwrap(), "auth", "can-i", "--list"]);
        let rows =
            list.lines().skip(1).filter(|row| !row.starts_with(' ') && !row.starts_with("selfsubject"));
        let grants = rows.map(|row| {
            let verbs = row.rsplit_once('[').unwrap().1.trim_end_matches(']');
            (row.split(' ').next().unwrap().to_owned(), verbs.to_owned())
        });
        grants.collect()
    }

    /// Takes a kind away from its account, and waits until the API server knows.
    pub(super) fn take_away(&self, kind: &str, rule: usize) {
        let patch = format!("[{{\"op\": \"remove\", \"path\": \"/rules/{rule}\"}}]");
        self.plane.kubectl(&["patch", "clusterrole", &self.name, "--type=json", "-p", &patch]);
        wait_until(&format!("{kind} is taken away"), STEP, || {
            let grants = self.grants();
            if grants.iter().any(|(resource, _)| resource.starts_with(kind)) { Err(grants) } else { Ok(()) }
        });
        assert_eq!(self.grants().len(), 3, "only {kind}");
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        // Not waited for; a control plane that is gone already has nothing to delete.
        let folder = self.folder.to_str().unwrap();
        let _ = self.plane.try_kubectl(&["delete", "--wait=false", "--ignore-not-found", "-k", folder]);
    }
}
