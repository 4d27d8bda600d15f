//! What a broker delivers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::Metadata;
use crate::topic::TopicName;

/// Place of an entry in its topic partition. Positions of one partition are ordered as the entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Ledger (a stretch of the topic).
    pub ledger: u64,
    /// Entry inside the ledger.
    pub entry: u64,
}

/// Names one message of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Place of the entry.
    pub position: Position,
    /// Partition of the topic; -1 without partitions.
    pub partition: i32,
    /// Place in the entry; -1 when the entry is a single message that was not batched.
    pub batch_index: i32,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { ledger, entry } = self.position;
        write!(f, "{ledger}:{entry}:{}", self.partition)?;
        if self.batch_index >= 0 {
            write!(f, ":{}", self.batch_index)?;
        }
        Ok(())
    }
}

/// Messages that were stored together, as delivered to one consumer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Topic partition it came from.
    pub topic: Arc<TopicName>,
    /// Its place there.
    pub position: Position,
    /// True when it was sent as a batch, even of one message; decides the form of the message ids.
    pub is_batch: bool,
    /// How often the broker has given it back. 0 on Exclusive and Failover, and lost on reconnect: see
    /// the runner's own count.
    pub redelivery_count: u32,
    /// Who sent it.
    pub producer_name: Arc<str>,
    /// When the producer sent it, in milliseconds since the epoch.
    pub publish_time: u64,
    /// Schema version the producer used.
    pub schema_version: Option<Bytes>,
    /// The messages that are still to be settled, by rising index.
    pub messages: Vec<Message>,
}

impl Entry {
    /// The id of one of the messages.
    pub fn id(&self, message: &Message) -> MessageId {
        MessageId {
            position: self.position,
            partition: self.topic.partition().map_or(-1, |p| p as i32),
            batch_index: if self.is_batch { message.index as i32 } else { -1 },
        }
    }
}

/// One message: slices of the entry's buffer.
#[derive(Clone, Debug)]
pub struct Message {
    /// Place in the entry.
    pub index: u32,
    /// Key, properties, times: read from the bytes when asked for.
    pub metadata: Metadata,
    /// What the sender sent.
    pub payload: Bytes,
}
