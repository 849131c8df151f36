//! Zone, namespace, addresses, pods: what is not a Service's.

use std::fmt::Display;
use std::net::IpAddr;

use serde_json::json;

use super::super::State;
use super::super::answer::Answered;
use super::super::explanation::{Step, StepId, Verdict};
use super::super::form::Form;
use super::{MOST, good, step, with};
use crate::model::{Label, Port, Protocol};
use crate::reasons::Answer;
use crate::records::endpoint_label;
use crate::zone::{PodNames, View, undashed};

/// Nor more endpoints: each takes some tenths of a microsecond.
const MOST_ENDPOINTS: usize = 100_000;

/// More Services than this are not looked through for an address: it takes milliseconds, and the task that publishes is
/// asked.
const MOST_SERVICES: usize = 20_000;

/// `a, b, c and 7 more`.
pub(super) fn some(all: &[impl Display]) -> String {
    let shown: Vec<String> = all.iter().take(MOST).map(ToString::to_string).collect();
    match all.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `http 80/TCP`.
pub(super) fn port(port: &Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    };
    match &port.name {
        Some(name) => format!("{name} {}/{protocol}", port.number),
        None => format!("{}/{protocol} (unnamed)", port.number),
    }
}

pub(super) fn zone(view: &View<'_>, form: &Form, answered: &Answered<'_>) -> Step {
    let (zone, serial) = (view.settings().zone.to_string(), view.serial());
    let facts = json!({"zone": zone, "serial": serial});
    let why = || answered.reason.map(|reason| reason.to_string()).unwrap_or_default();
    let (looked_at, verdict, found) = match (form, answered.answer) {
        (Form::Outside, _) => {
            let found = format!("the name is not below it, nor that of an address: {}", why());
            (zone, Verdict::Bad, found)
        }
        (_, Answer::Failed) => (zone, Verdict::Bad, why()),
        (Form::Address(_) | Form::ReversePart, answer) => {
            let prefixes: Vec<String> = view.settings().reverse.iter().map(ToString::to_string).collect();
            let known = format!("reverse names of {}, and of every address that is known", some(&prefixes));
            (
                "in-addr.arpa. and ip6.arpa.".to_owned(),
                good(answer != Answer::Refused),
                format!("served here: {known}"),
            )
        }
        _ => (zone, Verdict::Good, format!("served here, serial {serial}")),
    };
    with(step(StepId::Zone, verdict, looked_at, found), facts)
}

pub(super) fn namespace(state: &State<'_>, view: &View<'_>, form: &Form, name: &str) -> Step {
    let is_declared = Label::new(name).is_ok_and(|label| state.index.has_namespace(&label));
    let (is_left_out, is_known) = (view.leaves_out(name.as_bytes()), view.knows_namespace(name.as_bytes()));
    // The names of what sets say are there for a set as well.
    let has_sets = matches!(form, Form::Sets(_) | Form::SetsOf { .. }) && view.has_sets(name.as_bytes());
    let found = if is_left_out {
        "left out: this server is configured not to serve it, or cannot list it"
    } else if is_declared {
        "known by its object"
    } else if is_known {
        "known, by a Service in it or by the configuration"
    } else if has_sets {
        "known, by a StatefulSet in it"
    } else {
        "unknown: there is no such namespace, and no Service in it"
    };
    let is_known = is_known || has_sets;
    let facts = json!({"known": is_known, "served": !is_left_out});
    with(step(StepId::Namespace, good(is_known && !is_left_out), name, found), facts)
}

/// The name of a pod by its address.
pub(super) fn pod(state: &State<'_>, view: &View<'_>, namespace: &str, label: &str) -> Step {
    let pods = view.settings().pods;
    let (verdict, found) = match pods {
        PodNames::Disabled => {
            (Verdict::Bad, "names of pods are switched off (pods = \"disabled\")".to_owned())
        }
        PodNames::Insecure => {
            (Verdict::Note, "any address is answered, pod or not (pods = \"insecure\")".to_owned())
        }
        PodNames::Verified => {
            let has = |address: &IpAddr| {
                Label::new(namespace).is_ok_and(|namespace| state.index.has_pod(&namespace, *address))
            };
            match undashed(label.as_bytes()) {
                Some(address) if has(&address) => (Verdict::Good, format!("a pod has {address}")),
                Some(address) => (Verdict::Bad, format!("no pod has {address} (pods = \"verified\")")),
                None => (Verdict::Bad, format!("{label} is no address with dashes")),
            }
        }
    };
    step(StepId::Pod, verdict, format!("{namespace}/{label}"), found)
}

/// Who has an address, ready or not.
pub(super) fn address(state: &State<'_>, address: IpAddr) -> Vec<Step> {
    let keys: Vec<_> = state.index.services().take(MOST_SERVICES + 1).collect();
    if keys.len() > MOST_SERVICES {
        let found = format!("not looked for: there are more than {MOST_SERVICES} Services");
        return vec![step(StepId::Endpoint, Verdict::Note, address.to_string(), found)];
    }
    let mut steps = Vec::new();
    let mut left = MOST_ENDPOINTS;
    for key in keys {
        let objects = state.index.service(&key);
        let endpoints = objects.slices.iter().map(|slice| slice.endpoints.len()).sum();
        let Some(rest) = left.checked_sub(endpoints) else {
            let found =
                format!("not looked for in all Services: they have more than {MOST_ENDPOINTS} endpoints");
            return vec![step(StepId::Endpoint, Verdict::Note, address.to_string(), found)];
        };
        left = rest;
        let is_own = objects.service.as_ref().is_some_and(|service| {
            matches!(&service.shape, crate::model::ServiceShape::ClusterIp(own) if own.contains(&address))
        });
        if is_own {
            steps.push(step(
                StepId::Service,
                Verdict::Good,
                format!("Service {key}"),
                "has it as its clusterIP",
            ));
        }
        for slice in &objects.slices {
            for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.addresses.contains(&address)) {
                let label = endpoint_label(endpoint, address, state.settings.endpoint_pod_names);
                let is_there = if objects.service.is_some() { "" } else { ", which does not exist" };
                let found = format!(
                    "{label} of Service {key}{is_there}, in slice {}: ready={}{}",
                    slice.name,
                    endpoint.ready,
                    if endpoint.terminating { ", terminating=true" } else { "" },
                );
                let verdict = good(endpoint.ready && objects.service.is_some());
                steps.push(step(StepId::Endpoint, verdict, address.to_string(), found));
            }
        }
    }
    steps.sort_by(|one, other| one.found.cmp(&other.found));
    let more = steps.len().saturating_sub(MOST);
    steps.truncate(MOST);
    if more > 0 {
        let found = format!("and {more} more have it");
        steps.push(step(StepId::Endpoint, Verdict::Note, address.to_string(), found));
    }
    if steps.is_empty() {
        let found = "no Service and no slice has it";
        steps.push(step(StepId::Endpoint, Verdict::Bad, address.to_string(), found));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_many() {
        assert_eq!(some(&["a", "b"]), "a, b");
        assert_eq!(some(&(0..9).collect::<Vec<_>>()), "0, 1, 2, 3 and 5 more");
    }
}
