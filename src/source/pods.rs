//! Pods, claims and events as the API writes them, made into what a sentence tells of them ([`PodState`]).
//!
//! Nothing here is an error: a field that is missing or odd says nothing. What is read is JSON, for it is read seldom, and
//! of each list in it the first items.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer};

use super::few;
use crate::model::{Claim, Moment, Phase, PodState, Terminating, Text, Waiting, is_object_name};

/// A pod names more volumes than this seldom, and waits for the first ones.
const MOST_CLAIMS: usize = 16;
/// UIDs are shorter.
const MOST_UID: usize = 253;

/// A kubelet that lives is done with a pod so soon after its time is over: it kills what is left, and says so.
const SLACK: SignedDuration = SignedDuration::from_secs(10);

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    uid: String,
    #[serde(deserialize_with = "or_default")]
    creation_timestamp: String,
    #[serde(deserialize_with = "or_default")]
    deletion_timestamp: String,
    deletion_grace_period_seconds: Option<i64>,
    #[serde(deserialize_with = "few::first")]
    finalizers: Vec<String>,
}

/// A v1 Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawPod {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    node_name: String,
    #[serde(deserialize_with = "few::first")]
    volumes: Vec<Volume>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Volume {
    persistent_volume_claim: Option<ClaimName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimName {
    #[serde(deserialize_with = "or_default")]
    claim_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    phase: String,
    #[serde(deserialize_with = "few::first")]
    conditions: Vec<Condition>,
    #[serde(deserialize_with = "few::first")]
    init_container_statuses: Vec<Container>,
    #[serde(deserialize_with = "few::first")]
    container_statuses: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(deserialize_with = "or_default")]
    r#type: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    last_transition_time: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    image: String,
    #[serde(deserialize_with = "or_default")]
    state: State,
    #[serde(deserialize_with = "or_default")]
    last_state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct State {
    waiting: Option<Why>,
    terminated: Option<Ended>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Why {
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ended {
    exit_code: i32,
    #[serde(deserialize_with = "or_default")]
    reason: String,
}

impl RawPod {
    /// Its name, as it came.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its namespace; empty where it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    /// What it says at this time; None where it has no usable name.
    #[must_use]
    pub fn state(&self, now: SystemTime) -> Option<PodState> {
        let Self { metadata, spec, status } = self;
        let now = Timestamp::try_from(now).ok()?;
        let condition = |kind: &str| status.conditions.iter().find(|condition| condition.r#type == kind);
        let is = |kind: &str| condition(kind).is_some_and(|condition| condition.status == "True");
        let (scheduled, ready) = (is("PodScheduled") || !spec.node_name.is_empty(), is("Ready"));
        let of_ready = condition("Ready").filter(|_| !ready);
        let unscheduled = condition("PodScheduled").filter(|_| !scheduled);
        Some(PodState {
            name: named(&metadata.name)?,
            uid: bounded(&metadata.uid),
            phase: match status.phase.as_str() {
                "Pending" => Phase::Pending,
                "Running" => Phase::Running,
                "Succeeded" => Phase::Succeeded,
                "Failed" => Phase::Failed,
                _ => Phase::Unknown,
            },
            scheduled,
            pending: Text::new(unscheduled.map_or("", |condition| &condition.message)),
            node: Text::new(&spec.node_name),
            ready,
            ready_since: condition("Ready").and_then(|c| moment(&c.last_transition_time, 0, now)),
            ready_message: Text::new(of_ready.map_or("", |condition| &condition.message)),
            node_silent: of_ready.is_some_and(|c| c.reason.is_empty() && c.message.is_empty())
                && is("ContainersReady"),
            terminating: self.terminating(now),
            waiting: self.waiting(),
            claims: self.claims(),
        })
    }

    /// The API server writes when the pod's time is over; it was asked to go before that by the grace that it has.
    fn terminating(&self, now: Timestamp) -> Option<Terminating> {
        let Metadata { deletion_timestamp, deletion_grace_period_seconds, finalizers, .. } = &self.metadata;
        if deletion_timestamp.is_empty() {
            return None;
        }
        let grace = deletion_grace_period_seconds.unwrap_or_default();
        let over = deletion_timestamp.parse::<Timestamp>();
        let evicted = |condition: &Condition| {
            condition.r#type == "DisruptionTarget" && condition.reason == "DeletionByTaintManager"
        };
        Some(Terminating {
            since: moment(deletion_timestamp, grace, now).unwrap_or_default(),
            overdue: over.is_ok_and(|over| now.duration_since(over) > SLACK),
            evicted: self.status.conditions.iter().any(evicted),
            finalizer: Text::new(finalizers.first().map_or("", String::as_str)),
        })
    }

    /// Containers that wait for their image, a volume, a back-off. The others wait for those of `initContainers`, which
    /// come first; that a container is being created is said where nothing else is.
    fn waiting(&self) -> Option<Waiting> {
        let Status { init_container_statuses, container_statuses, .. } = &self.status;
        let all = || init_container_statuses.iter().chain(container_statuses);
        let waits = |container: &&Container| container.state.waiting.is_some();
        let stuck = |container: &&Container| {
            let why = container.state.waiting.as_ref();
            why.is_some_and(|why| {
                !matches!(why.reason.as_str(), "" | "ContainerCreating" | "PodInitializing")
            })
        };
        let container = all().find(stuck).or_else(|| all().find(waits))?;
        let why = container.state.waiting.as_ref().filter(|why| !why.reason.is_empty())?;
        let name = &container.name;
        let detail = match (why.reason.as_str(), &container.last_state.terminated) {
            ("ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull", _) => {
                format!("image {}", container.image)
            }
            ("CrashLoopBackOff", Some(Ended { exit_code, reason })) if reason.is_empty() => {
                format!("container {name}, exit code {exit_code}")
            }
            ("CrashLoopBackOff", Some(Ended { exit_code, reason })) => {
                format!("container {name}, exit code {exit_code} ({reason})")
            }
            // What kubelets write of it has the time to wait in it, another one each time.
            ("CrashLoopBackOff", None) => format!("container {name}"),
            _ if why.message.is_empty() => format!("container {name}"),
            _ => format!("container {name}: {}", why.message),
        };
        Some(Waiting { reason: Text::new(&why.reason), detail: Text::new(&detail) })
    }

    fn claims(&self) -> Box<[Claim]> {
        let volumes = self.spec.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        let claims = volumes.filter_map(|claim| named(&claim.claim_name));
        claims.take(MOST_CLAIMS).map(|name| Claim { name, bound: None, class: Text::default() }).collect()
    }
}

/// A v1 PersistentVolumeClaim.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawClaim {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: ClaimSpec,
    #[serde(deserialize_with = "or_default")]
    status: ClaimStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSpec {
    #[serde(deserialize_with = "or_default")]
    storage_class_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClaimStatus {
    #[serde(deserialize_with = "or_default")]
    phase: String,
}

impl RawClaim {
    /// Its name, as it came.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its namespace; empty where it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    /// What it says; None where it has no usable name.
    #[must_use]
    pub fn state(&self) -> Option<Claim> {
        Some(Claim {
            name: named(&self.metadata.name)?,
            // A manifest that no API server wrote says nothing of it.
            bound: Some(self.status.phase.as_str())
                .filter(|phase| !phase.is_empty())
                .map(|phase| phase == "Bound"),
            class: Text::new(&self.spec.storage_class_name),
        })
    }
}

/// A v1 Event (events.k8s.io/v1 has the same times under other names, and is not read).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RawEvent {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    involved_object: Involved,
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    r#type: String,
    #[serde(deserialize_with = "or_default")]
    last_timestamp: String,
    #[serde(deserialize_with = "or_default")]
    event_time: String,
    series: Option<Series>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Involved {
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Series {
    #[serde(deserialize_with = "or_default")]
    last_observed_time: String,
}

impl RawEvent {
    /// Its namespace; empty where it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    /// Whether it says why some pod cannot start.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        let is_one = self.reason.starts_with("Failed") && self.r#type != "Normal" && !self.message.is_empty();
        is_one && self.involved_object.kind == "Pod"
    }

    /// Whether it says why this very pod cannot start: no node, no volume, no network.
    #[must_use]
    pub fn keeps(&self, pod: &PodState) -> bool {
        let Involved { name, uid, .. } = &self.involved_object;
        let is_of = **name == *pod.name && (uid.is_empty() || **uid == *pod.uid);
        // What the scheduler said is over when there is a node.
        is_of && self.is_trouble() && (self.reason == "FailedScheduling") != pod.scheduled
    }

    fn last(&self) -> Option<Timestamp> {
        let series = self.series.as_ref().map_or("", |series| &series.last_observed_time);
        let times = [series, &self.last_timestamp, &self.event_time, &self.metadata.creation_timestamp];
        times.into_iter().filter_map(|time| time.parse().ok()).max()
    }
}

/// Puts what the last event about it says into a pod that waits and does not say why itself.
pub fn tell_event<'e>(pod: &mut PodState, events: impl IntoIterator<Item = &'e RawEvent>) {
    if !wants_event(pod) {
        return;
    }
    if let Some(last) = events.into_iter().filter(|event| event.keeps(pod)).max_by_key(|event| event.last()) {
        pod.pending = Text::new(&last.message);
    }
}

/// Whether only an event can say why a pod waits: the scheduler writes it into the pod too, a kubelet that cannot mount a
/// volume does not.
#[must_use]
pub fn wants_event(pod: &PodState) -> bool {
    let creating =
        |waiting: &Waiting| matches!(waiting.reason.as_str(), "ContainerCreating" | "PodInitializing");
    pod.phase == Phase::Pending
        && pod.terminating.is_none()
        && pod.pending.is_empty()
        && pod.waiting.as_ref().is_none_or(creating)
}

fn named(name: &str) -> Option<Box<str>> {
    is_object_name(name).then(|| name.into())
}

fn bounded(uid: &str) -> Box<str> {
    if uid.len() <= MOST_UID { uid.into() } else { Box::default() }
}

/// A time of the API, so many seconds earlier; with the date where it is long ago.
fn moment(text: &str, earlier: i64, now: Timestamp) -> Option<Moment> {
    let at = text.parse::<Timestamp>().ok()?.checked_sub(SignedDuration::from_secs(earlier)).ok()?;
    let form = if now.duration_since(at).as_hours() < 20 { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    Some(Moment { seconds: at.as_second(), text: Text::new(&at.strftime(form).to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn now() -> SystemTime {
        "2026-11-21T15:00:00Z".parse::<Timestamp>().unwrap().into()
    }

    fn state(pod: Value) -> PodState {
        serde_json::from_value::<RawPod>(pod).unwrap().state(now()).unwrap()
    }

    fn mk_pending(message: &str) -> Value {
        json!({"metadata": {"name": "web-1", "namespace": "a", "uid": "u"},
            "spec": {"volumes": [{"configMap": {}}, {"persistentVolumeClaim": {"claimName": "www-web-1"}}, {"name": "x"}]},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": message}]}})
    }

    #[test]
    fn a_pod_without_a_node_says_what_the_scheduler_says() {
        let pod = state(mk_pending("0/3 nodes are available:\n too few\u{7}"));
        assert_eq!((pod.phase, pod.scheduled, pod.ready), (Phase::Pending, false, false));
        assert_eq!(pod.pending.as_str(), "0/3 nodes are available: too few");
        let claims: Vec<_> = pod.claims.iter().map(|claim| (&*claim.name, claim.bound)).collect();
        assert_eq!(claims, [("www-web-1", None)]);
        assert!(!wants_event(&pod) && pod.waiting.is_none() && pod.terminating.is_none());
    }

    #[test]
    fn since_when_a_pod_is_not_ready_and_why() {
        let ready = |reason: &str, message: &str, containers: &str, at: &str| {
            state(
                json!({"metadata": {"name": "web-1"}, "spec": {"nodeName": "node-2"}, "status": {"phase": "Running",
                "conditions": [{"type": "PodScheduled", "status": "True"},
                    {"type": "Ready", "status": "False", "reason": reason, "message": message, "lastTransitionTime": at},
                    {"type": "ContainersReady", "status": containers}]}}),
            )
        };
        let today = "2026-11-21T14:02:59Z";
        let pod = ready("ContainersNotReady", "containers with unready status: [nginx]", "False", today);
        assert_eq!(pod.ready_since.unwrap().text.as_str(), "14:02 UTC");
        assert_eq!(pod.ready_message.as_str(), "containers with unready status: [nginx]");
        assert!(!pod.node_silent && pod.scheduled);
        let pod = ready("", "", "True", "2026-11-20T14:02:59Z");
        assert_eq!(pod.ready_since.unwrap().text.as_str(), "2026-11-20 14:02 UTC");
        assert!(pod.node_silent);
        assert!(!ready("ReadinessGatesNotReady", "gate x", "True", today).node_silent);
        assert_eq!(ready("", "", "False", "soon").ready_since, None);
    }

    #[test]
    fn what_a_container_waits_in() {
        let waiting = |containers: Value, init: Value| {
            let pod = state(json!({"metadata": {"name": "web-1"}, "spec": {"nodeName": "n"},
                "status": {"phase": "Pending", "containerStatuses": containers, "initContainerStatuses": init}}));
            pod.waiting.map(|waiting| format!("{}: {}", waiting.reason, waiting.detail))
        };
        let one = |reason: &str, message: &str, last: Value| {
            let state = json!({"waiting": {"reason": reason, "message": message}});
            json!({"name": "nginx", "image": "nginx:oops", "state": state, "lastState": last})
        };
        let said = |reason: &str, message: &str, last: Value| {
            waiting(json!([one(reason, message, last)]), Value::Null)
        };
        assert_eq!(
            said("ImagePullBackOff", "Back-off", json!({})).unwrap(),
            "ImagePullBackOff: image nginx:oops"
        );
        let last = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let crashed = said("CrashLoopBackOff", "back-off 5m0s", last);
        assert_eq!(crashed.unwrap(), "CrashLoopBackOff: container nginx, exit code 137 (OOMKilled)");
        assert_eq!(
            said("CreateContainerConfigError", "configmap \"x\" not found", json!({})).unwrap(),
            "CreateContainerConfigError: container nginx: configmap \"x\" not found"
        );
        let creating = one("PodInitializing", "", json!({}));
        let init = json!([one("ErrImagePull", "", json!({}))]);
        assert_eq!(waiting(json!([creating]), init).unwrap(), "ErrImagePull: image nginx:oops");
        assert_eq!(waiting(json!([{"name": "a", "state": {"running": {}}}]), json!([])), None);
    }

    #[test]
    fn a_pod_goes_since_it_was_asked_to() {
        let going = |over: &str, conditions: Value, finalizers: Value| {
            let metadata = json!({"name": "web-1", "deletionTimestamp": over, "deletionGracePeriodSeconds": 30,
                "finalizers": finalizers});
            state(json!({"metadata": metadata, "status": {"conditions": conditions}})).terminating.unwrap()
        };
        let pod = going("2026-11-21T14:02:20Z", json!([]), Value::Null);
        assert_eq!((pod.since.text.as_str(), pod.overdue, pod.evicted), ("14:01 UTC", true, false));
        let evicted =
            json!([{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]);
        let pod = going("2026-11-21T15:00:20Z", evicted, json!(["a.example/b"]));
        assert_eq!((pod.overdue, pod.evicted, pod.finalizer.as_str()), (false, true, "a.example/b"));
    }

    #[test]
    fn the_last_event_is_told_where_the_pod_says_nothing() {
        let event = |reason: &str, message: &str, uid: &str, at: &str| -> RawEvent {
            let involved = json!({"kind": "Pod", "name": "web-1", "uid": uid});
            serde_json::from_value(
                json!({"metadata": {"namespace": "a"}, "involvedObject": involved, "type": "Warning",
                "reason": reason, "message": message, "lastTimestamp": at}),
            )
            .unwrap()
        };
        let events = [
            event("FailedScheduling", "later", "u", "2026-11-21T14:02:00Z"),
            event("FailedScheduling", "first", "u", "2026-11-21T14:01:00Z"),
            event("FailedScheduling", "another pod's", "v", "2026-11-21T14:03:00Z"),
            event("FailedMount", "no node, no mount", "u", "2026-11-21T14:03:00Z"),
        ];
        let told = |pod: Value| {
            let mut pod = state(pod);
            tell_event(&mut pod, &events);
            pod.pending
        };
        assert_eq!(told(mk_pending("")).as_str(), "later");
        assert_eq!(told(mk_pending("its own")).as_str(), "its own");
        let mut placed = mk_pending("");
        placed["spec"]["nodeName"] = "n".into();
        assert_eq!(told(placed).as_str(), "no node, no mount");
    }

    #[test]
    fn whether_a_claim_has_its_volume() {
        let claim = |status: Value| {
            let claim = json!({"metadata": {"name": "www-web-1"}, "spec": {"storageClassName": "nfs"}, "status": status});
            serde_json::from_value::<RawClaim>(claim).unwrap().state().unwrap()
        };
        assert_eq!(claim(json!({"phase": "Pending"})).class.as_str(), "nfs");
        let bound =
            [json!({"phase": "Pending"}), json!({"phase": "Bound"}), json!({"phase": "Lost"}), json!({})];
        assert_eq!(bound.map(|status| claim(status).bound), [Some(false), Some(true), Some(false), None]);
    }

    #[test]
    fn what_is_missing_or_null_says_nothing() {
        let empty = json!({"metadata": {"name": "web-1", "finalizers": null}, "spec": null, "status": null});
        let pod = state(empty);
        assert_eq!(pod, PodState { name: "web-1".into(), ..PodState::default() });
        for name in ["", "a\nb", "a b", "..", "--all", "a/log", "Web-1", &"x".repeat(254)] {
            let raw: RawPod = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            assert_eq!(raw.state(now()), None, "{name}");
        }
    }

    #[test]
    fn of_a_pod_only_so_much_is_kept() {
        let many = |item: Value| Value::from(vec![item; 5000]);
        let metadata = json!({"name": "web-1", "finalizers": many("a.example/b".into())});
        let spec = json!({"volumes": many(json!({}))});
        let status = json!({"conditions": many(json!({})), "containerStatuses": many(json!({})),
            "initContainerStatuses": many(json!({}))});
        let pod = json!({"metadata": metadata, "spec": spec, "status": status});
        let RawPod { metadata, spec, status } = serde_json::from_value(pod).unwrap();
        let Status { conditions, init_container_statuses, container_statuses, .. } = status;
        let containers = init_container_statuses.len() + container_statuses.len();
        let all = metadata.finalizers.len() + spec.volumes.len() + conditions.len() + containers;
        assert_eq!(all, 5 * 64);
    }
}
