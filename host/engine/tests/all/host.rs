//! A host that remembers what the guest asked of it.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, pending, ready};
use pulselet_engine::contract::{Identity, LogLevel, Message, MessageId, PublishError};
use pulselet_engine::{HostCalls, NoSuchMessage, TopicNumber};

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// Keys of the messages in the present call.
    pub(crate) keys: Vec<Option<Vec<u8>>>,
    pub(crate) selected: Option<u32>,
    pub(crate) topics: Vec<String>,
    /// Topic, payload, and the message it belongs to.
    pub(crate) published: Vec<(String, String, Option<u32>)>,
    pub(crate) settled: Vec<String>,
    pub(crate) counted: Vec<(String, f64)>,
    pub(crate) logged: Vec<(LogLevel, String, String)>,
}

impl Recorder {
    /// A host for a call with one message.
    pub(crate) fn new() -> Self {
        Self { keys: vec![Some(b"k".to_vec())], ..Self::default() }
    }

    fn given<T>(&self, index: u32, value: T) -> Result<T, NoSuchMessage> {
        let count = self.count();
        if index < count { Ok(value) } else { Err(NoSuchMessage { index, count }) }
    }

    /// Lines of one context.
    pub(crate) fn lines(&self, context: &str) -> Vec<&str> {
        self.logged.iter().filter(|(_, of, _)| of == context).map(|(_, _, line)| line.as_str()).collect()
    }
}

impl HostCalls for Recorder {
    fn identity(&self) -> Identity {
        let (tenant, namespace, name) = ("public".into(), "default".into(), "probe".into());
        Identity { tenant, namespace, name, replica: 0, replicas: 1 }
    }

    fn inputs(&self) -> Vec<String> {
        vec!["in".into()]
    }

    fn output(&self) -> Option<String> {
        Some("out".into())
    }

    fn count(&self) -> u32 {
        self.keys.len() as u32
    }

    fn select(&mut self, index: u32) -> Result<(), NoSuchMessage> {
        self.selected = Some(self.given(index, index)?);
        Ok(())
    }

    fn topic(&self, index: u32) -> Result<String, NoSuchMessage> {
        self.given(index, "in".into())
    }

    fn message_id(&self, index: u32) -> Result<MessageId, NoSuchMessage> {
        self.given(index, MessageId { ledger: 7, entry: index.into(), partition: -1, batch_index: -1 })
    }

    fn key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        self.given(index, self.keys.get(index as usize).cloned().flatten())
    }

    fn ordering_key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        self.given(index, None)
    }

    fn property(&self, index: u32, _name: &str) -> Result<Option<String>, NoSuchMessage> {
        self.given(index, None)
    }

    fn properties(&self, index: u32) -> Result<Vec<(String, String)>, NoSuchMessage> {
        self.given(index, vec![("colour".into(), "red".into())])
    }

    fn event_time(&self, index: u32) -> Result<Option<u64>, NoSuchMessage> {
        self.given(index, None)
    }

    fn publish_time(&self, index: u32) -> Result<u64, NoSuchMessage> {
        self.given(index, 0)
    }

    fn producer_name(&self, index: u32) -> Result<String, NoSuchMessage> {
        self.given(index, "p".into())
    }

    fn sequence_id(&self, index: u32) -> Result<u64, NoSuchMessage> {
        self.given(index, 0)
    }

    fn redelivery_count(&self, index: u32) -> Result<u32, NoSuchMessage> {
        self.given(index, 2)
    }

    fn schema_version(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        self.given(index, None)
    }

    fn is_null(&self, index: u32) -> Result<bool, NoSuchMessage> {
        self.given(index, false)
    }

    fn open_topic(&mut self, topic: &str) -> Result<TopicNumber, PublishError> {
        if topic == "forbidden" {
            return Err(PublishError::Denied("forbidden".into()));
        }
        self.topics.push(topic.to_owned());
        Ok(TopicNumber(self.topics.len() as u32 - 1))
    }

    fn publish(&mut self, topic: TopicNumber, message: Message) -> Result<(), PublishError> {
        let topic = self.topics[topic.0 as usize].clone();
        self.published.push((topic, String::from_utf8(message.payload).unwrap(), self.selected));
        Ok(())
    }

    /// To `nowhere`, the broker never answers.
    fn publish_now(&mut self, topic: &str, _message: Message) -> BoxFuture<'static, Result<MessageId, PublishError>> {
        if topic == "nowhere" {
            return pending().boxed();
        }
        ready(Ok(MessageId { ledger: 9, entry: 1, partition: -1, batch_index: -1 })).boxed()
    }

    fn settle_handle(&mut self, index: u32) -> Result<u64, NoSuchMessage> {
        self.given(index, 100 + u64::from(index))
    }

    fn ack(&mut self, handle: u64) -> bool {
        self.settled.push(format!("ack {handle}"));
        handle == 100
    }

    fn nack(&mut self, handle: u64, delay: Option<Duration>) -> bool {
        self.settled.push(format!("nack {handle} {delay:?}"));
        handle == 100
    }

    fn metric_count(&mut self, name: &str, amount: f64) {
        self.counted.push((name.to_owned(), amount));
    }

    fn metric_gauge(&mut self, _name: &str, _value: f64) {}

    fn metric_observe(&mut self, _name: &str, _value: f64) {}

    fn secret(&self, name: &str) -> Option<Vec<u8>> {
        (name == "token").then(|| b"s3cret".to_vec())
    }

    fn config(&self, name: &str) -> Option<String> {
        (name == "unit").then(|| "km".to_owned())
    }

    fn config_all(&self) -> Vec<(String, String)> {
        vec![("unit".into(), "km".into())]
    }

    fn log(&mut self, level: LogLevel, context: &str, message: &str) {
        self.logged.push((level, context.to_owned(), message.to_owned()));
    }
}
