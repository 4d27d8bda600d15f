//! What comes again: to whom, in which order, and how it is counted.

use std::time::Duration;

use super::Fixture;
use super::lab::{DELAY, Got, Opening, Rx, Tx, backlog, eventually, ids, stats, texts};

/// `PersistentDispatcherMultipleConsumers.redeliverUnacknowledgedMessages`, `InMemoryRedeliveryTracker`.
pub async fn a_nack_on_shared_brings_the_message_again_and_counts<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("nack"));
    Tx::open(&*broker, &topic).await.send_many("m", 3).await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.expect(&["m0", "m1", "m2"]).await;
    rx.ack(&got[..1]).await;
    rx.nack(&got[1..2]);
    for count in 1..4 {
        let again = rx.expect(&["m1"]).await;
        assert_eq!((again[0].count, again[0].id), (count, got[1].id));
        rx.nack(&again);
    }
    let last = rx.expect(&["m1"]).await;
    rx.ack(&last).await;
    rx.ack(&got[2..]).await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// The Java client's `NegativeAcksTracker` waits before it asks for a redelivery.
pub async fn a_delayed_nack_lets_others_pass<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("nack-delay"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send("slow").await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.expect(&["slow"]).await;
    let from = std::time::Instant::now();
    rx.consumer.nack(&ids(&got), DELAY);
    tx.send("quick").await;
    rx.expect(&["quick"]).await;
    let again = rx.expect(&["slow"]).await;
    assert!(from.elapsed() >= DELAY);
    assert_eq!(again[0].count, 1);
}

/// `PersistentDispatcherSingleActiveConsumer.redeliverUnacknowledgedMessages` rewinds the cursor whatever ids are named;
/// there is no redelivery tracker (observed on 4.2).
pub async fn a_nack_on_exclusive_gives_back_everything_in_order<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("nack-exclusive"));
    single_active_nack(&fixture, Opening::exclusive(&topic)).await;
    assert_eq!(backlog(&*broker, &topic).await, 5);
}

/// As on Exclusive.
pub async fn a_nack_on_failover_gives_back_everything_in_order<F: Fixture>(fixture: F) {
    let topic = fixture.topic("nack-failover");
    single_active_nack(&fixture, Opening::failover(&topic, 0, "f")).await;
}

async fn single_active_nack<F: Fixture>(fixture: &F, opening: Opening) {
    let broker = fixture.broker();
    let topic = opening.0.topic.clone();
    Tx::open(&*broker, &topic).await.send_many("m", 6).await;
    let mut rx = opening.open(&*broker).await;
    let got = rx.take(5).await;
    rx.ack(&got[1..2]).await;
    rx.consumer.nack(&[got[3].id], Duration::from_secs(3600));
    // Whatever was on its way before the nack is of no interest.
    let mut again = Vec::new();
    while texts(&again) != ["m0", "m2", "m3", "m4", "m5"] {
        again.push(rx.one().await);
        if again.last().is_some_and(|last| last.text == "m0") {
            again.drain(..again.len() - 1);
        }
    }
    assert!(again.iter().all(|got| got.count == 0), "{again:?}");
}

/// `PersistentStickyKeyDispatcherMultipleConsumers`: the slot decides, for redeliveries too.
pub async fn a_nack_on_key_shared_brings_the_message_to_the_same_consumer<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("nack-keys"));
    let mut one = Opening::key_shared(&topic).open(&*broker).await;
    let mut two = Opening::key_shared(&topic).open(&*broker).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    for i in 0..20 {
        tx.send_keyed(&format!("k{i}"), &format!("k{i}")).await;
    }
    let (first, second) = take_all(&mut one, &mut two, 20).await;
    assert!(!first.is_empty() && !second.is_empty());
    one.nack(&first);
    let again = one.take(first.len()).await;
    assert!(first.iter().all(|got| again.iter().any(|again| again.id == got.id)), "order is kept within keys only");
    assert!(again.iter().all(|got| got.count == 1));
    two.expect_nothing().await;
}

/// What two consumers get together.
async fn take_all(one: &mut Rx, two: &mut Rx, count: usize) -> (Vec<Got>, Vec<Got>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    while first.len() + second.len() < count {
        tokio::select! {
            got = one.one() => first.push(got),
            got = two.one() => second.push(got),
        }
    }
    (first, second)
}

/// REDELIVER names entries; the entry comes with the `ack_set` that the broker knows (observed on 4.2).
pub async fn a_nack_of_a_member_brings_the_rest_of_its_entry<F: Fixture>(fixture: F) {
    if !fixture.features().batch_index_ack {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("nack-member"));
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b", "c", "d"]).await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.expect(&["a", "b", "c", "d"]).await;
    rx.ack(&got[..2]).await;
    rx.nack(&got[3..]);
    let again = rx.expect(&["c", "d"]).await;
    assert!(again.iter().all(|got| got.count == 1));
    rx.ack(&again[1..]).await;
    rx.nack(&again[..1]);
    let again = rx.expect(&["c"]).await;
    assert_eq!(again[0].count, 2);
}

/// The broker knows nothing of the members.
pub async fn a_nack_of_a_member_without_batch_index_acks_brings_the_entry_whole<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("nack-whole"));
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b", "c"]).await;
    let mut rx = Opening::shared(&topic).whole_entries().open(&*broker).await;
    let got = rx.expect(&["a", "b", "c"]).await;
    drop(rx.consumer.ack(&ids(&got[..1])));
    rx.nack(&got[1..2]);
    let again = rx.expect(&["a", "b", "c"]).await;
    rx.ack(&again).await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// `PendingAcksMap`: what is not pending is not redelivered.
pub async fn a_nack_of_an_acked_message_does_nothing<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("nack-acked"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send("a").await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.expect(&["a"]).await;
    rx.ack(&got).await;
    rx.nack(&got);
    tx.send("b").await;
    rx.expect(&["b"]).await;
    rx.expect_nothing().await;
}

/// An ack removes the message from `redeliveryMessages`.
pub async fn an_ack_after_a_nack_keeps_the_message_away<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("ack-nacked"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send("a").await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.expect(&["a"]).await;
    rx.consumer.nack(&ids(&got), DELAY);
    rx.ack(&got).await;
    tokio::time::sleep(DELAY).await;
    tx.send("b").await;
    rx.expect(&["b"]).await;
    rx.expect_nothing().await;
}

/// `PersistentDispatcherMultipleConsumers.removeConsumer` puts pending messages back; the count does not grow (observed
/// on 4.2).
pub async fn messages_of_a_closed_consumer_go_to_the_others_uncounted<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("leaves"));
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b", "c"]).await;
    let mut one = Opening::shared(&topic).open(&*broker).await;
    let got = one.expect(&["a", "b", "c"]).await;
    let mut two = Opening::shared(&topic).open(&*broker).await;
    if fixture.features().batch_index_ack {
        one.ack(&got[..1]).await;
    }
    two.expect_nothing().await;
    one.close().await;
    let left = if fixture.features().batch_index_ack { &["b", "c"][..] } else { &["a", "b", "c"] };
    assert!(two.expect(left).await.iter().all(|got| got.count == 0));
}

/// As when a connection is lost: `ServerCnx.channelInactive`.
pub async fn a_dropped_consumer_counts_as_closed<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("dropped"));
    Tx::open(&*broker, &topic).await.send("a").await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["a"]).await;
    drop(rx);
    eventually("consumers", |consumers| *consumers == 0, || async { stats(&*broker, &topic).await.consumers }).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["a"]).await;
}

/// The delay lives in the client, and ends with its connection.
pub async fn what_waits_for_a_delayed_nack_comes_at_once_when_its_consumer_closes<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("nack-close"));
    Tx::open(&*broker, &topic).await.send("a").await;
    let mut one = Opening::shared(&topic).open(&*broker).await;
    let got = one.expect(&["a"]).await;
    one.consumer.nack(&ids(&got), Duration::from_secs(3600));
    let mut two = Opening::shared(&topic).open(&*broker).await;
    two.expect_nothing().await;
    one.close().await;
    two.expect(&["a"]).await;
}
