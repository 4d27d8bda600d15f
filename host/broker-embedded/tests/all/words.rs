//! The words that the tests are written in.

use std::time::Duration;

use pulselet_broker::batch::{Batch, BatchBuilder, Outgoing};
use pulselet_broker::topic::TopicName;
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Event, InitialPosition, MessageId, Producer, ProducerOptions, Result,
    SubscriptionType,
};

pub(crate) fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

/// One message outside a batch.
pub(crate) fn single(text: &str) -> Batch {
    Batch::single(&Outgoing { payload: text.as_bytes(), ..Outgoing::default() }, None)
}

/// One message with a sequence id.
pub(crate) fn numbered(id: u64, text: &str) -> Batch {
    let mut builder = BatchBuilder::new();
    builder.push(&Outgoing { payload: text.as_bytes(), sequence_id: Some(id), ..Outgoing::default() });
    builder.finish().unwrap()
}

pub(crate) async fn produce(broker: &dyn Broker, name: &str, producer: Option<&str>) -> Result<Box<dyn Producer>> {
    let name = (topic(name), producer.map(str::to_owned));
    broker.produce(ProducerOptions { topic: name.0, name: name.1, initial_subscription: None }).await
}

pub(crate) async fn consume(broker: &dyn Broker, name: &str, subscription: &str) -> Result<Box<dyn Consumer>> {
    let options = ConsumerOptions {
        topic: topic(name),
        subscription: subscription.to_owned(),
        subscription_type: SubscriptionType::Shared,
        initial_position: InitialPosition::Earliest,
        consumer_name: "c".to_owned(),
        batch_index_ack: true,
    };
    let consumer = broker.subscribe(options).await?;
    consumer.grant(1_000_000);
    Ok(consumer)
}

/// Texts and ids of the next messages.
pub(crate) async fn take(consumer: &dyn Consumer, count: usize) -> Vec<(String, MessageId)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
        let Ok(next) = next else { panic!("{} of {count} came: {taken:?}", taken.len()) };
        if let Event::Entries(entries) = next.unwrap() {
            for entry in &entries {
                let message =
                    |m: &pulselet_broker::Message| (String::from_utf8_lossy(&m.payload).into_owned(), entry.id(m));
                taken.extend(entry.messages.iter().map(message));
            }
        }
    }
    taken
}

pub(crate) fn texts(taken: &[(String, MessageId)]) -> Vec<&str> {
    taken.iter().map(|(text, _)| text.as_str()).collect()
}

/// Messages that a subscription has not acknowledged.
pub(crate) async fn backlog(broker: &dyn Broker, name: &str, subscription: &str) -> u64 {
    let all = broker.subscriptions(&topic(name)).await.unwrap();
    all.iter().find(|stats| stats.name == subscription).unwrap().backlog
}
