//! Delivering: permits, what arrives, limits, delays.

use super::Fixture;
use super::lab::{DELAY, Opening, Tx, backlog, eventually, keep_everything, now_ms, soon, stats, texts};
use crate::batch::{Batch, BatchBuilder, Key, Outgoing};
use crate::{Event, SubscriptionType};

/// `Consumer.flowPermits`: a consumer is sent nothing before its first FLOW.
pub async fn nothing_arrives_before_the_first_grant<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("no-grant"));
    Tx::open(&*broker, &topic).await.send("m").await;
    for opening in [Opening::exclusive(&topic), Opening::shared(&topic).of("s"), Opening::key_shared(&topic).of("k")] {
        let mut rx = opening.silent(&*broker).await.unwrap();
        rx.expect_nothing().await;
        rx.consumer.grant(1);
        rx.expect(&["m"]).await;
    }
}

/// `Consumer.sendMessages` takes the size of a batch off the permits, which may fall below zero.
pub async fn one_permit_brings_a_whole_batch_and_the_rest_is_owed<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("overshoot"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let many: Vec<String> = (0..1000).map(|i| format!("m{i}")).collect();
    tx.send_batch(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    tx.send_batch(&["next"]).await;
    for opening in [Opening::exclusive(&topic), Opening::shared(&topic).of("s"), Opening::key_shared(&topic).of("k")] {
        let mut rx = opening.silent(&*broker).await.unwrap();
        rx.consumer.grant(1);
        rx.expect(&many).await;
        rx.consumer.grant(999);
        rx.expect_nothing().await;
        rx.consumer.grant(1);
        rx.expect(&["next"]).await;
    }
}

/// FLOW adds to the permits that are left.
pub async fn permits_add_up<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("permits"));
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 10).await;
    let mut rx = Opening::shared(&topic).silent(&*broker).await.unwrap();
    rx.consumer.grant(2);
    rx.consumer.grant(3);
    rx.expect(&sent[..5]).await;
    rx.expect_nothing().await;
    rx.consumer.grant(100);
    rx.expect(&sent[5..]).await;
}

/// Documentation, "Subscriptions": each has a cursor of its own.
pub async fn every_subscription_gets_everything<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("everything"));
    let mut one = Opening::shared(&topic).of("one").open(&*broker).await;
    let mut two = Opening::exclusive(&topic).of("two").open(&*broker).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 20).await;
    let got = one.expect(&sent).await;
    one.ack(&got).await;
    two.expect(&sent).await;
}

/// `CommandSubscribe.initialPosition`.
pub async fn a_new_subscription_starts_where_it_asks_to<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("start"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send("before").await;
    let mut earliest = Opening::exclusive(&topic).of("earliest").open(&*broker).await;
    let mut latest = Opening::exclusive(&topic).of("latest").latest().open(&*broker).await;
    tx.send("after").await;
    earliest.expect(&["before", "after"]).await;
    latest.expect(&["after"]).await;
}

/// The initial position is for new subscriptions only.
pub async fn an_existing_subscription_goes_on_where_it_was<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("goes-on"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_many("m", 3).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.take(3).await;
    rx.ack(&got[..1]).await;
    rx.close().await;
    let mut rx = Opening::exclusive(&topic).latest().open(&*broker).await;
    rx.expect(&["m1", "m2"]).await;
}

/// `PersistentDispatcherMultipleConsumers`: round robin over consumers with permits.
pub async fn consumers_of_a_shared_subscription_share_the_messages<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("share"));
    let mut one = Opening::shared(&topic).silent(&*broker).await.unwrap();
    let mut two = Opening::shared(&topic).silent(&*broker).await.unwrap();
    let mut sent = Tx::open(&*broker, &topic).await.send_many("m", 40).await;
    one.consumer.grant(15);
    two.consumer.grant(25);
    let mut all = one.take(15).await;
    all.extend(two.take(25).await);
    let mut got: Vec<_> = texts(&all).into_iter().map(str::to_owned).collect();
    got.sort();
    sent.sort();
    assert_eq!(got, sent, "each message goes to one of them");
}

/// `SingleMessageMetadata`, `MessageMetadata`.
pub async fn what_came_with_a_message_arrives_with_it<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("metadata"));
    let tx = Tx::named(&*broker, &topic, "who").await.unwrap();
    let pairs = [("a", "1"), ("b", "")];
    let full = Outgoing {
        payload: b"full",
        key: Some(Key::Binary(&[0, 200])),
        ordering_key: Some(b"order"),
        properties: pairs.as_slice().into(),
        event_time: Some(77),
        sequence_id: Some(5),
        ..Outgoing::default()
    };
    let null = Outgoing { null_value: true, key: Some(Key::Text("k")), sequence_id: Some(6), ..Outgoing::default() };
    let before = now_ms();
    let mut builder = BatchBuilder::new();
    builder.push(&full);
    builder.push(&null);
    soon("receipt", tx.producer.send(builder.finish().unwrap())).await.unwrap();
    let single = Outgoing { sequence_id: Some(7), ..full };
    soon("receipt", tx.producer.send(Batch::single(&single, None))).await.unwrap();
    let rx = Opening::exclusive(&topic).open(&*broker).await;
    let mut entries = Vec::new();
    while entries.len() < 2 {
        if let Event::Entries(more) = soon("entries", rx.consumer.next()).await.unwrap() {
            entries.extend(more);
        }
    }
    for (entry, id) in [(&entries[0], 5), (&entries[1], 7)] {
        assert_eq!((&*entry.producer_name, &*entry.topic), ("who", &topic));
        assert!((before..=now_ms()).contains(&entry.publish_time));
        let metadata = &entry.messages[0].metadata;
        assert_eq!(entry.messages[0].payload, "full");
        assert_eq!(metadata.key_bytes().unwrap().as_ref(), [0, 200]);
        assert_eq!(metadata.ordering_key(), Some(b"order".as_slice()));
        assert_eq!(metadata.properties().collect::<Vec<_>>(), pairs);
        assert_eq!((metadata.event_time(), metadata.sequence_id()), (Some(77), Some(id)));
        assert!(!metadata.is_null());
    }
    let second = &entries[0].messages[1];
    assert!(second.metadata.is_null() && second.payload.is_empty());
    assert_eq!((second.metadata.key(), second.metadata.event_time()), (Some(b"k".as_slice()), None));
}

/// `MessageIdData`: batch index -1 outside a batch, partition -1 without partitions.
pub async fn message_ids_tell_batches_from_single_messages<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("ids"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let single = tx.send("single").await;
    let batch = tx.send_batch(&["one"]).await;
    assert!(single < batch);
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.take(2).await;
    assert_eq!((got[0].id.position, got[0].id.batch_index, got[0].id.partition), (single, -1, -1));
    assert_eq!((got[1].id.position, got[1].id.batch_index), (batch, 0));
    broker.create_partitioned(&fixture.topic("ids-partitioned"), 3).await.unwrap();
    let partition = fixture.topic("ids-partitioned").with_partition(2);
    Tx::open(&*broker, &partition).await.send("there").await;
    let mut rx = Opening::exclusive(&partition).open(&*broker).await;
    assert_eq!(rx.one().await.id.partition, 2);
}

/// [`Consumer::next`](crate::Consumer::next) promises it.
pub async fn an_event_is_not_lost_when_next_is_cancelled<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("cancel"));
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    let mut expected = Vec::new();
    let mut got: Vec<String> = Vec::new();
    for round in 0..50 {
        let text = format!("m{round}");
        let batch = tx.batch(&[&text]);
        let receipt = tx.producer.send(batch);
        expected.push(text);
        // Gives up on it again and again while the message is on its way.
        let mut receipt = std::pin::pin!(receipt);
        loop {
            tokio::select! {
                biased;
                done = &mut receipt => { done.unwrap(); break }
                event = rx.consumer.next() => {
                    if let Event::Entries(entries) = event.unwrap() {
                        let messages = entries.iter().flat_map(|entry| &entry.messages);
                        got.extend(messages.map(|message| String::from_utf8_lossy(&message.payload).into_owned()));
                    }
                }
            }
        }
    }
    let rest = rx.take(expected.len() - got.len()).await;
    got.extend(texts(&rest).into_iter().map(str::to_owned));
    assert_eq!(got, expected);
}

/// `maxUnackedMessagesPerConsumer`: `Consumer.shouldBlockConsumerOnUnackMsgs`; released at half
/// (`Consumer.removePendingAcks`).
pub async fn a_consumer_over_the_limit_of_unacked_messages_waits_until_half_of_them_are_acked<F: Fixture>(fixture: F) {
    let Some(limit) = fixture.features().max_unacked.map(|limit| limit as usize) else { return };
    let (broker, topic) = (fixture.broker(), fixture.topic("max-unacked"));
    keep_everything(&*broker, &topic).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", limit + 10).await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    rx.consumer.grant(100_000);
    let got = rx.expect(&sent[..limit]).await;
    rx.expect_nothing().await;
    assert_eq!(stats(&*broker, &topic).await.unacked, limit as u64);
    rx.ack(&got[..limit / 2 - 1]).await;
    rx.expect_nothing().await;
    rx.ack(&got[limit / 2 - 1..=limit / 2]).await;
    rx.expect(&sent[limit..]).await;
    // The limit is there for subscriptions whose cursor may have holes.
    let mut exclusive = Opening::exclusive(&topic).of("exclusive").open(&*broker).await;
    exclusive.consumer.grant(100_000);
    exclusive.expect(&sent[..]).await;
}

/// `AbstractDelayedDeliveryTracker`; documentation, "Delayed message delivery".
pub async fn a_delayed_message_waits_on_shared_while_others_pass<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("delayed"));
    let mut shared = Opening::shared(&topic).open(&*broker).await;
    let mut keys = Opening::key_shared(&topic).of("keys").open(&*broker).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    let due = now_ms() + DELAY.as_millis() as u64;
    tx.send_at("later", due).await;
    tx.send_at("past", now_ms() - 1).await;
    tx.send("now").await;
    for rx in [&mut shared, &mut keys] {
        rx.expect(&["past", "now", "later"]).await;
    }
    assert!(now_ms() >= due);
}

/// Documentation, "Delayed message delivery": Shared and Key_Shared only.
pub async fn a_delayed_message_does_not_wait_on_exclusive<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("undelayed"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_at("later", now_ms() + 3_600_000).await;
    tx.send("now").await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["later", "now"]).await;
    let failover = Opening::new(&topic, "failover", SubscriptionType::Failover { priority: 0 });
    failover.open(&*broker).await.expect(&["later", "now"]).await;
}

/// A consumer that has fallen behind reads what is no longer in memory.
pub async fn a_backlog_larger_than_any_cache_arrives_in_order<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("backlog"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let filler = "x".repeat(20_000);
    let many: Vec<String> = (0..300).map(|i| format!("{i} {filler}")).collect();
    for chunk in many.chunks(3) {
        tx.send_batch(&chunk.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let mut rx = Opening::exclusive(&topic).silent(&*broker).await.unwrap();
    for text in &many {
        rx.consumer.grant(1);
        let got = rx.one().await;
        assert_eq!(got.text.split(' ').next(), text.split(' ').next());
        drop(rx.consumer.ack(&[got.id]));
    }
    eventually("backlog", |left| *left == 0, || backlog(&*broker, &topic)).await;
}
