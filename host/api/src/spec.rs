//! The fields of `spec`. The comments of fields are what users read, in the JSON Schema and in the reference.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// Values of fields that are left out.
pub mod default {
    /// `spec.tenant`.
    pub const TENANT: &str = "public";
    /// `spec.namespace`.
    pub const NAMESPACE: &str = "default";
    /// `spec.timeout`, in milliseconds.
    pub const TIMEOUT_MS: u32 = 30_000;
    /// `spec.batch.maxMessages`.
    pub const BATCH_MESSAGES: u32 = 100;
    /// `spec.wasm.idleTimeout`, in milliseconds.
    pub const IDLE_TIMEOUT_MS: u32 = 60_000;
    /// `spec.limits.memory`.
    pub const MEMORY: &str = "64Mi";
    /// `spec.limits.tableElements`.
    pub const TABLE_ELEMENTS: u32 = 20_000;
    /// `spec.limits.outputMessages`.
    pub const OUTPUT_MESSAGES: u32 = 10_000;
    /// `spec.limits.outputBytes`.
    pub const OUTPUT_BYTES: &str = "16Mi";
    /// `spec.limits.logLinesPerSecond`.
    pub const LOG_LINES_PER_SECOND: u32 = 1_000;
    /// `spec.retry.backoffMs`.
    pub const BACKOFF_MS: u32 = 1_000;
    /// `spec.retry.maxBackoffMs`.
    pub const MAX_BACKOFF_MS: u32 = 60_000;
    /// `spec.retry.heldMessages`.
    pub const HELD_MESSAGES: u32 = 1_000;
    /// `spec.retry.heldBytes`.
    pub const HELD_BYTES: &str = "64Mi";
}

/// What a function does. Fields have the names they have in Function Mesh where they mean the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FunctionSpec {
    /// Pulsar tenant of the function, and of topics that are named without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = default::TENANT))]
    pub tenant: Option<String>,
    /// Pulsar namespace of the function, and of topics that are named without one; without the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = default::NAMESPACE))]
    pub namespace: Option<String>,
    /// The component that runs.
    pub wasm: Wasm,
    /// What it reads.
    pub input: Input,
    /// Where its answers go; without it, answers are discarded and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// Further topics it may publish to: names, or patterns `[persistent://]tenant/namespace/regex` that match whole
    /// names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<String>,
    /// Topic that its log lines go to, besides the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_topic: Option<String>,
    /// Configuration of the function's own: strings reach it as they are, everything else as JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub func_config: BTreeMap<String, serde_json::Value>,
    /// Secrets it may read, by the names it uses for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets_map: BTreeMap<String, Secret>,

    /// What an acknowledged message stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "atleast_once"))]
    pub processing_guarantee: Option<ProcessingGuarantee>,
    /// Keep the order of each partition; one replica at a time reads it. Excludes `retainKeyOrdering`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub retain_ordering: Option<bool>,
    /// Keep the order of each key; replicas share the keys. Excludes `retainOrdering`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub retain_key_ordering: Option<bool>,
    /// Longest time that one call may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000), extend("default" = default::TIMEOUT_MS))]
    pub timeout: Option<u32>,
    /// Attempts after the first one, before a message goes to the dead letter topic. Without it a message is tried until
    /// it succeeds, and one that is rejected is acknowledged and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub max_message_retry: Option<u32>,
    /// Topic for messages that are rejected or out of attempts; needs `maxMessageRetry`. It is named
    /// `<input>-<subscription>-DLQ` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_topic: Option<String>,
    /// Topic in which failed messages wait for their next attempt, instead of in place; the function reads it too. Not
    /// with `retainOrdering` or `retainKeyOrdering`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_topic: Option<String>,
    /// How failed messages are tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Whether answers carry the properties of the message they answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub forward_source_message_property: Option<bool>,

    /// Name of the subscription; `tenant/namespace/name` of the function when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_name: Option<String>,
    /// Where a subscription starts that does not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "latest"))]
    pub subscription_position: Option<SubscriptionPosition>,
    /// Skip what is unread whenever the function starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub skip_to_latest: Option<bool>,
    /// Remove the subscription, and with it what is unread, when the function is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub cleanup_subscription: Option<bool>,

    /// How many replicas run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000), extend("default" = 1))]
    pub replicas: Option<u32>,
    /// Calls under way at the same time in one replica, each in an instance of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000), extend("default" = 1))]
    pub concurrency: Option<u32>,
    /// How messages are put together for a component of the world `batch-function`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// What it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// When a new component is taken back; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Declared, but not to be run now; its subscription keeps what arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub paused: Option<bool>,
}

/// A component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wasm {
    /// Path of the `.wasm` file, relative to the folder of the declaration, or an `http://` or `https://` address.
    pub location: String,
    /// What its bytes must hash to: `sha256:` and 64 hexadecimal digits. An address needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What it must export; inferred when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<World>,
    /// Whether an instance serves more than one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Instance"))]
    pub reuse: Option<Reuse>,
    /// How long an instance stays that has nothing to do, in milliseconds. The next message then gets a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400_000), extend("default" = default::IDLE_TIMEOUT_MS))]
    pub idle_timeout: Option<u32>,
    /// Instances of each replica that are made at its start and stay though they have nothing to do; at most
    /// `spec.concurrency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000), extend("default" = 0))]
    pub warm_instances: Option<u32>,
}

/// When a new component is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// After an update, the component before is put back when so many calls have failed (an error, a trap, a time-out)
    /// within the first 1,000 messages.
    #[schemars(range(min = 1, max = 1_000))]
    pub on_errors: u32,
}

/// Worlds a component may be written against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// One message a call.
    Function,
    /// Many messages a call.
    BatchFunction,
}

/// Whether an instance serves more than one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reuse {
    /// It serves calls until one fails.
    Instance,
    /// Each call gets a new one, so that nothing is carried over.
    Fresh,
}

/// What a function reads: `topics` or `topicPattern`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// Topics by name: `name`, or `[persistent://]tenant/namespace/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Topics by pattern, also those made later: `[persistent://]tenant/namespace/regex`, where the regular expression
    /// matches whole names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_pattern: Option<String>,
}

/// Where answers go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Output {
    /// The topic: `name`, or `[persistent://]tenant/namespace/name`. It may not be an input.
    pub topic: String,
}

/// Where a secret is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// Name of the secret.
    pub path: String,
    /// Entry in it.
    pub key: String,
}

/// What an acknowledged message stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessingGuarantee {
    /// All its outputs are stored; after a failure it may be processed again.
    #[serde(rename = "atleast_once", alias = "ATLEAST_ONCE")]
    #[schemars(extend("enum" = ["atleast_once", "ATLEAST_ONCE"]))]
    AtLeastOnce,
    /// It was handed to the function; after a failure it is lost.
    #[serde(rename = "atmost_once", alias = "ATMOST_ONCE")]
    #[schemars(extend("enum" = ["atmost_once", "ATMOST_ONCE"]))]
    AtMostOnce,
    /// The function said so.
    #[serde(rename = "manual", alias = "MANUAL")]
    #[schemars(extend("enum" = ["manual", "MANUAL"]))]
    Manual,
}

/// Where a new subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubscriptionPosition {
    /// With the next message.
    #[serde(rename = "latest", alias = "Latest")]
    #[schemars(extend("enum" = ["latest", "Latest"]))]
    Latest,
    /// With the oldest message kept.
    #[serde(rename = "earliest", alias = "Earliest")]
    #[schemars(extend("enum" = ["earliest", "Earliest"]))]
    Earliest,
}

/// How failed messages are tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Wait before the first retry, in milliseconds; it doubles with each further one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000), extend("default" = default::BACKOFF_MS))]
    pub backoff_ms: Option<u32>,
    /// Longest wait between two attempts, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400_000), extend("default" = default::MAX_BACKOFF_MS))]
    pub max_backoff_ms: Option<u32>,
    /// Most messages that a replica holds back behind messages that wait for a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 40_000), extend("default" = default::HELD_MESSAGES))]
    pub held_messages: Option<u32>,
    /// Most bytes of them, such as `64Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = default::HELD_BYTES))]
    pub held_bytes: Option<Quantity>,
}

/// How messages are put together for one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Batch {
    /// Most messages in one call; a call never waits for more to arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000), extend("default" = default::BATCH_MESSAGES))]
    pub max_messages: Option<u32>,
}

/// What a function may use. Sizes are bytes, with `k`, `M`, `G` (powers of 1,000) or `Ki`, `Mi`, `Gi` (of 1,024).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of one instance, `64Ki` to `4Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = default::MEMORY))]
    pub memory: Option<Quantity>,
    /// Elements in each table of one instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000), extend("default" = default::TABLE_ELEMENTS))]
    pub table_elements: Option<u32>,
    /// Messages that one call may put out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = default::OUTPUT_MESSAGES))]
    pub output_messages: Option<u32>,
    /// Bytes that one call may put out, payloads, keys and properties together; `1` to `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = default::OUTPUT_BYTES))]
    pub output_bytes: Option<Quantity>,
    /// Log lines a second; what is over is dropped and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000), extend("default" = default::LOG_LINES_PER_SECOND))]
    pub log_lines_per_second: Option<u32>,
}
