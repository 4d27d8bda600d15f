//! Exclusive and Failover: who is served, and in which order.

use super::Fixture;
use super::lab::{Opening, Tx};
use crate::Error;

/// Documentation, "Exclusive".
pub async fn an_exclusive_consumer_gets_everything_in_order<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("exclusive"));
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    let mut expected = Vec::new();
    for round in 0..20 {
        let batch: Vec<String> = (0..round % 4 + 1).map(|i| format!("{round}.{i}")).collect();
        tx.send_batch(&batch.iter().map(String::as_str).collect::<Vec<_>>()).await;
        expected.extend(batch);
    }
    rx.expect(&expected).await;
    rx.expect_active(true).await;
}

/// `AbstractDispatcherSingleActiveConsumer.addConsumer`: `ConsumerBusyException`.
pub async fn a_second_exclusive_consumer_is_refused_until_the_first_has_left<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("second"));
    let first = Opening::exclusive(&topic).open(&*broker).await;
    let refused = Opening::exclusive(&topic).silent(&*broker).await.err().unwrap();
    assert!(matches!(refused, Error::ConsumerBusy { .. }) && refused.is_transient(), "{refused}");
    first.close().await;
    Opening::exclusive(&topic).open(&*broker).await;
}

/// `PersistentSubscription.addConsumer`: `SubscriptionBusyException`, "Subscription is of different type".
pub async fn another_type_is_refused_while_consumers_are_connected<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("types"));
    let all = || {
        [
            Opening::exclusive(&topic),
            Opening::failover(&topic, 0, "f"),
            Opening::shared(&topic),
            Opening::key_shared(&topic),
        ]
    };
    for (at, present) in all().into_iter().enumerate() {
        let present = present.open(&*broker).await;
        for (other, wanted) in all().into_iter().enumerate().filter(|(other, _)| *other != at) {
            let refused = wanted.silent(&*broker).await.err().unwrap_or_else(|| panic!("{at} then {other}"));
            assert!(matches!(refused, Error::SubscriptionType { .. }), "{refused}");
        }
        present.close().await;
    }
}

/// `AbstractDispatcherSingleActiveConsumer.pickAndScheduleActiveConsumer` sorts by priority level, then by name;
/// ACTIVE_CONSUMER_CHANGE tells everybody (observed on 4.2).
pub async fn the_active_failover_consumer_is_the_first_by_priority_then_by_name<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("active"));
    let mut b = Opening::failover(&topic, 1, "b").open(&*broker).await;
    b.expect_active(true).await;
    let mut z = Opening::failover(&topic, 0, "z").open(&*broker).await;
    z.expect_active(true).await;
    b.expect_active(false).await;
    let mut y = Opening::failover(&topic, 0, "y").open(&*broker).await;
    y.expect_active(true).await;
    z.expect_active(false).await;
    Tx::open(&*broker, &topic).await.send_many("m", 3).await;
    y.expect(&["m0", "m1", "m2"]).await;
    b.expect_nothing().await;
    z.expect_nothing().await;
}

/// As above; the cursor rewinds, so what the old one has not acknowledged comes again.
pub async fn a_failover_consumer_of_better_priority_takes_over<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("takeover"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_many("m", 4).await;
    let mut old = Opening::failover(&topic, 3, "a").open(&*broker).await;
    let got = old.take(4).await;
    old.ack(&got[..1]).await;
    let mut new = Opening::failover(&topic, 1, "b").open(&*broker).await;
    new.expect(&["m1", "m2", "m3"]).await;
    old.expect_active(false).await;
    tx.send("m4").await;
    new.expect(&["m4"]).await;
    old.expect_nothing().await;
}

/// As above.
pub async fn a_failover_consumer_of_lower_priority_stands_by<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("standby"));
    let mut active = Opening::failover(&topic, 0, "b").open(&*broker).await;
    let mut standby = Opening::failover(&topic, 1, "a").open(&*broker).await;
    standby.expect_active(false).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 5).await;
    active.expect(&sent).await;
    standby.expect_nothing().await;
    active.close().await;
    standby.expect_active(true).await;
    standby.expect(&sent).await;
}

/// Documentation, "Failover": messages not acknowledged go to the next consumer.
pub async fn the_next_failover_consumer_gets_what_was_not_acked_in_order<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("next"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_batch(&["a", "b", "c"]).await;
    tx.send("d").await;
    let mut first = Opening::failover(&topic, 0, "1").open(&*broker).await;
    let mut second = Opening::failover(&topic, 0, "2").open(&*broker).await;
    let got = first.take(4).await;
    let remembered = fixture.features().batch_index_ack;
    if remembered {
        first.ack(&got[1..2]).await;
    }
    first.close().await;
    tx.send("e").await;
    let expected: &[&str] = if remembered { &["a", "c", "d", "e"] } else { &["a", "b", "c", "d", "e"] };
    second.expect(expected).await;
}

/// `AbstractDispatcherSingleActiveConsumer`: partition index modulo the number of consumers of the best priority.
pub async fn failover_consumers_share_the_partitions<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("spread"));
    broker.create_partitioned(&topic, 4).await.unwrap();
    for number in 0..4 {
        let partition = topic.with_partition(number);
        let mut one = Opening::failover(&partition, 0, "one").open(&*broker).await;
        let mut two = Opening::failover(&partition, 0, "two").open(&*broker).await;
        let mut worse = Opening::failover(&partition, 1, "a").open(&*broker).await;
        Tx::open(&*broker, &partition).await.send("m").await;
        let (active, idle) = if number % 2 == 0 { (&mut one, &mut two) } else { (&mut two, &mut one) };
        active.expect(&["m"]).await;
        idle.expect_nothing().await;
        worse.expect_nothing().await;
    }
}
