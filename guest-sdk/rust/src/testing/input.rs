use std::time::{SystemTime, UNIX_EPOCH};

use super::{Failure, Harness, Outcome};
use crate::MessageId;
use crate::host::Incoming;
use crate::message::millis;

/// A message for the function, from [`Harness::message`] or [`message`].
///
/// What a test does not set is as for the first delivery of a plain message: topic
/// `persistent://public/default/in`, ids that count up from 0 in the order of the harness, publish time 1970, producer
/// `test`.
#[derive(Debug)]
#[must_use = "a message does nothing before `call`"]
pub struct Input<To = ()> {
    to: To,
    pub(super) message_id: Option<MessageId>,
    pub(super) sequence_id: Option<u64>,
    pub(super) incoming: Incoming,
}

/// A message for [`Harness::batch`]; text and bytes turn into one by themselves.
pub fn message(payload: impl Into<Vec<u8>>) -> Input {
    Input::new((), payload.into())
}

impl<To> Input<To> {
    pub(super) fn new(to: To, payload: Vec<u8>) -> Self {
        let incoming = Incoming {
            payload,
            topic: "persistent://public/default/in".into(),
            message_id: MessageId { ledger: 0, entry: 0, partition: -1, batch_index: -1 },
            key: None,
            ordering_key: None,
            properties: Vec::new(),
            event_time: None,
            publish_time: 0,
            producer_name: "test".into(),
            sequence_id: 0,
            redelivery_count: 0,
            schema_version: None,
            is_null: false,
        };
        Self { to, message_id: None, sequence_id: None, incoming }
    }

    /// Its key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.incoming.key = Some(key.into());
        self
    }

    /// Its ordering key.
    pub fn ordering_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.incoming.ordering_key = Some(key.into());
        self
    }

    /// Adds a property.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.incoming.properties.push((name.into(), value.into()));
        self
    }

    /// The full name of the topic it comes from.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.incoming.topic = topic.into();
        self
    }

    /// Its id.
    pub fn message_id(mut self, id: MessageId) -> Self {
        self.message_id = Some(id);
        self
    }

    /// When its event happened.
    pub fn event_time(mut self, time: SystemTime) -> Self {
        self.incoming.event_time = Some(since_epoch(time));
        self
    }

    /// When it was sent.
    pub fn publish_time(mut self, time: SystemTime) -> Self {
        self.incoming.publish_time = since_epoch(time);
        self
    }

    /// Who sent it.
    pub fn producer_name(mut self, name: impl Into<String>) -> Self {
        self.incoming.producer_name = name.into();
        self
    }

    /// The sequence id it was sent with.
    pub fn sequence_id(mut self, id: u64) -> Self {
        self.sequence_id = Some(id);
        self
    }

    /// How many attempts were made before.
    pub fn redelivery_count(mut self, count: u32) -> Self {
        self.incoming.redelivery_count = count;
        self
    }

    /// The schema version its producer used.
    pub fn schema_version(mut self, version: impl Into<Vec<u8>>) -> Self {
        self.incoming.schema_version = Some(version.into());
        self
    }

    /// Makes it a message without value, which is not the same as an empty one.
    pub fn null(mut self) -> Self {
        self.incoming.payload.clear();
        self.incoming.is_null = true;
        self
    }
}

impl Input<&mut Harness> {
    /// Calls the function with this message.
    ///
    /// # Errors
    /// The function failed, or could not be called.
    pub fn call(self) -> Result<Outcome, Failure> {
        let Self { to, message_id, sequence_id, incoming } = self;
        to.call_one(Input { to: (), message_id, sequence_id, incoming })
    }
}

impl<P: Into<Vec<u8>>> From<P> for Input {
    fn from(payload: P) -> Self {
        message(payload)
    }
}

fn since_epoch(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}
