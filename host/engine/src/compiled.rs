use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use pulselet_api::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::files;

/// Native code of components, each file good for one component and one configuration of the engine.
pub(crate) struct CompiledStore {
    folder: PathBuf,
    engine: wasmtime::Engine,
    configuration: Sha256,
}

impl CompiledStore {
    pub(crate) fn open(folder: PathBuf, engine: wasmtime::Engine) -> io::Result<Self> {
        files::private_folder(&folder)?;
        files::remove_abandoned(&folder, std::time::SystemTime::now())?;
        let mut configuration = Configuration(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut configuration);
        (std::env::consts::ARCH, std::env::consts::OS).hash(&mut configuration);
        Ok(Self { folder, engine, configuration: configuration.0 })
    }

    /// The file that a component's code is or will be in.
    pub(crate) fn path(&self, component: Digest) -> PathBuf {
        let key = self.configuration.clone().chain_update(component.0).finalize();
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.cwasm"))
    }

    /// Compiles and keeps the code.
    pub(crate) fn build(&self, component: Digest, bytes: &[u8]) -> Result<(), BuildError> {
        let code = self.engine.precompile_component(bytes).map_err(BuildError::Compile)?;
        let path = self.path(component);
        files::write_whole(&path, &code).map_err(|source| BuildError::Keep { path, source })
    }

    /// Maps the code.
    #[allow(unsafe_code, reason = "native code is trusted by where it is kept")]
    pub(crate) fn map(&self, path: &Path) -> wasmtime::Result<Component> {
        // SAFETY: the file was written by `build`, from the output of the compiler, into a folder that only this user may
        // enter; it is never written again in place, only replaced by rename, so that mapped pages do not change.
        // Wasmtime itself refuses a file of another version, target or configuration. Other processes of the same user
        // are trusted.
        unsafe { Component::deserialize_file(&self.engine, path) }
    }
}

pub(crate) enum BuildError {
    Compile(wasmtime::Error),
    Keep { path: PathBuf, source: io::Error },
}

/// Collects what wasmtime hashes, so that equal configurations have equal keys in every process.
struct Configuration(Sha256);

impl Hasher for Configuration {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the whole digest is.
    fn finish(&self) -> u64 {
        0
    }
}
