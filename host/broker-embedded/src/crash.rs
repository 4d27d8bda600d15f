//! What is left after the power fails: a disk that keeps any part of what was written since its last sync, in any order,
//! torn at any sector; and a check that what was promised is there all the same.
//!
//! Each schedule has a seed, which is printed when it fails. The mutants are there to show that the check would notice:
//! each breaks one rule on which a promise rests, and the check must fail for some schedule.

mod disk;
mod model;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pulselet_broker::batch::{Batch, BatchBuilder, Outgoing};
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Event, InitialPosition, MessageId, Producer, ProducerOptions, Stored,
    SubscriptionType,
};

use self::disk::{Disk, Random};
use self::model::Model;
use crate::options::Mutant;
use crate::{EmbeddedBroker, Options, Storage};

/// One topic keeps everything, because a subscription never acknowledges; the other is trimmed.
const TOPICS: [&str; 2] = ["kept", "trimmed"];
/// How many schedules; `CRASH_SCHEDULES` in the environment asks for more.
const SCHEDULES: u64 = 100;
const CRASHES: u64 = 4;

#[test]
fn what_was_promised_survives_a_power_failure() {
    let asked = std::env::var("CRASH_SCHEDULES").ok().and_then(|schedules| schedules.parse().ok());
    for seed in 0..asked.unwrap_or(SCHEDULES) {
        if let Err(error) = schedule(seed, None) {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn the_check_notices_a_receipt_that_comes_before_its_commit() {
    notices(Mutant::ReceiptBeforeCommit);
}

#[test]
fn the_check_notices_a_commit_without_a_sync() {
    notices(Mutant::CommitWithoutSync);
}

#[test]
fn the_check_notices_acks_that_are_not_saved() {
    notices(Mutant::AcksNotSaved);
}

#[test]
fn the_check_notices_entries_that_are_removed_too_early() {
    notices(Mutant::TrimUnacked);
}

fn notices(mutant: Mutant) {
    let noticed = (0..SCHEDULES).find_map(|seed| schedule(seed, Some(mutant)).err());
    println!("{mutant:?}: {noticed:?}");
    assert!(noticed.is_some(), "{mutant:?} went through {SCHEDULES} schedules unnoticed");
}

/// Some rounds of work, each ended by a power failure.
fn schedule(seed: u64, mutant: Option<Mutant>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut random = Random::new(seed);
    let disk = Disk::default();
    let mut models = TOPICS.map(Model::new);
    for crash in 0..=CRASHES {
        let done = runtime.block_on(round(&disk, &mut models, &mut random, mutant, crash == CRASHES));
        done.map_err(|error| format!("after crash {crash}: {error}"))?;
        disk.lose_power(&mut random);
    }
    Ok(())
}

/// A promise that may be kept or not: which messages it is about.
struct Promise<T> {
    numbers: Vec<u64>,
    outcome: BoxFuture<'static, T>,
}

/// One topic in one round.
struct Work {
    producer: Box<dyn Producer>,
    consumer: Box<dyn Consumer>,
    /// Delivered and not acknowledged: number and id.
    held: Vec<(u64, MessageId)>,
    receipts: Vec<Promise<pulselet_broker::Result<Stored>>>,
    confirmations: Vec<Promise<pulselet_broker::Result<()>>>,
}

async fn round(
    disk: &Disk,
    models: &mut [Model; 2],
    random: &mut Random,
    mutant: Option<Mutant>,
    last: bool,
) -> Result<(), String> {
    let mut options = Options::new(Storage::Backend(Box::new(disk.clone())));
    options.cache_bytes = 20_000;
    options.mutant = mutant;
    let broker = EmbeddedBroker::open(options).map_err(|error| format!("open: {error}"))?;
    let mut works = Vec::new();
    for model in models.iter_mut() {
        works.push(start(&broker, model, random).await?);
    }
    if !last {
        disk.fail_after(random.below(120));
        for _ in 0..random.below(60) {
            let which = random.below(2) as usize;
            if step(&mut works[which], &mut models[which], random).await.is_none() {
                break;
            }
        }
        disk.fail_after(0);
        // Whatever is still under way runs into the failure now.
        for work in &works {
            drop(work.producer.send(Batch::single(&Outgoing::default(), None)));
        }
        for (work, model) in works.iter_mut().zip(models.iter_mut()) {
            settle_promises(work, model).await?;
        }
    }
    broker.abort();
    Ok(())
}

/// Opens a topic and compares what is there with what was promised.
async fn start(broker: &EmbeddedBroker, model: &mut Model, random: &mut Random) -> Result<Work, String> {
    let topic: pulselet_broker::topic::TopicName = model.topic.parse().unwrap();
    let text = |error: pulselet_broker::Error| error.to_string();
    if model.topic == "kept" {
        broker.create_subscription(&topic, "audit", InitialPosition::Earliest).await.map_err(text)?;
    }
    broker.create_subscription(&topic, "work", InitialPosition::Earliest).await.map_err(text)?;
    let producing = ProducerOptions { topic: topic.clone(), name: Some("p".into()), initial_subscription: None };
    let producer = broker.produce(producing).await.map_err(text)?;
    model.stored_up_to(producer.last_sequence_id())?;
    let open = |subscription: &str, batch_index_ack| ConsumerOptions {
        topic: topic.clone(),
        subscription: subscription.to_owned(),
        subscription_type: SubscriptionType::Shared,
        initial_position: InitialPosition::Earliest,
        consumer_name: "c".to_owned(),
        batch_index_ack,
    };
    if model.topic == "kept" {
        let audit = broker.subscribe(open("audit", true)).await.map_err(text)?;
        let found = everything(broker, &*audit, &topic, "audit").await?;
        model.check_all(&found.iter().map(|(number, _)| *number).collect::<Vec<_>>())?;
    }
    let consumer = broker.subscribe(open("work", random.below(2) == 0)).await.map_err(text)?;
    let held = everything(broker, &*consumer, &topic, "work").await?;
    model.check_unacked(&held.iter().map(|(number, _)| *number).collect::<Vec<_>>())?;
    consumer.grant(1_000_000);
    Ok(Work { producer, consumer, held, receipts: Vec::new(), confirmations: Vec::new() })
}

/// All that a subscription has left.
async fn everything(
    broker: &EmbeddedBroker,
    consumer: &dyn Consumer,
    topic: &pulselet_broker::topic::TopicName,
    subscription: &str,
) -> Result<Vec<(u64, MessageId)>, String> {
    let stats = broker.subscriptions(topic).await.map_err(|error| error.to_string())?;
    let left = stats.iter().find(|stats| stats.name == subscription).map_or(0, |stats| stats.backlog) as usize;
    consumer.grant(left as u32);
    let mut found = Vec::new();
    while found.len() < left {
        let next = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
        let next = next.map_err(|_| format!("{subscription}: {} of {left} came", found.len()))?;
        found.extend(messages(next.map_err(|error| error.to_string())?));
    }
    Ok(found)
}

/// Number and id of each message.
fn messages(event: Event) -> Vec<(u64, MessageId)> {
    let Event::Entries(entries) = event else { return Vec::new() };
    let of_entry = |entry: &pulselet_broker::Entry| {
        let number = |payload: &[u8]| u64::from_be_bytes(*payload.first_chunk().unwrap());
        entry.messages.iter().map(|message| (number(&message.payload), entry.id(message))).collect::<Vec<_>>()
    };
    entries.iter().flat_map(of_entry).collect()
}

/// Does something; `None` when the broker has failed.
async fn step(work: &mut Work, model: &mut Model, random: &mut Random) -> Option<()> {
    match random.below(10) {
        0..4 => {
            let numbers: Vec<u64> = (0..=random.below(4)).map(|_| model.send()).collect();
            let mut builder = BatchBuilder::new();
            for number in &numbers {
                let mut payload = number.to_be_bytes().to_vec();
                payload.resize(8 + [0, 100, 9_000][random.below(3) as usize], 7);
                builder.push(&Outgoing { payload: &payload, sequence_id: Some(*number), ..Outgoing::default() });
            }
            let outcome = work.producer.send(builder.finish().unwrap());
            work.receipts.push(Promise { numbers, outcome });
        }
        4..7 => {
            let mut chosen = Vec::new();
            work.held.retain(|message| {
                let take = random.below(3) == 0;
                if take {
                    chosen.push(*message);
                }
                !take
            });
            let ids: Vec<_> = chosen.iter().map(|(_, id)| *id).collect();
            let numbers: Vec<_> = chosen.iter().map(|(number, _)| *number).collect();
            model.asked_to_ack(&numbers);
            let outcome = work.consumer.ack(&ids);
            work.confirmations.push(Promise { numbers, outcome });
        }
        7 => {
            // Waits for the oldest receipt, as a caller would.
            if let Some(mut promise) = (!work.receipts.is_empty()).then(|| work.receipts.remove(0)) {
                match (&mut promise.outcome).await {
                    Ok(_) => model.receipted(&promise.numbers),
                    Err(_) => return None,
                }
            }
        }
        8 => work.consumer.nack(&work.held.iter().map(|(_, id)| *id).collect::<Vec<_>>(), Duration::ZERO),
        _ => tokio::task::yield_now().await,
    }
    match work.consumer.next().now_or_never() {
        Some(Ok(event)) => {
            for (number, id) in messages(event) {
                model.delivered(number);
                if !work.held.iter().any(|(held, _)| *held == number) {
                    work.held.push((number, id));
                }
            }
        }
        Some(Err(_)) => return None,
        None => {}
    }
    Some(())
}

/// Notes which promises were made before the power failed.
async fn settle_promises(work: &mut Work, model: &mut Model) -> Result<(), String> {
    let patience = Duration::from_secs(20);
    for promise in work.receipts.drain(..) {
        let outcome = tokio::time::timeout(patience, promise.outcome).await.map_err(|_| "a receipt hangs")?;
        if outcome.is_ok() {
            model.receipted(&promise.numbers);
        }
    }
    // Ends what waits for the rest of an entry.
    work.consumer.close().await.ok();
    for promise in work.confirmations.drain(..) {
        let outcome = tokio::time::timeout(patience, promise.outcome).await.map_err(|_| "a confirmation hangs")?;
        if outcome.is_ok() {
            model.confirmed(&promise.numbers);
        }
    }
    model.check_promises()
}

#[test]
fn a_storage_without_promises_loses_things() {
    // The disk itself: what was not synced may be gone, what was synced is there.
    use redb::StorageBackend;
    let disk = Disk::default();
    disk.set_len(4096).unwrap();
    disk.write(0, &[1; 4096]).unwrap();
    disk.sync_data().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        disk.write(0, &[2; 4096]).unwrap();
        disk.write(1024, &[3; 512]).unwrap();
        disk.lose_power(&mut Random::new(seed));
        let mut bytes = [0; 4096];
        disk.read(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| (1..=3).contains(byte)));
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        seen.insert(bytes.to_vec());
        disk.write(0, &[1; 4096]).unwrap();
        disk.sync_data().unwrap();
    }
    assert!(seen.len() > 20, "the disk loses the same thing every time");
}
