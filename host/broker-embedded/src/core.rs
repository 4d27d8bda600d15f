use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pulselet_broker::{Error, Result};

use crate::lock;
use crate::options::Limits;
use crate::reader::ReaderQueue;
use crate::registry::Registry;
use crate::store::Store;
use crate::subscription::dispatch::Moment;
use crate::topic::Topic;
use crate::topic::log::CacheBudget;
use crate::writer::WriterQueue;

/// What the handles, the writer and the reader share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) options: Limits,
    pub(crate) store: Store,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) writer: WriterQueue,
    pub(crate) reader: ReaderQueue,
    pub(crate) cache: Arc<CacheBudget>,
    /// Numbers of topics and subscriptions: never given twice in the life of the store.
    next_id: AtomicU64,
    /// Numbers of consumers and producers of this process.
    next_user: AtomicU64,
    /// Makes the names given to producers unique across restarts.
    started_ms: u64,
}

impl Core {
    pub(crate) fn new(
        options: Limits,
        store: Store,
        registry: Registry,
        cache: Arc<CacheBudget>,
        next_id: u64,
    ) -> Self {
        Self {
            options,
            store,
            registry: Mutex::new(registry),
            writer: WriterQueue::default(),
            reader: ReaderQueue::default(),
            cache,
            next_id: AtomicU64::new(next_id),
            next_user: AtomicU64::new(1),
            started_ms: wall_ms(),
        }
    }

    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// All numbers given so far are below this one.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    pub(crate) fn new_user(&self) -> u64 {
        self.next_user.fetch_add(1, Ordering::Relaxed)
    }

    /// A name for producer number `id`.
    pub(crate) fn producer_name(&self, id: u64) -> Arc<str> {
        Arc::from(format!("embedded-{:x}-{id}", self.started_ms))
    }

    pub(crate) fn wall_ms(&self) -> u64 {
        wall_ms()
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: Instant::now(),
            wall_ms: wall_ms(),
            max_unacked_per_consumer: self.options.max_unacked_per_consumer,
            max_unacked_per_subscription: self.options.max_unacked_per_subscription,
        }
    }

    pub(crate) fn queue_topic(&self, topic: Arc<Topic>) {
        self.writer.topic(topic);
    }

    /// The registry, if the broker can be used.
    pub(crate) fn live(&self) -> Result<std::sync::MutexGuard<'_, Registry>> {
        let registry = lock(&self.registry);
        match &registry.ended {
            Some(error) => Err(error.clone()),
            None => Ok(registry),
        }
    }

    /// The store has failed: what is not saved will not be, and nothing can be done until the broker is opened again.
    pub(crate) fn fail(&self, error: &Error) {
        tracing::error!(%error, "the broker's storage failed; nothing is accepted until the broker is opened again");
        self.end(error);
        self.store.close();
    }

    /// Nothing can be done any more; what is not saved is given up.
    pub(crate) fn end(&self, error: &Error) {
        let mut registry = lock(&self.registry);
        registry.progress.fail(error);
        registry.ended.get_or_insert_with(|| error.clone());
        registry.watches.ended();
        let topics: Vec<_> = registry.topics.values().cloned().collect();
        drop(registry);
        topics.iter().for_each(|topic| topic.end(error));
        self.writer.abort();
        self.reader.stop();
    }
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
