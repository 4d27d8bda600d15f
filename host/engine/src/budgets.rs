use std::fmt;
use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Options, StartError};

/// Address space one linear memory takes: what 32-bit addresses reach, and a guard behind it.
const MEMORY_SLOT_BYTES: u64 = (4 << 30) + (32 << 20);
/// What a process can reserve in one piece: the 128 TiB of user space, less what lies above a position-independent
/// executable, which Linux puts two thirds up.
const CONTIGUOUS_BYTES: u64 = 85 << 40;
const MAPS_PER_LOADED: u64 = 3;
const MAPS_PER_LIVE: u64 = 4;
const MAPS_PER_STACK: u64 = 2;
/// Libraries, heaps, thread stacks and the broker's files.
const MAPS_FOR_PROCESS: u64 = 2_000;

/// Used where the kernel does not tell: its own default.
const DEFAULT_MAX_MAP_COUNT: u64 = 65_530;

/// What this process can hold at the same time, solved from its limits when the engine starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Live instances of one memory and up to four tables; an instance with more takes the place of several.
    pub instances: u32,
    /// The same of baseline code, in a pool of their own.
    pub baseline_instances: u32,
    /// Linear memories, of both pools.
    pub memories: u32,
    /// Tables, of both pools.
    pub tables: u32,
    /// Stacks that guest calls run on, of both pools.
    pub stacks: u32,
    /// Components mapped and ready for instances.
    pub loaded: u32,
    limits: HostLimits,
    reserved_descriptors: u64,
}

/// What the system allows this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostLimits {
    pub(crate) max_map_count: u64,
    pub(crate) descriptors: u64,
}

impl HostLimits {
    /// Raises the soft limit of descriptors to the hard one, then reads what is left to obey.
    pub(crate) fn raise_and_read() -> Self {
        let files = getrlimit(Resource::Nofile);
        // Not being allowed to raise it only leaves less room, which the budget then shows.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
        let max_map_count = fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(DEFAULT_MAX_MAP_COUNT);
        Self { max_map_count, descriptors: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) }
    }
}

impl Budgets {
    /// Tables go with memories; components of several modules have a few each.
    pub(crate) const TABLES_PER_PLACE: u32 = 4;

    /// Fits the wanted instances in. Room is kept for as many loaded components as instances, since each may belong to a
    /// function of its own; what is left over goes to further loaded components.
    pub(crate) fn solve(options: &Options, limits: HostLimits) -> Result<Self, StartError> {
        let baseline = if options.baseline { options.max_baseline_instances.min(options.max_instances) } else { 0 };
        let wanted = options.max_instances.saturating_add(baseline);
        let instances = u64::from(wanted);
        let maps = limits.max_map_count.saturating_sub(MAPS_FOR_PROCESS);
        let reserved_descriptors = u64::from(options.reserved_descriptors).min(limits.descriptors / 2);
        let descriptors = limits.descriptors - reserved_descriptors;

        let possible = [
            (maps / (MAPS_PER_LIVE + MAPS_PER_STACK + MAPS_PER_LOADED), "vm.max_map_count"),
            (descriptors, "RLIMIT_NOFILE (ulimit -n)"),
            (CONTIGUOUS_BYTES / MEMORY_SLOT_BYTES, "address space"),
            (u64::from(u32::MAX / Self::TABLES_PER_PLACE), "count of tables"),
        ];
        if options.max_instances == 0 {
            return Err(StartError::NoInstances);
        }
        if let Some((most, limit)) = possible.into_iter().find(|(most, _)| *most < instances) {
            return Err(StartError::TooManyInstances { wanted, possible: most, limit });
        }
        let maps_left = maps - instances * (MAPS_PER_LIVE + MAPS_PER_STACK);
        let loaded = u32::try_from((maps_left / MAPS_PER_LOADED).min(descriptors)).unwrap_or(u32::MAX);
        Ok(Self {
            instances: options.max_instances,
            baseline_instances: baseline,
            memories: wanted,
            tables: wanted * Self::TABLES_PER_PLACE,
            stacks: wanted,
            loaded: options.max_loaded.map_or(loaded, |most| most.min(loaded)),
            limits,
            reserved_descriptors,
        })
    }

    /// How many instances' places an instance with these needs takes.
    pub(crate) fn places(memories: u32, tables: u32) -> u32 {
        memories.max(tables.div_ceil(Self::TABLES_PER_PLACE)).max(1)
    }
}

impl fmt::Display for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instances, baseline_instances, memories, tables, stacks, loaded, limits, reserved_descriptors } =
            self;
        let slots = CONTIGUOUS_BYTES / MEMORY_SLOT_BYTES;
        let in_maps = u64::from(*stacks) * (MAPS_PER_LIVE + MAPS_PER_STACK) + u64::from(*loaded) * MAPS_PER_LOADED;
        let tables_per_place = Self::TABLES_PER_PLACE;
        writeln!(f, "{:<10} {:>10}  against", "limit", "budget")?;
        writeln!(f, "{:<10} {instances:>10}  max instances", "instances")?;
        writeln!(f, "{:<10} {baseline_instances:>10}  max baseline instances", "baseline")?;
        writeln!(f, "{:<10} {memories:>10}  address space for {slots} memories of 4 GiB", "memories")?;
        writeln!(f, "{:<10} {tables:>10}  {tables_per_place} for each instance", "tables")?;
        writeln!(f, "{:<10} {stacks:>10}  1 for each instance", "stacks")?;
        let (files, all_maps) = (limits.descriptors, limits.max_map_count);
        writeln!(f, "{:<10} {loaded:>10}  RLIMIT_NOFILE {files}, of which {reserved_descriptors} kept", "loaded")?;
        write!(f, "{:<10} {in_maps:>10}  vm.max_map_count {all_maps}, of which {MAPS_FOR_PROCESS} kept", "maps")
    }
}

#[cfg(test)]
mod tests;
