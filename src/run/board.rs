//! Feeds the page and the API: what was published, what the process knows of itself, how a name is answered.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

use super::from_cluster::Counting;
use super::metrics::Observed;
use crate::admin::{
    Batch, Board, BoardEnd, Health, Objects, PublishedChange, Snapshot, Status, Tellers, Watch, board,
};
use crate::cluster::{Index, Kind, ServiceChange};
use crate::explain::{Beside, Question, State, explain};
use crate::model::ServiceKey;
use crate::zone::{self, Reader};
use crate::{records, wire};

/// Services of one publish whose changes are told one by one: a list that differs in more is told by their number.
pub(super) const MOST_CHANGES: usize = 256;

/// Makes the board.
pub(super) fn start(
    changes: usize,
    reader: &Reader,
    health: &Health,
    observed: &Arc<Observed>,
    counting: &Counting,
    settings: &Arc<ArcSwap<records::Settings>>,
    from_manifests: bool,
) -> (Board, BoardEnd) {
    let (observed, counting) = (Arc::clone(observed), counting.clone());
    let source = if from_manifests { "manifests" } else { "kubernetes" };
    let status = Arc::new(move || status(source, &observed, &counting));
    let (explaining, settings) = (reader.clone(), Arc::clone(settings));
    let explain = Arc::new(move |index: &Index, question: &Question| {
        let (settings, beside) = (settings.load(), Beside::default());
        let (reader, now) = (&explaining, SystemTime::now());
        explain(&State { index, reader, settings: &settings, beside: &beside, now }, question)
    });
    let asking = reader.clone();
    let why = Arc::new(move |name: &str| why(&asking, name));
    board(changes, reader, health, Tellers { status, explain, why })
}

fn status(source: &'static str, observed: &Observed, counting: &Counting) -> Status {
    let objects = Objects {
        namespaces: observed.objects(Kind::Namespace),
        services: observed.objects(Kind::Service),
        endpoint_slices: observed.objects(Kind::EndpointSlice),
        stateful_sets: observed.objects(Kind::StatefulSet),
        pods: observed.objects(Kind::Pod),
    };
    let watches = counting.watches.counts().into_iter().map(|counts| Watch {
        kind: format!("{:?}", counts.scope.kind),
        namespace: counts.scope.namespace.as_ref().map(ToString::to_string),
        age_seconds: counts.age.map(|age| age.as_secs_f64()),
        lists: counts.lists,
        restarts: counts.restarts.iter().map(|(_, count)| count).sum(),
        failures: counts.failures.iter().map(|(_, count)| count).sum(),
        relists: counts.relists,
        differences: counts.differences,
    });
    let kept = counting.snapshot.counts();
    let snapshot = Snapshot {
        loaded: kept.loaded,
        written_at: Some(kept.written).filter(|written| *written > 0),
        writes: kept.successes,
        failures: kept.failures,
        octets: kept.octets,
    };
    Status { source, objects, watches: watches.collect(), snapshot }
}

/// When the changes of a publish came about.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    /// The first of them arrived here.
    pub(super) arrived: Option<Instant>,
    /// The services of which the API server says when they changed.
    pub(super) triggered: Vec<(ServiceKey, SystemTime)>,
}

/// What a publish did, as the board is told it. `dirty` services were made anew.
pub(super) fn batch(changes: Vec<ServiceChange>, dirty: usize, times: &Times, serial: u32) -> Batch {
    let published = SystemTime::now();
    let arrived = times.arrived.and_then(|arrived| published.checked_sub(arrived.elapsed()));
    let more = if changes.len() < MOST_CHANGES { 0 } else { dirty.saturating_sub(changes.len()) };
    let changed = |change: &ServiceChange| {
        let (namespace, name) = (change.after.namespace(), change.after.name());
        let of_it = times
            .triggered
            .iter()
            .filter(|(key, _)| key.namespace.as_str() == namespace && key.name.as_str() == name);
        of_it.map(|(_, triggered)| *triggered).min()
    };
    let changes = changes.into_iter().map(|change| PublishedChange { changed: changed(&change), change });
    Batch { changes: changes.collect(), more, arrived, published, serial }
}

/// Why a name has no address; None where it has one, and of what is no name.
fn why(reader: &Reader, name: &str) -> Option<String> {
    let (_, query) = question(&Name::from_ascii(name).ok()?, RecordType::A).ok()?;
    zone::explain(&reader.view(), &query, |explained| explained.reason.map(|reason| reason.to_string()))
}

fn question(name: &Name, rtype: RecordType) -> Result<(Vec<u8>, wire::Query), String> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), rtype));
    let packet = message.to_vec().map_err(|error| error.to_string())?;
    let mut query = wire::Query::default();
    query.parse(&packet).map_err(|error| error.to_string())?;
    Ok((packet, query))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Label, Object, StatefulSet};

    #[test]
    fn a_batch_has_the_times_of_its_services() {
        let label = |text: &str| Label::new(text).unwrap();
        let mut index = Index::new();
        index.keep_changes(MOST_CHANGES);
        for name in ["a", "b"] {
            let (namespace, service) = (label("default"), Some(label(name)));
            index.apply(Object::StatefulSet(StatefulSet {
                namespace,
                name: name.into(),
                service,
                start: 0,
                replicas: 1,
                parallel: false,
                revision: None,
            }));
        }
        let key = |name: &str| ServiceKey { namespace: label("default"), name: label(name) };
        let now = SystemTime::now();
        let (early, late) =
            (now.checked_sub(Duration::from_secs(9)), now.checked_sub(Duration::from_secs(3)));
        let triggered = [late, early].into_iter().flatten().map(|time| (key("b"), time)).collect();
        let times = Times { arrived: Some(Instant::now()), triggered };
        let batch = batch(index.take_changes(), 5, &times, 7);
        let changed: Vec<_> = batch.changes.iter().map(|change| change.changed).collect();
        assert_eq!((changed, batch.more, batch.serial), (vec![None, early], 0, 7));
        assert!(batch.arrived.is_some_and(|arrived| arrived <= batch.published));
    }
}
