use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use pulselet_broker::{Error, Result};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, ReadableDatabase, StorageBackend};

use super::backend::{Faults, Watched};
use super::tables::{ACKS, CURSORS, ENTRIES, FORMAT, META, PARTITIONED, PRODUCERS, TOPICS, entry_head, get_entry};
use crate::error::OpenError;
use crate::lock;
use crate::options::Storage;
use crate::subscription::queue::Wanted;
use crate::subscription::settle::Extent;
use crate::topic::Topic;
use crate::topic::entry::StoredEntry;

/// Names of the files in a data folder.
const DATABASE_FILE: &str = "broker.redb";
const NEW_DATABASE_FILE: &str = "broker.redb.new";
const LOCK_FILE: &str = "broker.lock";

/// What every database file begins with.
const DATABASE_MAGIC: &[u8] = b"redb";

/// Most bytes and entries that one read brings.
const READ_BYTES: usize = 1 << 20;
const READ_ENTRIES: usize = 1_000;

/// The database, until it is closed.
#[derive(Debug)]
pub(crate) struct Store {
    open: Mutex<Option<Arc<Open>>>,
    faults: Faults,
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) database: Database,
    /// Held as long as the database is, so that one process has it.
    _lock: Option<File>,
}

impl Store {
    pub(crate) fn new(storage: Storage, page_cache_bytes: usize) -> Result<Self, OpenError> {
        let faults = Faults::default();
        let open = match storage {
            Storage::Folder(folder) => open_folder(&folder, page_cache_bytes, &faults)?,
            Storage::Ephemeral => in_backend(Box::new(InMemoryBackend::new()), page_cache_bytes, &faults)?,
            Storage::Backend(backend) => in_backend(backend, page_cache_bytes, &faults)?,
        };
        Ok(Self { open: Mutex::new(Some(Arc::new(open))), faults })
    }

    /// The database.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`Store::close`].
    pub(crate) fn open(&self) -> Result<Arc<Open>> {
        lock(&self.open).clone().ok_or(Error::Closed)
    }

    /// Lets go of the database, as soon as nobody is using it.
    pub(crate) fn close(&self) {
        let open = lock(&self.open).take();
        // Closing writes; a panic there has no one to tell.
        catch_unwind(AssertUnwindSafe(|| drop(open))).ok();
    }

    /// What the storage under the database said, if it failed.
    pub(crate) fn last_io_error(&self) -> Option<String> {
        self.faults.first().map(|(_, text)| text)
    }

    /// Reads entries of a topic, in order.
    pub(crate) fn read(&self, topic: &Topic, wanted: &Wanted) -> Result<Vec<Arc<StoredEntry>>> {
        let open = self.open()?;
        let failed = |error: redb::Error| Error::Storage(format!("read entries of {}: {error}", topic.name));
        let txn = open.database.begin_read().map_err(|e| failed(e.into()))?;
        let table = txn.open_table(ENTRIES).map_err(|e| failed(e.into()))?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut take = |number: u64, value: &[u8]| {
            bytes += value.len();
            entries.push(Arc::new(get_entry(topic.name.as_str(), number, value)?));
            Ok::<bool, Error>(bytes < READ_BYTES && entries.len() < READ_ENTRIES)
        };
        match wanted {
            Wanted::From(number) => {
                for item in table.range((topic.id, *number)..=(topic.id, u64::MAX)).map_err(|e| failed(e.into()))? {
                    let (key, value) = item.map_err(|e| failed(e.into()))?;
                    if !take(key.value().1, value.value())? {
                        break;
                    }
                }
            }
            Wanted::Each(numbers) => {
                for number in numbers {
                    let value = table.get((topic.id, *number)).map_err(|e| failed(e.into()))?;
                    if let Some(value) = value
                        && !take(*number, value.value())?
                    {
                        break;
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Where an entry is; `None` if it is not kept.
    pub(crate) fn extent(&self, topic: &Topic, number: u64) -> Result<Option<Extent>> {
        Ok(self.read(topic, &Wanted::Each(vec![number]))?.first().map(|entry| Extent::from(entry.as_ref())))
    }

    /// When an entry was published.
    pub(crate) fn publish_time(&self, topic: &Topic, number: u64) -> Result<Option<u64>> {
        let open = self.open()?;
        let failed = |error: redb::Error| Error::Storage(format!("read entries of {}: {error}", topic.name));
        let txn = open.database.begin_read().map_err(|e| failed(e.into()))?;
        let table = txn.open_table(ENTRIES).map_err(|e| failed(e.into()))?;
        let value = table.get((topic.id, number)).map_err(|e| failed(e.into()))?;
        Ok(value.and_then(|value| entry_head(number, value.value())).map(|head| head.publish_time))
    }
}

fn open_folder(folder: &Path, page_cache_bytes: usize, faults: &Faults) -> Result<Open, OpenError> {
    let fail = |path: &Path, error| io_error(folder, path, error);
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => {
            let detail = "it is a file".to_owned();
            return Err(OpenError::NotADataFolder { folder: folder.to_owned(), detail });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder).map_err(|e| fail(folder, e))?;
        }
        Err(error) => return Err(fail(folder, error)),
    }
    let lock_path = folder.join(LOCK_FILE);
    let lock_file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|e| fail(&lock_path, e))?;
    lock_file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { folder: folder.to_owned() },
        TryLockError::Error(error) => fail(&lock_path, error),
    })?;
    let path = folder.join(DATABASE_FILE);
    if !path.try_exists().map_err(|e| fail(&path, e))? {
        create(folder, &path, page_cache_bytes, faults)?;
    }
    let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(|e| fail(&path, e))?;
    let mut magic = [0; DATABASE_MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == DATABASE_MAGIC => {}
        Ok(()) => return Err(damaged(&path, "it is not a database")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged(&path, "it is cut short")),
        Err(error) => return Err(fail(&path, error)),
    }
    let database = open_file(folder, &path, file, page_cache_bytes, faults)?;
    check_format(&database, &path.display().to_string())?;
    Ok(Open { database, _lock: Some(lock_file) })
}

/// Makes an empty database. It is complete before it gets its name, so that there is never half of one.
fn create(folder: &Path, path: &Path, page_cache_bytes: usize, faults: &Faults) -> Result<(), OpenError> {
    let new_path = folder.join(NEW_DATABASE_FILE);
    let fail = |error| io_error(folder, &new_path, error);
    // What an earlier attempt has left; the lock says that nobody is at it now.
    let options = OpenOptions::new().create(true).truncate(true).read(true).write(true).clone();
    let file = options.open(&new_path).map_err(fail)?;
    let database = open_file(folder, &new_path, file, page_cache_bytes, faults)?;
    initialise(&database).map_err(|error| database_error(Some(folder), &new_path.display().to_string(), error))?;
    drop(database);
    File::open(&new_path).and_then(|file| file.sync_all()).map_err(fail)?;
    fs::rename(&new_path, path).map_err(fail)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)
}

fn open_file(
    folder: &Path,
    path: &Path,
    file: File,
    page_cache_bytes: usize,
    faults: &Faults,
) -> Result<Database, OpenError> {
    let location = path.display().to_string();
    let backend = FileBackend::new(file).map_err(|error| database_error(Some(folder), &location, error.into()))?;
    open_database(Some(folder), &location, Box::new(backend), page_cache_bytes, faults)
}

fn in_backend(backend: Box<dyn StorageBackend>, page_cache_bytes: usize, faults: &Faults) -> Result<Open, OpenError> {
    let location = "the storage";
    let empty = backend.len().map_err(|source| OpenError::Io { location: location.to_owned(), source })? == 0;
    let database = open_database(None, location, backend, page_cache_bytes, faults)?;
    if empty || is_blank(&database) {
        initialise(&database).map_err(|error| database_error(None, location, error))?;
    }
    check_format(&database, location)?;
    Ok(Open { database, _lock: None })
}

fn open_database(
    folder: Option<&Path>,
    location: &str,
    backend: Box<dyn StorageBackend>,
    page_cache_bytes: usize,
    faults: &Faults,
) -> Result<Database, OpenError> {
    let backend = Watched::new(backend, faults.clone());
    let open = || {
        let mut builder = Builder::new();
        builder.set_cache_size(page_cache_bytes);
        builder.create_with_backend(backend)
    };
    // Some damage makes the database panic rather than complain.
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(database_error(folder, location, error.into())),
        Err(_) => Err(OpenError::Damaged { location: location.to_owned(), detail: "it cannot be read".to_owned() }),
    }
}

/// A database that was made, but not yet filled when its process died.
fn is_blank(database: &Database) -> bool {
    database.begin_read().is_ok_and(|txn| txn.list_tables().is_ok_and(|mut tables| tables.next().is_none()))
}

fn initialise(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    txn.open_table(META)?.insert("format", FORMAT)?;
    txn.open_table(PARTITIONED)?;
    txn.open_table(TOPICS)?;
    txn.open_table(ENTRIES)?;
    txn.open_table(CURSORS)?;
    txn.open_table(ACKS)?;
    txn.open_table(PRODUCERS)?;
    txn.commit()?;
    Ok(())
}

fn check_format(database: &Database, location: &str) -> Result<(), OpenError> {
    let read = || -> Result<Option<u64>, redb::Error> {
        let txn = database.begin_read()?;
        Ok(txn.open_table(META)?.get("format")?.map(|format| format.value()))
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(Some(FORMAT))) => Ok(()),
        Ok(Ok(Some(found))) if found > FORMAT => {
            Err(OpenError::Newer { location: location.to_owned(), found, supported: FORMAT })
        }
        Ok(Ok(found)) => {
            let detail = format!("its format is {found:?}");
            Err(OpenError::Damaged { location: location.to_owned(), detail })
        }
        Ok(Err(error)) => Err(database_error(None, location, error)),
        Err(_) => Err(OpenError::Damaged { location: location.to_owned(), detail: "it cannot be read".to_owned() }),
    }
}

fn damaged(path: &Path, detail: &str) -> OpenError {
    OpenError::Damaged { location: path.display().to_string(), detail: detail.to_owned() }
}

fn io_error(folder: &Path, path: &Path, source: io::Error) -> OpenError {
    let location = path.display().to_string();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { folder: folder.to_owned(), source }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::Full { location, source },
        io::ErrorKind::NotADirectory => {
            let detail = "a part of its path is a file".to_owned();
            OpenError::NotADataFolder { folder: folder.to_owned(), detail }
        }
        _ => OpenError::Io { location, source },
    }
}

/// What the database says when it is opened or first read.
pub(crate) fn database_error(folder: Option<&Path>, location: &str, error: redb::Error) -> OpenError {
    let folder = folder.unwrap_or(Path::new(location));
    match error {
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse { folder: folder.to_owned() },
        redb::Error::Io(source)
            if matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            OpenError::Damaged { location: location.to_owned(), detail: source.to_string() }
        }
        redb::Error::Io(source) => io_error(folder, Path::new(location), source),
        other => OpenError::Damaged { location: location.to_owned(), detail: other.to_string() },
    }
}
