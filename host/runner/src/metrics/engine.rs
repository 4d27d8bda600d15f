use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use pulselet_engine::{Engine, Stats};

use super::names;
use crate::host::GuestHost;

/// The numbers of the engine, read when somebody asks for them.
pub(crate) struct EngineCollector {
    engine: Engine<GuestHost>,
    families: Vec<Family>,
}

/// What a family shows, by compiler where there is one.
type Values = fn(&Stats) -> Vec<(Option<&'static str>, f64)>;

struct Family {
    desc: Desc,
    kind: MetricType,
    values: Values,
}

impl EngineCollector {
    pub(crate) fn new(engine: Engine<GuestHost>) -> prometheus::Result<Self> {
        use MetricType::{COUNTER, GAUGE};
        let families: [((&str, &str), MetricType, Values); 13] = [
            (names::LOADED, GAUGE, |stats| vec![(None, f64::from(stats.loaded))]),
            (names::KEPT_BYTES, GAUGE, |stats| vec![(None, stats.kept_bytes as f64)]),
            (names::PLACES, GAUGE, |stats| vec![(None, f64::from(stats.places))]),
            (names::WAITING, GAUGE, |stats| vec![(None, f64::from(stats.waiting))]),
            (names::WAITS, COUNTER, |stats| vec![(None, stats.waits as f64)]),
            (names::WAITED, COUNTER, |stats| vec![(None, stats.waited.as_secs_f64())]),
            (names::WAIT_TIMEOUTS, COUNTER, |stats| vec![(None, stats.wait_timeouts as f64)]),
            (names::LOADS, COUNTER, |stats| vec![(None, stats.loads as f64)]),
            (names::EVICTIONS, COUNTER, |stats| vec![(None, stats.evictions as f64)]),
            (names::COMPILATIONS, COUNTER, |stats| {
                let (winch, cranelift) = (stats.compiled_by_winch as f64, stats.compiled_by_cranelift as f64);
                vec![(Some("winch"), winch), (Some("cranelift"), cranelift)]
            }),
            (names::REFUSED_FILES, COUNTER, |stats| vec![(None, stats.refused_files as f64)]),
            (names::REVERIFIED_FILES, COUNTER, |stats| vec![(None, stats.reverified as f64)]),
            (names::COLLECTED_BYTES, COUNTER, |stats| vec![(None, stats.collected_bytes as f64)]),
        ];
        let family = |((name, help), kind, values): ((&str, &str), MetricType, Values)| {
            let desc = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), Default::default())?;
            Ok(Family { desc, kind, values })
        };
        let families = families.into_iter().map(family).collect::<prometheus::Result<_>>()?;
        Ok(Self { engine, families })
    }
}

impl Collector for EngineCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families.iter().map(|family| &family.desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = self.engine.stats();
        self.families.iter().map(|family| family.show(&stats)).collect()
    }
}

impl Family {
    fn show(&self, stats: &Stats) -> MetricFamily {
        let mut shown = MetricFamily::default();
        shown.set_name(self.desc.fq_name.clone());
        shown.set_help(self.desc.help.clone());
        shown.set_field_type(self.kind);
        let metric = |(compiler, value): (Option<&str>, f64)| {
            let label = compiler.map(|compiler| {
                let mut label = LabelPair::default();
                label.set_name("compiler".to_owned());
                label.set_value(compiler.to_owned());
                label
            });
            let mut metric = Metric::from_label(label.into_iter().collect());
            if self.kind == MetricType::GAUGE {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            } else {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            metric
        };
        shown.set_metric((self.values)(stats).into_iter().map(metric).collect());
        shown
    }
}
