//! How evenly do busy functions share a guest thread, and how long does a neighbour of theirs wait?
//!
//! Ours is the runner on the embedded broker. The peer is what one would write without it: a task for each function on
//! the same engine, on a `LocalSet`, which calls what it is given, and yields after 64 calls or a millisecond; tasks go
//! one after the other. Its neighbour is asked over a channel, without a broker, which favours it.
//!
//! - *worst/best*: processor time of the function that had most over that which had least, in a second of a thread with
//!   n busy functions: calls of about 1 µs, calls of about 0.9 ms, calls without an end, in turn.
//! - *wait*: from giving the neighbour a message to its answer, in ticks of 2 ms, while k functions compute for ever.
//!   One tick is what the call under way may go on for.
//!
//! Goals: worst/best at most 1.5, wait at most 1 + k.

#![allow(clippy::print_stderr, reason = "says where the report is")]

use std::cell::Cell;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use prometheus::Registry;
use pulselet_api::{ComponentRef, Limits, Location, Reuse};
use pulselet_benches::{Comparison, Emptyhanded, OURS, Report, quick};
use pulselet_broker::batch::{Batch, BatchBuilder, Outgoing};
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Event, InitialPosition, Producer, ProducerOptions, SubscriptionType,
};
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::{Engine, Grants, Instance, Loaded};
use pulselet_runner::{Deployment, NoSecrets, Options, Runner};
use pulselet_test_support::guest;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

const PEER: &str = "local set";
const GUEST: &str = "probe-plain";
const TICK: Duration = Duration::from_millis(2);
const NO_TIMEOUT: Duration = Duration::from_secs(600);
const SHORT: &str = "spin 600";
const LONG: &str = "spin 600000";
const ENDLESS: &str = "loop";
/// Processor time that busy functions share.
const SHARED: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let (rounds, messages) = if quick() { (3, 20) } else { (7, 100) };
    let mut report = Report::start("fair");
    report.measures("wasmtime");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for busy in [2, 8, 32] {
        let mut shares = Comparison::new(&format!("{busy} busy"), "worst/best", "ratio");
        for round in 0..rounds {
            for subject in turns(round) {
                let used = match subject {
                    OURS => runtime.block_on(shares_of_ours(busy))?,
                    _ => shares_of_peer(busy)?,
                };
                shares.add(subject, vec![spread(&used)]);
            }
        }
        report.compare(&shares);
    }
    for spinning in [1, 2, 4, 8] {
        let mut waits = Comparison::new(&format!("{spinning} spinning"), "wait", "ticks");
        for round in 0..rounds {
            for subject in turns(round) {
                let waited = match subject {
                    OURS => runtime.block_on(waits_of_ours(spinning, messages))?,
                    _ => waits_of_peer(spinning, messages)?,
                };
                waits.add(subject, waited.iter().map(|time| time.as_secs_f64() / TICK.as_secs_f64()).collect());
            }
        }
        report.compare(&waits);
    }
    eprintln!("{}", report.finish()?.display());
    Ok(())
}

fn turns(round: usize) -> [&'static str; 2] {
    if round.is_multiple_of(2) { [PEER, OURS] } else { [OURS, PEER] }
}

/// What the function of this number is given, again and again.
fn payload(number: usize) -> &'static str {
    [SHORT, ENDLESS, LONG].get(number % 3).copied().unwrap_or(SHORT)
}

fn spread(used: &[f64]) -> f64 {
    used.iter().copied().fold(0.0, f64::max) / used.iter().copied().fold(f64::MAX, f64::min)
}

/// A moment of the tick that differs from message to message.
async fn some_other_moment(message: usize) {
    tokio::time::sleep(Duration::from_micros((message * 1_370 % 4_000) as u64)).await;
}

/// Functions on one guest thread of a runner; each reads a topic of its name and answers to another.
struct Ours {
    broker: Arc<dyn Broker>,
    runner: Runner,
    registry: Registry,
    functions: Vec<Deployment>,
}

impl Ours {
    fn start() -> Result<Self> {
        let storage = pulselet_broker_embedded::Options::new(Storage::Ephemeral);
        let broker: Arc<dyn Broker> = Arc::new(EmbeddedBroker::open(storage)?);
        let registry = Registry::new();
        let runner = Runner::new(Options {
            broker: Arc::clone(&broker),
            engine: Engine::new(engine_options())?,
            secrets: Arc::new(NoSecrets),
            registry: registry.clone(),
            cluster: "bench".to_owned(),
            state_dir: None,
            guest_threads: NonZeroUsize::MIN,
        })?;
        Ok(Self { broker, runner, registry, functions: Vec::new() })
    }

    async fn deploy(&mut self, name: &str) -> Result<()> {
        let text = format!(
            "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: {name}}}\nspec:\n  wasm: {{location: {}}}\n  input: {{topics: [in-{name}]}}\n  output: {{topic: out-{name}}}\n  timeout: {}\n",
            guest(GUEST).display(),
            NO_TIMEOUT.as_millis(),
        );
        let declared = pulselet_api::parse(&text, "bench")?.into_iter().next().context("one function")?;
        let function = self.runner.deploy(declared.resolved, Path::new(".")).await?;
        ensure!(function.ready().await, "{name} is not subscribed");
        self.functions.push(function);
        Ok(())
    }

    async fn producer(&self, name: &str) -> Result<Box<dyn Producer>> {
        let topic = format!("in-{name}").parse()?;
        Ok(self.broker.produce(ProducerOptions { topic, name: None, initial_subscription: None }).await?)
    }

    async fn give(&self, name: &str, payload: &str, count: usize) -> Result<()> {
        let producer = self.producer(name).await?;
        for sent in (0..count).step_by(1_000) {
            let mut batch = BatchBuilder::new();
            for _ in 0..(count - sent).min(1_000) {
                batch.push(&Outgoing { payload: payload.as_bytes(), ..Outgoing::default() });
            }
            producer.send(batch.finish().context("a batch of some")?).await?;
        }
        Ok(producer.close().await?)
    }

    /// Processor time of each of these functions so far, in seconds.
    fn used(&self, names: &[String]) -> Result<Vec<f64>> {
        let families = self.registry.gather();
        let cpu = families.iter().find(|family| family.name() == "pulselet_function_cpu_seconds_total");
        let cpu = cpu.context("processor time is measured")?;
        let of = |name: &String| {
            let is_it = |metric: &&prometheus::proto::Metric| {
                metric.get_label().iter().any(|label| label.name() == "name" && label.value() == name)
            };
            cpu.get_metric().iter().find(is_it).map(|metric| metric.get_counter().get_value()).context("it is deployed")
        };
        names.iter().map(of).collect()
    }

    async fn end(self) -> Result<()> {
        drop(self.functions);
        tokio::task::spawn_blocking(move || drop(self.runner)).await?;
        Ok(())
    }
}

async fn shares_of_ours(busy: usize) -> Result<Vec<f64>> {
    let mut ours = Ours::start()?;
    let names: Vec<String> = (0..busy).map(|number| format!("busy-{number}")).collect();
    for name in &names {
        ours.deploy(name).await?;
    }
    for (number, name) in names.iter().enumerate() {
        let count = match payload(number) {
            SHORT => 800_000,
            LONG => 6_000,
            _ => busy,
        };
        ours.give(name, payload(number), count / busy).await?;
    }
    let start = loop {
        let used = ours.used(&names)?;
        if used.iter().all(|used| *used > 0.01) {
            break used;
        }
        tokio::time::sleep(TICK).await;
    };
    let used = loop {
        tokio::time::sleep(TICK).await;
        let used: Vec<f64> = ours.used(&names)?.iter().zip(&start).map(|(now, start)| now - start).collect();
        if used.iter().sum::<f64>() >= SHARED.as_secs_f64() {
            break used;
        }
    };
    ours.end().await?;
    Ok(used)
}

async fn waits_of_ours(spinning: usize, messages: usize) -> Result<Vec<Duration>> {
    let mut ours = Ours::start()?;
    ours.deploy("neighbour").await?;
    let names: Vec<String> = (0..spinning).map(|number| format!("spins-{number}")).collect();
    for name in &names {
        ours.deploy(name).await?;
        ours.give(name, ENDLESS, 1).await?;
    }
    while ours.used(&names)?.iter().any(|used| *used < 0.01) {
        tokio::time::sleep(TICK).await;
    }
    let producer = ours.producer("neighbour").await?;
    let answers = answers(&*ours.broker).await?;
    let mut waited = Vec::with_capacity(messages);
    // The first one makes the neighbour's instance.
    for message in 0..=messages {
        some_other_moment(message).await;
        let start = Instant::now();
        producer.send(Batch::single(&Outgoing { payload: b"a", ..Outgoing::default() }, None)).await?;
        while !matches!(answers.next().await?, Event::Entries(_)) {}
        waited.extend((message > 0).then(|| start.elapsed()));
    }
    ours.end().await?;
    Ok(waited)
}

async fn answers(broker: &dyn Broker) -> Result<Box<dyn Consumer>> {
    let options = ConsumerOptions {
        topic: "out-neighbour".parse()?,
        subscription: "bench".to_owned(),
        subscription_type: SubscriptionType::Exclusive,
        initial_position: InitialPosition::Earliest,
        consumer_name: "bench".to_owned(),
        batch_index_ack: true,
    };
    let consumer = broker.subscribe(options).await?;
    consumer.grant(u32::MAX / 2);
    Ok(consumer)
}

fn engine_options() -> pulselet_engine::Options {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-engine");
    pulselet_engine::Options { max_instances: 50, ..pulselet_engine::Options::new(dir) }
}

/// The peer: functions as tasks of one thread.
struct Peer {
    runtime: tokio::runtime::Runtime,
    tasks: LocalSet,
    loaded: Arc<Loaded<Emptyhanded>>,
    _engine: Engine<Emptyhanded>,
}

impl Peer {
    fn start() -> Result<Self> {
        let engine = Engine::new(engine_options())?;
        let location = Location::File(guest(GUEST));
        let component = ComponentRef { location, digest: None, world: None, reuse: Reuse::Instance };
        let limits = Limits { timeout: NO_TIMEOUT, ..Limits::default() };
        let assigned = engine.assign(&component, Path::new("."), Grants::default(), &limits)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { runtime, tasks: LocalSet::new(), loaded: assigned.load()?, _engine: engine })
    }

    fn spawn_busy(&self, payload: &'static str, used: Rc<Cell<Duration>>) {
        let loaded = Arc::clone(&self.loaded);
        self.tasks.spawn_local(async move {
            let mut instance = loaded.instantiate(Emptyhanded).await?;
            metered(&used, call_for_ever(&mut instance, payload)).await
        });
    }
}

async fn call_for_ever(instance: &mut Instance<Emptyhanded>, payload: &str) -> Result<()> {
    loop {
        let start = Instant::now();
        for _ in 0..64 {
            instance.process(payload.as_bytes()).await?;
            if start.elapsed() >= Duration::from_millis(1) {
                break;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Adds up how long a future is polled.
async fn metered<F: Future>(used: &Cell<Duration>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let start = Instant::now();
        let polled = future.as_mut().poll(context);
        used.set(used.get() + start.elapsed());
        polled
    })
    .await
}

fn shares_of_peer(busy: usize) -> Result<Vec<f64>> {
    let peer = Peer::start()?;
    let used: Vec<Rc<Cell<Duration>>> = (0..busy).map(|_| Rc::default()).collect();
    used.iter().enumerate().for_each(|(number, used)| peer.spawn_busy(payload(number), Rc::clone(used)));
    let enough = async {
        while used.iter().map(|used| used.get()).sum::<Duration>() < SHARED {
            tokio::time::sleep(TICK).await;
        }
    };
    peer.tasks.block_on(&peer.runtime, enough);
    Ok(used.iter().map(|used| used.get().as_secs_f64()).collect())
}

fn waits_of_peer(spinning: usize, messages: usize) -> Result<Vec<Duration>> {
    let (requests, mut received) = mpsc::channel::<oneshot::Sender<()>>(1);
    let asks = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            let mut waited = Vec::with_capacity(messages);
            for message in 0..=messages {
                some_other_moment(message).await;
                let (reply, answer) = oneshot::channel();
                let start = Instant::now();
                requests.send(reply).await?;
                answer.await?;
                waited.extend((message > 0).then(|| start.elapsed()));
            }
            anyhow::Ok(waited)
        })
    });
    let peer = Peer::start()?;
    (0..spinning).for_each(|_| peer.spawn_busy(ENDLESS, Rc::default()));
    let loaded = Arc::clone(&peer.loaded);
    let neighbour = peer.tasks.spawn_local(async move {
        let mut instance = loaded.instantiate(Emptyhanded).await?;
        while let Some(reply) = received.recv().await {
            instance.process(b"a").await?;
            reply.send(()).ok();
        }
        anyhow::Ok(())
    });
    peer.tasks.block_on(&peer.runtime, neighbour)??;
    asks.join().map_err(|_| anyhow::anyhow!("the thread that asks broke off"))?
}
