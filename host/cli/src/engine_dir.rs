use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pulselet_engine::{Compiler, Cpu, Options};

/// Folder for components and compiled code: the given one, or one in the user's cache. Compiled code is worth keeping
/// from run to run, wherever the messages are kept.
///
/// # Errors
/// When none is given and the user has no home.
pub(crate) fn choose(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = given {
        return Ok(dir.to_owned());
    }
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| Path::new(dir).is_absolute()) {
        Some(dir) => PathBuf::from(dir),
        None => std::env::home_dir().context("there is no home folder: name one with --engine-dir")?.join(".cache"),
    };
    Ok(cache.join("pulselet").join("engine"))
}

/// How components are kept, compiled and held in memory
#[derive(Args, Debug)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Folder for components and compiled code [default: pulselet in the user's cache folder]
    #[arg(long, value_name = "DIR", env = "PULSELET_ENGINE_DIR")]
    engine_dir: Option<PathBuf>,
    /// File of 32 bytes that compiled code is authenticated with [default: key in the engine's folder, made if need be]
    #[arg(long, value_name = "FILE")]
    engine_key: Option<PathBuf>,
    /// Most MiB of components and compiled code on disk; what nobody uses goes first
    #[arg(long, value_name = "MIB", default_value_t = 10_240)]
    engine_disk_mib: u64,
    /// Processors that compiled code is good for: host, x86-64-v2 or x86-64-v3
    #[arg(long, value_name = "CPU", default_value_t)]
    engine_cpu: Cpu,
    /// Start components that were never compiled here with optimised code, which takes longer, and no baseline code
    #[arg(long)]
    no_baseline: bool,
    /// MiB of memory that compiling one component may take
    #[arg(long, value_name = "MIB", default_value_t = 2_048)]
    compile_memory_mib: u64,
    /// Seconds of processor time that compiling one component may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    compile_seconds: u64,
    /// Instances that may live at the same time
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    max_instances: u32,
    /// Components that may be loaded at the same time [default: what the system's limits allow]
    #[arg(long, value_name = "N")]
    max_loaded: Option<u32>,
    /// MiB that loaded components may keep while nobody uses them
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    loaded_mib: u64,
}

impl EngineArgs {
    /// The engine's folder and everything else about it; components are compiled by children of this program.
    ///
    /// # Errors
    /// When there is no folder, or this program does not know where it is.
    pub(crate) fn options(&self) -> anyhow::Result<Options> {
        let mut options = Options::new(choose(self.engine_dir.as_deref())?);
        // This very program, also after another version was put in its place.
        let program = match cfg!(target_os = "linux") {
            true => PathBuf::from("/proc/self/exe"),
            false => std::env::current_exe().context("find the program to compile with")?,
        };
        options.compiler = Compiler::Child { program, args: vec!["compile".into()] };
        options.compile_limits.memory_bytes = self.compile_memory_mib.saturating_mul(1 << 20);
        options.compile_limits.cpu_time = Duration::from_secs(self.compile_seconds);
        options.key_file = self.engine_key.clone();
        options.store_bytes = self.engine_disk_mib.saturating_mul(1 << 20);
        options.cpu = self.engine_cpu;
        options.baseline = !self.no_baseline;
        options.max_instances = self.max_instances;
        options.max_loaded = self.max_loaded;
        options.loaded_bytes = self.loaded_mib.saturating_mul(1 << 20);
        Ok(options)
    }
}
