//! What is kept, and for how long.

use std::time::Duration;

use pulselet_broker::{Broker, InitialPosition};
use pulselet_broker_embedded::{EmbeddedBroker, Options, Retention, Storage};

use crate::words::{backlog, consume, produce, single, take, texts, topic};

fn open(retention: Retention) -> EmbeddedBroker {
    EmbeddedBroker::open(Options { retention, ..Options::new(Storage::Ephemeral) }).unwrap()
}

async fn send(broker: &EmbeddedBroker, name: &str, count: usize) {
    let producer = produce(broker, name, None).await.unwrap();
    for number in 0..count {
        producer.send(single(&format!("{number:04}"))).await.unwrap();
    }
}

/// Entries that a new subscription finds.
async fn kept(broker: &EmbeddedBroker, name: &str, subscription: &str) -> u64 {
    broker.create_subscription(&topic(name), subscription, InitialPosition::Earliest).await.unwrap();
    backlog(broker, name, subscription).await
}

#[tokio::test]
async fn a_topic_without_subscriptions_is_kept_to_be_read_afterwards() {
    let broker = open(Retention::default());
    send(&broker, "out", 20).await;
    let consumer = consume(&broker, "out", "late").await.unwrap();
    assert_eq!(take(&*consumer, 20).await[0].0, "0000");
}

#[tokio::test]
async fn a_topic_without_subscriptions_keeps_no_more_than_its_size() {
    let entry = single("0000").bytes() as u64;
    let broker = open(Retention { unsubscribed_bytes: entry * 5, ..Retention::default() });
    send(&broker, "out", 20).await;
    let consumer = consume(&broker, "out", "late").await.unwrap();
    let left = backlog(&broker, "out", "late").await;
    assert!((5..=7).contains(&left), "{left}");
    let got = take(&*consumer, left as usize).await;
    assert_eq!(texts(&got).last(), Some(&"0019"));
}

#[tokio::test]
async fn what_every_subscription_has_acknowledged_is_removed() {
    let broker = open(Retention::default());
    let one = consume(&broker, "t", "one").await.unwrap();
    let two = consume(&broker, "t", "two").await.unwrap();
    send(&broker, "t", 10).await;
    let (first, second) = (take(&*one, 10).await, take(&*two, 10).await);
    one.ack(&first.iter().map(|(_, id)| *id).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(kept(&broker, "t", "three").await, 10, "two still needs them");
    broker.delete_subscription(&topic("t"), "three").await.unwrap();
    two.ack(&second[..7].iter().map(|(_, id)| *id).collect::<Vec<_>>()).await.unwrap();
    send(&broker, "other", 1).await;
    assert_eq!(kept(&broker, "t", "four").await, 3);
}

#[tokio::test]
async fn acknowledged_messages_are_kept_as_long_and_as_many_as_asked() {
    let entry = single("0000").bytes() as u64;
    let hour = Duration::from_secs(3600);
    let broker = open(Retention { acked_time: hour, acked_bytes: entry * 4, ..Retention::default() });
    let consumer = consume(&broker, "t", "s").await.unwrap();
    send(&broker, "t", 10).await;
    let got = take(&*consumer, 10).await;
    consumer.ack(&got.iter().map(|(_, id)| *id).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(kept(&broker, "t", "late").await, 4);
}

#[tokio::test]
async fn removing_a_long_backlog_goes_on_by_itself() {
    let broker = open(Retention::default());
    let consumer = consume(&broker, "t", "s").await.unwrap();
    let producer = produce(&broker, "t", None).await.unwrap();
    // More than one commit removes.
    let receipts: Vec<_> = (0..25_000).map(|number| producer.send(single(&number.to_string()))).collect();
    futures::future::try_join_all(receipts).await.unwrap();
    let got = take(&*consumer, 25_000).await;
    consumer.ack(&got.iter().map(|(_, id)| *id).collect::<Vec<_>>()).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    for round in 0.. {
        let name = format!("probe{round}");
        let left = kept(&broker, "t", &name).await;
        broker.delete_subscription(&topic("t"), &name).await.unwrap();
        if left == 0 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{left} are left");
    }
}
