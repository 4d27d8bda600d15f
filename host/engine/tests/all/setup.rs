use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pulselet_api::{ComponentRef, Limits, Location, Reuse};
use pulselet_engine::{AssignError, Assigned, Engine, Fault, Grants, Instance, Loaded, Options};
use pulselet_test_support::guest;
use tempfile::TempDir;

use crate::host::Recorder;

pub(crate) const ALL: Grants = Grants { publish: true, settle: true, secrets: true };
/// For what must come to an end by itself: far longer than it takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// An engine with a store of its own.
pub(crate) struct Setup {
    pub(crate) engine: Engine<Recorder>,
    pub(crate) dir: TempDir,
}

pub(crate) fn limits() -> Limits {
    Limits {
        timeout: LONG,
        memory_bytes: 64 << 20,
        table_elements: 10_000,
        output_messages: 100,
        output_bytes: 1 << 20,
        log_lines_per_second: 1_000,
    }
}

pub(crate) fn quick() -> Limits {
    Limits { timeout: Duration::from_millis(100), ..limits() }
}

pub(crate) fn component(path: impl Into<PathBuf>) -> ComponentRef {
    ComponentRef { location: Location::File(path.into()), digest: None, world: None, reuse: Reuse::Instance }
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // One compiler, unless a test is about both: what is on disk is the same then whenever one looks.
        let mut options = Options { max_instances: 10, baseline: false, ..Options::new(dir.path().join("store")) };
        change(&mut options);
        Self { engine: Engine::new(options).unwrap(), dir }
    }

    pub(crate) fn assign(&self, path: impl Into<PathBuf>) -> Result<Assigned<Recorder>, AssignError> {
        self.assign_with(path, ALL, &limits())
    }

    pub(crate) fn assign_with(
        &self,
        path: impl Into<PathBuf>,
        grants: Grants,
        limits: &Limits,
    ) -> Result<Assigned<Recorder>, AssignError> {
        self.engine.assign(&component(path), self.dir.path(), grants, limits)
    }

    /// Writes a component into the folder that relative paths start at.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The same for one in text form.
    pub(crate) fn write_text(&self, name: &str, text: &str) -> PathBuf {
        self.write(name, &wat::parse_str(text).unwrap())
    }

    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let folder: &Path = &self.dir.path().join("store").join(folder);
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.is_file());
        files.sort();
        files
    }
}

/// One engine for tests that do not look at its store, so that the guests are compiled once.
pub(crate) fn shared() -> &'static Setup {
    static SHARED: OnceLock<Setup> = OnceLock::new();
    SHARED.get_or_init(|| Setup::with(|options| options.max_instances = 200))
}

pub(crate) fn probe_with(limits: &Limits) -> Arc<Loaded<Recorder>> {
    shared().assign_with(guest("probe"), ALL, limits).unwrap().load().unwrap()
}

pub(crate) async fn probe() -> Instance<Recorder> {
    probe_with(&limits()).instantiate(Recorder::new()).await.unwrap()
}

pub(crate) async fn probe_batch() -> Instance<Recorder> {
    let loaded = shared().assign(guest("probe-batch")).unwrap().load().unwrap();
    loaded.instantiate(Recorder::new()).await.unwrap()
}

/// The answer of one call, as text.
pub(crate) async fn say(instance: &mut Instance<Recorder>, command: &str) -> Result<String, Fault> {
    let answer = instance.process(command.as_bytes()).await?;
    Ok(answer.map_or_else(|| "(nothing)".to_owned(), |bytes| String::from_utf8(bytes).unwrap()))
}
