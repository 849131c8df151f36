//! Rows about TTLs, the zone itself and its branches, and types that are no name's own.

use super::super::compare::Aspect;
use super::super::objects::Shape;
use super::super::place::{End, Place};
use super::super::reply::{Record, Reply};
use super::super::upstream::UPSTREAM_TTL;
use super::reverse::reverse_unknown;
use super::services::host_port_labels;
use super::{Case, Row, Via, is_underscored};

pub(super) const ROWS: &[Row] = &[
    Row { id: "ttl", covers: ttl },
    Row { id: "ttl-expected", covers: ttl_expected },
    Row { id: "empty-non-terminal", covers: empty_non_terminal },
    Row { id: "dns-version", covers: dns_version },
    Row { id: "name-servers", covers: name_servers },
    Row { id: "txt-of-branches", covers: txt_of_branches },
    Row { id: "soa-of-nothing", covers: soa_of_nothing },
    Row { id: "any", covers: any },
    Row { id: "reasons", covers: reasons },
    Row { id: "statefulset-names", covers: statefulset_names },
    Row { id: "push-name", covers: push_name },
];

/// `_statefulset`, the namespaces below it, and below these the services of sets: names that theirs has not.
fn statefulset_names(case: &Case<'_>) -> bool {
    let Place::Zone(labels) = case.place else { return false };
    let is_known = |namespace: &String| case.world.namespaces.contains(namespace);
    let has_right = match labels.as_slice() {
        [root] => root == "_statefulset" && case.ours.is_nodata(),
        [namespace, root] => root == "_statefulset" && is_known(namespace) && case.ours.is_nodata(),
        [service, namespace, root] => {
            let mut sets = case.world.sets.iter();
            let has_set = sets.any(|set| set.service == *service && set.namespace == *namespace);
            let is_text = case.is_type(&["TXT"]);
            let texts = case.ours.answers().iter().all(|record| record.rtype == "TXT");
            root == "_statefulset" && has_set && texts && case.ours.answers().is_empty() != is_text
        }
        _ => false,
    };
    has_right && case.is_content() && case.is("NXDOMAIN", "NOERROR")
}

/// Where push is to be had, and the name above.
fn push_name(case: &Case<'_>) -> bool {
    let Place::Zone(labels) = case.place else { return false };
    let has_right = match labels.as_slice() {
        [protocol] => protocol == "_tcp" && case.ours.is_nodata(),
        [service, protocol] => {
            let services = case.ours.answers().iter().all(|record| record.rtype == "SRV");
            let is_service = case.is_type(&["SRV"]);
            let has_right = services && case.ours.answers().is_empty() != is_service;
            service == "_dns-push-tls" && protocol == "_tcp" && has_right
        }
        _ => false,
    };
    has_right && case.is_content() && case.is("NXDOMAIN", "NOERROR")
}

/// Ours say why they are empty, or not what one may look for; theirs never do. What is refused has a row.
fn reasons(case: &Case<'_>) -> bool {
    let Some(codes) = case.ours.errors.as_deref() else { return false };
    let answers = case.ours.answers();
    // SRV records whose targets are addresses with dashes, or aliases that end in nothing.
    let is_surprising = || case.is_type(&["SRV"]) || answers.iter().all(|record| record.rtype == "CNAME");
    let is_told = match case.ours.rcode.as_str() {
        "NXDOMAIN" => codes == [0],
        "NOERROR" => codes == [0] && (answers.is_empty() || is_surprising()),
        _ => false,
    };
    case.aspect == Aspect::Edns
        && case.via == Via::Direct
        && case.theirs.errors.as_deref() == Some(&[])
        && is_told
}

/// Ours have at most 5 s, theirs kubeadm's 30 s; what an upstream gave has what is left of its own.
fn ttl(case: &Case<'_>) -> bool {
    let is_ours = |record: &Record| match case.world.place_of(&record.owner) {
        Place::Reverse(address) => address.is_some_and(|address| case.world.has_address(address)),
        Place::Outside => false,
        _ => true,
    };
    let within = |reply: &Reply, most: u32| {
        let limit = |record: &Record| if is_ours(record) { most } else { UPSTREAM_TTL };
        reply.sections.iter().flatten().all(|record| (1..=limit(record)).contains(&record.ttl))
    };
    // Of a denial behind an alias CoreDNS's cache keeps nothing, but says 5 s.
    let rewritten = case.via == Via::Stub && case.alias().is_some();
    let usual = !is_awaited(case) || rewritten;
    case.aspect == Aspect::Ttl && usual && within(case.theirs, 30) && within(case.ours, 5)
}

fn ttl_expected(case: &Case<'_>) -> bool {
    let [soa] = case.ours.authorities() else { return false };
    case.aspect == Aspect::Ttl && is_awaited(case) && soa.ttl == 0
}

/// Denied, and about to exist: the name of a replica that a set expects, one below it, or any name of a
/// headless service that has none ready; or an alias of such a name.
fn is_awaited(case: &Case<'_>) -> bool {
    let target = match case.alias() {
        Some(End::Inside(_, name)) => case.world.place_of(&name),
        _ => case.place.clone(),
    };
    let Place::Service(front, service) = target else { return false };
    let endpoints =
        || case.world.slices_of(service).flat_map(|slice| &slice.endpoints).filter(|e| e.is_ready());
    let none_ready = service.shape == Shape::Headless && endpoints().next().is_none();
    let replica = |label: &String| {
        let expected = case.world.sets.iter().any(|set| set.expects(service, label));
        expected && !endpoints().any(|endpoint| endpoint.label().as_ref() == Some(label))
    };
    case.ours.rcode == "NXDOMAIN" && (none_ready || front.last().is_some_and(replica))
}

fn empty_non_terminal(case: &Case<'_>) -> bool {
    let is_one = match (case.below_service(), case.place) {
        (Some((front, _)), _) => matches!(front, [protocol] | [protocol, _] if is_underscored(protocol)),
        (None, Place::Zone(labels)) => labels.as_slice() == ["dns"],
        _ => false,
    };
    is_one && case.is_content() && case.theirs.rcode == "NXDOMAIN" && case.ours.is_nodata()
}

fn dns_version(case: &Case<'_>) -> bool {
    let is_it = matches!(case.place, Place::Zone(labels) if labels.as_slice() == ["dns-version"]);
    is_it && !case.is_type(&["TXT", "ANY"]) && case.is_content() && case.is("NXDOMAIN", "NOERROR")
}

/// The plugin knows none: it is bound to a loopback address. In a pod, its NS records are the Services'
/// names. It compares these names with regard to case, too.
fn name_servers(case: &Case<'_>) -> bool {
    let Place::Zone(labels) = case.place else { return false };
    let is_one = match labels.as_slice() {
        [] => case.is_type(&["NS"]),
        [ns, dns] => ns == "ns" && dns == "dns" && !case.is_type(&["ANY"]),
        _ => false,
    };
    let denied = case.theirs.rcode == "NXDOMAIN" || case.theirs.is_nodata();
    is_one && case.is_content() && denied && case.ours.rcode == "NOERROR"
}

fn txt_of_branches(case: &Case<'_>) -> bool {
    let Place::Zone(labels) = case.place else { return false };
    let is_branch = match labels.as_slice() {
        [] => true,
        [branch] => branch == "svc" || branch == "pod",
        [namespace, branch] => {
            case.world.namespaces.contains(namespace) && (branch == "svc" || branch == "pod")
        }
        _ => false,
    };
    is_branch
        && case.is_content()
        && case.is_type(&["TXT"])
        && case.theirs.rcode == "NXDOMAIN"
        && case.ours.is_nodata()
}

pub(super) fn soa_of_nothing(case: &Case<'_>) -> bool {
    let below_pod = matches!(case.place, Place::Pod(front) if !front.is_empty());
    let denied = case.ours.rcode == "NXDOMAIN" && case.ours.answers().is_empty();
    case.is_content()
        && case.is_type(&["SOA"])
        && case.theirs.is_nodata()
        && denied
        && !below_pod
        && !reverse_unknown(case)
}

pub(super) fn any(case: &Case<'_>) -> bool {
    let minimal = !case.ours.answers().is_empty() && case.theirs.answers().is_empty();
    case.is_type(&["ANY"]) && minimal && case.is_content() && host_port_labels(case).is_none()
}
