//! The words that the cases are written in.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::batch::{Batch, BatchBuilder, Key, Outgoing};
use crate::topic::TopicName;
use crate::{
    Broker, Consumer, ConsumerOptions, Event, InitialPosition, MessageId, Position, Producer, ProducerOptions, Receipt,
    Result, Stored, SubscriptionStats, SubscriptionType,
};

/// Longest wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long something must stay away to count as not coming.
const QUIET: Duration = Duration::from_millis(150);

/// A delay long enough to be noticed and short enough to wait for.
pub(super) const DELAY: Duration = Duration::from_millis(300);

/// Consumers are named in the order they are made.
static CONSUMERS: AtomicU64 = AtomicU64::new(0);

/// Waits for what must come.
pub(super) async fn soon<T>(what: impl Debug, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what:?} did not come"),
    }
}

/// True if it does not come.
pub(super) async fn is_quiet<T>(future: impl Future<Output = T>) -> bool {
    tokio::time::timeout(QUIET, future).await.is_err()
}

/// Waits until a condition holds.
pub(super) async fn eventually<T: Debug, F: Future<Output = T>>(
    what: &str,
    is: impl Fn(&T) -> bool,
    get: impl Fn() -> F,
) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = get().await;
        if is(&seen) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: last seen {seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A producer that numbers what it sends.
pub(super) struct Tx {
    pub(super) producer: Box<dyn Producer>,
    next: u64,
}

impl Tx {
    pub(super) async fn open(broker: &dyn Broker, topic: &TopicName) -> Self {
        let options = ProducerOptions { topic: topic.clone(), name: None, initial_subscription: None };
        Self { producer: broker.produce(options).await.unwrap(), next: 0 }
    }

    pub(super) async fn named(broker: &dyn Broker, topic: &TopicName, name: &str) -> Result<Self> {
        let name = Some(name.to_owned());
        let options = ProducerOptions { topic: topic.clone(), name, initial_subscription: None };
        let producer = broker.produce(options).await?;
        let next = producer.last_sequence_id().map_or(0, |last| last + 1);
        Ok(Self { producer, next })
    }

    fn numbered<'a>(&mut self, message: Outgoing<'a>) -> Outgoing<'a> {
        self.next += 1;
        Outgoing { sequence_id: Some(self.next - 1), ..message }
    }

    /// Sends one message outside a batch.
    pub(super) async fn send(&mut self, text: &str) -> Position {
        self.send_message(Outgoing { payload: text.as_bytes(), ..Outgoing::default() }).await
    }

    pub(super) async fn send_keyed(&mut self, key: &str, text: &str) -> Position {
        self.send_message(Outgoing { payload: text.as_bytes(), key: Some(Key::Text(key)), ..Outgoing::default() }).await
    }

    pub(super) async fn send_message(&mut self, message: Outgoing<'_>) -> Position {
        let message = self.numbered(message);
        stored(self.producer.send(Batch::single(&message, None))).await
    }

    pub(super) async fn send_at(&mut self, text: &str, deliver_at: u64) -> Position {
        let message = self.numbered(Outgoing { payload: text.as_bytes(), ..Outgoing::default() });
        stored(self.producer.send(Batch::single(&message, Some(deliver_at)))).await
    }

    pub(super) fn batch(&mut self, texts: &[&str]) -> Batch {
        let mut builder = BatchBuilder::new();
        for text in texts {
            builder.push(&self.numbered(Outgoing { payload: text.as_bytes(), ..Outgoing::default() }));
        }
        builder.finish().unwrap()
    }

    pub(super) async fn send_batch(&mut self, texts: &[&str]) -> Position {
        let batch = self.batch(texts);
        stored(self.producer.send(batch)).await
    }

    /// `prefix0`, `prefix1` ... each in an entry of its own.
    pub(super) async fn send_many(&mut self, prefix: &str, count: usize) -> Vec<String> {
        let texts: Vec<String> = (0..count).map(|i| format!("{prefix}{i}")).collect();
        let mut receipts = Vec::new();
        for text in &texts {
            let message = self.numbered(Outgoing { payload: text.as_bytes(), ..Outgoing::default() });
            receipts.push(self.producer.send(Batch::single(&message, None)));
        }
        for receipt in receipts {
            stored(receipt).await;
        }
        texts
    }
}

/// A batch of one message with this sequence id.
pub(super) fn numbered(id: u64, text: &str) -> Batch {
    let mut builder = BatchBuilder::new();
    builder.push(&Outgoing { payload: text.as_bytes(), sequence_id: Some(id), ..Outgoing::default() });
    builder.finish().unwrap()
}

/// A batch of messages with these sequence ids.
pub(super) fn numbered_batch(messages: &[(u64, &str)]) -> Batch {
    let mut builder = BatchBuilder::new();
    for (id, text) in messages {
        builder.push(&Outgoing { payload: text.as_bytes(), sequence_id: Some(*id), ..Outgoing::default() });
    }
    builder.finish().unwrap()
}

pub(super) async fn stored(receipt: Receipt) -> Position {
    match soon("receipt", receipt).await.unwrap() {
        Stored::At(position) => position,
        Stored::Duplicate => panic!("taken for a duplicate"),
    }
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) id: MessageId,
    pub(super) text: String,
    pub(super) count: u32,
}

/// Texts of messages.
pub(super) fn texts(got: &[Got]) -> Vec<&str> {
    got.iter().map(|got| got.text.as_str()).collect()
}

/// Ids of messages.
pub(super) fn ids(got: &[Got]) -> Vec<MessageId> {
    got.iter().map(|got| got.id).collect()
}

/// How to open a consumer.
#[derive(Clone)]
pub(super) struct Opening(pub(super) ConsumerOptions);

impl Opening {
    /// From the start of the topic, with batch-index acks.
    pub(super) fn new(topic: &TopicName, subscription: &str, subscription_type: SubscriptionType) -> Self {
        Self(ConsumerOptions {
            topic: topic.clone(),
            subscription: subscription.to_owned(),
            subscription_type,
            initial_position: InitialPosition::Earliest,
            consumer_name: format!("c{:06}", CONSUMERS.fetch_add(1, Ordering::Relaxed)),
            batch_index_ack: true,
        })
    }

    pub(super) fn exclusive(topic: &TopicName) -> Self {
        Self::new(topic, "sub", SubscriptionType::Exclusive)
    }

    pub(super) fn shared(topic: &TopicName) -> Self {
        Self::new(topic, "sub", SubscriptionType::Shared)
    }

    pub(super) fn failover(topic: &TopicName, priority: i32, name: &str) -> Self {
        Self::new(topic, "sub", SubscriptionType::Failover { priority }).named(name)
    }

    pub(super) fn key_shared(topic: &TopicName) -> Self {
        Self::new(topic, "sub", SubscriptionType::KeyShared { ranges: None })
    }

    pub(super) fn sticky(topic: &TopicName, ranges: &[std::ops::RangeInclusive<u16>]) -> Self {
        Self::new(topic, "sub", SubscriptionType::KeyShared { ranges: Some(ranges.to_vec()) })
    }

    pub(super) fn of(mut self, subscription: &str) -> Self {
        self.0.subscription = subscription.to_owned();
        self
    }

    pub(super) fn named(mut self, name: &str) -> Self {
        self.0.consumer_name = name.to_owned();
        self
    }

    pub(super) fn whole_entries(mut self) -> Self {
        self.0.batch_index_ack = false;
        self
    }

    pub(super) fn latest(mut self) -> Self {
        self.0.initial_position = InitialPosition::Latest;
        self
    }

    /// Opens it without granting anything.
    pub(super) async fn silent(self, broker: &dyn Broker) -> Result<Rx> {
        let consumer = soon("consumer", broker.subscribe(self.0)).await?;
        Ok(Rx { consumer, arrived: VecDeque::new(), active: Vec::new(), resets: 0 })
    }

    /// Opens it and lets a thousand messages come.
    pub(super) async fn open(self, broker: &dyn Broker) -> Rx {
        let rx = self.silent(broker).await.unwrap();
        rx.consumer.grant(1_000);
        rx
    }
}

/// A consumer and what it was sent.
pub(super) struct Rx {
    pub(super) consumer: Box<dyn Consumer>,
    arrived: VecDeque<Got>,
    /// What it heard about being active.
    pub(super) active: Vec<bool>,
    pub(super) resets: u32,
}

impl Rx {
    /// Waits for one event and files it.
    pub(super) async fn hear(&mut self) {
        match self.consumer.next().await.unwrap() {
            Event::Entries(entries) => {
                assert!(!entries.is_empty(), "an event without entries");
                for entry in entries {
                    for message in &entry.messages {
                        self.arrived.push_back(Got {
                            id: entry.id(message),
                            text: String::from_utf8_lossy(&message.payload).into_owned(),
                            count: entry.redelivery_count,
                        });
                    }
                }
            }
            Event::Active(active) => self.active.push(active),
            Event::Reset => {
                self.resets += 1;
                // Nothing from before it is of interest.
                self.arrived.clear();
            }
            Event::EndOfTopic => {}
        }
    }

    /// The next messages.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Got> {
        while self.arrived.len() < count {
            let have = self.arrived.len();
            soon(format!("message {have} of {count}"), self.hear()).await;
        }
        self.arrived.drain(..count).collect()
    }

    pub(super) async fn one(&mut self) -> Got {
        self.take(1).await.remove(0)
    }

    /// The next messages are these, in this order.
    pub(super) async fn expect(&mut self, expected: &[impl AsRef<str>]) -> Vec<Got> {
        let got = self.take(expected.len()).await;
        let expected: Vec<_> = expected.iter().map(AsRef::as_ref).collect();
        assert_eq!(texts(&got), expected);
        got
    }

    /// Nothing more comes.
    pub(super) async fn expect_nothing(&mut self) {
        let deadline = tokio::time::Instant::now() + QUIET;
        while tokio::time::timeout_at(deadline, self.hear()).await.is_ok() {}
        assert!(self.arrived.is_empty(), "came unexpectedly: {:?}", self.arrived);
    }

    /// Waits until it hears whether it is active.
    pub(super) async fn expect_active(&mut self, active: bool) {
        while self.active.last() != Some(&active) {
            soon(format!("active: {active}"), self.hear()).await;
        }
    }

    pub(super) async fn expect_reset(&mut self) {
        let before = self.resets;
        while self.resets == before {
            soon("reset", self.hear()).await;
        }
    }

    /// Acknowledges and waits for the confirmation.
    pub(super) async fn ack(&self, got: &[Got]) {
        soon("confirmation", self.consumer.ack(&ids(got))).await.unwrap();
    }

    pub(super) fn nack(&self, got: &[Got]) {
        self.consumer.nack(&ids(got), Duration::ZERO);
    }

    pub(super) async fn close(self) {
        soon("close", self.consumer.close()).await.unwrap();
    }
}

/// What is known of the subscription `sub`.
pub(super) async fn stats(broker: &dyn Broker, topic: &TopicName) -> SubscriptionStats {
    let all = broker.subscriptions(topic).await.unwrap();
    all.into_iter().find(|stats| stats.name == "sub").expect("no subscription `sub`")
}

pub(super) async fn backlog(broker: &dyn Broker, topic: &TopicName) -> u64 {
    stats(broker, topic).await.backlog
}

/// Adds a subscription that acknowledges nothing, so that nothing is removed.
pub(super) async fn keep_everything(broker: &dyn Broker, topic: &TopicName) {
    broker.create_subscription(topic, "keeper", InitialPosition::Earliest).await.unwrap();
}

/// Milliseconds since the epoch.
pub(super) fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}
