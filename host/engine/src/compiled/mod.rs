//! Native code of components in files, each good for one component, compiler, processor and configuration.
//!
//! - [`seal`]: how a file shows that it was written here
//! - [`uses`]: which files any process uses
//! - [`collect`]: which files go when there are too many
//!
//! A file is written under another name and renamed; it is never written in place, so that mapped pages do not change.
//! Dying anywhere on the way leaves a file nobody reads, which is removed after an hour. Nothing waits for the disk: a
//! file that a power loss has torn is not accepted by its seal, and is made again.

pub(crate) mod collect;
pub(crate) mod seal;
pub(crate) mod uses;

use std::fs::{self, Permissions};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pulselet_api::Digest;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use wasmtime::component::Component;

use crate::files;
use seal::{Key, Verdict};

/// What a file is good for, as 32 bytes; also its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CodeKey([u8; 32]);

impl std::fmt::Display for CodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // At once, since every load asks for it.
        let digits: String = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
        f.write_str(&digits)
    }
}

fn digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or_default()
}

/// One compiler's configuration: half of a key.
#[derive(Clone)]
pub(crate) struct Configuration(Sha256);

impl Configuration {
    pub(crate) fn of(engine: &wasmtime::Engine) -> Self {
        let mut configuration = Self(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut configuration);
        (std::env::consts::ARCH, std::env::consts::OS).hash(&mut configuration);
        configuration
    }

    pub(crate) fn key(&self, component: Digest) -> CodeKey {
        CodeKey(self.0.clone().chain_update(component.0).finalize().into())
    }
}

/// Collects what wasmtime hashes, so that equal configurations have equal keys in every process.
impl Hasher for Configuration {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the whole digest is.
    fn finish(&self) -> u64 {
        0
    }
}

/// The files of all compilers.
pub(crate) struct CompiledStore {
    folder: PathBuf,
    key: Key,
}

/// Why a file was not accepted.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not there.
    Missing,
    /// It was not written here, or not for this, or has changed since.
    Wrong(&'static str),
    /// It cannot be read.
    Unreadable(io::Error),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("it is gone"),
            Self::Wrong(why) => f.write_str(why),
            Self::Unreadable(error) => write!(f, "{error}"),
        }
    }
}

impl CompiledStore {
    pub(crate) fn open(folder: PathBuf, key: Key) -> io::Result<Self> {
        files::private_folder(&folder)?;
        files::remove_abandoned(&folder, std::time::SystemTime::now())?;
        Ok(Self { folder, key })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a key, there or not.
    pub(crate) fn path(&self, key: CodeKey) -> PathBuf {
        self.folder.join(format!("{key}.cwasm"))
    }

    /// A file for the code of a component, which [`CompiledStore::publish`] puts in place.
    pub(crate) fn begin(&self) -> io::Result<NamedTempFile> {
        // Whoever removed the folder has removed code, not the right to make it again.
        files::private_folder(&self.folder)?;
        files::unfinished(&self.folder, 0o600)
    }

    /// Seals what was written and puts it in place of what was there.
    pub(crate) fn publish(&self, key: CodeKey, file: NamedTempFile) -> io::Result<Verdict> {
        self.key.keep()?;
        self.key.seal(key, file.as_file())?;
        file.as_file().set_permissions(Permissions::from_mode(0o400))?;
        let kept = file.persist(self.path(key)).map_err(|error| error.error)?;
        Verdict::of(&kept)
    }

    /// The code in a file, without its seal.
    pub(crate) fn read(&self, key: CodeKey) -> io::Result<Vec<u8>> {
        let mut code = fs::read(self.path(key))?;
        code.truncate(code.len().saturating_sub(seal::SEAL_BYTES as usize));
        Ok(code)
    }

    /// Sees that a file is what it should be, reading all of it.
    pub(crate) fn verify(&self, key: CodeKey) -> Result<Verdict, Refused> {
        let file = fs::File::open(self.path(key)).map_err(refused)?;
        let before = Verdict::of(&file).map_err(Refused::Unreadable)?;
        self.key.check(key, &file)?;
        Ok(before)
    }

    /// Maps a file that was verified before; one that is another by now is verified again.
    pub(crate) fn map(
        &self,
        engine: &wasmtime::Engine,
        key: CodeKey,
        verdict: &mut Option<Verdict>,
    ) -> Result<Component, Refused> {
        let path = self.path(key);
        let now = Verdict::from(&fs::metadata(&path).map_err(refused)?);
        if *verdict == Some(now) {
            // By its name, which saves opening it twice. Who could exchange it just now may write to this folder, and so
            // could read the key as well.
            return deserialize(engine, &path);
        }
        *verdict = None;
        let file = fs::File::open(&path).map_err(refused)?;
        let now = Verdict::of(&file).map_err(Refused::Unreadable)?;
        self.key.check(key, &file)?;
        *verdict = Some(now);
        // By the descriptor, so that what is mapped is what was checked.
        deserialize(engine, Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
    }

    /// Renames a file that cannot be used to one that nobody reads.
    pub(crate) fn set_aside(&self, key: CodeKey) {
        if let Err(error) = files::set_aside(&self.path(key), &self.folder.join("bad")) {
            tracing::debug!(%key, %error, "compiled code was not set aside");
        }
    }
}

fn refused(error: io::Error) -> Refused {
    match error.kind() {
        io::ErrorKind::NotFound => Refused::Missing,
        _ => Refused::Unreadable(error),
    }
}

#[allow(unsafe_code, reason = "native code is trusted by its seal")]
fn deserialize(engine: &wasmtime::Engine, path: &Path) -> Result<Component, Refused> {
    // SAFETY: the file was sealed by a process that has the key, which wrote it from the output of the compiler, and by its
    // inode and times it is unchanged since its seal was checked. It lies in a folder that only this user may enter, and is
    // only ever replaced by rename, so that mapped pages do not change. Wasmtime itself refuses a file of another version,
    // target or configuration. Other processes of the same user are trusted.
    unsafe { Component::deserialize_file(engine, path) }.map_err(|error| {
        tracing::debug!("{error:#}");
        Refused::Wrong("wasmtime does not load it")
    })
}
