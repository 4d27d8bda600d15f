//! Which files of the store any process uses: an empty file of the same name in a folder that each process has for
//! itself, and holds locked while it lives. What is used no more leaves its mark among the last uses, with the time.
//!
//! Marks only keep files from being collected. A process that dies leaves its folder; whoever collects next finds it
//! unlocked. A mark that could not be made costs no more than compiling again.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use crate::files;

const LOCK: &str = "lock";
const ALIVE: &str = "alive";
const LAST: &str = "last";

/// See the module.
pub(crate) struct Uses {
    folder: PathBuf,
    mine: PathBuf,
    /// Shared while a mark is made, alone while files are collected.
    lock: File,
    /// Locked as long as this process lives.
    _alive: File,
}

/// A file that is used until this is dropped.
pub(crate) struct Use {
    uses: Arc<Uses>,
    name: String,
}

impl Uses {
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        files::private_folder(&folder)?;
        files::private_folder(&folder.join(LAST))?;
        let lock = OpenOptions::new().create(true).append(true).open(folder.join(LOCK))?;
        // Under the lock, so that nobody finds the folder before it is locked itself.
        flock(&lock, FlockOperation::LockShared)?;
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mine = folder.join(format!("{}-{}", std::process::id(), at.as_nanos()));
        files::private_folder(&mine)?;
        let alive = File::create(mine.join(ALIVE))?;
        flock(&alive, FlockOperation::LockExclusive)?;
        flock(&lock, FlockOperation::Unlock)?;
        Ok(Self { folder, mine, lock, _alive: alive })
    }

    /// From when this returns, a file of this name that exists is not collected.
    pub(crate) fn mark(self: &Arc<Self>, name: String) -> Use {
        let marked = flock(&self.lock, FlockOperation::LockShared).map_err(io::Error::from).and_then(|()| {
            let marked = File::create(self.mine.join(&name)).map(drop);
            flock(&self.lock, FlockOperation::Unlock)?;
            marked
        });
        if let Err(error) = marked {
            tracing::debug!(file = name, %error, "use of a stored file was not noted");
        }
        Use { uses: Arc::clone(self), name }
    }

    /// Calls with the names that are used and when others were used last, while nobody can begin to use one. Nothing
    /// happens while another process does it.
    pub(super) fn alone<T>(&self, act: impl FnOnce(&[OsString], &HashMap<OsString, SystemTime>) -> T) -> Option<T> {
        // A lock of its own, since those of one descriptor replace each other.
        let lock = OpenOptions::new().append(true).open(self.folder.join(LOCK)).ok()?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        let used = self.used().ok()?;
        let last = last_uses(&self.folder.join(LAST)).ok()?;
        Some(act(&used, &last))
    }

    /// Forgets when a file was used that is there no more.
    pub(super) fn forget(&self, name: &OsString) {
        let _ = fs::remove_file(self.folder.join(LAST).join(name));
    }

    fn used(&self) -> io::Result<Vec<OsString>> {
        let mut used = Vec::new();
        for process in fs::read_dir(&self.folder)? {
            let process = process?;
            if !process.file_type()?.is_dir() || process.file_name() == LAST {
                continue;
            }
            let names = names(&process.path())?;
            if process.path() != self.mine && is_dead(&process.path()) {
                for name in names {
                    let _ = fs::rename(process.path().join(&name), self.folder.join(LAST).join(&name));
                }
                let _ = fs::remove_dir_all(process.path());
            } else {
                used.extend(names);
            }
        }
        Ok(used)
    }
}

impl Drop for Use {
    /// The time of the mark becomes the time of the last use.
    fn drop(&mut self) {
        let mark = self.uses.mine.join(&self.name);
        // It may be gone with the whole store.
        let _ = File::create(&mark).and_then(|_| fs::rename(&mark, self.uses.folder.join(LAST).join(&self.name)));
    }
}

impl Drop for Uses {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.mine);
    }
}

fn is_dead(process: &Path) -> bool {
    let Ok(alive) = File::open(process.join(ALIVE)) else { return true };
    flock(&alive, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn names(process: &Path) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(process)?.map(|entry| entry.map(|entry| entry.file_name()));
    names.filter(|name| name.as_ref().map_or(true, |name| name != ALIVE)).collect()
}

fn last_uses(folder: &Path) -> io::Result<HashMap<OsString, SystemTime>> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    Ok(entries.filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.modified().ok()?))).collect())
}
