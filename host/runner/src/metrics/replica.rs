use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pulselet_engine::Fault;

use super::histogram::Histogram;
use super::summary::Summary;

/// The numbers of one replica. Any thread may change them; each change is a few nanoseconds.
pub(crate) type ReplicaMetrics = Arc<Numbers>;

/// See [`names`](super::names) for what each means.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) received: Counter,
    pub(crate) processed: Counter,
    pub(super) user_exceptions: Counter,
    pub(super) system_exceptions: Counter,
    pub(crate) last_invocation: Gauge,
    pub(crate) latency: Summary,
    pub(super) faults: [Counter; Fault::KINDS.len()],
    pub(crate) cold_start: Histogram,
    pub(crate) dead_letters: Counter,
    pub(crate) dropped: Counter,
    pub(crate) output_discarded: Counter,
    pub(crate) log_lines_dropped: Counter,
    pub(crate) unsettled: Gauge,
    pub(super) cpu_nanos: Counter,
}

impl Numbers {
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

    /// A call took this much time of a processor.
    pub(crate) fn cpu(&self, time: Duration) {
        self.cpu_nanos.inc_by(time.as_nanos() as u64);
    }
}

/// Only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn inc(&self) {
        self.inc_by(1);
    }

    pub(crate) fn inc_by(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The latest value.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}
