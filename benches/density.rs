//! What do thousands of functions take, and does the first message of one wait longer for the others?
//!
//! Functions of different digests, whose code was compiled before, are deployed on a runner over the embedded broker in
//! memory. States: `broker` has topics, subscriptions and consumers but no function, which is the floor of the others;
//! `assigned` is subscribed and keeps no code in memory; `loaded` keeps the code of all in memory; `live` keeps an
//! instance of each besides. Each state and number has a process of its own, which is started anew.
//!
//! Start-up is from the first deployment to the last subscription. Memory is read at rest, when it falls no more, before
//! any message. A cold start is from before the publication of one message until its answer is in a consumer's hand, of a
//! function picked at random that has no instance, and whose code is out of memory again if the state is `assigned`; the
//! page cache is hot. For `live` it is the same way with an instance that is there. Everything is in the process that is
//! measured: broker, runner, and the bench itself. Allocator as in the product.
//!
//! Numbers of functions given as arguments are measured in place of the usual ones.
//!
//! Goals: 10,000 assigned in 512 MiB, 10,000 loaded in 1 GiB; a cold start among 10,000 at most 1.5 times that among 10.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "says where the report is; hands on what was measured")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pulselet_benches::{Chart, Distinct, Fleet, Footprint, Report, Row, next_answers, publish, quick, svg};
use pulselet_test_support::guest;
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const STATES: [&str; 4] = ["broker", "assigned", "loaded", "live"];
const COLD_STARTS: usize = 50;
/// Longer than the allocator keeps what was given back to it, which is 10 seconds.
const DECAY: Duration = Duration::from_secs(12);

/// What one process has seen.
#[derive(Serialize, Deserialize)]
struct Seen {
    state: String,
    functions: usize,
    at_rest: Footprint,
    /// In seconds.
    start_up: f64,
    /// In microseconds: until the answer is seen, and as the replica says.
    cold_starts: Vec<f64>,
    own_cold_starts: Vec<f64>,
    /// When all functions are gone.
    afterwards: Option<Footprint>,
    loaded: u32,
    instances: u32,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, state, count, folder] = args.as_slice()
        && command == "measure"
    {
        // As in the product: one thread for input and output, guests on others.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let seen = runtime.block_on(measure(state, count.parse()?, Path::new(folder)))?;
        println!("{}", serde_json::to_string(&seen)?);
        // All was measured; taking the engine and the broker apart is not part of it.
        std::process::exit(0);
    }
    let mut sizes: Vec<usize> = args.iter().filter_map(|size| size.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.extend(if quick() { &[1, 10, 100, 1_000][..] } else { &[1, 10, 100, 1_000, 10_000] });
    }
    let most = sizes.iter().copied().max().unwrap_or(1);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let start = Instant::now();
    Distinct::in_folder(dir.path()).make(&std::fs::read(guest("echo"))?, most)?;
    eprintln!("{most} components are in place after {:.1?}", start.elapsed());
    let mut report = Report::start("density");
    report.measures("wasmtime");
    let mut all = Vec::new();
    for size in sizes {
        for state in STATES {
            match in_a_process(state, size, dir.path()) {
                Ok(seen) => {
                    seen.rows().into_iter().for_each(|row| report.row(row));
                    all.push(seen);
                }
                // As many live as there is room for.
                Err(error) => eprintln!("{size} {state} is left out: {error:#}"),
            }
        }
    }
    let path = report.finish()?;
    let chart = path.with_extension("svg");
    std::fs::write(&chart, draw(&all))?;
    goals(&all);
    eprintln!("{}\n{}", path.display(), chart.display());
    Ok(())
}

fn in_a_process(state: &str, size: usize, folder: &Path) -> Result<Seen> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["measure", state, &size.to_string()]).arg(folder).stderr(Stdio::inherit());
    let output = command.output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("what it has seen")
}

async fn measure(state: &str, count: usize, folder: &Path) -> Result<Seen> {
    let components = Distinct::in_folder(folder);
    let mut options = components.options();
    options.max_instances = if state == "live" { u32::try_from(count)? + 10 } else { 64 };
    options.loaded_bytes = if state == "assigned" { 0 } else { u64::MAX >> 1 };
    let mut fleet = Fleet::start(options)?;
    let room = fleet.engine.budgets().instances as usize;
    ensure!(state != "live" || room >= count, "there is room for {room} instances");
    let start = Instant::now();
    let consumers = if state == "broker" { fleet.subscribe(count).await? } else { Vec::new() };
    if state != "broker" {
        let wasm = if state == "live" { ", warmInstances: 1" } else { ", idleTimeout: 10" };
        fleet.deploy(&components, count, wasm).await?;
    }
    let start_up = start.elapsed().as_secs_f64();
    reach(state, count, &fleet).await?;
    let at_rest = settled(Duration::from_secs(3)).await?;
    let stats = fleet.engine.stats();
    let (cold_starts, own_cold_starts) =
        if state == "broker" { Default::default() } else { answer(state, &fleet).await? };
    drop(consumers);
    fleet.deployments.clear();
    while state != "broker" && fleet.engine.stats().loaded > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let afterwards = if count >= 1_000 { Some(settled(DECAY).await?) } else { None };
    Ok(Seen {
        state: state.to_owned(),
        functions: count,
        at_rest,
        start_up,
        cold_starts,
        own_cold_starts,
        afterwards,
        loaded: stats.loaded,
        instances: stats.places,
    })
}

/// Waits until the functions are in their state.
async fn reach(state: &str, count: usize, fleet: &Fleet) -> Result<()> {
    let start = Instant::now();
    loop {
        let stats = fleet.engine.stats();
        let is_there = match state {
            "assigned" => stats.loaded == 0,
            "loaded" => stats.loaded as usize == count && stats.places == 0,
            "live" => stats.places as usize == count,
            _ => true,
        };
        if is_there {
            return Ok(());
        }
        ensure!(
            start.elapsed() < Duration::from_secs(60),
            "of {count}, {} are loaded, {} live",
            stats.loaded,
            stats.places
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The footprint when memory has fallen no more for so long, or nearly so.
async fn settled(quiet: Duration) -> Result<Footprint> {
    let mut least = Footprint::read()?;
    let mut since = Instant::now();
    while since.elapsed() < quiet {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = Footprint::read()?;
        if now.anonymous + (now.anonymous >> 7) < least.anonymous {
            since = Instant::now();
            least = now;
        }
    }
    Footprint::read()
}

async fn answer(state: &str, fleet: &Fleet) -> Result<(Vec<f64>, Vec<f64>)> {
    let answers = fleet.answers().await?;
    let (mut seen, mut own) = (Vec::new(), Vec::new());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..COLD_STARTS {
        // Xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = (random % fleet.deployments.len() as u64) as usize;
        let deployment = fleet.deployments.get(number).context("it is deployed")?;
        let producer = fleet.producer(number).await?;
        while state != "live" && !is_cold(state, fleet) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        publish(&*producer, b"hello").await?;
        next_answers(&*answers).await?;
        seen.push(start.elapsed().as_secs_f64() * 1e6);
        producer.close().await?;
        let took = deployment.status().iter().filter_map(|status| status.last_cold_start).max();
        own.extend(took.map(|took| took.as_secs_f64() * 1e6));
    }
    Ok((seen, own))
}

/// Nothing is left of the cold start before.
fn is_cold(state: &str, fleet: &Fleet) -> bool {
    let stats = fleet.engine.stats();
    stats.places == 0 && (state != "assigned" || stats.loaded == 0)
}

impl Seen {
    fn rows(&self) -> Vec<Row> {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let mut rows = vec![
            self.row("anonymous", "MiB", &[mib(self.at_rest.anonymous)]),
            self.row("private dirty", "MiB", &[mib(self.at_rest.private_dirty)]),
            self.row("page tables", "MiB", &[mib(self.at_rest.page_tables)]),
            self.row("descriptors", "", &[self.at_rest.descriptors as f64]),
            self.row("maps", "", &[self.at_rest.maps as f64]),
            self.row("threads", "", &[self.at_rest.threads as f64]),
            self.row("loaded", "", &[f64::from(self.loaded)]),
            self.row("instances", "", &[f64::from(self.instances)]),
            self.row("start-up", "s", &[self.start_up]),
        ];
        if !self.cold_starts.is_empty() {
            rows.push(self.row("publish to answer", "us", &self.cold_starts));
        }
        if self.state != "live" && !self.own_cold_starts.is_empty() {
            rows.push(self.row("cold start", "us", &self.own_cold_starts));
        }
        if let Some(afterwards) = self.afterwards {
            rows.push(self.row("anonymous, all gone", "MiB", &[mib(afterwards.anonymous)]));
        }
        rows
    }

    fn row(&self, metric: &str, unit: &str, samples: &[f64]) -> Row {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |at: f64| sorted.get((sorted.len().saturating_sub(1) as f64 * at).round() as usize);
        let quantile = |at: f64| quantile(at).copied().unwrap_or(0.0);
        Row {
            case: format!("{} functions", self.functions),
            subject: self.state.clone(),
            metric: metric.into(),
            unit: unit.into(),
            n: sorted.len(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            min: quantile(0.0),
            max: quantile(1.0),
        }
    }

    fn median(&self) -> f64 {
        self.row("", "", &self.cold_starts).p50
    }
}

fn draw(all: &[Seen]) -> String {
    let lines = |value: &dyn Fn(&Seen) -> f64| -> Vec<(String, Vec<(f64, f64)>)> {
        let line = |state: &str| {
            let of_state = all.iter().filter(|seen| seen.state == state);
            of_state.map(|seen| (seen.functions as f64, value(seen))).filter(|(_, value)| *value > 0.0).collect()
        };
        let lines = STATES.map(|state| (state.to_owned(), line(state)));
        lines.into_iter().filter(|(_, points): &(String, Vec<_>)| !points.is_empty()).collect()
    };
    let memory = lines(&|seen| seen.at_rest.anonymous as f64 / f64::from(1 << 20));
    let starts = lines(&Seen::median);
    svg(&[
        Chart { title: "Anonymous memory at rest", x: "functions", y: "MiB", series: &memory },
        Chart { title: "Publish to answer, median", x: "functions", y: "us", series: &starts },
    ])
}

fn goals(all: &[Seen]) {
    let find =
        |state: &str, functions: usize| all.iter().find(|seen| seen.state == state && seen.functions == functions);
    for (state, goal) in [("assigned", 512), ("loaded", 1_024)] {
        if let Some(seen) = find(state, 10_000) {
            println!("10,000 {state}: {} MiB, goal {goal}", seen.at_rest.anonymous >> 20);
        }
        if let (Some(few), Some(many)) = (find(state, 10), find(state, 10_000)) {
            println!(
                "{state}, cold start among 10,000 over that among 10: {:.2}, goal 1.5",
                many.median() / few.median()
            );
        }
    }
}
