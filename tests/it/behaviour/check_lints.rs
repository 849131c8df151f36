//! `rollcall check` as a linter: what is printed, for whom, and with which exit code.

use std::path::Path;

use serde_json::Value;

use super::manifests::{documents, nginx, service_with, stateful, text};
use super::process::{Finished, rollcall, run, run_with};

/// A missing governing Service (an error), a governing Service with a cluster IP (a warning), an unnamed port (a note).
fn faulty() -> String {
    documents(&[
        stateful("nginx", "web", 2).replace("serviceName: nginx", "serviceName: ngnix"),
        stateful("db", "db", 1).replace("clusterIP: None, ", ""),
        stateful("cache", "cache", 1).replace("name: web, ", ""),
    ])
}

fn check(input: &str, args: &[&str]) -> Finished {
    run_with(&mut rollcall(&[&["check", "--manifests", "-"], args].concat()), input)
}

/// The ids of the findings, with their severities, as JSON gives them.
fn ids(finished: &Finished) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&finished.out).unwrap_or_else(|_| panic!("{finished:?}"));
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = document["findings"].as_array().unwrap().iter();
    findings.map(|finding| (text(finding, "severity"), text(finding, "id"))).collect()
}

#[test]
fn each_finding_names_line_object_field_and_what_to_do() {
    let finished = check(&faulty(), &[]);
    let lines: Vec<&str> = finished.out.lines().collect();
    let place = "error: -:9: document 2: StatefulSet default/web: spec.serviceName: no Service ngnix in namespace default";
    let at =
        lines.iter().position(|line| line.starts_with(place)).unwrap_or_else(|| panic!("{}", finished.out));
    assert!(lines[at].ends_with("[governing-service-missing]"), "{}", lines[at]);
    assert!(lines[at + 1].starts_with("    apply this Service"), "{}", lines[at + 1]);
    assert!(finished.out.contains("1 errors, 1 warnings, 1 notes"), "{}", finished.out);
    assert!(!finished.out.contains('\u{1b}'), "colour into a pipe: {}", finished.out);
}

#[test]
fn the_level_decides_the_exit_code() {
    let error = faulty();
    let warning = error.replace("ngnix", "nginx");
    let note = stateful("cache", "cache", 1).replace("name: web, ", "");
    for (input, codes) in
        [(&error, [1, 1, 1]), (&warning, [0, 1, 1]), (&note, [0, 0, 1]), (&nginx(1), [0, 0, 0])]
    {
        let levels = ["error", "warning", "note"];
        let given = levels.map(|level| check(input, &["--severity", level]).code);
        assert_eq!(given, codes, "{input}");
    }
    assert_eq!((check(&error, &[]).code, check(&warning, &[]).code), (1, 0));
}

#[test]
fn what_is_allowed_or_silenced_is_not_said() {
    let finished =
        check(&faulty(), &["--output", "json", "--allow", "port-unnamed,governing-service-missing"]);
    assert_eq!(ids(&finished), [("warning".to_owned(), "governing-service-not-headless".to_owned())]);
    assert_eq!(finished.code, 0);

    let annotation =
        "metadata: {name: web, annotations: {rollcall/ignore: 'governing-service-missing, no-such-lint'}}";
    let finished = check(&faulty().replace("metadata: {name: web}", annotation), &[]);
    assert_eq!(finished.code, 0, "{}", finished.out);
    assert!(!finished.out.contains("ngnix"), "{}", finished.out);
    // A slip of the hand would silence nothing, and nobody would know.
    assert!(finished.out.contains("`no-such-lint` is no lint"), "{}", finished.out);
    assert!(finished.out.contains("note: -:8: document 2: StatefulSet default/web"), "{}", finished.out);
    assert!(finished.out.trim_end().ends_with(", 1 silenced"), "{}", finished.out);
}

#[test]
fn what_objects_hold_writes_nothing_of_its_own_on_a_terminal() {
    let annotation = "metadata: {name: web, annotations: {rollcall/ignore: \"\\e]0;taken\\a, x\\n::error ::y, \\u202etxet\"}}";
    let finished = check(&faulty().replace("metadata: {name: web}", annotation), &[]);
    let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!finished.out.contains(odd), "{:?}", finished.out);
    assert!(finished.out.lines().all(|line| !line.trim_start().starts_with("::")), "{}", finished.out);
    assert!(finished.out.contains("`\u{fffd}]0;taken\u{fffd}` is no lint"), "{}", finished.out);
}

#[test]
fn json_has_every_part() {
    let finished = check(&faulty(), &["--output", "json"]);
    let document: Value = serde_json::from_str(&finished.out).unwrap();
    assert_eq!((document["version"].as_u64(), finished.code), (Some(1), 1));
    assert_eq!(
        [&document["errors"], &document["warnings"], &document["notes"]].map(Value::as_u64),
        [Some(1); 3]
    );
    assert_eq!(document["silenced"].as_u64(), Some(0));
    assert_eq!(document["objects"]["Services"].as_u64(), Some(3));
    assert_eq!(document["skipped"].as_array().map(Vec::len), Some(0));
    let finding = &document["findings"][0];
    assert_eq!(finding["id"], "governing-service-missing");
    assert_eq!([&finding["document"], &finding["line"]].map(Value::as_u64), [Some(2), Some(9)]);
    assert_eq!(
        finding["object"],
        serde_json::json!({"kind": "StatefulSet", "namespace": "default", "name": "web"})
    );
    assert_eq!((finding["file"].as_str(), finding["field"].as_str()), (Some("-"), Some("spec.serviceName")));
    assert!(finding["fix"].as_str().unwrap().contains("kind: Service"), "{finding}");
    // What is wrong with an object by itself is there too.
    let finished = check(&service_with("a", "{clusterIP: 10.0.0.256}"), &["--output", "json"]);
    assert_eq!((ids(&finished), finished.code), (vec![("error".to_owned(), "input".to_owned())], 1));
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("my deploy")).unwrap();
    std::fs::write(folder.path().join("my deploy/web.yaml"), faulty()).unwrap();
    let mut command = rollcall(&["check", "--manifests", "my deploy", "--output", "sarif"]);
    let finished = run_with(command.current_dir(folder.path()), "");
    let log: Value = serde_json::from_str(&finished.out).unwrap();
    assert_eq!((log["version"].as_str(), finished.code), (Some("2.1.0"), 1));
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), rollcall::lints::LINTS.len() + 1);
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for result in results {
        // The index is the rule's, and the level one of the standard's.
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert_eq!(rule["defaultConfiguration"]["level"], result["level"]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20deploy/web.yaml");
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
    }
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    // Standard input is no file that anybody could open.
    let finished = check(&faulty(), &["--output", "sarif"]);
    let log: Value = serde_json::from_str(&finished.out).unwrap();
    let location = &log["runs"][0]["results"][0]["locations"][0];
    assert!(location.get("physicalLocation").is_none(), "{location}");
    assert_eq!(location["logicalLocations"][0]["fullyQualifiedName"], "StatefulSet default/web");
}

#[test]
fn a_corefile_is_looked_at_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Corefile");
    let corefile = |text: &str, args: &[&str]| {
        std::fs::write(&path, text).unwrap();
        check(&nginx(1), &[&["--corefile", text_of(&path)], args].concat())
    };
    let finished = corefile("cluster.local {\n  forward . 10.96.0.53\n  cache 30\n}\n", &[]);
    let line = finished.out.lines().find(|line| line.ends_with("[corefile-denial-cached]"));
    assert!(line.unwrap().contains("Corefile:3: a name of cluster.local"), "{}", finished.out);
    // Another cluster domain's block is not the cluster's.
    let other = corefile("cluster.local {\n  forward . 10.96.0.53\n  cache 30\n}\n", &["--zone", "c.test"]);
    assert!(!other.out.contains("corefile-"), "{}", other.out);
    let broken = corefile("cluster.local {\n", &[]);
    assert_eq!(broken.code, 1);
    assert!(broken.err.contains("Corefile") && broken.err.contains("line 1"), "{}", broken.err);
    let missing = check(&nginx(1), &["--corefile", "not-there"]);
    assert!(missing.code == 1 && missing.err.contains("not-there"), "{missing:?}");
}

fn text_of(path: &Path) -> &str {
    text(path)
}

#[test]
fn a_page_explains_each_id() {
    let finished = run(&["check", "--explain", "port-unnamed"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""));
    assert!(
        finished.out.starts_with("# port-unnamed\n") && finished.out.contains("## Fix"),
        "{}",
        finished.out
    );
    for args in [
        ["--explain", "no-such-lint"],
        ["--allow", "no-such-lint"],
        ["--severity", "bad"],
        ["--output", "xml"],
    ] {
        let finished = run(&[&["check"], args.as_slice()].concat());
        assert_eq!(finished.code, 2, "{args:?}");
        assert!(finished.err.contains("possible values"), "{args:?}: {}", finished.err);
    }
}

#[test]
fn kubectl_finds_it_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-rollcall");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rollcall"), &plugin).unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(&plugin);
        run_with(command.args(args).env_remove("KUBECONFIG").env("HOME", folder.path()), "")
    };
    let help = run(&["check", "--help"]);
    assert!(help.out.contains("Usage: kubectl rollcall check"), "{}", help.out);
    assert!(run(&["--unheard"]).err.contains("Usage: kubectl rollcall"));
    // Its cluster is kubectl's: the file that kubectl would read, and not a word of manifests.
    let finished = run(&["check"]);
    assert_eq!(finished.code, 1);
    assert!(finished.err.contains("kubeconfig"), "{}", finished.err);
}
