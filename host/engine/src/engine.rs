use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pulselet_api::{ComponentRef, Digest, Limits, World};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;

use crate::artifacts::{Artifact, ArtifactStore};
use crate::budgets::HostLimits;
use crate::code::Code;
use crate::compiled::{BuildError, CompiledStore};
use crate::slots::Slots;
use crate::state::State;
use crate::ticker::Ticker;
use crate::{
    AssignError, Assigned, Budgets, HostCalls, ImportClass, Inspection, LoadError, Options, StartError, files, imports,
    inspect, settings,
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

pub(crate) struct Shared<H: 'static> {
    artifacts: ArtifactStore,
    compiled: CompiledStore,
    linker: Linker<State<H>>,
    slots: Slots<H>,
    budgets: Budgets,
    /// Room for loaded components.
    loading: Arc<Semaphore>,
    /// Places for instances.
    pub(crate) admission: Arc<Semaphore>,
    pub(crate) admission_timeout: Duration,
    pub(crate) ticker: Ticker,
    pub(crate) wasmtime: wasmtime::Engine,
}

impl<H: HostCalls> Engine<H> {
    /// Raises the limit of descriptors, solves the budgets, and opens the stores. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When the folder cannot be used or the instances do not fit into this process.
    pub fn new(options: Options) -> Result<Self, StartError> {
        let budgets = Budgets::solve(&options, HostLimits::raise_and_read())?;
        let refused = |error: wasmtime::Error| StartError::Wasmtime(format!("{error:#}"));
        let wasmtime =
            wasmtime::Engine::new(&settings::wasmtime_config(&budgets, options.max_table_elements)).map_err(refused)?;

        let store = |name: &str| {
            let path = options.store_dir.join(name);
            (path.clone(), |source| StartError::Store { path, source })
        };
        let (folder, failed) = store("artifacts");
        let artifacts = ArtifactStore::open(folder, options.max_artifact_bytes).map_err(failed)?;
        let (folder, failed) = store("compiled");
        let compiled = CompiledStore::open(folder, wasmtime.clone()).map_err(failed)?;

        let epochs = wasmtime.clone();
        let ticker = Ticker::start(options.epoch_tick, move || epochs.increment_epoch()).map_err(StartError::Thread)?;
        Ok(Self {
            shared: Arc::new(Shared {
                artifacts,
                compiled,
                linker: imports::linker(&wasmtime).map_err(refused)?,
                slots: Slots::default(),
                loading: Arc::new(Semaphore::new(budgets.loaded as usize)),
                admission: Arc::new(Semaphore::new(budgets.instances as usize)),
                admission_timeout: options.admission_timeout,
                budgets,
                ticker,
                wasmtime,
            }),
        })
    }

    /// What this process can hold; its text is a table with a line for each limit.
    pub fn budgets(&self) -> &Budgets {
        &self.shared.budgets
    }

    /// Obtains a component, looks whether it may run, and compiles it unless that was done before. Afterwards its code is
    /// on disk and known to load and to link. Blocks, for seconds if the component is large.
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
        let artifact = self.shared.artifacts.obtain(component, base_dir)?;
        let inspection = inspect(&artifact.bytes)?;
        inspection.admit(component.world, grants)?;
        let slot = self.shared.slots.of(artifact.digest);
        let code = slot.loaded(|| self.shared.build_and_load(&artifact, inspection.world))?;
        self.shared.fits(&code, limits)?;
        Ok(Assigned::new(Arc::clone(&self.shared), slot, artifact.digest, inspection, limits.clone()))
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

impl<H: HostCalls> Shared<H> {
    /// A file that does not load was damaged or comes from another version; one that was just built must load.
    fn build_and_load(&self, artifact: &Artifact, world: World) -> Result<Code<H>, AssignError> {
        let path = self.compiled.path(artifact.digest);
        if path.exists() {
            match self.load(artifact.digest, world) {
                Err(AssignError::Load(LoadError::Code { reason, .. })) => {
                    tracing::warn!(component = %artifact.digest, reason, "compiled code is built again");
                }
                loaded => return loaded,
            }
        }
        self.compiled.build(artifact.digest, &artifact.bytes).map_err(|error| match error {
            BuildError::Compile(error) => AssignError::Compile(format!("{error:#}")),
            BuildError::Keep { path, source } => AssignError::Keep { path, source },
        })?;
        self.load(artifact.digest, world)
    }

    /// Maps and links compiled code. What cannot be mapped is set aside.
    pub(crate) fn load(&self, component: Digest, world: World) -> Result<Code<H>, AssignError> {
        let room = Arc::clone(&self.loading)
            .try_acquire_owned()
            .map_err(|_| LoadError::Full { budget: self.budgets.loaded })?;
        let path = self.compiled.path(component);
        let code = self.compiled.map(&path).map_err(|error| {
            if let Err(error) = files::set_aside(&path) {
                tracing::debug!(%component, %error, "compiled code was not set aside");
            }
            LoadError::Code { component, path, reason: format!("{error:#}") }
        })?;
        Code::link(&code, world, &self.linker, room).map_err(|error| AssignError::Link(format!("{error:#}")))
    }

    pub(crate) fn code_path(&self, component: Digest) -> PathBuf {
        self.compiled.path(component)
    }

    fn fits(&self, code: &Code<H>, limits: &Limits) -> Result<(), AssignError> {
        let within = |needed: u64, of, allowed: u64, field| {
            if needed > allowed { Err(AssignError::Limit { needed, of, allowed, field }) } else { Ok(()) }
        };
        within(code.memory_bytes, "bytes of memory", limits.memory_bytes, "spec.limits.memory")?;
        let elements = u64::from(limits.table_elements);
        within(code.table_elements, "elements in a table", elements, "spec.limits.tableElements")?;
        if code.places > self.budgets.instances {
            return Err(AssignError::TooBig { needed: code.places, room: self.budgets.instances });
        }
        Ok(())
    }
}
