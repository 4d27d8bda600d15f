//! Quantiles over a sliding window of one to two minutes: two sets of buckets take turns. Buckets grow by a quarter, so
//! a quantile is at most that much off.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary as SummaryProto};

use super::names::LABELS;

/// The quantiles Pulsar Functions export.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
const TURN: Duration = Duration::from_secs(60);
/// 1 µs · 1.25^80 is a little under a minute.
const BUCKETS: usize = 80;
const SMALLEST_SECONDS: f64 = 1e-6;
const GROWTH: f64 = 1.25;

/// Durations of one replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: AtomicU64,
    sum_nanos: AtomicU64,
    windows: [[AtomicU64; BUCKETS]; 2],
}

impl Default for Inner {
    fn default() -> Self {
        let buckets = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { count: AtomicU64::new(0), sum_nanos: AtomicU64::new(0), windows: [buckets(), buckets()] }
    }
}

impl Summary {
    /// Adds one duration. A few nanoseconds; any thread.
    pub(crate) fn observe(&self, duration: Duration) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.0.sum_nanos.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
        let growth = (duration.as_secs_f64() / SMALLEST_SECONDS).max(1.0).ln() / GROWTH.ln();
        for window in &self.0.windows {
            if let Some(bucket) = window.get((growth as usize).min(BUCKETS - 1)) {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The duration, in milliseconds, below which this share of the window lies; NaN for an empty window.
    fn quantile(&self, window: usize, share: f64) -> f64 {
        let Some(buckets) = self.0.windows.get(window) else { return f64::NAN };
        let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return f64::NAN;
        }
        let rank = (share * total as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        SMALLEST_SECONDS * GROWTH.powi(bucket.unwrap_or(BUCKETS - 1) as i32 + 1) * 1_000.0
    }

    fn clear(&self, window: usize) {
        for bucket in self.0.windows.get(window).into_iter().flatten() {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

/// One summary family. Both windows take every observation; the older one is exported, then cleared.
#[derive(Clone)]
pub(super) struct Summaries {
    desc: Arc<Desc>,
    inner: Arc<Mutex<Turns>>,
}

struct Turns {
    /// The window exported now; the other one was cleared last.
    exported: usize,
    since: Instant,
    replicas: HashMap<Vec<String>, Summary>,
}

impl Summaries {
    #[expect(clippy::expect_used, reason = "the name and the labels are constants")]
    pub(super) fn new((name, help): (&str, &str)) -> Self {
        let labels = LABELS.map(str::to_owned).to_vec();
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new()).expect("constant description");
        let turns = Turns { exported: 0, since: Instant::now(), replicas: HashMap::new() };
        Self { desc: Arc::new(desc), inner: Arc::new(Mutex::new(turns)) }
    }

    pub(super) fn of(&self, labels: &[&str]) -> Summary {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.lock().replicas.entry(labels).or_default().clone()
    }

    pub(super) fn forget(&self, labels: &[&str]) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        self.lock().replicas.remove(&labels);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Summaries {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut turns = self.lock();
        if turns.since.elapsed() >= TURN {
            let cleared = turns.exported;
            turns.replicas.values().for_each(|summary| summary.clear(cleared));
            turns.exported = 1 - cleared;
            turns.since = Instant::now();
        }
        let metrics = turns.replicas.iter().map(|(labels, summary)| metric(labels, summary, turns.exported)).collect();
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(metrics);
        vec![family]
    }
}

fn metric(labels: &[String], summary: &Summary, window: usize) -> Metric {
    let mut proto = SummaryProto::default();
    proto.set_sample_count(summary.0.count.load(Ordering::Relaxed));
    proto.set_sample_sum(summary.0.sum_nanos.load(Ordering::Relaxed) as f64 / 1e6);
    let quantiles = QUANTILES.map(|share| {
        let mut quantile = Quantile::default();
        quantile.set_quantile(share);
        quantile.set_value(summary.quantile(window, share));
        quantile
    });
    proto.set_quantile(quantiles.to_vec());
    let mut metric = Metric::default();
    metric.set_label(label_pairs(labels));
    metric.set_summary(proto);
    metric
}

/// The labels of a replica as the exporter wants them.
pub(super) fn label_pairs(values: &[String]) -> Vec<LabelPair> {
    let pair = |(name, value): (&&str, &String)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.clone());
        pair
    };
    LABELS.iter().zip(values).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_quarter_of_the_truth() {
        let summary = Summary::default();
        for millis in 1..=1_000 {
            summary.observe(Duration::from_millis(millis));
        }
        for (share, truth) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0)] {
            let found = summary.quantile(0, share);
            assert!((truth..truth * 1.26).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn an_empty_window_has_no_quantiles() {
        assert!(Summary::default().quantile(0, 0.5).is_nan());
    }
}
