//! The ways to an explanation: a cluster that is loaded for it, with what is read beside; or a server that is asked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context as _;
use serde::Deserialize as _;
use serde_json::Value;

use super::offline::{self, Offline};
use super::settings::for_records;
use crate::config::{Cluster, Config};
use crate::explain::{Beside, Explanation, Question, QuestionError, State, Unread, Wanted, explain};
use crate::model::{Claim, PodState, is_object_name};
use crate::source::kubernetes::{Access, Readable, Reading, Unreadable};
use crate::source::manifests::{Place, Witness};
use crate::source::pods::{RawClaim, RawEvent, RawPod, tell_event, wants_event};

/// Loads the configuration's cluster and explains a name in it.
///
/// # Errors
/// When there is no cluster, it cannot be read, or what was typed is no name.
pub fn from_source(config: &Config, question: &Question) -> anyhow::Result<Explanation> {
    if let Some(Cluster::Kubernetes(access)) = &config.cluster {
        let loaded = offline::load(config)?;
        let first = told(config, &loaded, &Beside::default(), question)?;
        let beside = offline::wait_for(beside(access, &first.wanted))?;
        return Ok(told(config, &loaded, &beside, question)?);
    }
    let written = Written::default();
    let loaded = offline::load_before(config, Some(Box::new(written.clone())))?;
    let beside = written.taken();
    Ok(told(config, &loaded, &beside, question)?)
}

/// Sees what manifests say beside what is served from them.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    beside: Beside,
    /// With their namespaces.
    pods: Vec<(String, PodState)>,
    claims: Vec<(String, Claim)>,
    events: Vec<RawEvent>,
}

impl Witness for Written {
    fn text(&mut self, _: &Path, _: &str) {}

    fn object(&mut self, value: &Value, _: Place<'_>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of =
            |namespace: &str| if namespace.is_empty() { "default".to_owned() } else { namespace.to_owned() };
        match value.get("kind").and_then(Value::as_str).unwrap_or_default() {
            "Pod" => {
                let raw = RawPod::deserialize(value).unwrap_or_default();
                let state = raw.state(SystemTime::now()).map(|pod| (of(raw.namespace()), pod));
                seen.pods.extend(state);
            }
            "PersistentVolumeClaim" => {
                let raw = RawClaim::deserialize(value).unwrap_or_default();
                let state = raw.state().map(|claim| (of(raw.namespace()), claim));
                seen.claims.extend(state);
            }
            "Event" => seen.events.extend(RawEvent::deserialize(value)),
            _ => seen.beside.add(value),
        }
    }
}

impl Written {
    fn taken(&self) -> Beside {
        let seen = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let Seen { mut beside, pods, claims, events } = seen;
        for (namespace, mut pod) in pods {
            for claim in &mut pod.claims {
                let known = claims.iter().find(|(of, known)| *of == namespace && known.name == claim.name);
                if let Some((_, known)) = known {
                    *claim = known.clone();
                }
            }
            tell_event(&mut pod, events.iter().filter(|event| event.namespace() == namespace));
            beside.add_pod(&namespace, pod);
        }
        beside
    }
}

fn told(
    config: &Config,
    loaded: &Offline,
    beside: &Beside,
    question: &Question,
) -> Result<Explanation, QuestionError> {
    let settings = for_records(config);
    let (index, reader, now) = (loaded.driver.index(), &loaded.reader, SystemTime::now());
    explain(&State { index, reader, settings: &settings, beside, now }, question)
}

/// What an API server tells of the objects behind a name.
async fn beside(access: &Access, wanted: &Wanted) -> anyhow::Result<Beside> {
    let reading = Reading::start(access).await?;
    let mut reader =
        Reader { reading, namespace: &wanted.namespace, beside: Beside::default(), refused: BTreeSet::new() };
    if let Some(service) = &wanted.service {
        let object = reader.get(Readable::Service, service).await;
        object.iter().for_each(|object| reader.beside.add(object));
        let selector = format!("labelSelector=kubernetes.io%2Fservice-name%3D{service}");
        let slices = reader.list(Readable::EndpointSlice, &selector).await;
        slices.iter().for_each(|slice| reader.beside.add(slice));
    }
    for set in &wanted.sets {
        let object = reader.get(Readable::StatefulSet, set).await;
        object.iter().for_each(|object| reader.beside.add(object));
    }
    for name in &wanted.pods {
        reader.pod(name).await;
    }
    Ok(reader.beside)
}

/// Reads one object after the other, and keeps what could not be read.
struct Reader<'w> {
    reading: Reading,
    namespace: &'w str,
    beside: Beside,
    /// Kinds that are not asked for again.
    refused: BTreeSet<&'static str>,
}

impl Reader<'_> {
    async fn get(&mut self, of: Readable, name: &str) -> Option<Value> {
        if self.refused.contains(of.plural()) {
            return None;
        }
        let read = self.reading.get(of, self.namespace, name).await;
        self.taken(of, read)
    }

    async fn list(&mut self, of: Readable, selector: &str) -> Vec<Value> {
        if self.refused.contains(of.plural()) {
            return Vec::new();
        }
        let read = self.reading.list(of, self.namespace, selector).await;
        self.taken(of, read).unwrap_or_default()
    }

    fn taken<T>(&mut self, of: Readable, read: Result<T, Unreadable>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(Unreadable::Missing) => None,
            Err(error) => {
                self.refused.insert(of.plural());
                self.beside.unread.push(Unread {
                    what: format!("{} in {}", of.plural(), self.namespace),
                    forbidden: matches!(error, Unreadable::Forbidden(_)),
                    why: error.to_string(),
                });
                None
            }
        }
    }

    /// A pod, its claims that are not bound, and the event that says why it has no node where it does not say so itself.
    async fn pod(&mut self, name: &str) {
        // A slice may point at anything: of what is no pod's name nothing is said, not even that there is none.
        if !is_object_name(name) || self.refused.contains(Readable::Pod.plural()) {
            return;
        }
        let read = self.reading.get(Readable::Pod, self.namespace, name).await;
        if read == Err(Unreadable::Missing) {
            self.beside.add_absent_pod(self.namespace, name);
            return;
        }
        let Some(mut pod) = self.taken(Readable::Pod, read).and_then(pod) else { return };
        if !pod.ready {
            for at in 0..pod.claims.len() {
                let claim = self.get(Readable::Claim, &pod.claims[at].name.clone()).await;
                let claim = claim.and_then(|claim| serde_json::from_value::<RawClaim>(claim).ok()?.state());
                if let Some(claim) = claim {
                    pod.claims[at] = claim;
                }
            }
        }
        if wants_event(&pod) {
            let selector = format!("fieldSelector=involvedObject.kind%3DPod%2CinvolvedObject.name%3D{name}");
            let events = self.list(Readable::Event, &selector).await;
            let events: Vec<RawEvent> =
                events.into_iter().filter_map(|event| serde_json::from_value(event).ok()).collect();
            tell_event(&mut pod, &events);
        }
        self.beside.add_pod(self.namespace, pod);
    }
}

fn pod(object: Value) -> Option<PodState> {
    serde_json::from_value::<RawPod>(object).ok()?.state(SystemTime::now())
}

/// Asks a server that runs.
///
/// # Errors
/// When it cannot be asked, or refuses.
pub fn from_server(server: &super::remote::Server, question: &Question) -> anyhow::Result<Explanation> {
    let mut target = vec![("name", question.typed.as_str()), ("namespace", question.namespace.as_str())];
    target.extend(question.rtype.as_deref().map(|rtype| ("type", rtype)));
    let octets = offline::wait_for(server.get("/api/v1/explain", &target))?;
    serde_json::from_slice(&octets)
        .context("the server answers in another form: it may be of another version")
}
