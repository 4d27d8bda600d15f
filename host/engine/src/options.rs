use std::path::PathBuf;
use std::time::Duration;

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of its own for artifacts and compiled artifacts; made when it is not there.
    pub store_dir: PathBuf,
    /// Instances that may live at the same time. Each keeps 4 GiB of address space for its memory, a stack, and some of
    /// `vm.max_map_count`; what that allows is solved at start. Default 1,000.
    pub max_instances: u32,
    /// How often a running guest is looked at. It keeps a thread from others, and overruns its time-out, for two of these
    /// at most. Default 2 ms.
    pub epoch_tick: Duration,
    /// Largest component, in bytes. Default 64 MiB.
    pub max_artifact_bytes: u64,
    /// Most elements of a table, whatever a function's own limit says: 8 bytes of address space each. Default 100,000.
    pub max_table_elements: u32,
    /// File descriptors left for sockets and files of the rest of the process; every loaded component holds one of the
    /// others. Default 2,048, and never more than half of what there is.
    pub reserved_descriptors: u32,
    /// Longest wait for room when [`Options::max_instances`] are live. Default 10 s.
    pub admission_timeout: Duration,
}

impl Options {
    /// The defaults, with this folder.
    pub fn new(store_dir: impl Into<PathBuf>) -> Self {
        Self {
            store_dir: store_dir.into(),
            max_instances: 1_000,
            epoch_tick: Duration::from_millis(2),
            max_artifact_bytes: 64 << 20,
            max_table_elements: 100_000,
            reserved_descriptors: 2_048,
            admission_timeout: Duration::from_secs(10),
        }
    }
}
