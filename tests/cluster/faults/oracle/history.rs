//! What each service was, state by state, from the events of its EndpointSlices as the API server told them.
//!
//! The rules are those of docs/names.md, read anew: nothing here comes from rollcall, or both could be wrong
//! alike.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::super::client::Said;

/// What is asked about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::faults) enum Asked {
    /// A of the service.
    Service,
    /// A of one of its hosts.
    Host(String),
    /// SRV of the service, with the addresses of its targets.
    Srv,
}

/// One endpoint of one slice. These slices hold IPv4 and one address an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::faults) struct Endpoint {
    pub(in crate::faults) host: String,
    pub(in crate::faults) address: String,
    /// The pod's name and UID.
    pub(in crate::faults) pod: (String, String),
    pub(in crate::faults) ready: bool,
    pub(in crate::faults) terminating: bool,
}

/// An event of the watch of one EndpointSlice.
#[derive(Debug, Clone)]
pub(in crate::faults) struct Event {
    /// When the record was told of it, since the test began.
    pub(in crate::faults) at: Duration,
    pub(in crate::faults) service: String,
    pub(in crate::faults) slice: String,
    /// None once it is deleted.
    pub(in crate::faults) contents: Option<Contents>,
}

/// What a slice holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::faults) struct Contents {
    pub(in crate::faults) endpoints: Vec<Endpoint>,
    pub(in crate::faults) ports: Vec<u16>,
}

/// A line of a watch.
#[derive(Debug)]
pub(in crate::faults) enum Told {
    /// A slice changed; the version that it has now.
    Change(Event, String),
    /// Nothing changed up to this version.
    Bookmark(String),
    /// The watch is over, and why.
    Error(String),
}

impl Told {
    /// Reads a line.
    ///
    /// # Panics
    /// On what is no event, and on a slice of another shape than a StatefulSet's: the record would be wrong.
    pub(in crate::faults) fn read(at: Duration, line: &str) -> Self {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let (kind, object) = (event["type"].as_str().unwrap_or_default(), &event["object"]);
        match kind {
            "ERROR" => Self::Error(object.to_string()),
            "BOOKMARK" => Self::Bookmark(version(object)),
            "ADDED" | "MODIFIED" | "DELETED" => match Event::of(at, object, kind != "DELETED") {
                Some(event) => Self::Change(event, version(object)),
                // No service's slice.
                None => Self::Bookmark(version(object)),
            },
            _ => panic!("no event: {line}"),
        }
    }
}

/// The version of an object, or of a list.
pub(in crate::faults) fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

impl Event {
    /// That a slice is as it is, or is gone; None for one that is no service's.
    ///
    /// # Panics
    /// On a slice of another shape than a StatefulSet's.
    pub(in crate::faults) fn of(at: Duration, object: &Value, is_there: bool) -> Option<Self> {
        let service = object["metadata"]["labels"]["kubernetes.io/service-name"].as_str()?.to_owned();
        let slice = object["metadata"]["name"].as_str()?.to_owned();
        let contents = is_there.then(|| Contents {
            endpoints: list(&object["endpoints"]).iter().map(endpoint).collect(),
            ports: list(&object["ports"]).iter().map(port).collect(),
        });
        Some(Self { at, service, slice, contents })
    }
}

/// An absent list and null are both empty.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn port(port: &Value) -> u16 {
    port["port"].as_u64().and_then(|number| number.try_into().ok()).expect("a port has a number")
}

fn endpoint(endpoint: &Value) -> Endpoint {
    let text = |value: &Value| value.as_str().expect("a pod's endpoint").to_owned();
    let condition = |name: &str, otherwise| endpoint["conditions"][name].as_bool().unwrap_or(otherwise);
    let [address] = list(&endpoint["addresses"]) else { panic!("one address: {endpoint}") };
    Endpoint {
        host: text(&endpoint["hostname"]),
        address: text(address),
        pod: (text(&endpoint["targetRef"]["name"]), text(&endpoint["targetRef"]["uid"])),
        ready: condition("ready", true),
        terminating: condition("terminating", false),
    }
}

/// One state of a service: its ready endpoints, by host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::faults) struct State {
    addresses: BTreeMap<String, BTreeSet<String>>,
    ports: BTreeMap<String, BTreeSet<u16>>,
}

impl State {
    /// How many hosts there are.
    pub(in crate::faults) fn hosts(&self) -> usize {
        self.addresses.len()
    }

    /// The answer to a question, in this state; `owner` is the service's full name.
    pub(in crate::faults) fn says(&self, owner: &str, asked: &Asked) -> Said {
        // A headless service without a ready endpoint does not exist (Kubernetes DNS specification, 2.4.1).
        if self.addresses.is_empty() {
            return Said::Absent;
        }
        match asked {
            Asked::Service => Said::addresses(self.addresses.values().flatten().collect::<BTreeSet<_>>()),
            Asked::Host(host) => match self.addresses.get(host) {
                Some(addresses) => Said::addresses(addresses),
                None => Said::Absent,
            },
            Asked::Srv => {
                let ports = self.ports.iter().flat_map(|(host, ports)| ports.iter().map(move |p| (host, p)));
                let weight = (100 / self.ports.values().map(BTreeSet::len).sum::<usize>().max(1)).max(1);
                let records = ports.map(|(host, port)| format!("SRV 0 {weight} {port} {host}.{owner}"));
                let hosts = self.addresses.iter().filter(|(host, _)| self.ports.contains_key(*host));
                let glue = hosts.flat_map(|(host, addresses)| addresses.iter().map(move |a| (host, a)));
                let glue = glue.map(|(host, address)| format!("with {host}.{owner} A {address}"));
                Said::records(records.chain(glue))
            }
        }
    }
}

/// The states that a service went through.
#[derive(Debug)]
pub(in crate::faults) struct History {
    /// Its slices, the one that changed last at the end.
    slices: Vec<(String, Contents)>,
    /// When each state was first known, and the state; the first one is before there was any slice.
    pub(in crate::faults) states: Vec<(Duration, State)>,
}

impl Default for History {
    fn default() -> Self {
        Self { slices: Vec::new(), states: vec![(Duration::ZERO, State::default())] }
    }
}

impl History {
    /// Takes the next event; one that changes no answer makes no state.
    pub(in crate::faults) fn apply(&mut self, event: &Event) {
        let place = self.slices.iter().position(|(name, _)| *name == event.slice);
        let is_same = place.map(|place| &self.slices[place].1) == event.contents.as_ref();
        if is_same {
            return;
        }
        place.map(|place| self.slices.remove(place));
        self.slices.extend(event.contents.clone().map(|contents| (event.slice.clone(), contents)));
        let state = self.state();
        if self.states.last().is_none_or(|(_, last)| *last != state) {
            self.states.push((event.at, state));
        }
    }

    fn state(&self) -> State {
        let all =
            self.slices.iter().flat_map(|(_, slice)| slice.endpoints.iter().map(move |e| (e, &slice.ports)));
        let all: Vec<_> = all.collect();
        let mut state = State::default();
        for (endpoint, ports) in &all {
            // A pod that was made anew has the name alone, ready or not: of the endpoints of one host and pod
            // name but several UIDs the terminating ones go, then all but the newest.
            let same = |other: &Endpoint| other.host == endpoint.host && other.pod.0 == endpoint.pod.0;
            let rivals: Vec<_> = all.iter().map(|(other, _)| *other).filter(|other| same(other)).collect();
            if rivals.iter().any(|rival| rival.pod.1 != endpoint.pod.1) {
                let newest = rivals.iter().rev().find(|rival| !rival.terminating);
                if endpoint.terminating || newest.is_none_or(|newest| newest.pod.1 != endpoint.pod.1) {
                    continue;
                }
            }
            if endpoint.ready {
                state.addresses.entry(endpoint.host.clone()).or_default().insert(endpoint.address.clone());
                if !ports.is_empty() {
                    state.ports.entry(endpoint.host.clone()).or_default().extend(ports.iter());
                }
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_line(kind: &str, slice: &str, endpoints: &str) -> String {
        format!(
            r#"{{"type":"{kind}","object":{{"metadata":{{"name":"{slice}","labels":{{"kubernetes.io/service-name":"web"}}}},
            "ports":[{{"port":80}}],"endpoints":[{endpoints}]}}}}"#
        )
    }

    fn mk_endpoint(ordinal: u32, address: &str, uid: &str, conditions: &str) -> String {
        format!(
            r#"{{"addresses":["{address}"],"hostname":"web-{ordinal}","conditions":{{{conditions}}},
            "targetRef":{{"name":"web-{ordinal}","uid":"{uid}"}}}}"#
        )
    }

    fn mk_history(lines: &[String]) -> History {
        let mut history = History::default();
        for (at, line) in (1..).zip(lines) {
            let Told::Change(event, _) = Told::read(Duration::from_secs(at), line) else { panic!("{line}") };
            history.apply(&event);
        }
        history
    }

    fn says(history: &History, asked: &Asked) -> Vec<String> {
        history.states.iter().map(|(_, state)| state.says("web.ns.", asked).to_string()).collect()
    }

    #[test]
    fn one_pod_is_made_anew() {
        let other = mk_endpoint(1, "10.0.0.2", "u2", "");
        let with = |endpoint: String| mk_line("MODIFIED", "a", &[endpoint, other.clone()].join(","));
        let history = mk_history(&[
            mk_line("ADDED", "a", &[mk_endpoint(0, "10.0.0.1", "u1", ""), other.clone()].join(",")),
            with(mk_endpoint(0, "10.0.0.1", "u1", r#""ready":false,"terminating":true"#)),
            // No answer changes: no state.
            with(mk_endpoint(0, "10.0.0.9", "u9", r#""ready":false"#)),
            with(mk_endpoint(0, "10.0.0.9", "u9", r#""ready":true"#)),
            mk_line("DELETED", "a", ""),
        ]);
        let both = "A 10.0.0.2, A 10.0.0.9";
        assert_eq!(
            says(&history, &Asked::Service),
            ["NXDOMAIN", "A 10.0.0.1, A 10.0.0.2", "A 10.0.0.2", both, "NXDOMAIN"]
        );
        let host = Asked::Host("web-0".to_owned());
        assert_eq!(says(&history, &host), ["NXDOMAIN", "A 10.0.0.1", "NXDOMAIN", "A 10.0.0.9", "NXDOMAIN"]);
        assert_eq!(history.states[2].0, Duration::from_secs(2));
        assert_eq!(
            says(&history, &Asked::Srv)[2..4],
            [
                "SRV 0 100 80 web-1.web.ns., with web-1.web.ns. A 10.0.0.2",
                "SRV 0 50 80 web-0.web.ns., SRV 0 50 80 web-1.web.ns., \
                 with web-0.web.ns. A 10.0.0.9, with web-1.web.ns. A 10.0.0.2"
            ]
        );
    }

    #[test]
    fn one_ordinal_is_never_two_pods() {
        let old = mk_endpoint(0, "10.0.0.1", "u1", "");
        let new = mk_endpoint(0, "10.0.0.9", "u9", r#""ready":false"#);
        let history = mk_history(&[
            mk_line("ADDED", "a", &old),
            // The new pod has the name, though it is not ready and the old one lingers in the other slice.
            mk_line("ADDED", "b", &new),
            mk_line("MODIFIED", "a", ""),
            mk_line("MODIFIED", "b", &mk_endpoint(0, "10.0.0.9", "u9", "")),
        ]);
        assert_eq!(says(&history, &Asked::Service), ["NXDOMAIN", "A 10.0.0.1", "NXDOMAIN", "A 10.0.0.9"]);
    }

    #[test]
    fn bookmarks_errors_and_other_slices_are_no_changes() {
        let bookmark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#;
        assert!(matches!(Told::read(Duration::ZERO, bookmark), Told::Bookmark(version) if version == "7"));
        let orphan = r#"{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"8"}}}"#;
        assert!(matches!(Told::read(Duration::ZERO, orphan), Told::Bookmark(version) if version == "8"));
        let gone = r#"{"type":"ERROR","object":{"code":410,"reason":"Expired"}}"#;
        assert!(matches!(Told::read(Duration::ZERO, gone), Told::Error(why) if why.contains("410")));
    }
}
