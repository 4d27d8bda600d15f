use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use pulselet_api::{Digest, Limits, World};
use tokio::sync::futures::Notified;

use crate::code::Code;
use crate::compile::Job;
use crate::shared::Shared;
use crate::slots::Slot;
use crate::{AssignError, CompileError, Fault, HostCalls, Instance, LoadError, Tier};

/// A component whose code is on disk, verified, and known to fit. It takes no memory to speak of, no map and no
/// descriptor.
pub struct Assigned<H: 'static> {
    shared: Arc<Shared<H>>,
    slot: Arc<Slot<H>>,
    limits: Limits,
}

/// Where a component is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residence {
    /// Whether it is in memory.
    pub loaded: bool,
    /// Who compiled the code that is in memory, or would be.
    pub tier: Option<Tier>,
    /// Memory it takes, by estimate; 0 if it is not loaded. Pages of its file are not counted: they are the system's,
    /// and shared.
    pub loaded_bytes: u64,
    /// Size of its code on disk.
    pub code_bytes: u64,
    /// Times it was mapped.
    pub loads: u64,
}

/// A compilation that failed and is tried again later. The function runs without it if it has other code.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Which compiler.
    pub tier: Tier,
    /// Why.
    pub error: CompileError,
    /// When.
    pub at: SystemTime,
}

impl<H: HostCalls> Assigned<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>, slot: Arc<Slot<H>>, limits: Limits) -> Self {
        Self { shared, slot, limits }
    }

    /// Which component.
    pub fn digest(&self) -> Digest {
        self.slot.digest
    }

    /// What it is written against.
    pub fn world(&self) -> World {
        self.slot.world
    }

    /// Maps the best code there is and links it, in some hundred microseconds. While anybody holds a component of this
    /// digest loaded, or is loading it, others share that; it stays loaded after the last until room is needed.
    ///
    /// # Errors
    /// When no more can be loaded, or the code on disk has been damaged or removed since it was assigned.
    pub fn load(&self) -> Result<Arc<Loaded<H>>, LoadError> {
        let code = self.shared.load(&self.slot).map_err(|error| match error {
            AssignError::Load(error) => error,
            // It did link when it was assigned, so this is not the code that was assigned.
            other => self.lost(other.to_string()),
        })?;
        let (shared, slot) = (Arc::clone(&self.shared), Arc::clone(&self.slot));
        Ok(Arc::new(Loaded { shared, slot, code, limits: self.limits.clone() }))
    }

    /// As [`Assigned::load`]; but code that is gone from the disk is made again first.
    ///
    /// # Errors
    /// When no more can be loaded, or the code cannot be made again.
    pub async fn load_or_restore(&self) -> Result<Arc<Loaded<H>>, LoadError> {
        match self.load() {
            Err(LoadError::Code { .. }) => {
                self.shared.restore(&self.slot).await.map_err(|error| self.lost(error.to_string()))?;
                self.load()
            }
            loaded => loaded,
        }
    }

    /// Resolves when better code takes the place of what instances are made of, from when it is first polled or enabled.
    pub fn superseded(&self) -> Notified<'_> {
        self.slot.superseded()
    }

    /// Where it is.
    pub fn residence(&self) -> Residence {
        let mut state = self.slot.state();
        let loaded = state.loaded();
        let tier = loaded.as_ref().map(|code| code.tier).or(state.best);
        Residence {
            loaded: loaded.is_some(),
            tier,
            loaded_bytes: loaded.map_or(0, |code| code.bytes),
            code_bytes: tier.and_then(|tier| *state.verdict(tier)).map_or(0, |verdict| verdict.bytes),
            loads: self.slot.loads.load(Ordering::Relaxed),
        }
    }

    /// What went wrong in compiling it and was not put right since.
    pub fn trouble(&self) -> Option<Trouble> {
        let failure = |tier| Some((tier, self.shared.queue.failure(Job { digest: self.slot.digest, tier })?));
        let (tier, failure) = Tier::ALL.into_iter().find_map(failure)?;
        Some(Trouble { tier, error: failure.error, at: failure.at })
    }

    /// Puts this component's code in place for another digest, so that it is not compiled. For benches, which want many
    /// components that differ in a custom section and in nothing that is compiled; nobody checks that they do.
    ///
    /// # Errors
    /// When the code cannot be read or written.
    #[doc(hidden)]
    pub fn copy_code_for(&self, component: Digest) -> std::io::Result<()> {
        self.shared.copy_code(&self.slot, component)
    }

    fn lost(&self, reason: String) -> LoadError {
        let component = self.slot.digest;
        let path = self.shared.code_path(component, self.shared.first_tier());
        LoadError::Code { component, path, reason }
    }
}

impl<H: 'static> Drop for Assigned<H> {
    fn drop(&mut self) {
        // Nobody else assigns it, so that keeping it loaded is over.
        if Arc::strong_count(&self.slot) == 1 {
            let stamp = self.slot.state().stamp;
            self.shared.residency.forget(stamp);
        }
    }
}

/// A component in memory, ready for instances.
pub struct Loaded<H: 'static> {
    pub(crate) shared: Arc<Shared<H>>,
    pub(crate) slot: Arc<Slot<H>>,
    pub(crate) code: Arc<Code<H>>,
    pub(crate) limits: Limits,
}

impl<H: HostCalls> Loaded<H> {
    /// Makes an instance and runs what the component does at its start. Waits while all places are taken, at most for
    /// [`Options::admission_timeout`](crate::Options::admission_timeout).
    ///
    /// # Errors
    /// When no place came free, or the component broke off or took too long at its start.
    pub async fn instantiate(&self, host: H) -> Result<Instance<H>, Fault> {
        Instance::new(self, host).await
    }

    /// Who compiled it.
    pub fn tier(&self) -> Tier {
        self.code.tier
    }
}
