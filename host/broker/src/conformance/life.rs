//! Topics and subscriptions as they come and go.

use super::Fixture;
use super::lab::{Opening, Tx, backlog, eventually, numbered, soon, stats};
use crate::topic::Pattern;
use crate::{Error, Event, InitialPosition};

/// `PartitionedTopicMetadata.partitions` is 0 for other topics.
pub async fn a_topic_has_no_partitions_until_they_are_made<F: Fixture>(fixture: F) {
    let (broker, plain, parted) = (fixture.broker(), fixture.topic("plain"), fixture.topic("parted"));
    assert_eq!(broker.partitions(&plain).await.unwrap(), None);
    Tx::open(&*broker, &plain).await.send("m").await;
    assert_eq!(broker.partitions(&plain).await.unwrap(), None);
    broker.create_partitioned(&parted, 3).await.unwrap();
    assert_eq!(broker.partitions(&parted).await.unwrap(), Some(3));
}

/// `PersistentTopicsBase.internalUpdatePartitionedTopic`.
pub async fn partitions_can_only_become_more<F: Fixture>(fixture: F) {
    let (broker, plain, parted) = (fixture.broker(), fixture.topic("only-plain"), fixture.topic("only-more"));
    Tx::open(&*broker, &plain).await.send("m").await;
    broker.create_partitioned(&parted, 2).await.unwrap();
    broker.create_partitioned(&parted, 4).await.unwrap();
    for (topic, partitions) in [(&parted, 3), (&parted, 0), (&plain, 2)] {
        let refused = broker.create_partitioned(topic, partitions).await.unwrap_err();
        assert!(matches!(refused, Error::Partitions { .. }), "{refused}");
    }
    assert_eq!(broker.partitions(&parted).await.unwrap(), Some(4));
}

/// Clients address partitions; the name of the whole is no topic of a broker.
pub async fn a_partitioned_topic_is_used_by_its_partitions<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("by-partition"));
    broker.create_partitioned(&topic, 2).await.unwrap();
    assert!(Tx::named(&*broker, &topic, "p").await.is_err());
    assert!(Opening::exclusive(&topic).silent(&*broker).await.is_err());
    assert!(Tx::named(&*broker, &topic.with_partition(2), "p").await.is_err(), "beyond the last");
    for number in 0..2 {
        let partition = topic.with_partition(number);
        Tx::open(&*broker, &partition).await.send(&format!("m{number}")).await;
        Opening::exclusive(&partition).open(&*broker).await.expect(&[format!("m{number}")]).await;
    }
    assert_eq!(backlog(&*broker, &topic).await, 2, "counted over the partitions");
}

/// `PersistentTopicsBase.createSubscriptions` for new partitions.
pub async fn new_partitions_have_the_subscriptions_of_the_topic<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("grow"));
    broker.create_partitioned(&topic, 1).await.unwrap();
    broker.create_subscription(&topic, "sub", InitialPosition::Latest).await.unwrap();
    broker.create_partitioned(&topic, 3).await.unwrap();
    let new = topic.with_partition(2);
    Tx::open(&*broker, &new).await.send("early").await;
    Opening::exclusive(&new).latest().open(&*broker).await.expect(&["early"]).await;
}

/// `CommandGetTopicsOfNamespace`, with partitions counted as their topic.
pub async fn topics_are_found_by_pattern<F: Fixture>(fixture: F) {
    let broker = fixture.broker();
    let (one, two, other) = (fixture.topic("found-1"), fixture.topic("found-2"), fixture.topic("lost"));
    let base = one.local_name().trim_end_matches('1');
    let text = format!("persistent://{}/{}/{base}.*", one.tenant(), one.namespace());
    let pattern = Pattern::parse_in(&text, "public", "default").unwrap();
    assert!(broker.topics(&pattern).await.unwrap().is_empty());
    Tx::open(&*broker, &one).await;
    Tx::open(&*broker, &other).await;
    assert_eq!(broker.topics(&pattern).await.unwrap(), std::slice::from_ref(&one));
    broker.create_partitioned(&two, 3).await.unwrap();
    assert_eq!(broker.topics(&pattern).await.unwrap(), [one, two]);
}

/// `PersistentTopicsBase.internalCreateSubscription`.
pub async fn a_subscription_made_ahead_keeps_what_follows<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("ahead"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send("before").await;
    broker.create_subscription(&topic, "sub", InitialPosition::Latest).await.unwrap();
    tx.send("after").await;
    broker.create_subscription(&topic, "sub", InitialPosition::Earliest).await.unwrap();
    Opening::exclusive(&topic).open(&*broker).await.expect(&["after"]).await;
}

/// `PersistentSubscription.delete`.
pub async fn a_deleted_subscription_is_gone<F: Fixture>(mut fixture: F) {
    let topic = fixture.topic("unsubscribe");
    {
        let broker = fixture.broker();
        broker.create_subscription(&topic, "keeper", InitialPosition::Earliest).await.unwrap();
        Tx::open(&*broker, &topic).await.send_many("m", 3).await;
        let mut rx = Opening::shared(&topic).open(&*broker).await;
        let got = rx.take(3).await;
        rx.ack(&got[1..2]).await;
        rx.close().await;
        broker.delete_subscription(&topic, "sub").await.unwrap();
        let names: Vec<_> = broker.subscriptions(&topic).await.unwrap().into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["keeper"]);
    }
    if fixture.features().durable {
        fixture.kill().await;
    }
    let broker = fixture.broker();
    // A new one of that name starts anew.
    Opening::shared(&topic).open(&*broker).await.expect(&["m0", "m1", "m2"]).await;
}

/// `SubscriptionBusyException`.
pub async fn a_subscription_in_use_is_not_deleted<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("in-use"));
    let rx = Opening::exclusive(&topic).open(&*broker).await;
    let refused = broker.delete_subscription(&topic, "sub").await.unwrap_err();
    assert!(matches!(refused, Error::SubscriptionBusy { .. }), "{refused}");
    rx.close().await;
    broker.delete_subscription(&topic, "sub").await.unwrap();
}

/// `PersistentTopic.delete`; a topic made again has other ledgers.
pub async fn a_deleted_topic_ends_its_users_and_can_be_made_again<F: Fixture>(mut fixture: F) {
    let topic = fixture.topic("delete");
    let old = {
        let broker = fixture.broker();
        let mut tx = Tx::named(&*broker, &topic, "p").await.unwrap();
        let old = tx.send("old").await;
        let rx = Opening::exclusive(&topic).silent(&*broker).await.unwrap();
        broker.delete_topic(&topic).await.unwrap();
        let gone = loop {
            match soon("end", rx.consumer.next()).await {
                Ok(Event::Active(_)) => {}
                other => break other.unwrap_err(),
            }
        };
        assert!(matches!(gone, Error::TopicNotFound(_)), "{gone}");
        let gone = soon("refusal", tx.producer.send(numbered(9, "late"))).await.unwrap_err();
        assert!(matches!(gone, Error::TopicNotFound(_)), "{gone}");
        assert!(broker.subscriptions(&topic).await.is_err());
        old
    };
    if fixture.features().durable {
        fixture.restart().await;
    }
    let broker = fixture.broker();
    let mut tx = Tx::named(&*broker, &topic, "p").await.unwrap();
    assert_eq!(tx.producer.last_sequence_id(), None, "nothing is left of the old one");
    let new = tx.send("new").await;
    assert!(new.ledger > old.ledger, "{new:?} after {old:?}");
    Opening::exclusive(&topic).open(&*broker).await.expect(&["new"]).await;
}

/// `TopicNotFoundException`, `SubscriptionNotFoundException`.
pub async fn what_does_not_exist_is_said_not_to<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("missing"));
    assert!(matches!(broker.delete_topic(&topic).await, Err(Error::TopicNotFound(_))));
    assert!(matches!(broker.subscriptions(&topic).await, Err(Error::TopicNotFound(_))));
    assert!(matches!(broker.delete_subscription(&topic, "sub").await, Err(Error::TopicNotFound(_))));
    Tx::open(&*broker, &topic).await;
    let missing = broker.delete_subscription(&topic, "sub").await.unwrap_err();
    assert!(matches!(missing, Error::SubscriptionNotFound { .. }), "{missing}");
}

/// `SubscriptionStats.msgBacklog`, `unackedMessages`, with the members of a batch counted one by one.
pub async fn a_backlog_counts_messages_and_what_is_held<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("stats"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send_batch(&["a", "b", "c"]).await;
    tx.send("d").await;
    let mut rx = Opening::shared(&topic).silent(&*broker).await.unwrap();
    rx.consumer.grant(3);
    let got = rx.expect(&["a", "b", "c"]).await;
    let seen = stats(&*broker, &topic).await;
    assert_eq!((seen.backlog, seen.unacked, seen.consumers), (4, 3, 1));
    rx.ack(&got).await;
    let seen = stats(&*broker, &topic).await;
    assert_eq!((seen.backlog, seen.unacked), (1, 0));
    rx.close().await;
    eventually("consumers", |consumers| *consumers == 0, || async { stats(&*broker, &topic).await.consumers }).await;
}

/// `ManagedCursor.getFirstPosition` after the mark-delete position.
pub async fn the_first_unacked_entry_is_known<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("mark"));
    let mut rx = Opening::exclusive(&topic).open(&*broker).await;
    assert_eq!(rx.consumer.mark_delete_position().await.unwrap(), None);
    let mut tx = Tx::open(&*broker, &topic).await;
    let first = tx.send("a").await;
    let second = tx.send("b").await;
    let got = rx.take(2).await;
    assert_eq!(rx.consumer.mark_delete_position().await.unwrap(), Some(first));
    rx.ack(&got[..1]).await;
    assert_eq!(rx.consumer.mark_delete_position().await.unwrap(), Some(second));
    rx.ack(&got[1..]).await;
    assert_eq!(rx.consumer.mark_delete_position().await.unwrap(), None);
}

/// Whoever has been told that it is subscribed misses nothing.
pub async fn a_publish_after_subscribe_at_latest_arrives<F: Fixture>(fixture: F) {
    let broker = fixture.broker();
    for round in 0..20 {
        let topic = fixture.topic(&format!("latest-{round}"));
        let mut tx = Tx::open(&*broker, &topic).await;
        let noise = tx.batch(&["noise"]);
        let noise = tx.producer.send(noise);
        let mut rx = Opening::exclusive(&topic).latest().open(&*broker).await;
        tx.send("first").await;
        noise.await.unwrap();
        let got = rx.one().await;
        if got.text == "noise" {
            rx.expect(&["first"]).await;
        } else {
            assert_eq!(got.text, "first");
        }
    }
}

/// All of it is on disk.
pub async fn a_restart_keeps_topics_cursors_and_backlogs<F: Fixture>(mut fixture: F) {
    if !fixture.features().durable {
        return;
    }
    let (topic, parted) = (fixture.topic("restart"), fixture.topic("restart-parted"));
    let before = {
        let broker = fixture.broker();
        broker.create_partitioned(&parted, 2).await.unwrap();
        broker.create_subscription(&parted, "sub", InitialPosition::Earliest).await.unwrap();
        Tx::open(&*broker, &parted.with_partition(1)).await.send("p").await;
        let mut tx = Tx::open(&*broker, &topic).await;
        tx.send_many("m", 10).await;
        tx.send_batch(&["x", "y", "z"]).await;
        let mut rx = Opening::shared(&topic).open(&*broker).await;
        let got = rx.take(13).await;
        rx.ack(&got[..4]).await;
        rx.ack(&got[6..8]).await;
        rx.close().await;
        broker.subscriptions(&topic).await.unwrap()
    };
    assert_eq!(before[0].backlog, 7);
    fixture.restart().await;
    let broker = fixture.broker();
    assert_eq!(broker.subscriptions(&topic).await.unwrap(), before);
    assert_eq!(broker.partitions(&parted).await.unwrap(), Some(2));
    assert_eq!(backlog(&*broker, &parted).await, 1);
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    rx.expect(&["m4", "m5", "m8", "m9", "x", "y", "z"]).await;
    let next = Tx::open(&*broker, &topic).await.send("new").await;
    assert_eq!(rx.expect(&["new"]).await[0].id.position, next, "positions go on");
}

/// A closed consumer or producer answers; it does not hang.
pub async fn a_closed_handle_says_so<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("closed"));
    let mut tx = Tx::open(&*broker, &topic).await;
    tx.send("m").await;
    let mut rx = Opening::shared(&topic).open(&*broker).await;
    let got = rx.one().await;
    soon("close", rx.consumer.close()).await.unwrap();
    soon("close again", rx.consumer.close()).await.unwrap();
    assert!(matches!(soon("end", rx.consumer.next()).await, Err(Error::Closed)));
    // Neither grants nor settling disturb anybody now.
    rx.consumer.grant(5);
    rx.nack(&[got]);
    tx.producer.close().await.unwrap();
    let late = soon("refusal", tx.producer.send(numbered(100, "late"))).await.unwrap_err();
    assert!(matches!(late, Error::Closed), "{late}");
}
