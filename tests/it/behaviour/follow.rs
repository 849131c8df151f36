//! A folder or a file that is followed: what changes is answered, what is bad changes nothing and is said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::asking::{addresses, ask, eventually, until_addresses};
use super::manifests::{NGINX, documents, nginx, replace, service_with, stateful, text};
use super::process::Process;

const DB: &str = "db.default.svc.cluster.local";

/// A folder with [`nginx`] of two replicas in `web.yaml`, served.
fn served() -> (tempfile::TempDir, PathBuf, Process) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(2)).unwrap();
    let process = Process::serve(&["--manifests", text(folder.path())]);
    assert_eq!(addresses(process.address(), NGINX).len(), 2);
    (folder, path, process)
}

/// The nginx manifests with a Service whose second port is none.
fn bad() -> String {
    let spec =
        "{clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}, {name: x, port: 0}]}";
    let whole = nginx(5);
    let (_, set) = whole.split_once("---\n").unwrap();
    documents(&[service_with("nginx", spec), set.to_owned()])
}

#[test]
fn a_new_an_edited_and_a_deleted_file() {
    let (folder, path, process) = served();
    let server = process.address();
    std::fs::write(folder.path().join("db.yml"), stateful("db", "db", 1)).unwrap();
    until_addresses(server, DB, 1);
    // Written in place, as `sed -i` does not and `cat >` does.
    std::fs::write(&path, nginx(4)).unwrap();
    until_addresses(server, NGINX, 4);
    std::fs::remove_file(folder.path().join("db.yml")).unwrap();
    eventually("no db", || {
        let reply = ask(server, &format!("-t A {DB}"));
        if reply.status == "NXDOMAIN" { Ok(()) } else { Err(reply.status) }
    });
    // JSON as well.
    std::fs::write(
        folder.path().join("one.json"),
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"one"},"spec":{"clusterIP":"10.96.9.9","ports":[{"port":80}]}}"#,
    )
    .unwrap();
    until_addresses(server, "one.default.svc.cluster.local", 1);
    assert_eq!(addresses(server, NGINX).len(), 4);
}

#[test]
fn a_file_that_is_renamed_over_and_one_that_is_renamed() {
    let (folder, path, process) = served();
    let server = process.address();
    for replicas in [3, 1, 4] {
        replace(&path, &nginx(replicas));
        until_addresses(server, NGINX, replicas as usize);
    }
    // A name that is no manifest's takes it away; back again, it is there again.
    let aside = folder.path().join("web.yaml.off");
    std::fs::rename(&path, &aside).unwrap();
    until_addresses(server, NGINX, 0);
    std::fs::rename(&aside, &path).unwrap();
    until_addresses(server, NGINX, 4);
}

#[test]
fn what_editors_leave_beside_is_no_manifest() {
    let (folder, path, process) = served();
    for name in [".web.yaml.swp", "web.yaml~", "#web.yaml#", ".hidden.yaml", "4913", "README.md"] {
        std::fs::write(folder.path().join(name), "kind: [unclosed").unwrap();
    }
    std::fs::create_dir(folder.path().join("below.yaml")).unwrap();
    replace(&path, &nginx(3));
    until_addresses(process.address(), NGINX, 3);
    let mut process = process;
    assert!(!process.printed().contains("ERROR"), "{}", process.printed());
}

#[test]
fn a_bad_edit_keeps_the_last_good_state_and_says_where_it_is_bad() {
    let (folder, path, mut process) = served();
    let server = process.address();
    let before = addresses(server, NGINX);
    replace(&path, &bad());
    let line = process.wait_for_words(&["spec.ports[1].port"]);
    for word in ["web.yaml", "document 1", "Service default/nginx", "ERROR"] {
        assert!(line.contains(word), "{word} in: {line}");
    }
    process.wait_for_words(&["web.yaml", "kept"]);
    // The other file goes on changing, the bad one stays as it was good.
    std::fs::write(folder.path().join("db.yaml"), stateful("db", "db", 1)).unwrap();
    until_addresses(server, DB, 1);
    assert_eq!(addresses(server, NGINX), before);

    replace(&path, "kind: [unclosed\n");
    process.wait_for_words(&["web.yaml:1", "document 1", "unclosed"]);
    assert_eq!(addresses(server, NGINX), before);

    // Mended, it counts again.
    replace(&path, &nginx(3));
    until_addresses(server, NGINX, 3);
}

#[test]
fn a_file_that_is_bad_from_the_start_gives_its_good_documents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, documents(&[service_with("bad", "{clusterIP: x}"), nginx(2)])).unwrap();
    let mut process = Process::serve(&["--manifests", text(folder.path())]);
    assert!(process.printed().contains("spec.clusterIP"), "{}", process.printed());
    assert_eq!(addresses(process.address(), NGINX).len(), 2);
}

#[test]
fn an_emptied_file_keeps_its_state_and_says_so() {
    let (_folder, path, mut process) = served();
    let server = process.address();
    let before = addresses(server, NGINX);
    for empty in ["", "# nothing here\n---\n"] {
        std::fs::write(&path, empty).unwrap();
        let line = process.wait_for_words(&["web.yaml", "empty"]);
        assert!(line.contains("ERROR"), "{line}");
        assert_eq!(addresses(server, NGINX), before);
        std::fs::write(&path, nginx(2)).unwrap();
        process.wait_for_words(&["published"]);
    }
    assert_eq!(addresses(server, NGINX), before);
}

#[test]
fn played_pods_keep_their_addresses_over_reloads_and_scaling() {
    let (folder, path, process) = served();
    let server = process.address();
    let host = |ordinal: u32| addresses(server, &format!("web-{ordinal}.{NGINX}")).join(" ");
    let (first, second) = (host(0), host(1));
    assert!(!first.is_empty() && first != second);
    for replicas in [5, 2, 4, 2] {
        replace(&path, &nginx(replicas));
        let all = until_addresses(server, NGINX, replicas as usize);
        assert_eq!((host(0), host(1)), (first.clone(), second.clone()), "at {replicas} replicas");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }
    // Another set, sorted before it, takes none of them.
    std::fs::write(folder.path().join("a.yaml"), stateful("db", "db", 3)).unwrap();
    let others = until_addresses(server, DB, 3);
    assert_eq!((host(0), host(1)), (first.clone(), second.clone()));
    assert!(!others.contains(&first) && !others.contains(&second), "{others:?}");
    // Nor does the move into another file.
    std::fs::rename(&path, folder.path().join("b.yaml")).unwrap();
    std::fs::write(folder.path().join("b.yaml"), nginx(3)).unwrap();
    until_addresses(server, NGINX, 3);
    assert_eq!((host(0), host(1)), (first, second));
}

#[test]
fn cluster_ips_that_were_given_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let front = |name: &str| service_with(name, "{selector: {app: x}, ports: [{port: 80}]}");
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, front("front")).unwrap();
    let process = Process::serve(&["--manifests", text(folder.path())]);
    let server = process.address();
    let name = |name: &str| format!("{name}.default.svc.cluster.local");
    let before = addresses(server, &name("front"));
    assert_eq!(before.len(), 1);
    replace(&path, &documents(&[front("a"), front("front"), front("z")]));
    let others = [until_addresses(server, &name("a"), 1), until_addresses(server, &name("z"), 1)];
    assert_eq!(addresses(server, &name("front")), before);
    assert!(!others.contains(&before), "{others:?}");
}

fn follows_a_single_file(argument: &str, path: &Path, folder: &Path) {
    let mut command =
        super::process::rollcall(&["serve", "--listen", "127.0.0.1:0", "--manifests", argument]);
    let mut process = Process::spawn(command.current_dir(folder), std::process::Stdio::null());
    process.wait_for_line("ready", |line| line == "ready");
    let server = process.address();
    let before = addresses(server, NGINX);
    replace(path, &nginx(3));
    until_addresses(server, NGINX, 3);
    std::fs::write(path, nginx(2)).unwrap();
    assert_eq!(until_addresses(server, NGINX, 2), before);
    // A file beside it is none of its business.
    std::fs::write(folder.join("other.yaml"), stateful("db", "db", 1)).unwrap();
    replace(path, &bad());
    process.wait_for_words(&["web.yaml", "document 1", "spec.ports[1].port"]);
    assert_eq!(addresses(server, NGINX), before);
    assert_eq!(ask(server, &format!("-t A {DB}")).status, "NXDOMAIN");
    // Gone: the last known state stays, and that is said.
    std::fs::remove_file(path).unwrap();
    let line = process.wait_for_words(&["web.yaml", "No such file"]);
    assert!(line.contains("ERROR"), "{line}");
    assert_eq!(addresses(server, NGINX), before);
    std::fs::write(path, nginx(4)).unwrap();
    until_addresses(server, NGINX, 4);
}

#[test]
fn a_single_file_is_followed_by_its_whole_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(2)).unwrap();
    follows_a_single_file(text(&path), &path, folder.path());
}

#[test]
fn a_single_file_is_followed_by_its_bare_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(2)).unwrap();
    follows_a_single_file("web.yaml", &path, folder.path());
}
