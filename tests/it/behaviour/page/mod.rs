//! The page and the API on the admin address: what they show, to whom, and how it stays so.

mod access;
mod answers;
mod events;
mod rendered;

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::manifests::text;
use super::process::Process;

/// A program that serves a folder, and its admin address.
struct Shown {
    process: Process,
    admin: SocketAddr,
    folder: tempfile::TempDir,
}

impl Shown {
    fn start(manifests: &str, toml: &str, admin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("rollcall.toml");
        let served = folder.path().join("served");
        std::fs::create_dir(&served).unwrap();
        std::fs::write(served.join("web.yaml"), manifests).unwrap();
        std::fs::write(&config, toml).unwrap();
        let args = ["--config", text(&config), "--manifests", text(&served), "--admin", admin];
        let mut process = Process::serve(&args);
        let printed = process.printed();
        let admin = printed.lines().find_map(|line| line.strip_prefix("listening admin ")).unwrap();
        let admin = admin.parse().unwrap();
        Self { process, admin, folder }
    }

    fn local(manifests: &str) -> Self {
        Self::start(manifests, "", "127.0.0.1:0")
    }

    /// Writes a file of the folder that is followed.
    fn write(&self, name: &str, text: &str) {
        super::manifests::replace(&self.folder.path().join("served").join(name), text);
    }
}

/// A set of five as an API server has it: one ready in both families, one not ready, one that goes, one that no slice has,
/// one that is not wanted any more and one that is wanted; and Services of each shape.
fn cluster() -> String {
    let mut text = "apiVersion: v1\nkind: Service\nmetadata: {name: nginx, namespace: default, uid: a}\nspec: {clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}, {name: dns, port: 81, protocol: UDP}]}\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web, namespace: default, uid: b}\nspec: {serviceName: nginx, replicas: 4, template: {metadata: {labels: {app: nginx}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: vip, namespace: default, uid: c}\nspec: {clusterIP: 10.96.0.9, ports: [{port: 1}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: ext, namespace: default, uid: d}\nspec: {type: ExternalName, externalName: db.example.org}\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: lost, namespace: default, uid: e}\nspec: {serviceName: gone, replicas: 1, template: {metadata: {labels: {app: x}}}}\n".to_owned();
    let endpoint = |ordinal: u32, address: &str, ready: bool, terminating: bool| {
        format!(
            "- {{addresses: ['{address}'], hostname: web-{ordinal}, conditions: {{ready: {ready}, terminating: {terminating}}}, targetRef: {{kind: Pod, namespace: default, name: web-{ordinal}, uid: u{ordinal}}}}}\n"
        )
    };
    for (family, endpoints) in [
        (
            "IPv4",
            endpoint(0, "10.244.0.5", true, false)
                + &endpoint(1, "10.244.0.6", false, false)
                + &endpoint(2, "10.244.0.7", false, true)
                + &endpoint(9, "10.244.0.8", false, true),
        ),
        ("IPv6", endpoint(0, "fd00::5", true, false)),
    ] {
        let name = format!("nginx-{}", family.to_lowercase());
        let _ = write!(
            text,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, namespace: default, uid: {name}, labels: {{kubernetes.io/service-name: nginx}}}}\naddressType: {family}\nports: [{{name: web, port: 80}}]\nendpoints:\n{endpoints}"
        );
    }
    text
}
