//! One look at a set: a list of its absent replicas' pods, of the claims of those that wait, and of events of one pod.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use kube::Client;
use kube::api::{ListParams, Request};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::debug;

use super::counters::LookCounters;
use super::{Failure, SetName};
use crate::model::{Claim, Label, Phase, PodState};
use crate::source::kubernetes::answer::Api;
use crate::source::kubernetes::failure::Cause;
use crate::source::pods::{RawClaim, RawEvent, RawPod, tell_event, wants_event};

/// The label that the StatefulSet controller gives to each of its pods: the very replicas that are wanted are asked for,
/// however many others the set or the namespace has.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
/// The longest value of a label.
const MOST_LABEL: usize = 63;
/// Until the head of an answer is there, and between two of its octets.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most octets of an answer: 32 pods of the largest that an API server takes (1.5 MiB) are more, and then their set is
/// one of which only slices tell.
const MAX_ANSWER: usize = 16 << 20;
/// Claims that are asked for in one look: of the first pods that wait, for the others wait for the like.
const CLAIMS: usize = 4;
/// Events that are asked for and kept, of one pod. It has fewer, for those that say the same are one.
const EVENTS: u32 = 100;
/// Before claims or events of a namespace are asked for again that could not be had: pods tell the most by themselves.
const FAILED_WAIT: Duration = Duration::from_secs(60);
/// Before something that was refused is asked for again: a Role may be granted, which nobody tells us.
const REFUSED_WAIT: Duration = Duration::from_secs(300);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Pods,
    Claims,
    Events,
}

impl What {
    fn plural(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Claims => "persistentvolumeclaims",
            Self::Events => "events",
        }
    }
}

/// What became of a look.
pub(super) enum Seen {
    /// Also why nothing is to be asked for a while, where that was said beside them.
    Pods(Vec<PodState>, Option<Failure>),
    /// The account may not list the pods of this namespace.
    Refused(Failure),
    /// There was nothing to ask for, or it was refused a while ago.
    Nothing,
}

/// What became of a list.
enum Listed<T> {
    Items(Vec<T>),
    /// The account may not have it.
    Refused(Failure),
    /// It is not asked for again yet.
    PutOff,
}

/// Looks at sets over one client.
pub(super) struct Looker {
    api: Api,
    counters: LookCounters,
    /// Until when it is not asked for again.
    put_off: HashMap<(What, Label), Instant>,
}

impl Looker {
    pub(super) fn new(client: Client, counters: LookCounters) -> Self {
        Self { api: Api::json(client), counters, put_off: HashMap::new() }
    }

    /// Looks at the replicas of a set that have these ordinals.
    ///
    /// # Errors
    /// When the API server is busy, away, or does not say what it should.
    pub(super) async fn look(&mut self, (namespace, set): &SetName, absent: &[u64]) -> Result<Seen, Failure> {
        let names = absent.iter().map(|ordinal| format!("{set}-{ordinal}"));
        // Of a longer name there is no label, and no pod: the API server refuses to make it.
        let names: Vec<String> = names.filter(|name| name.len() <= MOST_LABEL).collect();
        if names.is_empty() {
            return Ok(Seen::Nothing);
        }
        let selector = format!("{POD_NAME} in ({})", names.join(","));
        // From the API server's memory, as old as it may be: it is no more than a reason.
        let params = ListParams { label_selector: Some(selector), ..ListParams::default() }.match_any();
        // What was not asked for is a server's that does not know the selector.
        let is_wanted = |pod: &RawPod| names.iter().any(|name| *name == *pod.name());
        let pods = match self.list(What::Pods, namespace, params, (names.len(), is_wanted)).await? {
            Listed::Items(pods) => pods,
            Listed::Refused(failure) => return Ok(Seen::Refused(failure)),
            Listed::PutOff => return Ok(Seen::Nothing),
        };
        let now = SystemTime::now();
        let mut pods: Vec<PodState> = pods.iter().filter_map(|pod| pod.state(now)).collect();
        pods.retain(|pod| !pod.ready || pod.terminating.is_some());
        let beside = match self.claims(namespace, &mut pods).await {
            Ok(()) => self.event(namespace, &mut pods).await,
            Err(failure) => Err(failure),
        };
        Ok(Seen::Pods(pods, beside.err()))
    }

    /// Fills in the claims of pods that wait, and keeps those that have no volume: what nobody looked at says nothing.
    async fn claims(&mut self, namespace: &Label, pods: &mut [PodState]) -> Result<(), Failure> {
        let mut left = CLAIMS;
        let all: Vec<Box<[Claim]>> = pods.iter_mut().map(|pod| std::mem::take(&mut pod.claims)).collect();
        for (pod, claims) in pods.iter_mut().zip(all) {
            let waits = pod.phase == Phase::Pending && pod.terminating.is_none();
            let mut known: Vec<Claim> = Vec::new();
            for claim in claims.iter().filter(|_| waits) {
                if left == 0 {
                    break;
                }
                left -= 1;
                let params = ListParams {
                    field_selector: Some(format!("metadata.name={}", claim.name)),
                    ..ListParams::default()
                };
                let is_it = |other: &RawClaim| *other.name() == *claim.name;
                let listed = self.beside(What::Claims, namespace, params.match_any(), (1, is_it)).await?;
                let own = listed.iter().filter_map(RawClaim::state);
                known.extend(own.filter(|claim| claim.bound == Some(false)));
            }
            pod.claims = known.into();
        }
        Ok(())
    }

    /// Asks for the events of the first pod that waits for what neither it nor a claim of it says. Events are read from
    /// the store and not from the API server's memory: those of one pod are enough.
    async fn event(&mut self, namespace: &Label, pods: &mut [PodState]) -> Result<(), Failure> {
        let is_unsaid = |pod: &&mut PodState| wants_event(pod) && pod.claims.is_empty();
        let Some(pod) = pods.iter_mut().find(is_unsaid) else { return Ok(()) };
        let fields = format!("involvedObject.kind=Pod,involvedObject.name={},type!=Normal", pod.name);
        let params = ListParams { field_selector: Some(fields), ..ListParams::default() }.limit(EVENTS);
        let keeps = |event: &RawEvent| event.keeps(pod);
        let events = self.beside(What::Events, namespace, params, (EVENTS as usize, keeps)).await?;
        tell_event(pod, &events);
        Ok(())
    }

    /// A list of what is told beside pods: it is left out, for a while, where it cannot be had.
    ///
    /// # Errors
    /// When the server says when to ask again, or not as whom: that is about pods as well.
    async fn beside<T: DeserializeOwned>(
        &mut self,
        what: What,
        namespace: &Label,
        params: ListParams,
        wanted: (usize, impl Fn(&T) -> bool),
    ) -> Result<Vec<T>, Failure> {
        match self.list(what, namespace, params, wanted).await {
            Ok(Listed::Items(items)) => Ok(items),
            Ok(Listed::Refused(_) | Listed::PutOff) => Ok(Vec::new()),
            Err(failure) if failure.retry_after.is_some() || failure.cause == Cause::Unauthorised => {
                Err(failure)
            }
            Err(failure) => {
                debug!("{} of namespace {namespace}: {failure}", what.plural());
                self.put_off(what, namespace, FAILED_WAIT);
                Ok(Vec::new())
            }
        }
    }

    fn put_off(&mut self, what: What, namespace: &Label, wait: Duration) {
        let now = Instant::now();
        self.put_off.retain(|_, until| now < *until);
        self.put_off.insert((what, namespace.clone()), now + wait);
    }

    /// A list of what is wanted: of at most so many, those that are to be kept.
    async fn list<T: DeserializeOwned>(
        &mut self,
        what: What,
        namespace: &Label,
        params: ListParams,
        (most, keep): (usize, impl Fn(&T) -> bool),
    ) -> Result<Listed<T>, Failure> {
        let key = (what, namespace.clone());
        if self.put_off.get(&key).is_some_and(|until| Instant::now() < *until) {
            return Ok(Listed::PutOff);
        }
        let path = format!("/api/v1/namespaces/{namespace}/{}", what.plural());
        let request = Request::new(path).list(&params).map_err(Failure::of_request)?;
        let answer = match self.api.page(request, PATIENCE, (MAX_ANSWER, PATIENCE)).await {
            Ok(page) => page.json(most, keep),
            Err(failure) => Err(failure),
        };
        match answer.map_err(Failure::of_plain) {
            Ok(items) => {
                self.counters.answered();
                self.put_off.remove(&key);
                Ok(Listed::Items(items))
            }
            Err(failure) if failure.cause == Cause::Forbidden => {
                self.counters.refused();
                self.put_off(what, namespace, REFUSED_WAIT + REFUSED_WAIT.mul_f32(fastrand::f32()));
                Ok(Listed::Refused(failure))
            }
            Err(failure) => {
                self.counters.failed();
                Err(failure)
            }
        }
    }
}
