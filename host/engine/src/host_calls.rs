use std::time::Duration;

use futures::future::BoxFuture;

use crate::contract::{Identity, LogLevel, Message, MessageId, PublishError};

/// What a guest may ask of its host during a call. One value lives in each instance; the runner sets it up before a call
/// and collects what it gathered after it ([`Instance::host_mut`](crate::Instance::host_mut)).
///
/// `index` is a message of the present call. [`NoSuchMessage`] becomes a trap. All methods but
/// [`HostCalls::publish_now`] answer in process and must not block.
pub trait HostCalls: Send + 'static {
    /// Who the function is.
    fn identity(&self) -> Identity;
    /// Declared inputs.
    fn inputs(&self) -> Vec<String>;
    /// Declared output.
    fn output(&self) -> Option<String>;

    /// Messages in this call; 0 outside a call.
    fn count(&self) -> u32;
    /// Which message the next outputs belong to.
    fn select(&mut self, index: u32) -> Result<(), NoSuchMessage>;

    /// Topic the message came from.
    fn topic(&self, index: u32) -> Result<String, NoSuchMessage>;
    /// Its id.
    fn message_id(&self, index: u32) -> Result<MessageId, NoSuchMessage>;
    /// Its key, decoded.
    fn key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage>;
    /// Its ordering key.
    fn ordering_key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage>;
    /// One property.
    fn property(&self, index: u32, name: &str) -> Result<Option<String>, NoSuchMessage>;
    /// All properties, in the sender's order.
    fn properties(&self, index: u32) -> Result<Vec<(String, String)>, NoSuchMessage>;
    /// Event time in milliseconds since the epoch.
    fn event_time(&self, index: u32) -> Result<Option<u64>, NoSuchMessage>;
    /// Publish time in milliseconds since the epoch.
    fn publish_time(&self, index: u32) -> Result<u64, NoSuchMessage>;
    /// Name of the producer that sent it.
    fn producer_name(&self, index: u32) -> Result<String, NoSuchMessage>;
    /// Sequence id it was sent with.
    fn sequence_id(&self, index: u32) -> Result<u64, NoSuchMessage>;
    /// Attempts before this one.
    fn redelivery_count(&self, index: u32) -> Result<u32, NoSuchMessage>;
    /// Schema version of the producer.
    fn schema_version(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage>;
    /// Whether it has no value at all.
    fn is_null(&self, index: u32) -> Result<bool, NoSuchMessage>;

    /// Checks a topic and gives it a number for [`HostCalls::publish`]; asking again gives the same number.
    fn open_topic(&mut self, topic: &str) -> Result<TopicNumber, PublishError>;
    /// Buffers a message until the call has returned.
    fn publish(&mut self, topic: TopicNumber, message: Message) -> Result<(), PublishError>;
    /// Publishes at once; resolves when the broker has confirmed.
    fn publish_now(&mut self, topic: &str, message: Message) -> BoxFuture<'static, Result<MessageId, PublishError>>;

    /// The handle for settling a message by hand.
    fn settle_handle(&mut self, index: u32) -> Result<u64, NoSuchMessage>;
    /// Acks by hand, when the call has returned; `false` for a handle that is unknown or used.
    fn ack(&mut self, handle: u64) -> bool;
    /// Nacks by hand, when the call has returned; `false` for a handle that is unknown or used.
    fn nack(&mut self, handle: u64, delay: Option<Duration>) -> bool;

    /// Adds to a counter of the function's own.
    fn metric_count(&mut self, name: &str, amount: f64);
    /// Sets a gauge of the function's own.
    fn metric_gauge(&mut self, name: &str, value: f64);
    /// Adds an observation of the function's own.
    fn metric_observe(&mut self, name: &str, value: f64);

    /// The present value of a declared secret.
    fn secret(&self, name: &str) -> Option<Vec<u8>>;
    /// One entry of the user configuration.
    fn config(&self, name: &str) -> Option<String>;
    /// The whole user configuration, sorted by name.
    fn config_all(&self) -> Vec<(String, String)>;

    /// One log line. Lines of stdout and stderr come here too, at info and warn level, with `stdout` or `stderr` as
    /// context.
    fn log(&mut self, level: LogLevel, context: &str, message: &str);
}

/// A topic that [`HostCalls::open_topic`] has admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicNumber(pub u32);

/// The guest asked for a message that the call does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {index} was asked for, but this call holds {count}")]
pub struct NoSuchMessage {
    /// What was asked for.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}
