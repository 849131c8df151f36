//! What a pod itself says about its absent name, where somebody asked the API server for it.

use super::Reason;
use crate::model::{Endpoint, Phase, PodState, Terminating};

/// Whether what a pod said is over, for an endpoint of its name tells of what came later: it is another pod's by now; it
/// goes, which it had not when it was asked; it has an address, and what has one waits neither for a node nor for a volume.
#[must_use]
pub fn is_past(pod: &PodState, endpoint: &Endpoint) -> bool {
    endpoint.pod.as_ref().filter(|known| known.name == pod.name).is_some_and(|known| {
        known.uid != pod.uid
            || (endpoint.terminating && pod.terminating.is_none())
            || !pod.scheduled
            || !pod.pending.is_empty()
    })
}

/// Why a pod has no name, from its own status; None where that says nothing. Its name is filled in by the question.
pub(super) fn of_pod(pod: &PodState) -> Option<Reason<'_>> {
    let name = "";
    if let Some(Terminating { since, overdue, evicted, finalizer }) = &pod.terminating {
        let (is_held, node) = (!finalizer.is_empty(), pod.node.as_str());
        return Some(Reason::PodTerminating {
            name,
            since: since.text.as_str(),
            finalizer: finalizer.as_str(),
            // One that lives ends a pod in its time; what else keeps it is named.
            node: if *overdue && !is_held { node } else { "" },
            silent: *evicted || pod.node_silent,
        });
    }
    let message = pod.pending.as_str();
    let since = pod.ready_since.as_ref().map_or("", |since| since.text.as_str());
    let unbound = pod.claims.iter().find(|claim| claim.bound == Some(false));
    match (pod.phase, unbound, &pod.waiting) {
        (Phase::Pending, Some(claim), _) if !pod.scheduled || !message.is_empty() => {
            let class = claim.class.as_str();
            Some(Reason::ClaimNotBound { name, claim: &claim.name, class, message })
        }
        (Phase::Pending, None, _) if !message.is_empty() => Some(Reason::PodPending { name, message }),
        (_, _, Some(waiting)) if !pod.ready => {
            let (reason, detail) = (waiting.reason.as_str(), waiting.detail.as_str());
            Some(Reason::PodWaiting { name, reason, detail })
        }
        (Phase::Pending, ..) if !pod.scheduled => Some(Reason::PodUnscheduled { name }),
        _ if pod.ready || since.is_empty() => None,
        _ if pod.node_silent => Some(Reason::NodeSilent { name, since, node: pod.node.as_str() }),
        _ if !pod.ready_message.is_empty() => {
            Some(Reason::PodNotReady { name, since, message: pod.ready_message.as_str() })
        }
        _ => None,
    }
}
