use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::entry::StoredEntry;
use crate::store::tables::Place;

/// The entries of a topic: where they begin and end, which of them are durable, and the newest ones themselves, so that
/// a consumer that keeps up never reads the store.
#[derive(Debug)]
pub(crate) struct Log {
    /// Where the kept entries begin.
    first: Place,
    /// Before this everything is durable.
    durable: Place,
    /// Where the next entry goes.
    end: Place,
    /// First entry that the writer has not been given.
    unwritten: u64,
    /// The entries up to `end`; all that are not durable are among them.
    cache: VecDeque<Arc<StoredEntry>>,
    budget: Arc<CacheBudget>,
}

/// Bytes of durable entries that all topics together keep in memory.
#[derive(Debug)]
pub(crate) struct CacheBudget {
    used: AtomicUsize,
    limit: usize,
}

impl CacheBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    fn is_over(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }
}

impl Log {
    pub(crate) fn new(first: Place, end: Place, budget: Arc<CacheBudget>) -> Self {
        Self { first, durable: end, end, unwritten: end.entry, cache: VecDeque::new(), budget }
    }

    pub(crate) fn first(&self) -> Place {
        self.first
    }

    pub(crate) fn durable(&self) -> Place {
        self.durable
    }

    pub(crate) fn end(&self) -> Place {
        self.end
    }

    /// Adds an entry, which must start at [`Log::end`].
    pub(crate) fn push(&mut self, entry: StoredEntry) {
        debug_assert_eq!(entry.number, self.end.entry);
        self.end = entry.end();
        self.budget.used.fetch_add(entry.payload.len(), Ordering::Relaxed);
        self.cache.push_back(Arc::new(entry));
    }

    /// An entry that is in memory, durable or not.
    pub(crate) fn cached(&self, number: u64) -> Option<&Arc<StoredEntry>> {
        let from = self.end.entry - self.cache.len() as u64;
        self.cache.get(number.checked_sub(from)? as usize)
    }

    /// The entries to be written next.
    pub(crate) fn take_unwritten(&mut self) -> Vec<Arc<StoredEntry>> {
        let count = (self.end.entry - self.unwritten) as usize;
        self.unwritten = self.end.entry;
        self.cache.iter().skip(self.cache.len().saturating_sub(count)).cloned().collect()
    }

    /// What was written is durable.
    pub(crate) fn written(&mut self, last: &StoredEntry) {
        self.durable = last.end();
    }

    /// The entries before `first` are going to be removed.
    pub(crate) fn trim(&mut self, first: Place) {
        if first.entry > self.first.entry {
            self.first = first;
        }
    }

    /// Lets go of durable entries that nobody will ask for soon: those before `wanted`, and more while all topics
    /// together hold too much.
    pub(crate) fn evict(&mut self, wanted: u64) {
        while let Some(oldest) = self.cache.front() {
            let durable = oldest.number < self.durable.entry;
            if !durable || oldest.number >= wanted && !self.budget.is_over() {
                return;
            }
            self.budget.used.fetch_sub(oldest.payload.len(), Ordering::Relaxed);
            self.cache.pop_front();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let held: usize = self.cache.iter().map(|entry| entry.payload.len()).sum();
        self.budget.used.fetch_sub(held, Ordering::Relaxed);
    }
}
