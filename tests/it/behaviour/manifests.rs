//! Manifests to serve, as one would write them.

use std::fmt::Write as _;
use std::path::Path;

/// The name of the Service of [`nginx`].
pub(super) const NGINX: &str = "nginx.default.svc.cluster.local";

/// The tutorial's headless Service and its StatefulSet `web`.
pub(super) fn nginx(replicas: u32) -> String {
    stateful("nginx", "web", replicas)
}

/// A headless Service and its StatefulSet, which is played.
pub(super) fn stateful(service: &str, set: &str, replicas: u32) -> String {
    let spec = format!("{{clusterIP: None, selector: {{app: {service}}}, ports: [{{name: web, port: 80}}]}}");
    let set_spec = format!(
        "{{serviceName: {service}, replicas: {replicas}, template: {{metadata: {{labels: {{app: {service}}}}}}}}}"
    );
    format!(
        "{}---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: {set}}}\nspec: {set_spec}\n",
        service_with(service, &spec)
    )
}

/// A Service with this `spec`.
pub(super) fn service_with(name: &str, spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// A Service of type ExternalName.
pub(super) fn external(name: &str, target: &str) -> String {
    service_with(name, &format!("{{type: ExternalName, externalName: {target}}}"))
}

/// Documents of one file.
pub(super) fn documents(all: &[String]) -> String {
    all.join("---\n")
}

/// A headless Service whose slices hold as many endpoints, from 10.0.0.0 on, without host names.
pub(super) fn endpoints(service: &str, count: u32) -> String {
    let mut text = service_with(service, "{clusterIP: None, ports: [{name: web, port: 80}]}");
    for first in (0..count).step_by(100) {
        let metadata =
            format!("{{name: {service}-{first}, labels: {{kubernetes.io/service-name: {service}}}}}");
        let _ = write!(
            text,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {metadata}\naddressType: IPv4\nports: [{{name: web, port: 80}}]\nendpoints:\n"
        );
        for number in first..count.min(first + 100) {
            let [_, b, c, d] = number.to_be_bytes();
            let _ = writeln!(text, "- {{addresses: [10.{b}.{c}.{d}], conditions: {{ready: true}}}}");
        }
    }
    text
}

/// Writes as an editor does that never leaves half a file: beside it, then over it.
pub(super) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders are UTF-8")
}
