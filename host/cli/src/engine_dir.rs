use std::path::{Path, PathBuf};

use anyhow::Context;

/// Folder for components and compiled code: the given one, or one in the user's cache. Compiled code is worth keeping
/// from run to run, wherever the messages are kept.
///
/// # Errors
/// When none is given and the user has no home.
pub(crate) fn choose(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = given {
        return Ok(dir.to_owned());
    }
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| Path::new(dir).is_absolute()) {
        Some(dir) => PathBuf::from(dir),
        None => std::env::home_dir().context("there is no home folder: name one with --engine-dir")?.join(".cache"),
    };
    Ok(cache.join("pulselet").join("engine"))
}
