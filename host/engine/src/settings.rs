use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::Budgets;

const MAX_MEMORY_BYTES: usize = 4 << 30;
/// Modules that one component may be linked from; Python's has about forty.
const MAX_CORE_INSTANCES: u32 = 1_000;
/// Frames quoted when a guest breaks off.
const BACKTRACE_FRAMES: std::num::NonZeroUsize = std::num::NonZeroUsize::new(8).unwrap();

/// How guests are compiled and run. Everything that changes the code is part of the compiled store's key.
pub(crate) fn wasmtime_config(budgets: &Budgets, max_table_elements: u32) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        // An asynchronous call costs more than twice as much with it, and only WASI 0.3 wants it.
        .concurrency_support(false)
        .gc_support(false)
        // Nobody unwinds through guests with native tools, and registering the tables is quadratic with some libcs.
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(budgets, max_table_elements)));
    config
}

fn pool(budgets: &Budgets, max_table_elements: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(budgets.memories)
        .total_tables(budgets.tables)
        .total_stacks(budgets.stacks)
        // Counted only, they reserve nothing: memories, tables and stacks are what runs out, and admission counts those.
        .total_component_instances(u32::MAX)
        .total_core_instances(u32::MAX)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(max_table_elements as usize)
        // Copying a kept range back costs more than the page faults it saves, for all but large functions.
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        // It misses pages that were swapped out, which would then be seen by the next tenant.
        .pagemap_scan(Enabled::No);
    pool
}
