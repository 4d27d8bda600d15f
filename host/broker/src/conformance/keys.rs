//! Key_Shared: who serves which key, and in which order.

use std::collections::HashMap;

use super::Fixture;
use super::lab::{Got, Opening, Rx, Tx, eventually, stats, texts};
use crate::batch::{BatchBuilder, Key, Outgoing};
use crate::{Error, routing};

/// Documentation, "Key_Shared".
pub async fn messages_of_a_key_go_to_one_consumer_in_order<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("keys"));
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(Opening::key_shared(&topic).open(&*broker).await);
    }
    let mut tx = Tx::open(&*broker, &topic).await;
    for i in 0..300 {
        tx.send_keyed(&format!("k{}", i % 30), &format!("k{} {i:04}", i % 30)).await;
    }
    let mut owner: HashMap<String, usize> = HashMap::new();
    let mut served = 0;
    for (at, rx) in all.iter_mut().enumerate() {
        let got = drain(rx).await;
        assert!(!got.is_empty(), "consumer {at} serves no key of thirty");
        served += got.len();
        for key in by_key(&got) {
            assert!(key.1.is_sorted(), "{key:?}");
            assert_eq!(*owner.entry(key.0).or_insert(at), at, "a key went to two consumers");
        }
    }
    assert_eq!((served, owner.len()), (300, 30));
}

/// Everything that is there for it.
async fn drain(rx: &mut Rx) -> Vec<Got> {
    let mut got = Vec::new();
    while let Ok(next) = tokio::time::timeout(std::time::Duration::from_millis(200), rx.one()).await {
        got.push(next);
    }
    got
}

/// Texts by the key that they start with.
fn by_key(got: &[Got]) -> HashMap<String, Vec<&str>> {
    let mut keys: HashMap<String, Vec<&str>> = HashMap::new();
    for text in texts(got) {
        keys.entry(text.split(' ').next().unwrap().to_owned()).or_default().push(text);
    }
    keys
}

/// PIP-379, "Key_Shared Draining Hashes": joins and leaves while messages are held keep the order of each key. Each
/// message is taken, checked and acknowledged; whoever sees one twice or out of turn fails the case.
pub async fn every_key_is_served_while_consumers_come_and_go<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("come-and-go"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let mut consumers: Vec<Rx> = vec![Opening::key_shared(&topic).open(&*broker).await];
    let mut seen: HashMap<String, Vec<String>> = HashMap::new();
    let mut number = 0;
    for round in 0..12 {
        for _ in 0..40 {
            tx.send_keyed(&format!("k{}", number % 16), &format!("k{} {number:05}", number % 16)).await;
            number += 1;
        }
        match round % 3 {
            0 => consumers.push(Opening::key_shared(&topic).open(&*broker).await),
            1 if consumers.len() > 1 => consumers.remove(0).close().await,
            _ => {}
        }
        for rx in &mut consumers {
            // Some stay in its hands until the next round, and come to somebody else if it leaves.
            for _ in 0..10 {
                if let Ok(got) = tokio::time::timeout(std::time::Duration::from_millis(20), rx.one()).await {
                    settle(&mut seen, rx, got).await;
                }
            }
        }
    }
    let total = number as usize;
    let mut at = 0;
    while seen.values().map(Vec::len).sum::<usize>() < total {
        at = (at + 1) % consumers.len();
        let rx = &mut consumers[at];
        if let Ok(got) = tokio::time::timeout(std::time::Duration::from_millis(50), rx.one()).await {
            settle(&mut seen, rx, got).await;
        }
    }
    for (key, texts) in seen {
        assert!(texts.is_sorted(), "{key}: {texts:?}");
        assert_eq!(texts.len(), total / 16, "{key}");
    }
}

async fn settle(seen: &mut HashMap<String, Vec<String>>, rx: &Rx, got: Got) {
    let key = got.text.split(' ').next().unwrap().to_owned();
    seen.entry(key).or_default().push(got.text.clone());
    rx.ack(&[got]).await;
}

/// PIP-379; `DrainingHashesTracker`.
pub async fn a_consumer_that_joins_gets_no_message_of_a_key_before_the_old_one_has_acked<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("draining"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let mut old = Opening::key_shared(&topic).open(&*broker).await;
    let keys: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    for key in &keys {
        tx.send_keyed(key, &format!("{key} 1")).await;
    }
    let held = old.take(keys.len()).await;
    let mut new = Opening::key_shared(&topic).open(&*broker).await;
    for key in &keys {
        tx.send_keyed(key, &format!("{key} 2")).await;
    }
    let stay = drain(&mut old).await;
    new.expect_nothing().await;
    old.ack(&held).await;
    let moved = new.take(keys.len() - stay.len()).await;
    assert!(!moved.is_empty() && !stay.is_empty());
    assert!(moved.iter().all(|got| got.text.ends_with(" 2")), "{moved:?}");
    assert!(stay.iter().all(|got| moved.iter().all(|moved| moved.text != got.text)));
}

/// `PersistentStickyKeyDispatcherMultipleConsumers.removeConsumer`: what was pending comes before what follows.
pub async fn messages_of_a_key_go_on_in_order_when_their_consumer_leaves<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("key-leave"));
    let mut tx = Tx::open(&*broker, &topic).await;
    let mut one = Opening::key_shared(&topic).open(&*broker).await;
    let mut two = Opening::key_shared(&topic).open(&*broker).await;
    for i in 0..60 {
        tx.send_keyed(&format!("k{}", i % 12), &format!("k{} {i:03}", i % 12)).await;
    }
    let first = drain(&mut one).await;
    let second = drain(&mut two).await;
    assert_eq!(first.len() + second.len(), 60);
    one.ack(&first[..3]).await;
    one.close().await;
    for i in 60..72 {
        tx.send_keyed(&format!("k{}", i % 12), &format!("k{} {i:03}", i % 12)).await;
    }
    let more = two.take(first.len() - 3 + 12).await;
    let all: Vec<_> = second.into_iter().chain(more).collect();
    for (key, texts) in by_key(&all) {
        assert!(texts.is_sorted(), "{key}: {texts:?}");
    }
}

/// `HashRangeExclusiveStickyKeyConsumerSelector.validateKeySharedMeta`.
pub async fn sticky_ranges_that_overlap_are_refused<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("overlap"));
    let first = Opening::sticky(&topic, &[0..=100, 200..=300]).open(&*broker).await;
    for ranges in [vec![100..=150], vec![0..=u16::MAX], vec![150..=160, 250..=251], vec![]] {
        let refused = Opening::sticky(&topic, &ranges).silent(&*broker).await.err().unwrap();
        assert!(matches!(refused, Error::ConsumerBusy { .. }), "{ranges:?}: {refused}");
    }
    let second = Opening::sticky(&topic, &[101..=199]).open(&*broker).await;
    first.close().await;
    Opening::sticky(&topic, &[0..=100]).open(&*broker).await;
    drop(second);
}

/// `PersistentStickyKeyDispatcherMultipleConsumers.hasSameKeySharedPolicy`.
pub async fn sticky_ranges_and_split_ones_do_not_mix<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("mix"));
    let split = Opening::key_shared(&topic).open(&*broker).await;
    let refused = Opening::sticky(&topic, &[0..=9]).silent(&*broker).await.err().unwrap();
    assert!(matches!(refused, Error::SubscriptionType { .. }), "{refused}");
    split.close().await;
    let _sticky = Opening::sticky(&topic, &[0..=9]).open(&*broker).await;
    let refused = Opening::key_shared(&topic).silent(&*broker).await.err().unwrap();
    assert!(matches!(refused, Error::SubscriptionType { .. }), "{refused}");
}

/// `HashRangeExclusiveStickyKeyConsumerSelector.select` answers nobody; the message is stored for replay.
pub async fn a_slot_that_nobody_serves_waits_and_the_others_go_on<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("gap"));
    let middle = u16::MAX / 2;
    let mut low = Opening::sticky(&topic, &[0..=middle]).open(&*broker).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    let (mut lows, mut highs) = (Vec::new(), Vec::new());
    for i in 0..40 {
        let key = format!("k{i}");
        tx.send_keyed(&key, &key).await;
        if routing::slot(key.as_bytes()) <= middle { lows.push(key) } else { highs.push(key) }
    }
    assert!(!lows.is_empty() && !highs.is_empty());
    low.expect(&lows).await;
    low.expect_nothing().await;
    let mut high = Opening::sticky(&topic, &[middle + 1..=u16::MAX]).open(&*broker).await;
    let mut got: Vec<_> = texts(&high.take(highs.len()).await).into_iter().map(str::to_owned).collect();
    got.sort();
    highs.sort();
    assert_eq!(got, highs);
}

/// `StickyKeyConsumerSelectorUtils.makeStickyKeyHash`: 0 means "not set", so 1 is used in its place.
pub async fn slot_0_counts_as_slot_1<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("zero"));
    let hash = |key: &str| routing::KeyHash::Murmur3.hash(key.as_bytes()) % routing::SLOTS;
    let zero = (0..).map(|i| format!("k{i}")).find(|key| hash(key) == 0).unwrap();
    let mut nobody = Opening::sticky(&topic, &[0..=0]).open(&*broker).await;
    let mut one = Opening::sticky(&topic, &[1..=1]).open(&*broker).await;
    Tx::open(&*broker, &topic).await.send_keyed(&zero, "zero").await;
    one.expect(&["zero"]).await;
    nobody.expect_nothing().await;
}

/// `Commands.peekStickyKey`: the ordering key before the key, a binary key decoded.
pub async fn the_ordering_key_goes_before_the_key<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("ordering-key"));
    let slot = routing::slot(b"order");
    assert_ne!(slot, routing::slot(b"key"));
    let mut mine = Opening::sticky(&topic, &[slot..=slot]).open(&*broker).await;
    let mut rest = Opening::sticky(&topic, &[0..=slot - 1, slot + 1..=u16::MAX]).open(&*broker).await;
    let mut tx = Tx::open(&*broker, &topic).await;
    let key = Some(Key::Text("key"));
    tx.send_message(Outgoing { payload: b"1", key, ordering_key: Some(b"order"), ..Outgoing::default() }).await;
    tx.send_message(Outgoing { payload: b"2", key, ..Outgoing::default() }).await;
    tx.send_message(Outgoing { payload: b"3", key: Some(Key::Binary(b"order")), ..Outgoing::default() }).await;
    mine.expect(&["1", "3"]).await;
    rest.expect(&["2"]).await;
}

/// The broker sees the key of the entry, which clients set to that of the first message
/// (`Commands.initBatchMessageMetadata`).
pub async fn a_batch_of_many_keys_goes_whole_by_its_first_message<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("mixed-keys"));
    let slot = routing::slot(b"first");
    let mut mine = Opening::sticky(&topic, &[slot..=slot]).open(&*broker).await;
    let tx = Tx::open(&*broker, &topic).await;
    let mut builder = BatchBuilder::new();
    for key in ["first", "second", "third"] {
        builder.push(&Outgoing { payload: key.as_bytes(), key: Some(Key::Text(key)), ..Outgoing::default() });
    }
    tx.producer.send(builder.finish().unwrap()).await.unwrap();
    mine.expect(&["first", "second", "third"]).await;
}

/// `Commands.peekStickyKey` answers `NONE_KEY`.
pub async fn messages_without_a_key_go_to_one_consumer<F: Fixture>(fixture: F) {
    let (broker, topic) = (fixture.broker(), fixture.topic("no-key"));
    let mut one = Opening::key_shared(&topic).open(&*broker).await;
    let mut two = Opening::key_shared(&topic).open(&*broker).await;
    eventually("consumers", |count| *count == 2, || async { stats(&*broker, &topic).await.consumers }).await;
    let sent = Tx::open(&*broker, &topic).await.send_many("m", 10).await;
    let (one, two) = (drain(&mut one).await, drain(&mut two).await);
    assert!(one.is_empty() || two.is_empty());
    let all: Vec<_> = one.into_iter().chain(two).collect();
    assert_eq!(texts(&all), sent);
}
