//! Puts families together out of the numbers of all replicas.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use pulselet_engine::Fault;

use super::names::{self, LABELS};
use super::replica::{Numbers, ReplicaMetrics};
use super::summary::Turns;
use crate::function::Facts;

/// What tells the metrics of one replica from those of another; texts are made when they are asked for.
#[derive(Clone)]
pub(super) struct Labels {
    pub(super) facts: Arc<Facts>,
    pub(super) cluster: Arc<str>,
}

impl Labels {
    /// As the exporter wants them, sorted by name.
    pub(super) fn pairs(&self) -> Vec<LabelPair> {
        let name = &self.facts.function.name;
        // In the order of `LABELS`.
        let values = [
            name.tenant.clone(),
            format!("{}/{}", name.tenant, name.namespace),
            name.name.clone(),
            self.facts.replica.to_string(),
            self.cluster.to_string(),
            name.to_string(),
        ];
        let mut pairs: Vec<LabelPair> = LABELS.into_iter().zip(values).map(|(name, value)| pair(name, value)).collect();
        pairs.sort();
        pairs
    }
}

fn pair(name: &str, value: String) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

/// How the value of a metric is found in the numbers of a replica.
enum Value {
    Counter(fn(&Numbers) -> f64),
    Gauge(fn(&Numbers) -> f64),
    Latency,
    ColdStart,
    /// One metric for each kind.
    Faults,
}

/// Every family, by its name and help.
const FAMILIES: [((&str, &str), Value); 14] = [
    (names::RECEIVED, Value::Counter(|n| n.received.get() as f64)),
    (names::PROCESSED, Value::Counter(|n| n.processed.get() as f64)),
    (names::USER_EXCEPTIONS, Value::Counter(|n| n.user_exceptions.get() as f64)),
    (names::SYSTEM_EXCEPTIONS, Value::Counter(|n| n.system_exceptions.get() as f64)),
    (names::LAST_INVOCATION, Value::Gauge(|n| n.last_invocation.get())),
    (names::PROCESS_LATENCY, Value::Latency),
    (names::FAULTS, Value::Faults),
    (names::COLD_START, Value::ColdStart),
    (names::CPU_SECONDS, Value::Counter(|n| n.cpu_nanos.get() as f64 / 1e9)),
    (names::DEAD_LETTERS, Value::Counter(|n| n.dead_letters.get() as f64)),
    (names::DROPPED, Value::Counter(|n| n.dropped.get() as f64)),
    (names::OUTPUT_DISCARDED, Value::Counter(|n| n.output_discarded.get() as f64)),
    (names::LOG_LINES_DROPPED, Value::Counter(|n| n.log_lines_dropped.get() as f64)),
    (names::UNSETTLED, Value::Gauge(|n| n.unsettled.get())),
];

impl Value {
    fn metric_type(&self) -> MetricType {
        match self {
            Self::Counter(_) | Self::Faults => MetricType::COUNTER,
            Self::Gauge(_) => MetricType::GAUGE,
            Self::Latency => MetricType::SUMMARY,
            Self::ColdStart => MetricType::HISTOGRAM,
        }
    }

    /// Adds the metrics of one replica; `window` is the one whose quantiles are exported.
    fn export(&self, numbers: &Numbers, labels: &[LabelPair], window: usize, to: &mut Vec<Metric>) {
        let mut metric = Metric::default();
        match self {
            Self::Counter(get) => metric.set_counter(counter(get(numbers))),
            Self::Gauge(get) => {
                let mut gauge = Gauge::default();
                gauge.set_value(get(numbers));
                metric.set_gauge(gauge);
            }
            Self::Latency => metric.set_summary(numbers.latency.export(window)),
            Self::ColdStart => metric.set_histogram(numbers.cold_start.export()),
            Self::Faults => {
                to.extend(Fault::KINDS.iter().zip(&numbers.faults).map(|(kind, faults)| {
                    let mut metric = Metric::default();
                    metric.set_counter(counter(faults.get() as f64));
                    let mut labels = [labels, &[pair("kind", (*kind).to_owned())]].concat();
                    labels.sort();
                    metric.set_label(labels);
                    metric
                }));
                return;
            }
        }
        metric.set_label(labels.to_vec());
        to.push(metric);
    }
}

fn counter(value: f64) -> Counter {
    let mut counter = Counter::default();
    counter.set_value(value);
    counter
}

/// The replicas that are exported.
#[derive(Clone)]
pub(super) struct Replicas {
    descs: Arc<[Desc]>,
    state: Arc<Mutex<State>>,
}

struct State {
    replicas: Vec<(Labels, ReplicaMetrics)>,
    turns: Turns,
}

impl Replicas {
    pub(super) fn new() -> prometheus::Result<Self> {
        let desc = |((name, help), value): &((&str, &str), Value)| {
            let extra = matches!(value, Value::Faults).then_some("kind");
            let labels = LABELS.into_iter().chain(extra).map(str::to_owned).collect();
            Desc::new((*name).to_owned(), (*help).to_owned(), labels, HashMap::new())
        };
        let descs = FAMILIES.iter().map(desc).collect::<prometheus::Result<_>>()?;
        let state = State { replicas: Vec::new(), turns: Turns::new(Instant::now()) };
        Ok(Self { descs, state: Arc::new(Mutex::new(state)) })
    }

    pub(super) fn add(&self, labels: Labels) -> ReplicaMetrics {
        let metrics = ReplicaMetrics::default();
        self.lock().replicas.push((labels, Arc::clone(&metrics)));
        metrics
    }

    pub(super) fn remove(&self, metrics: &ReplicaMetrics) {
        let mut state = self.lock();
        if let Some(at) = state.replicas.iter().position(|(_, other)| Arc::ptr_eq(other, metrics)) {
            state.replicas.swap_remove(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Replicas {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut state = self.lock();
        let State { replicas, turns } = &mut *state;
        let clear = |window| replicas.iter().for_each(|(_, numbers)| numbers.latency.clear(window));
        let window = turns.window(Instant::now(), clear);
        let mut families = FAMILIES.map(|((name, help), value)| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(value.metric_type());
            (value, family)
        });
        for (labels, numbers) in replicas {
            let labels = labels.pairs();
            for (value, family) in &mut families {
                value.export(numbers, &labels, window, family.mut_metric());
            }
        }
        families.into_iter().map(|(_, family)| family).collect()
    }
}
