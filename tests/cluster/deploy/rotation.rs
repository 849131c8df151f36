//! The account as a pod has it: files in a folder, which the kubelet replaces before the token in them ends.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::STEP;
use super::installed::Installed;
use crate::support::{ControlPlane, Options, Rollcall, ask, rollcall_program, wait_until, work_folder};

/// How long until a changed token is read, at the latest: kube reads the file once a minute. And a try more.
const TOKEN_READ: Duration = Duration::from_secs(75);

/// What a kubelet mounts at /var/run/secrets/kubernetes.io/serviceaccount.
struct Mounted(PathBuf);

impl Mounted {
    fn new(plane: &ControlPlane, name: &str, token: &str) -> Self {
        let folder = work_folder().join(name);
        fs::create_dir(&folder).unwrap();
        for file in ["token", "ca.crt", "namespace"] {
            symlink(Path::new("..data").join(file), folder.join(file)).unwrap();
        }
        let mounted = Self(folder);
        mounted.write(plane, "first", token);
        mounted
    }

    /// As a kubelet does: another folder, to which one link is turned at once.
    fn write(&self, plane: &ControlPlane, generation: &str, token: &str) {
        let files = self.0.join(format!("..{generation}"));
        fs::create_dir(&files).unwrap();
        fs::write(files.join("token"), token).unwrap();
        fs::write(files.join("namespace"), "rollcall").unwrap();
        fs::copy(plane.folder().join("ca.crt"), files.join("ca.crt")).unwrap();
        symlink(format!("..{generation}"), self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
    }

    /// rollcall as in a pod: neither kubeconfig nor manifests, the account where it belongs, in a mount
    /// namespace.
    fn rollcall(&self, plane: &ControlPlane) -> Rollcall {
        let place = "/run/secrets/kubernetes.io/serviceaccount";
        let script = format!(
            "mount -t tmpfs tmpfs /run && mkdir -p {place} && mount --bind '{}' {place} &&
                exec '{}' serve --listen 127.0.0.1:0 --admin 127.0.0.1:0",
            self.0.display(),
            rollcall_program().display(),
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("ROLLCALL_") || key == "KUBECONFIG" {
                command.env_remove(key);
            }
        }
        command.env("HOME", work_folder());
        command.env("KUBERNETES_SERVICE_HOST", plane.api_address().ip().to_string());
        command.env("KUBERNETES_SERVICE_PORT", plane.api_address().port().to_string());
        Rollcall::launch(&command)
    }
}

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{ports: [{{port: 80}}]}}
"
    )
}

/// Two as in pods; both tokens end, and one of them is replaced in time.
#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn a_token_that_is_rotated_is_read_again() {
    let plane =
        &ControlPlane::start("rotation", Options { controllers: false, nodes: 0, ..Options::default() });
    let installed = Installed::base(plane);
    // A token ends with the object that it is bound to; its own time is 10 minutes at least.
    let bound = |secret: &str| {
        installed.kubectl(&["create", "secret", "generic", secret]);
        installed.token(&["--bound-object-kind", "Secret", "--bound-object-name", secret])
    };
    let (old, new) = (bound("old"), bound("new"));
    plane.apply(&service("before"));
    let (rotated, forgotten) = (Mounted::new(plane, "rotated", &old), Mounted::new(plane, "forgotten", &old));
    let servers = [rotated.rollcall(plane), forgotten.rollcall(plane)];
    let rcode = |server: &Rollcall, name: &str| {
        ask(server.dns, &format!("{name}.default.svc.cluster.local."), RecordType::A).rcode
    };
    for server in &servers {
        server.ready();
        assert_eq!(rcode(server, "before"), ResponseCode::NoError);
    }

    rotated.write(plane, "second", &new);
    installed.kubectl(&["delete", "secret", "old"]);
    let file = work_folder().join("old.kubeconfig");
    plane.kubeconfig_for(&file, plane.api_address(), &old);
    wait_until("the old token is refused", STEP, || {
        let asked = plane.try_kubectl(&["--kubeconfig", file.to_str().unwrap(), "get", "services"]);
        match asked {
            Err(error) if error.contains("Unauthorized") => Ok(()),
            other => Err(other),
        }
    });
    // Watches that run are not cut when their token ends: the API server comes back without them.
    plane.kill_api();
    plane.start_api();
    plane.apply(&service("after"));
    wait_until("the one with the new token follows", TOKEN_READ, || {
        for server in &servers {
            assert_eq!(rcode(server, "before"), ResponseCode::NoError, "never worse than the last known");
        }
        match rcode(&servers[0], "after") {
            ResponseCode::NoError => Ok(()),
            other => Err((other, servers[0].stderr())),
        }
    });
    assert_eq!(rcode(&servers[1], "after"), ResponseCode::NXDomain, "the old token is good for nothing");
    let (status, body) = servers[1].get("/readyz");
    assert_eq!(status, 200, "it answers what it knows: {body}");
    assert!(body.contains("degraded"), "{body}");
}
