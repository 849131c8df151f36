//! `rollcall check`: every problem, where it is, and the exit code.

use std::path::Path;

use super::manifests::{documents, external, nginx, service_with, stateful, text};
use super::process::{Finished, run};

fn check(path: &Path) -> Finished {
    run(&["check", "--manifests", text(path)])
}

/// Checks a text that stands in a file `web.yaml`.
fn check_text(yaml: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, yaml).unwrap();
    check(&path)
}

/// The one line with these words; there must be exactly one.
fn line<'f>(finished: &'f Finished, words: &[&str]) -> &'f str {
    let is_it = |line: &&str| words.iter().all(|word| line.contains(word));
    let found: Vec<&str> = finished.out.lines().filter(is_it).collect();
    assert_eq!(found.len(), 1, "lines with {words:?} in:\n{}{}", finished.out, finished.err);
    found[0]
}

const BAD_PORT: &str = "{clusterIP: None, ports: [{name: a, port: 80}, {name: b, port: 70000}]}";

#[test]
fn good_input_is_counted_and_no_error() {
    let finished = check_text(&nginx(3));
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{}", finished.out);
    assert_eq!(finished.out.lines().count(), 1, "{}", finished.out);
    line(&finished, &["1 Services", "1 StatefulSets", "0 errors", "0 notes"]);
}

#[test]
fn each_bad_document_is_named_with_file_document_object_and_field() {
    let finished = check_text(&documents(&[
        service_with("first", "{clusterIP: None}"),
        service_with("second", BAD_PORT),
        "kind: [unclosed\n".into(),
        service_with("fourth", "{clusterIP: 10.0.0.256}"),
        service_with("fifth", "{type: Unheard}"),
        "just a text\n".into(),
        "apiVersion: v1\nmetadata: {name: x}\n".into(),
        service_with("eighth", "{clusterIP: None}"),
    ]));
    assert_eq!(finished.code, 1);
    for (document, words) in [
        ("document 2", ["Service default/second", "spec.ports[1].port"].as_slice()),
        ("document 3", &["unclosed"]),
        ("document 4", &["Service default/fourth", "spec.clusterIP", "10.0.0.256"]),
        ("document 5", &["Service default/fifth", "spec.type", "Unheard"]),
        ("document 6", &["an object with apiVersion and kind"]),
        ("document 7", &["kind", "missing"]),
    ] {
        let found = line(&finished, &[&[document, "web.yaml"], words].concat());
        assert!(found.starts_with("error: "), "{found}");
    }
    // The good ones are counted all the same: one bad document spoils only itself.
    line(&finished, &["2 Services", "6 errors"]);
}

#[test]
fn a_syntax_error_names_the_line_of_the_file_and_no_other() {
    let finished = check_text(&documents(&[nginx(1), "kind: [unclosed\n".into()]));
    let yaml_line = documents(&[nginx(1), String::new()]).lines().count() + 1;
    let found = line(&finished, &["unclosed"]);
    assert!(found.contains(&format!("web.yaml:{yaml_line}:")), "not line {yaml_line}: {found}");
    let others = found.split("line ").skip(1).filter(|rest| !rest.starts_with(&yaml_line.to_string()));
    assert_eq!(others.count(), 0, "two different lines in one message: {found}");
}

#[test]
fn items_of_a_list_are_numbered() {
    let finished = check_text(
        "apiVersion: v1\nkind: List\nitems:\n\
         - {apiVersion: v1, kind: Service, metadata: {name: good}, spec: {clusterIP: None}}\n\
         - {apiVersion: v1, kind: Service, metadata: {name: UPPER}, spec: {clusterIP: None}}\n\
         - {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}, {addresses: ['::1']}],\n\
         \x20  metadata: {name: s, labels: {kubernetes.io/service-name: good}}}\n",
    );
    assert_eq!(finished.code, 1);
    line(&finished, &["web.yaml", "document 1, item 2", "metadata.name"]);
    line(&finished, &["web.yaml", "document 1, item 3", "endpoints[1].addresses[0]", "::1"]);
    line(&finished, &["1 Services", "2 errors"]);
}

#[test]
fn a_duplicate_names_both_places() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), nginx(2)).unwrap();
    std::fs::write(folder.path().join("b.yaml"), documents(&[stateful("other", "x", 1), nginx(2)])).unwrap();
    let finished = check(folder.path());
    assert_eq!(finished.code, 1);
    line(&finished, &["b.yaml", "document 3", "Service default/nginx", "a.yaml", "document 1"]);
    line(&finished, &["b.yaml", "document 4", "StatefulSet default/web", "a.yaml", "document 2"]);
}

#[test]
fn a_ttl_annotation_out_of_range_names_the_annotation() {
    let annotated = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, annotations: {{rollcall/ttl: '{value}', rollcall/expected-ttl: '3600'}}}}\nspec: {{clusterIP: None}}\n"
        )
    };
    for bad in ["3601", "-1", "5s", "", "99999999999999999999"] {
        let finished = check_text(&annotated(bad));
        assert_eq!(finished.code, 1, "{bad:?}: {}", finished.out);
        line(&finished, &["document 1", "Service default/a", "metadata.annotations[rollcall/ttl]", "3600"]);
        // It is served, with the TTL of the configuration.
        line(&finished, &["1 Services", "1 errors"]);
    }
    for good in ["0", "3600"] {
        assert_eq!(check_text(&annotated(good)).code, 0, "{good:?}");
    }
}

#[test]
fn an_address_as_external_name_is_an_error() {
    for address in ["192.0.2.1", "192.0.2.1.", "'2001:db8::1'"] {
        let finished = check_text(&external("ext", address));
        assert_eq!(finished.code, 1, "{address}: {}", finished.out);
        line(&finished, &["document 1", "Service default/ext", "spec.externalName", "address"]);
    }
    assert_eq!(check_text(&external("ext", "www.example.org")).code, 0);
}

#[test]
fn what_is_not_played_is_a_note_and_no_error() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n";
    let finished = check_text(&documents(&[nginx(1), deployment.into()]));
    assert_eq!(finished.code, 0, "{}", finished.out);
    let found = line(&finished, &["Deployment default/web", "not played"]);
    assert!(found.starts_with("note: "), "{found}");
    line(&finished, &["0 errors", "1 notes"]);
}

#[test]
fn kinds_that_have_nothing_to_do_with_names_are_passed_over() {
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: y}\n";
    let finished = check_text(&documents(&[nginx(1), config_map.into()]));
    assert_eq!((finished.code, finished.out.lines().count()), (0, 1), "{}", finished.out);
}

#[test]
fn unreadable_input_is_exit_code_1_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = check(&folder.path().join("missing.yaml"));
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("missing.yaml") && missing.err.contains("No such file"), "{}", missing.err);

    // One file of a folder is that file's problem; the others are checked.
    std::fs::write(folder.path().join("a.yaml"), [0xff, 0xfe]).unwrap();
    std::fs::write(folder.path().join("b.yaml"), nginx(1)).unwrap();
    let finished = check(folder.path());
    assert_eq!(finished.code, 1);
    line(&finished, &["a.yaml", "UTF-8"]);
    line(&finished, &["1 Services", "1 errors"]);
}

#[test]
fn a_bad_command_line_is_exit_code_2() {
    for args in [["check", "--unheard"].as_slice(), &["check", "--manifests"], &["unheard"], &[]] {
        let finished = run(args);
        assert_eq!(finished.code, 2, "{args:?}: {}{}", finished.out, finished.err);
        assert!(finished.err.contains("--help"), "{args:?}: {}", finished.err);
    }
}

#[test]
fn without_a_source_it_says_so() {
    let finished = run(&["check"]);
    assert_eq!(finished.code, 1);
    assert!(finished.err.contains("--manifests"), "{}", finished.err);
}

#[test]
fn the_configurations_and_manifests_that_are_shipped_are_good() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["demo.toml", "rollcall.toml"] {
        let finished = run(&["check", "--config", text(&config.join(name))]);
        assert_eq!(finished.code, 0, "{name}: {}{}", finished.out, finished.err);
    }
}
