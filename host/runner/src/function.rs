//! A deployed function: what does not change while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use pulselet_api::{Resolved, SecretRef};

/// Where secrets come from. Asked on every use, so that a value may change while a function runs.
pub trait Secrets: Send + Sync + 'static {
    /// The present value of a secret, if there is one. Must not block for long.
    fn get(&self, reference: &SecretRef) -> Option<Vec<u8>>;
}

/// No secrets at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, _: &SecretRef) -> Option<Vec<u8>> {
        None
    }
}

/// What one replica knows of itself.
pub(crate) struct Facts {
    pub(crate) function: Arc<Resolved>,
    pub(crate) replica: u32,
    pub(crate) secrets: Arc<dyn Secrets>,
    /// Where the replica keeps what outlives the process; `None` keeps it in memory.
    pub(crate) state_dir: Option<PathBuf>,
}
