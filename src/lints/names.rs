//! What the API server takes as a name, and DNS or a pod does not.

use super::finding::Findings;
use super::input::Cluster;
use super::objects::{Service, Workload};
use super::{Lint, lint};

pub(super) const SET_TOO_LONG: Lint = lint!(
    "set-name-too-long",
    Error,
    "a StatefulSet's name is too long for its pods to be made",
    &[],
    set_too_long
);
pub(super) const SET_NOT_A_LABEL: Lint = lint!(
    "set-name-not-a-label",
    Error,
    "a StatefulSet's name has a dot: its pods cannot have it as a host name",
    &[],
    set_not_a_label
);
pub(super) const TOO_LONG: Lint = lint!(
    "name-too-long",
    Error,
    "a name is longer than DNS allows: 63 octets a label, 253 in all",
    &[],
    too_long
);

/// The label `controller-revision-hash` is the set's name, a hyphen and a hash of up to 10 digits, in 63 octets.
const MAX_SET_NAME: usize = 63 - 1 - 10;
/// RFC 1035, section 2.3.4.
const MAX_LABEL: usize = 63;
/// The same, as text: 255 octets on the wire are 253 characters.
const MAX_NAME: usize = 253;

fn sets(cluster: &Cluster) -> impl Iterator<Item = &Workload> {
    cluster.workloads.iter().filter(|workload| workload.is_set())
}

fn last_ordinal(set: &Workload) -> u64 {
    u64::from(set.start) + u64::from(set.count().max(1)) - 1
}

fn set_too_long(cluster: &Cluster, found: &mut Findings<'_>) {
    for set in sets(cluster) {
        let (name, last) = (set.meta.name(), last_ordinal(set));
        let pod = name.len() + 1 + last.to_string().len();
        let message = if name.len() > MAX_SET_NAME {
            format!(
                "the name has {} octets, and pods get it with a hash of up to 10 digits as the label \
                 controller-revision-hash, which holds {MAX_LABEL}: they are refused",
                name.len()
            )
        } else if pod > MAX_LABEL {
            format!("{name}-{last} has {pod} octets, and a host name holds {MAX_LABEL}: that pod is refused")
        } else {
            continue;
        };
        found.push(&set.meta, "metadata.name", message, format!("a name of at most {MAX_SET_NAME} octets"));
    }
}

fn set_not_a_label(cluster: &Cluster, found: &mut Findings<'_>) {
    for set in sets(cluster).filter(|set| set.meta.name().contains('.')) {
        let name = set.meta.name();
        let message = format!(
            "the API server takes a StatefulSet with dots in its name, but {name}-{} is no host name: its pods are \
             refused",
            set.start
        );
        found.push(&set.meta, "metadata.name", message, format!("call it {}", name.replace('.', "-")));
    }
}

fn too_long(cluster: &Cluster, found: &mut Findings<'_>) {
    for service in &cluster.services {
        let names = ports(service);
        for (index, name) in names.iter().enumerate().filter(|(_, name)| name.len() >= MAX_LABEL) {
            let message = format!(
                "the port name {name} has {} octets, and _{name} is a label of at most {MAX_LABEL}: it has no SRV \
                 record",
                name.len()
            );
            let fix = "a name of at most 15 octets, as RFC 6335 has them";
            found.push(&service.meta, format!("spec.ports[{index}].name"), message, fix);
        }
        let (namespace, zone) = (service.meta.namespace(), &cluster.zone);
        let below = format!("{}.{namespace}.svc.{zone}", service.meta.name());
        let governed = sets(cluster).filter(|set| set.is_governed_by(service));
        let hosts = governed.map(|set| format!("{}-{}", set.meta.name(), last_ordinal(set)));
        let Some(host) = hosts.max_by_key(String::len) else { continue };
        let longest = format!("{host}.{below}");
        if longest.len() > MAX_NAME {
            let message =
                format!("{longest} has {} octets, and a name has at most {MAX_NAME}", longest.len());
            found.push(&service.meta, "metadata.name", message, "shorter names, or a shorter cluster domain");
            continue;
        }
        // `_name._tcp.` in front.
        let srv = names.iter().filter(|name| !name.is_empty() && name.len() < MAX_LABEL);
        if let Some(port) =
            srv.max_by_key(|name| name.len()).filter(|name| longest.len() + name.len() + 7 > MAX_NAME)
        {
            let message = format!("_{port}._tcp.{longest} is longer than the {MAX_NAME} octets of a name");
            found.push(&service.meta, "metadata.name", message, "a shorter port name: at most 15 octets");
        }
    }
}

fn ports(service: &Service) -> Vec<&str> {
    service.ports.iter().map(|port| port.name.as_str()).collect()
}
