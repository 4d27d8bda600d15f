//! What all handles of an engine share: the stores, both compilers' engines, what is loaded, and what there is room for.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use pulselet_api::{Digest, Limits};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;

use crate::admissions::Admissions;
use crate::artifacts::ArtifactStore;
use crate::budgets::HostLimits;
use crate::code::Code;
use crate::compile::{CompileLimits, Compiler, Queue};
use crate::compiled::seal::{Key, KeyError};
use crate::compiled::uses::{Use, Uses};
use crate::compiled::{CodeKey, CompiledStore, Configuration};
use crate::residency::Residency;
use crate::slots::Slots;
use crate::state::State;
use crate::ticker::Ticker;
use crate::{AssignError, Budgets, Cpu, HostCalls, Options, StartError, Stats, Tier, imports, settings};

pub(crate) struct Shared<H: 'static> {
    pub(crate) artifacts: ArtifactStore,
    pub(crate) compiled: CompiledStore,
    pub(crate) uses: Arc<Uses>,
    pub(crate) slots: Slots<H>,
    pub(crate) residency: Residency<H>,
    pub(crate) queue: Queue,
    pub(crate) compiler: Compiler,
    pub(crate) compile_limits: CompileLimits,
    pub(crate) cpu: Cpu,
    pub(crate) store_bytes: u64,
    pub(crate) counters: Counters,
    /// Room for loaded components.
    pub(crate) loading: Arc<Semaphore>,
    /// Places for instances.
    pub(crate) admission: Arc<Semaphore>,
    pub(crate) admission_timeout: Duration,
    pub(crate) admissions: Admissions,
    pub(crate) ticker: Ticker,
    budgets: Budgets,
    baseline: Option<TierEngine<H>>,
    optimised: TierEngine<H>,
}

/// One compiler's configuration of wasmtime.
pub(crate) struct TierEngine<H: 'static> {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<State<H>>,
    configuration: Configuration,
    /// Places in its own pool, for the baseline's, which is smaller than what is admitted.
    pub(crate) places: Option<Arc<Semaphore>>,
}

/// Things that happened, since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) loads: AtomicU64,
    pub(crate) compiled: [AtomicU64; Tier::ALL.len()],
    pub(crate) refused_files: AtomicU64,
    pub(crate) reverified: AtomicU64,
    pub(crate) collected_bytes: AtomicU64,
}

impl<H: HostCalls> TierEngine<H> {
    fn new(tier: Tier, options: &Options, budgets: &Budgets) -> wasmtime::Result<Self> {
        let config = settings::running(tier, options.cpu, budgets, options.max_table_elements);
        let wasmtime = wasmtime::Engine::new(&config)?;
        let places = match tier {
            Tier::Winch => Some(Arc::new(Semaphore::new(budgets.baseline_instances as usize))),
            Tier::Cranelift => None,
        };
        Ok(Self { linker: imports::linker(&wasmtime)?, configuration: Configuration::of(&wasmtime), wasmtime, places })
    }
}

impl<H: HostCalls> Shared<H> {
    pub(crate) fn start(options: Options) -> Result<Arc<Self>, StartError> {
        let budgets = Budgets::solve(&options, HostLimits::raise_and_read())?;
        let refused = |error: wasmtime::Error| StartError::Wasmtime(format!("{error:#}"));
        let optimised = TierEngine::new(Tier::Cranelift, &options, &budgets).map_err(refused)?;
        let baseline = match budgets.baseline_instances {
            0 => None,
            // Not every processor has a baseline compiler.
            _ => TierEngine::new(Tier::Winch, &options, &budgets)
                .inspect_err(|error| tracing::warn!("no baseline code, first starts will take longer: {error:#}"))
                .ok(),
        };

        let store = |name: &str| {
            let path = options.store_dir.join(name);
            (path.clone(), |source| StartError::Store { path, source })
        };
        let (folder, failed) = store("artifacts");
        let artifacts = ArtifactStore::open(folder, options.max_artifact_bytes).map_err(failed)?;
        let (folder, failed) = store("uses");
        let uses = Arc::new(Uses::open(folder).map_err(failed)?);
        let key_file = options.key_file.clone().unwrap_or_else(|| options.store_dir.join("key"));
        let key = Key::open(&key_file).map_err(|error| unusable_key(key_file, error))?;
        let (folder, failed) = store("compiled");
        let compiled = CompiledStore::open(folder, key).map_err(failed)?;

        let clocks: Vec<wasmtime::Engine> =
            baseline.iter().chain([&optimised]).map(|tier| tier.wasmtime.clone()).collect();
        let advance = move || clocks.iter().for_each(wasmtime::Engine::increment_epoch);
        let ticker = Ticker::start(options.epoch_tick, advance).map_err(StartError::Thread)?;
        // Started last: nothing can fail once threads wait for the whole.
        let backoff = options.compile_limits.backoff;
        let mut failed = None;
        let shared = Arc::new_cyclic(|whole: &Weak<Self>| {
            let whole = whole.clone();
            let queue = Queue::start(backoff, move |job, priority| match whole.upgrade() {
                Some(shared) => shared.build(job, priority),
                None => Err(crate::CompileError::Ending),
            });
            let queue = queue.unwrap_or_else(|error| {
                failed = Some(error);
                Queue::ended()
            });
            Self {
                artifacts,
                compiled,
                uses,
                slots: Slots::default(),
                residency: Residency::new(options.loaded_bytes),
                queue,
                compiler: options.compiler,
                compile_limits: options.compile_limits,
                cpu: options.cpu,
                store_bytes: options.store_bytes,
                counters: Counters::default(),
                loading: Arc::new(Semaphore::new(budgets.loaded as usize)),
                admission: Arc::new(Semaphore::new(budgets.instances as usize)),
                admission_timeout: options.admission_timeout,
                admissions: Admissions::new(),
                ticker,
                budgets,
                baseline,
                optimised,
            }
        });
        match failed {
            Some(error) => Err(StartError::Thread(error)),
            None => Ok(shared),
        }
    }

    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    pub(crate) fn stats(&self) -> Stats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { loads, compiled: [winch, cranelift], refused_files, reverified, collected_bytes } =
            &self.counters;
        let (kept_bytes, kept) = self.residency.kept();
        let (waiting, waits, waited, wait_timeouts) = self.admissions.counts();
        let taken =
            |all: u32, left: &Semaphore| all.saturating_sub(u32::try_from(left.available_permits()).unwrap_or(all));
        Stats {
            loaded: taken(self.budgets.loaded, &self.loading),
            kept: u32::try_from(kept).unwrap_or(u32::MAX),
            kept_bytes,
            places: taken(self.budgets.instances, &self.admission),
            baseline_places: self
                .baseline
                .as_ref()
                .and_then(|baseline| baseline.places.as_ref())
                .map_or(0, |places| taken(self.budgets.baseline_instances, places)),
            waiting,
            waits,
            waited,
            wait_timeouts,
            loads: count(loads),
            evictions: count(&self.residency.evictions),
            compiled_by_winch: count(winch),
            compiled_by_cranelift: count(cranelift),
            refused_files: count(refused_files),
            reverified: count(reverified),
            collected_bytes: count(collected_bytes),
        }
    }

    /// The engine that runs a tier's code; the optimised one where there is no other.
    pub(crate) fn tier(&self, tier: Tier) -> &TierEngine<H> {
        match (tier, &self.baseline) {
            (Tier::Winch, Some(baseline)) => baseline,
            _ => &self.optimised,
        }
    }

    /// What a component that was never compiled here is compiled with.
    pub(crate) fn first_tier(&self) -> Tier {
        if self.baseline.is_some() { Tier::Winch } else { Tier::Cranelift }
    }

    pub(crate) fn key(&self, component: Digest, tier: Tier) -> CodeKey {
        self.tier(tier).configuration.key(component)
    }

    pub(crate) fn code_path(&self, component: Digest, tier: Tier) -> PathBuf {
        self.compiled.path(self.key(component, tier))
    }

    /// Keeps the files of a component from being collected.
    pub(crate) fn mark(&self, component: Digest) -> Vec<Use> {
        let files = Tier::ALL.map(|tier| self.code_path(component, tier)).into_iter();
        let files = files.chain([self.artifacts.path(component)]);
        let mut names: Vec<String> = files.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        names.dedup();
        names.into_iter().map(|name| self.uses.mark(name)).collect()
    }

    pub(crate) fn fits(&self, code: &Code<H>, limits: &Limits) -> Result<(), AssignError> {
        let within = |needed: u64, of, allowed: u64, field| {
            if needed > allowed { Err(AssignError::Limit { needed, of, allowed, field }) } else { Ok(()) }
        };
        within(code.memory_bytes, "bytes of memory", limits.memory_bytes, "spec.limits.memory")?;
        let elements = u64::from(limits.table_elements);
        within(code.table_elements, "elements in a table", elements, "spec.limits.tableElements")?;
        let room = match code.tier {
            Tier::Winch => self.budgets.baseline_instances,
            Tier::Cranelift => self.budgets.instances,
        };
        if code.places > room { Err(AssignError::TooBig { needed: code.places, room }) } else { Ok(()) }
    }
}

fn unusable_key(path: PathBuf, error: KeyError) -> StartError {
    match error {
        KeyError::Io(source) => StartError::Store { path, source },
        KeyError::Unusable(reason) => StartError::Key { path, reason },
    }
}
