//! A reason never contradicts its answer, nor the cluster: over generated clusters and questions.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use rollcall::model::{
    Endpoint, EndpointSlice, Label, Object, Phase, PodState, Service, ServiceShape, StatefulSet, Terminating,
    Waiting,
};
use rollcall::reasons::{Answer, Line, Reason};
use rollcall::server::Transport;
use rollcall::zone;

use super::message::{Manner, ensure, packet};
use super::served::{Asked, Served};
use super::{Case, case, run, zone as zones};
use crate::generate::Question;
use crate::oracle::{World, current, dashed, qtype};
use crate::support::reply::Reply;

#[test]
fn no_reason_contradicts_its_answer_or_the_cluster() {
    let seen = std::cell::RefCell::new(BTreeMap::<&str, u32>::new());
    run("reasons", zones().prop_flat_map(case), |case| {
        let mut served = Served::of(&case.cluster, &case.settings, case.variant);
        let cluster = current(&case.cluster);
        served.set_pods(pods(&cluster));
        served.publish();
        let world = World::new(&cluster, &case.settings);
        for (seed, manner) in &case.questions {
            let question = seed.question(&world, &case.settings.zone);
            let manner = Manner { edns: Some((1232, false)), ..*manner };
            let id = holds(&mut served, case, &cluster, &question, manner)
                .map_err(|why| format!("{question:?}: {why}"))?;
            id.into_iter().for_each(|id| *seen.borrow_mut().entry(id).or_default() += 1);
        }
        let manner = Manner { id: 7, rd: true, cd: false, edns: Some((1232, false)) };
        for name in replicas(&cluster) {
            let question = Question { name: case.settings.zone.below(&name), rtype: qtype::A };
            let question = if question.name.is_legal() { question } else { continue };
            let id = holds(&mut served, case, &cluster, &question, manner)
                .map_err(|why| format!("{question:?}: {why}"))?;
            id.into_iter().for_each(|id| *seen.borrow_mut().entry(id).or_default() += 1);
        }
        Ok(())
    });
    let seen = seen.into_inner();
    println!("{seen:?}");
    // What generated clusters have always, and of the others most; tests/it/reasons has a row for each.
    for id in [
        "no-address",
        "beyond-replicas",
        "no-endpoints",
        "governing-service-missing",
        "no-such-host",
        "no-such-service",
        "no-such-set",
        "pod-pending",
        "pod-unscheduled",
        "pod-waiting",
        "pod-terminating",
    ] {
        assert!(seen.contains_key(id), "{id} was never given: {seen:?}");
    }
    assert!(seen.len() > 20, "{seen:?}");
}

/// What pods of the sets may say, whether or not it is so: it was so when they were asked.
fn pods(cluster: &[Object]) -> Vec<(Label, PodState)> {
    let mut pods = Vec::new();
    for object in cluster {
        let Object::StatefulSet(set) = object else { continue };
        let first = u64::from(set.start).saturating_sub(1);
        for ordinal in first..first + u64::from(set.replicas.min(4)) + 2 {
            let mut pod = PodState { name: format!("{}-{ordinal}", set.name).into(), ..PodState::default() };
            match (ordinal + u64::from(set.replicas)) % 5 {
                0 => continue,
                1 => pod.terminating = Some(Terminating::default()),
                2 => pod.waiting = Some(Waiting { reason: "CrashLoopBackOff".into(), ..Waiting::default() }),
                3 => (pod.phase, pod.pending) = (Phase::Pending, "no node".into()),
                _ => pod.phase = Phase::Pending,
            }
            pods.push((set.namespace.clone(), pod));
        }
    }
    pods
}

/// The names that a peer would ask for: of each set's replicas, some too many, below each service of the namespace.
pub(super) fn replicas(cluster: &[Object]) -> Vec<String> {
    let services = |namespace: &str| -> Vec<String> {
        let keys = cluster.iter().filter_map(|object| match object {
            Object::Service(service) => Some(&service.key),
            Object::EndpointSlice(slice) => Some(&slice.service),
            _ => None,
        });
        let own = keys.filter(|key| key.namespace.as_str() == namespace);
        own.map(|key| format!("{}.{namespace}.svc", key.name)).collect()
    };
    let mut names = Vec::new();
    for object in cluster {
        let Object::StatefulSet(set) = object else { continue };
        let (first, namespace) = (u64::from(set.start), set.namespace.as_str());
        let governing = set.service.iter().map(|name| format!("{name}.{namespace}.svc"));
        for service in services(namespace).into_iter().chain(governing) {
            let ordinals = first.saturating_sub(1)..=first + u64::from(set.replicas.min(4)) + 1;
            names.extend(ordinals.map(|ordinal| format!("{}-{ordinal}.{service}", set.name)));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Asks, and holds what is said of the answer against the answer and the objects. Gives the reason's name.
fn holds(
    served: &mut Served,
    case: &Case,
    cluster: &[Object],
    question: &Question,
    manner: Manner,
) -> Result<Option<&'static str>, String> {
    let packet = packet(question, manner);
    let (reply, is_chased) = match served.ask(&packet, Transport::Tcp) {
        Asked::Reply(reply) => (reply, false),
        Asked::Chase { reply, .. } => (reply, true),
        Asked::Silence => return Err("silence".into()),
    };
    let reply = Reply::read(&reply).map_err(|error| error.to_string())?;
    let answer = match (reply.status.as_str(), reply.sections[0].is_empty()) {
        ("REFUSED", _) => Answer::Refused,
        ("SERVFAIL", _) => Answer::Failed,
        ("NXDOMAIN", _) => Answer::NoName,
        (_, true) => Answer::NoData,
        (_, false) => Answer::Records,
    };
    let mut query = rollcall::wire::Query::default();
    query.parse(&packet).map_err(|error| error.to_string())?;
    let claims = Claims { case, cluster, question };
    let view = served.reader().view();
    zone::explain(&view, &query, |explained| {
        // NOERROR with aliases alone, and nothing of the type at their end.
        let ends_empty =
            explained.answer == Answer::Records && reply.sections[1].iter().any(|r| r.contains(" SOA "));
        ensure(explained.answer == answer, || format!("{:?} for {answer:?}", explained.answer))?;
        let Some(reason) = explained.reason else {
            let is_plain = answer == Answer::Records || is_chased;
            return ensure(is_plain, || format!("{answer:?} without a reason")).map(|()| None);
        };
        let kind = if ends_empty { Answer::NoData } else { answer };
        ensure(reason.stands_beside(kind), || format!("{reason:?} beside {kind:?}"))?;
        let said = [(reason.code(answer), Line::of(reason).as_str().to_owned())];
        ensure(reply.ede == said, || format!("{:?} instead of {said:?}", reply.ede))?;
        // What is said of the end of a chain is about another name than the question's.
        if reply.sections[0].is_empty() {
            claims.hold(&reason).map_err(|why| format!("{reason:?}: {why}"))?;
        }
        Ok(Some(reason.id()))
    })
}

/// What a sentence claims, read from the objects.
struct Claims<'a> {
    case: &'a Case,
    cluster: &'a [Object],
    question: &'a Question,
}

impl<'a> Claims<'a> {
    /// Labels in front of the service, service, namespace: of a name below this branch of the zone.
    fn asked(&self, branch: &str) -> Option<(Vec<String>, String, String)> {
        let name = self.question.name.lower();
        let labels: Vec<String> =
            name.0.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
        let below = labels.len().checked_sub(self.case.settings.zone.0.len() + 3)?;
        let [service, namespace, own] = &labels[below..below + 3] else { return None };
        (own == branch).then(|| (labels[..below].to_vec(), service.clone(), namespace.clone()))
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&'a Service> {
        self.cluster.iter().find_map(|object| match object {
            Object::Service(service)
                if service.key.namespace.as_str() == namespace && service.key.name.as_str() == name =>
            {
                Some(service)
            }
            _ => None,
        })
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<&'a EndpointSlice> {
        let own = self.cluster.iter().filter_map(|object| match object {
            Object::EndpointSlice(slice) => Some(slice),
            _ => None,
        });
        own.filter(|slice| {
            slice.service.namespace.as_str() == namespace && slice.service.name.as_str() == service
        })
        .collect()
    }

    fn sets(&self, namespace: &str, service: &str) -> Vec<&'a StatefulSet> {
        let all = self.cluster.iter().filter_map(|object| match object {
            Object::StatefulSet(set) => Some(set),
            _ => None,
        });
        all.filter(|set| {
            set.namespace.as_str() == namespace
                && set.service.as_ref().is_some_and(|name| name.as_str() == service)
        })
        .collect()
    }

    fn is_called(&self, endpoint: &Endpoint, label: &str) -> bool {
        let pod = endpoint.pod.as_ref().filter(|_| self.case.settings.endpoint_pod_names);
        match (&endpoint.hostname, pod) {
            (Some(hostname), _) => hostname.as_str() == label,
            (None, Some(pod)) if Label::new(&pod.name).is_ok() => &*pod.name == label,
            _ => endpoint.addresses.iter().any(|address| dashed(*address) == label),
        }
    }

    fn hold(&self, reason: &Reason<'_>) -> Result<(), String> {
        if *reason == Reason::NoSuchSet {
            let (front, service, namespace) = self.asked("_statefulset").ok_or("of another name")?;
            let is_none = front.is_empty() && self.sets(&namespace, &service).is_empty();
            return ensure(is_none, || "there is".into());
        }
        let Some((front, service, namespace)) = self.asked("svc") else { return Ok(()) };
        let slices = self.slices(&namespace, &service);
        let sets = self.sets(&namespace, &service);
        let endpoints: Vec<(&EndpointSlice, &Endpoint)> =
            slices.iter().flat_map(|slice| slice.endpoints.iter().map(move |e| (*slice, e))).collect();
        let in_slice = |slice: &str, address: IpAddr, is: &dyn Fn(&Endpoint) -> bool| {
            let has = |(of, e): &&(&EndpointSlice, &Endpoint)| {
                *of.name == *slice && e.addresses.contains(&address) && is(e)
            };
            ensure(endpoints.iter().any(|e| has(&e)), || "no such endpoint".into())
        };
        let called = |name: &str| endpoints.iter().any(|(_, e)| self.is_called(e, name));
        let ordinal = |name: &str, set: &StatefulSet| -> Option<u64> {
            let digits = name.strip_prefix(&*set.name)?.strip_prefix('-')?;
            digits.parse::<u64>().ok().filter(|n| n.to_string() == digits)
        };
        let range = |set: &StatefulSet| u64::from(set.start)..u64::from(set.start) + u64::from(set.replicas);
        let expects =
            |name: &str| sets.iter().any(|set| ordinal(name, set).is_some_and(|n| range(set).contains(&n)));
        let its_set = |set: &str| {
            sets.iter().find(|own| *own.name == *set).copied().ok_or_else(|| "no such set".to_owned())
        };
        match *reason {
            Reason::NotReady { name, slice, address } => {
                in_slice(slice, address, &|e| !e.ready && self.is_called(e, name))
            }
            Reason::Terminating { name, slice, address } => {
                in_slice(slice, address, &|e| e.terminating && self.is_called(e, name))
            }
            Reason::Awaited { name, set, replicas, waits_for } => {
                let set = its_set(set)?;
                let own = ordinal(name, set).ok_or("another's ordinal")?;
                let holds = set.replicas == replicas
                    && range(set).contains(&own)
                    && range(set).contains(&waits_for)
                    && waits_for < own
                    && !set.parallel
                    && !called(name);
                let waited = format!("{}-{waits_for}", set.name);
                let is_there =
                    endpoints.iter().any(|(_, e)| e.ready && !e.terminating && self.is_called(e, &waited));
                let may_be = endpoints.iter().any(|(_, e)| !e.ready && self.is_called(e, &waited));
                ensure(holds && (!is_there || may_be), || "not so".into())
            }
            Reason::NoAddress { name, set, replicas, .. } => {
                let set = its_set(set)?;
                let holds = set.replicas == replicas && expects(name) && !called(name);
                ensure(holds, || "not so".into())
            }
            Reason::BeyondReplicas { name, set, first, end } => {
                let set = its_set(set)?;
                let own = ordinal(name, set).ok_or("another's ordinal")?;
                ensure(
                    range(set) == (u64::from(first)..end) && !expects(name) && !range(set).contains(&own),
                    || "not so".into(),
                )
            }
            Reason::CalledByAddress { name, subdomain, address, .. } => {
                let owner =
                    self.sets(&namespace, subdomain).into_iter().find(|set| ordinal(name, set).is_some());
                ensure(owner.is_some() && subdomain != service, || "no such set".into())?;
                let is = |e: &&(&EndpointSlice, &Endpoint)| {
                    e.1.pod.as_ref().is_some_and(|pod| &*pod.name == name)
                        && self.is_called(e.1, &dashed(address))
                };
                ensure(endpoints.iter().any(|e| is(&e)), || "no such endpoint".into())
            }
            Reason::PodPending { name, .. }
            | Reason::PodUnscheduled { name }
            | Reason::PodWaiting { name, .. }
            | Reason::PodTerminating { name, .. } => {
                // The whole Service may wait for its first pod, and every name below it.
                let waits = endpoints.is_empty()
                    || front.last().is_none_or(|label| label == name || label.starts_with('_'));
                let is_there =
                    endpoints.iter().any(|(_, e)| e.ready && !e.terminating && self.is_called(e, name));
                let may_be = endpoints.iter().any(|(_, e)| !e.ready && self.is_called(e, name));
                ensure(expects(name) && waits && (!is_there || may_be), || "not so".into())
            }
            Reason::NoneReady { endpoints: count, slice, address, .. } => {
                in_slice(slice, address, &|_| true)?;
                ensure(endpoints.len() == count as usize, || format!("{} endpoints", endpoints.len()))
            }
            Reason::NoEndpoints { .. } => ensure(endpoints.is_empty(), || "there are".into()),
            Reason::ScaledToZero { set, .. } => {
                ensure(endpoints.is_empty() && its_set(set)?.replicas == 0, || "not so".into())
            }
            Reason::GoverningServiceMissing { set, .. } => {
                ensure(its_set(set)?.replicas > 0 && self.service(&namespace, &service).is_none(), || {
                    "not so".into()
                })
            }
            Reason::BadExternalName { target, .. } => {
                let shape = self.service(&namespace, &service).map(|service| &service.shape);
                ensure(matches!(shape, Some(ServiceShape::External(own)) if **own == *target), || {
                    "not so".into()
                })
            }
            Reason::SimilarService { asked, similar } => {
                let holds = asked == service
                    && self.service(&namespace, asked).is_none()
                    && self.service(&namespace, similar).is_some();
                ensure(holds, || "not so".into())
            }
            Reason::NoSuchService => {
                ensure(self.service(&namespace, &service).is_none(), || "there is".into())
            }
            Reason::NoSuchHost => {
                let label = front.last().ok_or("the service itself")?;
                ensure(!called(label) && !expects(label), || "there is".into())
            }
            _ => Ok(()),
        }
    }
}
