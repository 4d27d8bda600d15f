//! Files that are either whole or not there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

/// Files set aside that are kept.
const SET_ASIDE: usize = 8;
const UNFINISHED: &str = ".unfinished-";
/// No write takes so long: what is older was left by a process that died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// Makes a folder that only its owner may enter: who can write into it chooses the code that runs.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Puts a file in place: at any moment it is there with all its bytes or not at all, as long as the system runs. Not for
/// what must survive a power loss: nothing waits for the disk. A file that somebody else has put there meanwhile is
/// replaced; who has it open keeps the old one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = unfinished(folder_of(path), 0o400)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Makes a file, durably, unless there is one already: then false.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let folder = folder_of(path);
    let mut file = unfinished(folder, 0o400)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// A file to be written and then renamed; removed when it is dropped before.
pub(crate) fn unfinished(folder: &Path, mode: u32) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(UNFINISHED).permissions(Permissions::from_mode(mode)).tempfile_in(folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Moves a file that cannot be used into a folder that nobody reads from, for whoever wants to know what was wrong with
/// it. The newest few are kept.
pub(crate) fn set_aside(path: &Path, folder: &Path) -> io::Result<()> {
    private_folder(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // By time, so that their order is that of their names.
    fs::rename(path, folder.join(format!("{:020}-{name}", at.as_nanos())))?;
    let mut names: Vec<_> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    names.sort();
    let too_many = names.len().saturating_sub(SET_ASIDE);
    names.iter().take(too_many).try_for_each(|name| fs::remove_file(folder.join(name)))
}

/// Removes what a process that died has left half written.
pub(crate) fn remove_abandoned(folder: &Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        let age =
            entry.metadata().and_then(|data| data.modified()).map(|at| now.duration_since(at).unwrap_or_default());
        if unfinished && age.is_ok_and(|age| age > ABANDONED_AFTER) {
            // Another process may sweep the same folder; whoever comes second finds nothing.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}
