//! A storage that fails while the broker runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pulselet_broker::{Broker, Error, Stored};
use pulselet_broker_embedded::{EmbeddedBroker, OpenError, Options, Storage};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use crate::words::{backlog, consume, numbered, produce, single, take, texts, topic};

/// Memory that can be full. Clones are the same one, so it can be opened again.
#[derive(Clone, Debug)]
struct Failing {
    memory: Arc<InMemoryBackend>,
    full: Arc<AtomicBool>,
    unsynced: Arc<AtomicBool>,
}

impl Failing {
    fn new() -> Self {
        Self { memory: Arc::new(InMemoryBackend::new()), full: Arc::default(), unsynced: Arc::default() }
    }

    fn open(&self) -> Result<EmbeddedBroker, OpenError> {
        EmbeddedBroker::open(Options::new(Storage::Backend(Box::new(self.clone()))))
    }

    fn check(&self) -> io::Result<()> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.unsynced.load(Ordering::SeqCst) {
            return Err(io::Error::other("the device is gone"));
        }
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.memory.write(offset, data)
    }
}

#[tokio::test]
async fn a_full_disk_fails_what_is_not_stored_and_serves_none_of_it() {
    let storage = Failing::new();
    let broker = storage.open().unwrap();
    let producer = produce(&broker, "t", Some("p")).await.unwrap();
    let consumer = consume(&broker, "t", "s").await.unwrap();
    producer.send(numbered(0, "kept")).await.unwrap();
    let got = take(&*consumer, 1).await;
    consumer.ack(&[got[0].1]).await.unwrap();
    producer.send(numbered(1, "kept too")).await.unwrap();
    take(&*consumer, 1).await;

    storage.full.store(true, Ordering::SeqCst);
    let receipts = [producer.send(numbered(2, "lost")), producer.send(numbered(3, "lost too"))];
    for receipt in receipts {
        let error = receipt.await.unwrap_err();
        assert!(matches!(error, Error::Storage(_)) && error.is_transient(), "{error}");
        assert!(error.to_string().contains("until it is opened again"), "{error}");
    }
    let error = consumer.next().await.unwrap_err();
    assert!(matches!(error, Error::Storage(_)), "no entry, but {error}");
    for refused in [
        producer.send(numbered(4, "refused")).await.map(drop),
        consumer.ack(&[got[0].1]).await,
        consume(&broker, "t", "s").await.map(drop),
        produce(&broker, "other", None).await.map(drop),
        broker.subscriptions(&topic("t")).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Storage(_))), "{refused:?}");
    }

    // Space returns: another broker finds what was confirmed, though handles of the first are still there.
    storage.full.store(false, Ordering::SeqCst);
    let broker = storage.open().unwrap();
    let again = produce(&broker, "t", Some("p")).await.unwrap();
    assert_eq!(again.last_sequence_id(), Some(1));
    assert!(matches!(again.send(numbered(2, "lost")).await.unwrap(), Stored::At(_)));
    let consumer = consume(&broker, "t", "s").await.unwrap();
    assert_eq!(texts(&take(&*consumer, 2).await), ["kept too", "lost"]);
    assert_eq!(backlog(&broker, "t", "s").await, 2);
}

#[tokio::test]
async fn a_failed_sync_fails_the_receipts() {
    let storage = Failing::new();
    let broker = storage.open().unwrap();
    let producer = produce(&broker, "t", None).await.unwrap();
    producer.send(single("a")).await.unwrap();
    storage.unsynced.store(true, Ordering::SeqCst);
    let error = producer.send(single("b")).await.unwrap_err();
    assert!(matches!(&error, Error::Storage(text) if text.contains("the device is gone")), "{error}");
    broker.close().await;
}

#[tokio::test]
async fn a_full_disk_is_said_so_when_opening() {
    let storage = Failing::new();
    storage.full.store(true, Ordering::SeqCst);
    let error = storage.open().unwrap_err();
    assert_eq!(error.code(), "E3005", "{error}");
    storage.full.store(false, Ordering::SeqCst);
    storage.open().unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_any_more_ends_its_consumer_and_nobody_else() {
    // Entry 3 of the topic is overwritten below the database.
    let storage = Failing::new();
    let payload = |number: u64| format!("payload {number} {}", "z".repeat(5_000));
    {
        let broker = storage.open().unwrap();
        for name in ["good", "bad"] {
            drop(consume(&broker, name, "s").await.unwrap());
            let producer = produce(&broker, name, None).await.unwrap();
            for number in 0..6 {
                producer.send(single(&format!("{name} {}", payload(number)))).await.unwrap();
            }
        }
        broker.close().await;
    }
    let wanted = b"bad payload 3";
    let mut bytes = vec![0; storage.memory.len().unwrap() as usize];
    storage.memory.read(0, &mut bytes).unwrap();
    let places: Vec<_> = bytes.windows(wanted.len()).enumerate().filter(|(_, seen)| seen == wanted).collect();
    assert!(!places.is_empty());
    for (place, _) in places {
        storage.memory.write(place as u64 + 4, b"P").unwrap();
    }
    let broker = storage.open().unwrap();
    let bad = consume(&broker, "bad", "s").await.unwrap();
    let mut seen = 0;
    let error = loop {
        match bad.next().await {
            Ok(pulselet_broker::Event::Entries(entries)) => seen += entries.len(),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Corrupt { .. }) && error.to_string().contains("entry 3"), "{error}");
    assert!(seen <= 3);
    let good = consume(&broker, "good", "s").await.unwrap();
    assert_eq!(take(&*good, 6).await.len(), 6);
    produce(&broker, "bad", None).await.unwrap().send(single("still")).await.unwrap();
}
