use std::path::{Path, PathBuf};

use anyhow::Result;
use pulselet_api::{ComponentRef, Digest, Limits, Location, Reuse};
use pulselet_engine::{Assigned, Engine, Grants, Options};
use sha2::{Digest as _, Sha256};

use crate::Emptyhanded;

/// Many components of different digests that are compiled: the same code with another custom section, each with files of
/// its own in a store.
#[derive(Clone, Debug)]
pub struct Distinct {
    dir: PathBuf,
}

impl Distinct {
    /// Those that [`Distinct::make`] made in this folder.
    pub fn in_folder(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Makes components 0 to `count` of one: compiles it once and puts copies of its code in place for the others.
    ///
    /// # Errors
    /// When the component cannot be compiled, or a file cannot be written.
    pub fn make(&self, component: &[u8], count: usize) -> Result<()> {
        let options = Options { max_instances: 10, loaded_bytes: 0, ..self.options() };
        let engine = Engine::new(options)?;
        let first = self.assign(&engine, component, 0)?;
        for number in 1..count {
            let bytes = with_number(component, number);
            first.copy_code_for(Digest(Sha256::digest(&bytes).into()))?;
            drop(self.assign(&engine, component, number)?);
        }
        Ok(())
    }

    /// How an engine is set up that finds their code.
    pub fn options(&self) -> Options {
        Options { baseline: false, ..Options::new(self.dir.join("store")) }
    }

    /// Where one of them is.
    pub fn path(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number}.wasm"))
    }

    fn assign(&self, engine: &Engine<Emptyhanded>, component: &[u8], number: usize) -> Result<Assigned<Emptyhanded>> {
        let path = self.path(number);
        std::fs::write(&path, with_number(component, number))?;
        let component =
            ComponentRef { location: Location::File(path), digest: None, world: None, reuse: Reuse::Instance };
        let grants = Grants { publish: true, settle: true, secrets: true };
        Ok(engine.assign(&component, Path::new("/"), grants, &Limits::default())?)
    }
}

/// The same component with another digest: a custom section named `n` holds the number.
fn with_number(component: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = component.to_vec();
    bytes.extend([0, 10, 1, b'n']);
    bytes.extend((number as u64).to_le_bytes());
    bytes
}
