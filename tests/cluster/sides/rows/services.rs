//! Rows about names below a service, and of pods.

use std::net::IpAddr;

use super::super::objects::{Port, Service, World};
use super::super::place::Place;
use super::super::reply::Record;
use super::srv::srv_weight;
use super::zone::{any, soa_of_nothing};
use super::{Case, Row, is_underscored};

pub(super) const ROWS: &[Row] = &[
    Row { id: "host-port", covers: host_port },
    Row { id: "port-addresses", covers: port_addresses },
    Row { id: "port-underscores", covers: port_underscores },
    Row { id: "port-numberless", covers: port_numberless },
    Row { id: "pod-srv", covers: pod_srv },
    Row { id: "pod-below", covers: pod_below },
    Row { id: "recreated-pod", covers: recreated_pod },
    Row { id: "fqdn-slice", covers: fqdn_slice },
];

/// Ours are true of an endpoint with this name; CoreDNS has nothing to hold them against.
fn host_port(case: &Case<'_>) -> bool {
    let (Some([port, protocol, host]), Some((_, service))) = (host_port_labels(case), case.below_service())
    else {
        return false;
    };
    let slices = case.world.slices_of(service).filter(|slice| {
        let mut ready = slice.endpoints.iter().filter(|endpoint| endpoint.is_ready());
        ready.any(|endpoint| endpoint.label().as_ref() == Some(host))
    });
    let asked = |wanted: &&Port| {
        wanted.name == port.strip_prefix('_') && protocol[1..].eq_ignore_ascii_case(wanted.protocol)
    };
    let numbers: Vec<String> = slices
        .flat_map(|slice| slice.ports.iter().filter(asked))
        .filter_map(|p| Some(p.number?.to_string()))
        .collect();
    let target = format!("{host}.{}.{}.svc.cluster.local.", service.name, service.namespace);
    let is_true = |record: &Record| {
        record
            .srv()
            .is_some_and(|(_, _, number, to)| to == target && numbers.iter().any(|known| known == number))
    };
    let expected = case.ours.answers().is_empty() != case.is_type(&["SRV", "ANY"]);
    case.is_content() && case.is("NXDOMAIN", "NOERROR") && expected && case.ours.answers().iter().all(is_true)
}

fn port_addresses(case: &Case<'_>) -> bool {
    let Some(([port, protocol], service)) = case.below_service() else { return false };
    is_underscored(port)
        && is_underscored(protocol)
        && !has_names_as_addresses(case.world, service)
        && case.is_type(&["A", "AAAA"])
        && case.is_content()
        && case.theirs.rcode == "NOERROR"
        && case.ours.is_nodata()
}

fn port_underscores(case: &Case<'_>) -> bool {
    let Some(([port, protocol], _)) = case.below_service() else { return false };
    let both = is_underscored(port) && is_underscored(protocol);
    !both && case.is_content() && case.is("NOERROR", "NXDOMAIN") && !case.is_type(&["SOA"])
}

/// A slice's port that has a name and no number: no record can be made of it.
fn port_numberless(case: &Case<'_>) -> bool {
    let Some(([port, protocol], service)) = case.below_service() else { return false };
    let named = |wanted: &Port| wanted.name == port.strip_prefix('_');
    let mut ports = case.world.slices_of(service).flat_map(|slice| &slice.ports).filter(|port| named(port));
    is_underscored(protocol)
        && ports.all(|port| port.number.is_none())
        && case.is_content()
        && case.is("NOERROR", "NXDOMAIN")
        && !case.is_type(&["SOA"])
        && port.len() > 1
        && port.starts_with('_')
}

fn pod_srv(case: &Case<'_>) -> bool {
    let is_pod = matches!(case.place, Place::Pod(front) if front.is_empty());
    is_pod
        && case.is_content()
        && case.is_type(&["SRV"])
        && case.theirs.rcode == "NOERROR"
        && case.ours.is_nodata()
}

fn pod_below(case: &Case<'_>) -> bool {
    let is_below = matches!(case.place, Place::Pod(front) if !front.is_empty());
    is_below && case.is_content() && case.is("NOERROR", "NXDOMAIN")
}

/// Ours are some of theirs: at names of a service that has a pod's name twice, with different UIDs, and at
/// the addresses of those. What is missing are addresses of such pods.
pub(super) fn recreated_pod(case: &Case<'_>) -> bool {
    let concerned = match (case.below_service(), case.reverse_of()) {
        (Some((front, service)), _) if front.len() != 3 && case.is("NOERROR", "NOERROR") => {
            twins(case.world, service)
        }
        (None, Some(address)) if case.is_type(&["PTR"]) && case.ours.rcode != "REFUSED" => {
            let all = case.world.services.iter().flat_map(|service| twins(case.world, service));
            all.filter(|twin| *twin == address).collect()
        }
        _ => return false,
    };
    let is_twin = |record: &Record| match record.rtype.as_str() {
        "A" | "AAAA" => record.data.parse().is_ok_and(|address| concerned.contains(&address)),
        // An SRV record more is a smaller weight for the others.
        _ => true,
    };
    let weightless = |record: &Record| record.srv().map(|(_, _, port, to)| format!("{port} {to}"));
    let same = |own: &Record, other: &Record| {
        own.rtype == other.rtype
            && if own.rtype == "SRV" { weightless(own) == weightless(other) } else { own.data == other.data }
    };
    let some_of = |ours: &[Record], theirs: &[Record]| {
        let missing = theirs.iter().filter(|other| !ours.iter().any(|own| same(own, other)));
        ours.iter().all(|own| theirs.iter().any(|other| same(own, other))) && missing.into_iter().all(is_twin)
    };
    !concerned.is_empty()
        && case.is_content()
        && !case.theirs.answers().is_empty()
        && !srv_weight(case)
        && some_of(case.ours.answers(), case.theirs.answers())
        && some_of(case.ours.additionals(), case.theirs.additionals())
        && !port_addresses(case)
        && !port_underscores(case)
}

/// The addresses of a service's endpoints whose pods' names are there twice, with different UIDs.
fn twins(world: &World, service: &Service) -> Vec<IpAddr> {
    let endpoints: Vec<_> = world.slices_of(service).flat_map(|slice| &slice.endpoints).collect();
    let is_twin = |name: &str, uid: &str| {
        endpoints.iter().filter_map(|e| e.pod.as_ref()).any(|(other, of)| other == name && of != uid)
    };
    let of_twins = endpoints.iter().filter(|e| e.pod.as_ref().is_some_and(|(name, uid)| is_twin(name, uid)));
    of_twins.filter_map(|endpoint| endpoint.ip()).collect()
}

fn fqdn_slice(case: &Case<'_>) -> bool {
    let concerns = case.below_service().is_some_and(|(front, service)| {
        let is_port = matches!(front, [port, protocol] if is_underscored(port) && is_underscored(protocol));
        let is_host = matches!(front, [host] if !is_underscored(host));
        (front.is_empty() || is_host || is_port) && has_names_as_addresses(case.world, service)
    });
    concerns
        && case.is_content()
        && case.is("NOERROR", "NOERROR")
        && !srv_weight(case)
        && !any(case)
        && !port_underscores(case)
        && !soa_of_nothing(case)
}

/// `_port._protocol.host` below a service.
pub(super) fn host_port_labels<'a>(case: &Case<'a>) -> Option<&'a [String]> {
    let (front, _) = case.below_service()?;
    matches!(front, [port, protocol, _] if is_underscored(port) && is_underscored(protocol)).then_some(front)
}

fn has_names_as_addresses(world: &World, service: &Service) -> bool {
    world.slices_of(service).any(|slice| slice.family == "FQDN")
}
