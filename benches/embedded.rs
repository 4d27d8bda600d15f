//! How fast is a function on the embedded broker, and what does a message cost?
//!
//! A topic holds messages of 100 bytes in batches of 500; the time from the start of a function that answers each
//! message as it is, until the last of them is settled. The floor is a loop over the same broker that does as much
//! without a function: it sends every entry on as it came and acks it when its receipt is there. Cases are the world of
//! the function and whether the broker keeps everything in a folder or in memory.
//!
//! CPU is that of the whole process, broker included, so the difference between ours and the floor is what the runner,
//! the engine and the guest take. Left out: publishing the input, compiling the component.

#![allow(clippy::print_stderr, reason = "says where the report is")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pulselet_benches::{Comparison, OURS, Report, quick};
use pulselet_broker::batch::{BatchBuilder, Key, Outgoing};
use pulselet_broker::topic::TopicName;
use pulselet_broker::{Broker, ConsumerOptions, Event, InitialPosition, MessageId, ProducerOptions, SubscriptionType};
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::Engine;
use pulselet_runner::{NoSecrets, Options, Runner};
use pulselet_test_support::guest;

const PAYLOAD_BYTES: usize = 100;
const BATCH: usize = 500;
const SUBSCRIPTION: &str = "bench";
const PERMITS: u32 = 2_000;

fn main() -> Result<()> {
    let (rounds, batches) = if quick() { (5, 200) } else { (7, 1_000) };
    let mut report = Report::start("embedded");
    report.measures("wasmtime");
    report.measures("redb");
    // As in the product: one thread for input and output, guests on others.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for (case, guest, is_durable) in [
        ("memory", "echo", false),
        ("memory, batch", "echo-batch", false),
        ("durable", "echo", true),
        ("durable, batch", "echo-batch", true),
    ] {
        let mut rate = Comparison::new(case, "throughput", "msg/s");
        let mut cpu = Comparison::new(case, "cpu", "us/msg");
        for round in 0..rounds {
            let turns = if round % 2 == 0 { ["floor", OURS] } else { [OURS, "floor"] };
            for subject in turns {
                let taken = runtime.block_on(measure(subject, guest, is_durable, batches))?;
                rate.add(subject, vec![taken.messages / taken.time.as_secs_f64()]);
                cpu.add(subject, vec![taken.cpu.as_secs_f64() * 1e6 / taken.messages]);
            }
        }
        report.compare(&rate);
        report.compare(&cpu);
    }
    eprintln!("{}", report.finish()?.display());
    Ok(())
}

struct Taken {
    messages: f64,
    time: Duration,
    cpu: Duration,
}

async fn measure(subject: &str, guest: &str, is_durable: bool, batches: usize) -> Result<Taken> {
    let dir = tempfile::tempdir()?;
    let storage = if is_durable { Storage::Folder(dir.path().join("data")) } else { Storage::Ephemeral };
    let broker = EmbeddedBroker::open(pulselet_broker_embedded::Options::new(storage))?;
    let broker_trait: Arc<dyn Broker> = Arc::new(broker.clone());
    fill(&*broker_trait, batches).await?;
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let messages = (batches * BATCH) as f64;
    let (time, cpu) = if subject == OURS {
        let engine_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-engine");
        let runner = start_runner(Arc::clone(&broker_trait), &engine_dir)?;
        let function = declare(guest)?;
        // Compiles the component on the first run only.
        let (start, cpu) = (Instant::now(), cpu_time()?);
        let deployment = runner.deploy(function, dir.path()).await?;
        settled(&*broker_trait).await?;
        let taken = (start.elapsed(), cpu_time()?.saturating_sub(cpu));
        deployment.pause(Duration::from_secs(5)).await;
        drop(deployment);
        tokio::task::spawn_blocking(move || drop(runner)).await?;
        taken
    } else {
        pass_through(&*broker_trait, batches * BATCH).await?;
        settled(&*broker_trait).await?;
        (start.elapsed(), cpu_time()?.saturating_sub(cpu))
    };
    broker.close().await;
    Ok(Taken { messages, time, cpu })
}

/// Everything is there before the clock starts.
async fn fill(broker: &dyn Broker, batches: usize) -> Result<()> {
    let topic: TopicName = "in".parse()?;
    broker.create_subscription(&topic, SUBSCRIPTION, InitialPosition::Earliest).await?;
    let producer = broker.produce(ProducerOptions { topic, name: None, initial_subscription: None }).await?;
    let payload = [b'x'; PAYLOAD_BYTES];
    let mut receipts = Vec::with_capacity(batches);
    for _ in 0..batches {
        let mut batch = BatchBuilder::new();
        for _ in 0..BATCH {
            batch.push(&Outgoing { payload: &payload, key: Some(Key::Text("key")), ..Outgoing::default() });
        }
        receipts.push(producer.send(batch.finish().context("a batch of many")?));
        if receipts.len() == 16 {
            futures::future::try_join_all(receipts.drain(..)).await?;
        }
    }
    futures::future::try_join_all(receipts).await?;
    Ok(producer.close().await?)
}

async fn settled(broker: &dyn Broker) -> Result<()> {
    let topic: TopicName = "in".parse()?;
    loop {
        let stats = broker.subscriptions(&topic).await?;
        if stats.iter().all(|stats| stats.backlog == 0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The floor: what the broker costs by itself.
async fn pass_through(broker: &dyn Broker, messages: usize) -> Result<()> {
    let options = ConsumerOptions {
        topic: "in".parse()?,
        subscription: SUBSCRIPTION.to_owned(),
        subscription_type: SubscriptionType::Shared,
        initial_position: InitialPosition::Earliest,
        consumer_name: "floor".to_owned(),
        batch_index_ack: true,
    };
    let consumer = broker.subscribe(options).await?;
    let producer =
        broker.produce(ProducerOptions { topic: "out".parse()?, name: None, initial_subscription: None }).await?;
    consumer.grant(PERMITS);
    let mut seen = 0;
    while seen < messages {
        let Event::Entries(entries) = consumer.next().await? else { continue };
        let mut sent = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut batch = BatchBuilder::new();
            for message in &entry.messages {
                let key = message.metadata.raw_key();
                batch.push(&Outgoing { payload: &message.payload, key, ..Outgoing::default() });
            }
            seen += entry.messages.len();
            consumer.grant(entry.messages.len() as u32);
            sent.push((entry.position, producer.send(batch.finish().context("a batch of many")?)));
        }
        for (position, receipt) in sent {
            receipt.await?;
            drop(consumer.ack(&[MessageId { position, partition: -1, batch_index: -1 }]));
        }
    }
    settled(broker).await?;
    producer.close().await?;
    Ok(consumer.close().await?)
}

fn start_runner(broker: Arc<dyn Broker>, engine_dir: &Path) -> Result<Runner> {
    let engine =
        Engine::new(pulselet_engine::Options { max_instances: 10, ..pulselet_engine::Options::new(engine_dir) })?;
    Ok(Runner::new(Options {
        broker,
        engine,
        secrets: Arc::new(NoSecrets),
        registry: prometheus::Registry::new(),
        cluster: "bench".to_owned(),
        state_dir: None,
        guest_threads: NonZeroUsize::MIN,
    })?)
}

fn declare(component: &str) -> Result<pulselet_api::Resolved> {
    let text = format!(
        "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: echo}}\nspec:\n  wasm: {{location: {}}}\n  input: {{topics: [in]}}\n  output: {{topic: out}}\n  subscriptionName: {SUBSCRIPTION}\n",
        guest(component).display()
    );
    let declared = pulselet_api::parse(&text, "bench")?;
    Ok(declared.into_iter().next().context("one function")?.resolved)
}

/// What this process has taken so far, of all cores.
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program may hold spaces; numbers begin behind its bracket.
    let (_, numbers) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let ticks: Vec<u64> = numbers.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    // USER_HZ is 100 on every Linux that Rust runs on.
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}
