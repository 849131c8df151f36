//! The size of a set.

use super::finding::Findings;
use super::input::Cluster;
use super::{Lint, lint};

pub(super) const REPLICAS_ZERO: Lint = lint!(
    "replicas-zero",
    Note,
    "a StatefulSet has no replicas: no name of its Service exists",
    &[],
    replicas_zero
);

fn replicas_zero(cluster: &Cluster, found: &mut Findings<'_>) {
    for (set, service) in cluster.governed().filter(|(set, _)| set.replicas == Some(0)) {
        let alone = cluster.selected_by(service).all(|other| other.replicas == Some(0));
        let Some(name) = Some(service.meta.name()).filter(|_| service.is_headless() && alone) else {
            continue;
        };
        let message = format!("0 replicas: {name} and every name below it are NXDOMAIN");
        let fix =
            format!("kubectl -n {} scale statefulset {} --replicas=1", set.meta.namespace(), set.meta.name());
        found.push(&set.meta, "spec.replicas", message, fix);
    }
}
