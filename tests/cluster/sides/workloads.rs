//! StatefulSets with pods, whose slices the real controller writes: a governing service, one that has no part
//! in the pods' names, and a virtual one, of both families.

use std::time::Duration;

use serde_json::Value;

use super::generate::port;
use super::objects::{Endpoint, Port, Service, Shape, Slice, World};
use crate::support::{Namespace, wait_until};

/// How long three pods may take to become ready one after the other, and their slices to be written.
const READY: Duration = Duration::from_secs(60);
const REPLICAS: usize = 3;

const OBJECTS: &str = "apiVersion: v1
kind: Service
metadata: {name: played}
spec:
  clusterIP: None
  selector: {app: played}
  ports: [{name: http, port: 80}]
  ipFamilyPolicy: RequireDualStack
---
apiVersion: v1
kind: Service
metadata: {name: played-state}
spec:
  clusterIP: None
  selector: {app: played}
  ports: [{name: http, port: 80}]
  ipFamilyPolicy: RequireDualStack
---
apiVersion: v1
kind: Service
metadata: {name: played-public}
spec:
  selector: {app: played}
  ports: [{name: http, port: 80}]
  ipFamilyPolicy: RequireDualStack
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: played}
spec:
  serviceName: played
  replicas: 3
  selector: {matchLabels: {app: played}}
  template:
    metadata: {labels: {app: played}, annotations: {rollcall.test/families: 'IPv4,IPv6'}}
    spec: {containers: [{name: main, image: none}]}
";

/// Applies them, waits until every pod is ready in every slice, and adds services and slices to the world.
pub(super) fn play(namespace: &Namespace<'_>, world: &mut World) {
    namespace.apply(OBJECTS);
    let http = || vec![port(Some("http"), "TCP", 80)];
    for (name, shape) in [
        ("played", Shape::Headless),
        ("played-state", Shape::Headless),
        ("played-public", Shape::Virtual("ClusterIP", &["IPv4", "IPv6"])),
    ] {
        let slices = wait_until("every pod is ready in the slices of its services", READY, || {
            let label = format!("--selector=kubernetes.io/service-name={name}");
            let list = namespace.kubectl(&["get", "endpointslices", &label, "--output=json"]);
            let slices = slices(&serde_json::from_str(&list).unwrap());
            let ready =
                slices.iter().flat_map(|slice| &slice.endpoints).filter(|e| e.ready == Some(true)).count();
            // One slice a family.
            if ready == 2 * REPLICAS { Ok(slices) } else { Err(slices) }
        });
        world.slices.extend(slices);
        let (namespace, name) = (namespace.name().to_string(), name.to_string());
        world.services.push(Service { namespace, name, shape, ports: http(), cluster_ips: Vec::new() });
    }
}

/// The slices of a list, as the controller wrote them.
fn slices(list: &Value) -> Vec<Slice> {
    let text = |value: &Value| value.as_str().map(str::to_string);
    let endpoint = |endpoint: &Value| Endpoint {
        address: text(&endpoint["addresses"][0]).unwrap(),
        hostname: text(&endpoint["hostname"]),
        ready: endpoint["conditions"]["ready"].as_bool(),
        serving: endpoint["conditions"]["serving"].as_bool(),
        terminating: endpoint["conditions"]["terminating"].as_bool(),
        pod: text(&endpoint["targetRef"]["name"]).zip(text(&endpoint["targetRef"]["uid"])),
    };
    let port = |port: &Value| Port {
        name: (port["name"] == "http").then_some("http"),
        protocol: "TCP",
        number: port["port"].as_u64().and_then(|number| number.try_into().ok()),
    };
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let slice = |slice: &Value| Slice {
        namespace: text(&slice["metadata"]["namespace"]).unwrap(),
        name: text(&slice["metadata"]["name"]).unwrap(),
        service: text(&slice["metadata"]["labels"]["kubernetes.io/service-name"]),
        family: if slice["addressType"] == "IPv6" { "IPv6" } else { "IPv4" },
        ports: all(&slice["ports"]).iter().map(port).collect(),
        endpoints: all(&slice["endpoints"]).iter().map(endpoint).collect(),
    };
    all(&list["items"]).iter().map(slice).collect()
}
