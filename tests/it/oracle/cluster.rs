//! Questions about the cluster's objects: which are current, who is called what, who is ready.

use std::net::IpAddr;

use rollcall::model::{
    Endpoint, EndpointSlice, Object, PodReference, Port, Service, ServiceKey, ServiceShape,
};

use super::OracleSettings;

/// One address of one endpoint, under the name it has below its service.
#[derive(Debug, Clone)]
pub(super) struct Host<'a> {
    pub(super) label: String,
    pub(super) address: IpAddr,
    pub(super) ports: &'a [Port],
    /// Whether a slice carries `hostname` for it.
    pub(super) governed: bool,
    pub(super) ready: bool,
    pod: Option<&'a PodReference>,
    terminating: bool,
}

/// The objects that a list of applications leaves behind, the newest application last.
pub(crate) fn current(cluster: &[Object]) -> Vec<Object> {
    let mut objects = Vec::new();
    cluster.iter().for_each(|object| apply(&mut objects, object));
    objects
}

/// Puts an object last, in the place of what had its name. One that is there already, just so, stays where it
/// is: a source that lists everything again has not made old pods new.
pub(crate) fn apply(objects: &mut Vec<Object>, object: &Object) {
    if !objects.contains(object) {
        objects.retain(|other| !same_object(other, object));
        objects.push(object.clone());
    }
}

/// Whether two objects have the same kind, namespace and name.
pub(crate) fn same_object(one: &Object, other: &Object) -> bool {
    match (one, other) {
        (Object::Namespace(a), Object::Namespace(b)) => a.name == b.name,
        (Object::Service(a), Object::Service(b)) => a.key == b.key,
        (Object::EndpointSlice(a), Object::EndpointSlice(b)) => {
            a.service.namespace == b.service.namespace && a.name == b.name
        }
        (Object::StatefulSet(a), Object::StatefulSet(b)) => a.namespace == b.namespace && a.name == b.name,
        (Object::Pod(a), Object::Pod(b)) => a.namespace == b.namespace && a.name == b.name,
        _ => false,
    }
}

pub(super) fn services<'a>(objects: &[&'a Object]) -> Vec<&'a Service> {
    let service = |object: &&'a Object| match object {
        Object::Service(service) => Some(service),
        _ => None,
    };
    objects.iter().filter_map(service).collect()
}

/// "A namespace is known by its Namespace object, by any Service in it, or by being named in the configured filter."
pub(super) fn known_namespaces(objects: &[&Object], settings: &OracleSettings) -> Vec<String> {
    let of = |object: &&Object| match object {
        Object::Namespace(namespace) => Some(namespace.name.to_string()),
        Object::Service(service) => Some(service.key.namespace.to_string()),
        _ => None,
    };
    let filter = settings.namespaces.iter().flatten().cloned();
    objects.iter().filter_map(of).chain(filter).collect()
}

/// Whether a StatefulSet of the namespace says that `label` is one of its replicas, governed by `service`.
pub(super) fn replica_is_expected(objects: &[&Object], namespace: &str, service: &str, label: &str) -> bool {
    objects.iter().any(|object| {
        let Object::StatefulSet(set) = object else { return false };
        let governs = set.service.as_ref().is_some_and(|governing| governing.as_str() == service);
        let ordinal = label.strip_prefix(&*set.name).and_then(|rest| rest.strip_prefix('-'));
        let ordinal = ordinal.and_then(canonical_decimal);
        let replicas = u64::from(set.start)..u64::from(set.start) + u64::from(set.replicas);
        is_rfc1123_label(label)
            && set.namespace.as_str() == namespace
            && governs
            && ordinal.is_some_and(|n| replicas.contains(&n))
    })
}

/// `0`, or digits that do not start with 0: `web-01` is not a pod of the set `web`.
fn canonical_decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// The ready hosts of a service, one pod an ordinal; none under an alias.
pub(super) fn ready_hosts<'a>(
    objects: &[&'a Object],
    service: &Service,
    settings: &OracleSettings,
) -> Vec<Host<'a>> {
    if matches!(service.shape, ServiceShape::External(_)) {
        return Vec::new();
    }
    let all = all_hosts(objects, &service.key, settings);
    let kept = all.iter().filter(|host| is_its_only_pod(host, &all));
    let mut hosts: Vec<Host<'_>> = kept.filter(|host| host.ready).cloned().collect();
    // "The services whose slices carry the endpoint's `hostname`": one endpoint of the host is enough.
    let governed: Vec<String> = hosts.iter().filter(|h| h.governed).map(|h| h.label.clone()).collect();
    hosts.iter_mut().for_each(|host| host.governed = governed.contains(&host.label));
    hosts
}

/// Every address of every endpoint of a service, oldest applied first.
fn all_hosts<'a>(objects: &[&'a Object], service: &ServiceKey, settings: &OracleSettings) -> Vec<Host<'a>> {
    let mut hosts = Vec::new();
    for object in objects {
        let Object::EndpointSlice(slice) = object else { continue };
        if slice.service != *service {
            continue;
        }
        for endpoint in &slice.endpoints {
            hosts.extend(endpoint.addresses.iter().map(|&address| host(slice, endpoint, address, settings)));
        }
    }
    hosts
}

fn host<'a>(
    slice: &'a EndpointSlice,
    endpoint: &'a Endpoint,
    address: IpAddr,
    settings: &OracleSettings,
) -> Host<'a> {
    let pod_name = endpoint.pod.as_ref().map(|pod| &*pod.name);
    let pod_name = pod_name.filter(|name| settings.endpoint_pod_names && is_rfc1123_label(name));
    let label = match (&endpoint.hostname, pod_name) {
        (Some(hostname), _) => hostname.to_string(),
        (None, Some(pod_name)) => pod_name.to_string(),
        (None, None) => dashed(address),
    };
    Host {
        label,
        address,
        ports: &slice.ports,
        governed: endpoint.hostname.is_some(),
        ready: endpoint.ready,
        pod: endpoint.pod.as_ref(),
        terminating: endpoint.terminating,
    }
}

/// "Of endpoints with the same host, family and target pod name but different pod UID, terminating ones are left
/// out, then all but the newest applied."
fn is_its_only_pod(host: &Host<'_>, all: &[Host<'_>]) -> bool {
    let Some(pod) = host.pod else { return true };
    let same_ordinal = |other: &&Host<'_>| {
        other.label == host.label
            && other.address.is_ipv4() == host.address.is_ipv4()
            && other.pod.is_some_and(|other| other.name == pod.name)
    };
    let rivals: Vec<_> = all.iter().filter(same_ordinal).collect();
    let uid = |host: &Host<'_>| host.pod.map(|pod| pod.uid.clone());
    if rivals.iter().all(|rival| uid(rival) == uid(host)) {
        return true;
    }
    let newest = rivals.iter().rfind(|rival| !rival.terminating);
    !host.terminating && newest.is_some_and(|newest| uid(newest) == uid(host))
}

/// RFC 1123, section 2.1, in Kubernetes' lower case.
fn is_rfc1123_label(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The address as a label: RFC 5952 text with `-` for `.` and `:`, and a `0` where it would end in `-`.
pub(crate) fn dashed(address: IpAddr) -> String {
    let label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') { label + "0" } else { label }
}

/// The address that a dashed label stands for: as IPv4 where the hyphens can be dots, else as IPv6.
pub(super) fn undashed(label: &str) -> Option<IpAddr> {
    if label.contains(['.', ':']) {
        return None;
    }
    let dots = label.replace('-', ".").parse().ok().map(IpAddr::V4);
    dots.or_else(|| label.replace('-', ":").parse().ok().map(IpAddr::V6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashed_labels_go_there_and_back() {
        for address in ["10.0.0.1", "fd00::1", "fd00:10::", "2001:db8:0:1:1:1:1:1"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(undashed(&dashed(address)), Some(address));
        }
    }
}
