use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use pulselet_api::Limits;
use pulselet_api::topic::TopicName;
use pulselet_engine::contract::{Identity, LogLevel, Message, MessageId, PublishError};
use pulselet_engine::{HostCalls, NoSuchMessage, TopicNumber};
use pulselet_sdk::testing::protocol::{
    self, Bytes, Call, CallResult, LogLine, Metric, MetricKind, Published, Report, Settled, Settlement,
};

use super::wire;
use crate::output::say;

/// Lines and numbers kept of one call, so that a function that floods its log ends as a failed test and not as a full
/// memory.
const MAX_NOTES: usize = 100_000;

/// What a function is given in a test; notes down what it does.
#[derive(Default)]
pub(super) struct TestHost {
    /// Everything of the call but its messages.
    setting: Call,
    messages: Vec<protocol::Message>,
    /// Place in the test's call of the first of `messages`.
    first: u32,
    selected: u32,
    limits: Limits,
    output_bytes: u64,
    /// Topics that were opened, as they were written; their numbers are their places.
    topics: Vec<String>,
    /// Messages that are still to be settled, by handle, now and when the call began.
    open: BTreeMap<u64, protocol::MessageId>,
    open_before: BTreeMap<u64, protocol::MessageId>,
    next_handle: u64,
    published: Vec<Published>,
    logs: Vec<LogLine>,
    metrics: Vec<Metric>,
    settled: Vec<Settled>,
}

impl TestHost {
    /// Sets up for a call of the guest with these messages, the first of which is number `first` of the test's call.
    pub(super) fn begin(&mut self, call: &Call, messages: Vec<protocol::Message>, first: usize) {
        self.setting = call.clone();
        self.messages = messages;
        self.first = first as u32;
        self.selected = 0;
        self.output_bytes = 0;
        self.open_before = self.open.clone();
    }

    /// Adds what the guest did to the report; what a call that failed has put out and settled is not part of it.
    pub(super) fn end(&mut self, results: &[CallResult], takes_effect: bool, report: &mut Report) {
        self.messages.clear();
        let first = self.first;
        let is_ok = |index: u32| results.get((index - first) as usize).is_some_and(super::is_ok);
        report.published.extend(self.published.drain(..).filter(|message| message.now || is_ok(message.index)));
        report.logs.append(&mut self.logs);
        report.metrics.append(&mut self.metrics);
        if takes_effect {
            report.settled.append(&mut self.settled);
        } else {
            self.settled.clear();
            self.open = std::mem::take(&mut self.open_before);
        }
    }

    fn message(&self, index: u32) -> Result<&protocol::Message, NoSuchMessage> {
        self.messages.get(index as usize).ok_or(NoSuchMessage { index, count: self.count() })
    }

    fn check_topic(&self, topic: &str) -> Result<(), PublishError> {
        let protocol::Identity { tenant, namespace, .. } = &self.setting.identity;
        let parsed = TopicName::parse_in(topic, tenant, namespace);
        parsed.map(drop).map_err(|error| PublishError::InvalidTopic(error.to_string()))
    }

    fn note(&mut self, topic: String, message: Message, now: bool) -> Result<(), PublishError> {
        let Message { payload, key, properties, event_time, delay } = message;
        let pairs = properties.iter().map(|(name, value)| name.len() + value.len());
        let bytes = payload.len() + key.as_ref().map_or(0, String::len) + pairs.sum::<usize>();
        self.output_bytes += bytes as u64;
        let Limits { output_bytes, output_messages, .. } = self.limits;
        if self.output_bytes > output_bytes || self.published.len() >= output_messages as usize {
            return Err(PublishError::TooMany(format!(
                "one call may put out {output_messages} messages and {output_bytes} bytes"
            )));
        }
        self.published.push(Published {
            index: self.first + self.selected,
            topic,
            payload: Bytes(payload),
            key,
            properties,
            event_time,
            delay,
            now,
        });
        Ok(())
    }

    fn settle(&mut self, handle: u64, how: Settlement) -> bool {
        let Some(message_id) = self.open.remove(&handle) else { return false };
        self.settled.push(Settled { message_id, how });
        true
    }

    fn metric(&mut self, kind: MetricKind, name: &str, value: f64) {
        if self.metrics.len() >= MAX_NOTES {
            return;
        }
        self.metrics.push(Metric { kind, name: name.to_owned(), value });
    }
}

impl HostCalls for TestHost {
    fn identity(&self) -> Identity {
        wire::identity(&self.setting.identity)
    }

    fn inputs(&self) -> Vec<String> {
        self.setting.inputs.clone()
    }

    fn output(&self) -> Option<String> {
        self.setting.output.clone()
    }

    fn count(&self) -> u32 {
        self.messages.len() as u32
    }

    fn select(&mut self, index: u32) -> Result<(), NoSuchMessage> {
        self.message(index)?;
        self.selected = index;
        Ok(())
    }

    fn topic(&self, index: u32) -> Result<String, NoSuchMessage> {
        Ok(self.message(index)?.topic.clone())
    }

    fn message_id(&self, index: u32) -> Result<MessageId, NoSuchMessage> {
        Ok(wire::message_id(self.message(index)?.message_id))
    }

    fn key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        Ok(self.message(index)?.key.clone().map(|key| key.0))
    }

    fn ordering_key(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        Ok(self.message(index)?.ordering_key.clone().map(|key| key.0))
    }

    fn property(&self, index: u32, name: &str) -> Result<Option<String>, NoSuchMessage> {
        let properties = &self.message(index)?.properties;
        Ok(properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()))
    }

    fn properties(&self, index: u32) -> Result<Vec<(String, String)>, NoSuchMessage> {
        Ok(self.message(index)?.properties.clone())
    }

    fn event_time(&self, index: u32) -> Result<Option<u64>, NoSuchMessage> {
        Ok(self.message(index)?.event_time)
    }

    fn publish_time(&self, index: u32) -> Result<u64, NoSuchMessage> {
        Ok(self.message(index)?.publish_time)
    }

    fn producer_name(&self, index: u32) -> Result<String, NoSuchMessage> {
        Ok(self.message(index)?.producer_name.clone())
    }

    fn sequence_id(&self, index: u32) -> Result<u64, NoSuchMessage> {
        Ok(self.message(index)?.sequence_id)
    }

    fn redelivery_count(&self, index: u32) -> Result<u32, NoSuchMessage> {
        Ok(self.message(index)?.redelivery_count)
    }

    fn schema_version(&self, index: u32) -> Result<Option<Vec<u8>>, NoSuchMessage> {
        Ok(self.message(index)?.schema_version.clone().map(|version| version.0))
    }

    fn is_null(&self, index: u32) -> Result<bool, NoSuchMessage> {
        Ok(self.message(index)?.is_null)
    }

    fn open_topic(&mut self, topic: &str) -> Result<TopicNumber, PublishError> {
        self.check_topic(topic)?;
        let known = self.topics.iter().position(|known| known == topic);
        let number = known.unwrap_or_else(|| {
            self.topics.push(topic.to_owned());
            self.topics.len() - 1
        });
        Ok(TopicNumber(number as u32))
    }

    fn publish(&mut self, topic: TopicNumber, message: Message) -> Result<(), PublishError> {
        let name = self.topics.get(topic.0 as usize).cloned();
        let name = name.ok_or_else(|| PublishError::InvalidTopic(format!("topic {} was not opened", topic.0)))?;
        self.note(name, message, false)
    }

    fn publish_now(&mut self, topic: &str, message: Message) -> BoxFuture<'static, Result<MessageId, PublishError>> {
        let entry = self.published.len() as u64;
        let noted = self.check_topic(topic).and_then(|()| self.note(topic.to_owned(), message, true));
        ready(noted.map(|()| MessageId { ledger: 0, entry, partition: -1, batch_index: -1 })).boxed()
    }

    fn settle_handle(&mut self, index: u32) -> Result<u64, NoSuchMessage> {
        let message_id = self.message(index)?.message_id;
        self.next_handle += 1;
        self.open.insert(self.next_handle, message_id);
        Ok(self.next_handle)
    }

    fn ack(&mut self, handle: u64) -> bool {
        self.settle(handle, Settlement::Ack)
    }

    fn nack(&mut self, handle: u64, delay: Option<Duration>) -> bool {
        self.settle(handle, Settlement::Nack { delay: delay.map(wire::millis) })
    }

    fn metric_count(&mut self, name: &str, amount: f64) {
        self.metric(MetricKind::Count, name, amount);
    }

    fn metric_gauge(&mut self, name: &str, value: f64) {
        self.metric(MetricKind::Gauge, name, value);
    }

    fn metric_observe(&mut self, name: &str, value: f64) {
        self.metric(MetricKind::Observe, name, value);
    }

    fn secret(&self, name: &str) -> Option<Vec<u8>> {
        self.setting.secrets.get(name).map(|secret| secret.0.clone())
    }

    fn config(&self, name: &str) -> Option<String> {
        self.setting.config.get(name).cloned()
    }

    fn config_all(&self) -> Vec<(String, String)> {
        self.setting.config.clone().into_iter().collect()
    }

    fn log(&mut self, level: LogLevel, context: &str, message: &str) {
        // What is printed is for people; only what is logged is for the test.
        if matches!(context, "stdout" | "stderr") {
            say!("{message}");
            return;
        }
        match self.logs.len() {
            MAX_NOTES => say!("more than {MAX_NOTES} lines were logged in one call; the others are left out"),
            count if count > MAX_NOTES => return,
            _ => {}
        }
        self.logs.push(LogLine { level: wire::level(level), context: context.to_owned(), text: message.to_owned() });
    }
}
