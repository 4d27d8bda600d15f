//! Keeps the store within its budget: of what no process uses, the longest unused goes first.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::uses::Uses;

struct Stored {
    path: PathBuf,
    name: OsString,
    bytes: u64,
    used_at: SystemTime,
    is_used: bool,
}

/// Removes files from these folders until they fit; returns how many bytes went. What cannot be read or removed stays.
pub(crate) fn collect(folders: &[&Path], budget_bytes: u64, uses: &Uses) -> u64 {
    let collected = uses.alone(|used, last| {
        let mut files: Vec<Stored> = folders.iter().flat_map(|folder| stored(folder)).collect();
        for file in &mut files {
            file.is_used = used.contains(&file.name);
            file.used_at = last.get(&file.name).map_or(file.used_at, |at| file.used_at.max(*at));
        }
        last.keys().filter(|name| !files.iter().any(|file| file.name == **name)).for_each(|name| uses.forget(name));
        let mut over = files.iter().map(|file| file.bytes).sum::<u64>().saturating_sub(budget_bytes);
        files.retain(|file| !file.is_used);
        files.sort_by_key(|file| file.used_at);
        let mut removed = 0;
        for file in files {
            if over == 0 {
                break;
            }
            if fs::remove_file(&file.path).is_ok() {
                uses.forget(&file.name);
                tracing::debug!(file = %file.path.display(), bytes = file.bytes, "removed from the store");
                removed += file.bytes;
                over = over.saturating_sub(file.bytes);
            }
        }
        removed
    });
    collected.unwrap_or(0)
}

/// Files of the store; those that are being written are not among them.
fn stored(folder: &Path) -> Vec<Stored> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let file = |entry: fs::DirEntry| {
        let metadata = entry.metadata().ok()?;
        let name = entry.file_name();
        let is_stored = metadata.is_file() && !name.to_string_lossy().starts_with('.');
        is_stored.then_some(Stored {
            path: entry.path(),
            name,
            bytes: metadata.len(),
            used_at: metadata.modified().ok()?,
            is_used: false,
        })
    };
    entries.filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    struct Store(tempfile::TempDir);

    impl Store {
        fn new(names: &[&str]) -> Self {
            let store = Self(tempfile::tempdir().unwrap());
            fs::create_dir(store.code()).unwrap();
            for (age, name) in names.iter().rev().enumerate() {
                fs::write(store.code().join(name), [0; 100]).unwrap();
                let file = File::options().write(true).open(store.code().join(name)).unwrap();
                file.set_modified(SystemTime::now() - Duration::from_secs(1_000 * (age as u64 + 1))).unwrap();
            }
            store
        }

        fn code(&self) -> PathBuf {
            self.0.path().join("code")
        }

        fn uses(&self) -> Arc<Uses> {
            Arc::new(Uses::open(self.0.path().join("uses")).unwrap())
        }

        fn left(&self) -> Vec<String> {
            let mut left: Vec<_> = stored(&self.code()).into_iter().map(|f| f.name.into_string().unwrap()).collect();
            left.sort();
            left
        }
    }

    #[test]
    fn the_longest_unused_goes_first_and_only_as_much_as_must() {
        let store = Store::new(&["old", "middle", "new"]);
        let uses = store.uses();
        assert_eq!(collect(&[&store.code()], 300, &uses), 0);
        assert_eq!(collect(&[&store.code()], 250, &uses), 100);
        assert_eq!(store.left(), ["middle", "new"]);
        drop(uses.mark("middle".into()));
        assert_eq!(collect(&[&store.code()], 100, &uses), 100);
        assert_eq!(store.left(), ["middle"], "it was used last");
    }

    #[test]
    fn what_any_process_uses_stays_and_what_a_dead_one_used_does_not() {
        let store = Store::new(&["mine", "theirs", "unused"]);
        let (mine, theirs) = (store.uses(), store.uses());
        let _used = mine.mark("mine".into());
        let used = theirs.mark("theirs".into());
        assert_eq!(collect(&[&store.code()], 0, &mine), 100);
        assert_eq!(store.left(), ["mine", "theirs"]);
        // As one leaves it that dies: its folder is there, and nobody has it locked.
        drop(used);
        let dead = store.0.path().join("uses/1-1");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("theirs"), "").unwrap();
        fs::write(dead.join("alive"), "").unwrap();
        assert_eq!(collect(&[&store.code()], 0, &mine), 100);
        assert_eq!(store.left(), ["mine"]);
        assert!(!dead.exists());
    }

    #[test]
    fn one_collects_at_a_time() {
        let store = Store::new(&["a"]);
        let (one, other) = (store.uses(), store.uses());
        one.alone(|_, _| assert_eq!(collect(&[&store.code()], 0, &other), 0)).unwrap();
        assert_eq!(collect(&[&store.code()], 0, &other), 100);
    }
}
