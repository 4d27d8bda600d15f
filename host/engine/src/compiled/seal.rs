//! Compiled code is native code: whoever writes it runs it. Each file therefore ends in a seal, a hash of its bytes and
//! its key under a secret of this store. It guards against files from elsewhere and against changes at rest; a process
//! of the same user can read the secret as we do, and is trusted.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{CodeKey, Refused};
use crate::files;

const KEY_BYTES: usize = 32;
/// Ends every sealed file, behind the hash.
const MAGIC: &[u8; 8] = b"PLSEAL\x00\x01";
pub(super) const SEAL_BYTES: u64 = 32 + MAGIC.len() as u64;

/// The secret of a store.
pub(crate) struct Key {
    path: PathBuf,
    secret: [u8; KEY_BYTES],
}

/// Why there is no secret.
#[derive(Debug)]
pub(crate) enum KeyError {
    Io(io::Error),
    Unusable(String),
}

impl From<io::Error> for KeyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Key {
    /// Reads the secret, or makes one.
    pub(crate) fn open(path: &Path) -> Result<Self, KeyError> {
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        let mut secret = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut secret)?;
        if files::write_new(path, &secret)? {
            return Ok(Self { path: path.to_owned(), secret });
        }
        // Another process was first; its secret counts.
        Self::read(path)?.ok_or_else(|| KeyError::Io(io::ErrorKind::NotFound.into()))
    }

    fn read(path: &Path) -> Result<Option<Self>, KeyError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let metadata = file.metadata()?;
        let unusable = |why: String| Err(KeyError::Unusable(why));
        if !metadata.is_file() {
            return unusable("it is not a file".into());
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return unusable(format!("it belongs to user {}", metadata.uid()));
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return unusable(format!("others may read or write it (mode {mode:o}); `chmod 400` it if you trust it"));
        }
        let mut secret = [0; KEY_BYTES];
        if metadata.len() != KEY_BYTES as u64 || file.read_exact(&mut secret).is_err() {
            return unusable(format!("it has {} bytes, not {KEY_BYTES}", metadata.len()));
        }
        Ok(Some(Self { path: path.to_owned(), secret }))
    }

    /// Puts the secret back if somebody has removed it: what is sealed with it should be accepted by the next process.
    pub(super) fn keep(&self) -> io::Result<()> {
        if self.path.exists() { Ok(()) } else { files::write_new(&self.path, &self.secret).map(drop) }
    }

    pub(super) fn seal(&self, key: CodeKey, mut file: &File) -> io::Result<()> {
        let bytes = file.metadata()?.len();
        let hash = self.hash(key, file, bytes)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(hash.as_bytes())?;
        file.write_all(MAGIC)
    }

    pub(super) fn check(&self, key: CodeKey, mut file: &File) -> Result<(), Refused> {
        let length = file.metadata().map_err(Refused::Unreadable)?.len();
        let Some(bytes) = length.checked_sub(SEAL_BYTES) else {
            return Err(Refused::Wrong("it is cut off"));
        };
        let mut seal = [0; SEAL_BYTES as usize];
        file.seek(SeekFrom::Start(bytes)).and_then(|_| file.read_exact(&mut seal)).map_err(Refused::Unreadable)?;
        let Some((hash, magic)) = seal.split_first_chunk::<32>() else { return Err(Refused::Wrong("it is cut off")) };
        if magic != MAGIC {
            return Err(Refused::Wrong("it has no seal"));
        }
        // Compares in constant time.
        let is_ours = self.hash(key, file, bytes).map_err(Refused::Unreadable)? == *hash;
        if is_ours { Ok(()) } else { Err(Refused::Wrong("its seal is not ours, or it was changed")) }
    }

    /// Of the first bytes of a file and what they are for.
    fn hash(&self, key: CodeKey, mut file: &File, bytes: u64) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&key.0);
        file.seek(SeekFrom::Start(0))?;
        hasher.update_reader(file.take(bytes))?;
        Ok(hasher.finalize())
    }
}

/// A file as it was when its seal was found right. Any change of the file gives another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    device: u64,
    inode: u64,
    pub(crate) bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Verdict {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Verdict {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_key(byte: u8) -> CodeKey {
        CodeKey([byte; 32])
    }

    fn sealed(key: &Key, bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        key.seal(code_key(1), &file).unwrap();
        file
    }

    fn key() -> (tempfile::TempDir, Key) {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::open(&dir.path().join("key")).unwrap_or_else(|error| panic!("{error:?}"));
        (dir, key)
    }

    #[test]
    fn a_file_that_was_sealed_is_accepted_for_what_it_was_sealed_for_and_by_this_store_only() {
        let (_dir, key) = key();
        let (_other_dir, other) = self::key();
        let file = sealed(&key, b"code");
        assert!(key.check(code_key(1), &file).is_ok());
        assert!(key.check(code_key(2), &file).is_err());
        assert!(other.check(code_key(1), &file).is_err());
    }

    #[test]
    fn a_file_changed_in_any_byte_or_cut_anywhere_is_refused() {
        let (_dir, key) = key();
        let mut whole = Vec::new();
        let mut file = sealed(&key, b"some code");
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut whole).unwrap();
        let check = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            key.check(code_key(1), &file)
        };
        assert!(check(&whole).is_ok());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(check(&changed).is_err(), "byte {at}");
            assert!(check(&whole[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn two_processes_that_start_together_have_one_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Key::open(&path).unwrap().secret)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0] && *secret != [0; KEY_BYTES]));
    }
}
