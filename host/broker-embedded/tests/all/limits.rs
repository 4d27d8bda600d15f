//! Options that are not the defaults.

use pulselet_broker::{Broker, Error, Stored};
use pulselet_broker_embedded::{EmbeddedBroker, Options, Storage};

use crate::words::{consume, numbered, produce, single, take, texts, topic};

#[tokio::test]
async fn without_deduplication_everything_is_stored() {
    let options = Options { deduplication: false, ..Options::new(Storage::Ephemeral) };
    let broker = EmbeddedBroker::open(options).unwrap();
    let producer = produce(&broker, "t", Some("p")).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(producer.send(numbered(7, "same")).await.unwrap(), Stored::At(_)));
    }
    producer.close().await.unwrap();
    assert_eq!(produce(&broker, "t", Some("p")).await.unwrap().last_sequence_id(), None);
    let consumer = consume(&broker, "t", "s").await.unwrap();
    assert_eq!(texts(&take(&*consumer, 2).await), ["same", "same"]);
}

#[tokio::test]
async fn a_producer_that_does_not_wait_is_refused_and_nothing_overtakes() {
    let options = Options { producer_queue_bytes: 10_000, ..Options::new(Storage::Ephemeral) };
    let broker = EmbeddedBroker::open(options).unwrap();
    let producer = produce(&broker, "t", Some("p")).await.unwrap();
    let text = "x".repeat(4_000);
    let mut outcomes = Vec::new();
    // The writer keeps up with some of them, but not with all.
    let receipts: Vec<_> = (0..20_000).map(|number| producer.send(numbered(number, &text))).collect();
    for receipt in receipts {
        outcomes.push(receipt.await);
    }
    let stored = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!(stored > 0 && stored < outcomes.len());
    assert!(matches!(outcomes[stored], Err(Error::QueueFull { .. })), "{:?}", outcomes[stored]);
    assert!(outcomes[stored..].iter().all(Result::is_err), "one overtook");
    let again = produce(&broker, "t", Some("p")).await.unwrap();
    assert_eq!(again.last_sequence_id(), Some(stored as u64 - 1));
    again.send(numbered(stored as u64, "on it goes")).await.unwrap();
}

#[tokio::test]
async fn topics_that_are_not_persistent_are_refused() {
    let broker = EmbeddedBroker::open(Options::new(Storage::Ephemeral)).unwrap();
    let name = "non-persistent://public/default/t";
    assert!(matches!(produce(&broker, name, None).await.err().unwrap(), Error::Name { .. }));
    assert!(matches!(consume(&broker, name, "s").await.err().unwrap(), Error::Name { .. }));
}

#[tokio::test]
async fn a_closed_broker_says_so_and_has_saved_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmbeddedBroker::open(Options::new(Storage::Folder(folder.path().to_owned()))).unwrap();
    let broker = open();
    let producer = produce(&broker, "t", Some("p")).await.unwrap();
    let receipts: Vec<_> = (0..100).map(|number| producer.send(numbered(number, "m"))).collect();
    broker.close().await;
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert!(matches!(producer.send(single("late")).await, Err(Error::Closed)));
    assert!(matches!(consume(&broker, "t", "s").await, Err(Error::Closed)));
    assert!(matches!(broker.partitions(&topic("t")).await, Err(Error::Closed)));
    let broker = open();
    assert_eq!(produce(&broker, "t", Some("p")).await.unwrap().last_sequence_id(), Some(99));
}
