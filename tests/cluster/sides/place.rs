//! What a name is, by the objects alone: which service it is below, what its aliases lead to.

use std::net::IpAddr;

use super::objects::{Service, Shape, World};

/// Where a question's name stands.
#[derive(Debug, Clone)]
pub(super) enum Place<'a> {
    /// Below an existing service, by so many labels: none for its own name.
    Service(Vec<String>, &'a Service),
    /// `<label>.<namespace>.pod` of a known namespace, with these labels in front.
    Pod(Vec<String>),
    /// Anything else in the cluster's zone: the labels below its apex.
    Zone(Vec<String>),
    /// A name in the reverse trees, and its address where it is a whole one.
    Reverse(Option<IpAddr>),
    Outside,
}

/// What aliases lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// A name in the zone that is no alias, behind so many links.
    Inside(usize, String),
    /// A name that the upstream knows about, or not.
    Outside(usize, String),
    Loop,
}

impl World {
    pub(super) fn place(&self, labels: &[String]) -> Place<'_> {
        match labels {
            [front @ .., cluster, local] if cluster == "cluster" && local == "local" => self.in_zone(front),
            [.., in_addr, arpa] if arpa == "arpa" && (in_addr == "in-addr" || in_addr == "ip6") => {
                Place::Reverse(address(labels))
            }
            _ => Place::Outside,
        }
    }

    /// The place of a name as a record has it.
    pub(super) fn place_of(&self, name: &str) -> Place<'_> {
        let labels: Vec<String> = name.trim_end_matches('.').split('.').map(str::to_string).collect();
        self.place(&labels)
    }

    fn in_zone(&self, labels: &[String]) -> Place<'_> {
        if let [front @ .., service, namespace, svc] = labels
            && svc == "svc"
            && let Some(service) = self.service(namespace, service)
        {
            return Place::Service(front.to_vec(), service);
        }
        if let [front @ .., _label, namespace, pod] = labels
            && pod == "pod"
            && self.namespaces.contains(namespace)
        {
            return Place::Pod(front.to_vec());
        }
        Place::Zone(labels.to_vec())
    }

    /// Follows the aliases from this service on; None where it is none.
    pub(super) fn alias_end(&self, service: &Service) -> Option<End> {
        let Shape::External(target) = &service.shape else { return None };
        let (mut target, mut links, mut seen) = (target, 1, vec![service]);
        loop {
            match self.place_of(target) {
                Place::Outside | Place::Reverse(_) => return Some(End::Outside(links, target.clone())),
                Place::Service(front, next) if front.is_empty() => {
                    let Shape::External(further) = &next.shape else {
                        return Some(End::Inside(links, target.clone()));
                    };
                    if seen.iter().any(|seen| (&seen.namespace, &seen.name) == (&next.namespace, &next.name))
                    {
                        return Some(End::Loop);
                    }
                    seen.push(next);
                    links += 1;
                    target = further;
                }
                _ => return Some(End::Inside(links, target.clone())),
            }
        }
    }

    /// Whether an endpoint that is ready, or a clusterIP, is at this address.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        let virtual_address = self.services.iter().any(|service| service.cluster_ips.contains(&address));
        let mut endpoints = self.slices.iter().flat_map(|slice| &slice.endpoints);
        virtual_address || endpoints.any(|endpoint| endpoint.is_ready() && endpoint.ip() == Some(address))
    }
}

/// The address of a whole reverse name.
fn address(labels: &[String]) -> Option<IpAddr> {
    match labels {
        [d, c, b, a, in_addr, _] if in_addr == "in-addr" => format!("{a}.{b}.{c}.{d}").parse().ok(),
        [nibbles @ .., ip6, _] if ip6 == "ip6" && nibbles.len() == 32 => {
            let mut text: String = nibbles.iter().rev().map(String::as_str).collect();
            (1..8).rev().for_each(|group| text.insert(group * 4, ':'));
            text.parse().ok()
        }
        _ => None,
    }
}
