//! The numbers a runner exports: Pulsar's names, so that existing dashboards work, and ours.
//!
//! - [`names`]: every metric name and label
//! - [`summary`]: quantiles over the last minutes
//! - [`user`]: the numbers functions make themselves

pub(crate) mod names;
mod summary;
mod user;

use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry,
};

use pulselet_engine::Fault;

use crate::function::Facts;
use names::LABELS;
use summary::Summaries;
pub(crate) use summary::Summary;
pub(crate) use user::{UserMetrics, UserMetricsCollector};

/// All families, registered once for a runner.
#[derive(Clone)]
pub(crate) struct Families {
    received: IntCounterVec,
    processed: IntCounterVec,
    user_exceptions: IntCounterVec,
    system_exceptions: IntCounterVec,
    last_invocation: GaugeVec,
    latency: Summaries,
    faults: IntCounterVec,
    cold_start: HistogramVec,
    dead_letters: IntCounterVec,
    dropped: IntCounterVec,
    output_discarded: IntCounterVec,
    log_lines_dropped: IntCounterVec,
    unsettled: GaugeVec,
    cpu: CounterVec,
    pub(crate) user: UserMetricsCollector,
    cluster: String,
}

impl Families {
    pub(crate) fn register(registry: &Registry, cluster: &str) -> prometheus::Result<Self> {
        let counter = |(name, help): (&str, &str), extra: &[&str]| {
            let labels: Vec<&str> = LABELS.iter().chain(extra).copied().collect();
            let family = IntCounterVec::new(Opts::new(name, help), &labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let gauge = |(name, help): (&str, &str)| {
            let family = GaugeVec::new(Opts::new(name, help), &LABELS)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let cold_start = HistogramVec::new(
            HistogramOpts::new(names::COLD_START.0, names::COLD_START.1).buckets(names::COLD_START_BUCKETS.to_vec()),
            &LABELS,
        )?;
        registry.register(Box::new(cold_start.clone()))?;
        let cpu = CounterVec::new(Opts::new(names::CPU.0, names::CPU.1), &LABELS)?;
        registry.register(Box::new(cpu.clone()))?;
        let latency = Summaries::new(names::PROCESS_LATENCY);
        registry.register(Box::new(latency.clone()))?;
        let user = UserMetricsCollector::default();
        registry.register(Box::new(user.clone()))?;
        Ok(Self {
            received: counter(names::RECEIVED, &[])?,
            processed: counter(names::PROCESSED, &[])?,
            user_exceptions: counter(names::USER_EXCEPTIONS, &[])?,
            system_exceptions: counter(names::SYSTEM_EXCEPTIONS, &[])?,
            last_invocation: gauge(names::LAST_INVOCATION)?,
            latency,
            faults: counter(names::FAULTS, &["kind"])?,
            cold_start,
            dead_letters: counter(names::DEAD_LETTERS, &[])?,
            dropped: counter(names::DROPPED, &[])?,
            output_discarded: counter(names::OUTPUT_DISCARDED, &[])?,
            log_lines_dropped: counter(names::LOG_LINES_DROPPED, &[])?,
            unsettled: gauge(names::UNSETTLED)?,
            cpu,
            user,
            cluster: cluster.to_owned(),
        })
    }

    /// The label values of a replica, in the order of [`LABELS`].
    pub(crate) fn labels(&self, facts: &Facts) -> Vec<String> {
        let name = &facts.function.name;
        vec![
            name.tenant.clone(),
            format!("{}/{}", name.tenant, name.namespace),
            name.name.clone(),
            facts.replica.to_string(),
            self.cluster.clone(),
            name.to_string(),
        ]
    }

    /// The numbers of one replica, looked up once.
    pub(crate) fn of(&self, facts: &Facts) -> ReplicaMetrics {
        let labels = self.labels(facts);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let fault = |kind| self.faults.with_label_values(&[&labels[..], &[kind]].concat());
        ReplicaMetrics {
            received: self.received.with_label_values(&labels),
            processed: self.processed.with_label_values(&labels),
            user_exceptions: self.user_exceptions.with_label_values(&labels),
            system_exceptions: self.system_exceptions.with_label_values(&labels),
            last_invocation: self.last_invocation.with_label_values(&labels),
            latency: self.latency.of(&labels),
            faults: Fault::KINDS.map(fault),
            cold_start: self.cold_start.with_label_values(&labels),
            dead_letters: self.dead_letters.with_label_values(&labels),
            dropped: self.dropped.with_label_values(&labels),
            output_discarded: self.output_discarded.with_label_values(&labels),
            log_lines_dropped: self.log_lines_dropped.with_label_values(&labels),
            unsettled: self.unsettled.with_label_values(&labels),
            cpu: self.cpu.with_label_values(&labels),
        }
    }

    /// Takes the numbers of a replica that is gone out of the export.
    pub(crate) fn forget(&self, facts: &Facts) {
        let labels = self.labels(facts);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        for counters in [
            &self.received,
            &self.processed,
            &self.user_exceptions,
            &self.system_exceptions,
            &self.dead_letters,
            &self.dropped,
            &self.output_discarded,
            &self.log_lines_dropped,
        ] {
            counters.remove_label_values(&labels).ok();
        }
        for kind in Fault::KINDS {
            self.faults.remove_label_values(&[&labels[..], &[kind]].concat()).ok();
        }
        self.last_invocation.remove_label_values(&labels).ok();
        self.unsettled.remove_label_values(&labels).ok();
        self.cpu.remove_label_values(&labels).ok();
        self.cold_start.remove_label_values(&labels).ok();
        self.latency.forget(&labels);
    }
}

/// See [`names`] for what each means.
#[derive(Clone)]
pub(crate) struct ReplicaMetrics {
    pub(crate) received: IntCounter,
    pub(crate) processed: IntCounter,
    user_exceptions: IntCounter,
    system_exceptions: IntCounter,
    pub(crate) last_invocation: Gauge,
    pub(crate) latency: Summary,
    faults: [IntCounter; Fault::KINDS.len()],
    pub(crate) cold_start: Histogram,
    pub(crate) dead_letters: IntCounter,
    pub(crate) dropped: IntCounter,
    pub(crate) output_discarded: IntCounter,
    pub(crate) log_lines_dropped: IntCounter,
    pub(crate) unsettled: Gauge,
    cpu: Counter,
}

impl ReplicaMetrics {
    pub(crate) fn cpu(&self, time: std::time::Duration) {
        self.cpu.inc_by(time.as_secs_f64());
    }

    pub(crate) fn fault(&self, fault: &Fault) {
        match fault {
            Fault::Host(_) => self.system_exceptions.inc(),
            Fault::Guest(_) | Fault::Trap(_) | Fault::Timeout(_) => self.user_exceptions.inc(),
        }
        for (kind, counter) in Fault::KINDS.iter().zip(&self.faults) {
            if *kind == fault.kind() {
                counter.inc();
            }
        }
    }
}
