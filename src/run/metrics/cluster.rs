//! The cluster as it is known, the zone that is made of it, and how long a change takes from one to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use crate::admin::{Health, Metrics};
use crate::cluster::{Index, Kind, PodCounts};
use crate::model::{Object, ServiceKey};
use crate::run::board::Times;
use crate::server::{DURATIONS, Histogram, HistogramCounts};
use crate::source::kubernetes::{Event, Update};
use crate::zone::Reader;

/// In nanoseconds: from 1 ms on each twice the one before, up to 524 s, as CoreDNS has them.
const PROGRAMMING: [u64; 20] = {
    let mut bounds = [1_000_000; 20];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = 2 * bounds[at - 1];
        at += 1;
    }
    bounds
};

/// Kinds of the [SLI "DNS programming latency"]. Only of one does the API tell when the change was made.
///
/// [SLI "DNS programming latency"]: https://github.com/kubernetes/community/blob/master/sig-scalability/slos/dns_programming_latency.md
const SERVICE_KINDS: [&str; 3] = ["cluster_ip", MEASURED, "headless_without_selector"];
const MEASURED: &str = "headless_with_selector";

/// What the driver leaves behind for those who ask: it has the index to itself, and a scrape must not wait for it.
#[derive(Debug)]
pub(in crate::run) struct Observed {
    /// By kind, as they are numbered.
    objects: [AtomicU64; Kind::ALL.len()],
    /// Pods of sets that are not whole, and octets of what they say.
    pods: [AtomicUsize; 2],
    programming: Histogram<{ PROGRAMMING.len() }>,
    publishing: Histogram<{ DURATIONS.len() }>,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            objects: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            pods: Default::default(),
            programming: Histogram::new(&PROGRAMMING),
            publishing: Histogram::new(&DURATIONS),
        }
    }
}

impl Observed {
    /// Objects of a kind that are known.
    pub(in crate::run) fn objects(&self, kind: Kind) -> u64 {
        self.objects[kind as usize].load(Ordering::Relaxed)
    }

    /// Takes down what the index holds.
    pub(in crate::run) fn count(&self, index: &Index) {
        for kind in Kind::ALL {
            self.objects[kind as usize].store(index.count(kind) as u64, Ordering::Relaxed);
        }
        let PodCounts { pods, octets } = index.pod_counts();
        self.pods[0].store(pods, Ordering::Relaxed);
        self.pods[1].store(octets, Ordering::Relaxed);
    }

    /// What was known last of the pods of sets that are not whole.
    pub(super) fn pods(&self) -> PodCounts {
        let [pods, octets] = [0, 1].map(|at: usize| self.pods[at].load(Ordering::Relaxed));
        PodCounts { pods, octets }
    }
}

/// Changes that the next publish takes with it.
#[derive(Debug, Default)]
pub(in crate::run) struct Waiting {
    arrived: Vec<Instant>,
    /// Of slices: when what they tell of happened.
    triggered: Vec<(ServiceKey, SystemTime)>,
}

impl Waiting {
    /// Remembers an update, if it is a change. What a list says may have been so for long.
    pub(in crate::run) fn add(&mut self, update: &Update) {
        if !matches!(update.event, Event::Apply(_) | Event::Delete(_)) {
            return;
        }
        self.arrived.push(update.arrived);
        if let (Event::Apply(Object::EndpointSlice(slice)), Some(triggered)) =
            (&update.event, update.triggered)
        {
            self.triggered.push((slice.service.clone(), triggered));
        }
    }

    /// When they came about, for those who show them.
    pub(in crate::run) fn times(&self) -> Times {
        Times { arrived: self.arrived.first().copied(), triggered: self.triggered.clone() }
    }

    /// Measures what was published just now, and forgets it.
    pub(in crate::run) fn published(&mut self, observed: &Observed, index: &Index) {
        for arrived in self.arrived.drain(..) {
            observed.publishing.add_duration(arrived.elapsed());
        }
        let now = SystemTime::now();
        for (service, triggered) in self.triggered.drain(..) {
            // Two machines' clocks: a change of the future is no measurement.
            if let (true, Ok(duration)) = (index.is_headless(&service), now.duration_since(triggered)) {
                observed.programming.add_duration(duration);
            }
        }
    }

    /// Forgets what is not published before everything else is.
    pub(in crate::run) fn clear(&mut self) {
        self.arrived.clear();
        self.triggered.clear();
    }
}

/// Tells of the cluster and the zone from now on.
pub(in crate::run) fn tell_cluster(
    metrics: &Metrics,
    reader: &Reader,
    health: &Health,
    observed: &Arc<Observed>,
) {
    let (reader, health, observed) = (reader.clone(), health.clone(), Arc::clone(observed));
    metrics.tell("cluster", move |page| {
        let kinds = Kind::ALL.map(|kind| (kind, format!("{kind:?}")));
        page.gauge(
            "rollcall_objects",
            "Objects of the cluster that are known.",
            kinds.iter().map(|(kind, name)| {
                (vec![("kind", name.as_str())], observed.objects[*kind as usize].load(Ordering::Relaxed))
            }),
        );
        let size = reader.size();
        page.gauge("rollcall_zone_services", "Services that have a name.", [(vec![], size.services)]);
        page.gauge(
            "rollcall_zone_names",
            "Names of Services and of their endpoints, without those of ports and addresses.",
            [(vec![], size.names)],
        );
        page.gauge("rollcall_zone_serial", "The serial of the SOA record.", [(vec![], reader.serial())]);
        page.gauge(
            "rollcall_synchronised",
            "1 once a complete cluster is served; before that answers are SERVFAIL.",
            [(vec![], u64::from(reader.is_synchronised()))],
        );
        page.gauge(
            "rollcall_degraded",
            "1 while something cannot be followed and answers are what was known last.",
            [(vec![], u64::from(health.is_degraded()))],
        );
        let of = |counts: HistogramCounts| (counts.sum, counts.buckets);
        let programming = |kind: &str| match kind {
            MEASURED => of(observed.programming.counts(1e9)),
            _ => of(Histogram::new(&PROGRAMMING).counts(1e9)),
        };
        page.histogram(
            "rollcall_dns_programming_duration_seconds",
            "From the change of a pod or Service to its being answered, as the endpoints' trigger time has it.",
            SERVICE_KINDS.map(|kind| (vec![("service_kind", kind)], programming(kind))),
        );
        page.histogram(
            "rollcall_publish_duration_seconds",
            "From the arrival of a change from the API server to its being answered.",
            [(vec![], of(observed.publishing.counts(1e9)))],
        );
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::ObjectName;
    use crate::model::{EndpointSlice, Label, Service, ServiceShape, TtlOverrides};

    fn key(name: &str) -> ServiceKey {
        ServiceKey { namespace: Label::new("default").unwrap(), name: Label::new(name).unwrap() }
    }

    fn mk_slice(service: &str) -> Object {
        let (ports, endpoints) = (Vec::new(), Vec::new());
        Object::EndpointSlice(EndpointSlice { service: key(service), name: service.into(), ports, endpoints })
    }

    fn mk_update(event: Event, triggered: Option<SystemTime>) -> Update {
        Update { scope: 0, event, arrived: Instant::now(), triggered }
    }

    #[test]
    fn bounds_are_coredns_own() {
        let bounds: Vec<f64> =
            Histogram::new(&PROGRAMMING).counts(1e9).buckets.iter().map(|(bound, _)| *bound).collect();
        assert_eq!((bounds[0], bounds[1], bounds[19]), (0.001, 0.002, 524.288));
    }

    #[test]
    fn only_changes_of_headless_services_with_a_time_in_the_past_are_measured() {
        let (observed, mut index) = (Observed::default(), Index::new());
        for (name, shape) in [("web", ServiceShape::Headless), ("vip", ServiceShape::ClusterIp(Vec::new()))] {
            let (ports, ttl) = (Vec::new(), TtlOverrides::default());
            index.apply(Object::Service(Service { key: key(name), shape, ports, ttl }));
        }
        let now = SystemTime::now();
        let (earlier, later) =
            (now.checked_sub(Duration::from_secs(3)), now.checked_add(Duration::from_secs(60)));
        let mut waiting = Waiting::default();
        for update in [
            mk_update(Event::Apply(mk_slice("web")), earlier),
            mk_update(Event::Apply(mk_slice("web")), None),
            mk_update(Event::Apply(mk_slice("web")), later),
            mk_update(Event::Apply(mk_slice("vip")), earlier),
            mk_update(Event::Apply(mk_slice("gone")), earlier),
            mk_update(Event::Delete(ObjectName::of(&mk_slice("web"))), None),
            // Of a list, and no change at all.
            mk_update(Event::Item(mk_slice("web"), 1), earlier),
            mk_update(Event::Following, None),
        ] {
            waiting.add(&update);
        }
        waiting.published(&observed, &index);
        let programming = observed.programming.counts(1e9);
        assert_eq!((programming.count(), programming.sum.floor()), (1, 3.0));
        assert_eq!(observed.publishing.counts(1e9).count(), 6);
        // Each is measured once, and none that was forgotten.
        waiting.published(&observed, &index);
        waiting.add(&mk_update(Event::Apply(mk_slice("web")), earlier));
        waiting.clear();
        waiting.published(&observed, &index);
        assert_eq!(observed.publishing.counts(1e9).count(), 6);
        assert_eq!(observed.programming.counts(1e9).count(), 1);
    }
}
