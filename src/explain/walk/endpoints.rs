//! Slices and their endpoints.

use std::net::IpAddr;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::super::State;
use super::super::caching::moment;
use super::super::explanation::{Step, StepId, Verdict};
use super::super::form::Front;
use super::names::some;
use super::{MOST, OfService, Published, good, step, with};
use crate::model::{Endpoint, EndpointSlice, ServiceShape};
use crate::records::endpoint_label;

/// When the slices of a Service told of a change last.
pub(super) fn changed(state: &State<'_>, of: &OfService) -> Option<SystemTime> {
    let more = |slice: &EndpointSlice| state.beside.slice(of.key.namespace.as_str(), &slice.name)?.changed;
    of.objects.slices.iter().filter_map(more).max()
}

pub(super) fn slices(state: &State<'_>, of: &OfService) -> Step {
    let slices = &of.objects.slices;
    let namespace = of.key.namespace.as_str();
    let is_headless =
        of.objects.service.as_ref().is_some_and(|service| service.shape == ServiceShape::Headless);
    let mut told = Vec::new();
    let mut facts = Vec::new();
    for EndpointSlice { name, endpoints, .. } in slices {
        let count = |is: fn(&Endpoint) -> bool| endpoints.iter().filter(|endpoint| is(endpoint)).count();
        let ready = count(|endpoint| endpoint.ready);
        let terminating = count(|endpoint| endpoint.terminating);
        let not_ready = count(|endpoint| !endpoint.ready && !endpoint.terminating);
        let changed = state.beside.slice(namespace, name).and_then(|more| more.changed).and_then(moment);
        let mut text = format!("{name} has {}", count(|_| true));
        let kinds = [(ready, "ready"), (not_ready, "not ready"), (terminating, "terminating")];
        let kinds: Vec<String> = kinds
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if !kinds.is_empty() {
            text += &format!(" ({})", kinds.join(", "));
        }
        if let Some(changed) = &changed {
            text += &format!(", as of {changed}");
        }
        told.push(text);
        facts.push(json!({
            "name": name, "endpoints": endpoints.len(), "ready": ready, "not_ready": not_ready,
            "terminating": terminating, "changed_at": changed,
        }));
    }
    let found = match told.as_slice() {
        [] => "there is none: the selector matches no pod, or there is no selector".to_owned(),
        all => some(all),
    };
    let any_ready = || slices.iter().flat_map(|slice| &slice.endpoints).any(|endpoint| endpoint.ready);
    let verdict = match (if is_headless { of.has_addresses() } else { any_ready() }, is_headless) {
        (true, _) => Verdict::Good,
        (false, true) => Verdict::Bad,
        // The Service's own name stands for its addresses.
        (false, false) => Verdict::Note,
    };
    let looked_at = match slices.len() {
        0 => "EndpointSlices".to_owned(),
        1 => "1 EndpointSlice".to_owned(),
        count => format!("{count} EndpointSlices"),
    };
    with(step(StepId::Slices, verdict, looked_at, found), json!({"slices": facts}))
}

/// An address of an endpoint, and where it stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    slice: &'a EndpointSlice,
    endpoint: &'a Endpoint,
    address: IpAddr,
}

fn places(of: &OfService) -> impl Iterator<Item = Place<'_>> {
    of.objects.slices.iter().flat_map(|slice| {
        slice.endpoints.iter().flat_map(move |endpoint| {
            endpoint.addresses.iter().map(move |address| Place { slice, endpoint, address: *address })
        })
    })
}

fn is_pod(place: &Place<'_>, name: &str) -> bool {
    place.endpoint.pod.as_ref().is_some_and(|pod| *pod.name == *name)
}

/// The host that was asked for, or where none was those that there are.
pub(super) fn endpoints(state: &State<'_>, of: &OfService, front: &Front) -> Vec<Step> {
    let label = |place: &Place<'_>| {
        endpoint_label(place.endpoint, place.address, state.settings.endpoint_pod_names).into_owned()
    };
    let published = of.published();
    let Some(host) = front.host() else { return all(of, &published, label).into_iter().collect() };
    let called: Vec<Place<'_>> = places(of).filter(|place| label(place) == host).collect();
    let others = places(of).filter(|place| is_pod(place, host) && label(place) != host);
    let mut steps: Vec<Step> =
        called.iter().take(MOST).map(|place| one(state, of, &published, host, place)).collect();
    for place in others.take(MOST) {
        let called = label(&place);
        let found = format!(
            "its endpoint {} in slice {} has no hostname for this Service: it is called {called} here",
            place.address, place.slice.name
        );
        let facts = json!({"called": called, "address": place.address, "slice": place.slice.name});
        steps.push(with(step(StepId::Endpoint, Verdict::Bad, format!("pod {host}"), found), facts));
    }
    if steps.is_empty() {
        steps.push(step(StepId::Endpoint, Verdict::Bad, host, "no slice has an endpoint of this name"));
    }
    steps
}

fn one(state: &State<'_>, of: &OfService, published: &Published<'_>, host: &str, place: &Place<'_>) -> Step {
    let Place { slice, endpoint, address } = place;
    let more = state.beside.slice(of.key.namespace.as_str(), &slice.name);
    let more = more.and_then(|more| more.endpoints.get(address));
    let mut found = format!("{address} in slice {}", slice.name);
    if let Some(pod) = &endpoint.pod {
        found += &format!(", pod {}", pod.name);
    }
    let node = more.and_then(|more| more.node.as_deref());
    if let Some(node) = node {
        found += &format!(" on node {node}");
    }
    found += &format!(": ready={}", endpoint.ready);
    let serving = more.and_then(|more| more.serving);
    if let Some(serving) = serving.filter(|serving| *serving != endpoint.ready) {
        found += &format!(", serving={serving}");
    }
    if endpoint.terminating {
        found += ", terminating=true";
    }
    let is_published = published.has(host, *address);
    if endpoint.ready && !is_published {
        found += "; it gave way to another pod of its name";
    }
    let facts = json!({
        "address": address, "slice": slice.name, "pod": endpoint.pod.as_ref().map(|pod| &pod.name), "node": node,
        "ready": endpoint.ready, "serving": serving, "terminating": endpoint.terminating,
    });
    with(step(StepId::Endpoint, good(is_published), host, found), facts)
}

/// All endpoints in a line.
fn all(of: &OfService, published: &Published<'_>, label: impl Fn(&Place<'_>) -> String) -> Option<Step> {
    let mut told: Vec<String> = Vec::new();
    let mut count = 0;
    for place in places(of) {
        count += 1;
        if told.len() < MOST {
            let how = match (place.endpoint.ready, place.endpoint.terminating) {
                (true, false) => "",
                (true, true) => " (terminating)",
                (false, true) => " (terminating, not ready)",
                (false, false) => " (not ready)",
            };
            told.push(format!("{} at {}{how}", label(&place), place.address));
        }
    }
    if told.is_empty() {
        return None;
    }
    let more = count - told.len();
    let mut found = told.join(", ");
    if more > 0 {
        found += &format!(" and {more} more");
    }
    let any = places(of).any(|place| published.has(&label(&place), place.address));
    let looked_at = if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") };
    Some(with(step(StepId::Endpoint, good(any), looked_at, found), json!({"addresses": Value::from(count)})))
}
