use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Those who wait for a place for an instance, and how long they have waited so far.
pub(crate) struct Admissions {
    waiting: watch::Sender<u32>,
    waits: AtomicU64,
    waited_nanos: AtomicU64,
    timeouts: AtomicU64,
}

/// Waits until it is dropped.
pub(crate) struct Wait<'a> {
    admissions: &'a Admissions,
    since: Instant,
}

impl Admissions {
    pub(crate) fn new() -> Self {
        let waiting = watch::Sender::new(0);
        Self { waiting, waits: AtomicU64::new(0), waited_nanos: AtomicU64::new(0), timeouts: AtomicU64::new(0) }
    }

    /// Somebody begins to wait, and whoever holds an instance without need is told.
    pub(crate) fn wait(&self) -> Wait<'_> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.waiting.send_modify(|waiting| *waiting += 1);
        Wait { admissions: self, since: Instant::now() }
    }

    pub(crate) fn timed_out(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u32> {
        self.waiting.subscribe()
    }

    /// How many wait now, how many have begun to, how long they have waited, and how many in vain.
    pub(crate) fn counts(&self) -> (u32, u64, Duration, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let waited = Duration::from_nanos(count(&self.waited_nanos));
        (*self.waiting.borrow(), count(&self.waits), waited, count(&self.timeouts))
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let waited = self.since.elapsed().as_nanos();
        self.admissions.waited_nanos.fetch_add(u64::try_from(waited).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.admissions.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
