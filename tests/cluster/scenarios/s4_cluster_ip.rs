//! S4: the replicas of a set whose Service has a clusterIP have names all the same.

use crate::support::{ControlPlane, Moment};

const REDIS: &str = "apiVersion: v1
kind: Service
metadata: {name: redis-svc}
spec: {selector: {app: redis}, ports: [{port: 6379}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis-sts}
spec:
  serviceName: redis-svc
  replicas: 3
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec: {containers: [{name: redis, image: redis, ports: [{containerPort: 6379}]}]}
";

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s4_replicas_behind_a_cluster_ip_have_names() {
    let namespace = ControlPlane::shared().namespace("s4");
    namespace.apply(REDIS);
    let service = namespace.cluster_ip("redis-svc");
    let first = Moment::new(&namespace, "the clusterIP is there at once").has("redis-svc", &[service]);
    first.points(service, &["redis-svc"]).check();
    let addresses = [0, 1, 2].map(|ordinal| namespace.wait_ready(&format!("redis-sts-{ordinal}"))[0]);
    let mut moment = Moment::new(&namespace, "all three are ready").has("redis-svc", &[service]);
    for (ordinal, address) in addresses.iter().enumerate() {
        let host = format!("redis-sts-{ordinal}.redis-svc");
        moment = moment.has(&host, &[*address]).points(*address, &[&host]);
    }
    let moment = moment.serves("redis-svc", 6379, &[("redis-svc", &[service])]);
    let why = "redis-sts-3 does not exist: StatefulSet redis-sts has replicas 3";
    moment.lacks("redis-sts-3.redis-svc", &[why]).check();
}
