use std::marker::PhantomData;
use std::ops::Deref;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::message::at_millis;
use crate::{AckHandle, Error, Message, MessageId, PublishError, config, host};

/// Who the running function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Pulsar tenant.
    pub tenant: String,
    /// Pulsar namespace, without the tenant.
    pub namespace: String,
    /// Name of the function.
    pub name: String,
    /// Ordinal of this replica, from 0.
    pub replica: u32,
    /// How many replicas were declared.
    pub replicas: u32,
}

impl Default for Identity {
    fn default() -> Self {
        Self { tenant: "public".into(), namespace: "default".into(), name: "function".into(), replica: 0, replicas: 1 }
    }
}

/// What a function can ask whatever the message: who it is, its configuration, secrets and metrics.
///
/// [`Context`] derefs to it, so a function that takes one message needs only that. A batch function takes this one.
#[derive(Debug)]
pub struct FunctionContext(PhantomData<*const ()>);

impl FunctionContext {
    pub(crate) const OF_CALL: &'static Self = &Self(PhantomData);

    /// Who the function is.
    pub fn identity(&self) -> Identity {
        host::identity()
    }

    /// Topics (or the pattern) that the function was declared to read.
    pub fn inputs(&self) -> Vec<String> {
        host::inputs()
    }

    /// Topic that answers go to, if one was declared.
    pub fn output(&self) -> Option<String> {
        host::output()
    }

    /// The user configuration (`spec.funcConfig`) as one value: its entries are the fields, by name.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Settings {
    ///     suffix: String,
    ///     #[serde(default)]
    ///     times: usize,
    /// }
    ///
    /// #[pulselet::function]
    /// fn suffixed(line: String, ctx: &pulselet::Context) -> Result<String, pulselet::Error> {
    ///     let Settings { suffix, times } = ctx.config()?;
    ///     Ok(line + &suffix.repeat(times))
    /// }
    /// ```
    ///
    /// # Errors
    /// Fatal when an entry is missing or of another type, since every message would meet the same.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Error> {
        config::all(host::config_all())
    }

    /// One entry of the user configuration, `None` where it is not declared.
    ///
    /// # Errors
    /// Fatal when the entry is of another type.
    pub fn config_value<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        config::one(name, host::config(name))
    }

    /// The present value of a secret, `None` where the declaration does not name it. It may change while the function
    /// runs: ask again rather than keep it.
    pub fn secret(&self, name: &str) -> Option<Vec<u8>> {
        host::secret(name)
    }

    /// Numbers of the function's own.
    pub fn metrics(&self) -> Metrics {
        Metrics(PhantomData)
    }

    /// Opens a topic that is published to often: its name and the permission are checked here, once.
    ///
    /// # Errors
    /// [`PublishError::Denied`] or [`PublishError::InvalidTopic`].
    pub fn topic_producer(&self, topic: &str) -> Result<TopicProducer, PublishError> {
        host::Producer::open(topic).map(TopicProducer)
    }
}

/// The message a function is looking at, what it can do for it, and all of [`FunctionContext`].
///
/// Every field is fetched when it is asked for, so a function that asks for nothing pays for nothing.
#[derive(Debug)]
pub struct Context {
    index: u32,
    /// Only then must the host be told which message an output belongs to.
    in_batch: bool,
    of_call: PhantomData<*const ()>,
}

impl Deref for Context {
    type Target = FunctionContext;

    fn deref(&self) -> &FunctionContext {
        FunctionContext::OF_CALL
    }
}

impl Context {
    pub(crate) const fn of_message() -> Self {
        Self { index: 0, in_batch: false, of_call: PhantomData }
    }

    pub(crate) const fn in_batch(index: u32) -> Self {
        Self { index, in_batch: true, of_call: PhantomData }
    }

    /// Full name of the topic the message came from, with its partition suffix if there is one.
    pub fn topic(&self) -> String {
        host::topic(self.index)
    }

    /// Id of the message.
    pub fn message_id(&self) -> MessageId {
        host::message_id(self.index)
    }

    /// Key of the message; binary keys come as their bytes.
    pub fn key(&self) -> Option<Vec<u8>> {
        host::key(self.index)
    }

    /// Key of the message as text, ready for [`Message::key`]; `None` where there is none or it is not UTF-8.
    pub fn key_text(&self) -> Option<String> {
        String::from_utf8(self.key()?).ok()
    }

    /// The ordering key, where the sender set one besides the key.
    pub fn ordering_key(&self) -> Option<Vec<u8>> {
        host::ordering_key(self.index)
    }

    /// One property by name; the first one where the sender repeated a name.
    pub fn property(&self, name: &str) -> Option<String> {
        host::property(self.index, name)
    }

    /// All properties, in the sender's order.
    pub fn properties(&self) -> Vec<(String, String)> {
        host::properties(self.index)
    }

    /// When the event happened, if the sender said so.
    pub fn event_time(&self) -> Option<SystemTime> {
        host::event_time(self.index).map(at_millis)
    }

    /// When the producer sent the message.
    pub fn publish_time(&self) -> SystemTime {
        at_millis(host::publish_time(self.index))
    }

    /// Name of the producer that sent it.
    pub fn producer_name(&self) -> String {
        host::producer_name(self.index)
    }

    /// Sequence id it was sent with.
    pub fn sequence_id(&self) -> u64 {
        host::sequence_id(self.index)
    }

    /// Attempts made before this one: 0 the first time. Never lower than the broker's own count.
    pub fn redelivery_count(&self) -> u32 {
        host::redelivery_count(self.index)
    }

    /// Schema version the producer used, as the broker's opaque bytes.
    pub fn schema_version(&self) -> Option<Vec<u8>> {
        host::schema_version(self.index)
    }

    /// True when the message has no value at all, which is not the same as an empty one.
    pub fn is_null(&self) -> bool {
        host::is_null(self.index)
    }

    /// Publishes to a topic that `spec.publish` declares; short names mean the function's own tenant and namespace.
    ///
    /// The message is held back until the call has returned without an error, and this one is acked only when the
    /// broker has confirmed it.
    ///
    /// # Errors
    /// The topic or the message is not acceptable; nothing was sent.
    pub fn publish(&self, topic: &str, message: impl Into<Message>) -> Result<(), PublishError> {
        self.select();
        host::publish(topic, message.into())
    }

    /// Publishes without waiting for the call to end: the message is on the broker when this returns, and stays there
    /// even if the call then fails, so it may be there twice after a retry.
    ///
    /// # Errors
    /// The topic or the message is not acceptable, or the broker did not take it.
    pub fn publish_now(&self, topic: &str, message: impl Into<Message>) -> Result<MessageId, PublishError> {
        self.select();
        host::publish_now(topic, message.into())
    }

    /// The right to settle this message by hand; only with `processingGuarantee: manual`.
    pub fn ack_handle(&self) -> AckHandle {
        AckHandle(host::settle_handle(self.index))
    }

    fn select(&self) {
        if self.in_batch {
            host::select(self.index);
        }
    }
}

/// A topic opened once and published to often, from [`FunctionContext::topic_producer`]. It may be kept for later calls.
#[derive(Debug)]
pub struct TopicProducer(host::Producer);

impl TopicProducer {
    /// Publishes as [`Context::publish`] does; the message belongs to what `ctx` is the context of.
    ///
    /// # Errors
    /// The message is not acceptable; nothing was sent.
    pub fn send(&self, ctx: &Context, message: impl Into<Message>) -> Result<(), PublishError> {
        ctx.select();
        self.0.send(message.into())
    }
}

/// Numbers of the function's own, exported with its identity as labels.
///
/// At most 100 names per function, each of letters, digits and underscores; a name beyond that, or one used with two
/// kinds, is dropped and counted.
#[derive(Debug)]
pub struct Metrics(PhantomData<*const ()>);

impl Metrics {
    /// Adds to a counter; a negative or non-finite amount is ignored.
    pub fn count(&self, name: &str, amount: impl Into<f64>) {
        host::metric_count(name, amount.into());
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, value: impl Into<f64>) {
        host::metric_gauge(name, value.into());
    }

    /// Records one observation; exported as Pulsar's `user_metric_` summary.
    pub fn observe(&self, name: &str, value: impl Into<f64>) {
        host::metric_observe(name, value.into());
    }
}
