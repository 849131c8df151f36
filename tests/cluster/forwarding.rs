//! What CoreDNS passes on of why an answer is empty: with `forward` alone all of it, where `cache` stands in the same
//! server block nothing, not even with the first answer. docs/reasons.md says so to people, who then ask rollcall itself.

use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::support::{ControlPlane, CoreDns, Moment, Why, ask, check_whys, shared_rollcall, shared_stub};

/// web-0 is ready, web-1 is not, web-2 waits for it.
const OBJECTS: &str = "apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: nginx
  replicas: 3
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}, annotations: {rollcall.test/ready: 'false'}}
    spec: {containers: [{name: nginx, image: nginx}]}
";

/// CoreDNS with `forward` to rollcall, and these lines beside it.
fn forwarding(rollcall: SocketAddr, beside: &str) -> CoreDns {
    CoreDns::start(&format!(".:@PORT@ {{\n    bind @ADDRESS@\n    forward . {rollcall}\n{beside}}}\n"))
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn forward_passes_reasons_on_and_cache_does_not() {
    let namespace = ControlPlane::shared().namespace("forwarding");
    namespace.apply(OBJECTS);
    namespace.wait_running("web-0");
    namespace.set_ready("web-0", true);
    let web0 = namespace.wait_ready("web-0");
    namespace.wait_running("web-1");
    let why = [("web-1.nginx", "web-1 is not ready"), ("web-2.nginx", "waits for web-1")];
    let mut moment = Moment::new(&namespace, "web-0 is ready").has("web-0.nginx", &web0);
    for (host, words) in why {
        moment = moment.lacks(host, &[words]);
    }
    moment.check();

    let absent = why.map(|(host, words)| Why::absent(namespace.full(host), RecordType::A, &[words]));
    let empty = Why::empty(namespace.full("web-0.nginx"), RecordType::AAAA);
    let whys = [absent.as_slice(), &[empty]].concat();
    let rollcall = shared_rollcall().dns;
    let alone = forwarding(rollcall, "");
    check_whys("forward alone", alone.dns, &whys);

    let cached = forwarding(rollcall, "    cache 30 {\n        denial 9984 30 0\n    }\n");
    for (what, server) in [("cache", cached.dns), ("the shipped stub", shared_stub().dns)] {
        // The first answer, and one that may be the cache's own.
        for _ in 0..2 {
            for (host, _) in why {
                let answer = ask(server, &namespace.full(host), RecordType::A);
                assert_eq!(answer.rcode, ResponseCode::NXDomain, "{what}: {host}");
                assert!(
                    answer.edes.is_empty(),
                    "docs/reasons.md says that {what} drops it: {:?}",
                    answer.edes
                );
            }
        }
    }
}
