use std::path::PathBuf;
use std::time::Duration;

use redb::StorageBackend;

/// How to open an [`EmbeddedBroker`](crate::EmbeddedBroker).
#[derive(Debug)]
pub struct Options {
    /// Where everything is kept.
    pub storage: Storage,
    /// Largest entry, in bytes of its encoded messages. Default: 5 MiB, as with Pulsar.
    pub max_entry_bytes: usize,
    /// What is kept besides what subscriptions still need.
    pub retention: Retention,
    /// Whether batches are dropped whose sequence ids were stored already. Default: yes.
    pub deduplication: bool,
    /// Bytes of entries that all topics together keep in memory, so that consumers that keep up need not read the
    /// store. What is not durable yet comes on top. Default: 64 MiB.
    pub cache_bytes: usize,
    /// Bytes that the database keeps in memory. Default: 64 MiB.
    pub page_cache_bytes: usize,
    /// Bytes of one producer that may wait to become durable. A batch that would go over is refused, and so is
    /// everything after it until the producer is opened again, which keeps the order. Default: 64 MiB.
    pub producer_queue_bytes: usize,
    /// Messages that one consumer of a Shared or Key_Shared subscription may hold without acknowledging them; it gets
    /// more when it is down to half. Default: 50,000, as with Pulsar.
    pub max_unacked_per_consumer: u32,
    /// The same for all consumers of a subscription together. Default: 200,000, as with Pulsar.
    pub max_unacked_per_subscription: u32,
    #[cfg(test)]
    pub(crate) mutant: Option<Mutant>,
}

/// A rule that is broken on purpose, to see the crash tests notice.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    ReceiptBeforeCommit,
    CommitWithoutSync,
    AcksNotSaved,
    TrimUnacked,
}

/// Where a broker keeps everything.
#[derive(Debug)]
pub enum Storage {
    /// In a folder, durably. It is made if it does not exist.
    Folder(PathBuf),
    /// In memory: gone with the broker.
    Ephemeral,
    /// In a backend of the database's own kind: to test what happens when the storage fails.
    Backend(Box<dyn StorageBackend>),
}

/// What is kept besides what subscriptions still need. It is looked at when something changes in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long messages are kept that every subscription has acknowledged. They are kept while both this and
    /// [`Retention::acked_bytes`] allow it. Default: 0, so that they are removed at once, as with Pulsar.
    pub acked_time: Duration,
    /// How many bytes of such messages are kept in a topic. Default: 0.
    pub acked_bytes: u64,
    /// How many bytes are kept in a topic that has no subscription; the oldest entries go first. Pulsar keeps nothing
    /// there. Default: 1 GiB, so that an output topic can be read after the fact.
    pub unsubscribed_bytes: u64,
}

impl Options {
    /// The defaults, with this storage.
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            max_entry_bytes: 5 << 20,
            retention: Retention::default(),
            deduplication: true,
            cache_bytes: 64 << 20,
            page_cache_bytes: 64 << 20,
            producer_queue_bytes: 64 << 20,
            max_unacked_per_consumer: 50_000,
            max_unacked_per_subscription: 200_000,
            #[cfg(test)]
            mutant: None,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_entry_bytes: self.max_entry_bytes.min(i32::MAX as usize),
            retention: self.retention.clone(),
            deduplication: self.deduplication,
            producer_queue_bytes: self.producer_queue_bytes,
            max_unacked_per_consumer: u64::from(self.max_unacked_per_consumer),
            max_unacked_per_subscription: u64::from(self.max_unacked_per_subscription),
            #[cfg(test)]
            mutant: self.mutant,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { acked_time: Duration::ZERO, acked_bytes: 0, unsubscribed_bytes: 1 << 30 }
    }
}

impl Retention {
    pub(crate) fn keeps_acked(&self) -> bool {
        !self.acked_time.is_zero() && self.acked_bytes > 0
    }

    pub(crate) fn acked_ms(&self) -> u64 {
        u64::try_from(self.acked_time.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The options that matter after opening.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) max_entry_bytes: usize,
    pub(crate) retention: Retention,
    pub(crate) deduplication: bool,
    pub(crate) producer_queue_bytes: usize,
    pub(crate) max_unacked_per_consumer: u64,
    pub(crate) max_unacked_per_subscription: u64,
    #[cfg(test)]
    pub(crate) mutant: Option<Mutant>,
}

#[cfg(test)]
impl Limits {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
