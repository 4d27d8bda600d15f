use crate::bindings::imports::pulselet::function as wit;
use crate::bindings::imports::wasi;
use crate::settle::SettleError;
use crate::{Identity, Message, MessageId, PublishError};

pub(crate) use wit::context::{
    event_time, inputs, is_null, key, ordering_key, output, producer_name, properties, property, publish_time,
    redelivery_count, schema_version, select, sequence_id, topic,
};
pub(crate) use wit::metrics::{count as metric_count, gauge as metric_gauge, observe as metric_observe};
pub(crate) use wit::secrets::get as secret;
pub(crate) use wit::settle::handle as settle_handle;

pub(crate) fn identity() -> Identity {
    let wit::context::FunctionIdentity { tenant, namespace, name, replica, replicas } = wit::context::identity();
    Identity { tenant, namespace, name, replica, replicas }
}

pub(crate) fn message_id(index: u32) -> MessageId {
    wit::context::id(index).into()
}

pub(crate) fn publish(topic: &str, message: Message) -> Result<(), PublishError> {
    Ok(wit::publish::publish(topic, &message.into())?)
}

pub(crate) fn publish_now(topic: &str, message: Message) -> Result<MessageId, PublishError> {
    Ok(wit::publish_now::publish(topic, &message.into())?.into())
}

#[derive(Debug)]
pub(crate) struct Producer(wit::publish::TopicProducer);

impl Producer {
    pub(crate) fn open(topic: &str) -> Result<Self, PublishError> {
        Ok(Self(wit::publish::TopicProducer::open(topic)?))
    }

    pub(crate) fn send(&self, message: Message) -> Result<(), PublishError> {
        Ok(self.0.send_message(&message.into())?)
    }
}

pub(crate) fn ack(handle: u64) -> Result<(), SettleError> {
    wit::settle::ack(handle).map_err(|_| SettleError { handle })
}

pub(crate) fn nack(handle: u64, delay: Option<u64>) -> Result<(), SettleError> {
    wit::settle::nack(handle, delay).map_err(|_| SettleError { handle })
}

pub(crate) fn config(name: &str) -> Result<Option<String>, String> {
    wasi::config::store::get(name).map_err(config_error)
}

pub(crate) fn config_all() -> Result<Vec<(String, String)>, String> {
    wasi::config::store::get_all().map_err(config_error)
}

fn config_error(error: wasi::config::store::Error) -> String {
    match error {
        wasi::config::store::Error::Upstream(text) | wasi::config::store::Error::Io(text) => text,
    }
}

#[cfg(feature = "log")]
pub(crate) fn log(level: log::Level, target: &str, text: &str) {
    use wasi::logging::logging::Level;
    let level = match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    };
    wasi::logging::logging::log(level, target, text);
}

impl From<wit::types::MessageId> for MessageId {
    fn from(id: wit::types::MessageId) -> Self {
        let wit::types::MessageId { ledger, entry, partition, batch_index } = id;
        Self { ledger, entry, partition, batch_index }
    }
}

impl From<Message> for wit::types::Message {
    fn from(message: Message) -> Self {
        let Message { payload, key, properties, event_time, delay } = message;
        Self { payload, key, properties, event_time, delay }
    }
}

impl From<wit::types::PublishError> for PublishError {
    fn from(error: wit::types::PublishError) -> Self {
        use wit::types::PublishError as Wit;
        match error {
            Wit::Denied(text) => Self::Denied(text),
            Wit::InvalidTopic(text) => Self::InvalidTopic(text),
            Wit::TooLarge(text) => Self::TooLarge(text),
            Wit::TooMany(text) => Self::TooMany(text),
            Wit::Broker(text) => Self::Broker(text),
        }
    }
}
