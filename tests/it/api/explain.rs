//! `explain` of a live cluster: what it reads of the objects behind a name, and what it says where it may not.

use serde_json::{Value, json};

use super::fake::{Answer, Api};
use super::objects::{SERVICES, SETS, SLICES, of, service};
use super::program::{finished, rollcall, write_kubeconfig};

fn explain(api: &Api, question: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    write_kubeconfig(&kubeconfig, api.address, "t");
    let mut command = rollcall(&["explain", "--kubeconfig"]);
    let (code, out, err, _) = finished(command.arg(&kubeconfig).args(question));
    (code, out, err)
}

const PODS: &str = "/api/v1/namespaces/default/pods";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const EVENTS: &str = "/api/v1/namespaces/default/events";

fn get(api: &Api, path: &str, object: &Value) {
    api.always(path, Answer::Body(200, object.to_string()));
}

fn pod(name: &str, status: Value) -> Value {
    let claim = json!({"name": "www", "persistentVolumeClaim": {"claimName": format!("www-{name}")}});
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "default", "uid": format!("p-{name}")},
        "spec": {"volumes": [claim]}, "status": status})
}

/// A set of three: the first is ready, the second waits for its volume.
fn mk_api() -> Api {
    let api = Api::start();
    let spec = json!({"clusterIP": "None", "selector": {"app": "nginx"}, "ipFamilies": ["IPv4"],
        "ports": [{"name": "web", "port": 80}]});
    let nginx = service("default", "nginx", spec);
    let slice = json!({"kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "nginx-x7", "namespace": "default", "uid": "e", "labels": {"kubernetes.io/service-name": "nginx"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-11-21T14:02:00Z"}},
        "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.244.0.6"], "hostname": "web-0", "nodeName": "node-1",
            "conditions": {"ready": true, "serving": true}, "targetRef": {"kind": "Pod", "name": "web-0", "uid": "p"}}]});
    let set = json!({"kind": "StatefulSet", "metadata": {"name": "web", "namespace": "default", "uid": "w"},
        "spec": {"serviceName": "nginx", "replicas": 3, "template": {"metadata": {"labels": {"app": "nginx"}}}},
        "status": {"replicas": 2, "readyReplicas": 1}});
    api.put(SERVICES, nginx.clone());
    api.put(SLICES, slice);
    api.put(SETS, set.clone());
    get(&api, &format!("{}/nginx", of("default", SERVICES)), &nginx);
    get(&api, &format!("{}/web", of("default", SETS)), &set);
    let unscheduled = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."}]});
    get(&api, &format!("{PODS}/web-1"), &pod("web-1", unscheduled));
    let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "www-web-1", "namespace": "default"},
        "spec": {"storageClassName": "nfs"}, "status": {"phase": "Pending"}});
    get(&api, &format!("{CLAIMS}/www-web-1"), &claim);
    api
}

fn assert_says(out: &str, lines: &[&str]) {
    for line in lines {
        assert!(out.contains(line), "it does not say `{line}`:\n{out}");
    }
}

#[test]
fn the_scheduler_and_the_claim_are_read() {
    let api = mk_api();
    let (code, out, err) = explain(&api, &["web-1.nginx.default.svc.cluster.local"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert_says(
        &out,
        &[
            "web-1 has no address yet: StatefulSet web wants 3",
            "headless; ports web 80/TCP; selects app=nginx; IPv4",
            "Pod default/web-1: Pending, not ready",
            "scheduler on web-1: 0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "PersistentVolumeClaim default/www-web-1: not bound (storage class nfs): web-1 waits for its volume",
            "kubectl -n default describe pvc www-web-1",
        ],
    );
    assert!(api.requests(EVENTS).is_empty(), "the pod says it itself");
    // One name is asked for: no other object is read.
    let gets = api.all_requests().into_iter().filter(|request| request.path.contains("/namespaces/default/"));
    assert_eq!(gets.count(), 5, "service, slices, set, pod, claim");
}

#[test]
fn a_replica_that_waits_is_explained_by_the_one_that_it_waits_for() {
    let api = mk_api();
    api.always(&format!("{PODS}/web-2"), Answer::status(404, "NotFound"));
    let (code, out, err) = explain(&api, &["web-2.nginx.default.svc.cluster.local"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert_says(
        &out,
        &[
            "web-2 does not exist yet: StatefulSet web wants 3 and waits for web-1",
            "scheduler on web-1: 0/3 nodes",
        ],
    );
    assert_says(&out, &["Pod default/web-2: there is none: nobody has made it yet"]);
}

#[test]
fn a_kubelet_that_cannot_mount_says_so_in_an_event() {
    let api = mk_api();
    let creating = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "nginx", "state": {"waiting": {"reason": "ContainerCreating"}}}]});
    get(&api, &format!("{PODS}/web-1"), &pod("web-1", creating));
    let event = json!({"metadata": {"name": "e", "namespace": "default"}, "type": "Warning", "reason": "FailedMount",
        "involvedObject": {"kind": "Pod", "name": "web-1", "uid": "p-web-1"}, "message": "volume is in use",
        "lastTimestamp": "2026-11-21T14:02:00Z"});
    get(&api, EVENTS, &json!({"kind": "EventList", "apiVersion": "v1", "items": [event]}));
    let (_, out, err) = explain(&api, &["web-1.nginx.default.svc.cluster.local"]);
    assert_says(&out, &["last event on web-1: volume is in use"]);
    assert!(err.is_empty(), "{err}");
}

#[test]
fn what_one_may_not_read_is_said_and_no_more() {
    let api = mk_api();
    let forbidden = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": "pods \"web-1\" is forbidden: User \"jane\" cannot get resource \"pods\""});
    api.always(&format!("{PODS}/web-1"), Answer::Body(403, forbidden.to_string()));
    api.always(&format!("{}/nginx", of("default", SERVICES)), Answer::status(500, "InternalError"));
    let (code, out, err) = explain(&api, &["web-2.nginx.default.svc.cluster.local"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert_says(
        &out,
        &[
            "may not read pods in default: pods \"web-1\" is forbidden: User \"jane\" cannot get resource \"pods\"",
            "cannot read services in default: scripted",
            "web-2 does not exist yet: StatefulSet web wants 3 and waits for web-1",
        ],
    );
    assert!(api.requests(&format!("{PODS}/web-2")).is_empty(), "the same would be said again");
}

/// Whoever may write slices writes what their endpoints point at; who asks has credentials that may read more than pods.
#[test]
fn what_a_slice_points_at_is_no_path() {
    let api = mk_api();
    let endpoint = |host: &str, pod: &str, address: &str, ready: bool| {
        json!({"addresses": [address], "hostname": host, "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "name": pod, "uid": pod}})
    };
    let slice = json!({"kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "nginx-x7", "namespace": "default", "uid": "e", "labels": {"kubernetes.io/service-name": "nginx"}},
        "endpoints": [endpoint("web-0", "web-0", "10.244.0.6", true), endpoint("web-1", "web-0/proxy/x", "10.244.0.7", false),
            endpoint("web-1", "x?watch=1", "10.244.0.8", false), endpoint("web-1", "no URI", "10.244.0.9", false)]});
    api.put(SLICES, slice);
    let (code, out, err) = explain(&api, &["web-1.nginx.default.svc.cluster.local"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    // One that is none ends no reading of the others.
    assert_says(
        &out,
        &["Pod default/web-1: Pending, not ready", "scheduler on web-1: 0/3 nodes are available"],
    );
    assert!(!out.contains("read pods"), "{out}");
    let of_pods: Vec<String> = api.all_requests().into_iter().map(|request| request.path).collect();
    let of_pods: Vec<&String> = of_pods.iter().filter(|path| path.starts_with(PODS)).collect();
    assert_eq!(of_pods, [&format!("{PODS}/web-1")]);
}

#[test]
fn a_configuration_that_names_no_cluster_takes_that_of_the_surroundings() {
    let api = mk_api();
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, config) = (folder.path().join("kubeconfig"), folder.path().join("rollcall.toml"));
    write_kubeconfig(&kubeconfig, api.address, "t");
    std::fs::write(&config, "[ttl]\npositive = 7\n").unwrap();
    let mut command = rollcall(&["explain", "web-0.nginx", "--config"]);
    let (code, out, err, _) = finished(command.arg(&config).env("KUBECONFIG", &kubeconfig));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_says(&out, &["web-0.nginx.default.svc.cluster.local. 7 IN A 10.244.0.6"]);
}

#[test]
fn when_the_last_change_was_bounds_what_older_answers_are_remembered() {
    let api = mk_api();
    let slices = of("default", SLICES);
    let slice = json!({"metadata": {"name": "nginx-x7", "namespace": "default",
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-11-21T14:02:00Z"}},
        "endpoints": [{"addresses": ["10.244.0.6"], "nodeName": "node-1", "conditions": {"serving": true}}]});
    get(
        &api,
        &slices,
        &json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "items": [slice]}),
    );
    get(
        &api,
        &format!("{PODS}/web-0"),
        &pod(
            "web-0",
            json!({"phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T14:02:00Z"}]}),
        ),
    );
    let (code, out, err) = explain(&api, &["web-0.nginx.default.svc.cluster.local"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_says(
        &out,
        &[
            "10.244.0.6 in slice nginx-x7, pod web-0 on node node-1: ready=true",
            "ready since ",
            "what was answered before the change of 2026-11-21T14:02:00Z: until 2026-11-21T14:02:05Z at the latest (5 s)",
        ],
    );
}

#[test]
fn a_server_that_does_not_answer_is_the_third_code() {
    let gone = Api::start().address;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "no kubeconfig").unwrap();
    let mut command = rollcall(&["explain", "web-0.nginx", "--kubeconfig"]);
    let (code, out, err, _) = finished(command.arg(&kubeconfig));
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("cannot use the kubeconfig"), "{err}");
    let mut command = rollcall(&["explain", "web-0.nginx", "--server"]);
    let (code, out, err, _) = finished(command.arg(gone.to_string()));
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("does not answer"), "{err}");
}
