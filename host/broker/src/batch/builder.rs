use bytes::Bytes;

use super::{Messages, Outgoing};

/// Messages that are stored together, as one entry: all of them or none.
#[derive(Clone, Debug)]
pub struct Batch {
    encoded: Bytes,
    count: u32,
    is_batch: bool,
    sequence_ids: Option<(u64, u64)>,
    deliver_at: Option<u64>,
}

impl Batch {
    /// One message that is not part of a batch. Only such a one can be held back: until `deliver_at`, in milliseconds
    /// since the epoch, on subscriptions of type Shared and Key_Shared.
    pub fn single(message: &Outgoing<'_>, deliver_at: Option<u64>) -> Self {
        let mut encoded = Vec::new();
        message.put(&mut encoded);
        let sequence_ids = message.sequence_id.map(|id| (id, id));
        Self { encoded: encoded.into(), count: 1, is_batch: false, sequence_ids, deliver_at }
    }

    /// The messages, encoded.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// Takes the messages apart again.
    pub fn messages(&self) -> Messages {
        Messages::new(self.encoded.clone(), self.count)
    }

    /// How many messages; at least one.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Size of the encoded messages in bytes, without compression.
    pub fn bytes(&self) -> usize {
        self.encoded.len()
    }

    /// False for [`Batch::single`].
    pub fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// Sequence id of the first message; `None` where the producer is to count for itself.
    pub fn lowest_sequence_id(&self) -> Option<u64> {
        self.sequence_ids.map(|(lowest, _)| lowest)
    }

    /// Sequence id of the last message.
    pub fn highest_sequence_id(&self) -> Option<u64> {
        self.sequence_ids.map(|(_, highest)| highest)
    }

    /// When the message may be delivered, in milliseconds since the epoch.
    pub fn deliver_at(&self) -> Option<u64> {
        self.deliver_at
    }
}

/// Gathers messages into a [`Batch`]. One builder makes one batch after the other.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    encoded: Vec<u8>,
    count: u32,
    sequence_ids: Option<(u64, u64)>,
    /// Room to set aside for the next batch, learnt from the last one.
    room: usize,
}

impl BatchBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message. Within one batch either all messages carry a sequence id or none; see
    /// [`Outgoing::encoded_len`] for staying below a limit.
    pub fn push(&mut self, message: &Outgoing<'_>) {
        if self.encoded.capacity() == 0 {
            self.encoded.reserve(self.room);
        }
        message.put(&mut self.encoded);
        self.count += 1;
        if let Some(id) = message.sequence_id {
            let (lowest, highest) = self.sequence_ids.unwrap_or((id, id));
            self.sequence_ids = Some((lowest.min(id), highest.max(id)));
        }
    }

    /// Messages gathered so far.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes gathered so far.
    pub fn bytes(&self) -> usize {
        self.encoded.len()
    }

    /// What was gathered, or `None` if that is nothing. The builder is empty afterwards and may be used again.
    pub fn finish(&mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        self.room = self.encoded.len();
        Some(Batch {
            encoded: std::mem::take(&mut self.encoded).into(),
            count: std::mem::take(&mut self.count),
            is_batch: true,
            sequence_ids: self.sequence_ids.take(),
            deliver_at: None,
        })
    }
}
