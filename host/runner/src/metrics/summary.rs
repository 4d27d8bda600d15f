//! Quantiles over a sliding window of one to two minutes: two sets of buckets take turns. Buckets grow by a quarter, so
//! a quantile is at most that much off. Takes memory from the first observation on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::proto::{Quantile, Summary as SummaryProto};

/// The quantiles Pulsar Functions export.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
const TURN: Duration = Duration::from_secs(60);
/// 1 µs · 1.25^80 is a little under a minute.
const BUCKETS: usize = 80;
const SMALLEST_SECONDS: f64 = 1e-6;
const GROWTH: f64 = 1.25;

/// Durations of one replica.
#[derive(Debug, Default)]
pub(crate) struct Summary(OnceLock<Box<Content>>);

/// Both windows take every observation; the older one is exported, then cleared.
#[derive(Debug)]
struct Content {
    count: AtomicU64,
    sum_nanos: AtomicU64,
    windows: [[AtomicU64; BUCKETS]; 2],
}

impl Default for Content {
    fn default() -> Self {
        let buckets = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { count: AtomicU64::new(0), sum_nanos: AtomicU64::new(0), windows: [buckets(), buckets()] }
    }
}

impl Summary {
    /// Adds one duration. A few nanoseconds; any thread.
    pub(crate) fn observe(&self, duration: Duration) {
        let content = self.0.get_or_init(Box::default);
        content.count.fetch_add(1, Ordering::Relaxed);
        content.sum_nanos.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
        let growth = (duration.as_secs_f64() / SMALLEST_SECONDS).max(1.0).ln() / GROWTH.ln();
        for window in &content.windows {
            if let Some(bucket) = window.get((growth as usize).min(BUCKETS - 1)) {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The duration, in milliseconds, below which this share of the window lies; NaN for an empty window.
    fn quantile(&self, window: usize, share: f64) -> f64 {
        let counts: Vec<u64> = self.buckets(window).map(|bucket| bucket.load(Ordering::Relaxed)).collect();
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

    pub(super) fn clear(&self, window: usize) {
        self.buckets(window).for_each(|bucket| bucket.store(0, Ordering::Relaxed));
    }

    fn buckets(&self, window: usize) -> impl Iterator<Item = &AtomicU64> {
        self.0.get().and_then(|content| content.windows.get(window)).into_iter().flatten()
    }

    /// As the exporter wants it, with the quantiles of one window.
    pub(super) fn export(&self, window: usize) -> SummaryProto {
        let load = |number: Option<&AtomicU64>| number.map_or(0, |number| number.load(Ordering::Relaxed));
        let content = self.0.get();
        let mut proto = SummaryProto::default();
        proto.set_sample_count(load(content.map(|content| &content.count)));
        proto.set_sample_sum(load(content.map(|content| &content.sum_nanos)) as f64 / 1e6);
        let quantiles = QUANTILES.map(|share| {
            let mut quantile = Quantile::default();
            quantile.set_quantile(share);
            quantile.set_value(self.quantile(window, share));
            quantile
        });
        proto.set_quantile(quantiles.to_vec());
        proto
    }
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    /// The window exported now; the other one was cleared last.
    exported: usize,
    since: Instant,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { exported: 0, since: now }
    }

    /// The window to export now; `clear` is given the one that starts again, if it is time.
    pub(super) fn window(&mut self, now: Instant, clear: impl FnOnce(usize)) -> usize {
        if now.duration_since(self.since) >= TURN {
            clear(self.exported);
            *self = Self { exported: 1 - self.exported, since: now };
        }
        self.exported
    }
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

    #[test]
    fn windows_take_turns_of_a_minute_and_start_again_empty() {
        let (start, mut cleared) = (Instant::now(), Vec::new());
        let mut turns = Turns::new(start);
        let exported = [0, 59, 60, 119, 120]
            .map(|seconds| turns.window(start + Duration::from_secs(seconds), |window| cleared.push(window)));
        assert_eq!((exported, cleared), ([0, 0, 1, 1, 0], vec![0, 1]));
    }
}
