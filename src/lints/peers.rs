//! Replicas that look for each other before they are ready, or for one that is not there.

use std::collections::BTreeSet;

use super::finding::Findings;
use super::input::Cluster;
use super::objects::{Service, Workload};
use super::text::{Spoken, spoken};
use super::{Lint, lint};

pub(super) const READINESS: Lint = lint!(
    "readiness-needs-own-name",
    Warning,
    "a probe that decides on readiness looks up a name that exists only once the pod is ready",
    &[],
    readiness
);
pub(super) const NOT_READY: Lint = lint!(
    "peers-need-not-ready-addresses",
    Warning,
    "replicas are told each other's names, which do not exist before they are ready",
    &[],
    not_ready
);
pub(super) const OUT_OF_RANGE: Lint = lint!(
    "peer-out-of-range",
    Warning,
    "a replica is spoken of that the StatefulSet does not have",
    &[],
    out_of_range
);
pub(super) const ANNOTATION: Lint = lint!(
    "tolerate-unready-annotation",
    Warning,
    "a Service asks for addresses that are not ready by an annotation that nothing reads any more",
    &[],
    annotation
);

/// What a set's text speaks of its own Service.
fn own(text: &str, set: &Workload, service: &Service) -> Vec<Spoken> {
    spoken(text, set.meta.namespace(), service.meta.name(), set.meta.name())
}

fn publish(service: &Service) -> String {
    format!(
        "kubectl -n {} patch service {} -p '{{\"spec\":{{\"publishNotReadyAddresses\":true}}}}'",
        service.meta.namespace(),
        service.meta.name()
    )
}

/// The sets whose names are there only while they are ready.
fn hidden(cluster: &Cluster) -> impl Iterator<Item = (&Workload, &Service)> {
    cluster.governed().filter(|(set, service)| {
        service.is_headless() && !service.publishes_not_ready && service.selects(&set.pods.labels)
    })
}

fn readiness(cluster: &Cluster, found: &mut Findings<'_>) {
    for (set, service) in hidden(cluster) {
        let name = service.meta.name();
        for probe in set.pods.probes.iter().filter(|probe| !own(&probe.text, set, service).is_empty()) {
            let message = format!(
                "it looks up names of Service {name}, which has them only for pods that are ready: the first replica \
                 waits for itself"
            );
            found.push(&set.meta, probe.field.clone(), message, publish(service));
        }
    }
}

fn not_ready(cluster: &Cluster, found: &mut Findings<'_>) {
    for (set, service) in hidden(cluster).filter(|(set, _)| set.pods.has_readiness && set.count() > 1) {
        // One name is a place to begin from, often the first replica's, which needs nobody; several are members that
        // wait for each other.
        let members = |text: &str| -> BTreeSet<Spoken> {
            let replicas = own(text, set, service).into_iter();
            replicas.filter(|spoken| matches!(spoken, Spoken::Replica(_))).collect()
        };
        let told = set.pods.texts.iter().find(|text| members(&text.text).len() > 1);
        if let Some(text) = told {
            let message = format!(
                "it names its replicas to each other, and Service {} has their names only once they are ready",
                service.meta.name()
            );
            found.push(&set.meta, text.field.clone(), message, publish(service));
        }
    }
}

fn out_of_range(cluster: &Cluster, found: &mut Findings<'_>) {
    for (set, service) in cluster.governed().filter(|(set, _)| set.replicas != Some(0)) {
        let (first, end) = (u64::from(set.start), u64::from(set.start) + u64::from(set.count()));
        for other in cluster.workloads_of(set.meta.namespace()) {
            let texts = other.pods.texts.iter().chain(&other.pods.probes);
            let strange = texts.filter_map(|text| {
                let ordinals = own(&text.text, set, service).into_iter().filter_map(|spoken| match spoken {
                    Spoken::Replica(ordinal) => Some(ordinal),
                    Spoken::Some | Spoken::Service => None,
                });
                // More than there are may be for a set that is to grow; fewer than the first there will never be.
                let is_strange = |ordinal: &u32| {
                    let ordinal = u64::from(*ordinal);
                    ordinal < first || ordinal >= end && set.replicas.is_some()
                };
                ordinals.into_iter().find(is_strange).map(|ordinal| (text, ordinal))
            });
            for (text, ordinal) in strange {
                let (name, service) = (set.meta.name(), service.meta.name());
                let last = end.saturating_sub(1);
                let message = format!(
                    "{name}-{ordinal}.{service} does not exist: StatefulSet {name} has the replicas {first} to {last}"
                );
                let fix = if u64::from(ordinal) < first {
                    format!("name {name}-{first} first, as spec.ordinals.start of StatefulSet {name} says")
                } else {
                    let replicas = u64::from(ordinal) + 1 - first;
                    format!(
                        "take it out, or kubectl -n {} scale statefulset {name} --replicas={replicas}",
                        set.meta.namespace()
                    )
                };
                found.push(&other.meta, text.field.clone(), message, fix);
            }
        }
    }
}

fn annotation(cluster: &Cluster, found: &mut Findings<'_>) {
    let services = cluster.services.iter();
    for service in services.filter(|service| service.tolerates_unready && !service.publishes_not_ready) {
        let message = "tolerate-unready-endpoints is an annotation of old: only the field publishNotReadyAddresses \
                       gives pods their names before they are ready";
        found.push(&service.meta, "metadata.annotations", message, publish(service));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::lints::support::{found, mk_service, mk_set};

    fn with(spec: Value, container: Value) -> Vec<&'static str> {
        found(&[mk_service("db", "db", spec), mk_set("db", "db", "db", container)])
    }

    const MEMBERS: &str = "db-0.db:1,db-1.db:1,db-2.db:1";

    #[test]
    fn members_wait_for_each_other_where_readiness_hides_them() {
        let probe = json!({"tcpSocket": {"port": 1}});
        let told = json!({"args": [MEMBERS], "readinessProbe": probe});
        assert_eq!(with(json!({}), told.clone()), ["peers-need-not-ready-addresses"]);
        assert_eq!(with(json!({"publishNotReadyAddresses": true}), told.clone()), [""; 0]);
        // Without readiness they have names as soon as they run; one name is a place to begin from.
        assert_eq!(with(json!({}), json!({"args": [MEMBERS]})), [""; 0]);
        let one = json!({"env": [{"name": "SEED", "value": "db-0.db, db-0.db"}], "readinessProbe": probe});
        assert_eq!(with(json!({}), one), [""; 0]);
        // The members of another set are no peers.
        let others = json!({"args": ["zk-0.zk:1,zk-1.zk:1"], "readinessProbe": probe});
        assert_eq!(with(json!({}), others), [""; 0]);
        let mut alone = mk_set("db", "db", "db", told);
        alone["spec"]["replicas"] = json!(1);
        let args = json!(["db-0.db"]);
        alone["spec"]["template"]["spec"]["containers"][0]["args"] = args;
        assert_eq!(found(&[mk_service("db", "db", json!({})), alone]), [""; 0]);
    }

    #[test]
    fn probes_that_ask_for_their_own_names() {
        let asks = |probe: Value| with(json!({}), json!({"readinessProbe": probe}));
        for bad in [
            json!({"exec": {"command": ["nslookup", "db"]}}),
            json!({"exec": {"command": ["sh", "-c", "pg_isready -h $(hostname).db"]}}),
            json!({"httpGet": {"host": "db.default.svc.cluster.local", "port": 80}}),
            json!({"tcpSocket": {"host": "db-0.db", "port": 80}}),
        ] {
            assert_eq!(asks(bad.clone()), ["readiness-needs-own-name"], "{bad}");
        }
        for good in [
            json!({"exec": {"command": ["db", "-h", "localhost"]}}),
            json!({"httpGet": {"path": "/db.default", "port": 80}}),
            json!({"exec": {"command": ["nslookup", "other"]}}),
        ] {
            assert_eq!(asks(good.clone()), [""; 0], "{good}");
        }
        let startup = json!({"startupProbe": {"exec": {"command": ["getent", "hosts", "db-0.db"]}}});
        assert_eq!(with(json!({}), startup), ["readiness-needs-own-name"]);
        // A liveness probe decides nothing about names.
        let liveness = json!({"livenessProbe": {"exec": {"command": ["getent", "hosts", "db-0.db"]}}});
        assert_eq!(with(json!({}), liveness), [""; 0]);
    }

    #[test]
    fn replicas_that_are_not_there() {
        let set = |ordinals: Value, replicas: Value, value: &str| {
            let mut set = mk_set("db", "db", "db", json!({"env": [{"name": "A", "value": value}]}));
            set["spec"]["ordinals"] = ordinals;
            set["spec"]["replicas"] = replicas;
            found(&[mk_service("db", "db", json!({})), set])
        };
        let strange = ["peer-out-of-range"];
        assert_eq!(set(json!(null), json!(3), "db-2.db"), [""; 0]);
        assert_eq!(set(json!(null), json!(3), "db-3.db"), strange);
        assert_eq!(set(json!({"start": 1}), json!(3), "db-0.db"), strange);
        assert_eq!(set(json!({"start": 1}), json!(3), "db-3.db"), [""; 0]);
        // An autoscaler may hold the number; below the first there is never one.
        assert_eq!(set(json!(null), json!(null), "db-7.db"), [""; 0]);
        assert_eq!(set(json!({"start": 1}), json!(null), "db-0.db"), strange);
    }
}
