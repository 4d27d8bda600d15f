use std::time::Duration;

/// Why a call gave no value. Each kind has its own name in metrics and logs and its own way of settling.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The guest returned an error.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The guest broke off: a panic, memory it may not have, an illegal instruction. Its instance is gone.
    #[error("trap: {0}")]
    Trap(String),
    /// The call took longer than it may. Its instance is gone.
    #[error("timed out after {0:?}")]
    Timeout(Duration),
    /// The host could not make the call, or failed in it; the guest is not to blame.
    #[error("host: {0}")]
    Host(String),
}

impl Fault {
    /// Every value of [`Fault::kind`].
    pub const KINDS: [&str; 4] = ["guest_error", "trap", "timeout", "host_error"];

    /// The name used as a metric label and in logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Guest(_) => "guest_error",
            Self::Trap(_) => "trap",
            Self::Timeout(_) => "timeout",
            Self::Host(_) => "host_error",
        }
    }

    /// True when the instance may not be called again.
    pub fn poisons_instance(&self) -> bool {
        !matches!(self, Self::Guest(_))
    }
}

/// What a guest says of a message that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// Try again.
    #[error("retry: {reason}")]
    Retry {
        /// Why.
        reason: String,
        /// When; the host's backoff otherwise.
        delay: Option<Duration>,
    },
    /// Never try again.
    #[error("rejected: {0}")]
    Reject(String),
    /// Stop the replica.
    #[error("fatal: {0}")]
    Fatal(String),
}

/// The value of one message: bytes for the output, or nothing.
pub type Answer = Option<Vec<u8>>;
