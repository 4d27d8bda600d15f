use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no code of a component. Clones share their source: all who waited for a compilation hear the same.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Its code is not valid, or uses a proposal that is not supported.
    #[error("the component does not compile: {0}")]
    Invalid(String),
    /// It takes more memory than a compilation may use.
    #[error("compiling the component takes more than {limit} bytes of memory; make it smaller, or raise the limit")]
    Memory {
        /// What it may use.
        limit: u64,
    },
    /// It takes longer than a compilation may.
    #[error("compiling the component takes more than {limit:?} of {clock}; make it smaller, or raise the limit")]
    Time {
        /// What it may use.
        limit: Duration,
        /// Processor time, or time by the clock.
        clock: &'static str,
    },
    /// The compiler ended in some other way; it is tried again.
    #[error("the compiler ended with {0}; it is tried again after a while")]
    Died(String),
    /// The compiler could not be started.
    #[error("start the compiler {}", .program.display())]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The component's bytes are gone, and could not be had again.
    #[error("compile {}: {reason}", .path.display())]
    Artifact {
        /// Where they should be.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The code could not be kept.
    #[error("keep compiled component in {}: {reason}; see that the folder can be written and has room", .path.display())]
    Keep {
        /// Where.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The engine has ended.
    #[error("the engine is ending")]
    Ending,
}

impl CompileError {
    /// Stable name of the error, for logs and conditions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "E2024",
            Self::Keep { .. } => "E2028",
            Self::Memory { .. } => "E2030",
            Self::Time { .. } => "E2031",
            Self::Died(_) => "E2032",
            Self::Start { .. } => "E2033",
            Self::Artifact { .. } => "E2034",
            Self::Ending => "E2035",
        }
    }

    /// True when another try may end well though nobody has changed the component: the rest depends on it alone.
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Invalid(_) | Self::Memory { .. })
    }
}
