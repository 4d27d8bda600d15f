use std::path::PathBuf;
use std::time::Duration;

use crate::Cpu;
use crate::compile::{CompileLimits, Compiler};

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of its own for artifacts and compiled artifacts; made when it is not there. Several processes of one user
    /// may share it.
    pub store_dir: PathBuf,
    /// Most bytes of artifacts and compiled artifacts together. What nobody uses goes first, the longest unused before
    /// all; what any process uses never goes. Default 10 GiB.
    pub store_bytes: u64,
    /// File of 32 random bytes that compiled artifacts are authenticated with; made when it is not there. Default: `key`
    /// in the folder.
    pub key_file: Option<PathBuf>,
    /// Where compiling happens. Default: in this process.
    pub compiler: Compiler,
    /// What one compilation may use.
    pub compile_limits: CompileLimits,
    /// Whether a component that was never compiled here starts with baseline code. Default true.
    pub baseline: bool,
    /// Which processors compiled artifacts are good for. Default: this one.
    pub cpu: Cpu,
    /// Instances that may live at the same time. Each keeps 4 GiB of address space for its memory, a stack, and some of
    /// `vm.max_map_count`; what that allows is solved at start. Default 1,000.
    pub max_instances: u32,
    /// Instances of baseline code that may live at the same time, besides. Default 50.
    pub max_baseline_instances: u32,
    /// Most components that are mapped at the same time; `None` leaves it to what the system allows. Default `None`.
    pub max_loaded: Option<u32>,
    /// Memory that mapped components without an instance may keep, by estimate; the least recently used are unloaded.
    /// Default 512 MiB.
    pub loaded_bytes: u64,
    /// How often a running guest is looked at. It keeps a thread from others for one of these at most; it overruns its
    /// time-out for one at most, after the turns of those that it shares the thread with. Default 2 ms.
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
            store_bytes: 10 << 30,
            key_file: None,
            compiler: Compiler::InProcess,
            compile_limits: CompileLimits::default(),
            baseline: true,
            cpu: Cpu::Host,
            max_instances: 1_000,
            max_baseline_instances: 50,
            max_loaded: None,
            loaded_bytes: 512 << 20,
            epoch_tick: Duration::from_millis(2),
            max_artifact_bytes: 64 << 20,
            max_table_elements: 100_000,
            reserved_descriptors: 2_048,
            admission_timeout: Duration::from_secs(10),
        }
    }
}
