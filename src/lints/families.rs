//! Address families: what a Service says, and what it has.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Findings;
use super::input::{Cluster, Kind};
use super::objects::Service;
use super::{Lint, lint};

pub(super) const INCONSISTENT: Lint = lint!(
    "ip-families-inconsistent",
    Error,
    "the address families that a Service lists, its policy and its addresses do not agree",
    &[],
    inconsistent
);
pub(super) const WITHOUT_ENDPOINTS: Lint = lint!(
    "family-without-endpoints",
    Warning,
    "a headless Service lists an address family that none of its endpoints has",
    &[Kind::EndpointSlice],
    without_endpoints
);

fn is_v6(address: &str) -> bool {
    address.contains(':')
}

fn inconsistent(cluster: &Cluster, found: &mut Findings<'_>) {
    for service in &cluster.services {
        let families = service.families.as_slice();
        let both = families.len() > 1;
        let (field, message, fix) = match service.policy.as_str() {
            "" | "SingleStack" if both => (
                "spec.ipFamilyPolicy",
                format!(
                    "lists {} under the policy SingleStack, which is one family: the API server refuses it",
                    families.join(" and ")
                ),
                "ipFamilyPolicy: RequireDualStack (or PreferDualStack), or one of the families".to_owned(),
            ),
            _ if both && families[0] == families[1] => (
                "spec.ipFamilies",
                format!("lists {} twice", families[0]),
                "ipFamilies: [IPv4, IPv6]".to_owned(),
            ),
            _ => match strange_address(service) {
                Some((index, address)) => (
                    "spec.clusterIPs",
                    format!("address {index} is {address}, and family {index} is {}", families[index]),
                    "the addresses in the families' order".to_owned(),
                ),
                None => continue,
            },
        };
        found.push(&service.meta, field, message, fix);
    }
}

/// The first address that is not of the family at its place.
fn strange_address(service: &Service) -> Option<(usize, &str)> {
    let addresses = service.cluster_ips.iter().map(String::as_str).filter(|address| *address != "None");
    let mut pairs = addresses.zip(&service.families).enumerate();
    pairs
        .find(|(_, (address, family))| is_v6(address) != (family.as_str() == "IPv6"))
        .map(|(index, (address, _))| (index, address))
}

/// Whether the API server wrote the families: without a selector a headless Service has both of them from it, whatever the
/// cluster has, as if somebody had asked for them.
fn is_defaulted(service: &Service) -> bool {
    service.selector.is_empty()
        && service.policy == "RequireDualStack"
        && service.families.iter().map(String::as_str).eq(["IPv4", "IPv6"])
}

fn without_endpoints(cluster: &Cluster, found: &mut Findings<'_>) {
    let mut by_service: BTreeMap<(&str, &str), BTreeSet<bool>> = BTreeMap::new();
    for slice in cluster.slices.iter().filter(|slice| slice.has_ready) {
        by_service.entry((slice.meta.namespace(), &slice.service)).or_default().insert(slice.is_v6);
    }
    for service in cluster.services.iter().filter(|service| service.is_headless() && !is_defaulted(service)) {
        let there = by_service.get(&(service.meta.namespace(), service.meta.name()));
        // Without any endpoint it is the pods that are missing, not a family.
        let Some(there) = there else { continue };
        let lacking =
            service.families.iter().position(|family| !there.contains(&(family.as_str() == "IPv6")));
        let Some(index) = lacking else { continue };
        let (family, rtype) =
            if service.families[index] == "IPv6" { ("IPv6", "AAAA") } else { ("IPv4", "A") };
        let message = format!(
            "lists {family}, and no endpoint has an address of it: {rtype} of {} is empty",
            service.meta.name()
        );
        let fix = format!(
            "see whether the cluster gives pods {family} addresses:\nkubectl -n {} get pods -o \
             custom-columns=NAME:.metadata.name,IPS:.status.podIPs",
            service.meta.namespace()
        );
        found.push(&service.meta, format!("spec.ipFamilies[{index}]"), message, fix);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::lints::support::{found, mk_service};

    #[test]
    fn what_the_api_server_wrote_by_itself_is_not_held_against_anybody() {
        let with = |selector: serde_json::Value, policy: &str| {
            let service = mk_service(
                "db",
                "db",
                json!({"selector": selector, "ipFamilyPolicy": policy, "ipFamilies": ["IPv4", "IPv6"]}),
            );
            let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
                "ports": [{"name": "web", "port": 80}], "endpoints": [{"addresses": ["192.0.2.1"]}]});
            found(&[service, slice]).contains(&"family-without-endpoints")
        };
        assert!(!with(json!({}), "RequireDualStack"));
        assert!(with(json!({}), "PreferDualStack"));
        assert!(with(json!({"app": "db"}), "RequireDualStack"));
    }
}
