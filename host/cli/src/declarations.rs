//! Declarations in files.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pulselet_api::Declared;

/// Reads every file and checks all of them together, so that one run shows everything that is wrong. The `source` of
/// each declaration is the path of its file.
pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Declared>> {
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        if file.is_dir() {
            let inside = file.join("function.yaml");
            bail!("{} is a folder: name the declaration in it, for example {}", file.display(), inside.display());
        }
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        texts.push((file.display().to_string(), text));
    }
    Ok(pulselet_api::parse_all(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))?)
}

/// The folder that relative locations of a declaration start at.
pub(crate) fn base_dir(declared: &Declared) -> &Path {
    match Path::new(&declared.source).parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
