//! What a guest may ask for, answered from the messages of its call and the declaration of its function.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt};
use pulselet_api::Limits;
use pulselet_broker::{Entry, Message as Received};
use pulselet_engine::contract::{Identity, LogLevel, Message, MessageId, PublishError};
use pulselet_engine::{HostCalls, NoSuchMessage, TopicNumber};
use tokio::sync::oneshot;

use crate::function::Facts;
use crate::log::FunctionLog;
use crate::metrics::UserMetrics;
use crate::settlement::{Handles, Settle, Work};
use crate::topics::Topics;

/// A message that a guest wants on the broker before its call ends.
pub(crate) struct PublishNow {
    pub(crate) topic: TopicNumber,
    pub(crate) message: Message,
    pub(crate) reply: oneshot::Sender<Result<MessageId, PublishError>>,
}

/// A message put out by a call, held until the call has returned.
#[derive(Debug)]
pub(crate) struct Published {
    /// The message of the call it belongs to.
    pub(crate) index: u32,
    pub(crate) topic: TopicNumber,
    pub(crate) message: Message,
}

/// What all instances of one replica share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) facts: Arc<Facts>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) log: FunctionLog,
    pub(crate) user_metrics: Arc<UserMetrics>,
    pub(crate) handles: Handles,
    pub(crate) publish_now: mpsc::Sender<PublishNow>,
    /// Instances that live.
    pub(crate) live: Arc<AtomicU32>,
}

/// The host's side of one instance.
pub struct GuestHost {
    shared: Shared,
    call: Vec<Work>,
    selected: u32,
    published: Vec<Published>,
    /// What the call has put out so far, also what it did not wait with.
    put_out: PutOut,
    settle: Vec<Settle>,
}

impl GuestHost {
    pub(crate) fn new(shared: Shared) -> Self {
        shared.live.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            call: Vec::new(),
            selected: 0,
            published: Vec::new(),
            put_out: PutOut::default(),
            settle: Vec::new(),
        }
    }

    /// A call with these messages is about to start. Swaps the buffers, so that no call allocates.
    pub(crate) fn begin(&mut self, call: &mut Vec<Work>) {
        std::mem::swap(&mut self.call, call);
        call.clear();
        self.selected = 0;
        self.put_out = PutOut::default();
    }

    /// The call is over: its messages, what it put out, and what it settled by hand.
    pub(crate) fn end(&mut self) -> (&mut Vec<Work>, &mut Vec<Published>, &mut Vec<Settle>) {
        (&mut self.call, &mut self.published, &mut self.settle)
    }

    /// The call failed: nothing it put out or settled counts.
    pub(crate) fn discard(&mut self) {
        self.published.clear();
        self.shared.handles.restore(self.settle.drain(..).map(|settle| settle.task()));
    }

    /// What a call may use.
    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.facts.function.limits
    }

    /// Bytes of what the call has published, answers not among them.
    pub(crate) fn put_out_bytes(&self) -> u64 {
        self.put_out.bytes
    }

    fn work(&self, index: u32) -> Result<&Work, NoSuchMessage> {
        self.call.get(index as usize).ok_or(NoSuchMessage { index, count: self.call.len() as u32 })
    }

    fn message(&self, index: u32) -> Result<(&Entry, &Received), NoSuchMessage> {
        let work = self.work(index)?;
        let missing = NoSuchMessage { index, count: self.call.len() as u32 };
        Ok((&work.entry, work.entry.messages.get(work.at).ok_or(missing)?))
    }
}

impl Drop for GuestHost {
    fn drop(&mut self) {
        self.shared.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one call has put out.
#[derive(Default)]
struct PutOut {
    messages: u32,
    bytes: u64,
}

impl PutOut {
    /// Counts one more, unless it is one too many.
    fn add(&mut self, message: &Message, limits: &Limits) -> Result<(), PublishError> {
        if self.messages >= limits.output_messages {
            let rule = format!("a call may put out {} messages (spec.limits.outputMessages)", limits.output_messages);
            return Err(PublishError::TooMany(rule));
        }
        let bytes = self.bytes + size_of(message);
        if bytes > limits.output_bytes {
            let most = limits.output_bytes;
            let rule = format!("{bytes} bytes are more than the {most} a call may put out (spec.limits.outputBytes)");
            return Err(PublishError::TooMany(rule));
        }
        (self.messages, self.bytes) = (self.messages + 1, bytes);
        Ok(())
    }
}

/// Bytes that a message counts against the limits of a call.
fn size_of(message: &Message) -> u64 {
    let properties: usize = message.properties.iter().map(|(name, value)| name.len() + value.len()).sum();
    (message.payload.len() + message.key.as_ref().map_or(0, String::len) + properties) as u64
}

impl HostCalls for GuestHost {
    fn identity(&self) -> Identity {
        let Facts { function, replica, .. } = &*self.shared.facts;
        Identity {
            tenant: function.name.tenant.clone(),
            namespace: function.name.namespace.clone(),
            name: function.name.name.clone(),
            replica: *replica,
            replicas: function.replicas.get(),
        }
    }

    fn inputs(&self) -> Vec<String> {
        match &self.shared.facts.function.inputs {
            pulselet_api::Inputs::Topics(topics) => topics.iter().map(ToString::to_string).collect(),
            pulselet_api::Inputs::Pattern(pattern) => vec![pattern.as_str().to_owned()],
        }
    }

    fn output(&self) -> Option<String> {
        self.shared.facts.function.output.as_ref().map(|output| output.topic.to_string())
    }

    fn count(&self) -> u32 {
        self.call.len() as u32
    }

    fn select(&mut self, index: u32) -> Result<(), NoSuchMessage> {
        self.work(index)?;
        self.selected = index;
        Ok(())
    }

    fn topic(&self, index: u32) -> Result<String, NoSuchMessage> {
        Ok(self.message(index)?.0.topic.to_string())
    }

    fn message_id(&self, index: u32) -> Result<MessageId, NoSuchMessage> {
        let (entry, message) = self.message(index)?;
        let id = entry.id(message);
        Ok(MessageId {
            ledger: id.position.ledger,
            entry: id.position.entry,
            partition: id.partition,
            batch_index: id.batch_index,
        })
    }

    fn key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        Ok(self.message(index)?.1.metadata.key_bytes().map(Into::into))
    }

    fn ordering_key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        Ok(self.message(index)?.1.metadata.ordering_key().map(<[u8]>::to_vec))
    }

    fn property(&self, index: u32, name: &str) -> Result<Option<String>, NoSuchMessage> {
        Ok(self.message(index)?.1.metadata.property(name).map(str::to_owned))
    }

    fn properties(&self, index: u32) -> Result<Vec<(String, String)>, NoSuchMessage> {
        let pairs = self.message(index)?.1.metadata.properties();
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn event_time(&self, index: u32) -> Result<Option<u64>, NoSuchMessage> {
        Ok(self.message(index)?.1.metadata.event_time())
    }

    fn publish_time(&self, index: u32) -> Result<u64, NoSuchMessage> {
        Ok(self.message(index)?.0.publish_time)
    }

    fn producer_name(&self, index: u32) -> Result<String, NoSuchMessage> {
        Ok(self.message(index)?.0.producer_name.to_string())
    }

    fn sequence_id(&self, index: u32) -> Result<u64, NoSuchMessage> {
        Ok(self.message(index)?.1.metadata.sequence_id().unwrap_or(0))
    }

    fn redelivery_count(&self, index: u32) -> Result<u32, NoSuchMessage> {
        Ok(self.work(index)?.attempts)
    }

    fn schema_version(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        Ok(self.message(index)?.0.schema_version.as_ref().map(|version| version.to_vec()))
    }

    fn is_null(&self, index: u32) -> Result<bool, NoSuchMessage> {
        Ok(self.message(index)?.1.metadata.is_null())
    }

    fn open_topic(&mut self, topic: &str) -> Result<TopicNumber, PublishError> {
        self.shared.topics.open(topic, &self.shared.facts.function)
    }

    fn publish(&mut self, topic: TopicNumber, message: Message) -> Result<(), PublishError> {
        self.put_out.add(&message, &self.shared.facts.function.limits)?;
        self.published.push(Published { index: self.selected, topic, message });
        Ok(())
    }

    fn publish_now(&mut self, topic: &str, message: Message) -> BoxFuture<'static, Result<MessageId, PublishError>> {
        let function = &self.shared.facts.function;
        let opened = self.shared.topics.open(topic, function);
        let topic = match opened.and_then(|topic| self.put_out.add(&message, &function.limits).map(|()| topic)) {
            Ok(topic) => topic,
            Err(error) => return futures::future::ready(Err(error)).boxed(),
        };
        let mut requests = self.shared.publish_now.clone();
        async move {
            let stopping = || PublishError::Broker("the replica is stopping".to_owned());
            let (reply, answer) = oneshot::channel();
            requests.send(PublishNow { topic, message, reply }).await.map_err(|_| stopping())?;
            answer.await.map_err(|_| stopping())?
        }
        .boxed()
    }

    fn settle_handle(&mut self, index: u32) -> Result<u64, NoSuchMessage> {
        Ok(self.shared.handles.of(self.work(index)?.task))
    }

    fn ack(&mut self, handle: u64) -> bool {
        let task = self.shared.handles.take(handle);
        self.settle.extend(task.map(Settle::Ack));
        task.is_some()
    }

    fn nack(&mut self, handle: u64, delay: Option<Duration>) -> bool {
        let task = self.shared.handles.take(handle);
        self.settle.extend(task.map(|task| Settle::Nack(task, delay)));
        task.is_some()
    }

    fn metric_count(&mut self, name: &str, amount: f64) {
        self.shared.user_metrics.count(name, amount);
    }

    fn metric_gauge(&mut self, name: &str, value: f64) {
        self.shared.user_metrics.gauge(name, value);
    }

    fn metric_observe(&mut self, name: &str, value: f64) {
        self.shared.user_metrics.observe(name, value);
    }

    fn secret(&self, name: &str) -> Option<Vec<u8>> {
        let reference = self.shared.facts.function.secrets.get(name)?;
        self.shared.facts.secrets.get(reference)
    }

    fn config(&self, name: &str) -> Option<String> {
        self.shared.facts.function.config.get(name).cloned()
    }

    fn config_all(&self) -> Vec<(String, String)> {
        let config = &self.shared.facts.function.config;
        config.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn log(&mut self, level: LogLevel, context: &str, message: &str) {
        self.shared.log.line(level, context, message);
    }
}
