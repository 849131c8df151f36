//! Ports and the SRV names that they give.

use super::finding::Findings;
use super::input::Cluster;
use super::objects::{Service, Workload};
use super::raw::{IntOrString, ServicePort};
use super::text::srv_names;
use super::{Lint, lint};

pub(super) const SRV_MISSING: Lint = lint!(
    "srv-name-missing",
    Error,
    "an SRV name is asked for that no port of the Service gives",
    &[],
    srv_missing
);
pub(super) const WITHOUT_NAMES: Lint = lint!(
    "ports-without-names",
    Error,
    "a Service has several ports and not a name for each",
    &[],
    without_names
);
pub(super) const UNNAMED: Lint = lint!(
    "port-unnamed",
    Note,
    "the port of a governing Service has no name, and so no SRV name of its own",
    &[],
    unnamed
);
pub(super) const REMAPPED: Lint = lint!(
    "headless-port-remapped",
    Note,
    "a headless Service has a port that its pods do not listen on",
    &[],
    remapped
);
pub(super) const TARGET_MISSING: Lint = lint!(
    "target-port-missing",
    Warning,
    "a headless Service names a target port that its pods do not have",
    &[],
    target_missing
);

/// The Service that the labels behind `_port._protocol` name, seen from a namespace.
fn named<'c>(cluster: &'c Cluster, namespace: &str, labels: &[&str]) -> Option<&'c Service> {
    match labels {
        [service] => cluster.service(namespace, service),
        [service, namespace] => cluster.service(namespace, service),
        [service, namespace, svc, ..] if *svc == "svc" => cluster.service(namespace, service),
        _ => None,
    }
}

fn srv_missing(cluster: &Cluster, found: &mut Findings<'_>) {
    for asking in &cluster.workloads {
        for text in asking.pods.texts.iter().chain(&asking.pods.probes) {
            for (name, protocol, labels) in srv_names(&text.text) {
                let Some(service) = named(cluster, asking.meta.namespace(), &labels) else { continue };
                let gives = |port: &ServicePort| {
                    port.name.eq_ignore_ascii_case(name) && port.protocol().eq_ignore_ascii_case(protocol)
                };
                // Without a selector its ports are those of slices that somebody writes.
                if service.selector.is_empty() || service.ports.iter().any(gives) {
                    continue;
                }
                let ports: Vec<String> = service.ports.iter().map(ServicePort::called).collect();
                let message = format!(
                    "_{name}._{protocol}.{} does not exist: {} has no {protocol} port called {name} (but {})",
                    service.meta.name(),
                    service.meta.object,
                    if ports.is_empty() { "none".to_owned() } else { ports.join(", ") }
                );
                let fix = format!("in {}:\nports:\n- name: {name}\n  port: …", service.meta.object);
                found.push(&asking.meta, text.field.clone(), message, fix);
            }
        }
    }
}

/// The lines that give a port its name.
fn naming(port: &ServicePort) -> String {
    format!("-  - port: {0}\n+  - name: …\n+    port: {0}", port.port)
}

fn without_names(cluster: &Cluster, found: &mut Findings<'_>) {
    for service in cluster.services.iter().filter(|service| service.ports.len() > 1) {
        let nameless = service.ports.iter().enumerate().filter(|(_, port)| port.name.is_empty());
        for (index, port) in nameless {
            let message = format!(
                "port {} has no name beside {} others: the API server refuses that, for nothing tells them apart",
                port.port,
                service.ports.len() - 1
            );
            found.push(&service.meta, format!("spec.ports[{index}]"), message, naming(port));
        }
    }
}

fn unnamed(cluster: &Cluster, found: &mut Findings<'_>) {
    for service in cluster.services.iter().filter(|service| service.is_headless()) {
        let [port] = service.ports.as_slice() else { continue };
        let governs = cluster.workloads_of(service.meta.namespace()).any(|set| set.is_governed_by(service));
        if governs && port.name.is_empty() {
            let name = service.meta.name();
            let message = format!(
                "port {} has no name: SRV is answered for {name} itself, and for no _port._tcp.{name}",
                port.port
            );
            found.push(&service.meta, "spec.ports[0]", message, naming(port));
        }
    }
}

/// Each port of a headless Service, with what makes the pods that it selects. A Job's pods pass by.
fn headless_ports(cluster: &Cluster) -> impl Iterator<Item = (&Service, usize, Vec<&Workload>)> {
    cluster.services.iter().filter(|service| service.is_headless()).flat_map(move |service| {
        let selected: Vec<&Workload> =
            cluster.selected_by(service).filter(|workload| !workload.is_passing()).collect();
        (0..service.ports.len()).map(move |index| (service, index, selected.clone()))
    })
}

fn remapped(cluster: &Cluster, found: &mut Findings<'_>) {
    for (service, index, workloads) in headless_ports(cluster) {
        let port = &service.ports[index];
        let mut targets = workloads.iter().filter_map(|workload| port.target(&workload.pods));
        let Some(target) = targets.find(|target| *target != port.port) else { continue };
        let message = format!(
            "nothing maps port {} to {target}: the name leads to the pods themselves, which listen on {target}, and \
             SRV says {target}",
            port.port
        );
        let fix = format!("- port: {}\n+ port: {target}", port.port);
        found.push(&service.meta, format!("spec.ports[{index}].port"), message, fix);
    }
}

fn target_missing(cluster: &Cluster, found: &mut Findings<'_>) {
    for (service, index, workloads) in headless_ports(cluster) {
        let port = &service.ports[index];
        let Some(IntOrString::String(name)) = &port.target_port else { continue };
        // Of several, one that has it may be the one that is meant.
        let is_there = workloads.iter().any(|workload| port.target(&workload.pods).is_some());
        let Some(workload) = workloads.first().filter(|_| !is_there) else { continue };
        let message = format!(
            "no container of {} has a {} port called {name}: its endpoints have no port {}, and no SRV record",
            workload.meta.object,
            port.protocol(),
            port.called()
        );
        let fix = format!("in {}:\nports:\n- name: {name}\n  containerPort: …", workload.meta.object);
        found.push(&service.meta, format!("spec.ports[{index}].targetPort"), message, fix);
    }
}
