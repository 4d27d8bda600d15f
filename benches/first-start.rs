//! How long until a component answers that was never compiled on this machine?
//!
//! The floors are bare wasmtime with each of its compilers, in this process, in the same configuration as ours: compile,
//! instantiate, first call. Ours is `assign`, `load`, `instantiate` and first call: the component is read, hashed, looked
//! at and stored, compiled by a child process, authenticated, put in place, mapped and linked besides. Every sample is
//! another component: the same code with another custom section, and an engine that has never seen it.
//!
//! The child is the program named by `PULSELET_BIN`, with the argument `compile`, or else this one.
//!
//! Goal: at most 1.3 times bare Winch and 5 ms more.

#![allow(clippy::print_stderr, reason = "says where the report is")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use pulselet_api::{ComponentRef, Limits, Location, Reuse};
use pulselet_benches::{Comparison, Emptyhanded, OURS, Report, quick};
use pulselet_engine::{CompileRequest, Compiler, Engine, Grants, Options, Tier};
use pulselet_test_support::{example, guest};
use tempfile::TempDir;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store, Strategy};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|command| command == "compile") {
        let request: Vec<OsString> = args.collect();
        return CompileRequest::serve(&request);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (rounds, samples) = if quick() { (5, 6) } else { (9, 20) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::start("first-start");
    report.measures("wasmtime");
    runtime.block_on(async {
        for (name, path) in
            [("echo", guest("echo")), ("exclamation", example("exclamation")), ("probe", guest("probe"))]
        {
            report.compare(&first_starts(name, &path, rounds, samples).await?);
        }
        anyhow::Ok(())
    })?;
    eprintln!("{}", report.finish()?.display());
    Ok(())
}

async fn first_starts(name: &str, path: &Path, rounds: usize, samples: usize) -> Result<Comparison> {
    let bytes = std::fs::read(path).with_context(|| format!("read {name}"))?;
    let case = format!("{name}, {} KiB", bytes.len() >> 10);
    let mut starts = Comparison::new(&case, "first start", "ms");
    let floors = [("winch", Strategy::Winch), ("cranelift", Strategy::Cranelift)];
    let floors = floors.map(|(subject, strategy)| Ok((subject, bare(strategy)?)));
    let floors: Vec<(&str, wasmtime::Engine)> = floors.into_iter().collect::<Result<_>>()?;
    let ours = Ours::new()?;
    let mut number = 0;
    for round in 0..rounds {
        // Who comes first changes, so that nobody always has the warmer caches.
        for turn in 0..3 {
            let subject = (turn + round) % 3;
            let mut taken = Vec::with_capacity(samples);
            for _ in 0..samples {
                number += 1;
                let bytes = with_number(&bytes, number);
                taken.push(match floors.get(subject) {
                    Some((_, engine)) => {
                        let start = Instant::now();
                        floor(engine, &bytes).await?;
                        start.elapsed().as_secs_f64() * 1e3
                    }
                    None => ours.start(&bytes, number).await?,
                });
            }
            starts.add(floors.get(subject).map_or(OURS, |(subject, _)| subject), taken);
        }
    }
    Ok(starts)
}

/// The same component with another digest: a custom section named `n` that holds the number.
fn with_number(component: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = component.to_vec();
    bytes.extend([0, 10, 1, b'n']);
    bytes.extend(number.to_le_bytes());
    bytes
}

struct Ours {
    engine: Engine<Emptyhanded>,
    dir: TempDir,
}

impl Ours {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let program = match std::env::var_os("PULSELET_BIN") {
            Some(path) => PathBuf::from(path),
            None => std::env::current_exe()?,
        };
        let compiler = Compiler::Child { program, args: vec!["compile".into()] };
        let options = Options { max_instances: 10, compiler, ..Options::new(dir.path().join("store")) };
        Ok(Self { engine: Engine::new(options)?, dir })
    }

    /// How long it took, in milliseconds. Returns when the optimising compiler is done too, which would be in the way of
    /// the next one.
    async fn start(&self, bytes: &[u8], number: u64) -> Result<f64> {
        let name = PathBuf::from(format!("{number}.wasm"));
        let base: &Path = self.dir.path();
        std::fs::write(base.join(&name), bytes)?;
        let component =
            ComponentRef { location: Location::File(name), digest: None, world: None, reuse: Reuse::Instance };
        let grants = Grants { publish: true, settle: true, secrets: true };
        let start = Instant::now();
        let assigned = self.engine.assign(&component, base, grants, &Limits::default())?;
        let mut instance = assigned.load()?.instantiate(Emptyhanded).await?;
        instance.process(b"hello").await?;
        let taken = start.elapsed().as_secs_f64() * 1e3;
        while assigned.residence().tier != Some(Tier::Cranelift) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(taken)
    }
}

fn bare(strategy: Strategy) -> Result<wasmtime::Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(10).total_tables(40).total_stacks(10);
    let mut config = Config::new();
    config
        .strategy(strategy)
        .epoch_interruption(true)
        .concurrency_support(false)
        .gc_support(false)
        .native_unwind_info(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasmtime::Engine::new(&config).map_err(failed)
}

async fn floor(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<()> {
    let component = Component::from_binary(engine, bytes).map_err(failed)?;
    let mut linker = Linker::<()>::new(engine);
    linker.define_unknown_imports_as_traps(&component).map_err(failed)?;
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = linker.instantiate_async(&mut store, &component).await.map_err(failed)?;
    let export = instance
        .get_export_index(&mut store, None, "pulselet:function/handler@0.1.0")
        .and_then(|interface| instance.get_export_index(&mut store, Some(&interface), "process"))
        .context("no handler")?;
    let function = instance.get_func(&mut store, export).context("no function")?;
    let payload = b"hello".iter().map(|byte| wasmtime::component::Val::U8(*byte)).collect();
    let mut results = [wasmtime::component::Val::Bool(false)];
    let argument = [wasmtime::component::Val::List(payload)];
    function.call_async(&mut store, &argument, &mut results).await.map_err(failed)
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}
