use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

use crate::{Budgets, Cpu, Tier};

const MAX_MEMORY_BYTES: usize = 4 << 30;
/// Modules that one component may be linked from; Python's has about forty.
const MAX_CORE_INSTANCES: u32 = 1_000;
/// Frames quoted when a guest breaks off.
const BACKTRACE_FRAMES: std::num::NonZeroUsize = std::num::NonZeroUsize::new(8).unwrap();

/// How guests are compiled: everything here changes the code, and is part of the compiled store's key. Whoever compiles
/// and whoever runs must agree on it.
pub(crate) fn code(tier: Tier, cpu: Cpu) -> Config {
    let mut config = Config::new();
    config
        .strategy(match tier {
            Tier::Winch => Strategy::Winch,
            Tier::Cranelift => Strategy::Cranelift,
        })
        .epoch_interruption(true)
        .memory_init_cow(true)
        // An asynchronous call costs more than twice as much with it, and only WASI 0.3 wants it.
        .concurrency_support(false)
        .gc_support(false)
        // Nobody unwinds through guests with native tools, and registering the tables is quadratic with some libcs.
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES));
    for_cpu(&mut config, cpu);
    config
}

/// Naming the target clears what was found out about this processor; the level then adds what it stands for.
#[allow(unsafe_code, reason = "compiler flags")]
fn for_cpu(config: &mut Config, cpu: Cpu) {
    let level = match cpu {
        Cpu::Host => return,
        Cpu::X86_64V2 => "x86-64-v2",
        Cpu::X86_64V3 => "x86-64-v3",
    };
    // Elsewhere the engine does not start: its code would not be for this machine.
    if config.target("x86_64-unknown-linux-gnu").is_ok() {
        // SAFETY: these presets only allow instructions, and wasmtime refuses to load code whose instructions this
        // processor does not have.
        unsafe { config.cranelift_flag_enable(level) };
    }
}

/// How guests run, in a pool of this size.
pub(crate) fn running(tier: Tier, cpu: Cpu, budgets: &Budgets, max_table_elements: u32) -> Config {
    let mut config = code(tier, cpu);
    let instances = match tier {
        Tier::Winch => budgets.baseline_instances,
        Tier::Cranelift => budgets.instances,
    };
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances, max_table_elements)));
    config
}

fn pool(instances: u32, max_table_elements: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(instances)
        .total_tables(instances * Budgets::TABLES_PER_PLACE)
        .total_stacks(instances)
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
