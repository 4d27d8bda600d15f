use std::sync::Arc;

use bytes::Bytes;

use crate::store::tables::Place;

/// One entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    /// Place in the topic.
    pub(crate) number: u64,
    pub(crate) count: u32,
    pub(crate) is_batch: bool,
    pub(crate) publish_time: u64,
    pub(crate) deliver_at: Option<u64>,
    /// Messages of the topic before this entry.
    pub(crate) messages_before: u64,
    /// Bytes of the topic before this entry.
    pub(crate) bytes_before: u64,
    /// Key_Shared slot of its first message: an entry goes to one consumer whole.
    pub(crate) slot: u16,
    pub(crate) producer: Arc<str>,
    /// The messages, encoded.
    pub(crate) payload: Bytes,
}

impl StoredEntry {
    /// The point after it.
    pub(crate) fn end(&self) -> Place {
        Place {
            entry: self.number + 1,
            message: self.messages_before + u64::from(self.count),
            byte: self.bytes_before + self.payload.len() as u64,
        }
    }
}
