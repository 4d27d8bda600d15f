//! The numbers functions make themselves, under `pulsar_function_user_metric_` and the name the function chose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType, Summary};

use super::export::Labels;
use super::names::USER_PREFIX;

/// Most names a function may use; more are dropped, since each is a time series somebody pays for.
const MAX_NAMES: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Count(f64),
    Gauge(f64),
    Observed { count: u64, sum: f64 },
}

/// The numbers of one replica.
pub(crate) struct UserMetrics {
    labels: Labels,
    values: Mutex<BTreeMap<String, Value>>,
}

impl UserMetrics {
    pub(crate) fn count(&self, name: &str, amount: f64) {
        if amount.is_finite() && amount >= 0.0 {
            self.change(name, Value::Count(0.0), |value| {
                if let Value::Count(total) = value {
                    *total += amount;
                }
            });
        }
    }

    pub(crate) fn gauge(&self, name: &str, to: f64) {
        self.change(name, Value::Gauge(0.0), |value| {
            if let Value::Gauge(now) = value {
                *now = to;
            }
        });
    }

    pub(crate) fn observe(&self, name: &str, observation: f64) {
        self.change(name, Value::Observed { count: 0, sum: 0.0 }, |value| {
            if let Value::Observed { count, sum } = value {
                *count += 1;
                *sum += observation;
            }
        });
    }

    /// A name keeps the kind it was first used with.
    fn change(&self, name: &str, new: Value, change: impl FnOnce(&mut Value)) {
        let mut values = self.lock();
        if let Some(value) = values.get_mut(name) {
            change(value);
        } else if values.len() < MAX_NAMES && is_name(name) {
            let mut value = new;
            change(&mut value);
            values.insert(name.to_owned(), value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Exports the numbers of all replicas.
#[derive(Clone, Default)]
pub(super) struct UserMetricsCollector {
    replicas: Arc<Mutex<Vec<Arc<UserMetrics>>>>,
}

impl UserMetricsCollector {
    pub(super) fn add(&self, labels: Labels) -> Arc<UserMetrics> {
        let metrics = Arc::new(UserMetrics { labels, values: Mutex::default() });
        self.lock().push(Arc::clone(&metrics));
        metrics
    }

    pub(super) fn remove(&self, metrics: &Arc<UserMetrics>) {
        let mut replicas = self.lock();
        if let Some(at) = replicas.iter().position(|other| Arc::ptr_eq(other, metrics)) {
            replicas.swap_remove(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<UserMetrics>>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for UserMetricsCollector {
    fn desc(&self) -> Vec<&Desc> {
        // The names are not known beforehand, so nothing can be promised about them.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families: BTreeMap<(String, &'static str), MetricFamily> = BTreeMap::new();
        for replica in self.lock().iter() {
            for (name, value) in replica.lock().iter() {
                let (kind, metric_type, metric) = export(*value, &replica.labels);
                let family = families.entry((format!("{USER_PREFIX}{name}"), kind)).or_default();
                family.set_name(format!("{USER_PREFIX}{name}"));
                family.set_help("Made by the function itself.".to_owned());
                family.set_field_type(metric_type);
                family.mut_metric().push(metric);
            }
        }
        families.into_values().collect()
    }
}

fn export(value: Value, labels: &Labels) -> (&'static str, MetricType, Metric) {
    let mut metric = Metric::default();
    metric.set_label(labels.pairs());
    match value {
        Value::Count(total) => {
            let mut counter = Counter::default();
            counter.set_value(total);
            metric.set_counter(counter);
            ("counter", MetricType::COUNTER, metric)
        }
        Value::Gauge(now) => {
            let mut gauge = Gauge::default();
            gauge.set_value(now);
            metric.set_gauge(gauge);
            ("gauge", MetricType::GAUGE, metric)
        }
        Value::Observed { count, sum } => {
            let mut summary = Summary::default();
            summary.set_sample_count(count);
            summary.set_sample_sum(sum);
            metric.set_summary(summary);
            ("summary", MetricType::SUMMARY, metric)
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn functions_numbers_are_exported_under_their_own_names_and_bounded() {
        let registry = Registry::new();
        let collector = UserMetricsCollector::default();
        registry.register(Box::new(collector.clone())).unwrap();
        let metrics = collector.add(Labels { facts: super::super::tests::facts(), cluster: Arc::from("c") });
        metrics.count("words", 2.0);
        metrics.count("words", 3.0);
        metrics.count("words", f64::NAN);
        metrics.gauge("words", 9.0);
        metrics.observe("size", 4.0);
        metrics.count("bad name", 1.0);
        for n in 0..200 {
            metrics.count(&format!("n{n}"), 1.0);
        }
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let labels = r#"cluster="c",fqfn="t/n/f",instance_id="0",name="f",namespace="t/n",tenant="t""#;
        assert!(text.contains(&format!("pulsar_function_user_metric_words{{{labels}}} 5")), "{text}");
        assert!(text.contains("pulsar_function_user_metric_size_sum"), "{text}");
        assert!(!text.contains("bad name"));
        assert_eq!(metrics.lock().len(), MAX_NAMES);
    }
}
