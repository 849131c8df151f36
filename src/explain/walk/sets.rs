//! The StatefulSets that say which names there should be.

use serde_json::json;

use super::super::State;
use super::super::explanation::{Step, StepId, Verdict};
use super::super::form::Front;
use super::{MOST, OfService, step, with};
use crate::model::StatefulSet;
use crate::records::ordinal_of;

/// Those that the Service governs, and those that made pods of its slices and are governed by another. Of a host that one
/// of them is named after only that one.
pub(super) fn sets(state: &State<'_>, of: &OfService, front: &Front) -> Vec<Step> {
    let host = front.host();
    let is_asked = |set: &&StatefulSet| {
        host.is_some_and(|host| ordinal_of(host.as_bytes(), set.name.as_bytes()).is_some())
    };
    let all = || of.objects.sets.iter().chain(&of.owners);
    let mut shown: Vec<&StatefulSet> = all().filter(is_asked).collect();
    if shown.is_empty() {
        shown = all().collect();
    }
    first(shown, |set| one(state, of, host, set))
}

/// Steps of the first of them by name.
fn first(mut sets: Vec<&StatefulSet>, one: impl Fn(&StatefulSet) -> Step) -> Vec<Step> {
    sets.sort_by(|one, other| one.name.cmp(&other.name));
    let more = sets.len().saturating_sub(MOST);
    let mut steps: Vec<Step> = sets.iter().take(MOST).map(|set| one(set)).collect();
    if more > 0 {
        steps.push(step(StepId::Set, Verdict::Note, "StatefulSets", format!("and {more} more")));
    }
    steps
}

/// Those whose own word is asked for: that replicas are missing is part of it, and takes nothing away.
pub(super) fn said(state: &State<'_>, of: Option<&OfService>, service: &str) -> Vec<Step> {
    let Some(of) = of.filter(|of| !of.objects.sets.is_empty()) else {
        let found = format!("none names Service {service} as its serviceName");
        return vec![step(StepId::Set, Verdict::Bad, "StatefulSets", found)];
    };
    first(of.objects.sets.iter().collect(), |set| Step {
        verdict: Verdict::Good,
        ..one(state, of, None, set)
    })
}

fn one(state: &State<'_>, of: &OfService, host: Option<&str>, set: &StatefulSet) -> Step {
    let StatefulSet { namespace, name, service, start, replicas, parallel, revision } = set;
    let (first, end) = (u64::from(*start), u64::from(*start) + u64::from(*replicas));
    let mut found = match replicas {
        0 => "wants 0 replicas".to_owned(),
        1 => format!("wants 1 replica, {name}-{first}"),
        _ => format!("wants {replicas} replicas, {name}-{first} to {name}-{}", end - 1),
    };
    if *replicas > 1 {
        found += if *parallel { ", all at once" } else { ", one after the other" };
    }
    let governs = service.as_ref() == Some(&of.key.name);
    let there = of.records.iter().flat_map(|records| &records.hosts).filter(|host| {
        ordinal_of(host.label.as_bytes(), name.as_bytes())
            .is_some_and(|ordinal| (first..end).contains(&ordinal))
    });
    let there = u32::try_from(there.count()).unwrap_or(u32::MAX);
    let more = state.beside.set(namespace.as_str(), name);
    let mut verdict = if there >= *replicas { Verdict::Good } else { Verdict::Bad };
    if governs {
        found += &format!("; {there} of {replicas} have their names here");
    } else {
        let other = service.as_ref().map_or("none", |service| service.as_str());
        found += &format!("; its serviceName is {other}: its pods have names of their own there, not here");
        verdict = Verdict::Bad;
    }
    let ready = more.and_then(|more| more.ready);
    if let Some(ready) = ready.filter(|ready| *ready != there || !governs) {
        found += &format!("; {ready} ready");
    }
    let ordinal = host.and_then(|host| ordinal_of(host.as_bytes(), name.as_bytes()));
    if let (Some(host), Some(ordinal)) = (host, ordinal)
        && !(first..end).contains(&ordinal)
    {
        found += &format!("; {host} is not among them");
        verdict = Verdict::Bad;
    }
    // Somebody else's absence is not what this name waits for.
    if governs && host.is_some_and(|host| of.has_host(host)) {
        verdict = Verdict::Good;
    }
    let facts = json!({
        "service_name": service.as_ref().map(|service| service.as_str()),
        "replicas": replicas,
        "start": start,
        "pod_management_policy": if *parallel { "Parallel" } else { "OrderedReady" },
        "named": governs.then_some(there),
        "ready": ready,
        "revision": revision,
    });
    with(step(StepId::Set, verdict, format!("StatefulSet {namespace}/{name}"), found), facts)
}
