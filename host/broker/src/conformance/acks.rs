//! Acknowledging: what counts, and what comes again.

use super::Fixture;
use super::lab::{Opening, Tx, backlog, ids, is_quiet, keep_everything, soon};
use crate::{Error, MessageId};

/// Individual acks move the cursor: `PersistentSubscription.acknowledgeMessage`, `ManagedCursorImpl.asyncDelete`.
pub async fn an_acked_message_does_not_come_again<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("ack"));
    Tx::open(&*broker, &topic).await.send_many("m", 3).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.expect(&["m0", "m1", "m2"]).await;
    rx.ack(&got[..1]).await;
    rx.close().await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["m1", "m2"]).await;
}

/// The cursor rewinds when the last consumer leaves: `PersistentDispatcherSingleActiveConsumer.removeConsumer`.
pub async fn an_unacked_message_comes_again_to_the_next_consumer<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("unacked"));
    Tx::open(&*broker, &topic).await.send_many("m", 2).await;
    for opening in [Opening::exclusive(&topic), Opening::shared(&topic), Opening::key_shared(&topic)] {
        let mut rx = opening.open(&*broker).await;
        let got = rx.expect(&["m0", "m1"]).await;
        assert!(got.iter().all(|got| got.count == 0), "a new connection starts to count again");
        rx.close().await;
    }
}

/// Acks above the mark-delete position are kept as ranges: `ManagedCursorImpl.individualDeletedMessages`.
pub async fn acks_may_come_in_any_order<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("any-order"));
    Tx::open(&*broker, &topic).await.send_many("m", 6).await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.take(6).await;
    for index in [4, 1, 3] {
        rx.ack(&got[index..=index]).await;
    }
    assert_eq!(rx.consumer.mark_delete_position().await.unwrap(), Some(got[0].id.position));
    rx.close().await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let rest = rx.expect(&["m0", "m2", "m5"]).await;
    rx.ack(&rest[..2]).await;
    assert_eq!(rx.consumer.mark_delete_position().await.unwrap(), Some(got[5].id.position));
}

/// `ManagedCursorImpl.internalAsyncDelete` passes over positions that are deleted already.
pub async fn a_second_ack_does_nothing<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("second-ack"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_batch(&["a", "b", "c"]).await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.expect(&["a", "b", "c"]).await;
    if fixture.features().batch_index_ack {
        rx.ack(&got[..1]).await;
        rx.ack(&got[..1]).await;
        assert_eq!(backlog(&*broker, &topic).await, 2);
    }
    rx.ack(&got).await;
    rx.ack(&got).await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
    tx.send("d").await;
    rx.expect(&["d"]).await;
}

/// An ACK with an `ack_set` is remembered, and the entry comes again with what is left (observed on 4.2;
/// `PendingAcksMap`, `ManagedCursorImpl.batchDeletedIndexes`).
pub async fn one_member_acked_with_batch_index_acks_stays_away<F: Fixture>(fixture: F) {
    if !fixture.features().batch_index_ack {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("member"));
    keep_everything(&*broker, &topic).await;
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b", "c", "d"]).await;
    for opening in [Opening::exclusive(&topic).of("sub"), Opening::shared(&topic).of("other")] {
        let mut rx = opening.clone().open(&*broker).await;
        let got = rx.expect(&["a", "b", "c", "d"]).await;
        rx.ack(&[got[0].clone(), got[2].clone()]).await;
        rx.close().await;
        let mut rx = opening.open(&*broker).await;
        let rest = rx.expect(&["b", "d"]).await;
        assert_eq!((rest[0].id, rest[1].id), (got[1].id, got[3].id), "members keep their places");
        rx.ack(&rest).await;
        rx.close().await;
    }
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// Without batch-index acks the client must hold acks of members back: an ACK of `batch_index` alone acknowledges the
/// whole entry (observed on 4.2; the Java client's `BatchMessageAcker`).
pub async fn one_member_acked_without_batch_index_acks_brings_the_entry_whole<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("whole"));
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b", "c"]).await;
    let mut rx = Opening::shared(&topic).whole_entries().open(&*broker).await;
    let got = rx.expect(&["a", "b", "c"]).await;
    drop(rx.consumer.ack(&ids(&got[..2])));
    rx.close().await;
    let mut rx = Opening::shared(&topic).whole_entries().open(&*broker).await;
    rx.expect(&["a", "b", "c"]).await;
}

/// `BatchMessageAcker.ackIndividual`: the last member acknowledges the entry.
pub async fn all_members_acked_one_by_one_finish_the_entry<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("one-by-one"));
    keep_everything(&*broker, &topic).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_batch(&["a", "b", "c"]).await;
    for opening in [Opening::shared(&topic), Opening::shared(&topic).of("whole").whole_entries()] {
        let mut rx = opening.clone().open(&*broker).await;
        let got = rx.expect(&["a", "b", "c"]).await;
        let confirmations: Vec<_> = [1, 0, 2].map(|index: usize| rx.consumer.ack(&[got[index].id])).into();
        for confirmation in confirmations {
            soon("confirmation", confirmation).await.unwrap();
        }
        rx.close().await;
        let mut rx = opening.open(&*broker).await;
        rx.expect_nothing().await;
    }
}

/// As above, with all ids in one command (many ids in one ACK are allowed; observed on 4.2).
pub async fn members_acked_by_one_call_finish_the_entry<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("one-call"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_batch(&["a", "b"]).await;
    tx.send("c").await;
    tx.send_batch(&["d", "e"]).await;
    let mut rx = Opening::shared(&topic).whole_entries().open(&*broker).await;
    let got = rx.expect(&["a", "b", "c", "d", "e"]).await;
    rx.ack(&got).await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// A confirmation promises that the message does not come again, and without batch-index acks the broker knows entries
/// only.
pub async fn the_confirmation_of_a_member_waits_for_the_rest_of_its_entry<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("waits"));
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b"]).await;
    let mut rx = Opening::exclusive(&topic).whole_entries().open(&*broker).await;
    let got = rx.expect(&["a", "b"]).await;
    let mut first = rx.consumer.ack(&[got[0].id]);
    assert!(is_quiet(&mut first).await, "confirmed though the entry would come again");
    rx.ack(&got[1..]).await;
    soon("confirmation", first).await.unwrap();
}

/// Nobody will finish the entry for this consumer.
pub async fn the_confirmation_of_a_member_fails_when_the_consumer_ends<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("fails"));
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b"]).await;
    let mut rx = Opening::exclusive(&topic).whole_entries().open(&*broker).await;
    let got = rx.expect(&["a", "b"]).await;
    let confirmation = rx.consumer.ack(&[got[0].id]);
    rx.close().await;
    let error = soon("confirmation", confirmation).await.unwrap_err();
    assert!(matches!(error, Error::NotConfirmed), "{error}");
}

/// The broker sends what is left whoever asks; a consumer that holds acks back must count what it never saw.
pub async fn members_a_batch_index_consumer_acked_are_not_missed_by_one_without<F: Fixture>(fixture: F) {
    if !fixture.features().batch_index_ack {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("mixed-acks"));
    Tx::open(&*broker, &topic).await.send_batch(&["a", "b", "c"]).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.expect(&["a", "b", "c"]).await;
    rx.ack(&got[1..2]).await;
    rx.close().await;
    let mut rx = Opening::exclusive(&topic).whole_entries().open(&*broker).await;
    let got = rx.expect(&["a", "c"]).await;
    rx.ack(&got).await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// `PersistentSubscription.acknowledgeMessage` with `AckType.Cumulative`: `asyncMarkDelete`.
pub async fn a_cumulative_ack_covers_everything_before_it<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("cumulative"));
    keep_everything(&*broker, &topic).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_many("m", 5).await;
    for opening in [Opening::exclusive(&topic), Opening::failover(&topic, 0, "f").of("failover")] {
        let mut rx = opening.clone().open(&*broker).await;
        let got = rx.take(5).await;
        soon("confirmation", rx.consumer.ack_cumulative(got[3].id)).await.unwrap();
        soon("confirmation", rx.consumer.ack_cumulative(got[1].id)).await.unwrap();
        rx.close().await;
        let mut rx = opening.open(&*broker).await;
        rx.expect(&["m4"]).await;
    }
}

/// A cumulative ACK with an `ack_set` (`ManagedCursorImpl.asyncMarkDelete` with a batch position).
pub async fn a_cumulative_ack_inside_a_batch_leaves_the_rest<F: Fixture>(fixture: F) {
    if !fixture.features().batch_index_ack {
        return;
    }
    let (broker, topic) = (fixture.broker(), fixture.topic("cumulative-inside"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_batch(&["a", "b"]).await;
    tx.send_batch(&["c", "d", "e"]).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.take(5).await;
    soon("confirmation", rx.consumer.ack_cumulative(got[3].id)).await.unwrap();
    assert_eq!(backlog(&*broker, &topic).await, 1);
    rx.close().await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.expect(&["e"]).await;
    soon("confirmation", rx.consumer.ack_cumulative(got[0].id)).await.unwrap();
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// The Java client acknowledges the entry before (`PersistentAcknowledgmentsGroupingTracker.doCumulativeBatchIndexAck`
/// is for batch-index acks only).
pub async fn a_cumulative_ack_inside_a_batch_without_batch_index_acks_leaves_the_entry<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("cumulative-whole"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_batch(&["a", "b"]).await;
    tx.send_batch(&["c", "d", "e"]).await;
    let mut rx = Opening::exclusive(&topic).whole_entries().open(&*broker).await;
    let got = rx.take(5).await;
    let inside = rx.consumer.ack_cumulative(got[3].id);
    rx.close().await;
    assert!(soon("confirmation", inside).await.is_err());
    let mut rx = Opening::exclusive(&topic).whole_entries().open(&*broker).await;
    let got = rx.expect(&["c", "d", "e"]).await;
    soon("confirmation", rx.consumer.ack_cumulative(got[2].id)).await.unwrap();
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// `Consumer.messageAcked` refuses cumulative acks in individual mode; documentation of the subscription types.
pub async fn a_cumulative_ack_is_refused_where_many_read<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("cumulative-refused"));
    Tx::open(&*broker, &topic).await.send_many("m", 2).await;
    for opening in [Opening::shared(&topic), Opening::key_shared(&topic).of("keys")] {
        let mut rx = opening.open(&*broker).await;
        let got = rx.take(2).await;
        let error = soon("refusal", rx.consumer.ack_cumulative(got[1].id)).await.unwrap_err();
        assert!(matches!(error, Error::CumulativeAck(_)), "{error}");
        rx.close().await;
    }
    assert_eq!(backlog(&*broker, &topic).await, 2);
}

/// Positions are valid in their ledger only.
pub async fn an_ack_of_another_topic_does_nothing<F: Fixture>(fixture: F) {
    let (broker, topic, other) = (fixture.broker(), fixture.topic("mine"), fixture.topic("other"));
    Tx::open(&*broker, &topic).await.send("mine").await;
    let elsewhere = Tx::open(&*broker, &other).await.send("other").await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["mine"]).await;
    let id = MessageId { position: elsewhere, partition: -1, batch_index: -1 };
    soon("confirmation", rx.consumer.ack(&[id])).await.ok();
    assert_eq!(backlog(&*broker, &topic).await, 1);
}

/// Acks name positions, so they count whoever holds the message now: `PersistentSubscription.acknowledgeMessage`.
pub async fn an_ack_from_a_consumer_that_was_replaced_counts<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("replaced"));
    Tx::open(&*broker, &topic).await.send_many("m", 3).await;
    let mut old = Opening::failover(&topic, 5, "old").open(&*broker).await;
    let got = old.expect(&["m0", "m1", "m2"]).await;
    let mut new = Opening::failover(&topic, 0, "new").silent(&*broker).await.unwrap();
    new.expect_active(true).await;
    old.ack(&got[..2]).await;
    new.consumer.grant(10);
    new.expect(&["m2"]).await;
}

/// A confirmed ack is durable here. (Pulsar itself persists cursors lazily, so there the client can promise it only as
/// far as the broker lives: `managedLedgerCursorFlush...`.)
pub async fn a_confirmed_ack_survives_a_kill<F: Fixture>(mut fixture: F) {
    if !fixture.features().durable {
        return;
    }
    let topic = fixture.topic("ack-kill");
    {
        let broker = fixture.broker();
        Tx::open(&*broker, &topic).await.send_many("m", 4).await;
        let mut rx = Opening::exclusive(&topic).open(&*broker).await;
        let got = rx.take(4).await;
        rx.ack(&got[..2]).await;
        rx.ack(&got[3..]).await;
    }
    fixture.kill().await;
    let broker = fixture.broker();
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.expect(&["m2"]).await;
    rx.expect_nothing().await;
}

/// The same for a member of a batch.
pub async fn a_confirmed_ack_of_a_member_survives_a_kill<F: Fixture>(mut fixture: F) {
    if !fixture.features().durable || !fixture.features().batch_index_ack {
        return;
    }
    let topic = fixture.topic("member-kill");
    let texts: Vec<String> = (0..130).map(|i| format!("m{i}")).collect();
    {
        let broker = fixture.broker();
        let borrowed: Vec<_> = texts.iter().map(String::as_str).collect();
        Tx::open(&*broker, &topic).await.send_batch(&borrowed).await;
        let mut rx = Opening::exclusive(&topic).open(&*broker).await;
        let got = rx.expect(&texts).await;
        rx.ack(&got[..64]).await;
        rx.ack(&got[65..129]).await;
    }
    fixture.kill().await;
    let broker = fixture.broker();
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.expect(&["m64", "m129"]).await;
    rx.ack(&got).await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// Acks above the mark-delete position are persisted (`ManagedLedgerInternalStats.cursors.individuallyDeletedMessages`).
pub async fn acks_out_of_order_survive_a_restart<F: Fixture>(mut fixture: F) {
    if !fixture.features().durable {
        return;
    }
    let topic = fixture.topic("holes");
    {
        let broker = fixture.broker();
        Tx::open(&*broker, &topic).await.send_many("m", 6).await;
        let mut rx = Opening::shared(&topic).open(&*broker).await;
        let got = rx.take(6).await;
        rx.ack(&[got[5].clone(), got[1].clone(), got[3].clone()]).await;
    }
    fixture.restart().await;
    {
        let broker = fixture.broker();
        let mut rx = Opening::shared(&topic).open(&*broker).await;
        let got = rx.expect(&["m0", "m2", "m4"]).await;
        rx.ack(&got[..2]).await;
    }
    fixture.restart().await;
    let broker = fixture.broker();
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    rx.expect(&["m4"]).await;
}
