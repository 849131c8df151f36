//! deploy/examples: `rollcall check` finds nothing in them, and their names are there.

use std::path::{Path, PathBuf};

use super::process::run;

fn files() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let folders = examples.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| folder.read_dir().unwrap().map(|entry| entry.unwrap().path()));
    files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn nothing_is_found_in_the_examples() {
    let files = files();
    assert!(files.len() >= 4, "{files:?}");
    for file in &files {
        let path = file.to_str().unwrap();
        let finished = run(&["check", "--severity", "warning", "--manifests", path]);
        assert_eq!(finished.code, 0, "{path}: {finished:?}");
        // The check looks at what is there: a StatefulSet's Service by another name is found.
        let text = std::fs::read_to_string(file).unwrap();
        if let Some(at) = text.find("serviceName: ") {
            let folder = tempfile::tempdir().unwrap();
            let broken = folder.path().join("broken.yaml");
            std::fs::write(&broken, format!("{}serviceName: no-{}", &text[..at], &text[at + 13..])).unwrap();
            let finished = run(&["check", "--manifests", broken.to_str().unwrap()]);
            assert_eq!(finished.code, 1, "{path}: {finished:?}");
        }
    }
}

#[test]
fn each_example_has_a_readme_that_names_its_files() {
    for file in files() {
        let readme = file.with_file_name("README.md");
        let text = std::fs::read_to_string(&readme).unwrap_or_else(|e| panic!("{}: {e}", readme.display()));
        for name in [file.file_name().unwrap().to_str().unwrap(), "Dockerfile"] {
            assert!(text.contains(&format!("]({name})")), "{}: {name}", readme.display());
        }
    }
}

#[test]
fn the_replicas_of_the_examples_have_names() {
    for (example, host) in [
        ("etcd/etcd.yaml", "etcd-2.etcd"),
        ("redis/redis.yaml", "redis-2.redis"),
        ("mariadb/mariadb.yaml", "mysql-2.mysql"),
    ] {
        let path = format!("{}/deploy/examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let finished = run(&["records", "--manifests", &path]);
        assert!(
            finished.out.contains(&format!("{host}.default.svc.cluster.local.\t")),
            "{example}: {finished:?}"
        );
    }
}
