use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, ready};
use pulselet_engine::contract::{Identity, LogLevel, Message, MessageId, PublishError};
use pulselet_engine::{HostCalls, NoSuchMessage, TopicNumber};

/// A host that has nothing to give, for guests that ask for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Emptyhanded;

fn none<T>(index: u32) -> Result<T, NoSuchMessage> {
    Err(NoSuchMessage { index, count: 0 })
}

fn denied(topic: &str) -> PublishError {
    PublishError::Denied(topic.into())
}

impl HostCalls for Emptyhanded {
    fn identity(&self) -> Identity {
        let (tenant, namespace, name) = (String::new(), String::new(), String::new());
        Identity { tenant, namespace, name, replica: 0, replicas: 1 }
    }

    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn output(&self) -> Option<String> {
        None
    }

    fn count(&self) -> u32 {
        0
    }

    fn select(&mut self, index: u32) -> Result<(), NoSuchMessage> {
        none(index)
    }

    fn topic(&self, index: u32) -> Result<String, NoSuchMessage> {
        none(index)
    }

    fn message_id(&self, index: u32) -> Result<MessageId, NoSuchMessage> {
        none(index)
    }

    fn key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        none(index)
    }

    fn ordering_key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        none(index)
    }

    fn property(&self, index: u32, _name: &str) -> Result<Option<String>, NoSuchMessage> {
        none(index)
    }

    fn properties(&self, index: u32) -> Result<Vec<(String, String)>, NoSuchMessage> {
        none(index)
    }

    fn event_time(&self, index: u32) -> Result<Option<u64>, NoSuchMessage> {
        none(index)
    }

    fn publish_time(&self, index: u32) -> Result<u64, NoSuchMessage> {
        none(index)
    }

    fn producer_name(&self, index: u32) -> Result<String, NoSuchMessage> {
        none(index)
    }

    fn sequence_id(&self, index: u32) -> Result<u64, NoSuchMessage> {
        none(index)
    }

    fn redelivery_count(&self, index: u32) -> Result<u32, NoSuchMessage> {
        none(index)
    }

    fn schema_version(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        none(index)
    }

    fn is_null(&self, index: u32) -> Result<bool, NoSuchMessage> {
        none(index)
    }

    fn open_topic(&mut self, topic: &str) -> Result<TopicNumber, PublishError> {
        Err(denied(topic))
    }

    fn publish(&mut self, _topic: TopicNumber, _message: Message) -> Result<(), PublishError> {
        Err(denied(""))
    }

    fn publish_now(&mut self, topic: &str, _message: Message) -> BoxFuture<'static, Result<MessageId, PublishError>> {
        ready(Err(denied(topic))).boxed()
    }

    fn settle_handle(&mut self, index: u32) -> Result<u64, NoSuchMessage> {
        none(index)
    }

    fn ack(&mut self, _handle: u64) -> bool {
        false
    }

    fn nack(&mut self, _handle: u64, _delay: Option<Duration>) -> bool {
        false
    }

    fn metric_count(&mut self, _name: &str, _amount: f64) {}

    fn metric_gauge(&mut self, _name: &str, _value: f64) {}

    fn metric_observe(&mut self, _name: &str, _value: f64) {}

    fn secret(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    fn config(&self, _name: &str) -> Option<String> {
        None
    }

    fn config_all(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn log(&mut self, _level: LogLevel, _context: &str, _message: &str) {}
}
