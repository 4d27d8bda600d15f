//! What travels between client and server: JSON, and for streams one JSON value a line.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pulselet_broker::{Entry, Message};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// Most partitions of a topic: making them is one step, in memory and on disk.
pub(crate) const MAX_PARTITIONS: u32 = 10_000;

/// Longest line, in bytes: the largest message of a broker, its payload in base64, and some room.
pub(crate) const MAX_LINE_BYTES: usize = 16 << 20;

/// How a function is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionState {
    pub(crate) function: String,
    /// `live`, `loaded`, `assigned` or `paused`.
    pub(crate) state: String,
    pub(crate) digest: String,
    /// Who compiled what runs.
    pub(crate) tier: Option<String>,
    pub(crate) replicas: u32,
    pub(crate) ready: u32,
    pub(crate) instances: u32,
    pub(crate) loaded_bytes: u64,
    pub(crate) code_bytes: u64,
    pub(crate) loads: u64,
    pub(crate) processed: u64,
    pub(crate) failed: u64,
    pub(crate) unsettled: u64,
    pub(crate) cold_starts: u64,
    pub(crate) last_cold_start_seconds: Option<f64>,
    /// What troubles a replica, the latest only.
    pub(crate) reason: Option<String>,
    pub(crate) conditions: Vec<FunctionCondition>,
}

/// Something that should be known of a function, as Kubernetes has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Milliseconds since the epoch.
    pub(crate) since: u64,
}

/// A declaration for functions that run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Update {
    /// The whole path of its file: what it names starts there.
    pub(crate) source: PathBuf,
    pub(crate) text: String,
}

/// Which function goes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rollback {
    pub(crate) function: String,
}

/// What became of a function that was to be changed: an outcome, or why not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changed {
    pub(crate) function: String,
    /// `unchanged`, `swapped` or `restarted`.
    pub(crate) outcome: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) error: Option<String>,
    /// The stable code of the error, if it has one.
    pub(crate) code: Option<String>,
}

/// A topic, to be made or found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Topic {
    pub(crate) topic: String,
    /// None for a topic without partitions.
    pub(crate) partitions: Option<u32>,
}

/// Which topics, by a pattern.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TopicsQuery {
    pub(crate) pattern: String,
}

/// Which topic.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TopicQuery {
    pub(crate) topic: String,
}

/// Which subscription.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SubscriptionQuery {
    pub(crate) topic: String,
    pub(crate) subscription: String,
}

/// A subscription to be made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewSubscription {
    pub(crate) topic: String,
    pub(crate) subscription: String,
    pub(crate) from: From,
}

/// Where a new subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    /// With the oldest message kept
    Earliest,
    /// With the next message
    Latest,
}

/// Where a subscription stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subscription {
    pub(crate) topic: String,
    pub(crate) subscription: String,
    pub(crate) backlog: u64,
    pub(crate) unacked: u64,
    pub(crate) consumers: u32,
}

/// A cursor to be moved.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Seek {
    pub(crate) topic: String,
    pub(crate) subscription: String,
    pub(crate) to: SeekTo,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SeekTo {
    Earliest,
    Latest,
    /// `ledger:entry:partition[:batch index]`.
    MessageId(String),
    /// Milliseconds since the epoch.
    PublishTime(u64),
}

/// A message to be sent.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewMessage {
    pub(crate) payload: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) properties: Vec<(String, String)>,
}

/// What became of a message, in the order they were sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Sent {
    /// It is stored, durably.
    Id(String),
    /// It is not stored; the text says why.
    Refused(String),
}

/// How to read.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConsumeQuery {
    pub(crate) topic: String,
    /// Without one nothing is acknowledged, and nothing is left behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subscription: Option<String>,
    pub(crate) from: From,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// Go on when all that is there has been read.
    pub(crate) follow: bool,
}

/// What a reader is sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Read {
    Message(Box<ReadMessage>),
    /// There is no more; what was asked for has been sent.
    End,
    /// Reading has failed; the text says why.
    Failed(String),
}

/// A message with all that came with it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadMessage {
    pub(crate) topic: String,
    pub(crate) message_id: String,
    pub(crate) payload: Bytes,
    pub(crate) is_null: bool,
    pub(crate) key: Option<Bytes>,
    pub(crate) ordering_key: Option<Bytes>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) event_time: Option<u64>,
    pub(crate) publish_time: u64,
    pub(crate) producer_name: String,
    pub(crate) sequence_id: Option<u64>,
    pub(crate) redelivery_count: u32,
}

impl ReadMessage {
    pub(crate) fn new(entry: &Entry, message: &Message) -> Self {
        let metadata = &message.metadata;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            topic: entry.topic.as_str().to_owned(),
            message_id: entry.id(message).to_string(),
            payload: Bytes(message.payload.to_vec()),
            is_null: metadata.is_null(),
            key: metadata.key_bytes().map(|key| Bytes(key.into_owned())),
            ordering_key: metadata.ordering_key().map(|key| Bytes(key.to_vec())),
            properties: metadata.properties().map(owned).collect(),
            event_time: metadata.event_time(),
            publish_time: entry.publish_time,
            producer_name: entry.producer_name.to_string(),
            sequence_id: metadata.sequence_id(),
            redelivery_count: entry.redelivery_count,
        }
    }

    /// For programs. Bytes that are text come as text.
    pub(crate) fn into_json(self) -> Value {
        let properties: serde_json::Map<String, Value> =
            self.properties.into_iter().map(|(name, value)| (name, value.into())).collect();
        let mut object = json!({
            "messageId": self.message_id,
            "topic": self.topic,
            "properties": properties,
            "eventTime": self.event_time,
            "publishTime": self.publish_time,
            "producerName": self.producer_name,
            "sequenceId": self.sequence_id,
            "redeliveryCount": self.redelivery_count,
            "isNull": self.is_null,
        });
        for (name, bytes) in [("payload", Some(self.payload)), ("key", self.key), ("orderingKey", self.ordering_key)] {
            let (name, value) = match bytes.map(|Bytes(bytes)| String::from_utf8(bytes)) {
                Some(Ok(text)) => (name.to_owned(), text.into()),
                Some(Err(binary)) => (format!("{name}Base64"), json!(Bytes(binary.into_bytes()))),
                None => (name.to_owned(), Value::Null),
            };
            object.as_object_mut().into_iter().for_each(|object| drop(object.insert(name.clone(), value.clone())));
        }
        object
    }
}

/// Why a request failed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) error: String,
}

/// Bytes that travel as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A value as a line.
pub(crate) fn line<T: Serialize>(value: &T) -> serde_json::Result<bytes::Bytes> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line.into())
}
