//! How long until a component answers whose code is on disk, and how long if it is in memory?
//!
//! The floor is bare wasmtime in the configuration of ours: `Component::deserialize_file`, `Linker::instantiate_pre` with
//! all of WASI 0.2 and traps for whatever else the component imports, the lookup of its export, a store with an empty WASI
//! context, an instance, and the typed call. Ours is `Assigned::load`, `Loaded::instantiate` and `Instance::process`,
//! which see besides that the file is the one whose seal was checked, keep count of what is loaded and live, limit time,
//! memory and output, and log what is printed.
//!
//! Every sample from assigned is another component, with a digest and a file of its own, that was compiled once: what
//! differs is a custom section. Nothing of it is in memory but the pages of its file. Ours was read and mapped once
//! before, since assigning does; the floor's file was written and never read. Giving back is not timed. Every phase is a
//! row of its own, taken from the same samples. Both use the allocator that `pulselet` uses.
//!
//! What assigning takes is a row of its own: the component is read, hashed, looked at and kept, its code's seal is checked,
//! and it is loaded once. So is what a message sees, through the whole runner on a broker in memory: from the moment its
//! replica has it in hand until its call has returned (Rust only). Neither has a floor.
//!
//! The guests are of three sizes of Rust, and of JavaScript and Python with their interpreters; each answers with its
//! payload or nearly so, so that it is the start that is measured.
//!
//! Goal: at most 1.25 times bare wasmtime at the median, from assigned and from loaded, and 1.5 times at the 99th
//! percentile.

#![allow(clippy::print_stderr, reason = "says where the report is")]

#[path = "cold/bare.rs"]
mod bare;
#[path = "cold/message.rs"]
mod message;
#[path = "cold/ours.rs"]
mod ours;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use bare::Bare;
use ours::Ours;
use pulselet_benches::{Comparison, Emptyhanded, OURS, Report, quick};
use pulselet_engine::Grants;
use pulselet_test_support::{example, guest};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PAYLOAD: &[u8] = b"hello";

struct Guest {
    name: &'static str,
    path: PathBuf,
    rounds: usize,
    /// In a round, of each subject.
    samples: usize,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::start("cold");
    report.measures("wasmtime");
    for guest in guests() {
        if !guest.path.is_file() {
            eprintln!("{} is left out: {} is not there; `make bench-cold` builds it", guest.name, guest.path.display());
            continue;
        }
        for comparison in runtime.block_on(measure(&guest)).with_context(|| guest.name)? {
            report.compare(&comparison);
        }
    }
    eprintln!("{}", report.finish()?.display());
    Ok(())
}

/// With as many samples as their size allows.
fn guests() -> Vec<Guest> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/target");
    let guests = [
        ("echo", guest("echo"), 200),
        ("exclamation", example("exclamation"), 200),
        ("records", built.join("wasm32-wasip2/release/records.wasm"), 50),
        ("javascript", built.join("javascript.wasm"), 20),
        ("python", built.join("python.wasm"), 4),
    ];
    let rounds = if quick() { 5 } else { 10 };
    let fewer = |samples: usize| if quick() { (samples * 3 / 10).max(2) } else { samples };
    guests.map(|(name, path, samples)| Guest { name, path, rounds, samples: fewer(samples) }).into()
}

async fn measure(guest: &Guest) -> Result<Vec<Comparison>> {
    let component = std::fs::read(&guest.path)?;
    // Beside each other, so that both are on the same disk.
    let dir = tempfile::tempdir()?;
    let bare = Bare::new(&component)?;
    let ours = Ours::new(dir.path(), component.clone())?;
    let mut all = from_assigned(guest, &component, dir.path(), &bare, &ours).await?;
    all.extend(from_loaded(guest, dir.path(), &bare, &ours).await?);
    // The tools of other languages import all there is, also what a plain declaration does not grant.
    if pulselet_engine::inspect(&component)?.needs() == Grants::default() {
        all.push(message::seen_by_messages(guest.name, &component, guest.samples * 2).await?);
    }
    Ok(all)
}

async fn from_assigned(
    Guest { name, rounds, samples, .. }: &Guest,
    component: &[u8],
    dir: &Path,
    bare: &Bare,
    ours: &Ours,
) -> Result<Vec<Comparison>> {
    let code = bare.compile(component)?;
    let mut phases = Phases::new(&format!("{name}, assigned"), ["load", "instantiate", "first call"]);
    let mut assignments = Comparison::new(&format!("{name}, assignment"), "verified, loaded", "us");
    for round in 0..*rounds {
        let mut files = Vec::with_capacity(*samples);
        let mut assigned = Vec::with_capacity(*samples);
        let mut assigning = Vec::with_capacity(*samples);
        for sample in 0..*samples {
            let number = round * samples + sample;
            let file = dir.join(format!("{number}.cwasm"));
            std::fs::write(&file, &code)?;
            files.push(file);
            let (component, taken) = ours.assign(number)?;
            assigned.push(component);
            assigning.push(taken.as_secs_f64() * 1e6);
        }
        assignments.add(OURS, assigning);
        for subject in turns(round) {
            let mut taken = Vec::with_capacity(*samples);
            for (file, assigned) in files.iter().zip(&assigned) {
                let mut clock = Instant::now();
                taken.push(match subject {
                    OURS => {
                        let loaded = assigned.load()?;
                        let load = lap(&mut clock);
                        let mut instance = loaded.instantiate(Emptyhanded).await?;
                        let instantiate = lap(&mut clock);
                        instance.process(PAYLOAD).await?;
                        [load, instantiate, lap(&mut clock)]
                    }
                    _ => {
                        let loaded = bare.load(file)?;
                        let load = lap(&mut clock);
                        let mut instance = loaded.instantiate().await?;
                        let instantiate = lap(&mut clock);
                        instance.process(PAYLOAD).await?;
                        [load, instantiate, lap(&mut clock)]
                    }
                });
            }
            phases.add(subject, &taken);
        }
        for file in files {
            std::fs::remove_file(file)?;
        }
    }
    Ok(phases.comparisons().into_iter().chain([assignments]).collect())
}

async fn from_loaded(
    Guest { name, rounds, samples, path }: &Guest,
    dir: &Path,
    bare: &Bare,
    ours: &Ours,
) -> Result<Vec<Comparison>> {
    let file = dir.join("loaded.cwasm");
    std::fs::write(&file, bare.compile(&std::fs::read(path)?)?)?;
    let floor = bare.load(&file)?;
    let ours = ours.assign(usize::MAX)?.0.load()?;
    let mut phases = Phases::new(&format!("{name}, loaded"), ["instantiate", "first call"]);
    for round in 0..*rounds {
        for subject in turns(round) {
            let mut taken = Vec::with_capacity(*samples);
            for _ in 0..*samples {
                let mut clock = Instant::now();
                taken.push(match subject {
                    OURS => {
                        let mut instance = ours.instantiate(Emptyhanded).await?;
                        let instantiate = lap(&mut clock);
                        instance.process(PAYLOAD).await?;
                        [instantiate, lap(&mut clock)]
                    }
                    _ => {
                        let mut instance = floor.instantiate().await?;
                        let instantiate = lap(&mut clock);
                        instance.process(PAYLOAD).await?;
                        [instantiate, lap(&mut clock)]
                    }
                });
            }
            phases.add(subject, &taken);
        }
    }
    Ok(phases.comparisons())
}

/// Who comes first changes, so that neither always has the warmer caches.
fn turns(round: usize) -> [&'static str; 2] {
    if round.is_multiple_of(2) { ["floor", OURS] } else { [OURS, "floor"] }
}

/// Microseconds since the clock was read last.
fn lap(clock: &mut Instant) -> f64 {
    let now = Instant::now();
    let taken = now - *clock;
    *clock = now;
    taken.as_secs_f64() * 1e6
}

/// The first answer, and what it is made of.
struct Phases<const N: usize> {
    whole: Comparison,
    parts: [Comparison; N],
}

impl<const N: usize> Phases<N> {
    fn new(case: &str, names: [&str; N]) -> Self {
        let comparison = |metric: &str| Comparison::new(case, metric, "us");
        Self { whole: comparison("first answer"), parts: names.map(comparison) }
    }

    fn add(&mut self, subject: &str, taken: &[[f64; N]]) {
        self.whole.add(subject, taken.iter().map(|sample| sample.iter().sum()).collect());
        for (at, part) in self.parts.iter_mut().enumerate() {
            part.add(subject, taken.iter().filter_map(|sample| sample.get(at).copied()).collect());
        }
    }

    fn comparisons(self) -> Vec<Comparison> {
        std::iter::once(self.whole).chain(self.parts).collect()
    }
}
