//! How many messages a second go through: published in batches, consumed, acknowledged, all at once.
//!
//! `cargo run --release -p pulselet-broker-embedded --example throughput [FOLDER]`; in memory without a folder.

use std::error::Error;
use std::time::Instant;

use futures::stream::{FuturesUnordered, StreamExt};
use pulselet_broker::batch::{BatchBuilder, Outgoing};
use pulselet_broker::{Broker, ConsumerOptions, Event, InitialPosition, ProducerOptions, SubscriptionType};
use pulselet_broker_embedded::{EmbeddedBroker, Options, Storage};

const MESSAGES: u64 = 5_000_000;
const BATCH: u64 = 500;
const IN_FLIGHT: usize = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let storage = std::env::args_os().nth(1).map_or(Storage::Ephemeral, |folder| Storage::Folder(folder.into()));
    let broker = EmbeddedBroker::open(Options::new(storage))?;
    let topic: pulselet_broker::topic::TopicName = "throughput".parse()?;
    let consumer = broker
        .subscribe(ConsumerOptions {
            topic: topic.clone(),
            subscription: "s".to_owned(),
            subscription_type: SubscriptionType::Shared,
            initial_position: InitialPosition::Latest,
            consumer_name: "c".to_owned(),
            batch_index_ack: true,
        })
        .await?;
    let producer =
        broker.produce(ProducerOptions { topic, name: Some("p".to_owned()), initial_subscription: None }).await?;
    let (payload, mut next) = ([b'x'; 100], producer.last_sequence_id().map_or(0, |last| last + 1));
    let (mut builder, mut receipts, mut acks) = (BatchBuilder::new(), FuturesUnordered::new(), FuturesUnordered::new());
    let (mut sent, mut got) = (0, 0);
    consumer.grant(10_000);
    let started = (Instant::now(), cpu());
    while got < MESSAGES {
        while receipts.len() < IN_FLIGHT && sent < MESSAGES {
            for _ in 0..BATCH {
                builder.push(&Outgoing { payload: &payload, sequence_id: Some(next), ..Outgoing::default() });
                next += 1;
            }
            receipts.extend(builder.finish().map(|batch| producer.send(batch)));
            sent += BATCH;
        }
        tokio::select! {
            Some(receipt) = receipts.next() => { receipt?; }
            Some(ack) = acks.next() => ack?,
            event = consumer.next() => {
                if let Event::Entries(entries) = event? {
                    let ids: Vec<_> = entries.iter().flat_map(|e| e.messages.iter().map(|m| e.id(m))).collect();
                    got += ids.len() as u64;
                    consumer.grant(ids.len() as u32);
                    acks.push(consumer.ack(&ids));
                }
            }
        }
    }
    let (wall, cpu) = (started.0.elapsed().as_secs_f64(), cpu() - started.1);
    let rate = MESSAGES as f64 / wall;
    println!("{rate:.0} messages/s, {:.3} us of CPU a message", cpu * 1e6 / MESSAGES as f64);
    broker.close().await;
    Ok(())
}

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |field| stat.rsplit(')').next()?.split_whitespace().nth(field)?.parse::<f64>().ok();
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}
