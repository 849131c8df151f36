//! What this repository ships: its demo, whose faults are its subject, and its Corefiles.

use std::path::Path;

use super::{checked, checked_text, found};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The demo plays scenarios; what is wrong in them is found, and nothing else. The one error is S5's subject, and is
/// silenced where it stands.
#[test]
fn the_demo_shows_its_faults() {
    let demo = checked(&root().join("config/demo"), None);
    let expected = [
        ("headless-port-remapped", "Service default/cassandra"),
        ("port-unnamed", "Service default/redis-h"),
        ("governing-service-not-headless", "StatefulSet default/redis-sts"),
    ];
    assert_eq!(found(&demo), expected.map(|(id, object)| (id, object.to_owned())));
    assert_eq!(demo.silenced, 1);
    let text = std::fs::read_to_string(root().join("config/demo/s5-kubia.yaml")).unwrap();
    let loud = checked_text(&text.replace("rollcall/ignore", "example.com/ignore"), None);
    let missing = ("governing-service-missing", "StatefulSet default/kubia".to_owned());
    assert_eq!((found(&loud), loud.silenced), (vec![missing], 0));
    let kubia = &loud.findings[0];
    assert!(kubia.message.contains("the headless Service kubia-state selects its pods"), "{}", kubia.message);
}

#[test]
fn our_corefiles_remember_nothing_that_hurts() {
    for entry in root().join("config/coredns").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(found(&checked_text("", Some(&text))), [], "{}", path.display());
    }
}

/// The cluster of the question-and-answer suites is made of oddities, each of them meant.
#[test]
fn the_suites_clusters_can_be_looked_at() {
    let services = root().join("tests/cases/cluster/services");
    for folder in [root().join("tests/cases/cluster"), services] {
        let ids: Vec<&str> = found(&checked(&folder, None)).into_iter().map(|(id, _)| id).collect();
        assert!(ids.iter().all(|id| SUITES.contains(id)), "{}: {ids:?}", folder.display());
    }
}

/// What those oddities are.
const SUITES: &[&str] = &[
    "governing-service-missing",
    "governing-service-not-headless",
    "replicas-zero",
    "slice-hostname-duplicate",
];
