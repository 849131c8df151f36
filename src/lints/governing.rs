//! The governing Service: the one that a StatefulSet's `serviceName` names, and that gives each replica its name.

use super::finding::Findings;
use super::input::{Cluster, Kind};
use super::objects::{Service, Shape, Workload};
use super::raw::Labels;
use super::{Lint, lint};

pub(super) const MISSING: Lint = lint!(
    "governing-service-missing",
    Error,
    "a StatefulSet names a Service that does not exist: its replicas have no names",
    &[Kind::Service],
    missing
);
pub(super) const UNNAMED: Lint = lint!(
    "governing-service-unnamed",
    Warning,
    "a headless Service selects a StatefulSet that names no Service: its replicas have dashed addresses for names",
    &[],
    unnamed
);
pub(super) const NOT_HEADLESS: Lint = lint!(
    "governing-service-not-headless",
    Warning,
    "a StatefulSet is governed by a Service that is not headless",
    &[],
    not_headless
);
pub(super) const SELECTS_OTHERS: Lint = lint!(
    "governing-service-selects-others",
    Error,
    "a StatefulSet is governed by a Service that does not select its pods",
    &[],
    selects_others
);
pub(super) const MIXED: Lint = lint!(
    "governing-service-mixed",
    Warning,
    "the Service that governs a StatefulSet selects pods of something else as well",
    &[],
    mixed
);

fn missing(cluster: &Cluster, found: &mut Findings<'_>) {
    for set in cluster.workloads.iter().filter(|set| set.is_set() && !set.service.is_empty()) {
        let (namespace, service) = (set.meta.namespace(), &set.service);
        if cluster.service(namespace, service).is_some() {
            continue;
        }
        let mut message = format!(
            "no Service {service} in namespace {namespace}: {}-{} has no name",
            set.meta.name(),
            set.start
        );
        let of_namespace = || cluster.services.iter().filter(|service| service.meta.namespace() == namespace);
        let selecting =
            of_namespace().find(|service| service.is_headless() && service.selects(&set.pods.labels));
        if let Some(other) = selecting {
            let other = other.meta.name();
            message += &format!(
                "; the headless Service {other} selects its pods, and calls them by dashed addresses"
            );
        } else if let Some(near) = of_namespace().map(|s| s.meta.name()).find(|name| is_near(name, service)) {
            message += &format!("; did you mean {near}?");
        }
        found.push(&set.meta, "spec.serviceName", message, service_for(set));
    }
}

/// The Service that is missing.
fn service_for(set: &Workload) -> String {
    let labels: String =
        set.pods.labels.iter().map(|(key, value)| format!("\n    {key}: {value:?}")).collect();
    format!(
        "apply this Service (serviceName cannot be changed while the set exists):\n\
         apiVersion: v1\nkind: Service\nmetadata:\n  name: {}\n  namespace: {}\n\
         spec:\n  clusterIP: None\n  selector:{}",
        set.service,
        set.meta.namespace(),
        if labels.is_empty() { " …" } else { &labels }
    )
}

/// Whether one is the other with an octet more, less, or other, or two changed over.
pub(super) fn is_near(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    let is_swapped = a.len() >= 2 && b.len() >= 2 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..];
    is_swapped || a.get(1..) == b.get(1..) && !a.is_empty() || a.get(1..) == Some(b) || b.get(1..) == Some(a)
}

fn unnamed(cluster: &Cluster, found: &mut Findings<'_>) {
    for set in cluster.workloads.iter().filter(|set| set.is_set() && set.service.is_empty()) {
        let mut services = cluster.services.iter().filter(|service| {
            service.is_headless()
                && service.meta.namespace() == set.meta.namespace()
                && service.selects(&set.pods.labels)
        });
        if let Some(service) = services.next() {
            let service = service.meta.name();
            let message = format!(
                "it has no serviceName, so the headless Service {service} calls its replicas by dashed addresses \
                 and not {}-{}.{service}",
                set.meta.name(),
                set.start
            );
            let fix = format!(
                "write `serviceName: {service}` into its spec; where it exists already, make it anew:\n\
                 kubectl -n {} delete statefulset {} --cascade=orphan, then apply it",
                set.meta.namespace(),
                set.meta.name()
            );
            found.push(&set.meta, "spec", message, fix);
        }
    }
}

fn not_headless(cluster: &Cluster, found: &mut Findings<'_>) {
    for (set, service) in cluster.governed() {
        let name = service.meta.name();
        let message = match service.shape {
            Shape::Headless => continue,
            Shape::External => {
                format!("Service {name} is an ExternalName: it has no endpoints, and the replicas no names")
            }
            Shape::ClusterIp => format!(
                "Service {name} has a cluster IP: rollcall and CoreDNS answer {}-{}.{name} all the same, others \
                 (kube-dns) do not, and {name} itself is one address and not the replicas'",
                set.meta.name(),
                set.start
            ),
        };
        let fix = "govern it by a headless Service of its own: clusterIP: None, the same selector, and that name as \
                   serviceName; keep this one for clients";
        found.push(&set.meta, "spec.serviceName", message, fix);
    }
}

fn selects_others(cluster: &Cluster, found: &mut Findings<'_>) {
    for (set, service) in cluster.governed() {
        // Without a selector somebody else writes its endpoints: whom they are of cannot be told from here.
        if service.shape == Shape::External
            || service.selector.is_empty()
            || service.selects(&set.pods.labels)
        {
            continue;
        }
        let others: Vec<String> =
            cluster.selected_by(service).map(|other| other.meta.object.to_string()).collect();
        let instead = if others.is_empty() { String::new() } else { format!(" (but {})", others.join(", ")) };
        let message = format!(
            "Service {} selects {}, which its pods are not{instead}: none of them has a name there",
            service.meta.name(),
            differing(&service.selector, &set.pods.labels),
        );
        found.push(
            &set.meta,
            "spec.serviceName",
            message,
            patch(service, &service.selector, &set.pods.labels),
        );
    }
}

fn mixed(cluster: &Cluster, found: &mut Findings<'_>) {
    for service in &cluster.services {
        let governs = |workload: &&Workload| workload.is_governed_by(service);
        let Some(set) = cluster.selected_by(service).find(governs) else { continue };
        // A pod that was given this Service as its subdomain is meant to be here.
        let strangers = cluster.selected_by(service).filter(|other| {
            !governs(other) && other.pods.subdomain != service.meta.name() && !other.is_passing()
        });
        let strangers: Vec<String> = strangers.map(|other| other.meta.object.to_string()).collect();
        if !service.is_headless() || strangers.is_empty() {
            continue;
        }
        let message = format!(
            "it governs {} and selects {} as well: {} and its SRV records name the pods of both",
            set.meta.object,
            strangers.join(", "),
            service.meta.name()
        );
        let fix = format!(
            "give the pods of {} a label that the others lack, and select by it: {}",
            set.meta.object,
            text_of(&set.pods.labels)
        );
        found.push(&service.meta, "spec.selector", message, fix);
    }
}

/// `app=web, tier=db`.
pub(super) fn text_of(labels: &Labels) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if labels.is_empty() { "(no labels)".to_owned() } else { labels.join(", ") }
}

/// What of a selector these labels do not fulfil.
pub(super) fn differing(selector: &Labels, labels: &Labels) -> String {
    let wanted = selector.iter().filter(|(key, value)| labels.get(*key) != Some(value));
    let wanted: Vec<String> = wanted
        .map(|(key, value)| match labels.get(key) {
            Some(other) => format!("{key}={value} (they have {key}={other})"),
            None => format!("{key}={value}"),
        })
        .collect();
    wanted.join(", ")
}

/// The command that lets a Service select these labels.
pub(super) fn patch(service: &Service, selector: &Labels, labels: &Labels) -> String {
    let gone = selector.keys().filter(|key| !labels.contains_key(*key)).map(|key| format!("{key:?}:null"));
    let set = labels.iter().map(|(key, value)| format!("{key:?}:{value:?}"));
    let selector: Vec<String> = gone.chain(set).collect();
    format!(
        "kubectl -n {} patch service {} -p '{{\"spec\":{{\"selector\":{{{}}}}}}}'",
        service.meta.namespace(),
        service.meta.name(),
        selector.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_one_slip_of_the_hand() {
        for near in ["ngnix", "nginz", "ngin", "nginxs", "ngnx", "anginx"] {
            assert!(is_near(near, "nginx"), "{near}");
        }
        for far in ["nginx", "web", "nginx-headless", "inx", ""] {
            assert!(!is_near(far, "nginx"), "{far}");
        }
        assert!(!is_near("", ""));
    }
}
