//! What the test kit and `pulselet harness` say to each other: one JSON value a line. `HARNESS.md` beside this crate's
//! manifest says who says what when, and what each side promises.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The protocol that these types are.
pub const VERSION: u32 = 1;

/// First line of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Greeting {
    /// The component is loaded.
    Ready {
        /// [`VERSION`] of the program.
        protocol: u32,
        /// What the component exports.
        world: World,
    },
    /// The component cannot be called; the program ends.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// What a component exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// One message a call.
    Function,
    /// Many messages a call.
    BatchFunction,
}

/// A line of the test: call the function with these messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// At least one; a `function` gets them one by one, a `batch-function` all at once.
    pub messages: Vec<Message>,
    /// Who the function is to be.
    pub identity: Identity,
    /// Topics it was declared to read.
    pub inputs: Vec<String>,
    /// Topic that answers would go to.
    pub output: Option<String>,
    /// User configuration, already text as `wasi:config/store` gives it.
    pub config: BTreeMap<String, String>,
    /// Secrets.
    pub secrets: BTreeMap<String, Bytes>,
}

/// Who the function is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Pulsar tenant.
    pub tenant: String,
    /// Namespace without the tenant.
    pub namespace: String,
    /// Name of the function.
    pub name: String,
    /// Ordinal of the replica.
    pub replica: u32,
    /// Declared replicas.
    pub replicas: u32,
}

/// A message for the function. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Its value.
    pub payload: Bytes,
    /// Where it came from.
    pub topic: String,
    /// Its id.
    pub message_id: MessageId,
    /// Its key, decoded.
    pub key: Option<Bytes>,
    /// Its ordering key.
    pub ordering_key: Option<Bytes>,
    /// Its properties, in the sender's order.
    pub properties: Vec<(String, String)>,
    /// When the event happened.
    pub event_time: Option<u64>,
    /// When it was sent.
    pub publish_time: u64,
    /// Who sent it.
    pub producer_name: String,
    /// With which sequence id.
    pub sequence_id: u64,
    /// Attempts before this one.
    pub redelivery_count: u32,
    /// Schema version.
    pub schema_version: Option<Bytes>,
    /// Whether it has no value at all.
    pub is_null: bool,
}

/// Names a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageId {
    /// Ledger.
    pub ledger: u64,
    /// Entry of the ledger.
    pub entry: u64,
    /// Partition, or -1.
    pub partition: i32,
    /// Place in a batch entry, or -1.
    pub batch_index: i32,
}

/// The program's answer to each [`Call`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// The function was called.
    Called(Report),
    /// It was not: the line was not understood, or the host failed.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// What came of a [`Call`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One for each message, in their order.
    pub results: Vec<CallResult>,
    /// What would be sent, in the function's order.
    pub published: Vec<Published>,
    /// Lines logged.
    pub logs: Vec<LogLine>,
    /// Numbers reported, in the function's order.
    pub metrics: Vec<Metric>,
    /// Messages settled by hand, in the function's order.
    pub settled: Vec<Settled>,
}

/// What came of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CallResult {
    /// The function returned.
    Ok {
        /// Its answer, if there was one.
        answer: Option<Bytes>,
    },
    /// The function asked for another attempt.
    Retry {
        /// Why.
        reason: String,
        /// After how many milliseconds.
        delay: Option<u64>,
    },
    /// The function can never handle it.
    Reject {
        /// Why.
        reason: String,
    },
    /// The function can handle nothing.
    Fatal {
        /// Why.
        reason: String,
    },
    /// The function broke off.
    Trap {
        /// What the host saw.
        reason: String,
    },
    /// The function took too long.
    Timeout {
        /// How long it may take.
        reason: String,
    },
}

/// A message put out by the function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Place in the call of the message it belongs to.
    pub index: u32,
    /// Topic, as the function wrote it.
    pub topic: String,
    /// Value.
    pub payload: Bytes,
    /// Routing key.
    pub key: Option<String>,
    /// Properties, in the function's order.
    pub properties: Vec<(String, String)>,
    /// Event time in milliseconds since the epoch.
    pub event_time: Option<u64>,
    /// Milliseconds to hold it back.
    pub delay: Option<u64>,
    /// Whether it went through `publish-now`.
    pub now: bool,
}

/// A line logged through `wasi:logging`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How grave.
    pub level: LogLevel,
    /// Where in the function: for Rust, the target of the record.
    pub context: String,
    /// The line.
    pub text: String,
}

/// Levels of `wasi:logging`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say all")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// One call of the `metrics` interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Which function of it.
    pub kind: MetricKind,
    /// Name of the number.
    pub name: String,
    /// Amount or value.
    pub value: f64,
}

/// Kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as in the contract")]
pub enum MetricKind {
    Count,
    Gauge,
    Observe,
}

/// A message settled by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Which.
    pub message_id: MessageId,
    /// How.
    pub how: Settlement,
}

/// How a message was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Settlement {
    /// Done.
    Ack,
    /// Given back.
    Nack {
        /// For how many milliseconds at least.
        delay: Option<u64>,
    },
}

/// Bytes, in base64 with padding on the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(|error| de::Error::custom(format!("not base64: {error}")))
    }
}
