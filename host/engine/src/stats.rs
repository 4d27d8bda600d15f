use std::time::Duration;

/// What an engine holds, and what it has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Components that are mapped.
    pub loaded: u32,
    /// Components that stay mapped while nobody uses them.
    pub kept: u32,
    /// Memory these take, by estimate, in bytes.
    pub kept_bytes: u64,
    /// Places that instances take.
    pub places: u32,
    /// Those of them that are of baseline code.
    pub baseline_places: u32,
    /// Instances that wait for a place now.
    pub waiting: u32,
    /// Times one had to wait.
    pub waits: u64,
    /// How long they have waited together.
    pub waited: Duration,
    /// Times one waited in vain.
    pub wait_timeouts: u64,
    /// Times a component was mapped.
    pub loads: u64,
    /// Times one was let go to make room.
    pub evictions: u64,
    /// Components compiled by the baseline compiler.
    pub compiled_by_winch: u64,
    /// Components compiled by the optimising compiler.
    pub compiled_by_cranelift: u64,
    /// Files of compiled code that were not what they should be, and were set aside.
    pub refused_files: u64,
    /// Files that had changed since they were verified, and were right all the same.
    pub reverified: u64,
    /// Bytes of files that were removed because the store was over its budget.
    pub collected_bytes: u64,
}
