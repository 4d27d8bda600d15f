//! Sending: receipts, sequence ids, names.

use super::Fixture;
use super::lab::{Opening, Tx, backlog, numbered, numbered_batch, soon, stored};
use crate::batch::{Batch, BatchBuilder, Outgoing};
use crate::{Error, ProducerOptions, Stored};

/// `PersistentTopic.publishMessage` answers with the position of the entry.
pub async fn receipts_tell_rising_positions<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("receipts"));
    let tx = Tx::open(&*broker, &topic).await;
    let receipts: Vec<_> = (0..50).map(|i| tx.producer.send(numbered(i, &format!("m{i}")))).collect();
    let mut positions = Vec::new();
    for receipt in receipts {
        positions.push(stored(receipt).await);
    }
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.take(50).await;
    assert_eq!(got.iter().map(|got| got.id.position).collect::<Vec<_>>(), positions);
}

/// A batch is one entry of the ledger.
pub async fn a_batch_is_stored_as_one_entry<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("batch"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let position = tx.send_batch(&["a", "b", "c"]).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.expect(&["a", "b", "c"]).await;
    assert!(got.iter().all(|got| got.id.position == position));
    assert_eq!(got.iter().map(|got| got.id.batch_index).collect::<Vec<_>>(), [0, 1, 2]);
}

/// `MessageDeduplication.isDuplicate`; the receipt has no position (observed on 4.2: -1:-1).
pub async fn a_repeated_sequence_id_is_stored_once<F: Fixture>(fixture: F) {
    if !fixture.features().deduplication {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("repeated"));
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    stored(tx.producer.send(numbered(5, "a"))).await;
    for id in [5, 3, 0] {
        assert_eq!(soon("receipt", tx.producer.send(numbered(id, "again"))).await.unwrap(), Stored::Duplicate);
    }
    stored(tx.producer.send(numbered(6, "b"))).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["a", "b"]).await;
    rx.expect_nothing().await;
}

/// Only the highest id counts (observed on 4.2).
pub async fn a_gap_in_sequence_ids_is_allowed<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("gap-ids"));
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    for id in [0, 10, 1_000_000_007] {
        stored(tx.producer.send(numbered(id, &id.to_string()))).await;
    }
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["0", "10", "1000000007"]).await;
}

/// After 103 to 105, a batch 105 to 107 is dropped, 106 and 107 with it (observed on 4.2).
pub async fn a_batch_that_overlaps_stored_ids_is_dropped_whole<F: Fixture>(fixture: F) {
    if !fixture.features().deduplication {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("overlap-ids"));
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    stored(tx.producer.send(numbered_batch(&[(103, "a"), (104, "b"), (105, "c")]))).await;
    let overlap = tx.producer.send(numbered_batch(&[(105, "c"), (106, "d"), (107, "e")]));
    assert_eq!(soon("receipt", overlap).await.unwrap(), Stored::Duplicate);
    stored(tx.producer.send(numbered_batch(&[(106, "d"), (107, "e")]))).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["a", "b", "c", "d", "e"]).await;
}

/// `MessageDeduplication` knows ids that are pushed and not persisted yet; the answer waits for the first send. (Pulsar
/// answers with an error that asks to try later, which the client does.)
pub async fn a_batch_sent_again_while_under_way_is_stored_once<F: Fixture>(fixture: F) {
    if !fixture.features().deduplication {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("under-way"));
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    let first = tx.producer.send(numbered(1, "a"));
    let second = tx.producer.send(numbered(1, "a"));
    let third = tx.producer.send(numbered(2, "b"));
    stored(first).await;
    assert_eq!(soon("receipt", second).await.unwrap(), Stored::Duplicate);
    stored(third).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["a", "b"]).await;
    rx.expect_nothing().await;
}

/// As clients do that set none themselves: `ProducerImpl.msgIdGenerator`.
pub async fn sequence_ids_are_counted_where_none_are_given<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("no-ids"));
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    let plain = |text: &'static str| Outgoing { payload: text.as_bytes(), ..Outgoing::default() };
    for text in ["a", "b"] {
        stored(tx.producer.send(Batch::single(&plain(text), None))).await;
    }
    let mut builder = BatchBuilder::new();
    builder.push(&plain("c"));
    builder.push(&plain("d"));
    stored(tx.producer.send(builder.finish().unwrap())).await;
    tx.producer.close().await.unwrap();
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    if fixture.features().deduplication {
        assert_eq!(tx.producer.last_sequence_id(), Some(3));
    }
    stored(tx.producer.send(Batch::single(&plain("e"), None))).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["a", "b", "c", "d", "e"]).await;
}

/// PRODUCER_SUCCESS holds the highest id of a known name (observed on 4.2).
pub async fn a_producer_opened_again_learns_its_last_sequence_id<F: Fixture>(fixture: F) {
    if !fixture.features().deduplication {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("reopen"));
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    assert_eq!(tx.producer.last_sequence_id(), None);
    stored(tx.producer.send(numbered_batch(&[(7, "a"), (9, "b")]))).await;
    tx.producer.close().await.unwrap();
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    assert_eq!((tx.producer.last_sequence_id(), tx.producer.name()), (Some(9), "p"));
    let other = Tx::named(&*broker, &fixture.topic("reopen-other"), "p").await.unwrap();
    assert_eq!(other.producer.last_sequence_id(), None, "names belong to a topic");
}

/// What has a receipt is not stored twice, whatever happens in between.
pub async fn the_last_sequence_id_survives_a_kill<F: Fixture>(mut fixture: F) {
    if !fixture.features().deduplication || !fixture.features().durable {
        return;
    }
    let topic = fixture.topic("dedup-kill");
    {
        let broker = fixture.broker();
        let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
        stored(tx.producer.send(numbered(41, "a"))).await;
        stored(tx.producer.send(numbered(42, "b"))).await;
    }
    fixture.kill().await;
    let broker = fixture.broker();
    let tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    assert_eq!(tx.producer.last_sequence_id(), Some(42));
    assert_eq!(soon("receipt", tx.producer.send(numbered(42, "b"))).await.unwrap(), Stored::Duplicate);
    stored(tx.producer.send(numbered(43, "c"))).await;
    Opening::exclusive(&topic).open(&*broker).await.expect(&["a", "b", "c"]).await;
}

/// `AbstractTopic.internalAddProducer`: `NamingException`.
pub async fn a_name_is_taken_until_its_producer_closes<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("name"));
    let first = Tx::named(&*broker, &topic, "p").await.unwrap();
    let refused = Tx::named(&*broker, &topic, "p").await.err().unwrap();
    assert!(matches!(refused, Error::ProducerBusy { .. }) && refused.is_transient(), "{refused}");
    Tx::named(&*broker, &fixture.topic("name-other"), "p").await.unwrap();
    first.producer.close().await.unwrap();
    let second = Tx::named(&*broker, &topic, "p").await.unwrap();
    drop(first);
    assert!(Tx::named(&*broker, &topic, "p").await.is_err(), "the first one has no say any more");
    drop(second);
    Tx::named(&*broker, &topic, "p").await.unwrap();
}

/// `ServerCnx.handleProducer` makes a name up.
pub async fn producers_without_a_name_get_different_ones<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("names"));
    let one = Tx::open(&*broker, &topic).await;
    let two = Tx::open(&*broker, &topic).await;
    assert_ne!(one.producer.name(), two.producer.name());
    assert!(!one.producer.name().is_empty());
}

/// `maxMessageSize`.
pub async fn an_entry_over_the_limit_is_refused_and_others_go_on<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("large"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let limit = tx.producer.max_entry_bytes();
    let large = "x".repeat(limit + 1);
    let refused = soon("refusal", tx.producer.send(numbered(0, &large))).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }) && !refused.is_transient(), "{refused}");
    tx.send("small").await;
    let fits = "y".repeat(limit - 200);
    tx.send(&fits).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["small", &fits]).await;
}

/// `CommandProducer.initial_subscription_name` (PIP-124), for dead letters.
pub async fn an_initial_subscription_is_made_with_the_topic<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("initial"));
    let initial_subscription = Some("sub".to_owned());
    let options = ProducerOptions { topic: topic.clone(), name: None, initial_subscription };
    let producer = broker.produce(options).await.unwrap();
    stored(producer.send(numbered(0, "kept"))).await;
    assert_eq!(backlog(&*broker, &topic).await, 1);
    Opening::exclusive(&topic).latest().open(&*broker).await.expect(&["kept"]).await;
}

/// As above: only when the topic is new.
pub async fn an_initial_subscription_is_not_made_on_an_existing_topic<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("not-initial"));
    Tx::open(&*broker, &topic).await.send("a").await;
    let initial_subscription = Some("sub".to_owned());
    broker.produce(ProducerOptions { topic: topic.clone(), name: None, initial_subscription }).await.unwrap();
    assert!(broker.subscriptions(&topic).await.unwrap().is_empty());
}

/// A receipt promises that the message is durable.
pub async fn a_message_with_a_receipt_survives_a_kill<F: Fixture>(mut fixture: F) {
    if !fixture.features().durable {
        return;
    }
    let topic = fixture.topic("receipt-kill");
    let mut sent = Vec::new();
    for round in 0..3 {
        {
            let broker = fixture.broker();
            // The subscription keeps what nobody reads.
            drop(Opening::exclusive(&topic).silent(&*broker).await.unwrap());
            let mut tx = Tx::open(&*broker, &topic).await;
            sent.extend(tx.send_many(&format!("{round}."), 20).await);
        }
        fixture.kill().await;
    }
    let broker = fixture.broker();
    Opening::exclusive(&topic).open(&*broker).await.expect(&sent).await;
}

/// Each has its own ids and its own order.
pub async fn producers_of_one_topic_do_not_disturb_each_other<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("two-producers"));
    let mut one = Tx::named(&*broker, &topic, "one").await.unwrap();
    let mut two = Tx::named(&*broker, &topic, "two").await.unwrap();
    let (a, b) = tokio::join!(one.send_many("a", 30), two.send_many("b", 30));
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.take(60).await;
    for (prefix, sent) in [("a", a), ("b", b)] {
        let of_one: Vec<_> = got.iter().map(|got| got.text.as_str()).filter(|text| text.starts_with(prefix)).collect();
        assert_eq!(of_one, sent);
    }
}
