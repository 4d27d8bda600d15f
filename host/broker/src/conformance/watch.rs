//! Who is told of topics that come, go and grow. Pulsar: `TopicListService` for patterns (`CommandWatchTopicList`);
//! its clients look for partitions themselves.

use futures::StreamExt;

use super::Fixture;
use super::lab::{Tx, is_quiet, soon};
use crate::topic::{Pattern, TopicName};
use crate::{Broker, Changes, Watched};

fn pattern<F: Fixture>(fixture: &F, name: &str) -> Watched {
    let text = format!("{}.*", fixture.topic(name));
    let matching = Some(Pattern::parse_in(&text, "public", "default").unwrap());
    Watched { matching, ..Watched::default() }
}

fn partitions(topic: &TopicName) -> Watched {
    Watched { partitions_of: vec![topic.clone()], ..Watched::default() }
}

/// Watches, and hears what is told without need at the start.
async fn settled(broker: &dyn Broker, watched: Watched) -> Changes {
    let mut changes = broker.watch(watched);
    while !is_quiet(changes.next()).await {}
    changes
}

async fn expect_change(changes: &mut Changes) {
    soon("change", changes.next()).await.expect("an item").unwrap();
}

/// `TopicListService.TopicListWatcher.accept`.
pub async fn a_new_topic_is_told_to_those_whose_pattern_it_matches<F: Fixture>(fixture: F) {
    let broker = fixture.broker();
    let mut changes = settled(&*broker, pattern(&fixture, "made-")).await;
    for name in ["made-1", "made-2"] {
        Tx::open(&*broker, &fixture.topic(name)).await;
        expect_change(&mut changes).await;
    }
}

/// The same.
pub async fn a_removed_topic_is_told_to_those_whose_pattern_it_matched<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("removed-1"));
    Tx::open(&*broker, &topic).await.producer.close().await.unwrap();
    let mut changes = settled(&*broker, pattern(&fixture, "removed-")).await;
    broker.delete_topic(&topic).await.unwrap();
    expect_change(&mut changes).await;
}

/// Pulsar's clients look (`autoUpdatePartitionsInterval`).
pub async fn new_partitions_are_told_to_those_who_watch_the_topic<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("watched"));
    let mut changes = settled(&*broker, partitions(&topic)).await;
    for count in [1, 3] {
        broker.create_partitioned(&topic, count).await.unwrap();
        expect_change(&mut changes).await;
        assert_eq!(broker.partitions(&topic).await.unwrap(), Some(count));
    }
}

/// A partition is a topic of its own in what Pulsar tells.
pub async fn new_partitions_are_told_to_those_whose_pattern_matches<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("grows"));
    broker.create_partitioned(&topic, 1).await.unwrap();
    let mut changes = settled(&*broker, pattern(&fixture, "grow")).await;
    broker.create_partitioned(&topic, 2).await.unwrap();
    expect_change(&mut changes).await;
}

/// Many functions watch, and most changes concern few of them.
pub async fn other_topics_wake_nobody<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("mine"));
    let mut named = settled(&*broker, partitions(&topic)).await;
    let mut matching = settled(&*broker, pattern(&fixture, "mine")).await;
    // To use a topic is to make it: its readers must not be told of what they do themselves.
    Tx::open(&*broker, &topic).await;
    expect_change(&mut matching).await;
    Tx::open(&*broker, &fixture.topic("other")).await;
    broker.create_partitioned(&fixture.topic("another"), 2).await.unwrap();
    broker.delete_topic(&fixture.topic("other")).await.unwrap();
    assert!(is_quiet(named.next()).await, "told of another topic");
    assert!(is_quiet(matching.next()).await, "told of a topic that does not match");
}

/// Between two looks.
pub async fn what_changes_before_anybody_asks_is_told<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("early"));
    let mut named = settled(&*broker, partitions(&topic)).await;
    let mut matching = settled(&*broker, pattern(&fixture, "early")).await;
    broker.create_partitioned(&topic, 2).await.unwrap();
    expect_change(&mut named).await;
    expect_change(&mut matching).await;
}
