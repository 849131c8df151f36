//! The pods behind a name that is not there: what they say of themselves, where somebody read them.

use serde_json::json;

use super::super::State;
use super::super::answer::Answered;
use super::super::explanation::{Step, StepId, Verdict};
use super::super::form::Front;
use super::{OfService, Walk, Wanted, good, step, with};
use crate::model::{Phase, PodState, is_object_name};
use crate::reasons::{Answer, Reason, is_past};
use crate::records::ordinal_of;

/// Pods that are told of one by one.
const MOST_PODS: usize = 3;

/// Tells of the pods that the name hangs on, and which objects would tell more.
pub(super) fn pods(state: &State<'_>, walk: &mut Walk, front: &Front, answered: &Answered<'_>) {
    let Some(of) = &walk.of_service else { return };
    let names = relevant(of, front, answered);
    let namespace = of.key.namespace.as_str().to_owned();
    walk.wanted = Wanted {
        namespace: namespace.clone(),
        service: of.objects.service.as_ref().map(|_| of.key.name.as_str().to_owned()),
        sets: of
            .objects
            .sets
            .iter()
            .chain(&of.owners)
            .take(super::MOST)
            .map(|set| set.name.to_string())
            .collect(),
        pods: names.clone(),
    };
    for name in names {
        if let Some(pod) = pod(state, of, &name) {
            walk.steps.extend(one(&namespace, pod));
        } else if state.beside.has_no_pod(&namespace, &name) {
            let found = "there is none: nobody has made it yet";
            walk.steps.push(step(StepId::Pod, Verdict::Bad, format!("Pod {namespace}/{name}"), found));
        }
    }
}

/// What a pod says: as it was read for this question, or as the server knows it of a set that is not whole, where the
/// slices do not tell of what came later.
pub(in crate::explain) fn pod<'a>(state: &State<'a>, of: &OfService, name: &str) -> Option<&'a PodState> {
    let of_index = || {
        let (set, _) = name.rsplit_once('-')?;
        let pods = state.index.pods_of(&of.key.namespace, set);
        let pod = pods.iter().find(|pod| *pod.name == *name).filter(|_| !of.has_host(name))?;
        let mut endpoints = of.objects.slices.iter().flat_map(|slice| &slice.endpoints);
        (!endpoints.any(|endpoint| is_past(pod, endpoint))).then_some(pod)
    };
    state.beside.pod(of.key.namespace.as_str(), name).or_else(of_index)
}

/// The pod of the host that was asked for, the one that it waits for, and where the whole Service has none ready its first
/// ones.
fn relevant(of: &OfService, front: &Front, answered: &Answered<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        // A slice may point at anything.
        if is_object_name(&name) && !names.contains(&name) && names.len() < MOST_PODS {
            names.push(name);
        }
    };
    if let Some(Reason::Awaited { set, waits_for, .. }) = answered.reason {
        add(format!("{set}-{waits_for}"));
    }
    let endpoints = || of.objects.slices.iter().flat_map(|slice| &slice.endpoints);
    if let Some(host) = front.host() {
        let sets = of.objects.sets.iter().chain(&of.owners);
        let is_replica = sets.into_iter().any(|set| {
            let own = u64::from(set.start)..u64::from(set.start) + u64::from(set.replicas);
            ordinal_of(host.as_bytes(), set.name.as_bytes()).is_some_and(|ordinal| own.contains(&ordinal))
        });
        let called =
            endpoints().filter(|endpoint| endpoint.hostname.as_ref().is_some_and(|own| own.as_str() == host));
        called.filter_map(|endpoint| endpoint.pod.as_ref()).for_each(|pod| add(pod.name.to_string()));
        if is_replica
            || endpoints().any(|endpoint| endpoint.pod.as_ref().is_some_and(|pod| *pod.name == *host))
        {
            add(host.to_owned());
        }
    }
    if answered.answer == Answer::NoName && front.host().is_none() {
        let not_ready =
            endpoints().filter(|endpoint| !endpoint.ready).filter_map(|endpoint| endpoint.pod.as_ref());
        not_ready.for_each(|pod| add(pod.name.to_string()));
        let first = of.objects.sets.iter().filter(|set| set.replicas > 0);
        first.for_each(|set| add(format!("{}-{}", set.name, set.start)));
    }
    names
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
        Phase::Unknown => "of unknown phase",
    }
}

fn one(namespace: &str, pod: &PodState) -> Vec<Step> {
    let mut found = phase(pod.phase).to_owned();
    if !pod.node.is_empty() {
        found += &format!(" on node {}", pod.node);
    }
    let since = pod.ready_since.as_ref().map(|since| format!(" since {}", since.text)).unwrap_or_default();
    found += if pod.ready { ", ready" } else { ", not ready" };
    found += &since;
    if !pod.ready_message.is_empty() {
        found += &format!(": {}", pod.ready_message);
    } else if pod.node_silent {
        found += ": its node does not answer";
    }
    if let Some(waiting) = &pod.waiting {
        found += &format!("; waits in {}: {}", waiting.reason, waiting.detail);
    }
    if let Some(going) = &pod.terminating {
        found += &format!("; terminating since {}", going.since.text);
        if going.overdue {
            found += ", longer than it has for it";
        }
        if !going.finalizer.is_empty() {
            found += &format!(", kept by the finalizer {}", going.finalizer);
        }
    }
    let facts = json!({
        "phase": phase(pod.phase), "node": Some(pod.node.as_str()).filter(|node| !node.is_empty()),
        "ready": pod.ready, "ready_since": pod.ready_since.as_ref().map(|since| since.seconds),
        "waiting": pod.waiting.as_ref().map(|waiting| waiting.reason.as_str()),
        "terminating_since": pod.terminating.as_ref().map(|going| going.since.seconds),
    });
    let verdict = good(pod.ready && pod.terminating.is_none());
    let mut steps =
        vec![with(step(StepId::Pod, verdict, format!("Pod {namespace}/{}", pod.name), found), facts)];
    if !pod.pending.is_empty() {
        let (id, who) =
            if pod.scheduled { (StepId::Pod, "last event") } else { (StepId::Scheduler, "scheduler") };
        steps.push(step(id, Verdict::Bad, format!("{who} on {}", pod.name), pod.pending.as_str()));
    }
    for claim in pod.claims.iter().filter(|claim| claim.bound == Some(false)) {
        let class = match claim.class.as_str() {
            "" => String::new(),
            class => format!(" (storage class {class})"),
        };
        let found = format!("not bound{class}: {} waits for its volume", pod.name);
        let looked_at = format!("PersistentVolumeClaim {namespace}/{}", claim.name);
        steps.push(step(StepId::Claim, Verdict::Bad, looked_at, found));
    }
    steps
}
