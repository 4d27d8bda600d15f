//! What does the engine add to a call of a warm instance?
//!
//! The floor is the bare typed call of the same component in the same configuration of wasmtime: asynchronous, pooled,
//! with epochs, but without time limit, ticker, log or outcome. Payloads have 100 bytes and are answered as they are,
//! one by one (a sample is the mean of 32 calls, so that reading the clock does not count) and in batches of 100 (a
//! sample is one call, divided by the messages). Left out: everything around the call, which is the runner's.
//!
//! Goal: at most 0.8 µs a call over the floor.

#![allow(clippy::print_stderr, reason = "says where the report is")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use pulselet_api::{ComponentRef, Limits, Location, Reuse};
use pulselet_benches::{Comparison, Emptyhanded, OURS, Report, quick};
use pulselet_engine::{Engine, Grants, Instance, Options};
use pulselet_test_support::guest;
use wasmtime::component::{Component, ComponentNamedList, ComponentType, Lift, Linker, Lower, TypedFunc};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

const PAYLOAD_BYTES: usize = 100;
const BATCH: usize = 100;
const CALLS_IN_A_SAMPLE: u32 = 32;

fn main() -> Result<()> {
    let (rounds, samples) = if quick() { (5, 2_000) } else { (15, 20_000) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::start("call");
    report.measures("wasmtime");
    runtime.block_on(async {
        report.compare(&one_by_one(rounds, samples).await?);
        report.compare(&in_batches(rounds, samples).await?);
        anyhow::Ok(())
    })?;
    eprintln!("{}", report.finish()?.display());
    Ok(())
}

async fn one_by_one(rounds: usize, samples: usize) -> Result<Comparison> {
    let payload = [0xff; PAYLOAD_BYTES];
    let dir = tempfile::tempdir()?;
    let mut ours = live(dir.path(), "echo").await?;
    let mut floor = Bare::<Process>::new("echo", "pulselet:function/handler@0.1.0", "process").await?;
    ensure!(ours.process(&payload).await? == floor.process(&payload).await?, "both answer the same");

    let mut calls = Comparison::new("one by one", "call", "us");
    for round in 0..rounds {
        for subject in turns(round) {
            let mut taken = Vec::with_capacity(samples);
            for _ in 0..samples {
                let start = Instant::now();
                for _ in 0..CALLS_IN_A_SAMPLE {
                    match subject {
                        OURS => drop(ours.process(&payload).await?),
                        _ => drop(floor.process(&payload).await?),
                    }
                }
                taken.push(micros(start.elapsed()) / f64::from(CALLS_IN_A_SAMPLE));
            }
            calls.add(subject, taken);
        }
    }
    Ok(calls)
}

async fn in_batches(rounds: usize, samples: usize) -> Result<Comparison> {
    let payloads = vec![Bytes::from_static(&[0xff; PAYLOAD_BYTES]); BATCH];
    let slices: Vec<&[u8]> = payloads.iter().map(Bytes::as_ref).collect();
    let dir = tempfile::tempdir()?;
    let mut ours = live(dir.path(), "echo-batch").await?;
    let interface = "pulselet:function/batch-handler@0.1.0";
    let mut floor = Bare::<ProcessBatch>::new("echo-batch", interface, "process-batch").await?;
    let answered = (ours.process_batch(&payloads).await?.len(), floor.process_batch(&slices).await?.len());
    ensure!(answered == (BATCH, BATCH), "both answer every message");

    let mut calls = Comparison::new("batches of 100", "message", "us");
    for round in 0..rounds {
        for subject in turns(round) {
            let mut taken = Vec::with_capacity(samples);
            for _ in 0..samples {
                let start = Instant::now();
                match subject {
                    OURS => drop(ours.process_batch(&payloads).await?),
                    _ => drop(floor.process_batch(&slices).await?),
                }
                taken.push(micros(start.elapsed()) / BATCH as f64);
            }
            calls.add(subject, taken);
        }
    }
    Ok(calls)
}

/// Who comes first changes, so that neither always has the warmer caches.
fn turns(round: usize) -> [&'static str; 2] {
    if round.is_multiple_of(2) { ["floor", OURS] } else { [OURS, "floor"] }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

async fn live(dir: &Path, name: &str) -> Result<Instance<Emptyhanded>> {
    let engine = Engine::new(Options { max_instances: 10, ..Options::new(dir) })?;
    let component =
        ComponentRef { location: Location::File(guest(name)), digest: None, world: None, reuse: Reuse::Instance };
    let limits = Limits {
        timeout: Duration::from_secs(30),
        memory_bytes: 64 << 20,
        table_elements: 10_000,
        output_messages: 1_000,
        output_bytes: 16 << 20,
        log_lines_per_second: 1_000,
    };
    let grants = Grants { publish: true, settle: true, secrets: true };
    let loaded = engine.assign(&component, dir, grants, &limits)?.load()?;
    Ok(loaded.instantiate(Emptyhanded).await?)
}

/// An instance of its own engine, without anything around it.
struct Bare<F> {
    store: Store<()>,
    function: F,
}

type Process = TypedFunc<(&'static [u8],), (Answered,)>;
type ProcessBatch = TypedFunc<(&'static [&'static [u8]],), (Vec<Answered>,)>;

type Answered = std::result::Result<Option<Vec<u8>>, Failure>;

#[derive(ComponentType, Lift)]
#[component(variant)]
enum Failure {
    #[component(name = "retry")]
    Retry(#[allow(dead_code, reason = "only there to be lifted")] Again),
    #[component(name = "reject")]
    Reject(#[allow(dead_code, reason = "only there to be lifted")] String),
    #[component(name = "fatal")]
    Fatal(#[allow(dead_code, reason = "only there to be lifted")] String),
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Again {
    #[allow(dead_code, reason = "only there to be lifted")]
    reason: String,
    #[allow(dead_code, reason = "only there to be lifted")]
    delay: Option<u64>,
}

impl<P, R> Bare<TypedFunc<P, R>>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    async fn new(name: &str, interface: &str, function: &str) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_memories(10).total_tables(40).total_stacks(10);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .concurrency_support(false)
            .gc_support(false)
            .native_unwind_info(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = wasmtime::Engine::new(&config).map_err(failed)?;
        let component = Component::from_file(&engine, guest(name)).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component).map_err(failed)?;
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = linker.instantiate_async(&mut store, &component).await.map_err(failed)?;
        let export = instance
            .get_export_index(&mut store, None, interface)
            .and_then(|interface| instance.get_export_index(&mut store, Some(&interface), function))
            .with_context(|| format!("{name} exports no {function}"))?;
        let function = instance.get_typed_func(&mut store, export).map_err(failed)?;
        Ok(Self { store, function })
    }
}

impl Bare<Process> {
    async fn process(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>> {
        // The copy shortens the lifetime in its type.
        let function: TypedFunc<(&[u8],), (Answered,)> = self.function;
        let (answered,) = function.call_async(&mut self.store, (payload,)).await.map_err(failed)?;
        answered.map_err(|_| anyhow!("the guest failed"))
    }
}

impl Bare<ProcessBatch> {
    async fn process_batch(&mut self, payloads: &[&[u8]]) -> Result<Vec<Answered>> {
        let function: TypedFunc<(&[&[u8]],), (Vec<Answered>,)> = self.function;
        let (answered,) = function.call_async(&mut self.store, (payloads,)).await.map_err(failed)?;
        Ok(answered)
    }
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}
