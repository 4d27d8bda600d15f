use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const TARGET: &str = "wasm32-wasip2";

/// The component of a crate in `tests/guests`, by its folder's name.
///
/// # Panics
/// When the guests do not build, or none has this name.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    component(&BUILT, "tests/guests", name)
}

/// The component of a crate in `examples`, by its folder's name.
///
/// # Panics
/// When the examples do not build, or none has this name.
pub fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    component(&BUILT, "examples", name)
}

fn component(built: &OnceLock<PathBuf>, workspace: &str, name: &str) -> PathBuf {
    let folder = built.get_or_init(|| build(&repository().join(workspace)));
    let file = folder.join(format!("{}.wasm", name.replace('-', "_")));
    assert!(file.is_file(), "{workspace} builds no component {name}: {} is not there", file.display());
    file
}

/// Runs cargo even where components are there already: it alone knows whether they are up to date, and its lock on the
/// target folder keeps test processes that start together from building twice.
fn build(workspace: &Path) -> PathBuf {
    let target_dir = workspace.join("target");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .current_dir(workspace)
        // Flags meant for the host's processor do not fit a guest.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap_or_else(|error| panic!("start cargo in {}: {error}", workspace.display()));
    assert!(
        output.status.success(),
        "components of {} do not build:\n{}",
        workspace.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    target_dir.join(TARGET).join("release")
}

fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
