//! What the account may do, and that it is enough: for all of the names with all of it, for less with less,
//! and for no name at all, denied or not, where what the answers are made of is missing.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::STEP;
use super::installed::Installed;
use crate::support::{ControlPlane, Namespace, Rollcall, ask, repository, wait_until};

/// A headless service that should have a replica, and has none; a service that has an address.
const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 3306}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: front}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}, annotations: {rollcall.test/ready: 'false'}}
    spec: {containers: [{name: db, image: mysql}]}
";

fn grant(resource: &str) -> (String, String) {
    (resource.to_owned(), "list watch".to_owned())
}

/// Names of four kinds: what must be answered under whatever the account may still do.
fn knows_the_services(rollcall: &Rollcall, namespace: &Namespace) {
    wait_until("rollcall knows the service", STEP, || {
        let answer = ask(rollcall.dns, &namespace.full("front"), RecordType::A);
        if answer.addresses() == [namespace.cluster_ip("front")].into() { Ok(()) } else { Err(answer) }
    });
    let nobody = ask(rollcall.dns, &namespace.full("nobody"), RecordType::A);
    assert_eq!(nobody.rcode, ResponseCode::NXDomain);
}

/// What it said of a kind that it may not read.
fn complaint(rollcall: &Rollcall, kind: &str) -> String {
    wait_until(&format!("rollcall says that it may not read {kind}"), STEP, || {
        let said = rollcall.stderr();
        let complaint = said.lines().find(|line| line.contains(kind) && line.contains("forbidden"));
        complaint.map(str::to_owned).ok_or(said)
    })
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn the_base_is_accepted_and_enough() {
    let plane = ControlPlane::shared();
    // Of what a real kubelet says of its node, the pods ask for this.
    plane.kubectl(&["label", "nodes", "--all", "--overwrite", "kubernetes.io/os=linux"]);
    let installed = Installed::base(plane);

    // Its pods pass the standard that its namespace enforces, and are apart.
    installed.kubectl(&["rollout", "status", "deployment/rollcall", "--timeout=60s"]);
    let nodes = installed.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    let nodes: Vec<&str> = nodes.split_whitespace().collect();
    assert_eq!((nodes.len(), BTreeSet::from_iter(&nodes).len()), (2, 2), "{nodes:?}");
    let addresses = installed.kubectl(&["get", "service", "rollcall", "-o", "jsonpath={.spec.clusterIPs}"]);
    assert!(addresses.starts_with("[\"10.96.0.53\",\"fd"), "{addresses}");
    let allowed = ["get", "poddisruptionbudget", "rollcall", "-o", "jsonpath={.status.disruptionsAllowed}"];
    wait_until("one replica may be evicted", STEP, || match installed.kubectl(&allowed) {
        count if count == "1" => Ok(()),
        other => Err(other),
    });
    // Applied again, nothing changes.
    let before =
        installed.kubectl(&["get", "deployment", "rollcall", "-o", "jsonpath={.metadata.generation}"]);
    plane.kubectl(&["apply", "--server-side", "-k", installed.folder.to_str().unwrap()]);
    let after =
        installed.kubectl(&["get", "deployment", "rollcall", "-o", "jsonpath={.metadata.generation}"]);
    assert_eq!(before, after);

    let four = ["services", "namespaces", "endpointslices.discovery.k8s.io", "statefulsets.apps"];
    assert_eq!(installed.grants(), four.map(grant).into());
    let account = installed.kubeconfig();
    for refused in [["get", "secrets"], ["get", "pods"], ["get", "configmaps"], ["delete", "services"]] {
        let args = [&["--kubeconfig", account.to_str().unwrap()], refused.as_slice(), &["--all-namespaces"]]
            .concat();
        let args = if refused[0] == "delete" { [args.as_slice(), &["--all"]].concat() } else { args };
        let error = plane.try_kubectl(&args).expect_err("refused");
        assert!(error.contains("Forbidden"), "{refused:?}: {error}");
    }

    // As its pods run it: with this configuration, under this account.
    let namespace = plane.namespace("deployed");
    namespace.apply(OBJECTS);
    let rollcall =
        Rollcall::start(&account, &["--config", repository("deploy/base/rollcall.toml").to_str().unwrap()]);
    knows_the_services(&rollcall, &namespace);
    let pod = ask(rollcall.dns, "192-0-2-7.default.pod.cluster.local.", RecordType::A);
    assert_eq!(pod.addresses(), ["192.0.2.7".parse().unwrap()].into());
    let dns = ask(rollcall.dns, "rollcall.rollcall.svc.cluster.local.", RecordType::A);
    assert_eq!(dns.addresses(), ["10.96.0.53".parse().unwrap()].into());
    wait_until("the replica's absence is not to be remembered", STEP, || {
        let absent = ask(rollcall.dns, &namespace.full("db-0.db"), RecordType::A);
        if absent.negative_ttl() == Some(0) { Ok(()) } else { Err(absent) }
    });
    // What the replica waits for is not for this account to know; that is said once, and is all.
    let refused = complaint(&rollcall, "cannot list resource \"pods\"");
    assert!(refused.contains("reasons tell what slices say"), "{refused}");
    let said = rollcall.stderr();
    assert_eq!(said.lines().filter(|line| line.contains("forbidden")).count(), 1, "{said}");
    assert_eq!(rollcall.get("/readyz").0, 200);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn verified_pods_need_one_grant_more() {
    let plane = ControlPlane::shared();
    let installed = Installed::overlay(plane, "verified", "10.96.0.54", &["verified"]);
    let five = ["services", "namespaces", "endpointslices.discovery.k8s.io", "statefulsets.apps", "pods"];
    assert_eq!(installed.grants(), five.map(grant).into());
    let set = "jsonpath={.spec.template.spec.containers[0].env[?(@.name=='ROLLCALL_PODS')].value}";
    assert_eq!(installed.kubectl(&["get", "deployment", &installed.name, "-o", set]), "verified");

    let namespace = plane.namespace("pods");
    namespace.apply(OBJECTS);
    let address = namespace.wait_running("db-0")[0];
    let mut command = Rollcall::command(&installed.kubeconfig(), &[]);
    command.env("ROLLCALL_PODS", "verified");
    let rollcall = Rollcall::launch(&command);
    rollcall.ready();
    let name =
        |address: &str| format!("{}.{}.pod.cluster.local.", address.replace('.', "-"), namespace.name());
    wait_until("the pod's address has a name", STEP, || {
        let answer = ask(rollcall.dns, &name(&address.to_string()), RecordType::A);
        if answer.addresses() == [address].into() { Ok(()) } else { Err(answer) }
    });
    assert_eq!(ask(rollcall.dns, &name("192.0.2.7"), RecordType::A).rcode, ResponseCode::NXDomain);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn what_pods_wait_for_needs_three_grants_more() {
    let plane = ControlPlane::shared();
    let installed = Installed::overlay(plane, "reasons", "10.96.0.58", &["pods"]);
    let three = ["pods", "persistentvolumeclaims", "events"].map(|kind| (kind.to_owned(), "list".to_owned()));
    assert!(installed.grants().is_superset(&three.into()), "{:?}", installed.grants());

    let namespace = plane.namespace("reasons");
    let unplaced =
        OBJECTS.replace("image: mysql}]}", "image: mysql}], nodeSelector: {to-be: found-nowhere}}");
    assert_ne!(unplaced, OBJECTS);
    namespace.apply(&unplaced);
    let rollcall = Rollcall::start(&installed.kubeconfig(), &[]);
    wait_until("the scheduler's words", STEP, || {
        let answer = ask(rollcall.dns, &namespace.full("db-0.db"), RecordType::A);
        let is_it = |(code, text): &(u16, String)| {
            *code == 0 && text.starts_with("db-0 is Pending: 0/") && text.contains("nodes are available")
        };
        if answer.edes.iter().any(is_it) { Ok(()) } else { Err(answer) }
    });
    assert!(!rollcall.stderr().contains("forbidden"), "{}", rollcall.stderr());
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn without_statefulsets_it_says_so_and_serves() {
    let plane = ControlPlane::shared();
    let installed = Installed::overlay(plane, "no-statefulsets", "10.96.0.55", &[]);
    installed.take_away("statefulsets", 3);
    let namespace = plane.namespace("no-sets");
    namespace.apply(OBJECTS);
    let rollcall = Rollcall::start(&installed.kubeconfig(), &[]);
    knows_the_services(&rollcall, &namespace);
    println!("{}", complaint(&rollcall, "statefulsets"));
    // Whether it should exist is not known, so its absence is as any other.
    assert_eq!(ask(rollcall.dns, &namespace.full("db-7.db"), RecordType::A).rcode, ResponseCode::NXDomain);
    assert_eq!(rollcall.get("/readyz").0, 200);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn without_namespaces_it_says_so_and_serves() {
    let plane = ControlPlane::shared();
    let installed = Installed::overlay(plane, "no-namespaces", "10.96.0.56", &[]);
    installed.take_away("namespaces", 2);
    let (full, empty) = (plane.namespace("full"), plane.namespace("empty"));
    full.apply(OBJECTS);
    let rollcall = Rollcall::start(&installed.kubeconfig(), &[]);
    knows_the_services(&rollcall, &full);
    println!("{}", complaint(&rollcall, "namespaces"));
    // One that holds a Service is known; an empty one cannot be told from one that is not there.
    let of = |namespace: &Namespace| format!("{}.svc.cluster.local.", namespace.name());
    assert_eq!(ask(rollcall.dns, &of(&full), RecordType::A).rcode, ResponseCode::NoError);
    assert_eq!(ask(rollcall.dns, &of(&empty), RecordType::A).rcode, ResponseCode::NXDomain);
    assert_eq!(rollcall.get("/readyz").0, 200);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn without_endpointslices_it_denies_nothing() {
    let plane = ControlPlane::shared();
    let installed = Installed::overlay(plane, "no-endpointslices", "10.96.0.57", &[]);
    let rules = ["get", "clusterrole", &installed.name, "-o", "jsonpath={.rules[1]}"];
    let rule = plane.kubectl(&rules);
    installed.take_away("endpointslices", 1);
    let namespace = plane.namespace("no-slices");
    namespace.apply(OBJECTS);
    let rollcall = Rollcall::start_unready(&installed.kubeconfig(), &[]);
    println!("{}", complaint(&rollcall, "endpointslices"));
    for name in ["front", "nobody", "db-0.db"] {
        let answer = ask(rollcall.dns, &namespace.full(name), RecordType::A);
        assert_eq!(answer.rcode, ResponseCode::ServFail, "{name}");
        assert_eq!(answer.edes.first().map(|(code, _)| *code), Some(14), "{:?}", answer.edes);
    }
    let (status, body) = rollcall.get("/readyz");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("endpointslices"), "it says what is missing: {body}");

    // Given back, it finds out by itself.
    let patch = format!("[{{\"op\": \"add\", \"path\": \"/rules/-\", \"value\": {rule}}}]");
    plane.kubectl(&["patch", "clusterrole", &installed.name, "--type=json", "-p", &patch]);
    rollcall.ready();
    knows_the_services(&rollcall, &namespace);
}
