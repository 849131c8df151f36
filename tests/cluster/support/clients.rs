//! The clients that people have, as in a pod's shell: dig, busybox nslookup and ping, getent, Go and Node.
//!
//! How each is called, and how its answer is brought into one form, is `tests/clients/ask.sh`; here it is run
//! in a network namespace with a pod's resolv.conf.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::pod_network::Place;
use super::programs::{repository, work_folder};

/// A question to one client: its name in ask.sh, the record type, and the name or (for PTR) the address.
pub(crate) type ClientQuestion = (&'static str, &'static str, String);

/// Asks each client its questions, in this place, as a pod of this namespace. The answers are in ask.sh's
/// normal form.
pub(crate) fn ask_clients(
    place: &Place,
    namespace: &str,
    questions: &[ClientQuestion],
) -> BTreeMap<ClientQuestion, String> {
    let server = place.server().ip().to_string();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", place.name()]);
    command.arg(repository("tests/cluster/support/shell.sh"));
    command.arg(repository("tests/clients")).arg(pod_folder(place, namespace)).arg(&server);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("ip");
    let mut stdin = child.stdin.take().unwrap();
    for (client, record_type, name) in questions {
        writeln!(stdin, "{client} {record_type} {name}").unwrap();
    }
    drop(stdin);
    let run = child.wait_with_output().unwrap();
    assert!(run.status.success(), "the pod's shell: {}", String::from_utf8_lossy(&run.stderr));
    let printed = String::from_utf8(run.stdout).unwrap();
    let mut by_question = BTreeMap::new();
    for line in printed.lines() {
        let words: Vec<&str> = line.splitn(4, '\t').collect();
        let [client, record_type, name, answer] = words.as_slice() else { panic!("the pod's shell: {line}") };
        let asked = questions.iter().find(|q| (q.0, q.1, q.2.as_str()) == (*client, *record_type, *name));
        by_question.insert(asked.unwrap().clone(), (*answer).to_owned());
    }
    by_question
}

/// The files that a pod's shell has, for a place and a namespace.
fn pod_folder(place: &Place, namespace: &str) -> PathBuf {
    let folder = work_folder().join(format!("pod-{}-{namespace}", place.name()));
    if !folder.exists() {
        // Made beside and renamed: another thread's question must not find half of it.
        let new =
            folder.with_extension(format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-"));
        fs::create_dir(&new).unwrap();
        let search = format!("search {namespace}.svc.cluster.local svc.cluster.local cluster.local");
        let resolv = format!("{search}\nnameserver {}\noptions ndots:5\n", place.server().ip());
        fs::write(new.join("resolv.conf"), resolv).unwrap();
        fs::write(new.join("nsswitch.conf"), "hosts: files dns\n").unwrap();
        fs::write(new.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n").unwrap();
        std::os::unix::fs::symlink(lookup_go(), new.join("lookup-go")).unwrap();
        if fs::rename(&new, &folder).is_err() {
            assert!(folder.exists(), "no {}", folder.display());
        }
    }
    folder
}

/// tests/clients/lookup.go, built once, in a folder of its own.
pub(crate) fn lookup_go() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = work_folder().join("go");
        fs::create_dir(&folder).unwrap();
        let output = folder.join("lookup-go");
        let mut command = Command::new("go");
        command.args(["build", "-buildvcs=false", "-o"]).arg(&output).arg(".");
        command.current_dir(repository("tests/clients")).env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
        let run = command.output().expect("go");
        assert!(run.status.success(), "lookup.go: {}", String::from_utf8_lossy(&run.stderr));
        output
    })
}
