use std::sync::Arc;

use pulselet_api::{Digest, Limits, World};

use crate::code::Code;
use crate::engine::Shared;
use crate::slots::Slot;
use crate::{AssignError, Fault, HostCalls, Inspection, Instance, LoadError};

/// A component whose code is on disk and known to fit. It takes no memory to speak of, no map and no descriptor.
pub struct Assigned<H: 'static> {
    shared: Arc<Shared<H>>,
    slot: Arc<Slot<H>>,
    digest: Digest,
    inspection: Inspection,
    limits: Limits,
}

impl<H: HostCalls> Assigned<H> {
    pub(crate) fn new(
        shared: Arc<Shared<H>>,
        slot: Arc<Slot<H>>,
        digest: Digest,
        inspection: Inspection,
        limits: Limits,
    ) -> Self {
        Self { shared, slot, digest, inspection, limits }
    }

    /// Which component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it is written against.
    pub fn world(&self) -> World {
        self.inspection.world
    }

    /// What it is and what it asks for.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Maps the code and links it, in some hundred microseconds. While anybody holds a component of this digest loaded,
    /// or is loading it, others share that. It is unloaded when the last holder and the last instance are gone.
    ///
    /// # Errors
    /// When no more can be loaded, or the code on disk has been damaged or removed since it was assigned.
    pub fn load(&self) -> Result<Arc<Loaded<H>>, LoadError> {
        let load = || self.shared.load(self.digest, self.world());
        let code = self.slot.loaded(load).map_err(|error| match error {
            AssignError::Load(error) => error,
            // It did link when it was assigned, so this is not the code that was assigned.
            other => LoadError::Code {
                component: self.digest,
                path: self.shared.code_path(self.digest),
                reason: other.to_string(),
            },
        })?;
        Ok(Arc::new(Loaded { shared: Arc::clone(&self.shared), code, limits: self.limits.clone() }))
    }
}

/// A component in memory, ready for instances.
pub struct Loaded<H: 'static> {
    pub(crate) shared: Arc<Shared<H>>,
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
}
