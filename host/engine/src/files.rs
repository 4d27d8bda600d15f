//! Files that are either whole or not there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

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

/// Puts a file in place, durably: at any moment, also after a crash, it is there with all its bytes or not at all. A file
/// that somebody else has put there meanwhile is replaced; who has it mapped keeps the old one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(UNFINISHED).permissions(Permissions::from_mode(0o400)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Renames a file that cannot be used to one nobody reads, for whoever wants to know what was wrong with it. Only the
/// newest is kept.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_added_extension("bad");
    fs::rename(path, &aside)?;
    Ok(aside)
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
