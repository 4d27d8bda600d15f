use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use redb::{BackendError, StorageBackend};

use crate::lock;

/// The first failure of a storage. The database itself remembers only that there was one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Option<(io::ErrorKind, String)>>>);

impl Faults {
    /// What went wrong, in the system's words.
    pub(crate) fn first(&self) -> Option<(io::ErrorKind, String)> {
        lock(&self.0).clone()
    }

    fn note<T>(&self, doing: &str, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            lock(&self.0).get_or_insert_with(|| (error.kind(), format!("{doing}: {error}")));
        }
        result
    }
}

/// A storage whose failures are remembered.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Box<dyn StorageBackend>,
    faults: Faults,
}

impl Watched {
    pub(crate) fn new(inner: Box<dyn StorageBackend>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.faults.note("read its size", self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.faults.note("read", self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.note("resize", self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.note("fsync", self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.faults.note("write", self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
