//! What does a message wait when thousands of functions share a runner and few of them are busy?
//!
//! Functions of different digests on a runner over the embedded broker in memory; messages come at an even rate, whoever
//! answers or not, to functions picked by Zipf's law (s = 1) from a seeded generator. Subjects: `ours` lets instances
//! idle for a second, has places for one of twenty functions and memory for the code of about as many; `fresh` makes an
//! instance for each message, from code that stays in memory; `never evict` keeps whatever was loaded and live for as
//! long as there is room.
//!
//! Each round of each subject is a process of its own, and sees the same messages. Latency is from when the message
//! was due until its answer is in a consumer's hand; the publisher and the consumer are in the same process. A function's first
//! message is a cold start for everyone. The page cache is hot, the allocator that of the product.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "says where the report is; hands on what was measured")]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pulselet_benches::{
    Chart, Comparison, Distinct, Fleet, Footprint, OURS, Report, next_answers, publish, quick, svg,
};
use pulselet_test_support::guest;
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SUBJECTS: [&str; 3] = [OURS, "fresh", "never evict"];
/// Messages a second, in all.
const RATE: usize = 500;

/// What one process has seen.
#[derive(Serialize, Deserialize)]
struct Seen {
    /// In microseconds.
    latencies: Vec<f64>,
    cold_starts: u64,
    evictions: u64,
    at_end: Footprint,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, subject, functions, messages, folder] = args.as_slice()
        && command == "measure"
    {
        // As in the product: one thread for input and output, guests on others.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let seen = measure(subject, functions.parse()?, messages.parse()?, Path::new(folder));
        println!("{}", serde_json::to_string(&runtime.block_on(seen)?)?);
        // All was measured; taking the runner and the broker apart is not part of it.
        std::process::exit(0);
    }
    let (functions, messages, rounds) = if quick() { (500, 4 * RATE, 2) } else { (10_000, 30 * RATE, 5) };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    Distinct::in_folder(dir.path()).make(&std::fs::read(guest("echo"))?, functions)?;
    let case = format!("{functions} functions");
    let comparison = |metric, unit| Comparison::new(&case, metric, unit);
    let mut latency = comparison("publish to answer", "us");
    let mut tail = comparison("the same, p999", "us");
    let mut share = comparison("cold starts", "%");
    let mut evictions = comparison("evictions", "");
    let mut memory = comparison("anonymous at the end", "MiB");
    let mut all: [Vec<f64>; SUBJECTS.len()] = Default::default();
    for round in 0..rounds {
        for turn in 0..SUBJECTS.len() {
            let at = (turn + round) % SUBJECTS.len();
            let (Some(&subject), Some(all)) = (SUBJECTS.get(at), all.get_mut(at)) else { continue };
            let seen = in_a_process(subject, functions, messages, dir.path())?;
            tail.add(subject, vec![quantile(&sorted(seen.latencies.clone()), 0.999)]);
            // The runner does not count what is made for every message.
            if subject != "fresh" {
                share.add(subject, vec![100.0 * seen.cold_starts as f64 / messages as f64]);
            }
            if subject == OURS {
                evictions.add(subject, vec![seen.evictions as f64]);
            }
            memory.add(subject, vec![seen.at_end.anonymous as f64 / f64::from(1 << 20)]);
            all.extend(&seen.latencies);
            latency.add(subject, seen.latencies);
        }
    }
    let mut report = Report::start("mix");
    report.measures("wasmtime");
    for comparison in [latency, tail, share, evictions, memory] {
        report.compare(&comparison);
    }
    let path = report.finish()?;
    let chart = path.with_extension("svg");
    std::fs::write(&chart, draw(all))?;
    eprintln!("{}\n{}", path.display(), chart.display());
    Ok(())
}

fn in_a_process(subject: &str, functions: usize, messages: usize, folder: &Path) -> Result<Seen> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["measure", subject, &functions.to_string(), &messages.to_string()]).arg(folder);
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{subject} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("what it has seen")
}

async fn measure(subject: &str, functions: usize, messages: usize, folder: &Path) -> Result<Seen> {
    let components = Distinct::in_folder(folder);
    let mut options = components.options();
    let places = u32::try_from(functions)?;
    // The usual `vm.max_map_count` has no room for 10,000, and the code wants some of it too.
    options.max_instances = if subject == "never evict" { places.min(5_000) } else { places / 20 };
    // A loaded component takes some 20 KiB.
    options.loaded_bytes = if subject == OURS { u64::from(places) << 10 } else { u64::MAX >> 1 };
    let wasm = match subject {
        OURS => ", idleTimeout: 1000",
        "fresh" => ", reuse: Fresh",
        _ => ", idleTimeout: 86400000",
    };
    let mut fleet = Fleet::start(options)?;
    fleet.deploy(&components, functions, wasm).await?;
    let before = fleet.engine.stats().evictions;
    let latencies = traffic(&fleet, functions, messages).await?;
    let status = fleet.deployments.iter().flat_map(|deployment| deployment.status());
    Ok(Seen {
        latencies,
        cold_starts: status.map(|status| status.cold_starts).sum(),
        evictions: fleet.engine.stats().evictions - before,
        at_end: Footprint::read()?,
    })
}

/// Publishes at an even rate, and waits for all answers.
async fn traffic(fleet: &Fleet, functions: usize, messages: usize) -> Result<Vec<f64>> {
    let answers = fleet.answers().await?;
    let mut zipf = Zipf::over(functions);
    let picks: Vec<usize> = (0..messages).map(|_| zipf.pick()).collect();
    let mut producers = HashMap::new();
    for &number in &picks {
        if let Entry::Vacant(entry) = producers.entry(number) {
            entry.insert(fleet.producer(number).await?);
        }
    }
    let start = Instant::now();
    let due =
        move |number: usize| start + Duration::from_secs(1) * u32::try_from(number).unwrap_or(u32::MAX) / RATE as u32;
    // On a thread of its own, since the runtime's clock knows only whole milliseconds.
    let runtime = tokio::runtime::Handle::current();
    let publishing = tokio::task::spawn_blocking(move || {
        for (number, function) in picks.iter().enumerate() {
            #[allow(clippy::disallowed_methods, reason = "nothing else runs on this thread")]
            std::thread::sleep(due(number).saturating_duration_since(Instant::now()));
            let producer = producers.get(function).context("it was made")?;
            runtime.block_on(publish(&**producer, &(number as u64).to_le_bytes()))?;
        }
        anyhow::Ok(())
    });
    let reading = async {
        let mut latencies = Vec::with_capacity(messages);
        while latencies.len() < messages {
            for answer in next_answers(&*answers).await? {
                let number = u64::from_le_bytes(answer.as_slice().try_into()?);
                // From when it was due, so that a publisher that is late hides nothing.
                latencies.push(due(usize::try_from(number)?).elapsed().as_secs_f64() * 1e6);
            }
        }
        anyhow::Ok(latencies)
    };
    let (published, latencies) = futures::future::join(publishing, reading).await;
    published??;
    latencies
}

/// Numbers from 0, of which the n-th comes 1/n as often as the first.
struct Zipf {
    cumulative: Vec<f64>,
    random: u64,
}

impl Zipf {
    fn over(count: usize) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=count).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self { cumulative: cumulative.collect(), random: 0x9e37_79b9_7f4a_7c15 }
    }

    fn pick(&mut self) -> usize {
        // Xorshift.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let whole = self.cumulative.last().copied().unwrap_or(0.0);
        let at = whole * (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        self.cumulative.partition_point(|sum| *sum <= at)
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn quantile(sorted: &[f64], at: f64) -> f64 {
    sorted.get((sorted.len().saturating_sub(1) as f64 * at).round() as usize).copied().unwrap_or(0.0)
}

/// Latency over how seldom it is worse: the median at 2, the 99th percentile at 100.
fn draw(all: [Vec<f64>; SUBJECTS.len()]) -> String {
    let line = |latencies: Vec<f64>| {
        let latencies = sorted(latencies);
        let seldom = [1.1, 1.25, 2.0, 4.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
        seldom.map(|seldom| (seldom, quantile(&latencies, 1.0 - 1.0 / seldom))).to_vec()
    };
    let series: Vec<(String, Vec<(f64, f64)>)> =
        SUBJECTS.iter().zip(all).map(|(subject, latencies)| ((*subject).to_owned(), line(latencies))).collect();
    svg(&[Chart { title: "Publish to answer", x: "one message in so many takes longer", y: "us", series: &series }])
}
