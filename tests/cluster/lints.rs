//! `rollcall check` on a live cluster: what each page of docs/lints shows is found there as well, through the API server,
//! with its defaults and its refusals; and an account of a namespace is told what it may not see.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::support::{ControlPlane, Namespace, program, rollcall_program, wait_until, work_folder};

/// What the API server does not take in the first place.
const REFUSED: &[&str] = &["ports-without-names", "set-name-not-a-label", "ip-families-inconsistent"];
/// Pods of this control plane have IPv4 alone, which is found where a page's Service lists both families.
const OF_THE_PLANE: &str = "family-without-endpoints";
/// How long controllers may take to have done what a lint looks at.
const STEP: Duration = Duration::from_secs(60);

fn check(kubeconfig: &Path, namespace: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(rollcall_program());
    command.env_remove("KUBECONFIG").env("ROLLCALL_ADMIN", "off");
    command.args(["check", "-n", namespace, "--kubeconfig"]).arg(kubeconfig);
    command.args(arguments).output().expect("rollcall starts")
}

/// The ids that are found in a namespace, but for what is wrong with single objects.
fn found(namespace: &Namespace<'_>) -> BTreeSet<String> {
    let output = check(namespace.plane().kubeconfig(), namespace.name(), &["--output", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let ids = document["findings"].as_array().unwrap().iter();
    let ids = ids.map(|finding| finding["id"].as_str().unwrap().to_owned());
    ids.filter(|id| id != "input").collect()
}

/// The YAML block of a page under a heading, for a namespace that is not `default`; None for a Corefile's page.
fn example(page: &str, heading: &str, namespace: &str) -> Option<String> {
    let section = page.split(&format!("\n## {heading}\n\n```yaml\n")).nth(1)?;
    let yaml = section.split("```").next()?;
    Some(yaml.replace(".default.", &format!(".{namespace}.")))
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn what_each_page_shows_is_found() {
    let plane = ControlPlane::shared();
    for lint in rollcall::lints::LINTS {
        for (heading, expected) in [("Found here", vec![lint.id]), ("Not here", vec![])] {
            let Some(_) = example(lint.page, heading, "") else { continue };
            let namespace = plane.namespace("lints");
            let yaml = example(lint.page, heading, namespace.name()).unwrap();
            let apply = ["-n", namespace.name(), "apply", "--server-side", "-f", "-"];
            let applied = plane.kubectl_with_input(&apply, &yaml);
            if REFUSED.contains(&lint.id) && !expected.is_empty() {
                let refusal = applied.expect_err(lint.id);
                assert!(refusal.contains("invalid"), "{}: {refusal}", lint.id);
                continue;
            }
            applied.unwrap_or_else(|error| panic!("{}, {heading}: {error}", lint.id));
            let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
            wait_until(&format!("{}, {heading}", lint.id), STEP, || {
                let mut ids = found(&namespace);
                ids.retain(|id| id != OF_THE_PLANE || lint.id == OF_THE_PLANE);
                if ids == expected { Ok(()) } else { Err(ids) }
            });
        }
    }
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn an_account_is_told_what_it_may_not_see() {
    let namespace = ControlPlane::shared().namespace("lints-rbac");
    let page = rollcall::lints::by_id("headless-selects-nothing").unwrap().page;
    namespace.apply(&example(page, "Found here", namespace.name()).unwrap());
    assert_eq!(found(&namespace), BTreeSet::from(["headless-selects-nothing".to_owned()]));

    let kubeconfig = namespace.account("ci", "list", "services,endpointslices,statefulsets");
    let output = wait_until("the role counts", STEP, || {
        let output = check(&kubeconfig, namespace.name(), &[]);
        if output.status.success() { Ok(output) } else { Err(output) }
    });
    let text = String::from_utf8(output.stdout).unwrap();
    for kind in ["Deployments", "DaemonSets", "Pods"] {
        let line = text.lines().find(|line| line.starts_with(&format!("skipped: {kind} of namespace ")));
        let line = line.unwrap_or_else(|| panic!("{kind}: {text}"));
        assert!(line.contains("forbidden") && line.contains("headless-selects-nothing"), "{line}");
    }
    assert!(!text.contains("[headless-selects-nothing]"), "{text}");
    assert!(text.contains("1 Services, "), "{text}");
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn kubectl_runs_it_as_its_plugin() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("lints-plugin");
    let page = rollcall::lints::by_id("governing-service-missing").unwrap().page;
    namespace.apply(&example(page, "Found here", namespace.name()).unwrap());
    let folder = work_folder().join("plugin");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(rollcall_program(), folder.join("kubectl-rollcall")).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let kubectl = program("kubectl");
    let mut command = Command::new(kubectl);
    command.args(["rollcall", "check", "-n", namespace.name()]);
    let output = command.env("PATH", path).env("KUBECONFIG", plane.kubeconfig()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = format!("error: StatefulSet {}/web: spec.serviceName: no Service nginx", namespace.name());
    assert!(text.contains(&line), "{text}");
}
