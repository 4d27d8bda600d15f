use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use pulselet_api::{ComponentRef, Digest, Limits, Location, Reuse};
use pulselet_benches::Emptyhanded;
use pulselet_engine::{Assigned, Engine, Grants, Options};
use sha2::{Digest as _, Sha256};

/// An engine, and a component that is compiled.
pub(crate) struct Ours {
    engine: Engine<Emptyhanded>,
    dir: PathBuf,
    component: Vec<u8>,
    compiled: Assigned<Emptyhanded>,
}

impl Ours {
    pub(crate) fn new(dir: &Path, component: Vec<u8>) -> Result<Self> {
        let store = dir.join("store");
        // Nothing stays loaded that nobody holds.
        let options = Options { max_instances: 10, baseline: false, loaded_bytes: 0, ..Options::new(store) };
        let engine = Engine::new(options)?;
        let (compiled, _) = assign(&engine, dir, &component)?;
        Ok(Self { engine, dir: dir.to_owned(), component, compiled })
    }

    /// The same component with another digest: a custom section named `n` holds the number.
    /// Also says how long assigning took.
    pub(crate) fn assign(&self, number: usize) -> Result<(Assigned<Emptyhanded>, Duration)> {
        let mut bytes = self.component.clone();
        bytes.extend([0, 10, 1, b'n']);
        bytes.extend(number.to_le_bytes());
        self.compiled.copy_code_for(Digest(Sha256::digest(&bytes).into()))?;
        assign(&self.engine, &self.dir, &bytes)
    }
}

fn assign(engine: &Engine<Emptyhanded>, dir: &Path, component: &[u8]) -> Result<(Assigned<Emptyhanded>, Duration)> {
    let name = PathBuf::from("component.wasm");
    std::fs::write(dir.join(&name), component)?;
    let component = ComponentRef { location: Location::File(name), digest: None, world: None, reuse: Reuse::Instance };
    let grants = Grants { publish: true, settle: true, secrets: true };
    let start = Instant::now();
    let assigned = engine.assign(&component, dir, grants, &Limits::default())?;
    Ok((assigned, start.elapsed()))
}
