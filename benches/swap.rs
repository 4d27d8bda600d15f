//! What does an update cost while messages come?
//!
//! A function that answers each message as it is, on the embedded broker in memory, is sent messages of 100 bytes one by
//! one, each as soon as the receipt of the one before is there. Ours goes to and fro between two components of different
//! digest, with even pauses; `still` does the same without an update. Latency is that of a message from before it is sent
//! until its answer has been read; `around a swap` are those messages that were on their way during an update. The
//! duration is that of `Deployment::update`, which reads and checks the component's bytes too.
//!
//! Left out: compiling the components.

#![allow(clippy::print_stderr, reason = "says where the report is")]

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pulselet_api::{Location, Resolved};
use pulselet_benches::{Comparison, OURS, Report, quick};
use pulselet_broker::batch::{Batch, Outgoing};
use pulselet_broker::{Broker, ConsumerOptions, Event, InitialPosition, ProducerOptions, SubscriptionType};
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::Engine;
use pulselet_runner::{Deployment, NoSecrets, Options, Runner, Updated};
use pulselet_test_support::guest;

const STILL: &str = "still";
const PAYLOAD_BYTES: usize = 100;
const SWAPS: usize = 100;
const BETWEEN_SWAPS: Duration = Duration::from_millis(20);
const PERMITS: u32 = 1_000;

fn main() -> Result<()> {
    let rounds = if quick() { 5 } else { 9 };
    let mut report = Report::start("swap");
    report.measures("wasmtime");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut rate = Comparison::new("100 swaps", "throughput", "msg/s");
    let mut latency = Comparison::new("100 swaps", "latency", "us");
    let mut around = Comparison::new("around a swap", "latency", "us");
    let mut duration = Comparison::new("one swap", "duration", "us");
    for round in 0..rounds {
        let turns = if round % 2 == 0 { [STILL, OURS] } else { [OURS, STILL] };
        for subject in turns {
            let taken = runtime.block_on(measure(subject == OURS))?;
            rate.add(subject, vec![taken.rate]);
            latency.add(subject, taken.messages.iter().map(Span::micros).collect());
            let near = taken.messages.iter().filter(|message| taken.swaps.iter().any(|swap| swap.meets(message)));
            around.add(subject, near.map(Span::micros).collect());
            duration.add(subject, taken.swaps.iter().map(Span::micros).collect());
        }
    }
    for comparison in [&rate, &latency, &around, &duration] {
        report.compare(comparison);
    }
    eprintln!("{}", report.finish()?.display());
    Ok(())
}

struct Taken {
    rate: f64,
    messages: Vec<Span>,
    swaps: Vec<Span>,
}

/// From when to when.
struct Span(Instant, Instant);

impl Span {
    fn micros(&self) -> f64 {
        (self.1 - self.0).as_secs_f64() * 1e6
    }

    fn meets(&self, other: &Self) -> bool {
        self.0 < other.1 && other.0 < self.1
    }
}

async fn measure(swaps: bool) -> Result<Taken> {
    let dir = tempfile::tempdir()?;
    let embedded = EmbeddedBroker::open(pulselet_broker_embedded::Options::new(Storage::Ephemeral))?;
    let broker: Arc<dyn Broker> = Arc::new(embedded.clone());
    let runner = start_runner(Arc::clone(&broker))?;
    let one = declare()?;
    let other = other_component(one.clone(), dir.path())?;
    let deployment = runner.deploy(one.clone(), dir.path()).await?;
    ensure!(deployment.ready().await, "the function did not start");
    // Both are compiled before the clock starts.
    deployment.update(other.clone(), dir.path()).await?;
    let taken = under_load(&*broker, &deployment, [one, other], dir.path(), swaps).await?;
    deployment.pause(Duration::from_secs(5)).await;
    drop(deployment);
    tokio::task::spawn_blocking(move || drop(runner)).await?;
    embedded.close().await;
    Ok(taken)
}

async fn under_load(
    broker: &dyn Broker,
    deployment: &Deployment,
    functions: [Resolved; 2],
    dir: &Path,
    swaps: bool,
) -> Result<Taken> {
    let options = ConsumerOptions {
        topic: "out".parse()?,
        subscription: "reader".to_owned(),
        subscription_type: SubscriptionType::Exclusive,
        initial_position: InitialPosition::Earliest,
        consumer_name: "reader".to_owned(),
        batch_index_ack: true,
    };
    let consumer = broker.subscribe(options).await?;
    consumer.grant(PERMITS);
    let producer =
        broker.produce(ProducerOptions { topic: "in".parse()?, name: None, initial_subscription: None }).await?;
    let (sent, is_done) = (RefCell::new(Vec::new()), Cell::new(false));
    let begun = Instant::now();
    let load = async {
        while !is_done.get() {
            sent.borrow_mut().push(Instant::now());
            let message = Outgoing { payload: &[b'x'; PAYLOAD_BYTES], ..Outgoing::default() };
            producer.send(Batch::single(&message, None)).await?;
        }
        anyhow::Ok(())
    };
    // The order is kept, so the next answer is that of the next message.
    let messages = RefCell::new(Vec::new());
    let read = async {
        loop {
            if is_done.get() && messages.borrow().len() >= sent.borrow().len() {
                return anyhow::Ok(());
            }
            let Event::Entries(entries) = consumer.next().await? else { continue };
            let count: usize = entries.iter().map(|entry| entry.messages.len()).sum();
            consumer.grant(count as u32);
            for _ in 0..count {
                let mut messages = messages.borrow_mut();
                let from = *sent.borrow().get(messages.len()).context("more answers than messages")?;
                messages.push(Span(from, Instant::now()));
            }
        }
    };
    let swapping = async {
        let mut durations = Vec::with_capacity(SWAPS);
        for function in functions.iter().cycle().take(SWAPS) {
            tokio::time::sleep(BETWEEN_SWAPS).await;
            if swaps {
                let from = Instant::now();
                let updated = deployment.update(function.clone(), dir).await?;
                ensure!(updated == Updated::Swapped, "{updated:?} instead of swapped");
                durations.push(Span(from, Instant::now()));
            }
        }
        is_done.set(true);
        anyhow::Ok(durations)
    };
    let ((), (), swaps) = futures::try_join!(load, read, swapping)?;
    let messages = messages.into_inner();
    let rate = messages.len() as f64 / begun.elapsed().as_secs_f64();
    producer.close().await?;
    consumer.close().await?;
    Ok(Taken { rate, messages, swaps })
}

/// The same component with a custom section more: another digest, and the same code.
fn other_component(mut function: Resolved, dir: &Path) -> Result<Resolved> {
    let mut bytes = std::fs::read(guest("echo"))?;
    // Section 0, of 4 bytes: a name of 2, and one more.
    bytes.extend([0, 4, 2, b'n', b'o', 0]);
    let path = dir.join("other.wasm");
    std::fs::write(&path, bytes)?;
    function.component.location = Location::File(path);
    Ok(function)
}

fn start_runner(broker: Arc<dyn Broker>) -> Result<Runner> {
    let engine_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-engine");
    // One tier, so that nothing but the updates changes code.
    let options =
        pulselet_engine::Options { max_instances: 10, baseline: false, ..pulselet_engine::Options::new(engine_dir) };
    Ok(Runner::new(Options {
        broker,
        engine: Engine::new(options)?,
        secrets: Arc::new(NoSecrets),
        registry: prometheus::Registry::new(),
        cluster: "bench".to_owned(),
        state_dir: None,
        guest_threads: NonZeroUsize::MIN,
    })?)
}

fn declare() -> Result<Resolved> {
    let text = format!(
        "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: echo}}\nspec:\n  wasm: {{location: {}}}\n  input: {{topics: [in]}}\n  output: {{topic: out}}\n  retainOrdering: true\n",
        guest("echo").display()
    );
    let declared = pulselet_api::parse(&text, "bench")?;
    Ok(declared.into_iter().next().context("one function")?.resolved)
}
