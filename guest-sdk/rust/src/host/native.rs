//! The host of native tests: answers from what a test has set up, and notes what the function did.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::settle::SettleError;
use crate::{Identity, Message, MessageId, PublishError};

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// All that a call may ask for, and all that it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) setting: Setting,
    pub(crate) messages: Vec<Incoming>,
    /// Handles given out and not yet used, with the message each stands for.
    pub(crate) open: BTreeMap<u64, MessageId>,
    pub(crate) next_handle: u64,
    pub(crate) notes: Notes,
    pub(crate) selected: u32,
}

/// What stays the same from call to call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) identity: Identity,
    pub(crate) inputs: Vec<String>,
    pub(crate) output: Option<String>,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, Vec<u8>>,
}

/// A message on its way to the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) payload: Vec<u8>,
    pub(crate) topic: String,
    pub(crate) message_id: MessageId,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) ordering_key: Option<Vec<u8>>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) event_time: Option<u64>,
    pub(crate) publish_time: u64,
    pub(crate) producer_name: String,
    pub(crate) sequence_id: u64,
    pub(crate) redelivery_count: u32,
    pub(crate) schema_version: Option<Vec<u8>>,
    pub(crate) is_null: bool,
}

/// What the function did, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Notes {
    pub(crate) published: Vec<PublishedNote>,
    #[cfg(feature = "log")]
    pub(crate) logs: Vec<(log::Level, String, String)>,
    pub(crate) metrics: Vec<(MetricKind, String, f64)>,
    pub(crate) settled: Vec<(MessageId, SettledHow)>,
}

/// A message that the function put out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PublishedNote {
    /// Message of the call that it belongs to.
    pub(crate) index: u32,
    pub(crate) topic: String,
    pub(crate) message: Message,
    pub(crate) now: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    Count,
    Gauge,
    Observe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettledHow {
    Acked,
    Nacked(Option<u64>),
}

/// Makes `call` the present one of this thread; gives back the one before.
pub(crate) fn enter(call: Option<Call>) -> Option<Call> {
    CALL.replace(call)
}

#[expect(clippy::panic, reason = "the contract says that asking outside a call traps; a panic is a test's trap")]
fn call<R>(ask: impl FnOnce(&mut Call) -> R) -> R {
    CALL.with_borrow_mut(|call| match call {
        Some(call) => ask(call),
        None => {
            panic!("no message is being handled: call the function through `pulselet::testing` (feature `testing`)")
        }
    })
}

#[expect(clippy::panic, reason = "the contract says that an index outside the call traps; a panic is a test's trap")]
fn message<R>(index: u32, ask: impl FnOnce(&Incoming) -> R) -> R {
    call(|call| match call.messages.get(index as usize) {
        Some(message) => ask(message),
        None => panic!("message {index} was asked for, but this call holds {}", call.messages.len()),
    })
}

pub(crate) fn identity() -> Identity {
    call(|call| call.setting.identity.clone())
}

pub(crate) fn inputs() -> Vec<String> {
    call(|call| call.setting.inputs.clone())
}

pub(crate) fn output() -> Option<String> {
    call(|call| call.setting.output.clone())
}

pub(crate) fn select(index: u32) {
    message(index, |_| ());
    call(|call| call.selected = index);
}

pub(crate) fn topic(index: u32) -> String {
    message(index, |message| message.topic.clone())
}

pub(crate) fn message_id(index: u32) -> MessageId {
    message(index, |message| message.message_id)
}

pub(crate) fn key(index: u32) -> Option<Vec<u8>> {
    message(index, |message| message.key.clone())
}

pub(crate) fn ordering_key(index: u32) -> Option<Vec<u8>> {
    message(index, |message| message.ordering_key.clone())
}

pub(crate) fn property(index: u32, name: &str) -> Option<String> {
    message(index, |message| message.properties.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()))
}

pub(crate) fn properties(index: u32) -> Vec<(String, String)> {
    message(index, |message| message.properties.clone())
}

pub(crate) fn event_time(index: u32) -> Option<u64> {
    message(index, |message| message.event_time)
}

pub(crate) fn publish_time(index: u32) -> u64 {
    message(index, |message| message.publish_time)
}

pub(crate) fn producer_name(index: u32) -> String {
    message(index, |message| message.producer_name.clone())
}

pub(crate) fn sequence_id(index: u32) -> u64 {
    message(index, |message| message.sequence_id)
}

pub(crate) fn redelivery_count(index: u32) -> u32 {
    message(index, |message| message.redelivery_count)
}

pub(crate) fn schema_version(index: u32) -> Option<Vec<u8>> {
    message(index, |message| message.schema_version.clone())
}

pub(crate) fn is_null(index: u32) -> bool {
    message(index, |message| message.is_null)
}

pub(crate) fn publish(topic: &str, message: Message) -> Result<(), PublishError> {
    note_published(topic, message, false);
    Ok(())
}

pub(crate) fn publish_now(topic: &str, message: Message) -> Result<MessageId, PublishError> {
    let entry = note_published(topic, message, true);
    Ok(MessageId { ledger: 0, entry, partition: -1, batch_index: -1 })
}

fn note_published(topic: &str, message: Message, now: bool) -> u64 {
    call(|call| {
        let index = call.selected;
        call.notes.published.push(PublishedNote { index, topic: topic.to_owned(), message, now });
        call.notes.published.len() as u64 - 1
    })
}

#[derive(Debug)]
pub(crate) struct Producer(String);

impl Producer {
    pub(crate) fn open(topic: &str) -> Result<Self, PublishError> {
        Ok(Self(topic.to_owned()))
    }

    pub(crate) fn send(&self, message: Message) -> Result<(), PublishError> {
        publish(&self.0, message)
    }
}

pub(crate) fn settle_handle(index: u32) -> u64 {
    let id = message_id(index);
    call(|call| {
        call.next_handle += 1;
        call.open.insert(call.next_handle, id);
        call.next_handle
    })
}

pub(crate) fn ack(handle: u64) -> Result<(), SettleError> {
    settle(handle, SettledHow::Acked)
}

pub(crate) fn nack(handle: u64, delay: Option<u64>) -> Result<(), SettleError> {
    settle(handle, SettledHow::Nacked(delay))
}

fn settle(handle: u64, how: SettledHow) -> Result<(), SettleError> {
    call(|call| {
        let id = call.open.remove(&handle).ok_or(SettleError { handle })?;
        call.notes.settled.push((id, how));
        Ok(())
    })
}

pub(crate) fn metric_count(name: &str, amount: f64) {
    note_metric(MetricKind::Count, name, amount);
}

pub(crate) fn metric_gauge(name: &str, value: f64) {
    note_metric(MetricKind::Gauge, name, value);
}

pub(crate) fn metric_observe(name: &str, value: f64) {
    note_metric(MetricKind::Observe, name, value);
}

fn note_metric(kind: MetricKind, name: &str, value: f64) {
    call(|call| call.notes.metrics.push((kind, name.to_owned(), value)));
}

pub(crate) fn secret(name: &str) -> Option<Vec<u8>> {
    call(|call| call.setting.secrets.get(name).cloned())
}

pub(crate) fn config(name: &str) -> Result<Option<String>, String> {
    Ok(call(|call| call.setting.config.get(name).cloned()))
}

pub(crate) fn config_all() -> Result<Vec<(String, String)>, String> {
    Ok(call(|call| call.setting.config.clone().into_iter().collect()))
}

/// Lines logged outside a call come from other tests or their threads, and are nobody's.
#[cfg(feature = "log")]
pub(crate) fn log(level: log::Level, target: &str, text: &str) {
    CALL.with_borrow_mut(|call| {
        if let Some(call) = call {
            call.notes.logs.push((level, target.to_owned(), text.to_owned()));
        }
    });
}
