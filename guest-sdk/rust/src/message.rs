use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Error, IntoPayload};

/// A message to be published.
///
/// Text and bytes turn into one by themselves, so `ctx.publish("words", word)` needs no builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub(crate) payload: Vec<u8>,
    pub(crate) key: Option<String>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) event_time: Option<u64>,
    pub(crate) delay: Option<u64>,
}

impl Message {
    /// A message of these bytes, without key or properties.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// A message of anything a function can answer with, such as [`Json`](crate::Json).
    ///
    /// # Errors
    /// What the value says when it cannot be written.
    pub fn of(value: impl IntoPayload) -> Result<Self, Error> {
        value.into_payload().map(Self::new)
    }

    /// Routing key: messages with equal keys go to the same partition and, under Key_Shared, to the same consumer.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds a property; it is carried unchanged to whoever reads the message.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// When the event happened that the message tells of, to the millisecond; times before 1970 count as 1970.
    #[must_use]
    pub fn event_time(mut self, time: SystemTime) -> Self {
        self.event_time = Some(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()));
        self
    }

    /// Holds the message back for this long, to the millisecond. Only Shared and Key_Shared subscriptions honour it.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(millis(delay));
        self
    }
}

impl<T: Into<Vec<u8>>> From<T> for Message {
    fn from(payload: T) -> Self {
        Self::new(payload)
    }
}

/// Whole milliseconds, as the contract counts; longer than 500 million years counts as that.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn at_millis(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// Names one message of one topic, as Pulsar does. Written `ledger:entry:partition:batch-index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// Ledger that holds it.
    pub ledger: u64,
    /// Entry of the ledger.
    pub entry: u64,
    /// Partition of the topic it came from; -1 when the topic has none.
    pub partition: i32,
    /// Place inside a batch entry; -1 when it was not sent in a batch.
    pub batch_index: i32,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.ledger, self.entry, self.partition, self.batch_index)
    }
}

/// Why a message was not taken. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The declaration does not allow this topic (`spec.publish`).
    Denied(String),
    /// Not a topic name: the text says which rule it breaks.
    InvalidTopic(String),
    /// The message is larger than the broker or the function's limit allows.
    TooLarge(String),
    /// The call has already put out as many messages or bytes as the function may (`spec.limits`).
    TooMany(String),
    /// The broker refused or lost the message. Only [`Context::publish_now`](crate::Context::publish_now) returns this.
    Broker(String),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rule, text) = match self {
            Self::Denied(text) => ("topic is not declared under publish", text),
            Self::InvalidTopic(text) => ("not a topic name", text),
            Self::TooLarge(text) => ("message is too large", text),
            Self::TooMany(text) => ("call puts out too much", text),
            Self::Broker(text) => ("broker did not take the message", text),
        };
        write!(f, "publish: {rule}: {text}")
    }
}

impl std::error::Error for PublishError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_the_contract_are_brought_to_its_ends() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Message::new("x").event_time(before).event_time, Some(0));
        assert_eq!(Message::new("x").delay(Duration::MAX).delay, Some(u64::MAX));
    }

    #[test]
    fn a_message_id_reads_as_pulsars_tools_write_it() {
        let id = MessageId { ledger: 12, entry: 3, partition: -1, batch_index: 0 };
        assert_eq!(id.to_string(), "12:3:-1:0");
    }
}
