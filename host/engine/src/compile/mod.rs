//! From components to native code, away from messages.
//!
//! - [`CompileRequest`]: one compilation, and how it is done: what a child process is told and does
//! - [`child`]: the same in a short-lived process with limits of its own
//! - [`queue`]: who comes first, once for all who ask, and not again at once after a failure

mod child;
mod error;
mod queue;
mod request;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use error::CompileError;
pub(crate) use queue::{Built, Job, Priority, Queue};
pub use request::{CompileRequest, RequestError};

/// Where compiling happens.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// On a thread of this process. [`CompileLimits`] of memory and time do not hold there: a component that takes for
    /// ever to compile takes this process with it.
    #[default]
    InProcess,
    /// In a process that lives for one compilation: this program with these arguments, followed by those of
    /// [`CompileRequest::to_args`]. It calls [`CompileRequest::serve`].
    Child {
        /// What to start.
        program: PathBuf,
        /// Its first arguments.
        args: Vec<OsString>,
    },
}

impl Compiler {
    /// Compiles to the end. Blocks.
    pub(crate) fn run(&self, request: &CompileRequest, limits: &CompileLimits) -> Result<(), CompileError> {
        match self {
            Self::InProcess => request.compile(),
            Self::Child { program, args } => child::run(program, args, request, limits),
        }
    }
}

/// What one compilation may use, and how soon a failed one is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Memory, in bytes. Default 2 GiB; a component of 64 KiB takes 17 MiB, one of 18 MiB takes 350 MiB.
    pub memory_bytes: u64,
    /// Processor time. Default 120 s; one MiB of dense code takes about a second.
    pub cpu_time: Duration,
    /// Time by the clock. Default 300 s.
    pub wall_time: Duration,
    /// Wait before a failed compilation is tried again; doubles up to an hour. Default 5 s.
    pub backoff: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu_time: Duration::from_secs(120),
            wall_time: Duration::from_secs(300),
            backoff: Duration::from_secs(5),
        }
    }
}
