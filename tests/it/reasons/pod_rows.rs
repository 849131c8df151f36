//! Rows of what pods say themselves: state, question, sentence. `state.rs` says how a state reads.

use super::rows::{Row, row};

pub(super) const POD_ROWS: &[Row<'static>] = &[
    row(
        "pod-pending",
        "web-1 is Pending: 0/3 nodes are available: 3 Insufficient memory",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6
    set web of nginx wants 3
    pod web-1 {"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient memory"}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-pending",
        "web-1 is Pending: 0/3 nodes are available: 3 Insufficient memory",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6
    set web of nginx wants 3
    pod web-1 {"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes\tare available:\n3 Insufficient memory\u0007"}]}}"#,
        "-t SRV _http._tcp.web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-unscheduled",
        "web-1 is Pending: it has no node yet and does not say why",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6
    set web of nginx wants 3
    pod web-1 {"status": {"phase": "Pending"}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "claim-not-bound",
        "web-1 is Pending: claim www-web-1 is not bound (storageClass nfs); 0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6
    set web of nginx wants 3
    pod web-1 {"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims"}]}, "claims": [{"metadata": {"name": "www-web-1"}, "spec": {"storageClassName": "nfs"}, "status": {"phase": "Pending"}}]}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "claim-not-bound",
        "web-1 is Pending: claim www-web-1 is not bound (no storageClass)",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6
    set web of nginx wants 3
    pod web-1 {"status": {"phase": "Pending"}, "claims": [{"metadata": {"name": "www-web-1"}, "spec": {}, "status": {"phase": "Pending"}}]}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-waiting",
        "web-1 waits in ImagePullBackOff: image nginx:oops",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7!
    set web of nginx wants 3
    pod web-1 {"metadata": {"uid": "10.244.0.7"}, "spec": {"nodeName": "node-2"}, "status": {"phase": "Pending", "containerStatuses": [{"name": "nginx", "image": "nginx:oops", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-waiting",
        "web-1 waits in ContainerCreating: container nginx",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6
    set web of nginx wants 3
    pod web-1 {"metadata": {"uid": "10.244.0.7"}, "spec": {"nodeName": "node-2"}, "status": {"phase": "Pending", "containerStatuses": [{"name": "nginx", "image": "nginx:oops", "state": {"waiting": {"reason": "ContainerCreating"}}}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-not-ready",
        "web-1 is not ready since 14:02 UTC: containers with unready status: [nginx]",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7!
    set web of nginx wants 3
    pod web-1 {"metadata": {"uid": "10.244.0.7"}, "spec": {"nodeName": "node-2"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T14:02:59Z", "reason": "ContainersNotReady", "message": "containers with unready status: [nginx]"}, {"type": "ContainersReady", "status": "False"}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "node-silent",
        "web-1 is not ready since 14:02 UTC: its node node-2 does not answer",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7!
    set web of nginx wants 3
    pod web-1 {"metadata": {"uid": "10.244.0.7"}, "spec": {"nodeName": "node-2"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T14:02:59Z"}, {"type": "ContainersReady", "status": "True"}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-terminating",
        "web-1 is terminating since 14:02 UTC, its node node-2 does not answer",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7~
    set web of nginx wants 3
    pod web-1 {"spec": {"nodeName": "node-2"}, "metadata": {"uid": "10.244.0.7", "deletionTimestamp": "2026-11-21T14:02:45Z", "deletionGracePeriodSeconds": 30}, "status": {"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-terminating",
        "web-1 is terminating since 14:02 UTC, its node node-2 has not ended it in its time",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7~
    set web of nginx wants 3
    pod web-1 {"spec": {"nodeName": "node-2"}, "metadata": {"uid": "10.244.0.7", "deletionTimestamp": "2026-11-21T14:02:45Z", "deletionGracePeriodSeconds": 30}, "status": {"phase": "Running"}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-terminating",
        "web-1 is terminating since 14:59 UTC",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7~
    set web of nginx wants 3
    pod web-1 {"spec": {"nodeName": "node-2"}, "metadata": {"uid": "10.244.0.7", "deletionTimestamp": "2026-11-21T15:00:15Z", "deletionGracePeriodSeconds": 30}, "status": {"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-terminating",
        "web-1 is terminating since 2026-11-20 14:02 UTC, its finalizer a.example/b keeps it",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7~
    set web of nginx wants 3
    pod web-1 {"spec": {"nodeName": "node-2"}, "metadata": {"uid": "10.244.0.7", "deletionTimestamp": "2026-11-20T14:02:45Z", "deletionGracePeriodSeconds": 30, "finalizers": ["a.example/b"]}, "status": {"phase": "Running"}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "not-ready",
        "web-1 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false",
        // Another pod of the name, by now.
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7!
    set web of nginx wants 3
    pod web-1 {"metadata": {"uid": "10.244.0.6"}, "status": {"phase": "Pending"}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "terminating",
        "web-1 is terminating: slice nginx-x7 has it at 10.244.0.7, terminating=true",
        // It goes since it was asked for.
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6 web-1=10.244.0.7~
    set web of nginx wants 3
    pod web-1 {"metadata": {"uid": "10.244.0.7"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T14:02:59Z", "message": "x"}, {"type": "ContainersReady", "status": "False"}]}}"#,
        "-t A web-1.nginx.default.svc.cluster.local",
    ),
    row(
        "pod-unscheduled",
        "web-0 is Pending: it has no node yet and does not say why",
        // The Service's own name has no other reason.
        r#"headless nginx
    set web of nginx wants 3
    pod web-0 {"status": {"phase": "Pending"}}"#,
        "-t A nginx.default.svc.cluster.local",
    ),
    row(
        "awaited",
        "web-2 does not exist yet: StatefulSet web wants 3 and waits for web-1",
        r#"headless nginx
    slice nginx-x7 of nginx: web-0=10.244.0.6
    set web of nginx wants 3
    pod web-1 {"status": {"phase": "Pending"}}"#,
        "-t A web-2.nginx.default.svc.cluster.local",
    ),
];
