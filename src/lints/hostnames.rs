//! `hostname` and `subdomain`, set by hand: a pod's name under a headless Service without a StatefulSet.

use std::collections::BTreeMap;

use super::finding::Findings;
use super::governing::differing;
use super::input::{Cluster, Kind};
use super::objects::Workload;
use super::{Lint, lint};

pub(super) const SUBDOMAIN_UNMATCHED: Lint = lint!(
    "subdomain-unmatched",
    Warning,
    "a pod's subdomain is no Service that selects it: it has no name",
    &[Kind::Service],
    unmatched
);
pub(super) const SUBDOMAIN_ALONE: Lint = lint!(
    "subdomain-without-hostname",
    Note,
    "pods have a subdomain and no hostname: the Service calls them by dashed addresses",
    &[],
    alone
);
pub(super) const SHARED: Lint =
    lint!("hostname-shared", Warning, "several pods of one template have one host name", &[], shared);
pub(super) const CLASH: Lint = lint!(
    "hostname-clash",
    Error,
    "pods of different origin have one host name under one Service",
    &[],
    clash
);
pub(super) const TEMPLATE_IGNORED: Lint = lint!(
    "template-hostname-ignored",
    Warning,
    "a StatefulSet's template sets hostname or subdomain, which the controller replaces",
    &[],
    template_ignored
);

/// What names its pods by hand.
fn by_hand(cluster: &Cluster) -> impl Iterator<Item = &Workload> {
    cluster.workloads.iter().filter(|workload| !workload.is_set() && !workload.pods.subdomain.is_empty())
}

fn unmatched(cluster: &Cluster, found: &mut Findings<'_>) {
    for workload in by_hand(cluster).filter(|workload| !workload.pods.hostname.is_empty()) {
        let (namespace, subdomain) = (workload.meta.namespace(), &workload.pods.subdomain);
        let name = format!("{}.{subdomain}", workload.pods.hostname);
        let field = format!("{}.subdomain", workload.pods.path);
        match cluster.service(namespace, subdomain) {
            None => {
                let message =
                    format!("no Service {subdomain} in namespace {namespace}: {name} does not exist");
                let fix = format!(
                    "apiVersion: v1\nkind: Service\nmetadata:\n  name: {subdomain}\n  namespace: {namespace}\nspec:\n  \
                     clusterIP: None\n  selector: …"
                );
                found.push(&workload.meta, field, message, fix);
            }
            Some(service) if !service.selector.is_empty() && !service.selects(&workload.pods.labels) => {
                let message = format!(
                    "Service {subdomain} selects {}, which its pods are not: {name} does not exist",
                    differing(&service.selector, &workload.pods.labels)
                );
                found.push(&workload.meta, field, message, "the labels that the Service selects");
            }
            Some(_) => {}
        }
    }
}

fn alone(cluster: &Cluster, found: &mut Findings<'_>) {
    for workload in by_hand(cluster).filter(|workload| workload.pods.hostname.is_empty()) {
        let subdomain = &workload.pods.subdomain;
        let is_there = cluster
            .service(workload.meta.namespace(), subdomain)
            .is_some_and(|service| service.is_headless() && service.selects(&workload.pods.labels));
        if is_there {
            let message = format!(
                "a pod has a name under {subdomain} only with a hostname: these are called by their addresses, \
                 10-244-0-7.{subdomain}"
            );
            let fix = "a hostname too, where there is one pod; a StatefulSet, where there are several";
            found.push(&workload.meta, format!("{}.subdomain", workload.pods.path), message, fix);
        }
    }
}

fn shared(cluster: &Cluster, found: &mut Findings<'_>) {
    for workload in by_hand(cluster).filter(|workload| !workload.pods.hostname.is_empty()) {
        let kind = &*workload.meta.object.kind;
        let several = match kind {
            "DaemonSet" => true,
            "Deployment" | "ReplicaSet" => workload.count() > 1,
            _ => false,
        };
        if several {
            let count = if kind == "DaemonSet" {
                "a pod a node".to_owned()
            } else {
                format!("{} pods", workload.count())
            };
            let message = format!(
                "{count}, and all of them are {}.{}: the name answers with every address",
                workload.pods.hostname, workload.pods.subdomain
            );
            let fix = "a StatefulSet, which gives each pod a name of its own, or no hostname";
            found.push(&workload.meta, format!("{}.hostname", workload.pods.path), message, fix);
        }
    }
}

/// The more replicas a set has, the fewer of them can be anybody else's name by chance.
const LOOKED_AT: u32 = 10_000;

fn clash(cluster: &Cluster, found: &mut Findings<'_>) {
    for service in &cluster.services {
        let selected = || cluster.selected_by(service);
        let named: Vec<&Workload> = selected()
            .filter(|other| {
                !other.is_set()
                    && other.pods.subdomain == service.meta.name()
                    && !other.pods.hostname.is_empty()
            })
            .collect();
        if named.is_empty() {
            continue;
        }
        let mut owners: BTreeMap<String, &Workload> = BTreeMap::new();
        for set in selected().filter(|workload| workload.is_governed_by(service)) {
            let ordinals = u64::from(set.start)..u64::from(set.start) + u64::from(set.count().min(LOOKED_AT));
            owners.extend(ordinals.map(|ordinal| (format!("{}-{ordinal}", set.meta.name()), set)));
        }
        for workload in named {
            let host = &workload.pods.hostname;
            let Some(first) = owners.get(host) else {
                owners.insert(host.clone(), workload);
                continue;
            };
            let message = format!(
                "{host}.{} is also a name of {}: it answers with the addresses of both",
                service.meta.name(),
                first.meta.object
            );
            found.push(
                &workload.meta,
                format!("{}.hostname", workload.pods.path),
                message,
                "another hostname",
            );
        }
    }
}

fn template_ignored(cluster: &Cluster, found: &mut Findings<'_>) {
    for set in cluster.workloads.iter().filter(|workload| workload.is_set()) {
        let pods = &set.pods;
        let (field, value) = match (pods.hostname.as_str(), pods.subdomain.as_str()) {
            ("", "") => continue,
            ("", subdomain) if subdomain == set.service => continue,
            ("", subdomain) => ("subdomain", subdomain),
            (hostname, _) => ("hostname", hostname),
        };
        let message = format!(
            "{field} {value} is replaced: each pod's hostname is its own name ({}-{}), its subdomain the serviceName ({})",
            set.meta.name(),
            set.start,
            if set.service.is_empty() { "none" } else { &set.service }
        );
        found.push(&set.meta, format!("{}.{field}", pods.path), message, format!("- {field}: {value}"));
    }
}
