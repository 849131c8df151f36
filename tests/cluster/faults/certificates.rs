//! Certificates that are replaced: the API server's own, the authority that clients know it by, and the one that a
//! client has.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::api::{SecondApi, admin_token, write_kubeconfig};
use super::asker::Asker;
use super::scene::Scene;
use super::{RIGHT, bare};
use crate::support::{ControlPlane, Rollcall, make_authority, make_client, make_serving, wait_until};

/// How soon the server says that it is stale.
const NOTICED: Duration = Duration::from_secs(10);
/// For as long nobody replaces the files: what is trusted must not depend on how often it is tried.
const REFUSED: Duration = Duration::from_secs(6);
/// The files are read again after 15 s of trouble, and so often from then on.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// The API server fails and comes back with other credentials while all is changed; until `mend` has written the
/// client's files nothing new is known, and then all is right.
fn replaced(
    rollcall: &Rollcall,
    api: &mut SecondApi<'_>,
    scene: &Scene<'_>,
    generation: u8,
    flags: &[String],
    mend: Option<&dyn Fn()>,
) {
    let asker = Asker::start(rollcall.dns, scene.expectations(&[generation, generation + 1]));
    api.kill();
    wait_until("/readyz says degraded, and that it serves", NOTICED, || match rollcall.get("/readyz") {
        (200, body) if body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    scene.turn(generation + 1);
    asker.assert_unchanged();
    let mut back = api.start_with(flags);
    if let Some(mend) = mend {
        thread::sleep(REFUSED);
        asker.assert_unchanged();
        let (status, body) = rollcall.get("/readyz");
        assert!(status == 200 && body.contains("degraded"), "{status} {body}");
        mend();
        back = Instant::now();
    }
    let limit = if mend.is_some() { READ_AGAIN } else { RIGHT };
    let right = asker.right_within(limit).saturating_duration_since(back);
    wait_until("/readyz says nothing of degraded", READ_AGAIN, || match rollcall.get("/readyz") {
        (200, body) if !body.contains("degraded") => Ok(()),
        other => Err(other),
    });
    println!("right {:.2} s after it; {} answers", right.as_secs_f32(), asker.finish());
}

fn flag(name: &str, folder: &Path, file: &str) -> String {
    format!("--{name}={}", folder.join(file).display())
}

fn serving(folder: &Path, name: &str) -> Vec<String> {
    let (crt, key) = (format!("{name}.crt"), format!("{name}.key"));
    vec![flag("tls-cert-file", folder, &crt), flag("tls-private-key-file", folder, &key)]
}

/// A kubeconfig for the second API server whose files are the test's to replace.
fn start<'a>(plane: &'a ControlPlane, api: &SecondApi<'a>, user: &str) -> (Rollcall, PathBuf) {
    let authority = plane.folder().join("trusted.crt");
    fs::copy(plane.folder().join("ca.crt"), &authority).unwrap();
    let cluster =
        format!("server: \"https://{}\", certificate-authority: \"{}\"", api.address(), authority.display());
    let kubeconfig = plane.folder().join("files-kubeconfig");
    write_kubeconfig(&kubeconfig, &cluster, user);
    (Rollcall::start(&kubeconfig, &[]), authority)
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn certificate_of_the_api_server_is_replaced() {
    let plane = bare("serving", &[]);
    let folder = plane.folder();
    let mut api = SecondApi::new(&plane);
    api.start();
    let scene = Scene::new(&plane, "serving");
    let (rollcall, authority) = start(&plane, &api, &format!("token: {}", admin_token(&plane)));
    scene.settle(rollcall.dns);

    // Another one by the same authority is as good.
    make_serving(folder, "ca", "apiserver-2");
    replaced(&rollcall, &mut api, &scene, 0, &serving(folder, "apiserver-2"), None);
    // One by another authority is nobody's, until the file that the kubeconfig names knows it.
    make_authority(folder, "ca-2");
    make_serving(folder, "ca-2", "apiserver-3");
    let mend = || {
        fs::copy(folder.join("ca-2.crt"), &authority).unwrap();
    };
    replaced(&rollcall, &mut api, &scene, 1, &serving(folder, "apiserver-3"), Some(&mend));
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn certificate_of_the_client_is_replaced() {
    let plane = bare("client", &[]);
    let folder = plane.folder();
    let mut api = SecondApi::new(&plane);
    api.start();
    let scene = Scene::new(&plane, "client");
    make_client(folder, "ca", "client-1");
    let (crt, key) = (folder.join("client.crt"), folder.join("client.key"));
    let place = |name: &str| {
        fs::copy(folder.join(format!("{name}.key")), &key).unwrap();
        fs::copy(folder.join(format!("{name}.crt")), &crt).unwrap();
    };
    place("client-1");
    let user = format!("client-certificate: \"{}\", client-key: \"{}\"", crt.display(), key.display());
    let (rollcall, _) = start(&plane, &api, &user);
    scene.settle(rollcall.dns);

    // The API server knows clients by another authority: 401, until the files are those of a new client.
    make_authority(folder, "clients-2");
    make_client(folder, "clients-2", "client-2");
    let flags = [flag("client-ca-file", folder, "clients-2.crt")];
    replaced(&rollcall, &mut api, &scene, 0, &flags, Some(&|| place("client-2")));
}
