//! `/metrics`: whoever counts something tells it when it is asked for, and nothing is kept here.
//!
//! Layers count in cells of their own, which they are quick to add to and which know nothing of Prometheus; `run` adds a
//! teller for each, which reads the cells and writes families to a [`Page`]. A scrape waits for nobody and nobody waits
//! for it: tellers read atomics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::exposition::Form;

/// Names and values, in order; none for a family of one value.
pub type Labels<'l> = Vec<(&'static str, &'l str)>;

/// Everything that is told; its clones are one.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    tellers: Tellers,
    /// A scrape at a time: however many ask, they take one processor at most.
    turn: Arc<Semaphore>,
}

type Teller = Arc<dyn Fn(&mut Page<'_>) + Send + Sync>;

/// By what they tell of.
#[derive(Clone, Default)]
struct Tellers(Arc<Mutex<BTreeMap<&'static str, Teller>>>);

impl fmt::Debug for Tellers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.now().iter().map(|(name, _)| name)).finish()
    }
}

impl Tellers {
    fn now(&self) -> Vec<(&'static str, Teller)> {
        let tellers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tellers.iter().map(|(name, teller)| (*name, Arc::clone(teller))).collect()
    }
}

impl Collector for Tellers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder, written: Ok(()) };
        for (_, teller) in self.now() {
            teller(&mut page);
        }
        page.written
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let (mut registry, tellers) = (Registry::default(), Tellers::default());
        registry.register_collector(Box::new(tellers.clone()));
        Self { registry: Arc::new(registry), tellers, turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Metrics {
    /// From now on `teller` tells of this, and whoever told of it before does no more. A family has one teller.
    pub fn tell(&self, of: &'static str, teller: impl Fn(&mut Page<'_>) + Send + Sync + 'static) {
        let mut tellers = self.tellers.0.lock().unwrap_or_else(PoisonError::into_inner);
        tellers.insert(of, Arc::new(teller));
    }

    /// All of it as text.
    ///
    /// # Errors
    /// Never, as long as there is memory for the text.
    pub(super) async fn page(&self, form: Form) -> Result<String, fmt::Error> {
        // It is never closed.
        let _turn = self.turn.acquire().await;
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(form.of(text))
    }
}

/// What is written; each family in one call, with the help that says what it means.
pub struct Page<'p> {
    encoder: DescriptorEncoder<'p>,
    written: fmt::Result,
}

impl Page<'_> {
    /// A counter. Its name is given without the `_total` that it ends with.
    pub fn counter<'l, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) {
        self.family(name, help, MetricType::Counter, values, |encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
        });
    }

    /// A gauge.
    pub fn gauge<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) {
        self.family(name, help, MetricType::Gauge, values, |encoder, value| encoder.encode_gauge(&value));
    }

    /// A histogram: the sum of its values, and how many there are up to each bound and above the one before; the last
    /// bound is infinite.
    pub fn histogram<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, (f64, Vec<(f64, u64)>))>,
    ) {
        self.family(name, help, MetricType::Histogram, values, |encoder, (sum, buckets)| {
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        });
    }

    /// What does not change: its labels say it. Its name is given without the `_info` that it ends with.
    pub fn info(&mut self, name: &str, help: &str, labels: Labels<'_>) {
        let written = self.encoder.encode_descriptor(name, help, None, MetricType::Info);
        let written = written.and_then(|mut encoder| encoder.encode_info(&labels));
        self.written = self.written.and(written);
    }

    fn family<'l, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = (Labels<'l>, V)>,
        mut write: impl FnMut(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) {
        let written = self.encoder.encode_descriptor(name, help, None, kind).and_then(|mut encoder| {
            values.into_iter().try_for_each(|(labels, value)| {
                if labels.is_empty() {
                    write(&mut encoder, value)
                } else {
                    write(&mut encoder.encode_family(&labels)?, value)
                }
            })
        });
        self.written = self.written.and(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn families_are_written_with_labels_and_without() {
        let metrics = Metrics::default();
        metrics.tell("a", |page| page.gauge("t_never", "Replaced.", [(vec![], 1_u64)]));
        metrics.tell("b", |page| {
            page.counter(
                "t_asked",
                "Questions.",
                [(vec![("zone", "a \"b\"\\")], 7_u64), (vec![("zone", ".")], 0)],
            );
            page.histogram(
                "t_seconds",
                "Time.",
                [(vec![("t", "x")], (1.5, vec![(0.5, 1), (f64::INFINITY, 2)]))],
            );
            page.info("t_build", "Version.", vec![("version", "1")]);
        });
        metrics.tell("a", |page| page.gauge("t_size", "Octets.", [(vec![], 3_u64)]));
        assert_eq!(
            metrics.page(Form::OpenMetrics).await.unwrap(),
            "# HELP t_size Octets.\n# TYPE t_size gauge\nt_size 3\n\
             # HELP t_asked Questions.\n# TYPE t_asked counter\n\
             t_asked_total{zone=\"a \\\"b\\\"\\\\\"} 7\nt_asked_total{zone=\".\"} 0\n\
             # HELP t_seconds Time.\n# TYPE t_seconds histogram\nt_seconds_sum{t=\"x\"} 1.5\n\
             t_seconds_count{t=\"x\"} 3\nt_seconds_bucket{le=\"0.5\",t=\"x\"} 1\n\
             t_seconds_bucket{le=\"+Inf\",t=\"x\"} 3\n\
             # HELP t_build Version.\n# TYPE t_build info\nt_build_info{version=\"1\"} 1\n# EOF\n"
        );
    }
}
