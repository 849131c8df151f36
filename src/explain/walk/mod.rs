//! The way: what is looked at, in order, and what it gives.

mod endpoints;
mod names;
mod pods;
mod sets;

pub(super) use pods::pod;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::SystemTime;

use hickory_proto::rr::{RData, RecordType};
use serde_json::{Map, Value, json};

use super::State;
use super::answer::{Answered, wire_of};
use super::explanation::{Step, StepId, Verdict};
use super::form::{Form, Front};
use crate::cluster::ServiceObjects;
use crate::model::{Label, ServiceKey, ServiceShape, StatefulSet};
use crate::reasons::{Answer, owners};
use crate::records::{Addresses, Input, Problem, ServiceRecords, Shape, ordinal_of, service_records};
use crate::wire::ParsedName;
use crate::zone::View;

/// The steps, and what they were made of.
pub(super) struct Walk {
    pub(super) serial: u32,
    /// What the answer is about: of a chain of aliases its end.
    pub(super) form: Form,
    pub(super) steps: Vec<Step>,
    /// Of names of a Service, whether it is there or not.
    pub(super) of_service: Option<OfService>,
    /// The name should be there, or its Service has none ready yet: its absence is of the *expected* kind.
    pub(super) is_expected: bool,
    /// When the Service's endpoints changed last, where somebody says so.
    pub(super) changed: Option<SystemTime>,
    /// Namespaces that have a Service of the name that is missing.
    pub(super) elsewhere: Vec<String>,
    pub(super) wanted: Wanted,
}

/// The objects that tell more than the index knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Of all of them.
    pub namespace: String,
    /// None where there is no such Service.
    pub service: Option<String>,
    /// StatefulSets.
    pub sets: Vec<String>,
    /// Pods that have a name to wait for.
    pub pods: Vec<String>,
}

/// A Service's objects, and the records that they make.
pub(super) struct OfService {
    pub(super) key: ServiceKey,
    pub(super) objects: ServiceObjects,
    pub(super) records: Option<ServiceRecords>,
    pub(super) problems: Vec<Problem>,
    /// Sets that made pods of its slices, and are another Service's.
    pub(super) owners: Vec<StatefulSet>,
}

/// The addresses that are published under names below a Service.
struct Published<'a>(HashMap<&'a str, &'a Addresses>);

impl Published<'_> {
    fn has(&self, label: &str, address: IpAddr) -> bool {
        self.0.get(label).is_some_and(|addresses| match address {
            IpAddr::V4(v4) => addresses.v4.contains(&v4),
            IpAddr::V6(v6) => addresses.v6.contains(&v6),
        })
    }
}

impl OfService {
    fn new(state: &State<'_>, namespace: &str, name: &str) -> Option<Self> {
        let key = ServiceKey { namespace: Label::new(namespace).ok()?, name: Label::new(name).ok()? };
        let objects = state.index.service(&key);
        let owners = owners(&objects.slices).into_iter();
        let owners = owners.filter_map(|set| state.index.set(&key.namespace, set));
        let owners = owners.filter(|set| set.service.as_ref() != Some(&key.name)).collect();
        let (slices, sets): (Vec<_>, Vec<_>) =
            (objects.slices.iter().collect(), objects.sets.iter().collect());
        let input = Input { key: &key, service: objects.service.as_ref(), slices: &slices, sets: &sets };
        let (records, problems) = service_records(input, state.settings);
        Some(Self { key, objects, records, problems, owners })
    }

    /// Whether a headless Service's own name is there, or would be.
    fn has_addresses(&self) -> bool {
        let addresses = self.records.as_ref().map(|records| &records.addresses);
        addresses.is_some_and(|addresses| !addresses.v4.is_empty() || !addresses.v6.is_empty())
    }

    fn published(&self) -> Published<'_> {
        let hosts = self.records.iter().flat_map(|records| &records.hosts);
        Published(hosts.map(|host| (&*host.label, &host.addresses)).collect())
    }

    /// Whether a name is published below it.
    pub(super) fn has_host(&self, label: &str) -> bool {
        self.records.as_ref().is_some_and(|records| records.hosts.iter().any(|host| &*host.label == label))
    }

    /// Whether the absence of a name is that of one that should be there.
    fn expects(&self, front: &Front) -> bool {
        let Some(records) = &self.records else { return false };
        if records.shape == Shape::Headless && !self.has_addresses() {
            return true;
        }
        // A set's name does not begin with a `_`: of a port's labels none is a replica's.
        let Some(label) = front.host() else { return false };
        let is_expected = records.expected.iter().any(|set| {
            let ordinal = ordinal_of(label.as_bytes(), set.set.as_bytes());
            ordinal.is_some_and(|ordinal| (u64::from(set.first)..set.end).contains(&ordinal))
        });
        is_expected && !matches!(records.shape, Shape::External(_)) && !self.has_host(label)
    }
}

/// So many of a kind are told one by one.
const MOST: usize = 4;

/// A step without more for programs than its words.
fn step(id: StepId, verdict: Verdict, looked_at: impl Into<String>, found: impl Into<String>) -> Step {
    Step { id, verdict, looked_at: looked_at.into(), found: found.into(), facts: Map::new() }
}

fn with(mut step: Step, facts: Value) -> Step {
    if let Value::Object(facts) = facts {
        step.facts = facts;
        step.facts.retain(|_, value| !value.is_null());
    }
    step
}

fn good(is: bool) -> Verdict {
    if is { Verdict::Good } else { Verdict::Bad }
}

pub(super) fn walk(state: &State<'_>, view: &View<'_>, form: &Form, answered: &Answered<'_>) -> Walk {
    let mut walk = Walk {
        serial: view.serial(),
        form: form.clone(),
        steps: Vec::new(),
        of_service: None,
        is_expected: false,
        changed: None,
        elsewhere: Vec::new(),
        wanted: Wanted::default(),
    };
    walk.steps.push(names::zone(view, form, answered));
    if *form != Form::Outside {
        walk.steps.push(step(StepId::Name, Verdict::Note, answered_name(answered), form.to_string()));
    }
    // Nothing behind it was looked at for the answer.
    let is_decided = matches!(answered.answer, Answer::Refused | Answer::Failed);
    if let Some(namespace) = form.namespace() {
        walk.steps.push(names::namespace(state, view, form, namespace));
    }
    if is_decided {
        return walk;
    }
    about(state, view, &mut walk, form, answered);
    if let Some(end) = aliases(&mut walk, answered) {
        let mut name = ParsedName::default();
        let form = name.parse(&end).map_or(Form::Outside, |_| Form::of(view, &name));
        if matches!(form, Form::Service { .. }) {
            walk.form = form.clone();
            about(state, view, &mut walk, &form, answered);
        }
    }
    walk.steps.push(records(answered));
    walk
}

/// The objects that a name is about.
fn about(state: &State<'_>, view: &View<'_>, walk: &mut Walk, form: &Form, answered: &Answered<'_>) {
    match form {
        Form::Service { namespace, service, front } => {
            of_service(state, walk, (namespace, service), front);
            walk.steps.extend(answered.awaited.map(awaited));
            pods::pods(state, walk, front, answered);
        }
        Form::Address(address) => walk.steps.extend(names::address(state, *address)),
        Form::SetsOf { namespace, service } => {
            let of = OfService::new(state, namespace, service);
            walk.steps.extend(sets::said(state, of.as_ref(), &format!("{namespace}/{service}")));
            walk.of_service = of;
        }
        Form::Pod { namespace, label } => walk.steps.push(names::pod(state, view, namespace, label)),
        _ => {}
    }
}

fn answered_name(answered: &Answered<'_>) -> String {
    answered.message.queries.first().map(|query| query.name.to_ascii()).unwrap_or_default()
}

fn of_service(state: &State<'_>, walk: &mut Walk, (namespace, name): (&str, &str), front: &Front) {
    let looked_at = format!("Service {namespace}/{name}");
    let of = OfService::new(state, namespace, name);
    let Some(of) = of.filter(|of| of.objects.service.is_some() || !of.objects.sets.is_empty()) else {
        walk.elsewhere = state.index.namespaces_of(name);
        let found = match walk.elsewhere.as_slice() {
            [] => "there is none, in no namespace".to_owned(),
            all => format!("there is none here, but in namespace {}", names::some(all)),
        };
        let elsewhere = json!({"exists": false, "elsewhere": walk.elsewhere});
        walk.steps.push(with(step(StepId::Service, Verdict::Bad, looked_at, found), elsewhere));
        return;
    };
    walk.is_expected = of.expects(front);
    walk.steps.push(service(state, &of, looked_at));
    let is_external =
        of.objects.service.as_ref().is_some_and(|service| matches!(service.shape, ServiceShape::External(_)));
    if of.objects.service.is_some() && !is_external {
        walk.changed = endpoints::changed(state, &of);
        walk.steps.push(endpoints::slices(state, &of));
        walk.steps.extend(endpoints::endpoints(state, &of, front));
    }
    walk.steps.extend(sets::sets(state, &of, front));
    for problem in of.problems.iter().take(MOST) {
        walk.steps.push(step(StepId::Records, Verdict::Bad, "what cannot be published", problem.to_string()));
    }
    walk.of_service = Some(of);
}

/// That a client does not get the answer at once.
fn awaited(milliseconds: u16) -> Step {
    let found = format!(
        "a client's question for it is kept open for up to {milliseconds} ms, in case that it becomes ready; the answer below is that of the end"
    );
    let facts = json!({"milliseconds": milliseconds});
    with(step(StepId::Service, Verdict::Note, "rollcall/hold", found), facts)
}

fn service(state: &State<'_>, of: &OfService, looked_at: String) -> Step {
    let (namespace, name) = (of.key.namespace.as_str(), of.key.name.as_str());
    let Some(service) = &of.objects.service else {
        let sets: Vec<&str> = of.objects.sets.iter().map(|set| &*set.name).collect();
        let found =
            format!("there is none, and StatefulSet {} names it as its serviceName", names::some(&sets));
        return with(
            step(StepId::Service, Verdict::Bad, looked_at, found),
            json!({"exists": false, "named_by": sets}),
        );
    };
    let (kind, mut found) = match &service.shape {
        ServiceShape::Headless => ("headless", "headless".to_owned()),
        ServiceShape::ClusterIp(addresses) => {
            ("cluster-ip", format!("not headless, at {}", names::some(addresses)))
        }
        ServiceShape::External(target) => ("external-name", format!("ExternalName, an alias of {target}")),
    };
    let ports: Vec<String> = service.ports.iter().map(names::port).collect();
    if !ports.is_empty() {
        found += &format!("; ports {}", names::some(&ports));
    }
    let more = state.beside.service(namespace, name);
    if let Some(more) = more.filter(|_| kind != "external-name") {
        found += &match more.selector.is_empty() {
            true => "; no selector".to_owned(),
            false => format!("; selects {}", super::beside::labels(&more.selector)),
        };
        if more.publish_not_ready {
            found += "; publishes addresses that are not ready";
        }
        if !more.families.is_empty() {
            found += &format!("; {}", more.families.join(" and "));
        }
    }
    let facts = json!({
        "exists": true,
        "kind": kind,
        "ports": ports,
        "selector": more.map(|more| &more.selector),
        "publish_not_ready_addresses": more.map(|more| more.publish_not_ready),
        "ip_families": more.map(|more| &more.families),
    });
    with(step(StepId::Service, Verdict::Good, looked_at, found), facts)
}

/// The links of a chain; gives its end, in wire form, where that is a name of the zone's.
fn aliases(walk: &mut Walk, answered: &Answered<'_>) -> Option<Vec<u8>> {
    let links = answered.message.answers.iter().filter(|record| record.record_type() == RecordType::CNAME);
    let mut end = None;
    for link in links {
        let found = format!("an alias of {}", link.data);
        walk.steps.push(step(StepId::Alias, Verdict::Note, link.name.to_ascii(), found));
        end = match &link.data {
            RData::CNAME(name) => Some(wire_of(name)),
            _ => None,
        };
    }
    if let Some(name) = &answered.chased {
        let found = "outside the zones: the upstream is asked for it when a client wants it followed";
        walk.steps.push(step(StepId::Alias, Verdict::Note, name.clone(), found));
        return None;
    }
    end
}

/// What of it all is answered.
fn records(answered: &Answered<'_>) -> Step {
    let records = &answered.message.answers;
    let mut counts: Vec<(String, usize)> = Vec::new();
    for record in records {
        let rtype = record.record_type().to_string();
        match counts.iter_mut().find(|(known, _)| *known == rtype) {
            Some((_, count)) => *count += 1,
            None => counts.push((rtype, 1)),
        }
    }
    let told: Vec<String> = counts.iter().map(|(rtype, count)| format!("{count} {rtype}")).collect();
    let found = match answered.answer {
        Answer::Records => told.join(", "),
        Answer::NoData => "none of this type: the name exists".to_owned(),
        _ if !told.is_empty() => format!("{}, and none at the end of the aliases", told.join(", ")),
        _ => "none: the name does not exist".to_owned(),
    };
    let rtype = RecordType::from(answered.query.rtype).to_string();
    step(StepId::Records, good(answered.has_records()), rtype, found)
}
