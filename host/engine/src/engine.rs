use std::path::Path;
use std::sync::Arc;

use pulselet_api::{ComponentRef, Limits, World};
use tokio::sync::watch;

use crate::shared::Shared;
use crate::slots::{Slot, Source};
use crate::{
    AssignError, Assigned, Budgets, HostCalls, ImportClass, Inspection, LoadError, Options, StartError, Stats, inspect,
};

/// Runs components. Clones share everything.
pub struct Engine<H: 'static> {
    shared: Arc<Shared<H>>,
}

impl<H> Clone for Engine<H> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// What a declaration lets its component import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// `publish` and `publish-now`.
    pub publish: bool,
    /// `settle`.
    pub settle: bool,
    /// `secrets`.
    pub secrets: bool,
}

impl<H: HostCalls> Engine<H> {
    /// Raises the limit of descriptors, solves the budgets, and opens the stores. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When the folder cannot be used, others may read its key, or the instances do not fit into this process.
    pub fn new(options: Options) -> Result<Self, StartError> {
        Shared::start(options).map(|shared| Self { shared })
    }

    /// What this process can hold; its text is a table with a line for each limit.
    pub fn budgets(&self) -> &Budgets {
        self.shared.budgets()
    }

    /// What it holds and has done so far.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How many instances wait for a place, as it changes: whoever holds one without need should end it.
    pub fn waiting(&self) -> watch::Receiver<u32> {
        self.shared.admissions.watch()
    }

    /// Obtains a component, looks whether it may run, and compiles it unless that was done before. Afterwards its code is
    /// on disk, verified, known to load and to link, and loaded while there is room. Blocks, for seconds if the component
    /// is large.
    ///
    /// # Errors
    /// Everything that can be wrong with a component is found here, and nothing else has changed then.
    pub fn assign(
        &self,
        component: &ComponentRef,
        base_dir: &Path,
        grants: Grants,
        limits: &Limits,
    ) -> Result<Assigned<H>, AssignError> {
        let shared = &self.shared;
        let artifact = shared.artifacts.obtain(component, base_dir)?;
        let inspection = inspect(&artifact.bytes)?;
        inspection.admit(component.world, grants)?;
        let slot = shared.slots.of(artifact.digest, || {
            let source = Source { component: component.clone(), base_dir: base_dir.to_owned() };
            Slot::new(artifact.digest, inspection.world, source, shared.mark(artifact.digest))
        });
        shared.prepare(&slot)?;
        let code = match shared.load(&slot) {
            // It may have been damaged since it was made; then it is made again, once.
            Err(AssignError::Load(LoadError::Code { .. })) => {
                shared.prepare(&slot)?;
                shared.load(&slot)?
            }
            loaded => loaded?,
        };
        shared.fits(&code, limits)?;
        Ok(Assigned::new(Arc::clone(shared), slot, limits.clone()))
    }
}

impl Inspection {
    /// Sees that the component is of the world that was declared, if one was, and imports no more than it was granted.
    /// [`Engine::assign`] does it too; this is for those who want to know before they have an engine.
    ///
    /// # Errors
    /// With the first rule that it breaks.
    pub fn admit(&self, declared: Option<World>, grants: Grants) -> Result<(), AssignError> {
        let found = self.world;
        if let Some(declared) = declared.filter(|declared| *declared != found) {
            return Err(AssignError::World { declared, found });
        }
        for class in ImportClass::ALL {
            let imports: Vec<String> = self.imports_of(class).map(str::to_owned).collect();
            if imports.is_empty() {
                continue;
            }
            match (class, class.granted_by()) {
                (ImportClass::Unknown, _) => return Err(AssignError::UnknownImports(imports)),
                (ImportClass::Wasi03, _) => return Err(AssignError::Wasi03(imports)),
                (_, Some(granted_by)) if !grants.cover(class) => {
                    return Err(AssignError::NotGranted { imports, granted_by });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Grants {
    fn cover(self, class: ImportClass) -> bool {
        match class {
            ImportClass::Inert => true,
            ImportClass::Publish => self.publish,
            ImportClass::Settle => self.settle,
            ImportClass::Secrets => self.secrets,
            ImportClass::Wasi03 | ImportClass::Unknown => false,
        }
    }
}
