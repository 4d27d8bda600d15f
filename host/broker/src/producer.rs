use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::batch::Batch;
use crate::topic::TopicName;
use crate::{Position, Result};

/// How to open a producer.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// A topic without partitions, or one partition.
    pub topic: TopicName,
    /// A name makes the producer the same one across restarts, so that the broker can drop what it has stored already;
    /// the broker makes a name up when there is none.
    pub name: Option<String>,
    /// Make this subscription when the topic is created by this producer, so that nothing is trimmed before somebody
    /// reads it (dead letters).
    pub initial_subscription: Option<String>,
}

/// What a broker says once an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Durable at this position.
    At(Position),
    /// The sequence id was known: stored earlier, not again.
    Duplicate,
}

/// The confirmation of one batch.
pub type Receipt = BoxFuture<'static, Result<Stored>>;

/// An open producer.
#[async_trait]
pub trait Producer: Send + Sync {
    /// Its name, given or made up by the broker.
    fn name(&self) -> &str;

    /// The highest sequence id the broker knows of this name, if deduplication is on.
    fn last_sequence_id(&self) -> Option<u64>;

    /// Largest entry the broker takes, in bytes of its encoded messages.
    fn max_entry_bytes(&self) -> usize;

    /// Sends the messages of `batch` as one entry: all of them are stored or none. Batches are stored in the order of
    /// the calls. Returns at once; the receipt comes when the entry is durable.
    ///
    /// With deduplication, a batch whose highest sequence id is not above the last one stored is dropped whole and
    /// answered with [`Stored::Duplicate`]; so is one that only overlaps (Pulsar does the same): a batch that is sent
    /// again must keep its boundaries.
    ///
    /// A batch without sequence ids gets the next ones after the highest that this producer has sent.
    ///
    /// The receipt fails with [`Error::TooLarge`](crate::Error::TooLarge), which concerns this batch alone, or with an
    /// error after which nothing more is stored by this producer, so that no batch overtakes another:
    /// [`Error::QueueFull`](crate::Error::QueueFull) when more is under way than the broker holds for one producer,
    /// [`Error::Storage`](crate::Error::Storage), [`Error::Closed`](crate::Error::Closed),
    /// [`Error::TopicNotFound`](crate::Error::TopicNotFound).
    fn send(&self, batch: Batch) -> Receipt;

    /// Waits for what is under way, then closes.
    async fn close(&self) -> Result<()>;
}
