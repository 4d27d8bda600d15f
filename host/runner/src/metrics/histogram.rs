//! How observations are spread over fixed buckets. Takes memory from the first observation on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{Bucket, Histogram as HistogramProto};

use super::names::COLD_START_BUCKETS;

/// Seconds from a first message to its answer.
#[derive(Debug, Default)]
pub(crate) struct Histogram(OnceLock<Box<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// By bucket, what is in no lower one.
    counts: [AtomicU64; COLD_START_BUCKETS.len()],
    count: AtomicU64,
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(crate) fn observe(&self, seconds: f64) {
        let content = self.0.get_or_init(Box::default);
        let bucket = COLD_START_BUCKETS.iter().position(|bound| seconds <= *bound);
        if let Some(count) = bucket.and_then(|bucket| content.counts.get(bucket)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        content.count.fetch_add(1, Ordering::Relaxed);
        content.sum_nanos.fetch_add((seconds * 1e9) as u64, Ordering::Relaxed);
    }

    pub(super) fn export(&self) -> HistogramProto {
        let content = self.0.get();
        let load = |number: Option<&AtomicU64>| number.map_or(0, |number| number.load(Ordering::Relaxed));
        let mut below = 0;
        let buckets = COLD_START_BUCKETS.iter().enumerate().map(|(at, bound)| {
            below += load(content.and_then(|content| content.counts.get(at)));
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut proto = HistogramProto::default();
        proto.set_bucket(buckets.collect());
        proto.set_sample_count(load(content.map(|content| &content.count)));
        proto.set_sample_sum(load(content.map(|content| &content.sum_nanos)) as f64 / 1e9);
        proto
    }
}
