//! Moving the cursor: `PersistentSubscription.resetCursor`. Another subscription keeps the messages.

use super::Fixture;
use super::lab::{Opening, Tx, backlog, keep_everything, now_ms, soon};
use crate::{Error, MessageId, SeekTo};

/// `PersistentTopicsBase.internalResetCursor` to the earliest position.
pub async fn a_seek_to_the_start_brings_everything_again<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-start"));
    keep_everything(&*broker, &topic).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 6).await;
    for opening in [Opening::exclusive(&topic), Opening::shared(&topic), Opening::key_shared(&topic)] {
        let mut rx = opening.open(&*broker).await;
        let got = rx.take(6).await;
        rx.ack(&got[..4]).await;
        soon("seek", rx.consumer.seek(SeekTo::Earliest)).await.unwrap();
        rx.expect_reset().await;
        let again = rx.expect(&sent).await;
        assert!(again.iter().all(|got| got.count == 0));
        rx.consumer.seek(SeekTo::Earliest).await.unwrap();
        rx.close().await;
    }
}

/// To the latest position.
pub async fn a_seek_to_the_end_skips_everything<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-end"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_many("m", 5).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.take(2).await;
    soon("seek", rx.consumer.seek(SeekTo::Latest)).await.unwrap();
    rx.expect_reset().await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
    tx.send("new").await;
    rx.expect(&["new"]).await;
}

/// `CommandSeek.message_id`.
pub async fn a_seek_to_a_message_brings_it_next<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-message"));
    keep_everything(&*broker, &topic).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    let mut positions = Vec::new();
    for text in ["a", "b", "c", "d"] {
        positions.push(tx.send(text).await);
    }
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    for (at, rest) in [(1, &["b", "c", "d"][..]), (3, &["d"]), (0, &["a", "b", "c", "d"])] {
        let id = MessageId { position: positions[at], partition: -1, batch_index: -1 };
        soon("seek", rx.consumer.seek(SeekTo::Message(id))).await.unwrap();
        rx.expect_reset().await;
        let got = rx.expect(rest).await;
        rx.ack(&got).await;
    }
}

/// `CommandSeek.message_id.ack_set`: the members before the message are acknowledged.
pub async fn a_seek_into_a_batch_brings_the_rest_of_it<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-inside"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send("before").await;
    tx.send_batch(&["a", "b", "c"]).await;
    tx.send("after").await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let got = rx.take(5).await;
    soon("seek", rx.consumer.seek(SeekTo::Message(got[2].id))).await.unwrap();
    rx.expect_reset().await;
    let rest = rx.expect(&["b", "c", "after"]).await;
    assert_eq!(rest[0].id, got[2].id);
    rx.ack(&rest).await;
    assert_eq!(backlog(&*broker, &topic).await, 0);
}

/// `CommandSeek.message_publish_time`.
pub async fn a_seek_to_a_time_brings_what_was_published_since<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-time"));
    keep_everything(&*broker, &topic).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_many("old", 7).await;
    // Published in another millisecond.
    let between = now_ms() + 2;
    while now_ms() < between {
        tokio::task::yield_now().await;
    }
    let new = tx.send_many("new", 5).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    rx.take(12).await;
    soon("seek", rx.consumer.seek(SeekTo::PublishTime(between))).await.unwrap();
    rx.expect_reset().await;
    rx.expect(&new).await;
    soon("seek", rx.consumer.seek(SeekTo::PublishTime(now_ms() + 3_600_000))).await.unwrap();
    rx.expect_reset().await;
    rx.expect_nothing().await;
    soon("seek", rx.consumer.seek(SeekTo::PublishTime(0))).await.unwrap();
    rx.expect_reset().await;
    assert_eq!(rx.one().await.text, "old0");
}

/// `PersistentSubscription.resetCursor` disconnects all consumers, so all of them notice.
pub async fn a_seek_tells_every_consumer<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-all"));
    keep_everything(&*broker, &topic).await;
    Tx::open(&*broker, &topic).await.send_many("m", 2).await;
    let mut one = Opening::shared(&topic).open(&*broker).await;
    let mut two = Opening::shared(&topic).open(&*broker).await;
    soon("seek", one.consumer.seek(SeekTo::Latest)).await.unwrap();
    one.expect_reset().await;
    two.expect_reset().await;
}

/// Cursors are apart.
pub async fn a_seek_leaves_other_subscriptions_alone<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-other"));
    Tx::open(&*broker, &topic).await.send_many("m", 4).await;
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    let mut other = Opening::exclusive(&topic).of("other").open(&*broker).await;
    rx.take(4).await;
    let got = other.take(4).await;
    soon("seek", rx.consumer.seek(SeekTo::Latest)).await.unwrap();
    other.ack(&got[..2]).await;
    assert_eq!(other.resets, 0);
    other.close().await;
    Opening::exclusive(&topic).of("other").open(&*broker).await.expect(&["m2", "m3"]).await;
}

/// [`Event::Reset`](crate::Event::Reset) promises it: what was settled before the seek is not what comes after it.
pub async fn an_ack_from_before_a_seek_does_no_harm<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-ack"));
    keep_everything(&*broker, &topic).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 4).await;
    for opening in [Opening::exclusive(&topic), Opening::shared(&topic).of("shared")] {
        let mut rx = opening.silent(&*broker).await.unwrap();
        rx.consumer.grant(4);
        let got = rx.take(4).await;
        soon("seek", rx.consumer.seek(SeekTo::Earliest)).await.unwrap();
        rx.ack(&got).await;
        rx.nack(&got[..1]);
        rx.expect_reset().await;
        rx.consumer.grant(4);
        let again = rx.expect(&sent).await;
        rx.ack(&again).await;
        assert_eq!(rx.consumer.mark_delete_position().await.unwrap(), None);
    }
}

/// As above; a cumulative ack would skip what was asked for.
pub async fn a_cumulative_ack_from_before_a_seek_does_no_harm<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-cumulative"));
    keep_everything(&*broker, &topic).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 4).await;
    let mut rx = Opening::exclusive(&topic).silent(&*broker).await.unwrap();
    rx.consumer.grant(4);
    let got = rx.take(4).await;
    soon("seek", rx.consumer.seek(SeekTo::Earliest)).await.unwrap();
    soon("confirmation", rx.consumer.ack_cumulative(got[3].id)).await.unwrap();
    rx.expect_reset().await;
    rx.consumer.grant(2);
    let again = rx.expect(&sent[..2]).await;
    soon("confirmation", rx.consumer.ack_cumulative(again[1].id)).await.unwrap();
    rx.consumer.grant(2);
    rx.expect(&sent[2..]).await;
    assert_eq!(backlog(&*broker, &topic).await, 2);
}

/// The cursor is persisted by the reset.
pub async fn a_seek_survives_a_kill<F: Fixture>(mut fixture: F) {
    if !fixture.features().durable {
        return;
    }
    let topic = fixture.topic("seek-kill");
    let sent = {
        let broker = fixture.broker();
        keep_everything(&*broker, &topic).await;
        let sent = Tx::open(&*broker, &topic).await.send_many("m", 6).await;
        let mut rx = Opening::shared(&topic).open(&*broker).await;
        let got = rx.take(6).await;
        rx.ack(&[got[0].clone(), got[2].clone(), got[4].clone()]).await;
        soon("seek", rx.consumer.seek(SeekTo::Message(got[1].id))).await.unwrap();
        sent
    };
    fixture.kill().await;
    let broker = fixture.broker();
    Opening::shared(&topic).open(&*broker).await.expect(&sent[1..]).await;
}

/// What the consumer granted and has not seen used is still granted: the Java client counts its queue anew.
pub async fn permits_of_what_was_not_seen_are_not_lost_in_a_seek<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("seek-permits"));
    keep_everything(&*broker, &topic).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 5).await;
    let mut rx = Opening::exclusive(&topic).silent(&*broker).await.unwrap();
    rx.consumer.grant(5);
    // Five are on their way and none is taken.
    soon("seek", rx.consumer.seek(SeekTo::Earliest)).await.unwrap();
    rx.expect_reset().await;
    rx.expect(&sent).await;
    let closed = rx.consumer.close().await;
    assert!(closed.is_ok());
    let error = soon("end", rx.consumer.next()).await.unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
}
